"""Paired comparisons over seeds: a t interval beside a sign-flip permutation test.

Runs that share their seeds share their luck, so dense and ticket are compared pair by pair. The t interval gives the
size of the difference; the permutation test needs no normal distribution and is exact for few pairs. scipy.stats has
such a test too, with which `tests/test_report_statistics.py` compares ours: its import alone takes seconds of a report,
and for many pairs its draws are others than those that published p-values are of.
"""

import dataclasses
import typing
from collections.abc import Sequence

import numpy as np
from scipy import special

_EXACT_PAIRS = 16
_DRAWS = 100_000
# 1 - 0.95 is not 0.05.
_ROUNDING = 1e-12
# Of the standard normal distribution 95 % lie so far from zero.
_NORMAL = 1.959963984540054


class Interval(typing.NamedTuple):
    """A mean, its confidence interval and the sample standard deviation, in the unit of the values.

    Below two values `low`, `high` and `sd` are None; so are `low` and `high` of two equal values, which say nothing of
    how far a third would lie.
    """

    mean: float
    low: float | None
    high: float | None
    sd: float | None


@dataclasses.dataclass(frozen=True)
class PairedDifference:
    """Ticket minus dense over pairs of runs.

    Attributes:
      mean: mean difference, in the unit of the accuracies (fractions).
      low, high: bounds of the t interval in the same unit, None below two pairs, and of two pairs that agree.
      n: number of pairs.
      p_value: two-sided sign-flip p-value, exact for up to 16 pairs.
      confidence: level of the interval, in (0, 1).
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    p_value: float
    confidence: float = 0.95

    @property
    def exact(self) -> bool:
        """Whether the p-value counts all sign flips rather than a sample of them."""
        return self.n <= _EXACT_PAIRS

    @property
    def shown(self) -> bool:
        """Whether both the interval and the permutation test exclude "no difference".

        With few pairs even the smallest possible p-value is too large, see `pairs_needed`.
        """
        outside = self.low is not None and (self.low > 0 or self.high < 0)
        return bool(outside and self.p_value <= 1 - self.confidence + _ROUNDING)

    def sentence(self) -> str:
        """The comparison of accuracies given as fractions, in plain words and percentage points."""
        text = f"ticket - dense: {points(self.mean)} points, "
        if self.low is None:
            text += f"{no_interval(self.n)}, "
        else:
            text += f"{100 * self.confidence:g} % interval [{points(self.low)}, {points(self.high)}], "
        text += f"{self.n} pair{'s' if self.n != 1 else ''}, "
        text += f"{'exact ' if self.exact else ''}sign-flip p = {probability(self.p_value)}"
        return text if self.shown else f"{text}; no difference shown"


def points(fraction: float, digits: int = 1) -> str:
    """A difference of fractions as signed percentage points; a rounded zero reads +0.0."""
    return f"{round(100 * fraction, digits) + 0.0:+.{digits}f}"


def no_interval(pairs: int) -> str:
    """What stands in place of the interval of so many pairs, one or two."""
    return "no interval" if pairs == 1 else "no interval since both pairs agree"


def probability(p_value: float) -> str:
    """A p-value with three decimals, or more where those would read 0.000."""
    return f"{p_value:.3f}" if p_value >= 0.001 else f"{p_value:.1g}"


def smallest_p_value(pairs: int) -> float:
    """The sign-flip p-value of so many differences of one sign: of all flips they and their mirror image are as far."""
    return 2.0 ** (1 - pairs)


def pairs_needed(confidence: float = 0.95) -> int:
    """How many pairs it takes until a difference can be shown at all: six at 95 %."""
    pairs = 1
    while smallest_p_value(pairs) > 1 - confidence + _ROUNDING:
        pairs += 1
    return pairs


def mean_interval(values: Sequence[float] | np.ndarray, confidence: float = 0.95) -> Interval:
    """The mean of `values`, its Student t interval and their standard deviation.

    Args:
      values: finite numbers, [n] with n >= 1.
      confidence: level of the interval, in (0, 1).

    Returns:
      An Interval in the unit of the values.

    Raises:
      ValueError: no values, values that are not finite, or a level outside (0, 1).
    """
    values = _checked(values)
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence={confidence} is not in (0, 1)")
    mean = float(values.mean())
    if len(values) < 2:
        return Interval(mean, None, None, None)
    deviation = float(values.std(ddof=1))
    if len(values) == 2 and deviation <= _ROUNDING * abs(mean):
        return Interval(mean, None, None, deviation)
    half = float(special.stdtrit(len(values) - 1, (1 + confidence) / 2)) * (deviation / len(values) ** 0.5)
    return Interval(mean, mean - half, mean + half, deviation)


def score_interval(share: float, images: float) -> tuple[float, float]:
    """The 95 % score interval (Wilson 1927) of a share of so many images; both may be what is left of a correction."""
    room = _NORMAL**2 / images
    middle = (share + room / 2) / (1 + room)
    half = _NORMAL / (1 + room) * (share * (1 - share) / images + room / (4 * images)) ** 0.5
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def paired_difference(
    dense: Sequence[float] | np.ndarray, ticket: Sequence[float] | np.ndarray, confidence: float = 0.95
) -> PairedDifference:
    """Compares ticket with dense over pairs.

    Args:
      dense, ticket: accuracies as fractions, [n] each; entry i of both comes from the same seeds.
      confidence: level of the interval, in (0, 1).

    Raises:
      ValueError: lengths differ, no pair, a value that is not finite, or a level outside (0, 1).
    """
    dense, ticket = _checked(dense), _checked(ticket)
    if len(dense) != len(ticket):
        raise ValueError(f"{len(dense)} dense and {len(ticket)} ticket accuracies are no pairs")
    differences = ticket - dense
    mean, low, high, _ = mean_interval(differences, confidence)
    return PairedDifference(mean, low, high, len(differences), _sign_flip(differences), confidence)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """P-values corrected for looking at several comparisons, such as all rounds of a run (Holm 1979).

    Rejecting where the result is at most 0.05 keeps the chance of any false claim among all of them at most 0.05,
    however they depend on each other.

    Args:
      p_values: [n] in [0, 1].

    Returns:
      float64 [n] in [0, 1], in the order given.
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")
    corrected = np.empty(len(values))
    corrected[order] = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    return np.minimum(corrected, 1.0)


def _sign_flip(differences):
    """Share of sign flips whose sum is at least as far from zero as the observed one."""
    n = len(differences)
    if n <= _EXACT_PAIRS:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        # RandomState: its stream is frozen, so the p-value never changes with the version of numpy.
        signs = 1 - 2 * np.random.RandomState(0).randint(0, 2, size=(_DRAWS, n), dtype=np.int8)
    # Accuracies are multiples of 1/images, so sums often tie; rounding must not break the ties.
    slack = 1e-12 * np.abs(differences).sum()
    extreme = int(np.count_nonzero(np.abs(signs @ differences) >= abs(differences.sum()) - slack))
    if n <= _EXACT_PAIRS:
        return extreme / 2**n
    return (extreme + 1) / (_DRAWS + 1)


def _checked(values):
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError("accuracies are not a list of at least one finite number")
    return values
