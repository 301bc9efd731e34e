"""Two networks on the same images: by how much one is right more often, with an interval (docs/science.md, The rival).

The interval of a difference of accuracies is Newcombe's for paired proportions (Statistics in Medicine 17, 1998, method
10), which holds for few images and for differences near its ends. A balanced accuracy is the mean of the recalls of the
classes: their intervals are combined by the square-and-add rule (MOVER; Zou and Donner, the same journal 27, 2008).
"""

import typing
from collections.abc import Sequence

import numpy as np


class Difference(typing.NamedTuple):
    """How two networks compare on the same images, in fractions.

    Attributes:
      first, second: their accuracies, or balanced accuracies.
      low, high: the 95 % interval of first minus second.
      images: how many.
      balanced: whether every class counts alike.
    """

    first: float
    second: float
    low: float
    high: float
    images: int
    balanced: bool

    @property
    def mean(self) -> float:
        """First minus second."""
        return self.first - self.second

    @property
    def shown(self) -> bool:
        """Whether the interval excludes "no difference"."""
        return self.low > 0 or self.high < 0


def outcomes(labels: np.ndarray, first: np.ndarray, second: np.ndarray, classes: int) -> list[list[int]]:
    """How many images of each class both networks have right, the first alone, the second alone, and none.

    Args:
      labels, first, second: integers [n], true and predicted classes.
      classes: their number.

    Returns:
      A list of `classes` lists of four whole numbers.
    """
    cases = 2 * (first != labels) + (second != labels)
    return np.bincount(4 * labels + cases, minlength=4 * classes).reshape(classes, 4).tolist()


def difference(counts: Sequence[Sequence[int]]) -> Difference:
    """Compares two networks by the counts of `outcomes`, by balanced accuracy where the classes are uneven.

    Args:
      counts: [classes, 4]; at least one image.
    """
    table = np.array([row for row in counts if sum(row)], np.int64)
    sizes = table.sum(axis=1)
    balanced = bool((sizes != sizes[0]).any())
    strata = table if balanced else table.sum(axis=0, keepdims=True)
    means = [
        ((both + first) / n, (both + second) / n) for (both, first, second, _), n in zip(strata, strata.sum(axis=1))
    ]
    first, second = np.mean(means, axis=0)
    below, above = np.sqrt(np.square([_distances(*map(int, row)) for row in strata]).sum(axis=0)) / len(strata)
    middle = first - second
    return Difference(
        float(first), float(second), float(middle - below), float(middle + above), int(sizes.sum()), balanced
    )


def _distances(both, first, second, neither):
    """How far below and above the difference of two paired proportions its interval reaches."""
    n = both + first + second + neither
    (p, p_low, p_high), (q, q_low, q_high) = (_wilson(both + alone, n) for alone in (first, second))
    phi = _correlation(both, first, second, neither)
    below = (p - p_low) ** 2 - 2 * phi * (p - p_low) * (q_high - q) + (q_high - q) ** 2
    above = (p_high - p) ** 2 - 2 * phi * (p_high - p) * (q - q_low) + (q - q_low) ** 2
    return max(below, 0.0) ** 0.5, max(above, 0.0) ** 0.5


def _wilson(right, n):
    """A proportion and the ends of its Wilson interval."""
    from scipy import stats  # which takes a second to import

    return right / n, *stats.binomtest(right, n).proportion_ci(0.95, "wilson")


def _correlation(both, first, second, neither):
    """Of the two outcomes, with Newcombe's correction for continuity where it is positive."""
    margins = (both + first) * (second + neither) * (both + second) * (first + neither)
    if not margins:
        return 0.0
    product = both * neither - first * second
    if product > 0:
        product = max(product - (both + first + second + neither) / 2, 0.0)
    return product / margins**0.5
