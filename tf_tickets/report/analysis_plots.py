"""Figures of `analyze`: what of the network is left, what it has learnt, how alike two networks are."""

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.ticker import FuncFormatter, NullLocator

from tf_tickets.report import tables
from tf_tickets.report.analysis_rows import by_layer, grouped
from tf_tickets.report.plots import COLOURS, MARKERS, canvas, write

_MAP = "cividis"  # made to look the same to colour-blind eyes


def similarity(lines, columns, values, path_without_suffix, first, second):
    """Writes the heat map of a CKA matrix as PNG and SVG.

    Args:
      lines, columns: layer names.
      values: dict from (line, column) to CKA.
      path_without_suffix: `.png` and `.svg` are appended.
      first, second: the networks of the lines and of the columns, in words.

    Returns:
      The two paths.
    """

    def draw():
        drawn = canvas(2.6 + 0.28 * len(columns), 1.7 + 0.26 * len(lines))
        axes = drawn.add_subplot(title="linear CKA of layers", xlabel=second, ylabel=first)
        cells = np.array([[values[line, column] for column in columns] for line in lines])
        shown = axes.imshow(cells, cmap=_MAP, vmin=0.0, vmax=1.0, origin="lower", aspect="auto")
        _names(axes, columns, lines)
        drawn.colorbar(shown, ax=axes, label="CKA")
        return drawn

    return write(draw, path_without_suffix)


def density(rows, path_without_suffix, title):
    """Writes densities as a heat map, layers against rounds, the colour on a log scale; a layer without weights is red.

    Args:
      rows: of the evaluator, dicts of text.
      path_without_suffix: `.png` and `.svg` are appended.
      title: text above the axes.

    Returns:
      The two paths.
    """

    def draw():
        rounds = list(grouped(rows, "round").values())
        columns = [by_layer(mine, "density") for mine in rounds]
        layers = list(columns[0])
        cells = np.ma.masked_less_equal([[column[layer] for column in columns] for layer in layers], 0.0)
        drawn = canvas(3.0 + 0.42 * len(columns), 1.6 + 0.2 * len(layers))
        axes = drawn.add_subplot(title=title, xlabel="round: density of the whole network")
        least = cells.min() if cells.count() else 0.1
        axes.set_facecolor(COLOURS[1])
        shown = axes.imshow(cells, cmap=_MAP, norm=LogNorm(min(least, 0.5), 1.0), aspect="auto")
        _names(axes, [f"{mine[0]['round']}: {tables.percent(float(mine[0]['density']))}" for mine in rounds], layers)
        marks = [digit * 10.0**power for power in range(-6, 0) for digit in (1, 2, 5)] + [1.0]
        marks = [mark for mark in marks if mark >= min(least, 0.5)]
        bar = drawn.colorbar(shown, ax=axes, label="weights left in the layer (log scale)", ticks=marks)
        bar.ax.yaxis.set_minor_locator(NullLocator())
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
        return drawn

    return write(draw, path_without_suffix)


def probe(rows, path_without_suffix, title):
    """Writes the probes' test accuracy by layer, one panel per data set. As `density`."""

    def draw():
        panels = grouped(rows, "setting")
        drawn = canvas(1.2 + 3.4 * len(panels), 3.6)
        for number, ((setting,), mine) in enumerate(panels.items()):
            axes = drawn.add_subplot(1, len(panels), number + 1, title=setting.split(",")[0])
            for index, rounds in enumerate(grouped(mine, "round").values()):
                _line(axes, by_layer(rounds, "accuracy"), index, network(rounds), 100)
            axes.set_ylabel("accuracy of a linear probe (%)" if number == 0 else "")
            axes.legend()
        drawn.suptitle(title, fontsize=10)
        return drawn

    return write(draw, path_without_suffix)


def overlap(rows, path_without_suffix, title):
    """Writes the overlap of masks by layer, mean over the pairs of runs, beside the chance level. As `density`."""

    def draw():
        pairs = grouped(rows, "round", "setting").values()
        drawn = canvas(2.0 + 0.24 * max(len(by_layer(mine, "iou")) for mine in pairs), 3.8)
        axes = drawn.add_subplot(title=title, ylabel="intersection over union of masks")
        names = list(dict.fromkeys(name for mine in pairs for name in by_layer(mine, "iou")))
        for index, mine in enumerate(grouped(rows, "round").values()):
            count = len(grouped(mine, "setting"))
            name = f"{network(mine)}, {'mean of ' if count > 1 else ''}{count} pair{'s' if count > 1 else ''}"
            _line(axes, _means(mine, "iou"), index, name, names=names)
            level = _means(mine, "iou_chance")
            axes.plot(
                [names.index(layer) for layer in level], list(level.values()), color="#444444", linestyle="--",
                linewidth=1.1, label="chance: independent masks as dense by layer" if index == 0 else None,
            )  # fmt: skip
        axes.set_ylim(bottom=0.0)
        axes.legend()
        return drawn

    return write(draw, path_without_suffix)


def _means(rows, metric):
    lines = [by_layer(mine, metric) for mine in grouped(rows, "setting").values()]
    names = dict.fromkeys(name for line in lines for name in line)
    return {name: float(np.mean([line[name] for line in lines if name in line])) for name in names}


def stability(rows, path_without_suffix, title):
    """Writes the error on the line between two networks, one colour per pair. As `density`."""

    def draw():
        drawn = canvas(5.6, 3.6)
        axes = drawn.add_subplot(
            title=title, xlabel="share of the second network's weights", ylabel="error (%)",
        )  # fmt: skip
        for index, ((_, setting), mine) in enumerate(grouped(rows, "round", "setting").items()):
            for part, style in (("test", "-"), ("train", "--")):
                line = by_layer(mine, f"error_{part}")
                barrier = [float(row["value"]) for row in mine if row["metric"] == f"barrier_{part}"]
                if line:
                    axes.plot(
                        [float(alpha) for alpha in line], [100 * error for error in line.values()], linestyle=style,
                        color=COLOURS[index % len(COLOURS)], marker=MARKERS[index % len(MARKERS)], markersize=4,
                        label=f"{part}, barrier {100 * barrier[0]:.1f} points, to {setting.split(',')[0]}",
                    )  # fmt: skip
        axes.set_ylim(bottom=0.0)
        axes.legend()
        return drawn

    return write(draw, path_without_suffix)


def activity(rows, path_without_suffix, title):
    """Writes dead and silent channels, multiply-adds, and norms of residuals against shortcuts. As `density`."""
    panels = (
        ("dead_channels", "dead channels"), ("silent_channels", "channels that never fire"),
        ("multiply_adds", "multiply-adds of an image"), ("residual_to_shortcut", "norm of residual / shortcut"),
    )  # fmt: skip

    def draw():
        networks = list(grouped(rows, "round").values())
        there = [panel for panel in panels if by_layer(networks[0], panel[0])]
        drawn = canvas(9.0, 0.6 + 3.2 * ((len(there) + 1) // 2))
        for number, (metric, label) in enumerate(there):
            axes = drawn.add_subplot((len(there) + 1) // 2, 2, number + 1, ylabel=label)
            for index, mine in enumerate(networks):
                _line(axes, by_layer(mine, metric), index, network(mine))
            axes.set_ylim(0.0, max(axes.get_ylim()[1], 1.0))
            axes.tick_params(axis="x", labelsize=6.5)
            if number == 0:
                axes.legend()
        drawn.suptitle(title, fontsize=10)
        return drawn

    return write(draw, path_without_suffix)


def shot(rows, path_without_suffix, title):
    """Writes accuracy on classes with many, some and few training images. As `density`."""
    words = {"many": "many (> 100)", "medium": "medium (20 to 100)", "few": "few (< 20)"}

    def draw():
        drawn = canvas(5.6, 3.4)
        axes = drawn.add_subplot(title=title, ylabel="mean accuracy of the classes (%)")
        networks = list(grouped(rows, "round").values())
        for index, mine in enumerate(networks):
            values = {row["metric"].removeprefix("accuracy_"): 100 * float(row["value"]) for row in mine}
            shift = (index - (len(networks) - 1) / 2) * 0.8 / len(networks)
            here = [(place + shift, values[name]) for place, name in enumerate(words) if name in values]
            axes.bar(
                [place for place, _ in here], [value for _, value in here], width=0.75 / len(networks),
                color=COLOURS[index % len(COLOURS)], label=network(mine),
            )  # fmt: skip
        axes.set_xticks(range(len(words)), words.values())
        axes.set_xlabel("training images of the class")
        axes.set_xlim(-0.5, len(words) - 0.5)
        axes.legend()
        return drawn

    return write(draw, path_without_suffix)


def network(rows):
    """A network in words: its round and density."""
    return f"round {rows[0]['round']}, {tables.percent(float(rows[0]['density']))}"


def _line(axes, values, index, label, scale=1, names=None):
    """Draws values by layer; `names` are all layers of the axis, where some may have no value."""
    names = list(values) if names is None else names
    axes.plot(
        [names.index(layer) for layer in values], [scale * value for value in values.values()], label=label,
        color=COLOURS[index % len(COLOURS)], marker=MARKERS[index % len(MARKERS)], markersize=4,
    )  # fmt: skip
    axes.set_xticks(range(len(names)), names, rotation=90)


def _names(axes, columns, lines):
    axes.grid(False)
    axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize=8)
    axes.set_yticks(range(len(lines)), lines, fontsize=8)


FIGURES = {
    "density": density, "probe": probe, "overlap": overlap, "stability": stability, "activity": activity, "shot": shot,
}  # fmt: skip
