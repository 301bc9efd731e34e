"""Dense against ticket: bars over test sets, accuracy by class, many groups."""

import textwrap

import numpy as np
import pandas
from matplotlib.figure import Figure

from tf_tickets.plotting.canvas import BLUE, INK, PAPER, SOFT, canvas
from tf_tickets.plotting.maps import shortened
from tf_tickets.report.statistics import PairedDifference


def bars(measures: list[dict]) -> Figure:
    """Accuracy of dense and ticket on each test set, with 95 % intervals where there are several pairs.

    Args:
      measures: list of `evaluations.measures`.
    """
    drawn = canvas(5.2, 0.75 + 0.52 * len(measures))
    axes = drawn.add_subplot()
    places = np.arange(len(measures))
    for name, colour, shift in (("dense", SOFT, -0.19), ("ticket", BLUE, 0.19)):
        spread = [entry[name] for entry in measures]
        axes.barh(places + shift, [100 * interval.mean for interval in spread], 0.36, color=colour, label=name)
        for place, interval in zip(places + shift, spread):
            end = 100 * interval.mean
            if interval.low is not None:
                end = min(100 * interval.high, 100.0)
                axes.plot([max(100 * interval.low, 0.0), end], [place, place], color=INK, linewidth=1.1)
            # Inside the bar, where no interval crosses it, unless the bar is too short.
            inside = 100 * interval.mean >= 15 and (interval.low is None or 100 * interval.low >= 12)
            where, ink = (1.0, PAPER) if inside else (end + 1.0, INK)
            axes.text(where, place, f"{100 * interval.mean:.1f}", va="center", fontsize=8.5, color=ink)
    axes.set_yticks(places, [entry["title"].replace(", ", ",\n", 1) for entry in measures])
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlim(0.0, max(axes.get_xlim()[1] * 1.06, 10.0))
    axes.set_xlabel("accuracy (%)")
    drawn.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return drawn


def by_class(table: pandas.DataFrame) -> Figure:
    """Accuracy by class: dense and ticket as two points of a line.

    Args:
      table: frame of `evaluations.by_class`.
    """
    drawn = canvas(5.2, 0.8 + 0.25 * len(table))
    axes = drawn.add_subplot()
    places = np.arange(len(table))
    dense, ticket = (100 * table[name].to_numpy() for name in ("dense", "ticket"))
    axes.hlines(places, dense, ticket, color=SOFT, linewidth=1.2, zorder=2)
    axes.plot(dense, places, "s", color=SOFT, markersize=5.5, label="dense", zorder=3)
    axes.plot(ticket, places, "o", color=BLUE, markersize=6.5, label="ticket", zorder=4)
    axes.set_yticks(places, shortened(table.index))
    axes.invert_yaxis()
    axes.set_xlabel("accuracy (%)")
    drawn.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return drawn


# An axis is made so many times longer, but no more, for the intervals of two or three pairs to be seen whole.
_MOST_ROOM = 5
# Longer names have several lines.
_LETTERS_OF_A_NAME = 36


def _limits(differences):
    """(low, high) in points: of zero, all means and the intervals, those of few pairs only where they leave room."""

    def span(drawn):
        ends = [end for difference in drawn for end in (difference.low, difference.high)]
        values = [0.0, *(100 * value for value in [*ends, *(difference.mean for difference in differences)])]
        return min(values), max(values)

    every = [difference for difference in differences if difference.low is not None]
    several = [difference for difference in every if difference.n > 3]
    room = _MOST_ROOM * np.ptp(span(several or every))
    return span([*several, *(difference for difference in every if np.ptp(span([*several, difference])) <= room)])


def _in_lines(name):
    """A name in lines that the figure has room for, its numbers whole."""
    return textwrap.fill(name.replace(" % ", "\xa0%\xa0"), _LETTERS_OF_A_NAME).replace("\xa0", " ")


def forest(entries: list[tuple[str, PairedDifference]], label: str = "ticket - dense (points)") -> Figure:
    """The difference of every group with its interval.

    Args:
      entries: list of (name, statistics.PairedDifference).
      label: title of the axis.
    """
    names = [_in_lines(name) for name, _ in entries]
    heights = np.array([1.0 + 0.55 * name.count("\n") for name in names])
    places = np.cumsum(heights) - heights / 2 - 0.5
    drawn = canvas(5.2, 0.75 + 0.3 * heights.sum())
    axes = drawn.add_subplot()
    axes.axvline(0.0, color=INK, linewidth=0.9)
    for place, (_, difference) in zip(places, entries):
        colour = BLUE if difference.shown else SOFT
        if difference.low is not None:
            axes.plot([100 * difference.low, 100 * difference.high], [place, place], color=colour, linewidth=1.4)
        face = colour if difference.shown else PAPER
        axes.plot(100 * difference.mean, place, "o", color=colour, markerfacecolor=face, markersize=6)
    low, high = _limits([difference for _, difference in entries])
    room = 0.06 * (high - low) or 1.0
    axes.set_xlim(low - room, high + room)
    axes.set_yticks(places, names)
    axes.set_ylim(heights.sum() - 0.5, -0.5)
    axes.set_xlabel(label)
    return drawn
