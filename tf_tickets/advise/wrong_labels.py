"""Labels that look wrong, by what probes say of images that they were not fitted to."""

from __future__ import annotations

import typing

from tf_tickets.lazy_modules import np


class Suspect(typing.NamedTuple):
    """An image whose label looks wrong.

    Attributes:
      row: of the image.
      given, suggested: its label, and the one that it looks like.
      probability_given, probability_suggested: of the two, out of fold.
    """

    row: int
    given: int
    suggested: int
    probability_given: float
    probability_suggested: float


def suspects(probabilities: np.ndarray, labels: np.ndarray) -> list[Suspect]:
    """Confident learning (Northcutt, Jiang and Chuang 2021): the images off the diagonal of the confident joint.

    A class's threshold is the mean of its probability over the images that have its label. An image is counted for the
    most probable of the classes whose thresholds it reaches; where that is not its label it is a suspect.

    Args:
      probabilities: float [n, classes], out of fold.
      labels: int [n].

    Returns:
      Most suspicious first: by probability of the label less that of the suggested class.
    """
    probabilities, labels = np.asarray(probabilities, np.float64), np.asarray(labels, np.int64)
    rows, counts = np.arange(len(labels)), np.bincount(labels, minlength=probabilities.shape[1])
    given = probabilities[rows, labels]
    with np.errstate(invalid="ignore", divide="ignore"):
        thresholds = np.bincount(labels, given, len(counts)) / counts
    reached = np.where((counts > 0) & (probabilities >= thresholds), probabilities, -1.0)
    suggested = reached.argmax(axis=1)
    there = np.flatnonzero((reached.max(axis=1) >= 0) & (suggested != labels))
    margin = given[there] - probabilities[there, suggested[there]]
    return [
        Suspect(
            int(row),
            int(labels[row]),
            int(suggested[row]),
            float(given[row]),
            float(probabilities[row, suggested[row]]),
        )
        for row in there[np.argsort(margin, kind="stable")]
    ]
