"""Networks of the user's own, by their content: what is known of each as JSON, its layers included. No TensorFlow.

`models.own_model` makes such a document of a Keras model. A run folder and a ticket keep it, so that both are read
without the user's code: it names classes of layers and their settings, and holds no code.
"""

import dataclasses
import hashlib
import os
import re
import typing
from collections.abc import Callable

from tf_tickets.errors import UsageError

PREFIX = "own"
# Of a run folder.
FILE = "architecture.json"

_DOCUMENTS: dict[str, dict] = {}


@dataclasses.dataclass(frozen=True)
class Function:
    """A function that gives a Keras model.

    Attributes:
      call: what `--model` or `model=` names.
      said: how messages call it, such as `--model=package.module:function`.
      source: the hash of its module's source; None where it has no file.
    """

    call: Callable[..., typing.Any]
    said: str
    source: str | None = None


# What `--model=PACKAGE.MODULE:FUNCTION` has imported, by that text.
FUNCTIONS: dict[str, Function] = {}
# What the manifest of a run says of the function that gave a network, and the weights that came with it, by its name.
ORIGINS: dict[str, dict[str, str]] = {}
WEIGHTS: dict[str, typing.Any] = {}


def keep(document: dict) -> str:
    """Keeps a document for this process; returns the network's name, own:HASH."""
    from tf_tickets.runtime import files

    name = f"{PREFIX}:{hashlib.sha256(files.canonical(document)).hexdigest()[:16]}"
    _DOCUMENTS[name] = document
    return name


def of(name: str) -> dict:
    """The document of a network; UsageError where it is not known here."""
    if name not in _DOCUMENTS:
        raise UsageError(
            f"--model={name} names a network of a run or ticket by its content, which is known only where that is "
            "read: give --model=PACKAGE.MODULE:FUNCTION, or in Python model="
        )
    return _DOCUMENTS[name]


def origin(name: str) -> dict:
    """What the manifest says of the function that gave a network: nothing of others."""
    return {"model": ORIGINS[name]} if name in ORIGINS else {}


def note_origin(name: str, function: object) -> None:
    """Notes what a run's manifest says of the function that gave a network, where nothing is known of it."""
    if name.startswith(f"{PREFIX}:") and isinstance(function, dict) and isinstance(function.get("function"), str):
        ORIGINS.setdefault(name, function)


def flag_of(name: str) -> str | None:
    """`--model=PACKAGE.MODULE:FUNCTION` where that gave a network, also from Python; None of others."""
    function = ORIGINS.get(name, {}).get("function", "").partition("=")[2]
    return f"--model={function}" if is_function(function) else None


def shown(name: str) -> str:
    """How tables and titles call a network: one of the user's own by its function and the beginning of its hash."""
    function = ORIGINS.get(name, {}).get("function", "").partition("=")[2]
    return f"{function} ({name[len(PREFIX) + 1 :][:8]})" if re.fullmatch(r"[\w.:]{1,80}", function) else name


def sealed(name: str) -> bytes:
    """The bytes of the file that keeps a network's document."""
    from tf_tickets.runtime import files

    document = of(name)
    sealing = {"self_sha256": hashlib.sha256(files.canonical(document)).hexdigest()}
    return files.canonical(document | sealing) + b"\n"


def is_function(text: str) -> bool:
    """Whether a value of `--model` reads as PACKAGE.MODULE:FUNCTION."""
    return re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", text) is not None


def read_beside(flagfile: str, model: str) -> None:
    """Keeps the document that lies beside the flagfile of a run whose network is one of the user's own.

    Raises:
      UsageError: it is missing, damaged, or of another network.
    """
    if not model.startswith(f"{PREFIX}:"):
        return
    from tf_tickets.runtime import files

    path = os.path.join(os.path.dirname(flagfile), FILE)
    if model in _DOCUMENTS and not os.path.exists(path):
        return
    try:
        document = files.parsed(files.contents(path, files.MOST_TEXT), path)
    except files.Damaged as error:
        raise UsageError(f"--model={model} is described by {path}: {error}") from None
    del document["self_sha256"]
    if (name := keep(document)) != model:
        raise UsageError(f"{path} describes {name}, and {flagfile} names {model}: restore them")
