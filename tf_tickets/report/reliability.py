"""Reliability diagrams: accuracy against confidence with the number of images, before and after the temperature."""

import dataclasses
import functools
import os
import typing
from collections.abc import Iterable

import numpy as np
from matplotlib.figure import Figure

from tf_tickets import runs, storage
from tf_tickets.confidence import BINS, binned, expected_calibration_error
from tf_tickets.plotting.canvas import BLUE, INK, SOFT, canvas
from tf_tickets.report import html, sentences
from tf_tickets.report.details import tolerant

if typing.TYPE_CHECKING:
    from tf_tickets.report.sections import Group


@dataclasses.dataclass(frozen=True)
class Kept:
    """What networks predicted on test images.

    Attributes:
      correct: boolean [n], whether the predicted class was right.
      confidences: float [n], its probability.
      uncalibrated: float [n], its probability at temperature 1.
      temperatures: of the networks, one where none was fitted.
    """

    correct: np.ndarray
    confidences: np.ndarray
    uncalibrated: np.ndarray
    temperatures: tuple[float, ...]


def gather(folders: Iterable[runs.RunFolder], problems: list[str]) -> dict[str, tuple[Kept, int]]:
    """The predictions that `evaluate` kept of dense networks and tickets, pooled over runs.

    The ticket of a run is its last round of which there are predictions.

    Args:
      folders: of the runs of one recipe.
      problems: takes a line for each damaged file.

    Returns:
      dict from dense and ticket to (Kept, number of runs); without those of which nothing was kept.
    """
    kept = {"dense": [], "ticket": []}
    for folder in folders:
        rounds = [folder.round(index) for index in range(len(folder.summaries()))]
        there = [each for each in rounds if os.path.isfile(each.predictions)]
        for name, chosen in (("dense", [e for e in there if not e.index]), ("ticket", [e for e in there if e.index])):
            if chosen:
                read = tolerant(functools.partial(_read, chosen[-1].predictions), chosen[-1].predictions, problems)
                kept[name] += [read] if read else []
    return {name: (_pooled(parts), len(parts)) for name, parts in kept.items() if parts}


def _read(path):
    arrays = storage.read_arrays(path)
    if "confidences" not in arrays:  # of an earlier version
        return None
    temperature, sure = float(arrays.get("temperature", 1.0)), arrays["confidences"]
    before, correct = arrays.get("uncalibrated", sure), arrays["predictions"] == arrays["labels"]
    if any(each.shape != correct.shape or not ((each >= 0) & (each <= 1)).all() for each in (sure, before)):
        raise ValueError("its confidences are not one probability for each image")
    return Kept(correct, sure, before, (temperature,)) if correct.ndim == 1 and len(correct) else None


def _pooled(parts):
    arrays = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("correct", "confidences", "uncalibrated")
    )
    return Kept(*arrays, tuple(temperature for part in parts for temperature in part.temperatures))


def figure(shown: dict[str, tuple[Kept, int]]) -> Figure:
    """A column for each network: accuracy against confidence, below it the images of each bin."""
    drawn = canvas(0.6 + 2.7 * len(shown), 3.9)
    grid = drawn.subplots(2, len(shown), squeeze=False, sharex=True, sharey="row", height_ratios=(3, 1))
    for column, (name, (kept, _)) in enumerate(shown.items()):
        top, bottom = grid[:, column]
        top.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle=":")
        calibrated = any(temperature != 1 for temperature in kept.temperatures)
        lines = [(kept.uncalibrated, SOFT, "D", "before T")] if calibrated else []
        lines.append((kept.confidences, BLUE, "o", "after T" if calibrated else "as it is"))
        for confidences, colour, marker, label in lines:
            counts, sure, right = binned(confidences, kept.correct)
            text = f"{label}: error {100 * expected_calibration_error(confidences, kept.correct):.1f} %"
            there = counts > 0
            top.plot(
                sure[there] / counts[there],
                right[there] / counts[there],
                color=colour,
                marker=marker,
                markersize=3.5,
                linewidth=1.2,
                label=text,
            )
            middles = (np.arange(BINS) + 0.5) / BINS
            filled = colour == BLUE
            bottom.bar(
                middles, counts, 0.9 / BINS, color=colour if filled else "none", edgecolor=colour, linewidth=0.9,
                zorder=2 if filled else 3,
            )  # fmt: skip
        top.set_title(_title(name, kept), fontsize=9, color=INK)
        top.legend(loc="upper left", fontsize=7.5)
        top.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        bottom.set_xlabel("confidence")
    grid[0, 0].set_ylabel("accuracy")
    grid[1, 0].set_ylabel("images")
    return drawn


def _title(name, kept):
    fitted = sorted({temperature for temperature in kept.temperatures if temperature != 1})
    if not fitted:
        return name
    return f"{name}, T {fitted[0]:.3g}" + (f" to {fitted[-1]:.3g}" if len(fitted) > 1 else "")


def section(group: "Group") -> str:
    """The reliability diagram of a recipe; empty text where `evaluate` kept no predictions."""
    shown = gather(group.folders.values(), group.problems)
    if not shown:
        return ""
    runs_of = sentences.count(max(count for _, count in shown.values()), "run")
    caption = (
        f"Accuracy against confidence on test images, {runs_of} pooled, in {BINS} bins of equal width; below, how many "
        "images are in each. On the dotted line a network is right as often as it says; below it, it is too sure. A "
        "bin of few images says little. T: the temperature, fitted on images that neither trained nor test here."
    )
    drawing = group.draw("reliability", lambda: figure(shown), caption, "reliability diagram of dense and ticket")
    return "\n".join([html.heading(3, "Calibration"), html.figures([drawing])])
