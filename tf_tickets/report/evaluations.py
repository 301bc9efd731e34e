"""The rows of `evaluate`: read from run folders, and paired dense against ticket."""

import os
import re

import pandas

from tf_tickets import storage
from tf_tickets.analysis import statistics
from tf_tickets.report.details import tolerant

COLUMNS = ("evaluator", "setting", "metric", "value", "n")
_PAIR = ["seed", "subset_seed"]
_WHAT = ["evaluator", "setting", "metric"]


def read(folders, frame, problems):
    """The rows of all complete rounds.

    Args:
      folders: dict from run name to runs.RunFolder.
      frame: of `tables.collect`; says which rounds are complete.
      problems: takes a line for each damaged file.

    Returns:
      A frame with run, digest, seed, subset_seed, round, density, evaluator, setting, metric, value and n.
    """
    rows = []
    wanted = frame[frame["run"].isin(list(folders))]
    names = ["run", "digest", *_PAIR, "round", "density"]
    for facts in wanted[names].to_dict("records"):
        path = folders[facts["run"]].round(facts["round"]).evaluations
        if os.path.exists(path):
            rows += tolerant(lambda path=path, facts=facts: _rows(path, facts), path, problems) or []
    return pandas.DataFrame(rows, columns=[*names, *COLUMNS])


def _rows(path, facts):
    found = []
    for number, row in enumerate(storage.read_csv(path), 1):
        if any(row.get(name) is None for name in COLUMNS):
            raise ValueError(f"row {number} lacks one of {', '.join(COLUMNS)}")
        value = float(row["value"])
        if value == value:
            found.append(facts | {name: row[name] for name in _WHAT} | {"value": value, "n": int(row["n"])})
    return found


def compared(rows):
    """Dense and ticket side by side.

    The ticket of a run is its last round that `evaluate` looked at. A training run writes its test accuracy for every
    round, so that row alone does not make a round evaluated.

    Args:
      rows: frame of `read`, of one digest.

    Returns:
      A frame with seed, subset_seed, evaluator, setting, metric, dense, ticket, n, round and density; runs that differ
      in order_seed alone are averaged, as `tables.pair` does.
    """
    looked = rows[(rows["evaluator"] != "clean") | (rows["metric"] == "calibration_error")]
    last = looked[looked["round"] > 0].groupby("run")["round"].max()
    ticket = rows[rows["round"] == rows["run"].map(last)]
    dense = rows[(rows["round"] == 0) & (rows["density"] == 1.0)]
    both = dense.drop(columns=["round", "density", "n"]).rename(columns={"value": "dense"}).merge(
        ticket.rename(columns={"value": "ticket"})[["run", *_WHAT, "ticket", "n", "round", "density"]],
        on=["run", *_WHAT],
    )  # fmt: skip
    columns = ["dense", "ticket", "n", "round", "density"]
    return both.groupby([*_PAIR, *_WHAT], sort=False)[columns].mean().reset_index()


def measures(both, metric="accuracy"):
    """Whole test sets of `compared`, one entry per (evaluator, setting), with intervals over pairs.

    Returns:
      List of dicts: title, evaluator, setting, dense and ticket (statistics.Interval of fractions), difference (a
      statistics.PairedDifference) and n (images).
    """
    chosen = both[(both["metric"] == metric) & ~both["setting"].str.contains(r":\d+$", regex=True)]
    found = []
    for (evaluator, setting), rows in chosen.groupby(["evaluator", "setting"], sort=False):
        dense, ticket = rows["dense"].to_numpy(), rows["ticket"].to_numpy()
        found.append({
            "title": title(evaluator, setting), "evaluator": evaluator, "setting": setting,
            "dense": statistics.mean_interval(dense), "ticket": statistics.mean_interval(ticket),
            "difference": statistics.paired_difference(dense, ticket), "n": int(rows["n"].iloc[0]),
        })  # fmt: skip
    return found


def title(evaluator, setting):
    """What an evaluator's setting is called on the page."""
    evaluator, _, images = evaluator.partition(",images=")
    text = _title(evaluator, setting)
    return f"{text}, {int(images):,d} images" if images.isdigit() else text


def _title(evaluator, setting):
    kind, _, count = setting.partition("_")
    if kind in ("standard", "all") and count.isdigit():
        made = "generated corruptions" if evaluator.startswith("generated") else evaluator
        return f"{made}, mean of {count}"
    if evaluator == "clean":
        return f"clean, {setting}"
    strength = re.match(r"eps=([\d.]+)", setting)
    steps = re.search(r"steps=(\d+)", setting)
    if strength:
        return f"{evaluator.upper()}, eps {float(strength[1]):.3g}" + (f", {steps[1]} steps" if steps else "")
    return f"{evaluator}, {setting}"


def by_severity(both):
    """Accuracy differences by kind of corruption and severity.

    Returns:
      dict from evaluator to a frame of points, ticket minus dense, averaged over pairs: kinds x severities.
    """
    rows = both[(both["metric"] == "accuracy") & both["setting"].str.contains(r":\d+$", regex=True)]
    if rows.empty:
        return {}
    parts = rows["setting"].str.rsplit(":", n=1)
    rows = rows.assign(
        kind=parts.str[0], severity=parts.str[1].astype(int), difference=100 * (rows["ticket"] - rows["dense"])
    )
    return {
        evaluator: mine.pivot_table(index="kind", columns="severity", values="difference", sort=False).sort_index(
            axis=1
        )
        for evaluator, mine in rows.groupby("evaluator", sort=False)
    }


def by_class(both):
    """Accuracy by class, averaged over pairs: a frame with the columns dense and ticket, fractions, by class name."""
    rows = both[(both["evaluator"] == "clean") & both["metric"].str.startswith("accuracy:")]
    names = rows["metric"].str.slice(len("accuracy:"))
    return rows.assign(name=names).groupby("name", sort=False)[["dense", "ticket"]].mean()


def confusions(rows, both):
    """Confusion of dense and of ticket, averaged over runs.

    Args:
      rows: frame of `read`, of one digest.
      both: the frame of `compared`; a confusion that one of the networks never makes is missing there, so counts are
        taken from `rows`.

    Returns:
      (dense, ticket): frames of true x predicted class, shares of the true class's images; None without rows.
    """
    classes = list(by_class(both).index)
    mine = rows[(rows["evaluator"] == "clean") & rows["metric"].str.startswith("confusion:")]
    if not classes or mine.empty:
        return None
    last = mine[mine["round"] > 0].groupby("run")["round"].max()
    chosen = mine[mine["run"].isin(last.index)]
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
