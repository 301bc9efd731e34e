"""Operations on whole batches: `(images, keys, slot, arguments) -> images`, float32 [n, height, width, channels]."""

from tf_tickets.augment import sampling
from tf_tickets.backend import tf


def crop(images, keys, slot, padding):
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
    rows = tf.gather(padded, top[:, None] + tf.range(height), axis=1, batch_dims=1)
    columns = tf.gather(tf.transpose(rows, [0, 2, 1, 3]), left[:, None] + tf.range(width), axis=1, batch_dims=1)
    return tf.transpose(columns, [0, 2, 1, 3])


def flip(images, keys, slot):
    """Mirrors left and right with probability 1/2."""
    mirrored = sampling.uniform(keys, slot) < 0.5
    return tf.where(mirrored[:, None, None, None], tf.reverse(images, [2]), images)
