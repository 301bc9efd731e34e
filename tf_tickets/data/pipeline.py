"""Batches for training: a pure function of (order_seed, round, epoch, image id), startable at any step."""

import dataclasses
import functools
from collections.abc import Callable, Iterator

import numpy as np

from tf_tickets import seeds
from tf_tickets.backend import tf
from tf_tickets.data import lazy, pictures, sources
from tf_tickets.data.catalog import DataSet
from tf_tickets.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Images:
    """A split, in memory or read as it is wanted.

    Attributes:
      pixels: uint8 or uint16 [n, height, width, channels]; pictures of any size stay encoded: bytes, object [n]. Or a
        lazy.Pixels of either.
      labels: int64 [n].
      ids: int64 [n], positions in the data set's original order; they seed order and augmentation.
    """

    pixels: np.ndarray | lazy.Pixels
    labels: np.ndarray
    ids: np.ndarray

    @classmethod
    def of(cls, source: sources.Source, positions: np.ndarray, lazy: bool = False) -> "Images":
        """Training images of a source at positions, integers [n], in that order; `lazy` as in `Source.images`."""
        positions = np.asarray(positions, np.int64)
        return cls(source.images(positions, lazy), np.asarray(source.labels)[positions], positions)

    @classmethod
    def of_test(cls, source: sources.Source, lazy: bool = False) -> "Images":
        """All test images of a source."""
        pixels, labels = source.test(lazy=lazy)
        return cls(pixels, np.asarray(labels), np.arange(len(labels)))

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)

    def __getitem__(self, rows: slice | np.ndarray) -> "Images":
        """The images of some rows."""
        return Images(self.pixels[rows], self.labels[rows], self.ids[rows])

    def part(self, rows: np.ndarray) -> "Images":
        """The images of some rows, read as they are wanted where these are."""
        pixels = self.pixels.part(rows) if isinstance(self.pixels, lazy.Pixels) else self.pixels[rows]
        return Images(pixels, self.labels[rows], self.ids[rows])


@dataclasses.dataclass(frozen=True)
class Draws:
    """What a batch's random numbers come from.

    Attributes:
      keys: int64 [n], one per image.
      noise: int32 [2], of this replica's share of the batch.
      shared: int32 [2], of the whole batch.
    """

    keys: object
    noise: object
    shared: object


def supervised(data_set: DataSet, augment: Callable) -> Callable:
    """Loads (normalised float32 images, float32 one-hot targets).

    Args:
      augment: function (uint8 images, float32 one-hot labels, int64 keys) -> (images, labels).
    """
    load = _augmented(data_set, augment)

    def normalised(pixels, labels, draws):
        images, targets = load(pixels, labels, draws.keys)
        return data_set.normalise(images), targets

    return normalised


def attacked(data_set: DataSet, augment: Callable, eps: float, probability: float = 0.8) -> Callable:
    """Loads (float32 images in [0, 1], targets, noise that an attack starts from).

    The noise is uniform within `eps`, or, for whole batches, nothing (docs/science.md, Robustness).
    """
    load = _augmented(data_set, augment)

    def with_noise(pixels, labels, draws):
        images, targets = load(pixels, labels, draws.keys)
        noise = tf.random.stateless_uniform(tf.shape(images), draws.noise, -eps, eps)
        noisy = tf.random.stateless_uniform([], draws.shared) < probability
        return images / np.float32(data_set.scale), targets, tf.where(noisy, noise, 0.0)

    return with_noise


def two_views(data_set: DataSet, augment: Callable) -> Callable:
    """Loads two normalised views of every image, drawn apart, for contrastive learning."""
    load = _augmented(data_set, augment)

    def views(pixels, labels, draws):
        # An odd multiplier maps keys one to one, so the second view's draws are as distinct as the first's.
        keys = draws.keys, draws.keys * 0x2545F4914F6CDD1D
        return tuple(data_set.normalise(load(pixels, labels, part)[0]) for part in keys)

    return views


def _augmented(data_set, augment):
    def load(pixels, labels, keys):
        if pixels.dtype == tf.uint16:
            pixels = tf.cast(pixels, tf.float32)
        images, targets = augment(pixels, tf.one_hot(labels, data_set.classes), keys)
        return tf.cast(tf.ensure_shape(images, [None, *data_set.image_shape]), tf.float32), targets

    return load


def evaluation_pixels(images: Images, chosen: slice | np.ndarray, data_set: DataSet) -> np.ndarray:
    """What evaluation sees of some images.

    Args:
      chosen: a slice of them.

    Returns:
      float32 [k, height, width, channels] of stored pixel values; of pictures of any size the middle.
    """
    part = images.pixels[chosen]
    if part.dtype == object:
        part = pictures.centre_crops(tuple(data_set.image_shape))(tf.constant(part.tolist())).numpy()
    return part.astype(np.float32)


def measured(data_set: DataSet, images: Images) -> DataSet:
    """The data set with mean and deviation of these images, per channel, where it has none of its own."""
    if data_set.mean is not None:
        return data_set
    count, total, squares = 0, np.zeros(()), np.zeros(())
    for start in range(0, len(images), 100):
        pixels = evaluation_pixels(images, slice(start, start + 100), data_set).astype(np.float64) / data_set.scale
        pixels = pixels.reshape(-1, pixels.shape[-1])
        count, total = count + len(pixels), total + pixels.sum(axis=0)
        squares = squares + np.square(pixels).sum(axis=0)
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    # A constant channel says nothing; dividing by one leaves it so.
    deviation = np.where(deviation > 1e-6, deviation, 1.0)
    return dataclasses.replace(
        data_set, mean=tuple(round(float(m), 6) for m in mean), deviation=tuple(round(float(d), 6) for d in deviation)
    )


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Steps of an epoch; the last, short batch counts."""
    return -(-count // batch_size)


def chunks(count: int, batch_size: int, replicas: int) -> np.ndarray:
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


def _gathering(pixels, channels):
    """A function from int64 rows [k] to the tensor of their pixels, or of their bytes, [k], or a pictures.Decoded."""
    if not isinstance(pixels, lazy.Pixels):
        decoded = None if channels is None else pictures.Decoded.of(pixels, channels)
        if decoded is not None:
            return decoded.__getitem__
        held = tf.constant(pixels.tolist() if pixels.dtype == object else pixels)
        return functools.partial(tf.gather, held)
    kind = tf.string if pixels.dtype == object else tf.as_dtype(pixels.dtype)

    def read(rows):
        # Stateless, for a reader with state would be called by one thread.
        pictures_read = tf.numpy_function(pixels.__getitem__, [rows], kind, stateful=False)
        return tf.ensure_shape(pictures_read, [None, *pixels.each])

    return read


class TrainingBatches:
    """The training batches of a run: the input pipeline is built and traced once, every round iterates it anew."""

    def __init__(self, images, *, load, batch_size, order_seed, devices, channels=None):
        """Builds the pipeline.

        Args:
          images: Images.
          load: makes a batch of images and labels, one of `supervised`, `attacked` and `two_views`.
          batch_size: over all replicas.
          order_seed: with round, epoch and image id, it fixes order and augmentation.
          devices: a backend.Devices.
          channels: of pictures of any size, which are decoded once where they fit into `pictures.KEPT` bytes; None:
            of pixels, or to decode the pictures of every batch.
        """
        self._images, self._load, self._batch_size, self._order_seed = images, load, batch_size, order_seed
        layout = chunks(len(images), batch_size, devices.replicas).reshape(-1, devices.replicas, 3)[:, devices.local]
        self._replicas, self._layout = layout.shape[1], layout.reshape(-1, 3)
        self._pixels, self._labels = _gathering(images.pixels, channels), tf.constant(images.labels)
        self._wanted = np.zeros(4, np.int64)
        self._batches = devices.strategy.distribute_datasets_from_function(self._make)

    def iterate(self, round_index: int, first_step: int, epochs: int) -> Iterator[tuple]:
        """The batches of a round, from a step on.

        Args:
          round_index: which round's order and augmentation.
          first_step: global step to start at, epoch x steps per epoch + batch.
          epochs: the epoch at which the round ends.

        Returns:
          An iterator over (float32 1 / global batch, *what `load` gives), one element per replica of this process.
        """
        first_epoch, skipped = divmod(first_step, len(self._layout) // self._replicas)
        self._wanted = np.array([round_index, first_epoch, skipped * self._replicas, epochs], np.int64)
        return iter(self._batches)

    def _make(self, _):
        # Autograph would only translate what has no Python control flow on tensors, for half a second a function.
        plain = tf.autograph.experimental.do_not_convert
        batches = tf.data.Dataset.range(1).flat_map(plain(self._round))
        batches = batches.map(plain(self._element), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return batches.prefetch(4 * self._replicas)

    def _round(self, start):
        # Asked for with an argument, so that nobody takes the answer for a constant.
        wanted = tf.numpy_function(lambda _: self._wanted, [start], tf.int64, stateful=False)
        round_index, first_epoch, skipped, epochs = tf.unstack(tf.ensure_shape(wanted, [4]))
        plain = tf.autograph.experimental.do_not_convert

        def epoch_batches(epoch):
            types = [tf.int64, tf.int64, tf.int32]
            order, keys, noise = tf.numpy_function(self._tables, [round_index, epoch], types, stateful=False)
            count = len(self._images)
            order, keys, noise = (tf.ensure_shape(a, [n]) for a, n in ((order, count), (keys, count), (noise, 2)))

            def share(row):
                return order[row[0] : row[0] + row[1]], keys[row[0] : row[0] + row[1]], noise, row

            # Rows are cut off here: Dataset.skip by a tensor inside flat_map crashes TensorFlow 2.21 now and then.
            rows = tf.constant(self._layout)[tf.where(epoch == first_epoch, skipped, 0) :]
            return tf.data.Dataset.from_tensor_slices(rows).map(plain(share))

        return tf.data.Dataset.range(first_epoch, epochs).flat_map(plain(epoch_batches))

    def _tables(self, round_index, epoch):
        place = self._order_seed, int(round_index), int(epoch)
        order = seeds.epoch_order(*place, self._images.ids)
        return order, seeds.image_keys(*place, self._images.ids[order]), seeds.tensor_seed("attack", *place)

    def _element(self, order, keys, noise, row):
        start, _, size = tf.unstack(row)
        fold_in = tf.random.experimental.stateless_fold_in  # pyright: ignore[reportAttributeAccessIssue]  not in the stubs
        draws = Draws(keys, fold_in(noise, 2 * start), fold_in(noise, 2 * (start // self._batch_size) + 1))
        batch = self._load(self._pixels(order), tf.gather(self._labels, order), draws)
        return 1.0 / tf.cast(size, tf.float32), *batch
