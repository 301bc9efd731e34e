"""Reading a ticket folder or runtime.npz: each file's bytes once, their hash, then arrays and JSON alone.

Nothing in them is executed, and nothing is unpacked before its shape and type have been compared with what is expected.
"""

import glob
import hashlib
import json
import os
import pathlib
import stat
import typing

import numpy as np

DOCUMENT, ARRAYS, PROGRAM = "ticket.json", "ticket.npz", "program"
# Of format 3 the networks stand in a list, so that versions which know no temperature find none to execute.
FORMATS, MOST_MEMBERS = (1, 2, 3), 100
# Larger than any network here; what a hostile archive claims to unpack to is compared with it before it is unpacked.
MOST_BYTES = 1 << 32
# Of a document; that of the largest network here has 200 thousand.
MOST_TEXT = 1 << 24
_CHANGED = "{} does not have its recorded hash: it was changed or damaged; restore it"


class NotATicket(ValueError):
    """The path is no ticket folder and no runtime.npz."""


class Damaged(ValueError):
    """A file has another hash than recorded, or does not hold what it should."""


def canonical(value: object) -> bytes:
    """Canonical JSON bytes, over which documents are hashed: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("utf-8")


def digest(path: str) -> str:
    """SHA-256 of a file, hexadecimal."""
    hashed = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            hashed.update(block)
    return hashed.hexdigest()


def contents(path: str, most: int) -> bytes:
    """The bytes of a regular file, read once.

    Args:
      path: of the file, or a link to it.
      most: the number of bytes that it may have.

    Raises:
      Damaged: it cannot be read, is no regular file, or has more.
    """
    try:
        # A pipe without a writer would keep who opens it waiting.
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise Damaged(f"{path} is no regular file; restore it")
            data = file.read(facts.st_size + 1) if facts.st_size <= most else None
    except (OSError, ValueError, MemoryError) as error:
        if isinstance(error, Damaged):
            raise
        raise Damaged(f"{path} cannot be read: {reason(error)}; restore it") from None
    if data is None or len(data) > most:
        raise Damaged(f"{path} has {facts.st_size:,} bytes, more than the {most:,} that it can have; restore it")
    return data


def instead(path: str, wanted: str = "a ticket folder") -> str:
    """What to give in place of a path that is no ticket, as the end of a message: the ticket in it, if there is one.

    Args:
      path: a file or folder, such as a run's or one above several runs.
      wanted: what is asked for where no ticket is near.
    """
    if os.path.isfile(path):
        folder = os.path.dirname(path) or "."
        return f"give the folder, {folder}" if os.path.isfile(os.path.join(folder, DOCUMENT)) else f"give {wanted}"
    # A run has its ticket one folder below, a recipe's folder two, and the folder of all runs three.
    for level in range(1, 4):
        pattern = os.path.join(glob.escape(path), *["*"] * (level - 1), "ticket", DOCUMENT)
        tickets = sorted(map(os.path.dirname, glob.glob(pattern)))
        if tickets:
            alone = "give its ticket," if len(tickets) == 1 else f"give one of its {len(tickets):,} tickets, such as"
            return f"{alone} {tickets[0]}"
    return f"give {wanted}"


def document(folder: str) -> tuple[dict, bytes]:
    """Reads ticket.json and checks the hash that it holds of itself.

    Returns:
      (document, data): the JSON object as a dict, and the bytes that it was read from.

    Raises:
      NotATicket: the folder has none.
      Damaged: it is no JSON object of a ticket, or has another hash.
    """
    path = os.path.join(folder, DOCUMENT)
    if not os.path.isfile(path):
        raise NotATicket(f"{folder} is no ticket: it has no {DOCUMENT}; {instead(folder)}")
    data = contents(path, MOST_TEXT)
    content = parsed(data, path)
    if not isinstance(content.get("files"), dict):
        raise Damaged(f"{path} is no ticket's document; restore it")
    return content, data


def parsed(data: bytes, path: str) -> dict:
    """The JSON object in a document's bytes, whose own hash it has; Damaged names `path`."""
    try:
        content = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError, MemoryError) as error:
        raise Damaged(f"{path} is damaged: {reason(error)}; restore it") from None
    if not isinstance(content, dict):
        raise Damaged(f"{path} holds no document; restore it")
    check_self(content, path)
    return content


def check_self(content: dict, path: str) -> None:
    """Damaged unless a document has the `self_sha256` of its other fields, and text that can be written."""
    body = {name: value for name, value in content.items() if name != "self_sha256"}
    try:
        fits = hashlib.sha256(canonical(body)).hexdigest() == content.get("self_sha256")
        json.dumps(body, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):  # numbers that are not finite, halves of characters
        fits = False
    if not fits:
        raise Damaged(_CHANGED.format(path))


def check_format(content: dict, path: str) -> None:
    """Damaged unless a document is of a format that this version reads."""
    if type(content.get("format")) is not int or content["format"] not in FORMATS:
        made = f"{content.get('format')!r}"[:40]
        raise Damaged(f"{path} has format {made}, not one of {FORMATS}: another version made it")


def members(content: dict) -> list[tuple[str, dict[str, typing.Any]]]:
    """The networks of a ticket's document.

    Args:
      content: a document of one of FORMATS.

    Returns:
      List of (prefix, facts): what the names of its arrays begin with, and its part of the document, with the `data`
      that all share. Before format 3 the only one is the document itself, and its arrays have no prefix.

    Raises:
      Damaged: of format 3 it lists none or more than MOST_MEMBERS; before, it has what only format 3 has.
    """
    listed = content.get("members")
    if content["format"] < 3:
        if listed is not None or content.get("calibration") is not None:
            raise Damaged(
                f"the ticket's document has members or a calibration, which no format {content['format']} has"
            )
        return [("", content)]
    if not isinstance(listed, list) or not 1 <= len(listed) <= MOST_MEMBERS or not all(type(m) is dict for m in listed):
        count = f"{len(listed):,}" if isinstance(listed, list) else "no list of"
        raise Damaged(f"the ticket's document has {count} members, not 1 to {MOST_MEMBERS}; restore it")
    if any("members" in member or "data" in member for member in listed):
        raise Damaged("the ticket's document has a member with members or data of its own, which none has; restore it")
    return [(prefix(index), {**member, "data": content.get("data")}) for index, member in enumerate(listed)]


def prefix(index: int) -> str:
    """What the names of the arrays of a member begin with, from format 3 on."""
    return f"member_{index:02d}/"


def recorded(folder: str, name: str, content: dict) -> tuple[str, str | None]:
    """(path, hash) of a file of a ticket, as the document records it; Damaged where it lies elsewhere."""
    parts = pathlib.PureWindowsPath(name)  # which knows both slashes: a document is read on any system
    if parts.drive or parts.root or ".." in parts.parts:
        raise Damaged(f"{folder}: ticket.json names a file outside the ticket, {name!r}; restore it")
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        raise Damaged(f"{path} is missing from the ticket; restore it")
    return path, content["files"].get(name)


def check_hash(folder: str, name: str, content: dict) -> None:
    """Damaged unless a file is there with the hash that the document records."""
    path, wanted = recorded(folder, name, content)
    if digest(path) != wanted:
        raise Damaged(_CHANGED.format(path))


def checked_contents(folder: str, name: str, content: dict, most: int) -> bytes:
    """A file's bytes, which have the hash that the document records; Damaged where they do not, or are too many."""
    path, wanted = recorded(folder, name, content)
    data = contents(path, most)
    if hashlib.sha256(data).hexdigest() != wanted:
        raise Damaged(_CHANGED.format(path))
    return data


def digest_of(arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 over names, types, shapes and bytes of a dict of arrays, hexadecimal."""
    return hash_of(arrays).hexdigest()


def hash_of(arrays: dict[str, np.ndarray]) -> typing.Any:
    """The same as a hashlib object, to which more can be added."""
    hashed = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        hashed.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed


def reason(error: BaseException) -> str:
    """As errors.reason, which stands outside of this room."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}..."
