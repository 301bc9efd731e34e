"""The arrays of an npz archive, read without pickle: what it claims is compared before anything is unpacked."""

import contextlib
import io
import math
import zipfile
import zlib

import numpy as np

from tf_tickets.runtime import files
from tf_tickets.runtime.files import Damaged, reason

# What numpy and zipfile raise for sizes, encryption and compression that no ticket has.
_STRANGE = (MemoryError, OverflowError, RuntimeError, SyntaxError, TypeError)
_ENCRYPTED, _METHODS = 1, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_KINDS = {"f": np.dtype(np.float32), "u": np.dtype(np.uint8)}


def room(wanted: dict[str, tuple]) -> int:
    """The bytes that an archive of such arrays, and of as many again, can have; `wanted` as `Arrays.keep` takes it."""
    plain = sum(math.prod(shape) * _KINDS[kind].itemsize + 1024 for shape, kind in wanted.values())
    return 2 * plain + plain // 100 + (1 << 16)


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
            if size > files.MOST_BYTES:
                raise ValueError(f"its members unpack to {size:,} bytes")
            if any(m.flag_bits & _ENCRYPTED or m.compress_type not in _METHODS for m in members):
                raise ValueError("it is encrypted, or packed in a way that no npz is")
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, *_STRANGE) as error:
            raise Damaged(f"{path} is damaged: {reason(error)}; restore it") from None
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
            problem = "it is missing" if name not in self._members else reason(error)
            raise Damaged(f"{self.path}: {name} cannot be read ({problem}); restore it") from None

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
