"""The comparison of dense and ticket in words."""

import pandas

from tf_tickets.columns import percent
from tf_tickets.registry import CONTROLS
from tf_tickets.report import naming, statistics, test_images

NO_TICKET = "No ticket to compare: no run has both a dense round 0 and a later round."
ENOUGH = statistics.pairs_needed()
_NUMBERS = "no one two three four five six seven eight nine ten eleven twelve".split()


def count(amount: int, noun: str) -> str:
    """A number with its noun: `six pairs`, `one pair`, `13 pairs`."""
    return f"{number(amount)} {noun}{'' if amount == 1 else 's'}"


def number(amount: int) -> str:
    """A number as words have it: `six`, `13`."""
    return _NUMBERS[amount] if amount < len(_NUMBERS) else f"{amount:,}"


def interval(low: float | None, high: float | None) -> str:
    """`[+0.3, +2.8]` of two fractions as points, or a dash."""
    return "–" if low is None else f"[{statistics.points(low)}, {statistics.points(high)}]"


def numbers(difference: statistics.PairedDifference) -> str:
    """Interval, pairs and p of a statistics.PairedDifference, as the inside of brackets."""
    bounds = statistics.no_interval(difference.n)
    if difference.low is not None:
        bounds = f"95 % interval {interval(difference.low, difference.high)}"
    test = f"{'exact ' if difference.exact else ''}sign-flip p = {statistics.probability(difference.p_value)}"
    return f"{bounds}, {count(difference.n, 'pair')}, {test}"


def alone(rows: pandas.DataFrame) -> str:
    """What stands where a recipe, of these rows, has no ticket and dense network to compare."""
    control = CONTROLS[rows["control"].iloc[0]]
    if not control.fits:
        return NO_TICKET
    mean, runs, bounds = percent(rows["test_accuracy"].mean()), rows["run"].nunique(), test_images.interval(rows)
    bounds = f", 95 % interval {bounds} test images" if bounds else ""
    return (
        f"{control.title.capitalize()}: test accuracy {mean}{bounds}, {count(runs, 'run')}; nothing was trained but "
        "the head."
    )


def headline(density: float, dense: float, ticket: float, difference: statistics.PairedDifference) -> str:
    """The result at one density.

    Args:
      density: fraction of the weights left.
      dense, ticket: mean accuracies, fractions.

    Returns:
      One or two sentences; a difference is claimed only where `difference.shown`.
    """
    where = f"At {_density(density)} of the weights"
    size = abs(100 * difference.mean)
    if difference.shown:
        amount = f"{size:.1f}" if size >= 0.05 else f"{size:.2g}"
        return (
            f"{where} the ticket is {amount} points {'better' if difference.mean > 0 else 'worse'} than its dense "
            f"network: {_accuracy(ticket)} against {_accuracy(dense)}, {numbers(difference)}."
        )
    text = (
        f"{where} no difference between the ticket and its dense network is shown: {_accuracy(ticket)} against "
        f"{_accuracy(dense)}, {statistics.points(difference.mean)} points, {numbers(difference)}."
    )
    if difference.n < ENOUGH:
        few = count(difference.n, "pair").capitalize()
        text += f" {few} cannot show one, whatever the numbers: that takes at least {number(ENOUGH)}."
    return text


def over_rounds(pairs: pandas.DataFrame) -> tuple[list[float], str]:
    """What is left when all rounds of a group are looked at together.

    Args:
      pairs: rows of `pairing.paired` of one digest.

    Returns:
      (list of corrected p-values, one sentence).
    """
    corrected = statistics.holm(pairs["p_value"])
    left = int((corrected <= 0.05 + 1e-12).sum())
    rounds = "one round" if len(pairs) == 1 else f"all {number(len(pairs))} rounds"
    text = f"Holm's correction for looking at {rounds} leaves {left if left else 'none'} below 0.05"
    most = int(pairs["n"].max())
    smallest = statistics.smallest_p_value(most)
    after = min(smallest * len(pairs), 1.0)
    if not left and after > 0.05:
        text += (
            f"; with {count(most, 'pair')} none could be, since the smallest possible p is "
            f"{statistics.probability(smallest)} for one round and {statistics.probability(after)} after the correction"
        )
    return list(corrected), text + "."


def _density(fraction):
    return f"{100 * fraction:.1f} %" if fraction >= 0.01 else f"{100 * fraction:.2g} %"


def _accuracy(fraction):
    return percent(fraction) if fraction < 1e-3 else f"{100 * fraction:.1f} %"


def reached(digest: str, last: int, count: int, runs: int) -> str:
    """A sentence where not all runs of a digest have its last round."""
    if count == runs:
        return ""
    if naming.is_refit(digest):
        return " Of each run its own last round."
    return f" Round {last} is reached by {count} of {runs} runs."
