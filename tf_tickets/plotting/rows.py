"""Rows of `evaluate` and `analyze`, dicts of text: by layer, by network, as lines of a figure."""

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tf_tickets.columns import IN_PERCENT, percent
from tf_tickets.plotting.canvas import COLOURS, MARKERS, canvas, density_axis

# More panels, or lines in one, could not be told apart.
_PANELS, _LINES = 6, len(COLOURS)
# Longer names would leave no room for lines.
_LETTERS = 40


def by_layer(rows: Iterable[dict], metric: str) -> dict[str, float]:
    """Values by layer of the rows of one network: of metrics `<metric>:<layer>`."""
    mark = f"{metric}:"
    return {row["metric"][len(mark) :]: float(row["value"]) for row in rows if row["metric"].startswith(mark)}


def grouped(rows: Iterable[dict], *columns: str) -> dict[tuple, list[dict]]:
    """Rows by the values of some columns, in the order in which they come."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in columns), []).append(row)
    return groups


def network(rows: list[dict]) -> str:
    """The network of some rows in words: its round and density."""
    return f"round {rows[0]['round']}, {percent(float(rows[0]['density']))}"


def line(
    axes: Axes, values: dict[str, float], index: int, label: str, *, scale: float = 1,
    names: Sequence[str] | None = None,
) -> None:  # fmt: skip
    """Draws values by layer; `names` are all layers of the axis, where some may have no value."""
    names = list(values) if names is None else names
    axes.plot(
        [names.index(layer) for layer in values], [scale * value for value in values.values()], label=label,
        color=COLOURS[index % len(COLOURS)], marker=MARKERS[index % len(MARKERS)], markersize=4,
    )  # fmt: skip
    axes.set_xticks(range(len(names)), names, rotation=90)


def whole(rows: Iterable[dict]) -> list[dict]:
    """The rows that speak of a whole network, of one that has weights."""
    return [row for row in rows if ":" not in row["metric"] and float(row["density"]) > 0]


def densities(rows: Iterable[dict]) -> list[float]:
    """The densities of the networks that rows speak of as a whole, descending."""
    return sorted({float(row["density"]) for row in whole(rows)}, reverse=True)


def by_density(rows: Iterable[dict], title: str = "") -> Figure:
    """Whatever was measured of whole networks, against density: a panel for each metric, a line for each setting.

    Values of one setting at one density, those of several runs, are averaged.
    """
    rows, levels = whole(rows), densities(rows)
    panels = list(grouped(rows, "metric").items())[:_PANELS]
    drawn = canvas(5.4, 0.4 + 2.6 * len(panels))
    drawn.suptitle(title, fontsize=10)
    for number, ((metric,), of_metric) in enumerate(panels):
        scale = 100 if metric in IN_PERCENT else 1
        name = f"{metric.replace('_', ' ')} (%)" if metric in IN_PERCENT else metric[:_LETTERS]
        axes = drawn.add_subplot(len(panels), 1, number + 1, ylabel=name)
        for index, ((setting,), of_setting) in enumerate(list(grouped(of_metric, "setting").items())[:_LINES]):
            means = {
                density: scale * sum(float(row["value"]) for row in alike) / len(alike)
                for density in levels
                if (alike := [row for row in of_setting if float(row["density"]) == density])
            }
            axes.plot(
                list(means), list(means.values()), label=setting[:_LETTERS], color=COLOURS[index],
                marker=MARKERS[index], markersize=4,
            )  # fmt: skip
        density_axis(axes, levels)
        axes.legend()
    return drawn
