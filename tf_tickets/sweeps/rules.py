"""How `tune` chooses: by folds of the training images, or by the norm of the weights. Arithmetic alone."""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence

# The share of its training images that a network of the last epoch has to label rightly to fit them.
FIT = 0.99
# Rounding of sums; a bound has to be missed by more.
_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A point that was trained on all training images.

    Attributes:
      train_accuracy, train_loss: of the last epoch, over its augmented images as they were trained on.
      norm: the Euclidean norm of all trained variables.
    """

    train_accuracy: float
    train_loss: float
    norm: float

    @property
    def fits(self) -> bool:
        """Whether it fits its training images."""
        return self.train_accuracy >= FIT


def by_simplicity(values: Sequence[Mapping]) -> list[int]:
    """The places of points, the simplest first: larger weight decay, then smaller learning rate, then as listed.

    Args:
      values: of each point, its settings by name; those that the grid does not name count as equal.
    """
    return sorted(
        range(len(values)),
        key=lambda index: (-values[index].get("weight_decay", 0.0), values[index].get("learning_rate", 0.0), index),
    )


def estimate(scores: Sequence[float]) -> tuple[float, float]:
    """(mean, standard error of the mean) of the scores of at least two folds."""
    return statistics.fmean(scores), statistics.stdev(scores) / math.sqrt(len(scores))


def is_within(estimated: tuple[float, float], best: tuple[float, float]) -> bool:
    """Whether a mean is at most one standard error of the best's below the best's; both as of `estimate`."""
    return estimated[0] >= best[0] - best[1] - _ROUNDING


def choose_by_folds(scores: Sequence[Mapping[int, float]], folds: int, order: Sequence[int]) -> tuple[int, int]:
    """One standard error towards the simpler (Breiman et al. 1984; Hastie et al. 2009, 7.10).

    Args:
      scores: of each point, its scores by fold. Points that lack a fold are out.
      folds: how many there are.
      order: the places of all points, the simplest first.

    Returns:
      (chosen, best): the simplest point whose mean is at most one standard error of the best below the best's; and
      the point of the highest mean, of equals the simplest.

    Raises:
      ValueError: no point has all folds.
    """
    estimates = {index: estimate(list(scores[index].values())) for index in order if len(scores[index]) == folds}
    best = max(estimates, key=lambda index: round(estimates[index][0] / _ROUNDING))
    return next(index for index in estimates if is_within(estimates[index], estimates[best])), best


def hopeless(scores: Sequence[Mapping[int, float]], folds: int) -> list[int]:
    """The points that cannot be chosen, nor be the best, whatever the folds to come show.

    A score lies in [0, 1], so a point's mean is at most what it is when all folds to come score 1. Where that is below
    the lowest that the best's mean less its standard error can still be, over every point that may become the best, the
    point's own folds to come change nothing.

    Args:
      scores: of each point that may be chosen, its scores by fold; of others none is given.
      folds: how many there are.

    Returns:
      Places in `scores`, of points that lack a fold.
    """
    done = [list(each.values()) for each in scores]
    least = max((statistics.fmean(each) for each in done if len(each) == folds), default=0.0)
    lowest = min((_lowest_threshold(each, folds, least) for each in done), default=0.0)
    return [
        index for index, each in enumerate(done)
        if len(each) < folds and (sum(each) + folds - len(each)) / folds < lowest - _ROUNDING
    ]  # fmt: skip


def _lowest_threshold(done, folds, least):
    """The lowest mean less standard error of a point whose mean is `least` or more; infinity where it cannot be.

    Mean less standard error is concave in the scores to come, so its minimum over those in [0, 1] with a mean of
    `least` or more lies in a corner: all of them 0 or 1, or all but one, which brings the mean to `least`.
    """
    rest, values = folds - len(done), []
    for ones in range(rest + 1):
        corner = [*done, *[1.0] * ones, *[0.0] * (rest - ones)]
        if statistics.fmean(corner) >= least - _ROUNDING:
            values.append(corner)
        between = least * folds - sum(done) - ones
        if ones < rest and 0.0 <= between <= 1.0:
            values.append([*done, *[1.0] * ones, between, *[0.0] * (rest - ones - 1)])
    return min((mean - error for mean, error in map(estimate, values)), default=math.inf)


def following(scores: Sequence[Mapping[int, float]], folds: int) -> list[tuple[int, int]]:
    """The (point, fold) pairs to train next, all at once; none: every point has all folds.

    First one fold of every point; then all folds of the one that was best in it, against which others may turn out
    to be hopeless; then fold after fold.

    Args:
      scores: of each point that may be chosen, its scores by fold.
      folds: how many there are.
    """
    missing = [[fold for fold in range(folds) if fold not in each] for each in scores]
    first = [(index, 0) for index, each in enumerate(missing) if 0 in each]
    if first or not scores:
        return first
    leader = max(range(len(scores)), key=lambda index: scores[index][0])
    if missing[leader]:
        return [(leader, fold) for fold in missing[leader]]
    fold = min((each[0] for each in missing if each), default=folds)
    return [(index, fold) for index, each in enumerate(missing) if fold in each]


def choose_by_norm(fitted: Sequence[Fitted | None], order: Sequence[int]) -> int:
    """Twin's rule (Brigato and Mougiakakou 2024, arXiv 2403.05532): see docs/science.md.

    Args:
      fitted: what each point came to; None of those that are out.
      order: the places of all points, the simplest first.

    Returns:
      Among the points that fit, the one of the smallest norm; where none fits, the one of the smallest training loss;
      of equals the simplest.

    Raises:
      ValueError: there is no point.
    """
    there = {index: point for index in order if (point := fitted[index]) is not None}
    fitting = [index for index, point in there.items() if point.fits]
    if fitting:
        return min(fitting, key=lambda index: there[index].norm)
    return min(there, key=lambda index: there[index].train_loss)
