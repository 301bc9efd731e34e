"""The rows of `evaluate` and `analyze`, paired dense against ticket and as tables."""

import re

import pandas

from tf_tickets.columns import percent
from tf_tickets.registry import EVALUATORS, measured_by
from tf_tickets.report import evaluation_rows, pairing, statistics, tables

_PAIR = ["seed", "subset_seed"]
_NETWORKS = ("dense", "ticket")
# A corruption and its severity.
_SEVERITY = r":\d{1,2}$"


def compared(rows: pandas.DataFrame) -> pandas.DataFrame:
    """Dense and ticket side by side.

    The ticket of a run is its last round that `evaluate` looked at. A training run writes its test accuracy for every
    round, so that row alone does not make a round evaluated.

    Args:
      rows: frame of `evaluation_rows.gather`, of one digest.

    Returns:
      A frame with seed, subset_seed, evaluator, setting, metric, dense, ticket, n, round and density; runs that differ
      in order_seed alone are averaged, as `tables.pair` does.
    """
    looked = evaluation_rows.looked(rows)
    last = looked[looked["round"] > 0].groupby("run")["round"].max()
    ticket = rows[rows["round"] == rows["run"].map(last)]
    dense = rows[(rows["round"] == 0) & (rows["density"] == 1.0)]
    both = dense.drop(columns=["round", "density", "n"]).rename(columns={"value": "dense"}).merge(
        ticket.rename(columns={"value": "ticket"})[["run", *evaluation_rows.WHAT, "ticket", "n", "round", "density"]],
        on=["run", *evaluation_rows.WHAT],
    )  # fmt: skip
    columns = ["dense", "ticket", "n", "round", "density"]
    return both.groupby([*_PAIR, *evaluation_rows.WHAT], sort=False)[columns].mean().reset_index()


def measures(both: pandas.DataFrame, metric: str = "accuracy") -> list[dict]:
    """Whole test sets of `compared`, one entry per (evaluator, setting), with intervals over pairs.

    Returns:
      List of dicts: title, evaluator, setting, dense and ticket (statistics.Interval of fractions), difference (a
      statistics.PairedDifference) and n (images).
    """
    chosen = both[(both["metric"] == metric) & ~both["setting"].str.contains(_SEVERITY, regex=True)]
    entries = []
    for (evaluator, setting), rows in chosen.groupby(["evaluator", "setting"], sort=False):
        dense, ticket = rows["dense"].to_numpy(), rows["ticket"].to_numpy()
        entries.append({
            "title": title(evaluator, setting), "evaluator": evaluator, "setting": setting,
            "dense": statistics.mean_interval(dense), "ticket": statistics.mean_interval(ticket),
            "difference": statistics.paired_difference(dense, ticket), "n": int(rows["n"].iloc[0]),
        })  # fmt: skip
    return entries


def cells(both: pandas.DataFrame) -> dict[str, list[str]]:
    """Accuracies on whole test sets and under attack of `compared`, as columns of text."""
    measured = measures(both)
    errors = {(entry["evaluator"], entry["setting"]): entry for entry in measures(both, "calibration_error")}
    known = [errors.get((entry["evaluator"], entry["setting"])) for entry in measured]
    differences = [entry["difference"] for entry in measured]
    columns = {
        "test set": [entry["title"] for entry in measured],
        **{
            f"{name}, mean ± sd": [tables.mean_sd(entry[name].mean, entry[name].sd) for entry in measured]
            for name in _NETWORKS
        },
        "difference, points": [statistics.points(difference.mean, 2) for difference in differences],
        "95 % interval": [tables.interval(pairing.bounds(difference)) for difference in differences],
        "pairs": [str(difference.n) for difference in differences],
        "p": [statistics.probability(difference.p_value) for difference in differences],
    }
    if any(known):
        for name in _NETWORKS:
            columns[f"ECE, {name}"] = [percent(entry[name].mean) if entry else "" for entry in known]
    return columns


def title(evaluator: str, setting: str) -> str:
    """What an evaluator's setting is called on the page."""
    measure = measured_by(evaluator)
    evaluator, _, images = evaluator.partition(",images=")
    text = measure.title(evaluator, setting) if measure else f"{evaluator}, {setting}"
    return f"{text}, {int(images):,d} images" if re.fullmatch("[0-9]{1,15}", images) else text


def by_severity(both: pandas.DataFrame) -> dict[str, pandas.DataFrame]:
    """Accuracy differences by kind of corruption and severity.

    Returns:
      dict from evaluator to a frame of points, ticket minus dense, averaged over pairs: kinds x severities.
    """
    rows = both[(both["metric"] == "accuracy") & both["setting"].str.contains(_SEVERITY, regex=True)]
    if rows.empty:
        return {}
    parts = rows["setting"].str.rsplit(":", n=1)
    rows = rows.assign(
        kind=parts.str[0], severity=parts.str[1].astype(int), difference=100 * (rows["ticket"] - rows["dense"])
    )
    return {
        evaluator: of_one.pivot_table(index="kind", columns="severity", values="difference", sort=False).sort_index(
            axis=1
        )
        for evaluator, of_one in rows.groupby("evaluator", sort=False)
    }


def _in_classes():
    return [name for name, evaluator in EVALUATORS.items() if evaluator.in_classes]


def by_class(both: pandas.DataFrame) -> pandas.DataFrame:
    """Accuracy by class, averaged over pairs: a frame with the columns dense and ticket, fractions, by class name."""
    rows = both[both["evaluator"].isin(_in_classes()) & both["metric"].str.startswith("accuracy:")]
    names = rows["metric"].str.slice(len("accuracy:"))
    return rows.assign(name=names).groupby("name", sort=False)[["dense", "ticket"]].mean()


def confusions(rows: pandas.DataFrame, both: pandas.DataFrame) -> tuple[pandas.DataFrame, pandas.DataFrame] | None:
    """Confusion of dense and of ticket, averaged over runs.

    Args:
      rows: frame of `evaluation_rows.gather`, of one digest.
      both: the frame of `compared`; a confusion that one of the networks never makes is missing there, so counts are
        taken from `rows`.

    Returns:
      (dense, ticket): frames of true x predicted class, shares of the true class's images; None without rows.
    """
    classes = list(by_class(both).index)
    confused = rows[rows["evaluator"].isin(_in_classes()) & rows["metric"].str.startswith("confusion:")]
    if not classes or confused.empty:
        return None
    last = confused[confused["round"] > 0].groupby("run")["round"].max()
    chosen = confused[confused["run"].isin(last.index)]
    parts = chosen[chosen["round"] == 0], chosen[chosen["round"] == chosen["run"].map(last)]
    if any(part.empty for part in parts):
        return None
    return tuple(_shares(part, classes) for part in parts)


def _shares(rows, classes):
    table = pandas.DataFrame(0.0, index=classes, columns=classes)
    for metric, value, n in rows[["metric", "value", "n"]].itertuples(index=False):
        pair = _pair(metric[len("confusion:") :], set(classes))
        if pair:
            table.loc[pair] += value / n
    return table / rows["run"].nunique()


def _pair(text, classes):
    """(true, predicted) of `true>predicted`; the names themselves may hold the sign."""
    cuts = [at for at, sign in enumerate(text) if sign == ">"]
    return next(
        ((text[:at], text[at + 1 :]) for at in cuts if text[:at] in classes and text[at + 1 :] in classes), None
    )
