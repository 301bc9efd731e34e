"""The labels in TFDS' record files, without TensorFlow and without reading the images between them.

A TFRecord file is a row of records: the length in eight bytes, its checksum in four, the bytes, their checksum in
four. A record is a tf.train.Example in the encoding of protocol buffers, whose parts have their lengths before them.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator

from tf_tickets.lazy_modules import np

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
# Numbers of the parts of an Example, its Features, a feature in them by name, and its Int64List.
_FEATURES, _ENTRY, _NAME, _VALUE, _WHOLE_NUMBERS, _NUMBERS = 1, 1, 1, 2, 3, 1


def read(path: str, name: str = "label") -> np.ndarray:
    """The whole number that each record has under a name: int64 [n], in the file's order.

    Raises:
      OSError: the file cannot be read.
      ValueError: it ends early, or is no file of such records.
    """
    numbers = []
    with open(path, "rb") as file:
        if not (size := os.fstat(file.fileno()).st_size):
            return np.zeros(0, np.int64)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            start = 0
            while start < size:
                if start + 16 > size or start + 16 + (length := struct.unpack_from("<Q", data, start)[0]) > size:
                    raise ValueError(f"{os.path.basename(path)} ends within a record")
                numbers.append(_number(data, start + 12, start + 12 + length, name.encode()))
                start += length + 16
    return np.array(numbers, np.int64)


def _number(data, start, end, name):
    for features in _inside(data, start, end, _FEATURES):
        for entry in _inside(data, *features, _ENTRY):
            if any(data[slice(*key)] == name for key in _inside(data, *entry, _NAME)):
                for value in _inside(data, *entry, _VALUE):
                    for numbers in _inside(data, *value, _WHOLE_NUMBERS):
                        for first, _ in _inside(data, *numbers, _NUMBERS):
                            number = _varint(data, first, end)[0]
                            return number - (1 << 64) * (number >> 63)  # -1 is written as 2^64 - 1
    raise ValueError(f"a record has no whole number '{name.decode()}'")


def _inside(data, start, end, wanted) -> Iterator[tuple[int, int]]:
    """(first byte, end) of the parts of a message that have a number."""
    while start < end:
        key, start = _varint(data, start, end)
        kind, size = key & 7, {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}.get(key & 7)
        if kind == _LENGTH:
            size, start = _varint(data, start, end)
        elif kind == _VARINT:
            size = _varint(data, start, end)[1] - start
        if size is None or start + size > end:
            raise ValueError("a record is no tf.train.Example")
        if key >> 3 == wanted:
            yield start, start + size
        start += size


def _varint(data, start, end):
    """(the number, where it ends): seven bits a byte, the lowest first."""
    number = 0
    for index, byte in enumerate(data[start : min(start + 10, end)]):
        number |= (byte & 127) << 7 * index
        if byte < 128:
            return number, start + index + 1
    raise ValueError("a record is no tf.train.Example")
