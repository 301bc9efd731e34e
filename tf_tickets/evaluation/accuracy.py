"""Clean accuracy from logits, weighted by examples."""

from collections.abc import Callable

import numpy as np

from tf_tickets.data import pipeline
from tf_tickets.data.catalog import DataSet
from tf_tickets.errors import StopRequested
from tf_tickets.workers import messages
from tf_tickets.workers import team as teams

BATCH = 500


def logits_of(
    compute: Callable[[np.ndarray], np.ndarray], images: pipeline.Images, data_set: DataSet, batch: int = BATCH, *,
    stop: Callable[[], bool] = lambda: False, team: teams.Alone = teams.ALONE,
) -> np.ndarray:  # fmt: skip
    """Logits of a split, batch by batch, the last one short.

    Args:
      compute: function float32 [n, height, width, channels] -> logits [n, classes].
      data_set: a catalog.DataSet, for normalisation.
      batch: images a call.
      stop: function asked before each batch, by all workers alike.
      team: the team.Team that takes turns in computing batches, each of which stays whole.

    Returns:
      float32 [len(images), classes].

    Raises:
      StopRequested: `stop()` said so.
    """
    parts = []
    for first in range(0, len(images), batch * team.size):
        if stop():
            raise StopRequested("stopped on request during an evaluation; run again to continue")
        start = first + batch * team.index
        if start < len(images):
            pixels = pipeline.evaluation_pixels(images, slice(start, start + batch), data_set)
            parts.append(compute(data_set.normalise(pixels)))
    sizes = (min(batch, len(images) - first) for first in range(0, len(images), batch))
    expected = [messages.ArraySpec((size, data_set.classes), np.dtype(np.float32)) for size in sizes]
    return np.concatenate(team.gathered(parts, expected))


def metrics(logits: np.ndarray, labels: np.ndarray, classes: int, loss: str = "cross_entropy") -> dict[str, float]:
    """Accuracy, balanced accuracy (mean of per-class recall over the classes present) and mean loss.

    Args:
      logits: float [n, classes].
      labels: int [n].
      classes: their number.
      loss: the run's `--loss`; cross_entropy_cosine is evaluated as itself, all others as cross-entropy.

    Returns:
      dict with accuracy, balanced_accuracy (fractions) and loss.
    """
    logits = logits.astype(np.float64)
    correct = logits.argmax(axis=1) == labels
    present = np.bincount(labels, minlength=classes)
    recall = np.bincount(labels, correct, classes)[present > 0] / present[present > 0]
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probability = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    value = -log_probability[np.arange(len(labels)), labels].mean()
    if loss == "cross_entropy_cosine":
        length = np.maximum(np.linalg.norm(logits, axis=1), 1e-12)
        value = 0.1 * value + 1.0 - (logits[np.arange(len(labels)), labels] / length).mean()
    return {
        "accuracy": float(correct.mean()),
        "balanced_accuracy": float(recall.mean()),
        "loss": float(value),
    }
