"""`verify`: every hash, count and invariant of a ticket, without TensorFlow."""

import hashlib
import os

import numpy as np

from tf_tickets import runs
from tf_tickets.errors import StateError, UsageError
from tf_tickets.export.ticket import ARRAYS, DOCUMENT, canonical, from_document


def read_document(folder):
    """Reads ticket.json and checks its own hash."""
    path = os.path.join(folder, DOCUMENT)
    if not os.path.exists(path):
        raise UsageError(f"{folder} is no ticket: it has no {DOCUMENT}; give a ticket folder")
    document = runs.read_json(path)
    if not isinstance(document, dict) or not isinstance(document.get("files"), dict):
        raise StateError(f"{path} is no ticket's document; restore it")
    body = {name: value for name, value in document.items() if name != "self_sha256"}
    if hashlib.sha256(canonical(body)).hexdigest() != document.get("self_sha256"):
        raise StateError(f"{path} does not have its recorded hash: it was changed or damaged; restore it")
    with open(path, "rb") as file:
        if file.read() != runs.json_bytes(document):
            raise StateError(f"{path} is not in canonical form: it was changed; restore it")
    return document


def check_hash(folder, name, document):
    """StateError unless a file is there with the hash that the document records."""
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        raise StateError(f"{path} is missing from the ticket; restore it")
    if runs.file_digest(path) != document["files"].get(name):
        raise StateError(f"{path} does not have its recorded hash: it was changed or damaged; restore it")


def verify(folder):
    """Checks a ticket folder.

    Returns:
      A text that says what was checked.

    Raises:
      UsageError: the folder is no ticket.
      StateError: names the first file or invariant that fails.
    """
    from tf_tickets.export.writer import files_below

    document = read_document(folder)
    for name in document["files"]:
        check_hash(folder, name, document)
    extra = sorted(set(files_below(folder)) - set(document["files"]))
    if extra:
        raise StateError(f"{os.path.join(folder, extra[0])} is not part of the ticket; remove it")
    ticket = from_document(document, runs.read_arrays(os.path.join(folder, ARRAYS)))
    _check_counts(ticket, document)
    if ticket.content_digest != document["content_digest"]:
        raise StateError(f"{folder}: arrays, settings and ids do not have the recorded content digest")
    return (
        f"{folder}: {len(document['files'])} files and {DOCUMENT} have their hashes; {len(ticket.masks)} masks keep "
        f"{document['weights_left']:,} of {document['weights_total']:,} weights, density {100 * ticket.density:.2f} %"
    )


def _check_counts(ticket, document):
    kept = {name: int(np.count_nonzero(mask)) for name, mask in ticket.masks.items()}
    recorded = {layer["layer"]: layer["kept"] for layer in document["layers"]}
    if kept != recorded or sum(kept.values()) != document["weights_left"] or ticket.density != document["density"]:
        raise StateError(f"{ARRAYS}: the masks do not keep the recorded number of weights")
    for part, arrays in (("trained", ticket.trained), ("rewound", ticket.rewound)):
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise StateError(f"{ARRAYS}: {part} {name} holds numbers that are not finite")
