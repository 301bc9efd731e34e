"""Encoded pictures of any size into arrays of one size, inside TensorFlow."""

from __future__ import annotations

import dataclasses
import functools
import struct
from collections.abc import Callable

import numpy as np

from tf_tickets.backend import tf

# Bytes of decoded pictures up to which training keeps them, in place of decoding them in every epoch.
KEPT = 2**29
_PNG = b"\x89PNG\r\n\x1a\n"

# Evaluation sees the middle of a picture whose shorter side is this many times the crop's (256 for 224):
# docs/science.md, Data.
MARGIN = 256 / 224


def decode(encoded: tf.Tensor, channels: int) -> tf.Tensor:
    """PNG or JPEG bytes, a scalar string, into uint8 [height, width, channels]."""
    pixels = tf.io.decode_image(encoded, channels=channels, expand_animations=False)
    return tf.ensure_shape(pixels, [None, None, channels])


@dataclasses.dataclass(frozen=True)
class Decoded:
    """Pictures of any size that are decoded already.

    Attributes:
      held: a TensorList (variant scalar) of uint8 [height, width, channels], of which reading one copies nothing.
      sizes: int32 [all, 2], height and width of each.
      channels: of each.
      rows: int32 [n], which of them these are.
    """

    held: tf.Tensor
    sizes: tf.Tensor
    channels: int
    rows: tf.Tensor

    @classmethod
    def of(cls, encoded: np.ndarray, channels: int) -> Decoded | None:
        """All of `encoded`, bytes, object [n]; None where they take more than `KEPT` bytes."""
        sizes = []
        for data in encoded:
            sizes.append(_size(data))
            if sizes[-1] is None or channels * sum(height * width for height, width in sizes) > KEPT:
                return None
        decoded = tf.data.Dataset.from_tensor_slices(tf.constant(encoded.tolist(), tf.string)).map(
            lambda data: decode(data, channels), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        shape = tf.constant([-1, -1, channels])
        with tf.device("CPU:0"):
            held = tf.raw_ops.EmptyTensorList(element_shape=shape, max_num_elements=-1, element_dtype=tf.uint8)
            for pixels in decoded:
                held = tf.raw_ops.TensorListPushBack(input_handle=held, tensor=pixels)
            return cls(held, tf.constant(sizes, tf.int32), channels, tf.range(len(sizes)))

    def __getitem__(self, rows: tf.Tensor) -> Decoded:
        """Those of some rows, integers [k]."""
        return dataclasses.replace(self, rows=tf.gather(self.rows, rows))

    @property
    def dtype(self) -> tf.DType:
        """Of the pixels."""
        return tf.uint8

    def picture(self, row: tf.Tensor) -> tf.Tensor:
        """One of `rows`: uint8 [height, width, channels]."""
        shape = tf.constant([-1, -1, self.channels])
        pixels = tf.raw_ops.TensorListGetItem(
            input_handle=self.held, index=row, element_shape=shape, element_dtype=tf.uint8
        )
        return tf.ensure_shape(pixels, [None, None, self.channels])


def _size(data):
    """(height, width) of PNG or JPEG bytes by their header, or None."""
    if data.startswith(_PNG):
        return struct.unpack(">II", data[16:24])[::-1]
    try:
        return tuple(tf.io.extract_jpeg_shape(data).numpy()[:2].tolist())
    except tf.errors.InvalidArgumentError:
        return None


def resize(pixels: tf.Tensor, height: int | tf.Tensor, width: int | tf.Tensor) -> tf.Tensor:
    """Bilinear with antialiasing, uint8 [h, w, channels] to uint8 [height, width, channels]."""
    resized = tf.image.resize(pixels, [height, width], method="bilinear", antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)


def centre_crop(pictures: tf.Tensor | Decoded, shape: tuple[int, int, int]) -> tf.Tensor:
    """What evaluation sees: the shorter side resized to 256 (for a crop of 224), then the middle.

    Args:
      pictures: encoded, string [n], or decoded.
      shape: (height, width, channels) of the crop.

    Returns:
      uint8 [n, height, width, channels].
    """
    items, opened = _each(pictures, shape[2])
    return _map(lambda item: middle(opened(item), shape), items, shape)


@functools.cache
def centre_crops(shape: tuple[int, int, int]) -> Callable[[tf.Tensor], tf.Tensor]:
    """`centre_crop` to one shape, traced once for any number of pictures."""
    return tf.function(lambda encoded: centre_crop(encoded, shape), [tf.TensorSpec([None], tf.string)])


def crop(pictures: tf.Tensor | Decoded, boxes: Callable, shape: tuple[int, int, int]) -> tf.Tensor:
    """One part of each picture, resized.

    Args:
      pictures: encoded, string [n], or decoded.
      boxes: function (index, height, width) -> (top, left, height, width) of the part, scalars.
      shape: (height, width, channels) of the result.

    Returns:
      uint8 [n, height, width, channels].
    """
    items, opened = _each(pictures, shape[2])

    def cut(numbered):
        index, item = numbered
        pixels = opened(item)
        top, left, height, width = boxes(index, tf.shape(pixels)[0], tf.shape(pixels)[1])
        return resize(pixels[top : top + height, left : left + width], shape[0], shape[1])

    return _map(cut, (tf.range(tf.shape(items)[0]), items), shape)


def _each(pictures, channels):
    """A tensor [n] of what stands for each picture, and the function from one of them to its pixels."""
    if isinstance(pictures, Decoded):
        return pictures.rows, pictures.picture
    return pictures, functools.partial(decode, channels=channels)


def middle(pixels: tf.Tensor, shape: tuple[int, int, int]) -> tf.Tensor:
    """As `centre_crop`, of one decoded picture: uint8 [h, w, channels] to uint8 `shape`."""
    size = tf.cast(tf.shape(pixels)[:2], tf.float64)
    wanted = tf.constant(shape[:2], tf.float64)
    scale = tf.reduce_max(tf.round(wanted * MARGIN) / size)
    resized = tf.cast(tf.maximum(tf.round(size * scale), wanted), tf.int32)
    pixels = resize(pixels, resized[0], resized[1])
    top, left = tf.unstack((resized - tf.cast(wanted, tf.int32)) // 2)
    return pixels[top : top + shape[0], left : left + shape[1]]


def _map(function, items, shape):
    return tf.map_fn(
        lambda item: tf.ensure_shape(function(item), shape), items, fn_output_signature=tf.TensorSpec(shape, tf.uint8)
    )
