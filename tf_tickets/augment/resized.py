"""Random resized crops (Szegedy et al. 2015; torchvision's RandomResizedCrop)."""

from __future__ import annotations

import math
import typing

from tf_tickets.augment import sampling
from tf_tickets.augment.deferred import Tensor, tf
from tf_tickets.settings.policies import amount, register

if typing.TYPE_CHECKING:
    from tf_tickets.data import pictures

_ATTEMPTS = 10
_RATIO = (3.0 / 4.0, 4.0 / 3.0)


def boxes(
    keys: Tensor, slot: int, height: int | Tensor, width: int | Tensor, *, low: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A random box per image: its share of the area uniform, its ratio log-uniform; the first of ten tries that fits.

    Args:
      keys: int64 [n].
      slot: first of the 22 draws taken.
      height, width: of the images, int32 [n] or numbers.
      low: smallest share of the area, in [0, 1].

    Returns:
      int32 [n] each: top, left, height, width. Where no try fits, the largest box in the middle of permitted ratio.
    """
    height, width = (tf.cast(side + tf.zeros_like(keys, tf.int32), tf.float64) for side in (height, width))
    tall, wide = _largest(height, width)
    settled = tf.zeros_like(keys, tf.bool)
    for attempt in range(_ATTEMPTS):
        area = tf.cast(sampling.uniform(keys, slot + 2 * attempt, low, 1.0), tf.float64) * height * width
        logarithm = tf.cast(sampling.uniform(keys, slot + 2 * attempt + 1), tf.float64)
        # In float64, whose last bit, which may depend on the place in the batch, never decides a rounding.
        ratio = tf.exp(math.log(_RATIO[0]) + logarithm * (math.log(_RATIO[1]) - math.log(_RATIO[0])))
        across, down = tf.round(tf.sqrt(area * ratio)), tf.round(tf.sqrt(area / ratio))
        fits = (across >= 1) & (down >= 1) & (across <= width) & (down <= height)
        tall, wide = tf.where(fits & ~settled, down, tall), tf.where(fits & ~settled, across, wide)
        settled |= fits
    starts = []
    for axis, room in enumerate((height - tall, width - wide)):
        drawn = tf.cast(sampling.uniform(keys, slot + 2 * _ATTEMPTS + axis), tf.float64) * (room + 1.0)
        starts.append(tf.floor(tf.where(settled, drawn, room / 2.0)))
    return tuple(tf.cast(value, tf.int32) for value in (*starts, tall, wide))


def _largest(height, width):
    """The largest box of permitted ratio."""
    ratio = tf.clip_by_value(width / height, *(tf.constant(bound, tf.float64) for bound in _RATIO))
    return tf.minimum(height, tf.round(width / ratio)), tf.minimum(width, tf.round(height * ratio))


def picture_crop(
    given: Tensor | pictures.Decoded, keys: Tensor, slot: int, low: float, *, shape: tuple[int, int, int]
) -> Tensor:
    """A random part of each picture of any size, resized with antialiasing.

    Args:
      given: PNG or JPEG, string [n], or decoded.
      keys, slot, low: as in `boxes`.
      shape: (height, width, channels) of the result, uint8.
    """
    from tf_tickets.data import pictures

    def box(index, height, width):
        return tuple(part[0] for part in boxes(keys[index : index + 1], slot, height, width, low=low))

    if isinstance(given, pictures.Decoded):
        height, width = tf.unstack(tf.gather(given.sizes, given.rows), axis=1)
        parts = tf.stack(boxes(keys, slot, height, width, low=low), axis=1)
        return pictures.crop(given, lambda index, *_: tf.unstack(parts[index]), shape)
    return pictures.crop(given, box, shape)


@register(
    "resized_crop",
    "a random part of the image, its share of the area U(x, 1), its ratio 3/4 to 4/3, resized to the whole",
    amount("smallest share"),
)
def resized_crop(images: Tensor, keys: Tensor, slot: int, low: float) -> Tensor:
    """A random part of each image, resized bilinearly to the image's own size, as Pillow does it, columns first.

    A box is never larger than its image, so nothing shrinks and no antialiasing is needed.

    Args:
      images: [n, height, width, channels] of whole grey levels, uint8 or float32.
      keys: int64 [n].
      slot: first of the 22 draws taken.
      low: smallest share of the area, in [0, 1].
    """
    height, width = images.shape[1], images.shape[2]
    top, left, tall, wide = boxes(keys, slot, height, width, low=low)
    rows, columns = _taps(top, tall, height), _taps(left, wide, width)
    pixels = tf.reshape(images, [-1, height * width, images.shape[3]])
    result = 0.0
    for row, down in rows:
        line = 0.0
        for column, across in columns:
            part = tf.cast(sampling.take(pixels, row[:, :, None] * width + column[:, None, :]), tf.float32)
            line += part * across[:, None, :, None]
        result += tf.floor(line + 0.5) * down[:, :, None, None]
    return tf.cast(tf.floor(result + 0.5), images.dtype)


def _taps(start, length, size):
    """Two (positions, weights) of [n, size]: where each output pixel reads along one axis, clamped to the box."""
    start, length = start[:, None], length[:, None]
    # In units of half an output pixel, as whole numbers: weights are rounded once, and ties stay ties.
    centre = tf.clip_by_value((2 * tf.range(size) + 1) * length - size, 0, 2 * size * (length - 1))
    first = centre // (2 * size)
    second = tf.minimum(first + 1, length - 1)
    weight = tf.cast(centre - first * (2 * size), tf.float32) / float(2 * size)
    return [(start + position, part) for position, part in ((first, 1.0 - weight), (second, weight))]
