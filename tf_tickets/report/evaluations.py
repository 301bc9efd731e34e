"""The rows of `evaluate` and `analyze`: from run folders or a CSV of a report, and paired dense against ticket."""

import os
import re

import pandas

from tf_tickets import storage
from tf_tickets.analysis import statistics
from tf_tickets.report import analyses, analysis_rows
from tf_tickets.report.details import tolerant

COLUMNS = ("evaluator", "setting", "metric", "value", "n")
FILE = "evaluations.csv"
_PAIR = ["seed", "subset_seed"]
_FACTS = ("run", "digest", *_PAIR, "round", "density")
_WHAT = ["evaluator", "setting", "metric"]


def gather(paths, folders, frame, problems):
    """The rows of all complete rounds, those of runs without a folder from the CSV beside their report.csv.

    Args:
      paths: those given to `tables.collect`.
      folders: dict from run name to runs.RunFolder.
      frame: of `tables.collect`; says which rounds are complete.
      problems: takes a line for each damaged file.

    Returns:
      A frame with run, digest, seed, subset_seed, round, density, evaluator, setting, metric, value and n.
    """
    parts = [read(folders, frame, problems)]
    rest = frame[~frame["run"].isin(list(folders))]
    facts = {(row["run"], row["round"]): row for row in rest[list(_FACTS)].to_dict("records")}
    for path in dict.fromkeys(os.path.join(os.path.dirname(p), FILE) for p in paths if os.path.isfile(p)):
        if os.path.exists(path):
            parts.append(_frame(tolerant(lambda path=path: _committed(path, facts), path, problems) or []))
    return pandas.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def write(rows, path):
    """Writes the rows of the rounds that `evaluate` or `analyze` looked at, as `gather` reads them back.

    A file of an earlier report goes where there are none: what training writes of a round stands in report.csv.

    Returns:
      Whether there are any.
    """
    looked = _looked(rows)[["run", "round"]].drop_duplicates()
    kept = rows.merge(looked, on=["run", "round"])[["run", "round", "density", *COLUMNS]]
    if kept.empty:
        storage.remove(os.path.abspath(path))
    else:
        storage.write_csv(os.path.abspath(path), kept.to_dict("records"), list(kept.columns))
    return len(kept) > 0


def read(folders, frame, problems):
    """The rows of all complete rounds of runs that have a folder; arguments and result are those of `gather`."""
    rows = []
    wanted = frame[frame["run"].isin(list(folders))]
    for facts in wanted[list(_FACTS)].to_dict("records"):
        path = folders[facts["run"]].round(facts["round"]).evaluations
        if os.path.exists(path):
            rows += tolerant(lambda path=path, facts=facts: _rows(path, lambda row: facts), path, problems) or []
    return _frame(rows)


def _frame(rows):
    return pandas.DataFrame(rows, columns=[*_FACTS, *COLUMNS])


def _committed(path, facts):
    return _rows(path, lambda row: facts.get((row["run"], int(row["round"]))))


def _rows(path, facts_of):
    """The rows of a file in their types, those whose run and round `facts_of` does not know left out."""
    found = []
    for number, row in enumerate(storage.read_csv(path), 1):
        if any(row.get(name) is None for name in COLUMNS):
            raise ValueError(f"row {number} lacks one of {', '.join(COLUMNS)}")
        value, facts = float(row["value"]), facts_of(row)
        if value == value and facts:
            found.append(facts | {name: row[name] for name in _WHAT} | {"value": value, "n": int(row["n"])})
    return found


def _looked(rows):
    """The rows that training itself does not write."""
    return rows[(rows["evaluator"] != "clean") | (rows["metric"] == "calibration_error")]


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
    looked = _looked(rows)
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


def densities(rows):
    """Density by layer and round of the rows of one digest, mean over runs: as `details.density_means`."""
    mine = rows[(rows["evaluator"] == "density") & rows["metric"].str.startswith("density:")]
    if mine.empty:
        return None
    layers = mine["metric"].str.slice(len("density:"))
    return mine.assign(layer=layers).pivot_table(index="layer", columns="round", values="value", sort=False).sort_index(
        axis=1
    )


def similarities(rows):
    """The CKA matrices of the first run of one digest that has some: as `details.similarities`."""
    mine, found = rows[rows["evaluator"] == "similarity"], []
    for _, part in mine.groupby(["run", "round", "setting"], sort=False):
        if part["run"].iloc[0] == mine["run"].iloc[0]:
            records = part.to_dict("records")
            lines, columns, values = analysis_rows.matrix(records)
            table = pandas.DataFrame([[values[line, one] for one in columns] for line in lines], lines, columns)
            found.append((f"cka_{analyses.pair_name(records)}", table))
    return sorted(found, key=lambda pair: pair[0])
