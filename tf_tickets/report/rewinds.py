"""Searches that differ in their rewind point alone: accuracy, and the barrier of copies trained from it, by epoch."""

import re

import pandas
from matplotlib.figure import Figure

from tf_tickets.columns import percent
from tf_tickets.plotting.canvas import COLOURS, canvas
from tf_tickets.report import pairing, statistics, tables

COLUMNS = (
    "rewind_epoch", "digest", "round", "density", "n", "dense_accuracy", "ticket_accuracy", "difference", "low", "high",
    "p_value", "dense_barrier", "dense_barriers", "ticket_barrier", "ticket_barriers", "dense_sd", "ticket_sd",
)  # fmt: skip
_DATA = ["dataset", "model", "data", "augment", "weights_total"]
_PAIR = ["seed", "subset_seed"]
_FEWEST = 3


def epoch(rewind: str) -> int | None:
    """The epoch that a `--rewind` goes back to: 0 for `init`, K for `epoch:K`, None for every other kind."""
    match = re.fullmatch(r"init|epoch:(\d+)", rewind)
    return int(match[1] or 0) if match else None


def compared(frame: pandas.DataFrame, rows: pandas.DataFrame) -> pandas.DataFrame:
    """Tickets by rewind epoch, where at least three searches differ in nothing else that the frame tells.

    All have the same data, network, epochs of the dense round and weights left after each round. They are compared over
    the pairs of (seed, subset_seed) that all of them have, at the last round that most pairs have reached. Where two
    recipes share a rewind epoch they differ in something else: that epoch is left out. Of several such sets the one
    with most rewind epochs counts.

    Barriers are those of `analyze --what=stability` on test images, of the same data and network: of copies of the
    dense network, and of copies as dense as the ticket, over the same pairs; those of one pair are averaged first.

    Args:
      frame: of `tables.collect`.
      rows: of `evaluation_rows.gather`.

    Returns:
      A frame of COLUMNS, by rewind_epoch: round, density, n (pairs), mean accuracies and mean barriers (fractions),
      difference, low and high (points, ticket minus dense), p_value, over how many pairs the barriers were measured,
      and the accuracies' standard deviations over the pairs (dense_sd, ticket_sd; none of one). Empty where there is
      no such comparison.
    """
    searches = max(_sets(frame), key=len, default={})
    last, pairs = _meeting(searches) if len(searches) >= _FEWEST else (0, frozenset())
    lines = []
    for rewind, search in sorted(searches.items() if pairs else ()):
        density, dense, ticket = pairing.accuracies(_of(search, pairs), search["digest"].iloc[0], last)
        result = statistics.paired_difference(dense, ticket)
        barriers = []
        for level in (1.0, density):
            values = _barriers(frame, rows, search, pairs, level)
            barriers += [values.mean() if len(values) else None, len(values)]
        lines.append((
            rewind, search["digest"].iloc[0], last, density, result.n, dense.mean(), ticket.mean(),
            *pairing.in_points(result), result.p_value, *barriers, *pairing.deviations(dense, ticket),
        ))  # fmt: skip
    table = pandas.DataFrame(lines, columns=list(COLUMNS))
    missing = ("low", "high", "dense_barrier", "ticket_barrier", "dense_sd", "ticket_sd")
    return table.astype(dict.fromkeys(missing, "float64"))


def _sets(frame):
    """Searches by magnitude that are alike but for their rewind epoch: a list of dicts from epoch to rows."""
    whole = pairing.comparable(frame[pairing.of_controls(frame, "is_search")])
    sets, crowded = {}, set()
    for digest in dict.fromkeys(whole[whole["round"] > 0]["digest"]):
        search = whole[whole["digest"] == digest]
        number, first = epoch(search["rewind"].iloc[0]), search[search["round"] == 0]
        if number is None or first.empty:
            continue
        left = search.drop_duplicates("round").sort_values("round")
        # One of them may have come further: the weights after the first pruning tell the rates apart.
        rate = left[left["round"] == 1]["weights_left"].iloc[0] if (left["round"] == 1).any() else None
        key = (*first[[*_DATA, "epochs"]].iloc[0], rate)
        if number in sets.setdefault(key, {}):
            crowded.add((key, number))
        sets[key].setdefault(number, search)
    return [{n: search for n, search in searches.items() if (key, n) not in crowded} for key, searches in sets.items()]


def _meeting(searches):
    """(round, pairs): the last round of those at which most (seed, subset_seed) are in every search, and these."""
    best = 0, frozenset()
    for index in sorted(set.intersection(*(set(search["round"]) for search in searches.values())) - {0}):
        pairs = frozenset.intersection(*(
            frozenset(zip(*(rows[name] for name in _PAIR)))
            for search in searches.values() for rows in (search[search["round"] == 0], search[search["round"] == index])
        ))  # fmt: skip
        best = (index, pairs) if pairs and len(pairs) >= len(best[1]) else best
    return best


def _of(rows, pairs):
    return rows[pandas.Series([pair in pairs for pair in zip(*(rows[name] for name in _PAIR))], rows.index, bool)]


def _barriers(frame, rows, search, pairs, density):
    """One mean barrier for each pair that has some."""
    alike = (frame[_DATA] == search[_DATA].iloc[0]).all(axis=1) & pairing.of_controls(frame, "is_search")
    alike &= frame["rewind"].map(epoch) == epoch(search["rewind"].iloc[0])
    barriers = rows[(rows["evaluator"] == "stability") & (rows["metric"] == "barrier_test")]
    barriers = barriers[barriers["run"].isin(frame[alike]["run"]) & ((barriers["density"] / density - 1).abs() < 1e-3)]
    return _of(barriers, pairs).groupby(_PAIR)["value"].mean()


def without(frame: pandas.DataFrame, rows: pandas.DataFrame, rewound: pandas.DataFrame) -> pandas.DataFrame:
    """The frame for a comparison with rivals: of the searches in `rewound` the first alone, and no copies.

    Copies were trained for a barrier: recipes of one round with rows of `stability`.

    Args:
      frame, rows: those given to `compared`.
      rewound: what it returned.
    """
    rounds = frame.groupby("digest")["round"].nunique()
    joined = frame[frame["run"].isin(rows[rows["evaluator"] == "stability"]["run"])]["digest"]
    copies = frame["digest"].isin(joined) & (frame["digest"].map(rounds) == 1)
    dropped = [digest for digest in dict.fromkeys(frame["digest"]) if digest in set(rewound["digest"])][1:]
    return frame[~copies & ~frame["digest"].isin(dropped)]


def heading(table: pandas.DataFrame) -> str:
    """What the table of `cells` is about."""
    row = table.iloc[0]
    over = f"over {row['n']} pair{'s' if row['n'] != 1 else ''} that all have"
    return f"Rewind points compared after round {row['round']}, density {percent(row['density'])}, {over}"


def cells(table: pandas.DataFrame) -> dict[str, list[str]]:
    """The frame of `compared` as columns of text."""
    columns = {
        "rewind epoch": [str(value) for value in table["rewind_epoch"]],
        "dense, mean ± sd": list(map(tables.mean_sd, table["dense_accuracy"], table["dense_sd"])),
        "ticket, mean ± sd": list(map(tables.mean_sd, table["ticket_accuracy"], table["ticket_sd"])),
        "ticket - dense, points": [statistics.points(value / 100, 2) for value in table["difference"]],
        "95 % interval": [tables.interval(row) for _, row in table.iterrows()],
        "p": [statistics.probability(value) for value in table["p_value"]],
    }
    for name in ("dense", "ticket"):
        measured = table[f"{name}_barriers"]
        if measured.any():
            columns[f"barrier, {name}"] = [percent(value) for value in table[f"{name}_barrier"]]
            columns[f"pairs with it, {name}"] = [str(value) for value in measured]
    return columns


def figure(table: pandas.DataFrame) -> Figure:
    """Accuracy of dense network and ticket above, and their barriers below, against the rewind epoch.

    Args:
      table: frame of `compared`, not empty.
    """
    known = [name for name in ("dense", "ticket") if table[f"{name}_barriers"].any()]
    drawn = canvas(5.2, 4.6 if known else 2.8)
    panels = drawn.subplots(2 if known else 1, 1, sharex=True, squeeze=False)[:, 0]
    looks = {"dense": {"color": "#444444", "marker": "s", "linestyle": "--"}, "ticket": {"color": COLOURS[0]}}
    for name, look in looks.items():
        look = {"marker": "o", "markersize": 4.5, "linewidth": 1.6, "label": name, **look}
        panels[0].plot(table["rewind_epoch"], 100 * table[f"{name}_accuracy"], **look)
        if name in known:
            panels[1].plot(table["rewind_epoch"], 100 * table[f"{name}_barrier"], **look)
    panels[0].set_ylabel("test accuracy (%)")
    panels[0].legend(loc="best")
    if known:
        panels[1].axhline(2.0, color="#8C6D31", linewidth=0.9, linestyle=":", label="stable below 2 points")
        panels[1].set(ylabel="barrier (points)")
        panels[1].set_ylim(bottom=min(0.0, panels[1].get_ylim()[0]))
        panels[1].legend(loc="best")
    panels[-1].set(xlabel="rewind epoch", xticks=list(table["rewind_epoch"]))
    return drawn
