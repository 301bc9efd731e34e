"""Derivatives by the prunable weights that criteria at initialisation ask for (docs/science.md, Criteria)."""

import functools
import operator
from collections.abc import Callable, Iterator

import numpy as np

from tf_tickets import seeds
from tf_tickets.backend import keras, tf
from tf_tickets.data import catalog, pipeline

# Images of each class in the batch, as in Lee et al. 2019 for ten classes and in Wang et al. 2020.
PER_CLASS = 10
# What Wang et al. divide the logits by, so that the softmax is nearly uniform.
TEMPERATURE = 200.0
# Images at a time: those of ten classes, which are normalised by their own mean and variance.
_PART = 10 * PER_CLASS
# The ones that flow in are so much smaller, which scales all flows alike and keeps units that saturate linear.
_INPUT = 2.0**-300


def balanced(images: pipeline.Images, seed: int) -> pipeline.Images:
    """`PER_CLASS` images of each class, or all that it has, drawn by a seed: one of each class, then the next."""
    draws = seeds.spread(seeds.fold("criterion_batch", seed), images.ids)
    order = np.lexsort((draws, images.labels))
    labels = images.labels[order]
    rank = np.arange(len(order)) - np.searchsorted(labels, labels)
    drawn = rank < PER_CLASS
    return images.part(order[drawn][np.lexsort((labels[drawn], rank[drawn]))])


class BatchDerivatives:
    """Derivatives of the mean loss over a batch, where a network stands, in training mode: of one device, float32."""

    def __init__(
        self, model: keras.Model, kernels: dict[str, tf.Variable],
        loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], images: pipeline.Images, data_set: catalog.DataSet,
    ):  # fmt: skip
        """What of what.

        Args:
          model: with logits out; its statistics of normalisation move.
          kernels: by which the derivatives are, by layer name.
          loss: function (targets, logits) -> float32 [n], from `losses.build`.
          images: the batch; it is normalised `_PART` images at a time.
          data_set: that the images are of.
        """
        self._model, self._kernels, self._loss = model, kernels, loss
        self._images, self._data_set = images, data_set
        self._first = tf.function(self._gradient, reduce_retracing=True, autograph=False)
        self._second = tf.function(self._hessian_product, reduce_retracing=True, autograph=False)

    def gradients(self, temperature: float = 1.0) -> dict[str, np.ndarray]:
        """g, the gradient, with logits divided by a temperature: arrays by layer name."""
        return self._mean(lambda images, targets: self._first(images, targets, tf.constant(temperature)))

    def hessian_products(self) -> dict[str, np.ndarray]:
        """H g, with logits divided by `TEMPERATURE`: arrays by layer name."""
        along = {name: tf.constant(array) for name, array in self.gradients(TEMPERATURE).items()}
        return self._mean(lambda images, targets: self._second(images, targets, tf.constant(TEMPERATURE), along))

    def _parts(self) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        for first in range(0, len(self._images), _PART):
            part = slice(first, first + _PART)
            pixels = pipeline.evaluation_pixels(self._images, part, self._data_set)
            yield self._data_set.normalise(pixels), tf.one_hot(self._images.labels[part], self._data_set.classes)

    def _mean(self, of_part):
        sums = {name: np.zeros(tuple(kernel.shape)) for name, kernel in self._kernels.items()}  # pyright: ignore[reportCallIssue, reportArgumentType]  known of variables
        for images, targets in self._parts():
            for name, array in of_part(images, targets).items():
                sums[name] += array.numpy()
        return {name: (total / len(self._images)).astype(np.float32) for name, total in sums.items()}

    def _gradient(self, images, targets, temperature):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(self._kernels.values()))
            loss = tf.reduce_sum(self._loss(targets, self._model(images, training=True) / temperature))
        return tape.gradient(loss, self._kernels, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    def _hessian_product(self, images, targets, temperature, along):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(self._kernels.values()))
            gradient = self._gradient(images, targets, temperature)
            # The gradient of g'v, v held fixed, is H v.
            products = [tf.reduce_sum(gradient[name] * along[name]) for name in gradient]
            product = functools.reduce(operator.add, products)
        return tape.gradient(product, self._kernels, unconnected_gradients=tf.UnconnectedGradients.ZERO)


class SynapticFlow:
    """The gradient of R = 1' (product over layers of |W|) 1 by |W|, by the network's own arithmetic, in float64.

    R grows with the product of all layers' fans: float32 overflows in deep and wide networks.
    """

    def __init__(self, model: keras.Model, kernels: dict[str, tf.Variable]):
        """`model`: of float64, whose outputs are summed, in inference mode."""
        self._model, self._kernels = model, kernels
        self._computed = tf.function(self._gradient, autograph=False)

    def __call__(self) -> dict[str, np.ndarray]:
        """Float64 arrays by layer name, where the network stands: at `positive` weights."""
        return {name: array.numpy() for name, array in self._computed().items()}

    def _gradient(self):
        ones = tf.fill([1, *self._model.input_shape[1:]], tf.constant(_INPUT, tf.float64))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(self._kernels.values()))
            flow = tf.reduce_sum(self._model(ones, training=False))
        gradients = tape.gradient(flow, self._kernels, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return {name: tf.convert_to_tensor(gradient) / _INPUT for name, gradient in gradients.items()}


def positive(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A state's absolute values; biases, shifts and running means, which are in no product of weights, are zero."""
    nothing = ("bias", "beta", "moving_mean")
    return {name: np.abs(array) * np.float32(not name.endswith(nothing)) for name, array in arrays.items()}
