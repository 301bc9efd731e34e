"""Where a network errs and whether it knows: calibration error, accuracy by class, confusion."""

from __future__ import annotations

import typing

from tf_tickets.lazy_modules import np

if typing.TYPE_CHECKING:  # it imports TensorFlow
    from tf_tickets.data.pipeline import Images

BINS = 15


def confidences(logits: np.ndarray) -> np.ndarray:
    """The largest class probability of each image, float64 [n]."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return 1.0 / np.exp(shifted).sum(axis=1)


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> float:
    """Mean distance between confidence and accuracy over bins of equal width (Guo et al. 2017).

    Args:
      confidence: float [n] in (0, 1], of the predicted class.
      correct: boolean [n], whether it was right.
      bins: their number; bin i holds confidences in (i / bins, (i + 1) / bins].

    Returns:
      The distances weighted by the images of each bin, a fraction.
    """
    index = np.clip(np.ceil(np.asarray(confidence) * bins).astype(int) - 1, 0, bins - 1)
    gap = np.bincount(index, np.asarray(confidence), bins) - np.bincount(index, np.asarray(correct, float), bins)
    return float(np.abs(gap).sum() / len(index))


def metric(logits: np.ndarray, images: Images) -> tuple[str, float, int]:
    """The row of the calibration error of logits, float [n, classes], of a data.pipeline.Images."""
    correct = logits.argmax(axis=1) == images.labels
    return "calibration_error", expected_calibration_error(confidences(logits), correct), len(images)


def confusion(logits: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """How often images of one class were taken for another: int64 [true class, predicted class]."""
    pairs = np.asarray(labels) * classes + logits.argmax(axis=1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
