"""Reading a ticket folder or runtime.npz: each file's bytes once, their hash, then arrays and JSON alone.

Nothing in them is executed, and nothing is unpacked before its shape and type have been compared with what is expected.
"""

import contextlib
import hashlib
import io
import json
import math
import os
import pathlib
import stat
import typing
import zipfile
import zlib

import numpy as np

DOCUMENT, ARRAYS, PROGRAM = "ticket.json", "ticket.npz", "program"
# Of format 3 the networks stand in a list, so that versions which know no temperature find none to execute.
FORMATS, MOST_MEMBERS = (1, 2, 3), 100
# Larger than any network here; what a hostile archive claims to unpack to is compared with it before it is unpacked.
MOST_BYTES = 1 << 32
# Of a document; that of the largest network here has 200 thousand.
MOST_TEXT = 1 << 24
# What numpy and zipfile raise for sizes, encryption and compression that no ticket has.
_STRANGE = (MemoryError, OverflowError, RuntimeError, SyntaxError, TypeError)
_ENCRYPTED, _METHODS = 1, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_CHANGED = "{} does not have its recorded hash: it was changed or damaged; restore it"
_KINDS = {"f": np.dtype(np.float32), "u": np.dtype(np.uint8)}


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
        raise Damaged(f"{path} cannot be read: {_reason(error)}; restore it") from None
    if data is None or len(data) > most:
        raise Damaged(f"{path} has {facts.st_size:,} bytes, more than the {most:,} that it can have; restore it")
    return data


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
        raise NotATicket(f"{folder} is no ticket: it has no {DOCUMENT}; give a ticket folder")
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
        raise Damaged(f"{path} is damaged: {_reason(error)}; restore it") from None
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


def room(wanted: dict[str, tuple]) -> int:
    """The bytes that an archive of such arrays, and of as many again, can have; `wanted` as `Arrays.keep` takes it."""
    plain = sum(math.prod(shape) * _KINDS[kind].itemsize + 1024 for shape, kind in wanted.values())
    return 2 * plain + plain // 100 + (1 << 16)


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


class Arrays:
    """The arrays of an npz archive, each unpacked when asked for, without pickle; a context that closes the file.

    Args:
      path: of the file.
      data: its bytes, where they have been read before; they are not read again.
    """

    def __init__(self, path, data=None):
        self.path = path
        try:
            self._archive = zipfile.ZipFile(path if data is None else io.BytesIO(data))
            members = self._archive.infolist()
            size = sum(member.file_size for member in members)
            if size > MOST_BYTES:
                raise ValueError(f"its members unpack to {size:,} bytes")
            if any(m.flag_bits & _ENCRYPTED or m.compress_type not in _METHODS for m in members):
                raise ValueError("it is encrypted, or packed in a way that no npz is")
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, *_STRANGE) as error:
            raise Damaged(f"{path} is damaged: {_reason(error)}; restore it") from None
        # As numpy has them: the last of a name counts.
        self._members = {member.filename.removesuffix(".npy"): member for member in members}
        self._kept = {}

    def __enter__(self):
        """Nothing more than itself."""
        return self

    def __exit__(self, *error):
        """Closes the file."""
        self._archive.close()

    def __contains__(self, name):
        """Whether an array has this name."""
        return name in self._members

    def names(self) -> list[str]:
        """The names of all arrays, in the archive's order."""
        return list(self._members)

    def all(self) -> dict[str, np.ndarray]:
        """All arrays by name, whatever their shapes and types."""
        return {name: self._array(name) for name in self._members}

    def keep(self, wanted: dict[str, tuple]) -> dict[str, np.ndarray]:
        """Reads arrays into memory, for `get`; returns them by name.

        Args:
          wanted: dict from name to (shape, kind), as `get` takes them.
        """
        self._kept = {name: self.get(name, *expected) for name, expected in wanted.items()}
        return self._kept

    def header(self, name: str) -> tuple[tuple, np.dtype]:
        """(shape, dtype) that an array claims to have; nothing but its header is read."""
        with self._opened(name) as file:
            shape, _, dtype = _header(file)
        return shape, dtype

    @contextlib.contextmanager
    def _opened(self, name):
        try:
            with self._archive.open(self._members[name]) as file:
                yield file
        except (KeyError, ValueError, EOFError, OSError, zlib.error, zipfile.BadZipFile, *_STRANGE) as error:
            reason = "it is missing" if name not in self._members else _reason(error)
            raise Damaged(f"{self.path}: {name} cannot be read ({reason}); restore it") from None

    def _array(self, name):
        shape, dtype = self.header(name)
        size, room = math.prod(shape) * dtype.itemsize, self._members[name].file_size
        if size > room:
            raise Damaged(f"{self.path}: {name} claims {size:,} bytes and has {room:,}; restore it")
        with self._opened(name) as file:
            return np.lib.format.read_array(file, allow_pickle=False)

    def get(self, name: str, shape: tuple | None = None, kind: str = "f") -> np.ndarray:
        """One array; its shape and type are compared before it is unpacked.

        Args:
          name: its name.
          shape: what it must have; None for one dimension of any length.
          kind: of its dtype: f for float32, u for uint8.

        Raises:
          Damaged: it is missing or of another shape or type.
        """
        claimed, dtype = self.header(name)
        fits = len(claimed) == 1 if shape is None else claimed == tuple(shape)
        if not fits or dtype != _KINDS[kind]:
            raise Damaged(f"{self.path}: {name} is {dtype}{list(claimed)}; restore it")
        return self._kept[name] if name in self._kept else self._array(name)


class Part:
    """The arrays of one member: those whose names begin with its prefix, which it leaves out."""

    def __init__(self, arrays, prefix):
        """`arrays` is an Arrays."""
        self._arrays, self._prefix = arrays, prefix

    def names(self) -> list[str]:
        """As Arrays.names."""
        start = len(self._prefix)
        return [name[start:] for name in self._arrays.names() if name.startswith(self._prefix)]

    def header(self, name: str) -> tuple[tuple, np.dtype]:
        """As Arrays.header."""
        return self._arrays.header(self._prefix + name)

    def get(self, name: str, shape: tuple | None = None, kind: str = "f") -> np.ndarray:
        """As Arrays.get."""
        return self._arrays.get(self._prefix + name, shape, kind)


def _header(file):
    """(shape, whether in Fortran's order, dtype) at the start of an npy file."""
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"its format is {version}")
    return readers[version](file)


def _reason(error):
    """As errors.reason, which stands outside of this room."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}..."
