"""Dense against ticket over pairs of (seed, subset_seed): the rounds that can be compared, and their differences."""

import typing

import numpy as np
import pandas

from tf_tickets.columns import percent
from tf_tickets.registry import CONTROLS
from tf_tickets.report import naming, statistics, tables, test_images


def pair(
    frame: pandas.DataFrame, digest: str, index: int
) -> tuple[float, float, float, statistics.PairedDifference] | None:
    """Compares round `index` with round 0 over the runs of one digest that have both; None where no run does.

    A pair is a (seed, subset_seed). Runs that differ in order_seed alone are averaged first: they share initial
    weights and images, so counting each would make the pairs look more independent than they are.

    Returns:
      (density, dense, ticket, statistics.PairedDifference), the first three as fractions, accuracies as means; or None.
      Each refit ends with the round that was chosen for it: of refits, whatever their last rounds are, those count for
      the last one.
    """
    sides = accuracies(frame, digest, index)
    if sides is None:
        return None
    density, dense, ticket = sides
    return density, dense.mean(), ticket.mean(), statistics.paired_difference(dense, ticket)


def accuracies(frame: pandas.DataFrame, digest: str, index: int) -> tuple[float, np.ndarray, np.ndarray] | None:
    """What `pair` compares: (density, dense, ticket), the last two float64 [pairs], fractions; or None."""
    records = _records(frame[frame["digest"] == digest])
    if naming.is_refit(digest) and index == max((row.round for row in records), default=0):
        last = {row.run: max(record.round for record in records if record.run == row.run) for row in records}
        records = [row._replace(round=index) if 0 < row.round == last[row.run] else row for row in records
                   if row.round in (0, last[row.run])]  # fmt: skip
    return _paired(records, index)


COLUMNS = (
    "digest", "round", "density", "n", "dense_accuracy", "ticket_accuracy", "difference", "low", "high", "p_value",
    "p_holm", "dense_sd", "ticket_sd",
)  # fmt: skip
_MISSING = ("low", "high", "p_holm", "dense_sd", "ticket_sd")
_ALIKE = [
    "dataset", "model", "data", "augment", "control", "rewind", "recipe", "epochs", "weights_left", "weights_total",
]  # fmt: skip
_OF_A_CURVE = ["dataset", "model", "data", "augment", "control", "criterion", "rewind", "recipe", "weights_total"]


def pooled(frame: pandas.DataFrame) -> pandas.DataFrame:
    """The frame with one digest for all runs of a control that takes a ticket, and that are alike but for it.

    A ticket is part of such a run's settings and each pair has its own, so that their digests would part the pairs.
    Soups are of a ticket too, and a run with a teacher is of one.
    """
    of_a_ticket = of_controls(frame, "of_a_ticket") | frame["soup_members"].notna() | (frame["distillation"] != "")
    told_apart = [*_ALIKE, "soup_members", "distillation"]
    first = frame[of_a_ticket].groupby(told_apart, dropna=False)["digest"].transform("first")
    return frame.assign(digest=first.reindex(frame.index).fillna(frame["digest"]))


def curves(frame: pandas.DataFrame) -> pandas.DataFrame:
    """The frame with one digest for all densities of a recipe whose runs are of one density each, as a figure draws it.

    The runs of the same seeds become one run, in which densities stand for rounds; dense rounds are left out. What is
    of one density alone stays as it is.
    """
    if not {"control", "recipe", "subset_seed"} <= set(frame):  # of one run's own table
        return frame
    of_one, parts = of_controls(frame, "one_density") & (frame["density"] < 1.0), []
    for _, rows in frame[of_one].groupby(_OF_A_CURVE, sort=False):
        if rows["weights_left"].nunique() > 1:
            seeds = rows[["seed", "subset_seed", "order_seed"]].astype(str).agg("/".join, axis=1)
            order = rows["weights_left"].rank(method="dense", ascending=False).astype(int)
            parts.append(rows.assign(digest=rows["digest"].iloc[0], run=seeds, round=order))
    if not parts:
        return frame
    joined = pandas.concat(parts)
    several = frame["digest"].isin(frame.loc[joined.index, "digest"])
    return pandas.concat([frame[~several], joined]).sort_index()


def comparable(frame: pandas.DataFrame) -> pandas.DataFrame:
    """The rounds that were trained in full, which alone can be compared."""
    return frame[frame["searched"] == 0]


def of_controls(frame: pandas.DataFrame, fact: str) -> pandas.Series:
    """Which rows are of a control of which a fact is true, such as `is_search`: a boolean column."""
    return frame["control"].isin([name for name, control in CONTROLS.items() if getattr(control, fact)])


def _records(group):
    group = comparable(group)
    return list(group[["run", "seed", "subset_seed", "round", "density", "test_accuracy"]].itertuples(index=False))


def _paired(records, index):
    """As `accuracies`, from the rows of one digest as tuples: frames would take seconds over hundreds of rounds."""
    dense = {row.run: row.test_accuracy for row in records if row.round == 0 and row.density == 1.0}
    rows, both = [row for row in records if row.round == index], {}
    for row in rows:
        if row.run in dense:
            both.setdefault((row.seed, row.subset_seed), []).append((dense[row.run], row.test_accuracy))
    if not both:
        return None
    first, second = np.array([np.mean(both[key], axis=0) for key in sorted(both)]).T
    return float(np.median([row.density for row in rows])), first, second


def in_points(result: statistics.PairedDifference) -> list[float | None]:
    """Mean, low and high of a statistics.PairedDifference of fractions, in points."""
    return [None if value is None else 100 * value for value in (result.mean, result.low, result.high)]


def bounds(result: statistics.PairedDifference) -> dict[str, float | None]:
    """The interval of a statistics.PairedDifference of fractions as `tables.interval` takes it."""
    return dict(zip(("n", "low", "high"), (result.n, *in_points(result)[1:])))


def difference(row: typing.Any) -> statistics.PairedDifference:
    """The statistics.PairedDifference of fractions, of a row with difference, low, high (points), n and p_value."""
    low, high = (None if pandas.isna(bound) else bound / 100 for bound in (row.low, row.high))
    return statistics.PairedDifference(row.difference / 100, low, high, row.n, row.p_value)


def by_pair(rows: pandas.DataFrame) -> dict[tuple, float]:
    """Mean test accuracy by (seed, subset_seed)."""
    return rows.groupby(["seed", "subset_seed"])["test_accuracy"].mean().to_dict()


def paired(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Dense against ticket per digest and round from 1 on, over pairs of (seed, subset_seed).

    Returns:
      A frame with digest, round, density, n (pairs), dense_accuracy and ticket_accuracy (mean fractions), difference,
      low and high (points, ticket minus dense, 95 % t interval), p_value (sign flips), p_holm, the same corrected over
      the rounds of the digest, and dense_sd and ticket_sd (fractions, over the pairs; none of one).
    """
    rows, groups = [], {digest: _records(group) for digest, group in frame.groupby("digest")}
    for digest, index in frame[["digest", "round"]].drop_duplicates().itertuples(index=False):
        sides = _paired(groups[digest], index) if index else None
        if sides:
            density, dense, ticket = sides
            result = statistics.paired_difference(dense, ticket)
            rows.append((
                digest, index, density, result.n, dense.mean(), ticket.mean(), *in_points(result), result.p_value, None,
                *deviations(dense, ticket),
            ))  # fmt: skip
    table = pandas.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(_MISSING, "float64"))
    return table.assign(p_holm=table.groupby("digest")["p_value"].transform(statistics.holm))


def deviations(*accuracies: np.ndarray) -> list[float | None]:
    """The sample standard deviation of each, in the unit of the values; None of one value."""
    return [statistics.mean_interval(values).sd for values in accuracies]


MARK_NOTE = "* the round that the ticket is"


def is_marked(group: pandas.DataFrame) -> bool:
    """Whether `cells` marks a round of a group with a star: it is of one run, whose ticket is there."""
    return group["run"].nunique() == 1 and "exported" in group and bool((group["exported"].fillna(0) == 1).any())


def cells(group: pandas.DataFrame, pairs: pandas.DataFrame) -> dict[str, list[str]]:
    """The rounds of one digest as columns of text; where no pair is there, without the comparison.

    The round that is the ticket is marked; where several runs have theirs, a column counts them. An accuracy on few
    test images, or of one run, has an interval over another draw of as many.

    Args:
      group: its rows of `comparable`.
      pairs: its rows of `paired`.
    """
    rounds, pairs = group.groupby("round"), pairs.set_index("round")
    means = {index: statistics.mean_interval(rows["test_accuracy"]) for index, rows in rounds}
    counts = rounds["run"].nunique()
    ticket = {index: int(rows["exported"].fillna(0).sum()) for index, rows in rounds} if "exported" in group else {}
    alone = group["run"].nunique() == 1
    columns = {
        "round": [f"* {index}" if alone and ticket.get(index) else str(index) for index in means],
        "density": [percent(value) for value in rounds["density"].mean()],
        "mean test accuracy ± sd (runs)": [
            f"{tables.mean_sd(mean.mean, mean.sd)} ({counts[index]})" for index, mean in means.items()
        ],
    }
    if any(ticket.values()) and not alone:
        columns["ticket of"] = [f"{amount} of {counts[index]}" if (amount := ticket[index]) else "" for index in means]
    if any(of_images := [test_images.interval(rows) for _, rows in rounds]):
        columns["95 % interval, test images"] = of_images
    if pairs.empty:
        return columns
    compared = {
        "to dense, points": lambda row: statistics.points(row["difference"] / 100, 2),
        "95 % interval": tables.interval,
        "pairs": lambda row: str(int(row["n"])),
        "p": lambda row: statistics.probability(row["p_value"]),
        "p, Holm": lambda row: statistics.probability(row["p_holm"]),
    }
    return columns | {
        title: [text(pairs.loc[index]) if index in pairs.index else "" for index in means]
        for title, text in compared.items()
    }
