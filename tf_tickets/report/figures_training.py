"""Training curves by round."""

import numpy as np
import pandas
from matplotlib.figure import Figure

from tf_tickets.plotting.canvas import BLUE, SOFT, canvas


def curves(by_round: dict[int, pandas.DataFrame], least: int = 3) -> Figure:
    """Small multiples, one column per round: training loss, and test accuracy where enough epochs were evaluated.

    Args:
      by_round: dict of `details.curves`; round 0 is drawn in grey behind the others.
      least: evaluated epochs that make a curve.
    """
    later = [index for index in by_round if index] or list(by_round)
    rows = ["train_loss"]
    if all(by_round[index]["test_accuracy"].notna().sum() >= least for index in by_round):
        rows.append("test_accuracy")
    across = min(len(later), 3)
    blocks = -(-len(later) // across)
    drawn = canvas(5.4, 0.3 + 1.35 * len(rows) * blocks)
    grid = drawn.subplots(len(rows) * blocks, across, squeeze=False, sharex=True, sharey=False)
    for place, axes in enumerate(grid.T.reshape(across, blocks, len(rows)).transpose(1, 0, 2).reshape(-1, len(rows))):
        if place >= len(later):
            for empty in axes:
                empty.remove()
            continue
        for panel, name in zip(axes, rows):
            _panel(panel, by_round, later[place], name)
        axes[0].set_title(f"round {later[place]}", fontsize=8.5)
        if place % across == 0:
            for panel, name in zip(axes, rows):
                panel.set_ylabel({"train_loss": "training loss", "test_accuracy": "test acc. (%)"}[name], fontsize=8)
    _same_scales(grid, rows)
    drawn.supxlabel("epoch", fontsize=9)
    return drawn


def _panel(axes, by_round, index, name):
    for number, colour in ((0, SOFT), (index, BLUE)):
        if number in by_round:
            values = by_round[number][name].dropna() * (100 if name == "test_accuracy" else 1)
            axes.plot(values.index, values, color=colour, linewidth=0.9 if number == 0 and index else 1.5)
    axes.tick_params(labelsize=7.5)


def _same_scales(grid, rows):
    for number in range(len(rows)):
        panels = [axes for line in grid[number :: len(rows)] for axes in line if axes.figure is not None]
        limits = np.array([axes.get_ylim() for axes in panels])
        for axes in panels:
            axes.set_ylim(limits[:, 0].min(), limits[:, 1].max())
