"""Batches for training: a pure function of (order_seed, round, epoch, image id), startable at any step."""

import dataclasses

import numpy as np

from tf_tickets import seeds
from tf_tickets.backend import tf
from tf_tickets.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Images:
    """A split in memory.

    Attributes:
      pixels: uint8 [n, height, width, channels].
      labels: int64 [n].
      ids: int64 [n], positions in the data set's original order; they seed order and augmentation.
    """

    pixels: np.ndarray
    labels: np.ndarray
    ids: np.ndarray

    def __len__(self):
        """Number of images."""
        return len(self.labels)


def steps_per_epoch(count, batch_size):
    """Steps of an epoch; the last, short batch counts."""
    return -(-count // batch_size)


def chunks(count, batch_size, replicas):
    """How an epoch's positions are dealt out: one row (start, size, size of the global batch) per step and replica.

    A batch is split as evenly as it goes. An empty share would crash a convolution on the CPU and mean nothing to
    batch normalisation, so a last batch smaller than the number of replicas is refused.
    """
    rows = []
    for start in range(0, count, batch_size):
        size = min(batch_size, count - start)
        if size < replicas:
            raise UsageError(
                f"--batch_size={batch_size}: {count} images leave a last batch of {size}, which {replicas} devices "
                f"cannot share; choose a batch size that leaves at least {replicas}"
            )
        bounds = [start + size * replica // replicas for replica in range(replicas + 1)]
        rows += [(low, high - low, size) for low, high in zip(bounds, bounds[1:])]
    return np.array(rows, np.int64)


def training_batches(images, *, data_set, augment, batch_size, order_seed, round_index, first_step, epochs, devices):
    """The batches of a round, from `first_step` on.

    Args:
      images: Images.
      data_set: a catalog.DataSet, for normalisation and the number of classes.
      augment: function (uint8 images, float32 one-hot labels, int64 keys) -> (images, labels).
      batch_size: over all replicas.
      order_seed, round_index: with the epoch and image id, they fix order and augmentation.
      first_step: global step to start at, epoch x steps per epoch + batch.
      epochs: the epoch at which the round ends.
      devices: a backend.Devices.

    Returns:
      An iterable of (float32 images, float32 one-hot targets, float32 1 / global batch), one element per replica.
    """
    layout = chunks(len(images), batch_size, devices.replicas)
    first_epoch, skipped = divmod(first_step, len(layout) // devices.replicas)
    pixels, labels = tf.constant(images.pixels), tf.constant(images.labels)

    def tables(epoch):
        order = seeds.epoch_order(order_seed, round_index, int(epoch), images.ids)
        return order, seeds.image_keys(order_seed, round_index, int(epoch), images.ids[order])

    def epoch_batches(epoch):
        order, keys = tf.numpy_function(tables, [epoch], [tf.int64, tf.int64], stateful=False)
        order, keys = tf.ensure_shape(order, [len(images)]), tf.ensure_shape(keys, [len(images)])
        return tf.data.Dataset.from_tensor_slices(layout).map(
            lambda row: (order[row[0] : row[0] + row[1]], keys[row[0] : row[0] + row[1]], row[2])
        )

    def load(order, keys, size):
        targets = tf.one_hot(tf.gather(labels, order), data_set.classes)
        batch, targets = augment(tf.gather(pixels, order), targets, keys)
        batch = tf.ensure_shape(batch, [None, *data_set.image_shape])
        return data_set.normalise(tf.cast(batch, tf.float32)), targets, 1.0 / tf.cast(size, tf.float32)

    def make(_):
        batches = tf.data.Dataset.range(first_epoch, epochs).flat_map(epoch_batches).skip(skipped * devices.replicas)
        batches = batches.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return batches.prefetch(4 * devices.replicas)

    return devices.strategy.distribute_datasets_from_function(make)
