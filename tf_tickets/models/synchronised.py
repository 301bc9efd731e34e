"""Batch normalisation over the global batch, whatever the number of devices that share it."""

from tf_tickets.backend import keras, tf
from tf_tickets.models import normalisation


class SynchronisedNormalisation(keras.layers.BatchNormalization):
    """Batch normalisation whose mean and variance are those of all devices' images together.

    Keras' own, with `synchronized=True`, puts the biased variance into the running statistics, where PyTorch and Keras'
    fused layers put the unbiased one: n/(n - 1) of it, n being the images times positions of the global batch.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """[n, ..., channels] of one device -> the same shape; when training, every device has to take part."""
        if not training:
            return super().call(inputs, training=False)
        values = tf.cast(inputs, self.moving_mean.dtype)
        axes = list(range(len(values.shape) - 1))
        count = tf.cast(tf.size(values) / tf.shape(values)[-1], values.dtype)
        count, total = _summed([count, tf.reduce_sum(values, axes)])
        mean = total / count
        # The squares around the common mean: their sum minus that of the mean would cancel.
        (squares,) = _summed([tf.reduce_sum(tf.square(values - mean), axes)])
        variance = squares / count
        self._move(self.moving_mean, mean)
        self._move(self.moving_variance, squares / tf.maximum(count - 1.0, 1.0))
        normal = tf.nn.batch_normalization(values, mean, variance, self.beta, self.gamma, self.epsilon)
        return tf.cast(normal, inputs.dtype)

    def _move(self, statistic, value):
        statistic.assign(self.momentum * statistic + (1.0 - self.momentum) * tf.stop_gradient(value))


def _summed(parts):
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, parts)


def synchronise(model: keras.Model) -> keras.Model:
    """A clone of a functional network, with its state, that normalises by the statistics of the global batch."""
    return normalisation.replaced(model, SynchronisedNormalisation)
