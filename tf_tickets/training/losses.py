"""Losses: per-example values, summed and divided by the global batch in the step."""

import functools
from collections.abc import Callable, Sequence

import numpy as np

from tf_tickets.backend import tf

SMOOTHING = 0.1


def build(name: str, class_counts: Sequence[int] | np.ndarray) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """The function (targets, logits) -> float32 [n] of a `--loss`.

    Args:
      name: cross_entropy, cross_entropy_cosine, label_smoothing, logit_adjusted or class_weighted.
      class_counts: training images per class, for the last two.

    Targets are float32 [n, classes] with rows summing to one, logits float32 [n, classes].
    """
    if name == "logit_adjusted":
        prior = np.asarray(class_counts, np.float64) / np.sum(class_counts)
        # A class without images has no frequency to adjust by; the smallest count there can be stands in.
        offset = np.log(np.maximum(prior, 0.5 / np.sum(class_counts))).astype(np.float32)
        return functools.partial(logit_adjusted, offset)
    if name == "class_weighted":
        counts = np.asarray(class_counts, np.float64)
        weights = np.where(counts > 0, counts.sum() / (len(counts) * np.maximum(counts, 1)), 0.0).astype(np.float32)
        return functools.partial(class_weighted, weights)
    return {
        "cross_entropy": cross_entropy, "cross_entropy_cosine": cross_entropy_cosine,
        "label_smoothing": label_smoothing,
    }[name]  # fmt: skip


def cross_entropy(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Softmax cross-entropy."""
    return tf.nn.softmax_cross_entropy_with_logits(targets, logits)


def cross_entropy_cosine(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """0.1 cross-entropy + 1 - cos(logits, targets) (Barz & Denzler 2020, on one set of logits, as the release)."""
    length = tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(logits), -1) * tf.reduce_sum(tf.square(targets), -1), 1e-24))
    return 0.1 * cross_entropy(targets, logits) + 1.0 - tf.reduce_sum(logits * targets, -1) / length


def label_smoothing(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy to targets of which a tenth is spread over all classes (Szegedy et al. 2016)."""
    classes = tf.cast(tf.shape(targets)[1], targets.dtype)
    return cross_entropy((1.0 - SMOOTHING) * targets + SMOOTHING / classes, logits)


def logit_adjusted(offset: np.ndarray, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of logits + log class frequency (Menon et al. 2021; balanced softmax, Ren et al. 2020)."""
    return cross_entropy(targets, logits + tf.cast(offset, logits.dtype))


def class_weighted(weights: np.ndarray, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy times images / (classes x images of the class): over all images, every class counts alike."""
    return cross_entropy(targets, logits) * tf.reduce_sum(targets * tf.cast(weights, targets.dtype), -1)
