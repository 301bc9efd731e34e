"""SimCLR's objective (Chen et al. 2020): two views of an image are more alike than views of different images."""

from collections.abc import Callable

from tf_tickets.augment.deferred import keras_cv
from tf_tickets.backend import tf


def simclr(temperature: float) -> Callable:
    """The normalised-temperature cross-entropy of keras-cv, over both views of every image.

    Args:
      temperature: divides the cosine similarities.

    Returns:
      An objective on batches (first views, second views), normalised float32 [n, height, width, channels]. An image
      is `correct` when of all other views in the batch its second is the most like its first. Each device contrasts
      its own share of a batch.
    """
    loss = keras_cv().losses.SimCLRLoss(temperature)

    def objective(model, first, second):
        # Through the network at once: normalisation sees both views.
        both = tf.cast(model(tf.concat([first, second], axis=0), training=True), tf.float32)
        first, second = tf.split(both, 2)
        # keras-cv adds up the two directions.
        return 0.5 * loss.call(first, second), _nearest(first, second)

    return objective


def _nearest(first, second):
    first, second = tf.math.l2_normalize(first, 1), tf.math.l2_normalize(second, 1)
    negatives = tf.linalg.set_diag(tf.matmul(first, first, transpose_b=True), tf.fill([tf.shape(first)[0]], -2.0))
    similarity = tf.concat([tf.matmul(first, second, transpose_b=True), negatives], axis=1)
    right = tf.range(tf.shape(first)[0], dtype=tf.int64)
    return tf.cast(tf.equal(tf.argmax(similarity, 1), right), tf.float32)
