"""Encoded pictures of any size into arrays of one size, inside TensorFlow."""

import functools
from collections.abc import Callable

from tf_tickets.backend import tf

# Evaluation sees the middle of a picture whose shorter side is this many times the crop's (256 for 224):
# docs/science.md, Data.
MARGIN = 256 / 224


def decode(encoded: tf.Tensor, channels: int) -> tf.Tensor:
    """PNG or JPEG bytes, a scalar string, into uint8 [height, width, channels]."""
    pixels = tf.io.decode_image(encoded, channels=channels, expand_animations=False)
    return tf.ensure_shape(pixels, [None, None, channels])


def resize(pixels: tf.Tensor, height: int | tf.Tensor, width: int | tf.Tensor) -> tf.Tensor:
    """Bilinear with antialiasing, uint8 [h, w, channels] to uint8 [height, width, channels]."""
    resized = tf.image.resize(pixels, [height, width], method="bilinear", antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)


def centre_crop(encoded: tf.Tensor, shape: tuple[int, int, int]) -> tf.Tensor:
    """What evaluation sees: the shorter side resized to 256 (for a crop of 224), then the middle.

    Args:
      encoded: string [n].
      shape: (height, width, channels) of the crop.

    Returns:
      uint8 [n, height, width, channels].
    """
    return _map(lambda item: middle(decode(item, shape[2]), shape), encoded, shape)


@functools.cache
def centre_crops(shape: tuple[int, int, int]) -> Callable[[tf.Tensor], tf.Tensor]:
    """`centre_crop` to one shape, traced once for any number of pictures."""
    return tf.function(lambda encoded: centre_crop(encoded, shape), [tf.TensorSpec([None], tf.string)])


def crop(encoded: tf.Tensor, boxes: Callable, shape: tuple[int, int, int]) -> tf.Tensor:
    """One part of each picture, resized.

    Args:
      encoded: string [n].
      boxes: function (index, height, width) -> (top, left, height, width) of the part, scalars.
      shape: (height, width, channels) of the result.

    Returns:
      uint8 [n, height, width, channels].
    """

    def cut(item):
        index, data = item
        pixels = decode(data, shape[2])
        top, left, height, width = boxes(index, tf.shape(pixels)[0], tf.shape(pixels)[1])
        return resize(pixels[top : top + height, left : left + width], shape[0], shape[1])

    return _map(cut, (tf.range(tf.shape(encoded)[0]), encoded), shape)


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
