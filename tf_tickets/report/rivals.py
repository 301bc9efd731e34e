"""The first search's ticket against other recipes on the same images: random masks, small dense networks, ..."""

import numpy as np
import pandas

from tf_tickets.columns import percent
from tf_tickets.registry import CONTROLS
from tf_tickets.report import pairing, plots, statistics, tables
from tf_tickets.settings.groups import Pruning

COLUMNS = (
    "digest", "rival", "name", "round", "density", "rival_density", "n", "ticket_accuracy", "rival_accuracy",
    "difference", "low", "high", "p_value", "p_holm", "ticket_sd", "rival_sd", "note",
    "ticket_images", "rival_images", "ticket_multiply_adds", "rival_multiply_adds",
)  # fmt: skip
_SAME = ["dataset", "model", "data"]
_OF_A_METHOD = ("criterion", "scope", "augment", "rewind")


def compared(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Compares the ticket of the first recipe that searched by magnitude, and has rivals, with every other recipe.

    Without one by magnitude, of the first that searched. Others of the same data set, part, model and number of weights
    are its rivals, and small dense networks are. Pairs are runs that share (seed, subset_seed). The two meet after each
    round that leaves both as many weights, to a thousandth; a rival that meets another search by the same criterion so,
    of another rate, is compared with that one's ticket. Dense networks and small dense ones are met after the last
    round. Shortened rounds do not count, nor does a control of which only the dense network is trained yet.

    Args:
      frame: of `tables.collect`.

    Returns:
      A frame of COLUMNS: digest and rival (digests), name (the rival in words), round and density (the ticket's, the
      mean over its runs), rival_density (weights left over the ticket's network's), n (pairs), mean accuracies
      (fractions), difference, low and high (points, ticket minus rival, 95 % t interval), p_value (sign flips),
      p_holm: corrected over one meeting of each rival, the sparsest of those with most pairs; empty for the others,
      ticket_sd and rival_sd (fractions, over the pairs), note: why cells of the row are empty, and of both what `cost`
      gives: images trained on and multiply-adds.
    """
    search, rivals = subjects(frame)
    names, tickets = plots.labels(frame)[1], _tickets(search, rivals)
    lines = []
    for digest, rows in rivals.items():
        ticket = next((ticket for ticket in tickets if ticket is not rows and _equal(ticket, rows)), search)
        lines += _meetings(ticket, rows, names[digest], frame)
    return _corrected(_typed(lines))


def _tickets(search, rivals):
    """The rows of the search, and of others by the same criterion, whose tickets have other densities."""
    searches = [rows for rows in rivals.values() if pairing.of_controls(rows, "is_search").all() and _is_sparse(rows)]
    return [search, *(rows for rows in searches if _method(rows) == _method(search))]


def _method(rows):
    return tuple(rows[name].iloc[0] for name in _OF_A_METHOD if name in rows)


def _is_sparse(rows):
    return rows[rows["round"] == rows["round"].max()]["density"].max() < 1.0


def _equal(search, rival):
    """(round, the rival's) of each density at which both have as many weights."""
    ours, theirs = (rows.groupby("round")["weights_left"].mean().to_dict() for rows in (search, rival))
    return [
        (index, rival_round) for index, left in ours.items() for rival_round in theirs
        if index and abs(left - theirs[rival_round]) <= 1e-3 * left
    ]  # fmt: skip


def cost(frame: pandas.DataFrame, digest: str, index: int) -> tuple[float | None, float | None]:
    """(images trained on, multiply-adds) up to a round's end, shortened rounds included, as means over a digest's runs.

    An image counts once for each epoch that trains on it. The search of a ticket that is given is not counted. None
    where some round does not say, as those of earlier versions.
    """
    rows = frame[(frame["digest"] == digest) & (frame["round"] <= index)]
    if not {"images", "training_multiply_adds"} <= set(rows):
        return None, None
    of_runs = rows.assign(trained=rows["images"] * rows["epochs"]).groupby("run")
    totals = [of_runs[name].agg(lambda part: part.sum(skipna=False)) for name in ("trained", "training_multiply_adds")]
    return tuple(None if total.isna().any() else float(total.mean()) for total in totals)


def subjects(frame: pandas.DataFrame) -> tuple[pandas.DataFrame, dict[str, pandas.DataFrame]]:
    """The rows of the ticket's recipe and, by digest, of its rivals, shortened rounds left out; (empty, {}) without."""
    whole = pairing.comparable(frame)
    searches = whole[pairing.of_controls(whole, "is_search") & (whole["round"] > 0)]
    if searches.empty:
        return searches, {}
    if {"criterion", "scope"} <= set(searches):
        usual = (searches["criterion"] == Pruning.criterion) & (searches["scope"] == Pruning.scope)
        searches = pandas.concat([searches[usual], searches[~usual]])
    recipes = [(whole[whole["digest"] == digest], _rivals(whole, digest)) for digest in searches["digest"].unique()]
    return next((recipe for recipe in recipes if recipe[1]), recipes[0])


def _rivals(whole, digest):
    search = whole[whole["digest"] == digest]
    same = (whole[_SAME] == search[_SAME].iloc[0]).all(axis=1)
    same &= (whole["weights_total"] == search["weights_total"].max()) | pairing.of_controls(whole, "other_network")
    groups = {digest: rows for digest, rows in whole[same].groupby("digest", sort=False)}
    del groups[search["digest"].iloc[0]]
    return {digest: rows for digest, rows in groups.items() if not _is_no_rival(rows)}


def _is_no_rival(rows):
    """Whether these are of a linear probe, which has a table of its own, or of a control's dense network alone."""
    control = CONTROLS[rows["control"].iloc[0]]
    return control.fits or (not (control.is_search or control.other_network) and (rows["density"] == 1.0).all())


def cells(table: pandas.DataFrame) -> dict[str, list[str]]:
    """The frame of `compared` as columns of text, by `ordered`."""
    table = ordered(table)
    return {
        "against": list(table["name"]),
        "density": [percent(value) for value in table["density"]],
        "its density": [percent(value) for value in table["rival_density"]],
        "ticket, mean ± sd": list(map(tables.mean_sd, table["ticket_accuracy"], table["ticket_sd"])),
        "rival, mean ± sd": list(map(tables.mean_sd, table["rival_accuracy"], table["rival_sd"])),
        "ticket - rival, points": [statistics.points(value / 100, 2) for value in table["difference"]],
        "95 % interval": [tables.interval(row) for _, row in table.iterrows()],
        "pairs": [str(value) for value in table["n"]],
        "p": [statistics.probability(value) for value in table["p_value"]],
        "p, Holm": ["-" if pandas.isna(value) else statistics.probability(value) for value in table["p_holm"]],
        **_cost_cells(table),
    }


def ordered(table: pandas.DataFrame) -> pandas.DataFrame:
    """The frame of `compared`, its rows from dense to sparse, and of one density the rival of most accuracy first."""
    keys = [-table["density"].round(3), -table["rival_accuracy"], table["name"]]
    return table.loc[pandas.concat(keys, axis=1).sort_values([key.name for key in keys], kind="stable").index]


def _cost_cells(table):
    """What the rival cost, and how many times what the ticket did; no column where nothing is known."""
    titles = {"images": "images trained, to ticket", "multiply_adds": "multiply-adds, to ticket"}
    return {
        title: [
            "-" if pandas.isna(rival) or pandas.isna(ticket)
            else f"{rival:,.0f} ({rival / ticket:.2f})" if name == "images" else f"{rival:.2e} ({rival / ticket:.2f})"
            for rival, ticket in zip(table[f"rival_{name}"], table[f"ticket_{name}"])
        ]
        for name, title in titles.items() if table[f"rival_{name}"].notna().any()
    }  # fmt: skip


def note(table: pandas.DataFrame) -> str:
    """The sentence below the table of `cells` that says over what it corrects and what its dash means."""
    text = "p, Holm is corrected over the rivals"
    if table["p_holm"].notna().all():
        return f"{text}."
    return (
        f"{text}, and each counts once: after the sparsest round at which most pairs meet it. A dash marks its other "
        "rounds."
    )


def left_out(frame: pandas.DataFrame, table: pandas.DataFrame) -> str:
    """The sentence that names the rivals which `compared` leaves out; nothing where it has all."""
    names = plots.labels(frame)[1]
    apart = [names[digest] for digest in subjects(frame)[1] if digest not in set(table["rival"])]
    if not apart:
        return ""
    common = "since no (seed, subset_seed), or no number of weights, is in common"
    return f"Not compared with the ticket, {common}: {', '.join(apart)}"


def results(table: pandas.DataFrame) -> list[tuple[str, statistics.PairedDifference]]:
    """(name, statistics.PairedDifference) of the meeting with each rival that is corrected for."""
    chosen = ordered(table[table["p_holm"].notna()]).rename(columns={"name": "name_"})
    return [(row.name_, pairing.difference(row)) for row in chosen.itertuples(index=False)]


def _meetings(search, rival, name, frame):
    """One row for each density at which the two meet."""
    ours, theirs = (rows.groupby("round")["weights_left"].mean().to_dict() for rows in (search, rival))
    equal, lines = _equal(search, rival), []
    if not _is_sparse(rival) or pairing.of_controls(rival, "other_network").all():
        equal = equal or [(max(ours), max(theirs))]
    for index, rival_round in equal:
        first, second = (
            pairing.by_pair(rows[rows["round"] == at]) for rows, at in ((search, index), (rival, rival_round))
        )
        both = sorted(set(first) & set(second))
        if not both:
            continue
        ticket, against = (np.array([side[pair] for pair in both]) for side in (first, second))
        result = statistics.paired_difference(against, ticket)
        total = search["weights_total"].max()
        costs = zip(cost(frame, search["digest"].iloc[0], index), cost(frame, rival["digest"].iloc[0], rival_round))
        lines.append((
            search["digest"].iloc[0], rival["digest"].iloc[0], name, index, ours[index] / total,
            theirs[rival_round] / total, result.n, ticket.mean(), against.mean(), *pairing.in_points(result),
            result.p_value, None,
            *pairing.deviations(ticket, against), _missing(result),
            *(value for pair in costs for value in pair),
        ))  # fmt: skip
    return lines


def _missing(result):
    """Why a row has no interval, or no deviations either."""
    if result.low is not None:
        return ""
    return "no interval or sd: one pair" if result.n == 1 else statistics.no_interval(result.n)


def _typed(rows):
    types = dict.fromkeys(("low", "high", "p_holm", "ticket_sd", "rival_sd", *COLUMNS[-4:]), "float64")
    return pandas.DataFrame(rows, columns=list(COLUMNS)).astype(types)


def _corrected(table):
    # Stable: of as many pairs the last, which is the sparsest.
    chosen = table.sort_values("n", kind="stable").groupby("rival", sort=False).tail(1).index
    if len(chosen):
        table.loc[chosen, "p_holm"] = statistics.holm(table.loc[chosen, "p_value"])
    counted = table.loc[chosen].set_index("rival")["round"]
    for place, row in table[table["p_holm"].isna()].iterrows():
        reason = f"no p_holm: each rival counts once, this one at round {counted[row['rival']]}"
        table.loc[place, "note"] = "; ".join(filter(None, (row["note"], reason)))
    return table
