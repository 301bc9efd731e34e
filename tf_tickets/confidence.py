"""Whether a network is right as often as it says: its confidences in bins of equal width (Guo et al. 2017)."""

from __future__ import annotations

from tf_tickets.lazy_modules import np

BINS = 15


def binned(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, sum of the confidences and correct predictions of each bin.

    Args:
      confidence: float [n] in (0, 1], of the predicted class.
      correct: boolean [n], whether it was right.
      bins: their number; bin i holds confidences in (i / bins, (i + 1) / bins].
    """
    index = np.clip(np.ceil(np.asarray(confidence) * bins).astype(int) - 1, 0, bins - 1)
    sure, right = (
        np.bincount(index, weights, bins) for weights in (np.asarray(confidence), np.asarray(correct, float))
    )
    return np.bincount(index, minlength=bins), sure, right


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> float:
    """Mean distance between confidence and accuracy over the bins, weighted by their images: a fraction.

    Args:
      confidence, correct, bins: as of `binned`.
    """
    images, sure, right = binned(confidence, correct, bins)
    return float(np.abs(sure - right).sum() / images.sum())
