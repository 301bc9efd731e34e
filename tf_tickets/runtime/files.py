"""Reading a ticket folder or runtime.npz: hashes first, then arrays and JSON alone; nothing in them is executed."""

import hashlib
import json
import os
import pathlib
import zipfile
import zlib

import numpy as np

DOCUMENT, ARRAYS, PROGRAM = "ticket.json", "ticket.npz", "program"
# Larger than any network here; what a hostile archive claims to unpack to is compared with it before it is unpacked.
MOST_BYTES = 1 << 32
# What numpy and zipfile raise for sizes, encryption and compression that no ticket has.
_STRANGE = (MemoryError, OverflowError, RuntimeError)


class NotATicket(ValueError):
    """The path is no ticket folder and no runtime.npz."""


class Damaged(ValueError):
    """A file has another hash than recorded, or does not hold what it should."""


def canonical(value):
    """Canonical JSON bytes, over which documents are hashed: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("utf-8")


def digest(path):
    """SHA-256 of a file, hexadecimal."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def document(folder):
    """Reads ticket.json and checks the hash that it holds of itself.

    Raises:
      NotATicket: the folder has none.
      Damaged: it is no JSON object of a ticket, or has another hash.
    """
    path = os.path.join(folder, DOCUMENT)
    if not os.path.isfile(path):
        raise NotATicket(f"{folder} is no ticket: it has no {DOCUMENT}; give a ticket folder")
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise Damaged(f"{path} is damaged: {' '.join(str(error).split())[:200]}; restore it") from None
    if not isinstance(found, dict) or not isinstance(found.get("files"), dict):
        raise Damaged(f"{path} is no ticket's document; restore it")
    check_self(found, path)
    return found


def check_self(found, path):
    """Damaged unless a document has the `self_sha256` of its other fields."""
    body = {name: value for name, value in found.items() if name != "self_sha256"}
    try:
        fits = hashlib.sha256(canonical(body)).hexdigest() == found.get("self_sha256")
    except ValueError:  # numbers that are not finite
        fits = False
    if not fits:
        raise Damaged(f"{path} does not have its recorded hash: it was changed or damaged; restore it")


def check_hash(folder, name, found):
    """Damaged unless a file is there with the hash that the document records."""
    path = os.path.join(folder, name)
    parts = pathlib.PureWindowsPath(name)  # which knows both slashes: a document is read on any system
    if parts.drive or parts.root or ".." in parts.parts:
        raise Damaged(f"{folder}: ticket.json names a file outside the ticket, {name!r}; restore it")
    if not os.path.isfile(path):
        raise Damaged(f"{path} is missing from the ticket; restore it")
    if digest(path) != found["files"].get(name):
        raise Damaged(f"{path} does not have its recorded hash: it was changed or damaged; restore it")


def digest_of(arrays):
    """SHA-256 over names, types, shapes and bytes of a dict of arrays, hexadecimal."""
    return hash_of(arrays).hexdigest()


def hash_of(arrays):
    """The same as a hashlib object, to which more can be added."""
    found = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found


class Arrays:
    """The arrays of an npz archive, each unpacked when asked for, without pickle; a context that closes the file."""

    def __init__(self, path):
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:  # numpy reads other kinds of files too
                size = sum(member.file_size for member in archive.infolist())
            if size > MOST_BYTES:
                raise ValueError(f"its members unpack to {size:,} bytes")
            self._archive = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, *_STRANGE) as error:
            raise Damaged(f"{path} is damaged: {' '.join(str(error).split())[:200]}; restore it") from None

    def __enter__(self):
        """Nothing more than itself."""
        return self

    def __exit__(self, *error):
        """Closes the file."""
        self._archive.close()

    def __contains__(self, name):
        """Whether an array has this name."""
        return name in self._archive.files

    def digest(self, without):
        """SHA-256 over names, types, shapes and bytes of all arrays but one, hexadecimal."""
        return digest_of({name: array for name, array in self.all().items() if name != without})

    def all(self):
        """All arrays by name."""
        return {name: self._array(name) for name in self._archive.files}

    def _array(self, name):
        try:
            found = self._archive[name]
            if not isinstance(found, np.ndarray):
                raise ValueError("it is no array")
            return found
        except (KeyError, ValueError, EOFError, OSError, zlib.error, zipfile.BadZipFile, *_STRANGE) as error:
            reason = " ".join(str(error).split())[:200]
            raise Damaged(f"{self.path}: {name} cannot be read ({reason}); restore it") from None

    def get(self, name, shape=None, kind="f"):
        """One array.

        Args:
          name: its name.
          shape: what it must have; None for one dimension of any length.
          kind: of its dtype: f for float32, u for uint8.

        Raises:
          Damaged: it is missing or of another shape or type.
        """
        array = self._array(name)
        fits = array.ndim == 1 if shape is None else array.shape == tuple(shape)
        if not fits or array.dtype != {"f": np.float32, "u": np.uint8}[kind]:
            raise Damaged(f"{self.path}: {name} is {array.dtype}{list(array.shape)}; restore it")
        return array
