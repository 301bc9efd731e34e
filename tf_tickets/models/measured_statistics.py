"""Statistics of batch normalisation, measured anew where a network has other weights than those it was trained with."""

from collections.abc import Callable, Iterable

import numpy as np

from tf_tickets.backend import keras, tf
from tf_tickets.models.normalisation import FrozenNormalisation


def measure(model: keras.Model, batches: Callable[[], Iterable[np.ndarray]], stop: Callable[[], None]) -> int:
    """Gives every batch normalisation the mean and the unbiased variance of what it sees of some images.

    Layer by layer, in the network's order, so that each sees what those before it make of the images by their new
    statistics: the network, as it predicts, normalises these images exactly. It takes one pass through a part of the
    network for each layer. Frozen statistics stay.

    Args:
      model: a functional network.
      batches: function -> the images, normalised float32 [n, height, width, channels] each, the same at every call.
      stop: called before each layer; raises where a stop is wanted.

    Returns:
      How many layers were measured.
    """
    layers = [
        layer for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization) and not isinstance(layer, FrozenNormalisation)
    ]  # fmt: skip
    for layer in layers:
        stop()
        before = keras.Model(model.input, layer.input)
        mean, variance = _moments((before(images, training=False) for images in batches()), layer.axis)
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(variance)
    return len(layers)


def _moments(batches, axis):
    """Float32 mean and unbiased variance over all axes but one, of parts whose sums are joined in float64."""
    count, mean, squares = 0, np.zeros(()), np.zeros(())
    for values in batches:
        axes = [number for number in range(values.shape.rank) if number not in list(axis)]
        part = tf.cast(values, tf.float64)
        of_part, deviation = (moment.numpy() for moment in tf.nn.moments(part, axes))
        size = values.shape.num_elements() // len(of_part)
        difference, total = of_part - mean, count + size
        squares = squares + deviation * size + difference**2 * (count * size / total)
        mean, count = mean + difference * (size / total), total
    return mean.astype(np.float32), (squares / max(count - 1, 1)).astype(np.float32)
