"""The python batches of ciFAIR-10, read by an unpickler that admits arrays, lists, text and numbers alone."""

from __future__ import annotations

import io
import pickle
import pickletools

from tf_tickets.data import archives, cifar
from tf_tickets.data.catalog import DataSet
from tf_tickets.data.tfds_folders import BuiltArrays
from tf_tickets.lazy_modules import np
from tf_tickets.registry import DATASETS

NAMES = (*(f"data_batch_{index}" for index in range(1, 6)), "test_batch")

# What a pickled array is made of; everything else a pickle could name stays unknown.
_ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"), ("numpy", "ndarray"),
    ("numpy", "dtype"), ("_codecs", "encode"),
}  # fmt: skip


class _Reader(pickle.Unpickler):
    def find_class(self, module, name):
        """Admits what arrays are made of."""
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"names {module}.{name}")
        return super().find_class(module, name)


def loads(data: bytes) -> dict:
    """The dict of one batch, with text keys; archives.Problem if it holds anything but plain data."""
    try:
        # The unpickler makes room for as many objects as an index claims.
        for operation, index, _ in pickletools.genops(data):
            if operation.name.endswith("PUT") and int(index or 0) > len(data):
                raise pickle.UnpicklingError(f"numbers an object {index}")
        content = _Reader(io.BytesIO(data), encoding="latin1").load()
    except Exception as error:  # a damaged pickle raises errors of many types
        raise archives.Problem(f"holds a batch that is not plain data ({error})") from None
    if not isinstance(content, dict):
        raise archives.Problem("holds a batch that is no dictionary")
    return {key.decode("latin1") if isinstance(key, bytes) else key: value for key, value in content.items()}


def read(path: str, data_set: DataSet) -> dict:
    """Reads the five training batches and the test batch.

    Args:
      path: a folder or archive, see `archives.read`.

    Returns:
      {"train": (images, labels), "test": (images, labels)}, uint8 [n, height, width, channels] and int64 [n].

    Raises:
      archives.Problem: a batch is missing, damaged, or not of this data set.
    """
    members = archives.read(path, NAMES)
    parts = [_arrays(name, loads(members[name]), data_set) for name in NAMES]
    splits = {
        "train": tuple(np.concatenate(column) for column in zip(*parts[:5])),
        "test": parts[5],
    }
    for split, counts in (("train", data_set.train_counts), ("test", data_set.test_counts)):
        if tuple(np.bincount(splits[split][1], minlength=data_set.classes)) != counts:
            raise archives.Problem(f"its {split} labels are not those of {data_set.name}: the images per class differ")
    return splits


def _arrays(name, batch, data_set):
    pixels, labels = batch.get("data"), batch.get("labels", batch.get("fine_labels"))
    height, width, channels = data_set.image_shape
    most = height * width * channels * sum(data_set.train_counts)
    whole = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.size <= most
    if not whole or pixels.size % (height * width * channels):
        raise archives.Problem(f"{name} holds no uint8 images under 'data'")
    images = pixels.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
    if isinstance(labels, np.ndarray):
        plain = labels.ndim == 1 and labels.dtype.kind in "iu"
    else:  # a list can hold itself, many times over
        plain = isinstance(labels, list) and all(type(label) is int and 0 <= label < 256 for label in labels)
    labels = np.array(labels if plain and len(labels) == len(images) else [], np.int64)
    if labels.shape != (len(images),) or labels.min() < 0 or labels.max() >= data_set.classes:
        raise archives.Problem(f"{name} holds no label from 0 to {data_set.classes - 1} for each of its images")
    return images, labels


@DATASETS.register("cifair10")
class Cifair10(BuiltArrays):
    """CIFAR-10 without the test images that nearly repeat training images (Barz & Denzler 2020)."""

    facts = DataSet(
        "cifair10", cifar.CLASSES, (5000,) * 10, (1000,) * 10,
        image_shape=(32, 32, 3), mean=cifar.MEAN, deviation=cifar.DEVIATION, flip=True, stem="small",
    )  # fmt: skip
    accepted = "ciFAIR-10.zip, or a folder or tar of its python batches"

    def read(self, path: str) -> dict:
        """The batches."""
        return read(path, self.facts)
