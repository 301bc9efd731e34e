"""`verify`: every hash, count and invariant of a ticket, without TensorFlow."""

import contextlib
import dataclasses
import os

import numpy as np

from tf_tickets import runtime, storage
from tf_tickets.errors import StateError, UsageError, reason
from tf_tickets.export import claims
from tf_tickets.export.joint_ticket import Ensemble
from tf_tickets.export.ticket import ARRAYS, DOCUMENT, IMAGES, LABELS, Ticket, from_document, ids_digest
from tf_tickets.runtime import files, npz

_MOST_IDS = 1 << 30  # bytes
# What a document that was made up can run into where it is used.
_MADE_UP = (
    ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError, UsageError,
)  # fmt: skip


def read_document(folder: str) -> dict:
    """Reads ticket.json and checks its own hash."""
    with _as_ours():
        document, data = files.document(folder)
    path = os.path.join(folder, DOCUMENT)
    try:
        canonical = data == storage.json_bytes(document)
    except RecursionError:
        canonical = False
    if not canonical:
        raise StateError(f"{path} is not in canonical form: it was changed; restore it")
    return document


@contextlib.contextmanager
def _as_ours():
    """The runtime's errors as those with an exit status."""
    try:
        yield
    except files.NotATicket as error:
        raise UsageError(str(error)) from None
    except files.Damaged as error:
        raise StateError(str(error)) from None


def checked(folder: str) -> tuple[Ticket, dict]:
    """Loads a ticket folder after checking every hash, count and invariant of it.

    What the document claims is compared with the network before any array is read, and every array's shape and type
    before its bytes.

    Returns:
      (Ticket, document): what ticket.json holds, as a dict.

    Raises:
      UsageError: the folder is no ticket.
      StateError: names the first file or invariant that fails.
    """
    document = read_document(folder)
    with _as_ours():
        files.check_format(document, folder)
        claims.check_plugins(document, os.path.join(folder, DOCUMENT))
    with _as_ours(), _fitting(folder):
        networks = claims.described(document)
        _check_files(folder, document)
        tickets = _read(folder, document, networks)
        for member in tickets:
            _check_numbers(member)
        ticket = _with_ids(tickets, folder, document)
        if ticket.content_digest != document["content_digest"]:
            raise StateError(f"{folder}: arrays, settings and ids do not have the recorded content digest")
    return ticket, document


@contextlib.contextmanager
def _fitting(folder):
    """What does not fit together is a StateError; hashes can be made anew for a document that was made up."""
    try:
        yield
    except files.Damaged:
        raise
    except _MADE_UP as error:
        said = reason(error)
        if isinstance(error, MemoryError):
            said = "it takes more memory than there is"
        elif isinstance(error, KeyError):
            said = f"it lacks {said}"
        raise StateError(f"{folder} describes no network of this program ({said}); restore the ticket") from None


def _check_files(folder, document):
    """Every file has its hash, and there is no other, nor a link to a folder."""
    for name in document["files"]:
        if name != ARRAYS:  # which is hashed when it is read
            files.check_hash(folder, name, document)
    linked = next(_linked_folders(folder), None)
    if linked:
        raise StateError(f"{linked} is a link to a folder, which a ticket does not have; put the folder there instead")
    extra = sorted(set(files_below(folder)) - set(document["files"]))
    if extra:
        raise StateError(f"{os.path.join(folder, extra[0])} is not part of the ticket; remove it")
    labels = "".join(f"{label}\n" for label in document["data"]["labels"]).encode("utf-8")
    if LABELS in document["files"] and files.checked_contents(folder, LABELS, document, len(labels)) != labels:
        raise StateError(f"{os.path.join(folder, LABELS)} lists other classes than {DOCUMENT}; restore the ticket")


def _linked_folders(folder):
    for path, folders, _ in os.walk(folder):
        yield from (os.path.join(path, name) for name in folders if os.path.islink(os.path.join(path, name)))


def _read(folder, document, networks):
    """The Ticket of each member of a document, from the bytes that were hashed."""
    path, members = os.path.join(folder, ARRAYS), files.members(document)
    masked = sum(layer["total"] for _, member in members for layer in member["layers"])
    weights = 4 * (sum(network.trainable_parameters() for network in networks) + masked)
    data = files.checked_contents(folder, ARRAYS, document, 4 * weights + len(members) * (1 << 24))
    with npz.Arrays(path, data) as archive:
        wanted = [
            claims.arrays(member, network, npz.Part(archive, prefix))
            for (prefix, member), network in zip(members, networks)
        ]
        named = {prefix + name: spec for (prefix, _), arrays in zip(members, wanted) for name, spec in arrays.items()}
        odd = sorted(set(archive.names()) ^ set(named))
        if odd:
            raise ValueError(f"{odd[0]} is missing from {ARRAYS}, or is no part of it")
        kept = archive.keep(named)
        return [
            from_document(member, {name: kept[prefix + name] for name in arrays})
            for (prefix, member), arrays in zip(members, wanted)
        ]


def _with_ids(tickets, folder, document):
    """The ticket, or the Ensemble of several, with the ids of its training images; earlier versions wrote none."""
    recorded = tickets[0].ids_digest if len(tickets) == 1 else document["ids_digest"]
    if IMAGES not in document["files"]:
        return tickets[0] if len(tickets) == 1 else Ensemble(tickets, folder=folder)
    path = os.path.join(folder, IMAGES)
    try:
        text = files.checked_contents(folder, IMAGES, document, _MOST_IDS).decode("utf-8")
        ids = tuple(text.removesuffix("\n").split("\n"))
    except UnicodeDecodeError:
        raise StateError(f"{path} is not UTF-8 text; restore it") from None
    if ids_digest(ids) != recorded:
        raise StateError(f"{path} lists other images than {DOCUMENT} records; restore the ticket")
    return dataclasses.replace(tickets[0], ids=ids) if len(tickets) == 1 else Ensemble(tickets, ids, folder)


def verify(folder: str) -> str:
    """Checks a ticket folder, as `checked`, and that the runtime can execute its program.

    Returns:
      A text that says what was checked.
    """
    ticket, document = checked(folder)
    members = [member for _, member in files.members(document)]
    if all(member.get("program") is not None for member in members):
        with _as_ours():
            runtime.load(folder)
    joined = f"an ensemble of {len(members)} tickets, " if len(members) > 1 else ""
    masks = sum(len(member["layers"]) for member in members)
    calibrated = "" if ticket.calibration is None else f"; temperature {ticket.temperature:.4g}"
    images = "" if ticket.ids is None else f"; {len(ticket.ids):,} training images are listed"
    return (
        f"{folder}: {len(document['files'])} files and {DOCUMENT} have their hashes; {joined}{masks} masks keep "
        f"{_total(members, 'weights_left'):,} of {_total(members, 'weights_total'):,} weights, density "
        f"{100 * ticket.density:.2f} %{calibrated}{images}"
    )


def _total(members, name):
    return sum(member[name] for member in members)


def files_below(folder: str) -> list[str]:
    """Relative paths of all files below a folder, parted by slashes, sorted, ticket.json left out."""
    paths = []
    for path, _, names in os.walk(folder):
        paths += [os.path.relpath(os.path.join(path, name), folder).replace(os.sep, "/") for name in names]
    return sorted(name for name in paths if name != DOCUMENT)


def _check_numbers(ticket):
    for part, arrays in (("trained", ticket.trained), ("rewound", ticket.rewound)):
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise StateError(f"{ARRAYS}: {part} {name} holds numbers that are not finite")
