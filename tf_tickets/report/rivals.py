"""The first recipe's ticket against the others on the same images: random masks, small or long dense networks, ..."""

import numpy as np
import pandas

from tf_tickets.analysis import statistics
from tf_tickets.report import pairing, plots, tables

COLUMNS = (
    "digest", "rival", "name", "round", "density", "rival_density", "n", "ticket_accuracy", "rival_accuracy",
    "difference", "low", "high", "p_value", "p_holm",
)  # fmt: skip
_SAME = ["dataset", "model", "data"]


def compared(frame):
    """Compares the first recipe that searched by magnitude with each other on the same data set, part and network.

    Pairs are runs that share (seed, subset_seed). A rival of several rounds meets the ticket after each round that
    leaves both as many weights, any other meets with its last round the ticket's. Shortened rounds do not count.

    Args:
      frame: of `tables.collect`.

    Returns:
      A frame of COLUMNS: digest and rival (digests), name (the rival in words), round and density (the ticket's, the
      mean over its runs), rival_density (weights left over the ticket's network's), n (pairs), mean accuracies
      (fractions), difference, low and high (points, ticket minus rival, 95 % t interval), p_value (sign flips) and
      p_holm (corrected over the last meeting of each rival; empty for the others).
    """
    whole = pairing.comparable(frame)
    searches = whole[(whole["control"] == "none") & (whole["round"] > 0)]
    if searches.empty:
        return _typed([])
    mine = whole[whole["digest"] == searches["digest"].iloc[0]]
    same = (whole[_SAME] == mine[_SAME].iloc[0]).all(axis=1)
    rows = []
    for digest, rival in whole[same].groupby("digest", sort=False):
        if digest != mine["digest"].iloc[0]:
            rows += _meetings(mine, rival, plots.rival_text(frame[frame["digest"] == digest]))
    return _corrected(_typed(rows))


def cells(found):
    """The frame of `compared` as columns of text."""
    return {
        "against": list(found["name"]),
        "density": [tables.percent(value) for value in found["density"]],
        "its density": [tables.percent(value) for value in found["rival_density"]],
        "ticket": [tables.percent(value) for value in found["ticket_accuracy"]],
        "rival": [tables.percent(value) for value in found["rival_accuracy"]],
        "ticket - rival, points": [statistics.points(value / 100, 2) for value in found["difference"]],
        "95 % interval": [_bounds(row) for _, row in found.iterrows()],
        "pairs": [str(value) for value in found["n"]],
        "p": [statistics.probability(value) for value in found["p_value"]],
        "p, Holm": ["" if pandas.isna(value) else statistics.probability(value) for value in found["p_holm"]],
    }


def _bounds(row):
    """`[+0.39, +3.75]`, or nothing where one pair has no interval."""
    low, high = (statistics.points(row[name] / 100, 2) for name in ("low", "high"))
    return "" if pandas.isna(row["low"]) else f"[{low}, {high}]"


def results(found):
    """(name, statistics.PairedDifference) of the last meeting with each rival."""
    last = found.groupby("rival", sort=False).tail(1)
    return [(row.name_, _difference(row)) for row in last.rename(columns={"name": "name_"}).itertuples(index=False)]


def _difference(row):
    low, high = (None if pandas.isna(bound) else bound / 100 for bound in (row.low, row.high))
    return statistics.PairedDifference(row.difference / 100, low, high, row.n, row.p_value)


def _meetings(mine, rival, name):
    """One row for each density at which the two meet."""
    last, total = mine["round"].max(), mine["weights_total"].max()
    later = sorted((set(rival["round"]) & set(mine["round"])) - {0})
    shared = [index for index in later if _equal(mine, rival, index)]
    found = []
    for index, other in [(index, index) for index in shared] or [(last, rival["round"].max())]:
        ours, theirs = (_by_pair(rows[rows["round"] == at]) for rows, at in ((mine, index), (rival, other)))
        both = sorted(set(ours) & set(theirs))
        if not both:
            continue
        ticket, against = (np.array([side[pair] for pair in both]) for side in (ours, theirs))
        result = statistics.paired_difference(against, ticket)
        low, high = (None if bound is None else 100 * bound for bound in (result.low, result.high))
        density = mine[mine["round"] == index]["density"].mean()
        rival_density = (rival[rival["round"] == other]["weights_left"] / total).mean()
        found.append((
            mine["digest"].iloc[0], rival["digest"].iloc[0], name, index, density, rival_density,
            result.n, ticket.mean(), against.mean(), 100 * result.mean, low, high, result.p_value, None,
        ))  # fmt: skip
    return found


def _equal(mine, rival, index):
    """Whether the two have as many weights left after this round, within what rounding leaves."""
    counts = [set(rows[rows["round"] == index]["weights_left"]) for rows in (mine, rival)]
    return max(map(max, counts)) - min(map(min, counts)) <= 1


def _by_pair(rows):
    return rows.groupby(["seed", "subset_seed"])["test_accuracy"].mean().to_dict()


def _typed(rows):
    types = dict.fromkeys(("low", "high", "p_holm"), "float64")
    return pandas.DataFrame(rows, columns=list(COLUMNS)).astype(types)


def _corrected(found):
    last = found.groupby("rival", sort=False).tail(1).index
    if len(last):
        found.loc[last, "p_holm"] = statistics.holm(found.loc[last, "p_value"])
    return found
