"""Operations that move pixels: uint8 or float32 [n, height, width, channels] in, the same type out, exact copies.

Source positions follow Pillow: the pixel whose centre is (x + 1/2, y + 1/2) reads the source at the mapped centre.
"""

from __future__ import annotations

import math

from tf_tickets.augment import sampling
from tf_tickets.augment.deferred import Tensor, tf
from tf_tickets.lazy_modules import np
from tf_tickets.settings.policies import Argument, register

GREY = 128.0
BLACK = 0.0


@register(
    "crop", "random crop from the image padded with black", Argument("padding", int, 0, 64), levels=False,
    examples="crop(4)",
)  # fmt: skip
def crop(images: Tensor, keys: Tensor, slot: int, padding: int) -> Tensor:
    """Random crop of the original size from the image padded with black on every side.

    Args:
      images: [n, height, width, channels].
      keys: int64 [n].
      slot: first of the two draws taken.
      padding: pixels on every side.
    """
    height, width = images.shape[1], images.shape[2]
    padded = tf.pad(images, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    top = sampling.integers(keys, slot, 2 * padding + 1)
    left = sampling.integers(keys, slot + 1, 2 * padding + 1)
    rows = (top[:, None] + tf.range(height)) * (width + 2 * padding)
    columns = left[:, None] + tf.range(width)
    pixels = tf.reshape(padded, [-1, padded.shape[1] * padded.shape[2], padded.shape[3]])
    return sampling.take(pixels, rows[:, :, None] + columns[:, None, :])


@register("flip", "left-right mirror, probability 1/2", levels=False, examples="flip")
def flip(images: Tensor, keys: Tensor, slot: int) -> Tensor:
    """Mirrors left and right with probability 1/2."""
    return mirrored(images, sampling.uniform(keys, slot) < 0.5, 2)


@register("vertical_flip", "top-bottom mirror, probability 1/2", levels=False, examples="vertical_flip")
def vertical_flip(images: Tensor, keys: Tensor, slot: int) -> Tensor:
    """Mirrors top and bottom with probability 1/2."""
    return mirrored(images, sampling.uniform(keys, slot) < 0.5, 1)


def mirrored(images: Tensor, chosen: Tensor, axis: int) -> Tensor:
    """Mirrors the images that are `chosen`, bool [n], along an axis."""
    functions = [lambda part, _: part, lambda part, _: tf.reverse(part, [axis])]
    return sampling.grouped(images, tf.cast(chosen, tf.int32), tf.zeros_like(chosen, tf.float32)[:, None], functions)


def move(
    images: Tensor,
    fill: float | Tensor = BLACK,
    *,
    rotate: float | Tensor = 0.0,
    shear_x: float | Tensor = 0.0,
    shear_y: float | Tensor = 0.0,
    translate_x: float | Tensor = 0.0,
    translate_y: float | Tensor = 0.0,
) -> Tensor:
    """Rotates, shears or shifts, nearest neighbour; each image by one of them, the others being 0.

    Args:
      images: [n, height, width, channels].
      fill: grey level of what comes from outside; a number or float32 [n].
      rotate: degrees counter-clockwise about the centre, -45 to 45. Each float32 [n], or 0.0 for all.
      shear_x, shear_y: row y reads from x + shear_x (y + 1/2); column x from y + shear_y (x + 1/2).
      translate_x, translate_y: the share of the width or height by which the contents move left or up.
    """
    height, width = images.shape[1], images.shape[2]
    zero = tf.zeros([tf.shape(images)[0]])
    sine, cosine = sine_cosine((zero + rotate) * (math.pi / 180.0))
    middle_x, middle_y = width / 2.0, height / 2.0
    matrix = [
        cosine, shear_x - sine, middle_x - cosine * middle_x + sine * middle_y + translate_x * float(width),
        shear_y + sine, cosine, middle_y - sine * middle_x - cosine * middle_y + translate_y * float(height),
    ]  # fmt: skip
    return affine(images, tf.stack(matrix, axis=1), fill)


def sine_cosine(angle: Tensor) -> tuple[Tensor, Tensor]:
    """Sine and cosine for |angle| <= pi/4, to float32's last bit or two.

    TensorFlow's own round differently in the vectorised and in the left-over part of a loop, so the pixels of an
    image would depend on its place in the batch. Sums and products do not.
    """
    square = angle * angle
    sine = cosine = tf.zeros_like(angle)
    for power in (9, 7, 5, 3, 1):
        sine = sine * square + (-1.0) ** (power // 2) / math.factorial(power)
    for power in (10, 8, 6, 4, 2, 0):
        cosine = cosine * square + (-1.0) ** (power // 2) / math.factorial(power)
    return sine * angle, cosine


def affine(images: Tensor, matrix: Tensor, fill: float | Tensor = BLACK) -> Tensor:
    """Nearest-neighbour affine map.

    Args:
      images: [n, height, width, channels].
      matrix: float32 [n, 6], rows (a, b, c, d, e, f): a pixel with centre (x, y) reads at (a x + b y + c, d x + e y +
        f).
      fill: grey level of what comes from outside; a number or float32 [n].
    """
    height, width = images.shape[1], images.shape[2]
    x, y = _centres(width)[None, None, :], _centres(height)[None, :, None]
    a, b, c, d, e, f = tf.unstack(matrix[:, :, None, None], 6, axis=1)
    # What lies outside is read from the nearest place of a frame of fill.
    column = tf.cast(tf.clip_by_value(tf.floor((a * x + c) + b * y), -1.0, float(width)), tf.int32)
    row = tf.cast(tf.clip_by_value(tf.floor((e * y + f) + d * x), -1.0, float(height)), tf.int32)
    return sampling.take(_framed(images, fill), row * (width + 2) + column, first=width + 3)


def shear_bicubic(images: Tensor, factor: Tensor, axis: int, fill: float | Tensor = GREY) -> Tensor:
    """Shears along x (axis 0) or y (axis 1) with Pillow's bicubic filter (a = -1) along that axis.

    Args:
      images: [n, height, width, channels] in 0..255.
      factor: float32 [n]; row y reads from x + factor (y + 1/2), or column x from y + factor (x + 1/2).
      axis: 0 or 1.
      fill: grey level of what comes from outside.
    """
    if axis:
        images = tf.transpose(images, [0, 2, 1, 3])
    height, width = images.shape[1], images.shape[2]
    position = _centres(width)[None, None, :] + factor[:, None, None] * _centres(height)[None, :, None]
    inside = (position >= 0.0) & (position < float(width))
    first = tf.floor(position - 0.5)
    t = (position - 0.5 - first)[..., None]
    first = tf.cast(first, tf.int32)
    v1, v2, v3, v4 = (
        tf.cast(tf.gather(images, tf.clip_by_value(first + tap, 0, width - 1), axis=2, batch_dims=2), tf.float32)
        for tap in (-1, 0, 1, 2)
    )
    value = v2 + t * (v3 - v1 + t * (2.0 * (v1 - v2) + v3 - v4 + t * (v2 - v1 + v4 - v3)))
    result = tf.where(inside[..., None], tf.clip_by_value(value, 0.0, 255.0), fill)
    result = tf.cast(tf.round(result) if images.dtype == tf.uint8 else result, images.dtype)
    return tf.transpose(result, [0, 2, 1, 3]) if axis else result


def _centres(size):
    return tf.constant(np.arange(size, dtype=np.float32) + 0.5)


def _framed(images, fill):
    """[n, (height + 2) x (width + 2), channels]: the pixels, and one of fill on every side."""
    count, height, width, channels = tf.shape(images)[0], *images.shape[1:]
    fill = tf.cast(tf.reshape(fill, [-1, 1, 1, 1]), images.dtype)
    side, edge = (tf.broadcast_to(fill, [count, *size, channels]) for size in ((height, 1), (1, width + 2)))
    framed = tf.concat([edge, tf.concat([side, images, side], axis=2), edge], axis=1)
    return tf.reshape(framed, [-1, (height + 2) * (width + 2), channels])
