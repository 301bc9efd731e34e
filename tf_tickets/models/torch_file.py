"""Tensors in files of torch.save, read without PyTorch and without executing anything.

Both formats are read: the zip archive (PyTorch 1.6 and later), and the one before, pickles followed by the bytes of all
storages.
"""

import io
import os
import typing
import zipfile

import numpy as np

from tf_tickets.models.torch_pickle import BFLOAT16, Machine, Tensor
from tf_tickets.runtime import files

# What a pickle of protocol 2 and later begins with.
_PICKLE = b"\x80"
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class File:
    """The tensors of an open file, each read when asked for by name.

    Attributes:
      tensors: dict from names to Tensors; a `state_dict` inside is unwrapped.
    """

    def __init__(self, file: typing.BinaryIO):
        """Reads names, shapes and places; ValueError for all but a dict that holds tensors, numbers and text."""
        self._size, self._room = os.fstat(file.fileno()).st_size, files.MOST_BYTES
        self._read: dict[str, np.ndarray] = {}
        content, self._bytes_of = (_archive if file.read(2) == b"PK" else _stream)(file, self._size)
        if isinstance(content, dict):
            content = content.get("state_dict", content)
        if not isinstance(content, dict):
            raise ValueError("it holds no dict of tensors: save its state_dict")
        self.tensors = {name: part for name, part in content.items() if isinstance(part, Tensor)}
        if not all(isinstance(name, str) for name in self.tensors):
            raise ValueError("its tensors have no names: save its state_dict")

    def __getitem__(self, name: str) -> np.ndarray:
        """The array, a view of its storage, which is read once; ValueError where the file holds less than it says."""
        tensor = self.tensors[name]
        numbers = self._numbers(tensor.storage)
        strides = [stride * numbers.itemsize for stride in tensor.strides]
        array = np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides, writeable=False)
        if tensor.storage.kind != BFLOAT16:
            return array
        return np.asarray(array.astype("<u4") << 16, "<u4").view("<f4")

    def _numbers(self, storage):
        if storage.key not in self._read:
            self._room -= storage.size
            if storage.size > self._size or self._room < 0:
                raise ValueError(f"storage {storage.key} would have {storage.size:,} bytes")
            data = self._bytes_of(storage)
            if len(data) < storage.size:
                raise ValueError(f"storage {storage.key} is cut off")
            self._read[storage.key] = np.frombuffer(data, storage.stored, storage.count)
        return self._read[storage.key]


def _archive(file, _):
    """The zip format: (content, function Storage -> its bytes)."""
    archive = zipfile.ZipFile(file)
    members = {member.filename: member for member in archive.infolist()}
    pickles = [name for name in members if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError("it is a zip archive without a data.pkl: not of torch.save")

    def contents(name, most):
        member = members.get(pickles[0].removesuffix("data.pkl") + name)
        # torch.save packs nothing, and what is not packed has no more bytes than the file.
        if member is None or member.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"its {name} is {'missing' if member is None else 'packed, as torch.save does not'}")
        if member.file_size > most:
            raise ValueError(f"its {name} has {member.file_size:,} bytes, more than {most:,}")
        with archive.open(member) as opened:
            return opened.read()

    if f"{pickles[0].removesuffix('data.pkl')}byteorder" in members and contents("byteorder", 16) != b"little":
        raise ValueError("it was written on a big-endian machine: write it again on another")
    content = Machine().run(io.BytesIO(contents("data.pkl", files.MOST_TEXT)))
    return content, lambda storage: contents(f"data/{storage.key}", files.MOST_BYTES)


def _stream(file, size):
    """The format before: (content, function Storage -> its bytes)."""
    file.seek(0)
    pickles, machine = io.BytesIO(file.read(files.MOST_TEXT)), Machine()
    if pickles.getvalue()[:1] != _PICKLE:
        raise ValueError("it is no file of torch.save")
    if machine.run(pickles) != _MAGIC or machine.run(pickles) != _PROTOCOL:
        raise ValueError("it is no file of torch.save")
    system = machine.run(pickles)
    if not isinstance(system, dict) or system.get("little_endian") is False:
        raise ValueError("it was written on a big-endian machine: write it again on another")
    content, keys, places = machine.run(pickles), machine.run(pickles), {}
    place = pickles.tell()
    for key in keys if isinstance(keys, list) else ():
        storage = machine.storages.get(key) if isinstance(key, str) else None
        if storage is None:
            raise ValueError("it lists a storage of no tensor's")
        file.seek(place)
        if file.read(8) != storage.count.to_bytes(8, "little"):
            raise ValueError(f"storage {key} is cut off, or of another length than it should be")
        places[key] = place + 8
        place += 8 + storage.size
    if place > size:
        raise ValueError("it is cut off")

    def contents(storage):
        if storage.key not in places:
            raise ValueError(f"storage {storage.key} is missing")
        file.seek(places[storage.key])
        return file.read(storage.size)

    return content, contents
