"""Test sets that others made: CIFAR-10-C, CIFAR-100-C, CIFAR-10.1, CIFAR-10.2, as their files or as TFDS prepares them.

CIFAR-10-C: Hendrycks and Dietterich 2019. CIFAR-10.1: Recht et al. 2018, version 6. CIFAR-10.2: Lu et al. 2020.
"""

import dataclasses
import glob
import os
import zipfile
from collections.abc import Callable

import numpy as np

from tf_tickets.data import arrays, pipeline, sources
from tf_tickets.data.catalog import DataSet
from tf_tickets.errors import StateError, reason

SEVERITIES = 5
STANDARD = (
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow",
    "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression",
)  # fmt: skip
ALL = (*STANDARD, "speckle_noise", "gaussian_blur", "spatter", "saturate")
CORRUPTED = {"cifar10": "CIFAR-10-C", "cifar100": "CIFAR-100-C"}
_TFDS_NAMES = {"glass_blur": "frosted_glass_blur", "elastic_transform": "elastic"}
_NEW_10_1 = ("cifar10.1_v6_data.npy", "cifar10.1_v6_labels.npy")
_NEW_10_2 = tuple(arrays.NAMES.values())


@dataclasses.dataclass(frozen=True)
class TestSet:
    """One set of test images.

    Attributes:
      setting: its name in rows, such as fog:3 or cifar10.1_v6.
      load: function () -> data.pipeline.Images.
    """

    __test__ = False  # no test of pytest's

    setting: str
    load: Callable[[], pipeline.Images]


def corrupted(data_set: DataSet, data_dir: str | None) -> list[TestSet]:
    """The official corrupted test sets that are there.

    Args:
      data_dir: see `sources.data_root`; its folder CIFAR-10-C (CIFAR-100-C) holds labels.npy and one file per
        corruption, five severities of the whole test set after one another. Else TFDS' cifar10_corrupted is taken.

    Returns:
      List of TestSet, five a corruption, named like gaussian_noise:1; empty where there are none.

    Raises:
      StateError: the folder has no labels.npy.
    """
    root = sources.data_root(data_dir)
    folder = os.path.join(root, CORRUPTED.get(data_set.name, ""))
    if data_set.name in CORRUPTED and os.path.isdir(folder):
        if not os.path.isfile(os.path.join(folder, "labels.npy")):
            raise StateError(f"{folder} has no labels.npy: restore it, or move the folder away")
        names = [name for name in ALL if os.path.isfile(os.path.join(folder, f"{name}.npy"))]
        return [
            TestSet(f"{name}:{severity}", lambda name=name, severity=severity: _official(
                data_set, folder, name, severity))
            for name in names for severity in range(1, SEVERITIES + 1)
        ]  # fmt: skip
    if data_set.name != "cifar10":
        return []
    pairs = [(name, severity) for name in ALL for severity in range(1, SEVERITIES + 1)]
    named = [(f"{n}:{s}", f"cifar10_corrupted/{_TFDS_NAMES.get(n, n)}_{s}") for n, s in pairs]
    return [
        TestSet(setting, lambda builder=builder: _from_tfds(data_set, data_dir, builder))
        for setting, builder in named
        if _is_prepared(root, builder)
    ]


def _official(data_set, folder, name, severity):
    count = sum(data_set.test_counts)
    path = os.path.join(folder, f"{name}.npy")
    images, labels = _array(path), _array(os.path.join(folder, "labels.npy"))
    if len(images) != SEVERITIES * count or len(labels) != SEVERITIES * count:
        raise StateError(
            f"{path} holds {len(images)} images for {len(labels)} labels, not {SEVERITIES} severities of {count}: "
            "fetch it again"
        )
    part = slice((severity - 1) * count, severity * count)
    return _checked(path, data_set, np.array(images[part]), labels[part])


def shifted(data_set: DataSet, data_dir: str | None) -> tuple[list[TestSet], list[str]]:
    """Newer test sets of CIFAR-10's classes.

    Args:
      data_dir: see `sources.data_root`; the files lie in it, or in its folders CIFAR-10.1 and CIFAR-10.2.

    Returns:
      (list of TestSet, list of lines that say what is missing).
    """
    if data_set.name != "cifar10":
        return [], [f"CIFAR-10.1 and CIFAR-10.2 are test sets of cifar10, not {data_set.name}"]
    root, sets, missing = sources.data_root(data_dir), [], []
    first = [_path(root, "CIFAR-10.1", name) for name in _NEW_10_1]
    if all(first):
        sets.append(TestSet("cifar10.1_v6", lambda: _checked(first[0], data_set, *map(_array, first))))
    elif _is_prepared(root, "cifar10_1/v6"):
        sets.append(TestSet("cifar10.1_v6", lambda: _from_tfds(data_set, data_dir, "cifar10_1/v6")))
    else:
        missing.append(f"CIFAR-10.1 is not in {root}: put {' and '.join(_NEW_10_1)} there")
    if _is_prepared(root, "cifar10_2"):
        return sets + _prepared_10_2(data_set, data_dir), missing
    train, test = (_path(root, "CIFAR-10.2", name) for name in _NEW_10_2)
    if test:
        sets.append(TestSet("cifar10.2_test", lambda: _archive(data_set, test)))
    if train and test:
        both = (train, test)
        sets.append(TestSet("cifar10.2_train+test", lambda: _joined(*(_archive(data_set, path) for path in both))))
    else:
        absent = [name for name, path in zip(_NEW_10_2, (train, test)) if not path]
        missing.append(f"CIFAR-10.2 is not whole in {root}: put {' and '.join(absent)} there")
    return sets, missing


def _prepared_10_2(data_set, data_dir):
    def part(split):
        return _from_tfds(data_set, data_dir, "cifar10_2", split)

    return [
        TestSet("cifar10.2_test", lambda: part("test")),
        TestSet("cifar10.2_train+test", lambda: _joined(part("train"), part("test"))),
    ]


def _path(root, folder, name):
    places = [os.path.join(root, name), os.path.join(root, folder, name)]
    return next((path for path in places if os.path.isfile(path)), None)


def _array(path):
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise StateError(f"{path} is damaged: {reason(error)}; fetch it again") from None


def _archive(data_set, path):
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            return _checked(path, data_set, archive["images"], archive["labels"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise StateError(f"{path} is damaged: {reason(error)}; fetch it again") from None


def _joined(*parts):
    pixels, labels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("pixels", "labels"))
    return pipeline.Images(pixels, labels, np.arange(len(labels)))


def _is_prepared(root, builder):
    return bool(_files_of(root, builder, "dataset_info.json"))


def _files_of(root, builder, name="*"):
    return glob.glob(os.path.join(glob.escape(os.path.join(root, *builder.split("/"))), "*", name))


def _from_tfds(data_set, data_dir, builder, split="test"):
    import tensorflow_datasets as tfds

    from tf_tickets.data import builders  # noqa: F401  registers the data sets that TFDS lacks

    root = sources.data_root(data_dir)
    planted = [path for path in _files_of(root, builder) if not os.path.isfile(path)]
    if planted:
        raise StateError(f"{planted[0]} is no regular file: remove it")
    try:
        stored = tfds.builder(builder, data_dir=root).as_dataset(split=split, batch_size=-1)  # pyright: ignore[reportCallIssue]  decorated
        images, labels = stored["image"].numpy(), stored["label"].numpy()
    except Exception as error:  # a damaged folder makes TFDS, TensorFlow and protobuf raise errors of many types
        raise StateError(f"{os.path.join(root, builder)} is damaged ({reason(error)}): prepare it again") from error
    return _checked(os.path.join(root, builder), data_set, images, labels)


def _checked(path, data_set, pixels, labels):
    """The images as a split, after a look at type, shape and labels."""
    pixels, labels = np.asarray(pixels), np.asarray(labels)
    if pixels.dtype != np.uint8 or pixels.shape[1:] != data_set.image_shape or not len(pixels):
        height, width, channels = data_set.image_shape
        raise StateError(
            f"{path} holds {pixels.dtype}{list(pixels.shape)}, not uint8 [n, {height}, {width}, {channels}]: "
            "fetch it again"
        )
    whole = labels.dtype.kind in "iu" and labels.shape == pixels.shape[:1]
    if not whole or labels.min() < 0 or labels.max() >= data_set.classes:
        raise StateError(f"{path}: its labels are not {len(pixels)} of 0 to {data_set.classes - 1}; fetch them again")
    return pipeline.Images(pixels, labels.astype(np.int64), np.arange(len(labels)))
