"""What is inside: density by layer and round, similarity of layers, training curves."""

import numpy as np
from matplotlib.colors import LogNorm, Normalize

from tf_tickets.report import plots
from tf_tickets.report.drawing import BLUE, SOFT
from tf_tickets.report.figures_robustness import heat_map


def densities(table):
    """Density by layer and round on a log scale; an empty cell is a layer without a weight.

    Args:
      table: frame of `details.density_means`.
    """
    percent = (100 * table).where(table > 0)
    percent.columns = [str(index) for index in percent.columns]
    text = (lambda value: f"{value:.0f}" if value >= 9.95 else f"{value:.2g}") if table.shape[1] <= 12 else None
    return heat_map(
        percent, text=text, norm=LogNorm(min(float(np.nanmin(percent.to_numpy())), 99.0), 100.0),
        label="weights left (%)", x="round",
    )  # fmt: skip


def similarity(table):
    """Linear CKA of layers against layers, from 0 to 1.

    Args:
      table: frame of one matrix of `details.similarities`.
    """
    shown = table.set_axis([str(number) for number in range(1, table.shape[1] + 1)], axis=1)
    text = (lambda value: f"{value:.2f}") if table.shape[1] <= 8 else None
    return heat_map(shown, text=text, norm=Normalize(0.0, 1.0), label="CKA", x="layer, in the order of the rows")


def curves(found, least=3):
    """Small multiples, one column per round: training loss, and test accuracy where enough epochs were evaluated.

    Args:
      found: dict of `details.curves`; round 0 is drawn in grey behind the others.
      least: evaluated epochs that make a curve.
    """
    later = [index for index in found if index] or list(found)
    rows = ["train_loss"]
    if all(found[index]["test_accuracy"].notna().sum() >= least for index in found):
        rows.append("test_accuracy")
    across = min(len(later), 3)
    blocks = -(-len(later) // across)
    drawn = plots.canvas(5.4, 0.3 + 1.35 * len(rows) * blocks)
    grid = drawn.subplots(len(rows) * blocks, across, squeeze=False, sharex=True, sharey=False)
    for place, axes in enumerate(grid.T.reshape(across, blocks, len(rows)).transpose(1, 0, 2).reshape(-1, len(rows))):
        if place >= len(later):
            for empty in axes:
                empty.remove()
            continue
        for panel, name in zip(axes, rows):
            _panel(panel, found, later[place], name)
        axes[0].set_title(f"round {later[place]}", fontsize=8.5)
        if place % across == 0:
            for panel, name in zip(axes, rows):
                panel.set_ylabel({"train_loss": "training loss", "test_accuracy": "test acc. (%)"}[name], fontsize=8)
    _same_scales(grid, rows)
    drawn.supxlabel("epoch", fontsize=9)
    return drawn


def _panel(axes, found, index, name):
    for number, colour in ((0, SOFT), (index, BLUE)):
        if number in found:
            values = found[number][name].dropna() * (100 if name == "test_accuracy" else 1)
            axes.plot(values.index, values, color=colour, linewidth=0.9 if number == 0 and index else 1.5)
    axes.tick_params(labelsize=7.5)


def _same_scales(grid, rows):
    for number in range(len(rows)):
        panels = [axes for line in grid[number :: len(rows)] for axes in line if axes.figure is not None]
        limits = np.array([axes.get_ylim() for axes in panels])
        for axes in panels:
            axes.set_ylim(limits[:, 0].min(), limits[:, 1].max())
