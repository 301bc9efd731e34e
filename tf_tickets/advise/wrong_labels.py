"""Labels that look wrong, by what probes say of images that they were not fitted to."""

from __future__ import annotations

import typing

from tf_tickets.lazy_modules import np


class Suspect(typing.NamedTuple):
    """An image whose label looks wrong.

    Attributes:
      row: of the image.
      given, suggested: its label, and the class that is more probable.
      probability_given, probability_suggested: of the two, out of fold.
    """

    row: int
    given: int
    suggested: int
    probability_given: float
    probability_suggested: float


def suspects(probabilities: np.ndarray, labels: np.ndarray) -> list[Suspect]:
    """The images whose labels are least probable, as many as confident learning counts.

    Args:
      probabilities: float [n, classes], out of fold, a mean over repeats.
      labels: int [n].

    Returns:
      Most suspicious first, by the probability of the label; of equals the earlier row. Images of which no other class
      is more probable are left out, and those that are the only one of their class: the probes that predict them do not
      know it.
    """
    probabilities, labels = np.asarray(probabilities, np.float64), np.asarray(labels, np.int64)
    rows = np.arange(len(labels))
    given, suggested = probabilities[rows, labels], probabilities.argmax(axis=1)
    there = np.flatnonzero((suggested != labels) & (np.bincount(labels)[labels] > 1))
    order = there[np.argsort(given[there], kind="stable")][: confident_errors(probabilities, labels)]
    return [
        Suspect(int(row), int(labels[row]), int(suggested[row]), float(given[row]), float(probabilities[row].max()))
        for row in order
    ]


def confident_errors(probabilities: np.ndarray, labels: np.ndarray) -> int:
    """The images off the diagonal of the confident joint (Northcutt, Jiang and Chuang 2021, section 3.1).

    A class's threshold is the mean of its probability over the images that have its label. An image counts for the most
    probable of the classes whose thresholds it reaches; one that reaches none is not counted.

    Args:
      probabilities: float [n, classes], out of fold.
      labels: int [n].
    """
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    own = np.bincount(labels, probabilities[np.arange(len(labels)), labels], len(counts))
    known = (counts[labels] > 1)[:, None] & (counts > 1)
    reached = np.where(known & (probabilities >= own / np.maximum(counts, 1)), probabilities, -1.0)
    return int(np.sum((reached.max(axis=1) >= 0) & (reached.argmax(axis=1) != labels)))
