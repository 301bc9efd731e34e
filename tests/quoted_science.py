"""What docs/science.md and the reference say of the program's constants and defaults, made of these."""

from collections.abc import Iterator

import numpy as np
from quotes import quotes_of

import tf_tickets  # noqa: F401  (first: it switches TensorFlow to legacy Keras)
from tf_tickets.advise import estimates, held_out, learning_curve, near_duplicates, odd_pictures
from tf_tickets.data import resaved
from tf_tickets.models import builder
from tf_tickets.pruning import least_squares, reconstruction
from tf_tickets.runtime import facts
from tf_tickets.settings import cli, policies
from tf_tickets.settings.config import Config
from tf_tickets.training import losses

SCIENCE = "docs/science.md"


def plain(value: float) -> str:
    """A number as it stands on the page: `0.03`, `20`."""
    return f"{value:.10g}"


def as_power(value: float) -> str:
    """A large number as it stands on the page: `1.2e7`."""
    mantissa, _, exponent = f"{value:e}".partition("e")
    return f"{plain(float(mantissa))}e{int(exponent)}"


@quotes_of(SCIENCE)
def rounds_and_steps() -> Iterator[str]:
    config = Config()
    rounds, training = config.pruning, config.training
    yield f"Default rate {rounds.rate}."
    yield f"round r has density (1 - rate)^r; {rounds.rounds} rounds are {rounds.rounds - 1} prunings, 1.0 ... "
    yield f"prunings, 1.0 ... {(1 - rounds.rate) ** (rounds.rounds - 1):.4f} |"
    yield f"a `--update_fraction` ({rounds.update_fraction})."
    yield f"SGD, m {training.momentum}, no Nesterov, lr {training.learning_rate}, wd 5e-4,"
    yield f"BatchNorm: momentum {builder._MOMENTUM}, epsilon 1e-5"
    yield f"epsilon 1e-3, momentum {builder._MOMENTUM} as elsewhere."
    assert losses.SMOOTHING == training.learning_rate == 0.1


@quotes_of(SCIENCE)
def contrast() -> Iterator[str]:
    (_, jitter, grey) = policies.PRESETS["contrast"].split("|")
    *amounts, probability = jitter.removeprefix("jitter(").removesuffix(")").split(",")
    share = grey.removeprefix("grey(").removesuffix(")")
    yield f"colour jitter ({', '.join(amounts)}) in random order with probability {probability}, grey with {share}."


@quotes_of(SCIENCE)
def reconstruction_of_layers() -> Iterator[str]:
    yield f"r is {least_squares.RIDGE} times the mean over the columns of X"
    yield f"the residual is {least_squares._TOLERANCE:.0e} of the first or {least_squares._STEPS} steps".replace(
        "e-0", "e-"
    )
    yield f"keep the largest output of a layer under {reconstruction._LARGEST // 2**20} MiB, drawn by `seed`."
    yield (
        f"A layer looks at {least_squares._ROWS_PER_WEIGHT} rows for each weight of an output, at least "
        f"{least_squares._FEWEST_ROWS:,} and at most {least_squares._MOST_ROWS:,},"
    )


@quotes_of(SCIENCE)
def temperatures() -> Iterator[str]:
    yield f"over log T in [log {plain(facts.COLDEST)}, log {plain(facts.HOTTEST)}]"


@quotes_of(SCIENCE)
def copies() -> Iterator[str]:
    least, most = min(filter(None, near_duplicates._AXES[1])), max(near_duplicates._AXES[1])
    windows = len(near_duplicates._WINDOWS)
    yield f"each of {windows} windows that cut off 0 or {plain(100 * least)} to {plain(100 * most)} % a side"
    yield f"from a correlation of {near_duplicates._CANDIDATE} on."
    yield f"below {near_duplicates._UNCROPPED} the window is searched"
    steps = [plain(100 * step) for step, _ in near_duplicates._STEPS]
    yield f"in steps of {', '.join(steps[:-1])} and {steps[-1]} % of the side"
    yield f"Near-duplicates correlate by {near_duplicates._ALIKE} or more"
    yield f"copies need no more than {near_duplicates._SAME}."
    yield f"Colours may differ by {plain(near_duplicates._COLOURS_DIFFER)} levels"
    yield f"`cropped`, where a window gains {near_duplicates._LEAST_GAIN};"
    yield f"a correlation of {resaved._LEAST} and the threshold above, brightness within {resaved._BRIGHTNESS_DIFFERS}"
    yield f"mean colours within {resaved._COLOURS_DIFFER}."
    yield f"share one of {resaved._TABLES} keys of {resaved._BITS} signs"


@quotes_of(SCIENCE)
def odd_ones() -> Iterator[str]:
    yield f"where at most {plain(100 * odd_pictures._MOST)} % are so: - one colour (deviation below "
    dark, bright = plain(odd_pictures._DARK), plain(odd_pictures._BRIGHT)
    yield f"below {plain(odd_pictures._BLANK)} levels); - dark or bright (95 % below {dark} levels or above {bright});"


@quotes_of(SCIENCE)
def estimated() -> Iterator[str]:
    factor = held_out.inflation(estimates.PARTS, estimates.REPEATS)
    yield f"over p(1 - p)/n, which is {factor:.1f} for ten parts and five repeats."
    assert (estimates.PARTS, estimates.REPEATS) == (10, 5)
    repeated, slow = held_out._REPEATED, held_out._SLOW
    most = f"No probe is fitted to more than {held_out.MOST_IMAGES:,} images"
    yield f"fewer repeats where it exceeds {as_power(repeated / estimates.REPEATS)}, and only one repeat above "
    yield f"one repeat above {as_power(repeated / 2)}. Above {as_power(slow)} there are also only five parts and three"
    yield f"five parts and three penalties. {most}"
    assert held_out._FEW_PARTS == 5 and len(held_out._FEW_STRENGTHS) == 3


@quotes_of(SCIENCE)
def curves() -> Iterator[str]:
    factor = held_out.inflation(learning_curve.PARTS, learning_curve.REPEATS)
    yield f"Points have the interval described above (f = {factor:.2f}".rstrip("0")
    exponents = learning_curve.EXPONENTS
    yield f"b >= 0 and c from {exponents[0]} to {exponents[-1]}. {learning_curve.RESAMPLES:,} times, repeats and images"
    yield f"To each of the {learning_curve.RESAMPLES:,} curves laws are fitted"
    _, lacking = learning_curve._of_small_counts(np.arange(101) / 100, 500)
    low, high = np.flatnonzero(lacking == 0)[[0, -1]]
    yield f"So above {high} % and below {low} % a point gets"
    yield f"inverse covariance of the {learning_curve.RESAMPLES:,}, one for each c in steps of "
    yield f"one for each c in steps of {plain(round(exponents[1] - exponents[0], 10))}."
    yield f"the gain's interval is wider than {plain(100 * learning_curve.WIDEST)} points."


@quotes_of("docs/reference/flags.md")
def flags() -> Iterator[str]:
    yield from cli.flags_table().splitlines()
