"""Every recipe against the linear probes on the same images: dense networks and tickets, over pairs of seeds."""

import numpy as np
import pandas

from tf_tickets.columns import percent
from tf_tickets.report import pairing, plots, statistics, tables

COLUMNS = (
    "probe", "digest", "name", "round", "density", "n", "accuracy", "probe_accuracy", "difference", "low", "high",
    "p_value", "p_holm", "sd", "probe_sd",
)  # fmt: skip
_SAME = ["dataset", "data"]


def compared(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Compares round 0 and the last round of every other recipe on the same images with each linear probe.

    Pairs are runs that share (seed, subset_seed); shortened rounds do not count.

    Args:
      frame: of `tables.collect`, with the digests of `pairing.pooled`.

    Returns:
      A frame of COLUMNS: probe and digest (of the two recipes), name (of the other, and which of its networks), round
      and density (its), n (pairs), mean accuracies (fractions), difference, low and high (points, recipe minus probe,
      95 % t interval), p_value (sign flips), p_holm, corrected over the rows of one probe, and sd and probe_sd
      (fractions, over the pairs).
    """
    whole, names, lines = pairing.comparable(frame), plots.labels(frame)[1], []
    fitted = pairing.of_controls(whole, "fits")
    for probe, rows in whole[fitted].groupby("digest", sort=False):
        same = (whole[_SAME] == rows[_SAME].iloc[0]).all(axis=1) & (whole["digest"] != probe)
        for digest, recipe in whole[same].groupby("digest", sort=False):
            lines += _meetings(str(probe), rows, str(digest), recipe, names[digest])
    missing = dict.fromkeys(("low", "high", "p_holm", "sd", "probe_sd"), "float64")
    table = pandas.DataFrame(lines, columns=list(COLUMNS)).astype(missing)
    return table.assign(p_holm=table.groupby("probe")["p_value"].transform(statistics.holm))


def _meetings(probe, rows, digest, recipe, name):
    """One row for the first, and one for the last round that all pairs can meet in."""
    against, lines = pairing.by_pair(rows), []
    for index in sorted({recipe["round"].min(), recipe["round"].max()}):
        of_round = recipe[recipe["round"] == index]
        values, density = pairing.by_pair(of_round), float(of_round["density"].median())
        both = sorted(set(values) & set(against))
        if not both:
            continue
        accuracy, of_probe = (np.array([side[pair] for pair in both]) for side in (values, against))
        result = statistics.paired_difference(of_probe, accuracy)
        several = recipe["round"].nunique() > 1
        kind = f": {'dense' if density == 1.0 else f'round {index}'}" if several else ""
        lines.append((
            probe, digest, f"{name}{kind}", index, density, result.n, accuracy.mean(), of_probe.mean(),
            *pairing.in_points(result), result.p_value, None, *pairing.deviations(accuracy, of_probe),
        ))  # fmt: skip
    return lines


def groups(table: pandas.DataFrame, frame: pandas.DataFrame) -> list[tuple[str, pandas.DataFrame]]:
    """(heading, its rows of `compared`) of each probe; `frame` as there."""
    names = plots.labels(frame)[1]
    title = {probe: f"{'' if ',' in name else 'the '}{name}" for probe, name in names.items()}
    return [(f"Against {title[probe]}", rows) for probe, rows in table.groupby("probe", sort=False)]


def results(table: pandas.DataFrame) -> list[tuple[str, statistics.PairedDifference]]:
    """(name, statistics.PairedDifference) of each row of `compared`."""
    return [(row.name_, pairing.difference(row)) for row in table.rename(columns={"name": "name_"}).itertuples()]


def cells(table: pandas.DataFrame) -> dict[str, list[str]]:
    """The rows of `compared` of one probe as columns of text."""
    return {
        "recipe": list(table["name"]),
        "density": [percent(value) for value in table["density"]],
        "recipe, mean ± sd": list(map(tables.mean_sd, table["accuracy"], table["sd"])),
        "probe, mean ± sd": list(map(tables.mean_sd, table["probe_accuracy"], table["probe_sd"])),
        "recipe - probe, points": [statistics.points(value / 100, 2) for value in table["difference"]],
        "95 % interval": [tables.interval(row) for _, row in table.iterrows()],
        "pairs": [str(value) for value in table["n"]],
        "p": [statistics.probability(value) for value in table["p_value"]],
        "p, Holm": [statistics.probability(value) for value in table["p_holm"]],
    }
