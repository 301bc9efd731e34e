"""Operations that map each grey level to another: one table of 256 levels per image, and per channel where it differs.

`images` is uint8 [n, height, width, channels]; rounding and integer arithmetic are Pillow's.
"""

from __future__ import annotations

from tf_tickets.augment import sampling
from tf_tickets.augment.deferred import Tensor, tf
from tf_tickets.lazy_modules import np

_LEVELS = list(range(256))


def invert(images: Tensor) -> Tensor:
    """255 - level."""
    return 255 - images


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Inverts the levels at or above `threshold`, float32 [n] in 0..256."""
    levels = tf.constant(_LEVELS, tf.float32)
    return look_up(images, tf.where(levels < threshold[:, None], levels, 255.0 - levels))


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keeps the upper floor(bits) bits of each level, float32 [n] in 1..8."""
    step = tf.bitwise.left_shift(tf.constant(1, tf.int32), 8 - tf.cast(bits, tf.int32))
    levels = tf.constant(_LEVELS, tf.int32)
    return look_up(images, levels // step[:, None] * step[:, None])


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Blends with black: 0 is black, 1 the image; float32 [n]."""
    return look_up(images, tf.clip_by_value(tf.constant(_LEVELS, tf.float32) * factor[:, None], 0.0, 255.0))


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Blends with the mean grey level: 0 is flat, 1 the image; float32 [n]."""
    count = images.shape[1] * images.shape[2]
    total = tf.reduce_sum(luma(images), axis=[1, 2])
    mean = tf.cast((2 * total + count) // (2 * count), tf.float32)[:, None]
    levels = tf.constant(_LEVELS, tf.float32)
    return look_up(images, tf.clip_by_value(mean + factor[:, None] * (levels - mean), 0.0, 255.0))


def linear(images: Tensor, factor: Tensor, offset: float | Tensor) -> Tensor:
    """Level x factor + offset, rounded and clipped; each [n, channels] or one number."""
    table = tf.constant(_LEVELS, tf.float32) * _last(factor) + _last(offset)
    return look_up(images, tf.clip_by_value(tf.round(table), 0.0, 255.0))


def _last(value):
    return value if isinstance(value, float) else value[..., None]


def autocontrast(images: Tensor) -> Tensor:
    """Stretches each channel to 0..255; a flat channel stays."""
    low = tf.cast(tf.reduce_min(images, axis=[1, 2]), tf.int32)[..., None]
    high = tf.cast(tf.reduce_max(images, axis=[1, 2]), tf.int32)[..., None]
    levels = tf.constant(_LEVELS, tf.int32)
    stretched = tf.clip_by_value((levels - low) * 255 // tf.maximum(high - low, 1), 0, 255)
    return look_up(images, tf.where(high > low, stretched, levels))


def equalize(images: Tensor) -> Tensor:
    """Equalises each channel's histogram; a channel with too few levels to spread stays."""
    height, width, channels = images.shape[1:]
    rows = tf.reshape(tf.transpose(images, [0, 3, 1, 2]), [-1, height * width])
    histogram = tf.raw_ops.DenseBincount(
        input=tf.cast(rows, tf.int32), size=256, weights=tf.zeros([0], tf.int32), binary_output=False
    )
    highest = tf.cast(tf.reduce_max(rows, axis=1), tf.int32)
    last = tf.gather(histogram, highest, batch_dims=1)
    step = ((height * width - last) // 255)[:, None]
    below = tf.cumsum(histogram, axis=1, exclusive=True)
    divisor = tf.maximum(step, 1)
    spread = tf.minimum((below + step // 2) // divisor, 255)
    table = tf.where(step > 0, spread, tf.constant(_LEVELS, tf.int32))
    return look_up(images, tf.reshape(table, [-1, channels, 256]))


def luma(images: Tensor) -> Tensor:
    """Grey levels as Pillow converts RGB, int32 [n, height, width]; one channel is its own, more are averaged."""
    values = tf.cast(images, tf.int32)
    channels = images.shape[3]
    if channels == 1:
        return values[..., 0]
    if channels == 3:
        weighted = values[..., 0] * 19595 + values[..., 1] * 38470 + values[..., 2] * 7471 + 32768
        return tf.bitwise.right_shift(weighted, 16)
    return (2 * tf.reduce_sum(values, axis=3) + channels) // (2 * channels)


def look_up(images: Tensor, tables: Tensor) -> Tensor:
    """Replaces every level by its entry.

    Args:
      images: uint8 [n, height, width, channels].
      tables: [n, 256], or [n, channels, 256] when channels differ; values in [0, 256), fractions are cut off.
    """
    tables = tf.cast(tables, tf.uint8)
    index = tf.cast(images, tf.int32)
    if tables.shape.rank == 3:
        index += tf.constant(256 * np.arange(images.shape[3]), tf.int32)
        tables = tf.reshape(tables, [-1, 256 * images.shape[3]])
    return sampling.take(tables, index)
