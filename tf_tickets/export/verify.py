"""`verify`: every hash, count and invariant of a ticket, without TensorFlow."""

import contextlib
import dataclasses
import os

import numpy as np

from tf_tickets import storage
from tf_tickets.errors import StateError, UsageError
from tf_tickets.export.ticket import ARRAYS, DOCUMENT, IMAGES, from_document, ids_digest
from tf_tickets.models import architecture
from tf_tickets.runtime import files

FORMATS = (1, 2)


def read_document(folder):
    """Reads ticket.json and checks its own hash."""
    with _as_ours():
        document = files.document(folder)
    path = os.path.join(folder, DOCUMENT)
    with open(path, "rb") as file:
        if file.read() != storage.json_bytes(document):
            raise StateError(f"{path} is not in canonical form: it was changed; restore it")
    return document


def check_hash(folder, name, document):
    """StateError unless a file is there with the hash that the document records."""
    with _as_ours():
        files.check_hash(folder, name, document)


@contextlib.contextmanager
def _as_ours():
    """The runtime's errors as those with an exit status."""
    try:
        yield
    except files.NotATicket as error:
        raise UsageError(str(error)) from None
    except files.Damaged as error:
        raise StateError(str(error)) from None


def checked(folder):
    """Loads a ticket folder after checking every hash, count and invariant of it.

    Returns:
      (Ticket, document): what ticket.json holds, as a dict.

    Raises:
      UsageError: the folder is no ticket.
      StateError: names the first file or invariant that fails.
    """
    document = read_document(folder)
    if document.get("format") not in FORMATS:
        raise StateError(f"{folder} has format {document.get('format')!r}, not {FORMATS}: another version made it")
    for name in document["files"]:
        check_hash(folder, name, document)
    extra = sorted(set(files_below(folder)) - set(document["files"]))
    if extra:
        raise StateError(f"{os.path.join(folder, extra[0])} is not part of the ticket; remove it")
    with _as_ours(), files.Arrays(os.path.join(folder, ARRAYS)) as archive:
        arrays = archive.all()
    ticket = _with_ids(from_document(document, arrays), folder, document)
    try:
        _check_network(ticket)
        _check_counts(ticket, document)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, UsageError) as error:
        # Hashes can be made anew for a document that was made up.
        reason = " ".join(str(error).split())[:200]
        raise StateError(f"{folder} describes no network of this program ({reason}); restore the ticket") from None
    if ticket.content_digest != document["content_digest"]:
        raise StateError(f"{folder}: arrays, settings and ids do not have the recorded content digest")
    return ticket, document


def _with_ids(ticket, folder, document):
    """The ticket with the ids of its training images; tickets of earlier versions have none."""
    if IMAGES not in document["files"]:
        return ticket
    path = os.path.join(folder, IMAGES)
    try:
        with open(path, encoding="utf-8", newline="\n") as file:
            ids = tuple(file.read().removesuffix("\n").split("\n"))
    except UnicodeDecodeError:
        raise StateError(f"{path} is not UTF-8 text; restore it") from None
    if ids_digest(ids) != ticket.ids_digest:
        raise StateError(f"{path} lists other images than {DOCUMENT} records; restore the ticket")
    return dataclasses.replace(ticket, ids=ids)


def verify(folder):
    """Checks a ticket folder, as `checked`.

    Returns:
      A text that says what was checked.
    """
    ticket, document = checked(folder)
    images = "" if ticket.ids is None else f"; {len(ticket.ids):,} training images are listed"
    return (
        f"{folder}: {len(document['files'])} files and {DOCUMENT} have their hashes; {len(ticket.masks)} masks keep "
        f"{document['weights_left']:,} of {document['weights_total']:,} weights, density {100 * ticket.density:.2f} %"
        f"{images}"
    )


def files_below(folder):
    """Relative paths of all files below a folder, parted by slashes, sorted, ticket.json left out."""
    found = []
    for path, _, names in os.walk(folder):
        found += [os.path.relpath(os.path.join(path, name), folder).replace(os.sep, "/") for name in names]
    return sorted(name for name in found if name != DOCUMENT)


def _check_network(ticket):
    """The masks are those of the network that the document describes, whose inputs and classes are the data's."""
    facts = dict(ticket.network)
    whole = [facts["width"], facts["classes"], *facts["image_shape"], *ticket.data["image_shape"], ticket.round]
    if any(type(number) is not int for number in whole) or len(facts["image_shape"]) != 3:
        raise ValueError("its sizes are not whole numbers")
    if facts["stem"] not in ("small", "full") or isinstance(facts["kappa"], (str, bool)):
        raise ValueError("its stem or kappa is none")
    described = architecture.describe(facts.pop("name"), **facts | {"kappa": float(facts["kappa"])})
    shapes = {f"{kernel.name}/kernel": tuple(kernel.shape) for kernel in described.kernels()}
    odd = [name for name, mask in ticket.masks.items() if shapes.get(f"{name}/kernel") != mask.shape]
    odd += [name for name, shape in shapes.items() if getattr(ticket.trained.get(name), "shape", None) != shape]
    if odd:
        raise ValueError(f"{odd[0]} does not fit")
    _check_data(ticket, described)


def _check_data(ticket, described):
    """Labels, normalisation and stored type are such that images can be told apart by them."""
    data, channels = ticket.data, described.image_shape[2]
    labels = data["labels"]
    named = isinstance(labels, list) and all(isinstance(one, str) and one.isprintable() for one in labels)
    if not named or not len(set(labels)) == len(labels) == described.classes:
        raise ValueError("its labels are not one name for each class")
    if tuple(data["image_shape"]) != described.image_shape:
        raise ValueError("its image shape is not that of its network")
    mean, deviation = (np.asarray(data[name], np.float64) for name in ("mean", "deviation"))
    scale = data.get("scale", 255.0)
    sound = mean.shape == deviation.shape == (channels,) and np.isfinite([*mean, *deviation, scale]).all()
    if not sound or deviation.min() <= 0 or scale <= 0 or data.get("dtype", "uint8") not in ("uint8", "uint16"):
        raise ValueError("its pixels cannot be normalised")
    if not isinstance(ticket.settings, dict) or not isinstance(ticket.ids_digest, str):
        raise ValueError("its settings or ids are none")


def _check_counts(ticket, document):
    kept = {name: int(np.count_nonzero(mask)) for name, mask in ticket.masks.items()}
    recorded = {layer["layer"]: layer["kept"] for layer in document["layers"]}
    if kept != recorded or sum(kept.values()) != document["weights_left"] or ticket.density != document["density"]:
        raise StateError(f"{ARRAYS}: the masks do not keep the recorded number of weights")
    for part, arrays in (("trained", ticket.trained), ("rewound", ticket.rewound)):
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise StateError(f"{ARRAYS}: {part} {name} holds numbers that are not finite")
