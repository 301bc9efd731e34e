"""Data of the user's own from Python: values that `tf_tickets.imp`, `train` and others take as `data`."""

from __future__ import annotations

import os
import typing
from collections.abc import Sequence

from tf_tickets.data.image_arrays import ImageArrays
from tf_tickets.data.table import PictureTable, Row
from tf_tickets.errors import UsageError, shown
from tf_tickets.lazy_modules import np
from tf_tickets.settings.config import Config
from tf_tickets.settings.data_group import Data

if typing.TYPE_CHECKING:
    import pandas
    import tensorflow as tf

_NAMES = {
    "train_images": "training images", "train_labels": "training labels", "test_images": "test images",
    "test_labels": "test labels",
}  # fmt: skip
# tf.data.INFINITE_CARDINALITY. A data set that does not know that it never ends would fill the memory.
_INFINITE = -1
_MOST_ELEMENTS = 10_000_000


def from_arrays(
    x_train: typing.Any, y_train: typing.Any, *, test: tuple[typing.Any, typing.Any] | None = None,
    class_names: Sequence[str] | None = None,
) -> ImageArrays:  # fmt: skip
    """Images that are arrays already.

    Args:
      x_train: whole numbers from 0 to 255 [n, height, width, channels], of grey also without channels; numpy, or a
        tensor of TensorFlow, PyTorch or JAX. They are copied.
      y_train: whole numbers from 0 [n], text [n], or one-hot [n, classes].
      test: (images, labels) that test; None: a fifth of each class, chosen by content.
      class_names: names in label order; None: text labels in alphabetical order, numbers as they are.

    Returns:
      The value for `data`; its `save` writes the file for --data_file, with which runs are the same.

    Raises:
      UsageError: an argument cannot be used; says what to write instead.
    """
    arrays = {"train_images": x_train, "train_labels": y_train}
    if test is not None:
        if not isinstance(test, (tuple, list)) or len(test) != 2:
            raise UsageError(f"test: a {type(test).__name__} is no pair; give (x_test, y_test)")
        arrays |= {"test_images": test[0], "test_labels": test[1]}
    return ImageArrays(arrays, _NAMES, "the labels", class_names)


def from_dataset(
    train: tf.data.Dataset, *, test: tf.data.Dataset | None = None, class_names: Sequence[str] | None = None
) -> ImageArrays:
    """Images of a tf.data.Dataset of (image, label), which ends; batched or not. All are held in memory.

    Args:
      train: images are whole numbers from 0 to 255 [height, width, channels], all of one size, without augmentation
        and normalisation; labels as for `from_arrays`.
      test: as `train`; None: a fifth of each class tests, chosen by content.
      class_names: as for `from_arrays`.

    Returns:
      As `from_arrays`.

    Raises:
      UsageError: a data set cannot be used; says what to write instead.
    """
    images, labels = _collected(train, "train")
    collected = None if test is None else _collected(test, "test")
    return from_arrays(images, labels, test=collected, class_names=class_names)


def from_dataframe(
    frame: pandas.DataFrame, *, path: str = "file", label: str = "label", split: str | None = "split",
    root: str | os.PathLike[str] | None = None,
) -> PictureTable:  # fmt: skip
    """Picture files that a DataFrame lists; pictures that no row names are passed over.

    Args:
      frame: one row for each picture.
      path: the column of the files' paths.
      label: the column of classes: text, or whole numbers, which name themselves.
      split: the column of train, validation and test, where there is one; without, or None, a fifth of each class
        tests, chosen by content.
      root: the folder that relative paths start from; None: the current one, or what absolute paths share.

    Returns:
      The value for `data`; its `save` writes the file for --labels_file, with which and --data_dir=ROOT runs are the
      same where ROOT holds no other pictures.

    Raises:
      UsageError: says what to write instead.
    """
    import pandas

    if not isinstance(frame, pandas.DataFrame):
        raise UsageError(f"frame: a {type(frame).__name__} is no DataFrame; for arrays use tt.data.from_arrays")
    if split == "split" and split not in frame.columns:
        split = None
    columns = {"path": path, "label": label} | ({} if split is None else {"split": split})
    for argument, column in columns.items():
        if column not in frame.columns:
            there = ", ".join(map(str, frame.columns))
            raise UsageError(f"{argument}='{column}' is no column of the frame, which has {there}; name one of these")
    paths = [os.fspath(value) if isinstance(value, (str, os.PathLike)) else "" for value in frame[path]]
    folder = _root(paths, root)
    texts = {
        argument: _texts(frame[columns[argument]], columns[argument]) for argument in columns if argument != "path"
    }
    splits = texts.get("split", [""] * len(paths))
    files = [os.path.relpath(os.path.join(folder, file), folder) if file else "" for file in paths]
    rows = [Row(*values) for values in zip(files, texts["label"], splits)]
    if not rows:
        raise UsageError("frame: it has no rows; give one for each picture")
    return PictureTable(folder, rows, where="the frame")


def _root(paths, root):
    """The folder that files are below."""
    if root is None and paths and all(map(os.path.isabs, paths)):
        return os.path.commonpath([os.path.dirname(path) for path in paths])
    return os.path.abspath(os.path.expanduser(os.fspath(root or os.getcwd())))


def _texts(column, name):
    """A column's values as text, of missing ones none."""
    import pandas

    if pandas.api.types.is_float_dtype(column.dtype):
        raise UsageError(f"column '{name}': {column.dtype} is no kind of class; give text, or write .astype('int64')")
    values = [value.item() if isinstance(value, np.generic) else value for value in column]
    odd = next((value for value in values if isinstance(value, (list, tuple, dict, set, np.ndarray))), None)
    if odd is not None:
        raise UsageError(
            f"column '{name}': {shown(odd)} is no class: multi-label and detection are not supported; give "
            "one class per picture"
        )
    return ["" if pandas.isna(value) else str(value).strip() for value in values]


def settings_of(data: object, dataset: str | None = None) -> dict[str, str]:
    """The settings that stand for a value given as `data`.

    Args:
      data: what one of the functions above returns, or None.
      dataset: that of the other settings; None: it does not matter.

    Raises:
      UsageError: it is no such value, or the settings name another data set.
    """
    if data is None:
        return {}
    if not isinstance(data, (ImageArrays, PictureTable)):
        raise UsageError(f"data: {type(data).__name__} is no data; give tt.data.from_arrays(images, labels)")
    if dataset not in (None, Data().dataset, data.settings["dataset"]):
        raise UsageError(f"data= and dataset={dataset} exclude each other: leave one out")
    return data.settings


def configured(config: Config, data: ImageArrays | PictureTable | None) -> Config:
    """A Config with the images that are given as `data`; itself where that is None.

    Raises:
      UsageError: one of them is something else, or the Config names another data set.
    """
    if not isinstance(config, Config):
        raise UsageError(f"{type(config).__name__} is no Config: give tt.Config(dataset=..., epochs=...)")
    return config if data is None else config.replace(**settings_of(data, config.data.dataset))


def _collected(dataset, name):
    """(images, labels) of a tf.data.Dataset."""
    batched = _is_batched(*_specification(dataset, name))
    parts = ([], [])
    for element in dataset.as_numpy_iterator():
        for part, values in zip(parts, element):
            part.append(values if batched else np.asarray(values)[np.newaxis])
        if len(parts[0]) > _MOST_ELEMENTS:
            raise UsageError(f"{name}: more than {_MOST_ELEMENTS:,} elements; write .take(n), or prepare files instead")
    if not parts[0]:
        raise UsageError(f"{name}: the data set holds nothing; give one with images")
    sizes = sorted({values.shape[1:] for values in parts[0]})
    if len(sizes) > 1:
        raise UsageError(
            f"{name}: images have different sizes, such as {list(sizes[0])} and {list(sizes[1])}; resize them in a "
            "map: tf.cast(tf.image.resize(image, (64, 64)), tf.uint8), or use --dataset=folder for files of any size"
        )
    images, labels = (np.concatenate(part) for part in parts)
    return images, labels


def _specification(dataset, name):
    """The tf.TensorSpecs of images and labels; UsageError where elements are something else, or never end."""
    spec = getattr(dataset, "element_spec", None)
    if spec is None:
        raise UsageError(
            f"{name}: a {type(dataset).__name__} is no tf.data.Dataset; for arrays use tt.data.from_arrays"
        )
    if isinstance(spec, dict):
        keys = ", ".join(sorted(map(str, spec)))
        raise UsageError(
            f"{name}: elements are dicts of {keys}; write dataset.map(lambda row: (row['image'], row['label']))"
        )
    if not isinstance(spec, tuple) or len(spec) != 2 or not all(hasattr(part, "shape") for part in spec):
        raise UsageError(f"{name}: elements are no pairs of (image, label); write dataset.map to make them so")
    if int(dataset.cardinality()) == _INFINITE:
        raise UsageError(f"{name}: the data set never ends; leave out .repeat(), or write .take(n)")
    images, labels = spec
    if images.shape.rank is None or labels.shape.rank is None:
        raise UsageError(f"{name}: shapes are not known; set them with image.set_shape and label.set_shape in a map")
    if images.shape.rank > 4:
        raise UsageError(f"{name}: {images.shape.rank} axes of images: batched twice; write .unbatch() once")
    return images, labels


def _is_batched(images, labels):
    """Whether elements are batches, of grey images perhaps without channels, not images with one-hot labels."""
    if images.shape.rank != 3:
        return images.shape.rank == 4
    grey = images.shape[-1] not in (1, 3)
    return grey and labels.shape.rank > 0 and images.shape[0] == labels.shape[0]
