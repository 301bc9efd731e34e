"""What a prepared folder of TFDS holds: the facts of its data set, and what each of its splits is for.

Shapes and names are in its metadata, the images per class in its records, whose labels are read one by one. No
TensorFlow here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import typing
from collections.abc import Iterator

from tf_tickets.data import class_names, record_labels
from tf_tickets.data.catalog import DataSet
from tf_tickets.errors import StateError, TicketError, UsageError, reason
from tf_tickets.lazy_modules import np

SOURCE = "tfds_group"
_OTHER_TASKS = "multi-label, regression and detection are not what this program does"
# As of folders of pictures: images of one size up to this side are used as they are, all others through crops.
_SMALL_SIDE, _CROP = 96, 224
_TEST_SHARE = 0.2


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What a prepared folder holds.

    Attributes:
      builder: TFDS' builder that reads it.
      data_set: its catalog.DataSet.
      test: the split that tests; None: a part of train.
      validation: whether the split validation is held out.
      notices: sentences for the user about its splits.
    """

    builder: typing.Any
    data_set: DataSet
    test: str | None
    validation: bool
    notices: tuple[str, ...]


@contextlib.contextmanager
def reading(folder: str) -> Iterator[None]:
    """Turns what TFDS, TensorFlow and protobuf raise for a damaged folder, of many types, into a StateError."""
    try:
        yield
    except TicketError:
        raise
    except Exception as error:
        raise StateError(
            f"{folder} is damaged ({reason(error)}): delete it, then prepare it again, as with `tfds build`"
        ) from error


@functools.cache
def look(folder: str, name: str) -> Prepared:
    """Looks at a prepared folder: its metadata and its labels.

    Args:
      folder: path.
      name: of its data set, as `--dataset` has it, with configuration and version.

    Raises:
      UsageError: it is no data set of images and their classes, or one that cannot be used; names the feature.
      StateError: it is damaged.
    """
    import tensorflow_datasets as tfds

    flag = f"--dataset={name}"

    with reading(folder):
        builder = tfds.builder_from_directory(folder)
        info: typing.Any = builder.info  # TFDS declares that each part of it may be missing
        form = info.file_format.value
    if form != "tfrecord":
        raise UsageError(f"{flag}: {folder} holds {form} files: prepare it with `tfds build --file_format=tfrecord`")
    _check_label(flag, info.features)
    shape = _shape(flag, info.features["image"])
    with reading(folder):
        splits = {split: _labels(part) for split, part in info.splits.items() if part.num_examples}
        names = tuple(info.features["label"].names)
    class_names.check(names, flag, "class")
    test, validation, notices = _mapped(name, splits, len(names))
    held = test is None
    counts = {split: np.bincount(labels, minlength=len(names)) for split, labels in splits.items() if labels.min() >= 0}
    _check_classes(flag, names, counts["train"], 2 if held else 1)
    tested = np.array([test_count(n) for n in counts["train"]]) if held else counts[test]
    train = counts["train"] - tested * held
    if held:
        drawn = f"{tested.sum():,} images of its split train, a fifth of each class, the same whatever the seeds"
        notices = [f"{name} has no split test or validation: it is tested on {drawn}", *notices]
    data_set = DataSet(
        name, names, _tuple(train + counts["validation"] if validation else train),
        _tuple(tested), mean=None, deviation=None, flip=True, source=SOURCE, **shape,
        validation_counts=_tuple(counts["validation"]) if validation else None,
    )  # fmt: skip
    return Prepared(builder, data_set, test, validation, tuple(notices))


def _tuple(counts):
    return tuple(map(int, counts))


def _labels(split):
    return np.concatenate([record_labels.read(os.fspath(path)) for path in split.filepaths])


def _check_label(flag, features):
    """UsageError unless the features have a `label` of one class."""
    import tensorflow_datasets as tfds

    features = features if isinstance(features, tfds.features.FeaturesDict) else {_called(features): features}
    there = ", ".join(sorted(features))
    if "label" not in features:
        raise UsageError(f"{flag} has no feature 'label', but {there}: {_OTHER_TASKS}")
    label = features["label"]
    if type(label) is not tfds.features.ClassLabel:
        raise UsageError(f"{flag}: its feature 'label' is {_called(label)}, not ClassLabel: {_OTHER_TASKS}")
    if not label.num_classes or label.num_classes < 2:
        raise UsageError(f"{flag}: its feature 'label' has {label.num_classes} classes, at least 2 are needed")
    if "image" not in features:
        raise UsageError(f"{flag} has no feature 'image', but {there}: only images are classified here")


def _called(feature):
    inner = getattr(feature, "feature", None)
    return type(feature).__name__ + (f" of {type(inner).__name__}" if inner is not None else "")


def _shape(flag, image):
    """What a DataSet has of an Image of some shape: arrays, or pictures of any size."""
    import tensorflow_datasets as tfds

    if type(image) is not tfds.features.Image:
        raise UsageError(f"{flag}: its feature 'image' is {_called(image)}, not Image: images of 8 bits are taken")
    given: typing.Any = image  # TFDS declares types and shapes of many kinds
    dtype, (height, width, channels) = np.dtype(given.np_dtype).name, given.shape
    if dtype != "uint8" or channels not in (1, 3):
        raise UsageError(
            f"{flag}: its feature 'image' is {dtype} of {channels} channels: uint8 of 1 or 3 channels is taken"
        )
    if not (height and width) or max(height, width) > _SMALL_SIDE:
        return {"image_shape": (_CROP, _CROP, channels), "stem": "full", "crop_low": 0.08, "cutout_side": _CROP // 2}
    side = min(height, width)
    return {
        "image_shape": (height, width, channels), "stem": "small", "crop_padding": max(side // 8, 1),
        "cutout_side": max(side // 2, 1),
    }  # fmt: skip


def _mapped(name, splits, classes):
    """(the split that tests or None, whether validation is held out, sentences about the others)."""
    unlabelled = [split for split, labels in splits.items() if labels.min() < 0]
    flag = f"--dataset={name}"
    odd = next((split for split, labels in splits.items() if labels.max() >= classes), None)
    if odd:
        raise UsageError(f"{flag}: a label of its split {odd} is {splits[odd].max()}, and there are {classes} classes")
    if "train" not in splits or "train" in unlabelled:
        there = ", ".join(splits) or "none"
        problem = "its split train has images without labels"
        if "train" not in splits:
            problem = f"it has no split train, but {there}"
        raise UsageError(f"{flag}: {problem}: there is nothing to train on")
    test = next((split for split in ("test", "validation") if split in splits and split not in unlabelled), None)
    validation = test == "test" and "validation" in splits and "validation" not in unlabelled
    notices = (
        [f"{name} has no split test with labels: it is tested on its split validation"] if test == "validation" else []
    )
    unused = [
        f"{split} (without labels)" if split in unlabelled else split
        for split in splits
        if split not in {"train", test} | ({"validation"} if validation else set())
    ]
    if unused:
        notices.append(f"{name}: not used of its splits: {', '.join(unused)}")
    return test, validation, notices


def _check_classes(flag, names, counts, least):
    short = next((label for label, count in enumerate(counts) if count < least), None)
    if short is not None:
        raise UsageError(
            f"{flag}: class '{names[short]}' has {counts[short]} training images: at least {least} "
            + ("are needed, one to train and one to test" if least > 1 else "is needed")
        )


def test_count(count: int) -> int:
    """How many of a class's images test where no split does."""
    return max(round(_TEST_SHARE * int(count)), 1)
