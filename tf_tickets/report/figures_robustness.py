"""Dense against ticket: bars over test sets, corruptions by severity, confusion, accuracy by class, many groups."""

import numpy as np
from matplotlib.colors import LogNorm, Normalize

from tf_tickets.report import plots
from tf_tickets.report.drawing import BLUE, INK, PAPER, SOFT

# Purple to orange through white: the two ends differ for every kind of colour vision.
DIVERGING, SEQUENTIAL = "PuOr_r", "viridis"


def bars(measures):
    """Accuracy of dense and ticket on each test set, with 95 % intervals where there are several pairs.

    Args:
      measures: list of `evaluations.measures`.
    """
    drawn = plots.canvas(5.2, 0.75 + 0.52 * len(measures))
    axes = drawn.add_subplot()
    places = np.arange(len(measures))
    for name, colour, shift in (("dense", SOFT, -0.19), ("ticket", BLUE, 0.19)):
        spread = [entry[name] for entry in measures]
        axes.barh(places + shift, [100 * one.mean for one in spread], 0.36, color=colour, label=name)
        for place, one in zip(places + shift, spread):
            end = 100 * one.mean
            if one.low is not None:
                end = min(100 * one.high, 100.0)
                axes.plot([max(100 * one.low, 0.0), end], [place, place], color=INK, linewidth=1.1)
            # Inside the bar, where no interval crosses it, unless the bar is too short.
            inside = 100 * one.mean >= 15 and (one.low is None or 100 * one.low >= 12)
            where, ink = (1.0, PAPER) if inside else (end + 1.0, INK)
            axes.text(where, place, f"{100 * one.mean:.1f}", va="center", fontsize=8.5, color=ink)
    axes.set_yticks(places, [entry["title"].replace(", ", ",\n", 1) for entry in measures])
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlim(0.0, max(axes.get_xlim()[1] * 1.06, 10.0))
    axes.set_xlabel("accuracy (%)")
    drawn.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return drawn


def heat_map(table, *, text, colours=SEQUENTIAL, norm=None, label="", x="", y="", size=None, upright=False):
    """A table as coloured cells, annotated where there is room.

    Args:
      table: frame; missing cells stay empty.
      text: function from a value to what its cell says; None leaves the cells blank.
      colours: name of a colour map.
      norm: a Normalize; unset: from the smallest to the largest value.
      label: what the colours say.
      x, y: titles of the axes.
      size: (width, height) in inches; unset: by the number of cells.
      upright: whether all columns have their names, which stand upright.
    """
    values = np.ma.masked_invalid(table.to_numpy(float))
    rows, columns = values.shape
    drawn = plots.canvas(*(size or (5.2, max(1.5, 0.9 + 0.23 * rows))))
    axes = drawn.add_subplot()
    norm = norm or Normalize(values.min(), values.max())
    line = 0.6 if max(rows, columns) <= 40 else 0.0
    mesh = axes.pcolormesh(values, cmap=colours, norm=norm, edgecolors=PAPER if line else "none", linewidth=line)
    axes.invert_yaxis()
    axes.grid(False)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    _name(axes.set_xticks, table.columns, 60 if upright else 14, rotation=90 if upright else 0)
    _name(axes.set_yticks, table.index, 60)
    bar = drawn.colorbar(mesh, ax=axes, shrink=0.9, aspect=30, pad=0.02)
    bar.set_label(label)
    bar.outline.set_visible(False)
    if isinstance(norm, LogNorm):
        ticks = [tick for tick in (0.01, 0.1, 1, 2, 5, 10, 20, 50, 100) if norm.vmin <= tick <= norm.vmax]
        bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        bar.minorticks_off()
    if text:
        _annotate(axes, values, mesh, text)
    return drawn


def _name(set_ticks, names, most, **look):
    step = -(-len(names) // most)
    set_ticks(np.arange(0, len(names), step) + 0.5, shortened(names[::step]), **look)


def shortened(names):
    """Names of at most 22 characters, where they differ in those; what they are cut from is in the tables."""
    names = [str(name) for name in names]
    for head, tail in ((20, 0), (10, 10)):
        found = [name if len(name) <= 22 else f"{name[:head]}…{name[len(name) - tail :]}" for name in names]
        if len(set(found)) == len(set(names)):
            return found
    return names


def _annotate(axes, values, mesh, text):
    size = 7.0 if values.shape[1] <= 10 else 5.6
    for (row, column), value in np.ndenumerate(values):
        if value is not np.ma.masked:
            red, green, blue, _ = mesh.to_rgba(value)
            dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.45
            axes.text(
                column + 0.5, row + 0.5, text(value), ha="center", va="center", fontsize=size,
                color="#ffffff" if dark else "#000000",
            )  # fmt: skip


def differences(table, **words):
    """A heat map of signed points around a white zero; arguments as of `heat_map`."""
    furthest = max(float(np.nanmax(np.abs(table.to_numpy(float)))), 0.1)
    small = table.shape[1] <= 12
    return heat_map(
        table, colours=DIVERGING, norm=Normalize(-furthest, furthest), text=(lambda v: f"{v:+.1f}") if small else None,
        **words,
    )  # fmt: skip


def by_class(table):
    """Accuracy by class: dense and ticket as two points of a line.

    Args:
      table: frame of `evaluations.by_class`.
    """
    drawn = plots.canvas(5.2, 0.8 + 0.25 * len(table))
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


def forest(entries, label="ticket - dense (points)"):
    """The difference of every group with its interval.

    Args:
      entries: list of (name, statistics.PairedDifference).
      label: title of the axis.
    """
    drawn = plots.canvas(5.2, 0.75 + 0.3 * len(entries))
    axes = drawn.add_subplot()
    axes.axvline(0.0, color=INK, linewidth=0.9)
    for place, (_, found) in enumerate(entries):
        colour = BLUE if found.shown else SOFT
        if found.low is not None:
            axes.plot([100 * found.low, 100 * found.high], [place, place], color=colour, linewidth=1.4)
        face = colour if found.shown else PAPER
        axes.plot(100 * found.mean, place, "o", color=colour, markerfacecolor=face, markersize=6)
    means = [100 * found.mean for _, found in entries]
    low = min([0.0, *means, *(100 * found.low for _, found in entries if found.low is not None and found.n > 3)])
    high = max([0.0, *means, *(100 * found.high for _, found in entries if found.high is not None and found.n > 3)])
    room = 0.06 * (high - low) or 1.0
    axes.set_xlim(low - room, high + room)
    axes.set_yticks(range(len(entries)), [name if len(name) <= 34 else f"{name[:32]}…" for name, _ in entries])
    axes.set_ylim(len(entries) - 0.5, -0.5)
    axes.set_xlabel(label)
    return drawn
