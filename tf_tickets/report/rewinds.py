"""Searches that differ in their rewind point alone: accuracy, and the barrier of copies trained from it, by epoch."""

import re

import pandas

from tf_tickets.analysis import statistics
from tf_tickets.report import pairing, plots, tables

_SAME = ["dataset", "model", "data", "augment", "epochs", "weights_total"]
COLUMNS = (
    "rewind_epoch", "digest", "round", "density", "n", "dense_accuracy", "ticket_accuracy", "difference", "low", "high",
    "p_value", "dense_barrier", "dense_barriers", "ticket_barrier", "ticket_barriers",
)  # fmt: skip
_FEWEST = 3


def epoch(rewind):
    """The epoch that a `--rewind` goes back to: 0 for `init`, K for `epoch:K`, None for every other kind."""
    found = re.fullmatch(r"init|epoch:(\d+)", rewind)
    return int(found[1] or 0) if found else None


def compared(frame, rows):
    """Tickets by rewind epoch, where at least three searches differ in nothing but that.

    All are taken after the last round that every one of them has reached, as it is called by its number. The barriers
    are those of `analyze --what=stability`, on test images: of the dense network's copies from the rewind point, and of
    the ticket's, whose density is that of the round.

    Args:
      frame: of `tables.collect`.
      rows: of `evaluations.gather`.

    Returns:
      A frame of COLUMNS, by rewind_epoch: round, density, n (pairs), mean accuracies and mean barriers (fractions),
      difference, low and high (points, ticket minus dense), p_value, and how many barriers were measured. Empty where
      there is no such comparison.
    """
    searches = _searches(frame)
    if len(searches) < _FEWEST:
        return pandas.DataFrame(columns=list(COLUMNS))
    last = min(mine.groupby("run")["round"].max().max() for mine in searches.values())
    found = []
    for rewind, mine in sorted(searches.items()):
        pair = pairing.pair(mine, mine["digest"].iloc[0], last)
        if pair is None:
            continue
        density, dense, ticket, result = pair
        barriers = []
        for level in (1.0, density):
            values = _barriers(frame, rows, rewind, level)
            barriers += [values.mean() if len(values) else None, len(values)]
        found.append((
            rewind, mine["digest"].iloc[0], last, density, result.n, dense, ticket, *pairing.in_points(result),
            result.p_value, *barriers,
        ))  # fmt: skip
    table = pandas.DataFrame(found if len(found) >= _FEWEST else [], columns=list(COLUMNS))
    return table.astype({name: "float64" for name in ("low", "high", "dense_barrier", "ticket_barrier")})


def _searches(frame):
    """The rows of one search by magnitude for each rewind epoch: those like the first, each epoch's first recipe."""
    whole = pairing.comparable(frame)
    later = whole[(whole["control"] == "none") & (whole["round"] > 0)]
    digests, like = dict.fromkeys(later["digest"]), None
    found = {}
    for digest in digests:
        mine = whole[whole["digest"] == digest]
        settings = tuple(mine[mine["round"] == 0][_SAME].iloc[0]) if (mine["round"] == 0).any() else None
        number, like = epoch(mine["rewind"].iloc[0]), like or settings
        if settings == like and number is not None:
            found.setdefault(number, mine)
    return found


def _barriers(frame, rows, rewind, density):
    mine = rows[(rows["evaluator"] == "stability") & (rows["metric"] == "barrier_test")]
    rewound = frame.drop_duplicates("run").set_index("run")["rewind"].map(epoch)
    return mine[(mine["run"].map(rewound) == rewind) & ((mine["density"] / density - 1).abs() < 1e-3)]["value"]


def heading(found):
    """What the table of `cells` is about."""
    row = found.iloc[0]
    return f"Rewind points compared after round {row['round']}, density {tables.percent(row['density'])}"


def cells(found):
    """The frame of `compared` as columns of text."""
    columns = {
        "rewind epoch": [str(value) for value in found["rewind_epoch"]],
        "dense": [tables.percent(value) for value in found["dense_accuracy"]],
        "ticket": [tables.percent(value) for value in found["ticket_accuracy"]],
        "ticket - dense, points": [statistics.points(value / 100, 2) for value in found["difference"]],
        "95 % interval": [tables.interval(row) for _, row in found.iterrows()],
        "pairs": [str(value) for value in found["n"]],
        "p": [statistics.probability(value) for value in found["p_value"]],
    }
    for name in ("dense", "ticket"):
        if found[f"{name}_barriers"].any():
            columns[f"barrier, {name}"] = [tables.percent(value) for value in found[f"{name}_barrier"]]
    return columns


def figure(found, frame):
    """Accuracy of dense network and ticket above, and their barriers below, against the rewind epoch.

    Args:
      found: frame of `compared`, not empty.
      frame: of `tables.collect`, for one point per run.
    """
    known = [name for name in ("dense", "ticket") if found[f"{name}_barriers"].any()]
    drawn = plots.canvas(5.2, 4.6 if known else 2.8)
    panels = drawn.subplots(2 if known else 1, 1, sharex=True, squeeze=False)[:, 0]
    looks = {"dense": {"color": "#444444", "marker": "s", "linestyle": "--"}, "ticket": {"color": plots.COLOURS[0]}}
    for name, look in looks.items():
        look = {"marker": "o", "markersize": 4.5, "linewidth": 1.6, "label": name, **look}
        panels[0].plot(found["rewind_epoch"], 100 * found[f"{name}_accuracy"], **look)
        if name in known:
            panels[1].plot(found["rewind_epoch"], 100 * found[f"{name}_barrier"], **look)
    _draw_runs(panels[0], found, frame)
    panels[0].set_ylabel("test accuracy (%)")
    panels[0].legend(loc="best")
    if known:
        panels[1].axhline(2.0, color="#8C6D31", linewidth=0.9, linestyle=":", label="stable below 2 points")
        panels[1].set(ylabel="barrier (points)")
        panels[1].set_ylim(bottom=min(0.0, panels[1].get_ylim()[0]))
        panels[1].legend(loc="best")
    panels[-1].set(xlabel="rewind epoch", xticks=list(found["rewind_epoch"]))
    return drawn


def _draw_runs(axes, found, frame):
    for row in found.itertuples():
        mine = frame[frame["digest"] == row.digest]
        for index, colour in ((0, "#444444"), (row.round, plots.COLOURS[0])):
            values = 100 * mine[mine["round"] == index]["test_accuracy"]
            if len(values) > 1:
                axes.plot([row.rewind_epoch] * len(values), values, ".", color=colour, alpha=0.45, markersize=4)
