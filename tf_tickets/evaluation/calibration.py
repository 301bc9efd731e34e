"""Where a network errs and whether it knows: calibration error, its temperature, accuracy by class, confusion."""

from __future__ import annotations

import math
import typing

from tf_tickets import confidence
from tf_tickets.lazy_modules import np

if typing.TYPE_CHECKING:  # it imports TensorFlow
    from collections.abc import Iterable

    from tf_tickets.data.pipeline import Images

UNCALIBRATED, TEMPERATURE = "calibration_error_uncalibrated", "temperature"
_OF_PROBABILITIES = ("calibration_error", UNCALIBRATED, TEMPERATURE)


def confidences(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """The largest of each image's class probabilities softmax(logits / temperature), float64 [n]."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return 1.0 / np.exp(shifted / temperature).sum(axis=1)


def fitted(logits: np.ndarray, labels: np.ndarray, method: str) -> dict:
    """The temperature under which labels are most likely (Guo et al. 2017, "On Calibration of Modern Neural Networks").

    Where every image is right none is: the likelihood rises for ever as it falls. It stays 1 then.

    Args:
      logits: float [n, classes], of images that the network was not trained on.
      labels: int [n].
      method: the `--calibration` that says which images they are.

    Returns:
      A Ticket's `calibration`: dict with `temperature`, between `facts.COLDEST` and `HOTTEST`, `method`, `images`, and
      the mean negative log-likelihood, `loss_before` at temperature 1 and `loss` at the one fitted.
    """
    from scipy import optimize, special  # which take half a second to import

    from tf_tickets.runtime.facts import COLDEST, HOTTEST

    logits = logits.astype(np.float64)

    def loss(logarithm):
        likelihood = special.log_softmax(logits / math.exp(logarithm), axis=1)[np.arange(len(labels)), labels]
        return -float(np.mean(likelihood))

    # Of log T, in which the loss has one minimum as well: it is convex in 1 / T.
    bounds = math.log(COLDEST), math.log(HOTTEST)
    if np.array_equal(logits.argmax(axis=1), labels):  # the colder the likelier: they say nothing of the next mistake
        logarithm = 0.0
    else:
        best = optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9})
        logarithm = float(best.x)  # pyright: ignore[reportAttributeAccessIssue]  of an OptimizeResult
    return {
        "temperature": min(max(math.exp(logarithm), COLDEST), HOTTEST), "method": method, "images": len(labels),
        "loss": max(loss(logarithm), 0.0), "loss_before": max(loss(0.0), 0.0),
    }  # fmt: skip


def metrics(logits: np.ndarray, images: Images, temperature: float) -> list[tuple[str, float, int]]:
    """The rows of the calibration error of logits, float [n, classes], of a data.pipeline.Images.

    Where a temperature was fitted: that of the ticket's probabilities, that without the temperature, and it itself.
    """
    correct = logits.argmax(axis=1) == images.labels
    errors = [confidence.expected_calibration_error(confidences(logits, each), correct) for each in (temperature, 1.0)]
    rows = [("calibration_error", errors[0]), (UNCALIBRATED, errors[1]), (TEMPERATURE, temperature)]
    return [(*row, len(images)) for row in (rows if temperature != 1.0 else rows[:1])]


def of_temperature(rows: Iterable[dict[str, str]], temperature: float) -> list[dict[str, str]]:
    """The rows without those of the same network's probabilities at another temperature.

    Args:
      rows: of one network, with the columns `runs.EVALUATION_COLUMNS`.
      temperature: of the network as it is now.
    """
    rows = list(rows)
    measured = {_place(row): float(row["value"]) for row in rows if row["metric"] == TEMPERATURE}
    return [r for r in rows if r["metric"] not in _OF_PROBABILITIES or measured.get(_place(r), 1.0) == temperature]


def _place(row):
    return row["evaluator"], row["setting"]


def confusion(logits: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """How often images of one class were taken for another: int64 [true class, predicted class]."""
    pairs = np.asarray(labels) * classes + logits.argmax(axis=1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
