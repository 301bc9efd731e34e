"""Files that `export` wrote, read again: of which ticket each is, and what it predicts.

Each holds the content digest of its ticket: runtime.npz in its document, an ONNX file in its metadata, a TensorFlow
Lite file in an archive behind the network, where readers of labels look and interpreters do not, C files in their text.
"""

import dataclasses
import json
import os
import re
import typing
import zipfile
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tf_tickets import runs, runtime, storage
from tf_tickets.errors import StateError, UsageError, install, reason
from tf_tickets.export.file_facts import DIGEST, FACTS
from tf_tickets.runtime import files
from tf_tickets.runtime.reader import document_of

_IN_C = re.compile(rb"\bTicket ([0-9a-f]{64})\b")
# The comment with the digest is at the beginning.
_HEAD_OF_C = 1 << 16
_OF_C = (".c", ".h")


def onnx_missing() -> str | None:
    """What is not installed that ONNX files need, in words; None where all is."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        return f"it needs onnx and onnxruntime ({reason(error)}): {install('onnx')}"
    return None


def ticket_digest(path: str) -> str | None:
    """The content digest of the ticket that a file was written from; None where `export` did not write the file.

    Raises:
      UsageError: it is no regular file, or an ONNX file where onnx is not installed.
    """
    kind = os.path.splitext(path)[1]
    if kind == ".onnx" and (words := onnx_missing()):
        raise UsageError(f"{path}: {words}")
    try:
        with storage.open_regular(path):
            pass
        digest = _DIGESTS[kind](path) if kind in _DIGESTS else None
    except (OSError, ValueError):  # of other content than the name says; also runtime.Damaged and NotATicket
        return None
    return digest if isinstance(digest, str) else None


def check_replaceable(path: str) -> None:
    """UsageError unless `export` can write a file there: nothing is, or what it wrote earlier."""
    if os.path.lexists(path) and ticket_digest(path) is None:
        raise UsageError(f"{path} is there and was not written by export; move it away, or choose another --out")


def _of_runtime(path):
    return document_of(path).get("content_digest")


def _of_c(path):
    with open(path, "rb") as file:
        named = _IN_C.search(file.read(_HEAD_OF_C))
    return named and named[1].decode("ascii")


def _onnx_facts(path):
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model(path, load_external_data=False)
    except DecodeError as error:
        raise ValueError(reason(error)) from None
    return {entry.key: entry.value for entry in model.metadata_props}


def _lite_facts(path):
    try:
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo(FACTS).file_size
            facts = json.loads(archive.read(FACTS)) if size <= files.MOST_TEXT else None
    except (KeyError, RecursionError, zipfile.BadZipFile) as error:
        raise ValueError(reason(error)) from None
    if not isinstance(facts, dict):
        raise ValueError("it holds no facts of a ticket")
    return facts


_DIGESTS: Mapping[str, Callable[[str], typing.Any]] = {
    ".npz": _of_runtime, ".onnx": lambda path: _onnx_facts(path).get(DIGEST),
    ".tflite": lambda path: _lite_facts(path).get(DIGEST), **dict.fromkeys(_OF_C, _of_c),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class FileNetwork:
    """The network in a file: what `predict` asks of a Ticket.

    Attributes:
      data: the facts of its data set by which pictures become images.
      labels: of its classes.
      predict: from stored images [n, height, width, channels] to class probabilities, float32 [n, classes].
    """

    data: dict
    labels: tuple[str, ...]
    predict: Callable[[np.ndarray], np.ndarray]


def load(path: str) -> FileNetwork:
    """The network in a runtime.npz, ONNX or TensorFlow Lite file.

    Raises:
      UsageError: `export` did not write it, it is of C, or what executes it is not installed.
      StateError: it is damaged.
    """
    kind = os.path.splitext(path)[1]
    if ticket_digest(path) is None:
        raise UsageError(f"{path} is no ticket and no file that export wrote; {files.instead(path, 'one of them')}")
    if kind in _OF_C:
        raise UsageError(
            f"{path} is C: compile it (cc -O3 -march=native -ffast-math -DTICKET_MAIN ticket.c -o ticket -lm) and give "
            "the program raw images, or give predict the ticket"
        )
    return {".npz": _runtime_network, ".onnx": _onnx_network, ".tflite": _lite_network}[kind](path)


def _runtime_network(path):
    from tf_tickets.export import runtime_file

    predict, data = runtime_file.predictor(path), document_of(path)["data"]
    return FileNetwork(data, tuple(data["labels"]), predict)


def _onnx_network(path):
    from tf_tickets import backend
    from tf_tickets.export import onnx_file

    return _network(path, _onnx_facts(path), lambda data: onnx_file.predictor(data, backend.threads()))


def _lite_network(path):
    from tf_tickets import backend
    from tf_tickets.export import tflite

    if words := tflite.missing():
        raise UsageError(f"{path}: {words}")
    return _network(path, _lite_facts(path), lambda data: tflite.predictor(data, backend.threads()))


def _network(path, facts, predictor):
    """A FileNetwork by its facts; `predictor` makes its function of the file's bytes."""
    try:
        shape, labels, any_size = (json.loads(facts[name]) for name in ("image_shape", "labels", "any_size"))
        data = {"image_shape": shape, "dtype": facts["dtype"], "any_size": any_size}
        with storage.open_regular(path) as file:
            predict = predictor(file.read())
        answer = predict(np.zeros([1, *shape], data["dtype"]))
    except Exception as error:  # ONNX Runtime and LiteRT have errors of their own for damaged files
        raise StateError(f"{path} cannot be executed ({reason(error)}); export its ticket again") from None
    if answer.shape != (1, len(labels)):
        raise StateError(f"{path} answers {answer.shape[-1]} classes and names {len(labels)}; export its ticket again")
    return FileNetwork(data, tuple(labels), predict)


def verify(path: str, tickets: Sequence[str] = ()) -> str:
    """Checks that a file that `export` wrote is of a ticket that is here, all of whose hashes are right.

    Args:
      path: of the file.
      tickets: folders of tickets and rounds; those beside the file, where `export` writes it, are looked at too.

    Returns:
      A text that says what was checked.

    Raises:
      UsageError: `export` did not write it, or no ticket is here.
      StateError: it is of another ticket, or it or the ticket is damaged.
    """
    from tf_tickets.export import loading

    digest = ticket_digest(path)
    if digest is None:
        raise UsageError(f"{path} is no ticket and no file that export wrote; {files.instead(path, 'one of them')}")
    folders = [folder for folder in (*tickets, *_beside(path)) if runs.place(folder).kind in ("ticket", "round")]
    if not folders:
        raise UsageError(
            f"{path} is of ticket {digest[:16]}, which is not beside it: verify TICKET {path} compares them"
        )
    digests = {folder: loading.load(folder).content_digest for folder in folders}
    folder = next((folder for folder in folders if digests[folder] == digest), None)
    if folder is None:
        raise StateError(
            f"{path} is of ticket {digest[:16]}, and {folders[0]} is ticket {digests[folders[0]][:16]}: export it again"
        )
    return f"{path}: of ticket {digest[:16]}, which is {folder}; {_inside(path, digest)}"


def _beside(path):
    """Where the ticket of a file lies by the names that `export` gives: NAME, of NAME.export, or `ticket`."""
    folder = os.path.dirname(os.path.abspath(path))
    folder = os.path.dirname(folder) if os.path.splitext(path)[1] in _OF_C else folder
    return [folder.removesuffix(".export"), os.path.join(folder, "ticket")]


def _inside(path, digest):
    """What was checked of the file's own content, in words; StateError where that is not right."""
    kind = os.path.splitext(path)[1]
    if kind == ".npz":
        try:
            runtime.load(path)
        except runtime.Damaged as error:
            raise StateError(str(error)) from None
        return "its arrays have their hash"
    pair = f"{os.path.splitext(path)[0]}{'.h' if kind == '.c' else '.c'}"
    if kind in _OF_C and (not os.path.exists(pair) or ticket_digest(pair) != digest):
        raise StateError(f"{path} needs {os.path.basename(pair)} of the same ticket beside it: export both again")
    return "its numbers have no hash: export compares them with the ticket's predictions"
