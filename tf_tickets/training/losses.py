"""Losses: per-example values, summed and divided by the global batch in the step."""

from tf_tickets.backend import tf


def cross_entropy(targets, logits):
    """Softmax cross-entropy.

    Args:
      targets: float32 [n, classes], rows summing to one.
      logits: float32 [n, classes].

    Returns:
      float32 [n].
    """
    return tf.nn.softmax_cross_entropy_with_logits(targets, logits)
