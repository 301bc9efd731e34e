"""Operations that map each grey level to another.

`images` is uint8 [n, height, width, channels]; rounding and integer arithmetic are Pillow's. What has a formula is
computed for every pixel: TensorFlow looks a level up in a table in ten times what it takes to multiply it, and chooses
between two of 8 bits (tf.where) in twenty.
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
    lowest = tf.clip_by_value(tf.math.ceil(threshold), 0.0, 256.0)[:, None]
    # 8 bits hold no 256, from which on nothing is inverted.
    inverted = tf.cast(tf.where(lowest > 255.0, 0.0, 255.0), tf.uint8)
    pixels = _by_image(images)
    above = tf.cast(pixels >= tf.cast(tf.minimum(lowest, 255.0), tf.uint8), tf.uint8)
    return tf.reshape(tf.bitwise.bitwise_xor(pixels, above * inverted), tf.shape(images))


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keeps the upper floor(bits) bits of each level, float32 [n] in 1..8."""
    step = tf.bitwise.left_shift(tf.constant(1, tf.int32), 8 - tf.cast(bits, tf.int32))
    kept = tf.bitwise.bitwise_and(_by_image(images), tf.cast(256 - step, tf.uint8)[:, None])
    return tf.reshape(kept, tf.shape(images))


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Blends with black: 0 is black, 1 the image; float32 [n]."""
    return _cut_off(tf.cast(_by_image(images), tf.float32) * factor[:, None], images)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Blends with the mean grey level: 0 is flat, 1 the image; float32 [n]."""
    count = images.shape[1] * images.shape[2]
    total = tf.reduce_sum(luma(images), axis=[1, 2])
    mean = tf.cast((2 * total + count) // (2 * count), tf.float32)[:, None]
    return _cut_off(mean + factor[:, None] * (tf.cast(_by_image(images), tf.float32) - mean), images)


def _by_image(images):
    """[n, height x width x channels]: numbers of an image are spread over its pixels fastest along one axis."""
    return tf.reshape(images, [-1, images.shape[1] * images.shape[2] * images.shape[3]])


def _cut_off(pixels, images):
    """Float pixels as levels, fractions cut off, in the shape of `images`."""
    return tf.reshape(tf.cast(tf.clip_by_value(pixels, 0.0, 255.0), tf.uint8), tf.shape(images))


def linear(images: Tensor, factor: Tensor, offset: float | Tensor) -> Tensor:
    """Level x factor + offset, rounded and clipped; each [n, channels] or one number."""
    table = tf.constant(_LEVELS, tf.float32) * _last(factor) + _last(offset)
    return look_up(images, tf.clip_by_value(tf.round(table), 0.0, 255.0))


def _last(value):
    return value if isinstance(value, float) else value[..., None]


def autocontrast(images: Tensor) -> Tensor:
    """Stretches each channel to 0..255; a flat channel stays."""
    height, width, channels = images.shape[1:]
    low, high = (tf.cast(bound(images, axis=[1, 2]), tf.float32) for bound in (tf.reduce_min, tf.reduce_max))
    flat = low >= high
    low, span = (tf.where(flat, stays, value) for stays, value in ((0.0, low), (255.0, high - low)))
    # The numbers of the channels in turn, as pixels have them: along a row they are spread fastest.
    low, span = (tf.tile(part, [1, width])[:, None] for part in (low, span))
    rows = tf.cast(tf.reshape(images, [-1, height, width * channels]), tf.float32)
    # A quotient of whole numbers below 2^16 is never rounded up to the next whole number.
    return tf.reshape(tf.cast((rows - low) * 255.0 / span, tf.uint8), tf.shape(images))


def equalize(images: Tensor) -> Tensor:
    """Equalises each channel's histogram; a channel with too few levels to spread stays."""
    height, width, channels = images.shape[1:]
    histogram = tf.raw_ops.DenseBincount(
        input=tf.reshape(_places(images), [-1, height * width * channels]), size=256 * channels,
        weights=tf.zeros([0], tf.int32), binary_output=False,
    )  # fmt: skip
    histogram, levels = tf.reshape(histogram, [-1, channels, 256]), tf.constant(_LEVELS, tf.int32)
    highest = tf.reduce_max(tf.where(histogram > 0, levels, 0), axis=2)
    last = tf.gather(histogram, highest, batch_dims=2)
    step = ((height * width - last) // 255)[..., None]
    below = tf.cumsum(histogram, axis=2, exclusive=True)
    spread = tf.minimum((below + step // 2) // tf.maximum(step, 1), 255)
    return look_up(images, tf.where(step > 0, spread, levels))


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
    if tables.shape.rank == 2:
        return sampling.take(tables, tf.cast(images, tf.int32))
    return sampling.take(tf.reshape(tables, [-1, 256 * images.shape[3]]), _places(images))


def _places(images):
    """The place of each level in the tables of all channels, one after the other; int32, as `images`."""
    height, width, channels = images.shape[1:]
    rows = tf.cast(tf.reshape(images, [-1, height, width * channels]), tf.int32)
    return tf.reshape(rows + np.tile(256 * np.arange(channels, dtype=np.int32), width), tf.shape(images))
