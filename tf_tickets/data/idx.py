"""The idx files of MNIST and Fashion-MNIST."""

import math
import struct

import numpy as np

from tf_tickets.data import archives

NAMES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def read(path, data_set):
    """Reads both splits.

    Args:
      path: a folder or archive with the four files, plain or gzipped; see `archives.read`.
      data_set: the catalog.DataSet.

    Returns:
      {"train": (images, labels), "test": (images, labels)}, uint8 [n, height, width, 1] and int64 [n].

    Raises:
      archives.Problem: a file is missing, damaged, or not of this data set.
    """
    members = archives.read(path, [name for names in NAMES.values() for name in names])
    found = {}
    for split, (images, labels) in NAMES.items():
        counts = data_set.train_counts if split == "train" else data_set.test_counts
        pixels = _array(members[images], images, 3)[..., np.newaxis]
        numbers = _array(members[labels], labels, 1).astype(np.int64)
        if pixels.shape[1:] != data_set.image_shape or len(pixels) != len(numbers):
            raise archives.Problem(f"{images} holds {list(pixels.shape)} for {len(numbers)} labels")
        if numbers.max(initial=0) >= data_set.classes or tuple(np.bincount(numbers)) != counts:
            raise archives.Problem(f"{labels} is not that of {data_set.name}: the images per class differ")
        found[split] = pixels, numbers
    return found


def _array(data, name, rank):
    header = struct.Struct(f">BBBB{rank}I")
    if len(data) < header.size:
        raise archives.Problem(f"{name} is cut short")
    zero, nought, kind, given, *shape = header.unpack_from(data)
    if (zero, nought, kind, given) != (0, 0, 8, rank) or len(data) != header.size + math.prod(shape):
        raise archives.Problem(f"{name} is no idx file of bytes with {rank} dimensions, or cut short")
    return np.frombuffer(data, np.uint8, offset=header.size).reshape(shape)
