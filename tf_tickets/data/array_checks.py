"""Images and labels as people have them: made uint8 and whole numbers where safe, else refused in a sentence."""

from __future__ import annotations

import collections.abc
import typing

from tf_tickets.errors import UsageError, reason, shown
from tf_tickets.lazy_modules import np

# The most channels that are taken for channels: sensors of satellites have a dozen.
_MOST_CHANNELS = 16
_ONE_CLASS = "give one class per image"


def array(value: typing.Any, name: str) -> np.ndarray:
    """What is given as numpy array.

    Args:
      value: numpy, list, pandas, or a tensor of TensorFlow, PyTorch or JAX on any device.
      name: what it is called in messages.

    Raises:
      UsageError: it is none of these, or its rows differ in size.
    """
    if value is None:
        raise UsageError(f"{name}: nothing is given; give a numpy array")
    if isinstance(value, (str, bytes)) or hasattr(value, "__fspath__"):
        raise UsageError(
            f"{name}: {shown(value)} is no array; for a file of arrays use --dataset=arrays --data_file=FILE.npz, for "
            "picture files tt.data.from_dataframe or --dataset=folder"
        )
    if hasattr(value, "element_spec"):
        raise UsageError(f"{name}: a tf.data.Dataset is no array; give it to tt.data.from_dataset")
    if isinstance(value, collections.abc.Iterator) or (callable(value) and not hasattr(value, "__array__")):
        raise UsageError(f"{name}: a generator is no array; collect it first, such as np.stack(list(images))")
    if isinstance(value, (dict, set, frozenset)):
        raise UsageError(
            f"{name}: a {type(value).__name__} is no array; give one array of all images, one of all labels"
        )
    if hasattr(value, "detach"):  # PyTorch's
        value = value.detach().cpu()
    try:
        result = np.asarray(value)
    except (ValueError, TypeError, NotImplementedError, RuntimeError) as error:
        sizes = {np.shape(element) for element in value} if isinstance(value, (list, tuple)) else set()
        if len(sizes) > 1:
            raise _of_different_sizes(name, sizes) from None
        said = f" ({reason(error)})" if hasattr(value, "__array__") else ""  # as of arrays that stay on a GPU
        raise UsageError(f"{name}: {type(value).__name__} is no array{said}; give a numpy array") from None
    return result


def _of_different_sizes(name, sizes):
    first, second = sorted(sizes)[:2]
    return UsageError(
        f"{name}: its images have different sizes, such as {list(first)} and {list(second)}; resize them to one, or "
        "write them as files and use --dataset=folder or tt.data.from_dataframe"
    )


def images(value: typing.Any, name: str) -> np.ndarray:
    """Images as the pipeline takes them.

    Args:
      value: whole numbers 0 to 255 [n, height, width, channels], or without channels.
      name: what it is called in messages.

    Returns:
      uint8 [n, height, width, channels].

    Raises:
      UsageError: says what to write instead.
    """
    pixels = array(value, name)
    if pixels.dtype == object:
        sizes = {np.shape(element) for element in pixels.ravel()[:1000]}
        if len(sizes) > 1:
            raise _of_different_sizes(name, sizes)
        raise UsageError(f"{name}: an array of objects; make it one of numbers, such as np.stack(list(images))")
    _check_shape(pixels.shape, name)
    _check_values(pixels, name)
    pixels = pixels.astype(np.uint8)
    return pixels[..., np.newaxis] if pixels.ndim == 3 else pixels


def _check_shape(shape, name):
    given = f"{name}: shape {list(shape)}"
    if len(shape) == 2:
        raise UsageError(f"{given} is of flat images; give them back their sides, such as .reshape(-1, 28, 28)")
    if len(shape) not in (3, 4):
        raise UsageError(f"{given} is not [n, height, width, channels]; reshape it")
    if not all(shape):
        raise UsageError(f"{given} holds no image; give at least two of each class")
    if len(shape) == 3:
        return
    if shape[1] <= 4 < shape[3]:
        raise UsageError(
            f"{given} is [n, channels, height, width]; put the channels last: np.transpose(images, (0, 2, 3, 1))"
        )
    if shape[3] > _MOST_CHANNELS:
        raise UsageError(f"{given} has {shape[3]} channels; give [n, height, width, channels]")


def _check_values(pixels, name):
    kind = pixels.dtype.kind
    if kind == "b":
        raise UsageError(f"{name}: bool is no kind of pixel; write images.astype('uint8') * 255")
    if kind == "f":
        raise UsageError(f"{name}: {_of_floats(pixels)}")
    if kind not in "iu":
        raise UsageError(f"{name}: {pixels.dtype} is no kind of pixel; give uint8")
    low, high = pixels.min(), pixels.max()
    if low < 0 or high > 255:
        scaled = "; of 16 bits write (images // 257).astype('uint8')" if pixels.dtype == np.uint16 else ""
        raise UsageError(f"{name}: goes from {low} to {high}, and pixels from 0 to 255; scale it to those{scaled}")
    if high <= 1:
        raise UsageError(
            f"{name}: holds no value above {high}, and white is 255; multiply by 255, before the cast to uint8"
        )


def _of_floats(pixels):
    """The sentence about images of floating-point numbers."""
    if not np.isfinite(pixels).all():
        return f"{pixels.dtype} with NaN or infinity; repair those images, and give uint8 from 0 to 255"
    low, high = pixels.min(), pixels.max()
    if low >= 0 and high <= 1:
        return f"{pixels.dtype} from 0 to 1; multiply by 255 and cast: (images * 255).round().astype('uint8')"
    if low >= 0 and high <= 255:
        return f"{pixels.dtype} from 0 to 255; cast: images.round().astype('uint8')"
    return f"{pixels.dtype} from {low:g} to {high:g} is normalised; give the pixels before that, as uint8 from 0 to 255"


def labels(value: typing.Any, name: str, count: int) -> np.ndarray:
    """One label for each image.

    Args:
      value: whole numbers [n] or [n, 1], text [n], or one-hot [n, classes].
      name: what it is called in messages.
      count: images.

    Returns:
      int64 [n], or text [n]; of one-hot labels the place of the one.

    Raises:
      UsageError: says what to write instead.
    """
    column = array(value, name)
    if column.dtype == object:
        column = _of_objects(column, name)
    if column.dtype.kind == "S":
        column = np.char.decode(column.astype(np.bytes_), "utf-8")
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim == 2 and column.dtype.kind != "U":
        column = _of_rows(column, name)
    if column.ndim != 1:
        raise UsageError(
            f"{name}: shape {list(column.shape)}: detection and segmentation are not supported; {_ONE_CLASS}"
        )
    if len(column) != count:
        raise UsageError(f"{name}: {len(column):,} labels for {count:,} images; give one label for each image")
    return column if column.dtype.kind == "U" else _whole(column, name)


def _of_objects(column, name):
    """Text or whole numbers of an array of objects, as pandas has them."""
    values = column.ravel().tolist()
    empty = next((row for row, value in enumerate(values) if value is None or value != value), None)
    if empty is not None:
        raise UsageError(f"{name}: row {empty} has no label; give one, or leave the image out")
    if all(isinstance(value, str) for value in values):
        return column.astype(str)
    if all(isinstance(value, (int, np.integer)) for value in values):
        return column.astype(np.int64)
    if any(isinstance(value, (list, tuple, dict, set, np.ndarray)) for value in values):
        raise UsageError(
            f"{name}: a list or dict for each image: multi-label and detection are not supported; {_ONE_CLASS}"
        )
    raise UsageError(f"{name}: holds {', '.join(sorted({type(value).__name__ for value in values}))}; give text or int")


def _of_rows(rows, name):
    """The places of the ones in one-hot labels."""
    if rows.dtype.kind == "f" and not np.isfinite(rows).all():
        raise UsageError(f"{name}: holds NaN or infinity; give one class per image")
    if not np.isin(rows, (0, 1)).all():
        if rows.dtype.kind == "f" and (rows >= 0).all() and np.allclose(rows.sum(axis=1), 1, atol=1e-3):
            raise UsageError(f"{name}: probabilities of classes are not supported; write labels.argmax(axis=1)")
        raise UsageError(
            f"{name}: {rows.shape[1]} numbers for each image: boxes of detection and regression are not supported; "
            f"{_ONE_CLASS}"
        )
    ones = rows.sum(axis=1)
    if (ones > 1).any():
        raise UsageError(
            f"{name}: image {int(np.argmax(ones > 1))} has several classes: multi-label is not supported; {_ONE_CLASS}"
        )
    if (ones < 1).any():
        raise UsageError(f"{name}: image {int(np.argmax(ones < 1))} has no class; {_ONE_CLASS}, or leave the image out")
    return rows.argmax(axis=1)


def _whole(column, name):
    if column.dtype.kind == "f":
        if not np.isfinite(column).all():
            row = int(np.argmin(np.isfinite(column)))
            raise UsageError(f"{name}: row {row} is {column[row]}; give it a class, or leave the image out")
        if (column == np.round(column)).all():
            raise UsageError(f"{name}: {column.dtype} is no kind of label; cast: labels.astype('int64')")
        raise UsageError(
            f"{name}: holds {column[column != np.round(column)][0]:g}: regression is not supported; {_ONE_CLASS}"
        )
    if column.dtype.kind not in "iub":
        raise UsageError(f"{name}: {column.dtype} is no kind of label; give whole numbers or text")
    column = column.astype(np.int64)
    if column.min() < 0:
        row = int(np.argmin(column))
        raise UsageError(f"{name}: row {row} is {column[row]}; labels count from 0: leave such images out")
    return column
