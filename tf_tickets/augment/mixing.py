"""MixUp (Zhang et al., ICLR 2018) and CutMix (Yun et al., ICCV 2019), each image with its own lambda.

The partner of an image is the next one in the order of their draws, so it depends on who is in the batch but not on how
the batch is arranged.
"""

from __future__ import annotations

import functools

from tf_tickets.augment import sampling
from tf_tickets.augment.deferred import Tensor, tf
from tf_tickets.lazy_modules import np
from tf_tickets.settings.policies import Argument, register

_QUANTILES = 4096
_SHAPE = Argument("a", float, 0.01, 100.0)


@register("mixup", "MixUp, lambda Beta(a, a)", _SHAPE, levels=False, mixing=True, examples="mixup(1)")
def mixup(images: Tensor, one_hot: Tensor, keys: Tensor, slot: int, a: float) -> tuple[Tensor, Tensor]:
    """The mean of image and partner with weight lambda, Beta(a, a) and at least 1/2, and the same of the labels.

    Beta(a, a) is symmetric: with lambda below 1/2, image and partner only change places.
    """
    partner, share = _partner(keys, slot), _beta(keys, slot + 1, a)
    share = tf.maximum(share, 1.0 - share)
    pixels = tf.cast(images, tf.float32)
    mixed = _blend(pixels, tf.gather(pixels, partner), share[:, None, None, None])
    if images.dtype == tf.uint8:
        mixed = tf.round(mixed)
    return tf.cast(mixed, images.dtype), _mixed_labels(one_hot, partner, share)


@register("cutmix", "CutMix, lambda Beta(a, a)", _SHAPE, levels=False, mixing=True, examples="cutmix(1)")
def cutmix(images: Tensor, one_hot: Tensor, keys: Tensor, slot: int, a: float) -> tuple[Tensor, Tensor]:
    """A box of the partner, 1 - lambda of the area, lambda Beta(a, a); labels by the area left after clipping."""
    height, width = images.shape[1], images.shape[2]
    partner = _partner(keys, slot)
    side = tf.sqrt(1.0 - _beta(keys, slot + 1, a))
    rows = _span(height, side, sampling.integers(keys, slot + 2, height))
    columns = _span(width, side, sampling.integers(keys, slot + 3, width))
    box = rows[:, :, None] & columns[:, None, :]
    covered = tf.reduce_sum(tf.cast(box, tf.int32), axis=[1, 2])
    share = 1.0 - tf.cast(covered, tf.float32) / float(height * width)
    mixed = tf.where(box[..., None], tf.gather(images, partner), images)
    return mixed, _mixed_labels(one_hot, partner, share)


def _span(size, share, centre):
    """The positions within share x size around the centre, bool [n, size]."""
    length = tf.cast(share * float(size), tf.int32)
    first = centre - length // 2
    position = tf.range(size)
    return (position >= first[:, None]) & (position < (first + length)[:, None])


def _partner(keys, slot):
    order = tf.argsort(sampling.uniform(keys, slot), stable=True)
    return tf.scatter_nd(order[:, None], tf.roll(order, -1, axis=0), tf.shape(order))


def _mixed_labels(one_hot, partner, share):
    return _blend(one_hot, tf.gather(one_hot, partner), tf.cast(share, one_hot.dtype)[:, None])


def _blend(first, second, share):
    return second + share * (first - second)


def _beta(keys, slot, a):
    """Beta(a, a) by its quantiles at 4,096 midpoints, float32 [n]: TensorFlow's own sampler has no per-image keys."""
    return tf.gather(tf.constant(_quantiles(a)), sampling.integers(keys, slot, _QUANTILES))


@functools.cache
def _quantiles(a):
    from scipy import special

    return special.betaincinv(a, a, (np.arange(_QUANTILES) + 0.5) / _QUANTILES).astype(np.float32)
