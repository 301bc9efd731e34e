"""How often a linear probe of these pictures is right about pictures that it has not seen, and how sure that is."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterable

from tf_tickets import confidence
from tf_tickets.advise import held_out
from tf_tickets.lazy_modules import np

PARTS, REPEATS = 10, 5


@dataclasses.dataclass(frozen=True)
class OutOfFold:
    """What probes say of images that they were not fitted to.

    Attributes:
      probabilities: float64 [repeats, n, classes]; a class without an image in a training part has 0.
      part: int64 [repeats, n], the part in which an image was held out.
      parts: how many.
      strengths: float64 [repeats, n], the inverse penalty of the probe that predicts an image.
    """

    probabilities: np.ndarray
    part: np.ndarray
    parts: int
    strengths: np.ndarray


class Interval(typing.NamedTuple):
    """A share in [0, 1] and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class ClassEstimate:
    """Of one class.

    Attributes:
      label: its number.
      images: how many it has.
      accuracy: the share that is recognised; None of a class of fewer than two images, which cannot be held out.
      confused_with: (label, share of the class's images) that are taken for another class, most frequent first.
    """

    label: int
    images: int
    accuracy: Interval | None
    confused_with: tuple[tuple[int, float], ...]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What to expect of a probe that is fitted to all images.

    Attributes:
      accuracy, balanced_accuracy: None where no class has two images.
      classes: of each class that has images, in the order of labels.
      confusions: float64 [classes, classes], images of the row's class that are taken for the column's, a mean
        over repeats.
      calibration_error: expected calibration error, a share; mean of repeats.
    """

    accuracy: Interval | None
    balanced_accuracy: Interval | None
    classes: tuple[ClassEstimate, ...]
    confusions: np.ndarray
    calibration_error: float


def out_of_fold(
    features: np.ndarray,
    labels: np.ndarray,
    ids: Iterable[str | int],
    seed: int = 0,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> OutOfFold:
    """Probabilities of each image by probes that were fitted without it: repeated stratified cross-validation.

    Each probe's penalty is chosen by parts of its own training images (docs/science.md, What advise computes).

    Args:
      features: float [n, d].
      labels: int [n] from 0, of at least two classes.
      ids: n different ids; they decide the parts, not the order of rows.
      seed: of the draws.
      stop: asked before each fit.

    Raises:
      ValueError: arrays that do not fit.
      StopRequested: `stop()` said so.
    """
    images, order = held_out.images_of(features, labels, ids)
    parts, repeats, strengths = held_out.effort(images, PARTS, REPEATS)
    part = np.stack([held_out.parts(images, parts, "folds", seed, repeat) for repeat in range(repeats)])
    tried = np.stack(
        [held_out.cross_predictions(images, row, strengths, stop, seed, repeat) for repeat, row in enumerate(part)],
        axis=1,
    )
    kept, place = held_out.chosen(tried, images.labels, part)
    back = np.argsort(order)
    return OutOfFold(kept[:, back].astype(np.float64), part[:, back], parts, np.array(strengths)[place][:, back])


def wilson(right: float, images: float) -> Interval:
    """A share and its 95 % score interval (Wilson 1927), of which both numbers may be fractions."""
    from tf_tickets.report import statistics  # which imports SciPy

    share = right / images
    return Interval(share, *statistics.score_interval(share, images))


def mean_interval(intervals: Iterable[Interval]) -> Interval:
    """The mean of independent shares, its interval by square-and-add (Zou and Donner 2008)."""
    values = np.array(list(intervals))
    low, high = (((values[:, 0] - values[:, side]) ** 2).sum() ** 0.5 / len(values) for side in (1, 2))
    value = float(values[:, 0].mean())
    return Interval(value, max(0.0, value - float(low)), min(1.0, value + float(high)))


def estimate(out_of_fold: OutOfFold, labels: np.ndarray) -> Estimate:
    """Accuracy, balanced accuracy and accuracy by class with 95 % intervals, confusions and calibration error.

    An image counts by the share of repeats that have it right. Intervals are Wilson's for fewer images: n over
    `held_out.inflation`. Images that are the only one of their class are left out of accuracies: the probes that
    predict them do not know it.

    Args:
      out_of_fold: of `out_of_fold`.
      labels: int [n], as given there.
    """
    labels = np.asarray(labels, np.int64)
    repeats, _, classes = out_of_fold.probabilities.shape
    said = out_of_fold.probabilities.argmax(axis=2)
    right, counts = (said == labels).mean(axis=0), np.bincount(labels, minlength=classes)
    confusions = np.zeros((classes, classes))
    np.add.at(confusions, (np.tile(labels, repeats), said.ravel()), 1 / repeats)
    factor = held_out.inflation(out_of_fold.parts, repeats)
    measured = {
        label: wilson(float(right[labels == label].sum()) / factor, float(counts[label]) / factor)
        for label in np.flatnonzero(counts > 1)
    }
    known = np.isin(labels, list(measured))
    sure = out_of_fold.probabilities.max(axis=2)
    return Estimate(
        wilson(float(right[known].sum()) / factor, float(known.sum()) / factor) if measured else None,
        mean_interval(measured.values()) if measured else None,
        tuple(
            ClassEstimate(int(label), int(counts[label]), measured.get(label), _confused(confusions[label], label))
            for label in np.flatnonzero(counts)
        ),
        confusions,
        float(np.mean([
            confidence.expected_calibration_error(*pair) for pair in zip(sure, said == labels)
        ])),
    )  # fmt: skip


def _confused(row, label):
    """(label, share) of the classes that a class is taken for, most frequent first."""
    wrong = np.where(np.arange(len(row)) == label, 0.0, row)
    order = np.argsort(-wrong, kind="stable")
    return tuple((int(taken), float(wrong[taken] / row.sum())) for taken in order if wrong[taken] > 0)
