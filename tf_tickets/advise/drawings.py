"""The figures of the page of `advise`."""

from __future__ import annotations

import numpy as np
import pandas
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tf_tickets.advise.estimates import Estimate
from tf_tickets.advise.learning_curve import Curve, Point
from tf_tickets.plotting import maps
from tf_tickets.plotting.canvas import BLUE, INK, SOFT, canvas

# Classes beyond which a figure of each would not be readable.
MOST_CLASSES = 40
_MOST_CONFUSED = 20


def by_class(estimate: Estimate, classes: tuple[str, ...]) -> Figure:
    """Accuracy of each class with its interval, weakest first; a line at the accuracy of all."""
    known = [(each.label, each.accuracy) for each in estimate.classes if each.accuracy is not None]
    known = sorted(known, key=lambda pair: pair[1].value)[:MOST_CLASSES]
    drawn = canvas(5.2, 0.9 + 0.22 * len(known))
    axes = drawn.add_subplot()
    places, values = np.arange(len(known)), 100 * np.array([accuracy for _, accuracy in known])
    axes.hlines(places, values[:, 1], values[:, 2], color=SOFT, linewidth=1.4)
    axes.plot(values[:, 0], places, "o", color=BLUE, markersize=5)
    if estimate.accuracy is not None:
        axes.axvline(100 * estimate.accuracy.value, color=INK, linewidth=0.9, linestyle=":")
    axes.set_yticks(places, maps.shortened([classes[label] for label, _ in known]))
    axes.invert_yaxis()
    axes.set_xlim(-2, 102)
    axes.set_xlabel("recognised, %")
    return drawn


def curve(measured: Curve, furthest: float) -> Figure:
    """Accuracy by pictures per class, and the power law that goes on from it as far as it says something."""
    drawn = canvas(5.2, 3.4)
    axes = drawn.add_subplot()
    sizes = np.array([point.per_class for point in measured.points])
    values = 100 * np.array([[point.accuracy, point.low, point.high] for point in measured.points])
    grid = np.linspace(sizes[0], max(furthest, measured.per_class), 120)
    law = [measured.predicted(float(size)) for size in grid]
    if all(point is not None for point in law):
        _law(axes, grid, law)
    axes.errorbar(
        sizes, values[:, 0], np.abs(values[:, 1:] - values[:, :1]).T, fmt="o", color=BLUE, markersize=5, elinewidth=1.2
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("pictures per class")
    axes.set_ylabel("recognised, %")
    return drawn


def _law(axes, grid, law: list[Point | None]):
    points = 100 * np.array([point[1:] for point in law if point is not None])
    axes.plot(grid, points[:, 0], color=INK, linewidth=1.0)
    axes.fill_between(grid, points[:, 1], points[:, 2], color=SOFT, alpha=0.18, linewidth=0)


def confusions(estimate: Estimate, classes: tuple[str, ...]) -> Figure:
    """What is taken for what, in per cent of each class: of many classes those that are confused most."""
    counts = estimate.confusions
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-(wrong.sum(axis=0) + wrong.sum(axis=1)), kind="stable")[:_MOST_CONFUSED]
    order = np.sort(order)
    shares = 100 * counts[np.ix_(order, order)] / np.maximum(counts[order].sum(axis=1, keepdims=True), 1e-9)
    names = maps.shortened([classes[label] for label in order])
    table = pandas.DataFrame(shares, index=names, columns=names)
    return maps.heat_map(
        table, text=lambda value: f"{value:.0f}", colours="Blues", label="% of the class", x="taken for", y="class",
        size=(max(4.2, 1.6 + 0.36 * len(names)), max(2.6, 1.2 + 0.3 * len(names))), upright=True,
    )  # fmt: skip
