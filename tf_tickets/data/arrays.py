"""CIFAR-10.2's npz files."""

from __future__ import annotations

import io

from tf_tickets.data import archives, cifar
from tf_tickets.data.catalog import DataSet
from tf_tickets.data.tfds_folders import BuiltArrays
from tf_tickets.lazy_modules import np
from tf_tickets.registry import DATASETS

NAMES = {"train": "cifar102_train.npz", "test": "cifar102_test.npz"}


def read(path: str, data_set: DataSet) -> dict:
    """Reads both splits.

    Args:
      path: a folder or archive with the two files; see `archives.read`.

    Returns:
      {"train": (images, labels), "test": (images, labels)}, uint8 [n, height, width, channels] and int64 [n].

    Raises:
      archives.Problem: a file is missing, damaged, or not of this data set.
    """
    members, splits = archives.read(path, list(NAMES.values())), {}
    for split, name in NAMES.items():
        counts = data_set.train_counts if split == "train" else data_set.test_counts
        images, labels = _arrays(name, members[name])
        if images.dtype != np.uint8 or images.shape[1:] != data_set.image_shape or labels.shape != images.shape[:1]:
            raise archives.Problem(f"{name} holds {images.dtype}{list(images.shape)} for {labels.size} labels")
        if labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
            raise archives.Problem(f"{name} holds labels that are not whole numbers from 0")
        if tuple(np.bincount(labels, minlength=data_set.classes)) != counts:
            raise archives.Problem(f"{name} is not that of {data_set.name}: the images per class differ")
        splits[split] = images, labels.astype(np.int64)
    return splits


def _arrays(name, data):
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            archives.check_size(name, sum(member.file_size for member in archive.infolist()))
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return archive["images"], archive["labels"]
    except archives.Problem:
        raise
    except Exception as error:  # bytes that are no npz end in a dozen kinds, from zlib's to the parser's of headers
        raise archives.Problem(f"{name} is damaged, or has no 'images' and 'labels' ({error})") from None


@DATASETS.register("cifar10_2")
class Cifar102(BuiltArrays):
    """CIFAR-10.2: 12,000 newer images of CIFAR-10's classes (Lu et al. 2020)."""

    facts = DataSet(
        "cifar10_2", cifar.CLASSES, (1000,) * 10, (200,) * 10,
        image_shape=(32, 32, 3), mean=cifar.MEAN, deviation=cifar.DEVIATION, flip=True, stem="small",
    )  # fmt: skip
    accepted = "a folder, tar or zip with cifar102_train.npz and cifar102_test.npz"

    def read(self, path: str) -> dict:
        """The two files."""
        return read(path, self.facts)
