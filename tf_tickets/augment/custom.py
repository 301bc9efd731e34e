"""The release's `custom` policy: its imgaug list as far as keras-cv carries it.

Kept: left-right mirror (probability 0.5) and top-bottom mirror (0.2); with probability 0.5 each, a zoom that crops up
to 5 % or pads up to 10 % of each side, and an affine map (scale 0.8 to 1.2 and shift up to 20 % per axis, rotation up
to 45 degrees, shear up to 16); then 0 to 5 entries of the release's list of 14, in random order, of which these do
something: Gaussian blur (sigma 0 to 3), sharpening, inversion (0.05 per channel), addition (-10 to 10), hue and
saturation (-20 to 20 of 255), multiplication (0.5 to 1.5), contrast (0.5 to 2 about 128), blending with grey. Half of
the additions, multiplications and contrasts draw per channel.

Dropped, because keras-cv has nothing like it: superpixels, emboss, edges under simplex noise, Gaussian noise, dropout,
elastic and piecewise-affine distortion, perspective; and inside kept entries: average and median blur, frequency noise,
sharpening's lightness, padding and warping modes other than a constant level, bilinear interpolation. A dropped entry
that is drawn does nothing, so the kept ones are as frequent as in the release. The release shuffles the five parts of
its list; here they come in the order above.
"""

import math

from tf_tickets.augment import colour, geometry, levels, sampling
from tf_tickets.augment.deferred import Tensor, tf
from tf_tickets.augment.operations import random_order
from tf_tickets.settings.policies import register

_ENTRIES = 14
_MOST = 5


@register("imgaug", "the release's imgaug list", colours=True, examples="imgaug")
def custom(images: Tensor, keys: Tensor, slot: int) -> Tensor:
    """Applies the list to uint8 [n, height, width, 1 or 3]; takes 43 slots."""
    left_right, top_bottom = (sampling.uniform(keys, slot + i) for i in range(2))
    images = geometry.mirrored(images, left_right < 0.5, 2)
    images = geometry.mirrored(images, top_bottom < 0.2, 1)
    return upright(images, keys, slot)


@register("imgaug_upright", "the same without its mirrors", colours=True)
def upright(images: Tensor, keys: Tensor, slot: int) -> Tensor:
    """The list without its two mirrors, for handwriting; as `custom`, with the same draws."""
    draws = [sampling.uniform(keys, slot + i) for i in range(29)]
    zoomed = geometry.affine(images, _zoom(images.shape, draws[2:6]), 255.0 * draws[6])
    images = sampling.select(draws[7] < 0.5, zoomed, images)
    moved = geometry.affine(images, _affine(images.shape, draws[8:14]), 255.0 * draws[14])
    images = sampling.select(draws[15] < 0.5, moved, images)
    # An entry comes up at most once, so all may read the same draws.
    units = tf.stack(draws[16:28], axis=1)
    order = random_order(keys, slot + len(draws), _ENTRIES)
    count = tf.cast(draws[28] * (_MOST + 1), tf.int32)
    functions = [lambda part, _: part, *_PARTS]
    for turn in range(_MOST):
        drawn = order[:, turn]
        chosen = tf.where((turn < count) & (drawn < len(_PARTS)), drawn + 1, 0)
        images = sampling.grouped(images, chosen, units, functions)
    return images


def _between(unit, low, high):
    return low + (high - low) * unit


def _zoom(shape, units):
    """Each side crops up to 5 % or pads up to 10 %."""
    left, right, top, bottom = (_between(unit, -0.05, 0.1) for unit in units)
    zero = tf.zeros_like(left)
    return tf.stack([1.0 + left + right, zero, -left * shape[2], zero, 1.0 + top + bottom, -top * shape[1]], axis=1)


def _affine(shape, units):
    """Shift, then rotation, shear and scale about the centre, as the map from output to source."""
    scale_x, scale_y = (_between(unit, 0.8, 1.2) for unit in units[:2])
    middle_x, middle_y = shape[2] / 2.0, shape[1] / 2.0
    from_x, from_y = (m + _between(u, -0.2, 0.2) * 2.0 * m for m, u in zip((middle_x, middle_y), units[2:4]))
    sine, cosine = geometry.sine_cosine(_between(units[4], -45.0, 45.0) * (math.pi / 180.0))
    shear_sine, shear_cosine = geometry.sine_cosine(_between(units[5], -16.0, 16.0) * (math.pi / 180.0))
    slope = shear_sine / shear_cosine
    a, b = (cosine - slope * sine) / scale_x, (sine + slope * cosine) / scale_x
    d, e = -sine / scale_y, cosine / scale_y
    return tf.stack([a, b, middle_x - a * from_x - b * from_y, d, e, middle_y - d * from_x - e * from_y], axis=1)


def _per_channel(images, units, low, high):
    """One value per image and channel, [n, channels]: the same for all channels with probability 1/2."""
    channels = images.shape[3]
    own = _between(units[:, 1 : 1 + channels], low, high)
    return tf.where(units[:, :1] < 0.5, own, own[:, :1])


def _blur(images, units):
    return colour.blur(images, _between(units[:, 0], 0.0, 3.0))


def _sharpen(images, units):
    return colour.sharpness(images, _between(units[:, 0], 1.0, 2.0))


def _invert(images, units):
    chosen = units[:, None, None, 1 : 1 + images.shape[3]] < 0.05
    return tf.where(chosen, levels.invert(images), images)


def _add(images, units):
    return levels.linear(images, 1.0, _per_channel(images, units, -10.0, 10.0))


def _multiply(images, units):
    return levels.linear(images, _per_channel(images, units, 0.5, 1.5), 0.0)


def _contrast(images, units):
    factor = _per_channel(images, units, 0.5, 2.0)
    return levels.linear(images, factor, 128.0 * (1.0 - factor))


def _turn_colours(images, units):
    amount = _between(units[:, 0], -20.0, 20.0) / 255.0
    return colour.hue(colour.saturate(images, 1.0 + amount), amount)


def _towards_grey(images, units):
    return colour.color(images, 1.0 - units[:, 0])


_PARTS = (_blur, _sharpen, _invert, _add, _turn_colours, _multiply, _contrast, _towards_grey)
