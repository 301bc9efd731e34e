"""Draws inside TensorFlow: one 64-bit key per image, one slot per draw, no generator state.

The integer hash is the SplitMix64 finalizer of `tf_tickets.seeds`, so a draw is the same eagerly, inside tf.data with
any number of threads, and in any batch.
"""

from collections.abc import Callable

from tf_tickets import seeds
from tf_tickets.augment.deferred import Tensor, tf


def _mix(values):
    shift, xor = tf.bitwise.right_shift, tf.bitwise.bitwise_xor
    values = xor(values, shift(values, tf.constant(30, tf.uint64))) * tf.constant(seeds.MIX_1, tf.uint64)
    values = xor(values, shift(values, tf.constant(27, tf.uint64))) * tf.constant(seeds.MIX_2, tf.uint64)
    return xor(values, shift(values, tf.constant(31, tf.uint64)))


def uniform(keys: Tensor, slot: int, low: float | Tensor = 0.0, high: float | Tensor = 1.0) -> Tensor:
    """One draw per image.

    Args:
      keys: int64 tensor [n], from `seeds.image_keys`.
      slot: int, which of an image's draws this is.
      low, high: range of the draw, high excluded.

    Returns:
      float32 tensor [n] in [low, high).
    """
    offset = tf.constant(seeds.fold("slot", slot), tf.uint64)
    bits = _mix(tf.bitwise.bitwise_xor(tf.bitcast(keys, tf.uint64), offset))
    # 24 bits are what a float32 in [0, 1) holds exactly.
    unit = tf.cast(tf.bitwise.right_shift(bits, tf.constant(40, tf.uint64)), tf.float32) * 2.0**-24
    return low + (high - low) * unit


def integers(keys: Tensor, slot: int, count: int) -> Tensor:
    """One int32 in 0..count-1 per image."""
    return tf.minimum(tf.cast(uniform(keys, slot) * float(count), tf.int32), count - 1)


def select(chosen: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Whole images of `first` where `chosen`, bool [n], else of `second`."""
    # The older Select takes one condition per row and copies rows; tf.where would spread the condition over all pixels.
    return tf.raw_ops.Select(condition=chosen, x=first, y=second)


def take(rows: Tensor, index: Tensor, first: int = 0) -> Tensor:
    """rows[i, first + index[i, ...]] of each i: [n, k] or [n, k, channels] by int32 [n, ...]."""
    # One flat gather is twice as fast as tf.gather with batch_dims.
    offset = tf.range(tf.shape(rows)[0]) * tf.shape(rows)[1] + first
    flat = tf.reshape(rows, [-1, *rows.shape[2:]])
    return tf.gather(flat, index + tf.reshape(offset, [-1] + [1] * (index.shape.rank - 1)))


def grouped(images: Tensor, choice: Tensor, values: Tensor, functions: list[Callable]) -> Tensor:
    """Applies to each image the function that it chose.

    Args:
      images: [n, height, width, channels].
      choice: int32 [n], which of the functions.
      values: float32 [n, k], handed to the function with its group.
      functions: list of (images, values) -> images.

    Returns:
      Images in the order they came.
    """
    count = len(functions)
    groups = tf.dynamic_partition(images, choice, count)
    parts = tf.dynamic_partition(values, choice, count)
    places = tf.dynamic_partition(tf.range(tf.shape(images)[0]), choice, count)
    done = [function(group, part) for function, group, part in zip(functions, groups, parts)]
    return tf.ensure_shape(tf.dynamic_stitch(places, done), images.shape)
