"""Tables as coloured cells: any table, differences, weights left by layer and round, similarity of layers."""

import typing
from collections.abc import Callable, Iterable

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from tf_tickets.plotting.canvas import PAPER, Shown, canvas

if typing.TYPE_CHECKING:
    import pandas

# Purple to orange through white: the two ends differ for every kind of colour vision.
DIVERGING, SEQUENTIAL = "PuOr_r", "viridis"


def heat_map(
    table: "pandas.DataFrame", *, text: Callable[[float], str] | None, colours: str = SEQUENTIAL,
    norm: Normalize | None = None, label: str = "", x: str = "", y: str = "", title: str = "",
    size: tuple[float, float] | None = None, upright: bool = False,
) -> Figure:  # fmt: skip
    """A table as coloured cells, annotated where there is room.

    Args:
      table: frame; missing cells stay empty.
      text: function from a value to what its cell says; None leaves the cells blank.
      colours: name of a colour map.
      norm: a Normalize; unset: from the smallest to the largest value.
      label: what the colours say.
      x, y, title: of the axes.
      size: (width, height) in inches; unset: by the number of cells.
      upright: whether all columns have their names, which stand upright.
    """
    values = np.ma.masked_invalid(table.to_numpy(float))
    rows, columns = values.shape
    drawn = canvas(*(size or (5.2, max(1.5, 0.9 + 0.23 * rows))))
    axes = drawn.add_subplot()
    norm = norm or Normalize(values.min(), values.max())
    line = 0.6 if max(rows, columns) <= 40 else 0.0
    mesh = axes.pcolormesh(values, cmap=colours, norm=norm, edgecolors=PAPER if line else "none", linewidth=line)
    axes.invert_yaxis()
    axes.grid(False)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    _name(axes.set_xticks, table.columns, 60 if upright else 14, rotation=90 if upright else 0)
    _name(axes.set_yticks, table.index, 60)
    bar = drawn.colorbar(mesh, ax=axes, shrink=0.9, aspect=30, pad=0.02)
    bar.set_label(label)
    bar.outline.set_visible(False)
    if isinstance(norm, LogNorm) and norm.vmin is not None and norm.vmax is not None:
        ticks = [tick for tick in (0.01, 0.1, 1, 2, 5, 10, 20, 50, 100) if norm.vmin <= tick <= norm.vmax]
        bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        bar.minorticks_off()
    if text:
        _annotate(axes, values, mesh, text)
    return drawn


def _name(set_ticks, names, most, **look):
    step = -(-len(names) // most)
    set_ticks(np.arange(0, len(names), step) + 0.5, shortened(names[::step]), **look)


def shortened(names: Iterable) -> list[str]:
    """Names of at most 22 characters, where they differ in those; what they are cut from is in the tables."""
    names = [str(name) for name in names]
    for head, tail in ((20, 0), (10, 10)):
        cut = [name if len(name) <= 22 else f"{name[:head]}…{name[len(name) - tail :]}" for name in names]
        if len(set(cut)) == len(set(names)):
            return cut
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


def differences(table: "pandas.DataFrame", **words: typing.Any) -> Figure:
    """A heat map of signed points around a white zero; arguments as of `heat_map`."""
    furthest = max(float(np.nanmax(np.abs(table.to_numpy(float)))), 0.1)
    small = table.shape[1] <= 12
    return heat_map(
        table, colours=DIVERGING, norm=Normalize(-furthest, furthest), text=(lambda v: f"{v:+.1f}") if small else None,
        **words,
    )  # fmt: skip


def mean_by_round(rows: "pandas.DataFrame") -> "pandas.DataFrame | None":
    """A frame with layer, round and value as its mean by layer, in the order of the rows, and round; None if empty."""
    if rows.empty:
        return None
    return rows.pivot_table(index="layer", columns="round", values="value", sort=False).sort_index(axis=1)


def densities(table: "pandas.DataFrame", title: str = "") -> Figure:
    """Density by layer and round on a log scale; an empty cell is a layer without a weight.

    Args:
      table: frame, layers x rounds, fractions.
      title: text above.
    """
    percents = (100 * table).where(table > 0)
    percents.columns = [str(index) for index in percents.columns]
    text = (lambda value: f"{value:.0f}" if value >= 9.95 else f"{value:.2g}") if table.shape[1] <= 12 else None
    return heat_map(
        percents, text=text, norm=LogNorm(min(float(np.nanmin(percents.to_numpy())), 99.0), 100.0),
        label="weights left (%)", x="round", title=title,
    )  # fmt: skip


def weights_left(table: "pandas.DataFrame | None") -> list[Shown]:
    """`densities` for a page, mean over runs; none of one round, or without a table."""
    if table is None or table.shape[1] < 2:
        return []
    return [Shown(
        "layers", lambda: densities(table),
        "Weights left in each layer after each round of pruning, in per cent on a log scale, mean over runs; an empty "
        "cell is a layer without a weight. It shows where weights survive, not which layers matter.",
        "heat map of density by layer and round",
    )]  # fmt: skip


def similarity(table: "pandas.DataFrame", title: str = "") -> Figure:
    """Linear CKA of layers against layers, from 0 to 1; `table` is a frame of both."""
    numbered = table.set_axis([str(number) for number in range(1, table.shape[1] + 1)], axis=1)
    text = (lambda value: f"{value:.2f}") if table.shape[1] <= 8 else None
    return heat_map(
        numbered, text=text, norm=Normalize(0.0, 1.0), label="CKA", x="layer, in the order of the rows", title=title
    )
