"""The gradient of the training loss by the weights, for criteria that ask for it."""

from collections.abc import Callable

import numpy as np

from tf_tickets.backend import keras, tf
from tf_tickets.data import catalog, pipeline

_BATCH = 500


class LossGradient:
    """The gradient of the mean loss over a split by some weights, where the network stands when it is asked.

    Images are not augmented and normalisation is in inference mode, so the value depends on the weights and the images
    alone. Weights that are removed have the gradient 0.
    """

    def __init__(
        self, model: keras.Model, loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], images: pipeline.Images,
        data_set: catalog.DataSet,
    ):  # fmt: skip
        """`loss`: function (targets, logits) -> float32 [n], from `losses.build`."""
        self._model, self._loss, self._images, self._data_set = model, loss, images, data_set
        self._sums = tf.function(self._batch_sums, reduce_retracing=True, autograph=False)

    def __call__(self, kernels: dict[str, tf.Variable]) -> dict[str, np.ndarray]:
        """Float32 arrays of the kernels' shapes, by layer name."""
        sums = {name: np.zeros(tuple(kernel.shape)) for name, kernel in kernels.items()}  # pyright: ignore[reportCallIssue, reportArgumentType]  known of variables
        for first in range(0, len(self._images), _BATCH):
            part = slice(first, first + _BATCH)
            pixels = pipeline.evaluation_pixels(self._images, part, self._data_set)
            targets = tf.one_hot(self._images.labels[part], self._data_set.classes)
            gradients = self._sums(self._data_set.normalise(pixels), targets, kernels)
            for name, gradient in gradients.items():
                sums[name] += gradient.numpy()
        return {name: (total / len(self._images)).astype(np.float32) for name, total in sums.items()}

    def _batch_sums(self, images, targets, kernels):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(kernels.values()))
            loss = tf.reduce_sum(self._loss(targets, self._model(images, training=False)))
        return tape.gradient(loss, kernels)
