"""The rows of `evaluate` and `analyze`, paired dense against ticket and as tables."""

import re

import pandas

from tf_tickets.report import analyses, analysis_rows, evaluation_rows, pairing, statistics, tables

_PAIR = ["seed", "subset_seed"]
_NETWORKS = ("dense", "ticket")
# A corruption and its severity.
_SEVERITY = r":\d{1,2}$"


def compared(rows):
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


def measures(both, metric="accuracy"):
    """Whole test sets of `compared`, one entry per (evaluator, setting), with intervals over pairs.

    Returns:
      List of dicts: title, evaluator, setting, dense and ticket (statistics.Interval of fractions), difference (a
      statistics.PairedDifference) and n (images).
    """
    chosen = both[(both["metric"] == metric) & ~both["setting"].str.contains(_SEVERITY, regex=True)]
    found = []
    for (evaluator, setting), rows in chosen.groupby(["evaluator", "setting"], sort=False):
        dense, ticket = rows["dense"].to_numpy(), rows["ticket"].to_numpy()
        found.append({
            "title": title(evaluator, setting), "evaluator": evaluator, "setting": setting,
            "dense": statistics.mean_interval(dense), "ticket": statistics.mean_interval(ticket),
            "difference": statistics.paired_difference(dense, ticket), "n": int(rows["n"].iloc[0]),
        })  # fmt: skip
    return found


def cells(both):
    """Accuracies on whole test sets and under attack of `compared`, as columns of text."""
    found = measures(both)
    errors = {(one["evaluator"], one["setting"]): one for one in measures(both, "calibration_error")}
    known = [errors.get((one["evaluator"], one["setting"])) for one in found]
    differences = [one["difference"] for one in found]
    columns = {
        "test set": [one["title"] for one in found],
        **{f"{name}, mean ± sd": [tables.mean_sd(one[name].mean, one[name].sd) for one in found] for name in _NETWORKS},
        "difference, points": [statistics.points(one.mean, 2) for one in differences],
        "95 % interval": [tables.interval(pairing.bounds(one)) for one in differences],
        "pairs": [str(one.n) for one in differences],
        "p": [statistics.probability(one.p_value) for one in differences],
    }
    if any(known):
        for name in _NETWORKS:
            columns[f"ECE, {name}"] = [tables.percent(one[name].mean) if one else "" for one in known]
    return columns


def title(evaluator, setting):
    """What an evaluator's setting is called on the page."""
    evaluator, _, images = evaluator.partition(",images=")
    text = _title(evaluator, setting)
    return f"{text}, {int(images):,d} images" if re.fullmatch("[0-9]{1,15}", images) else text


def _title(evaluator, setting):
    kind, _, count = setting.partition("_")
    if kind in ("standard", "all") and re.fullmatch("[0-9]{1,15}", count):
        made = "generated corruptions" if evaluator.startswith("generated") else evaluator
        return f"{made}, mean of {count}"
    if evaluator == "clean":
        return f"clean, {setting}"
    strength = re.match(r"eps=(\d+\.?\d*)", setting)
    steps = re.search(r"steps=(\d+)", setting)
    if strength:
        return f"{evaluator.upper()}, eps {float(strength[1]):.3g}" + (f", {steps[1]} steps" if steps else "")
    return f"{evaluator}, {setting}"


def by_severity(both):
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
      rows: frame of `evaluation_rows.gather`, of one digest.
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
    return (
        mine.assign(layer=layers)
        .pivot_table(index="layer", columns="round", values="value", sort=False)
        .sort_index(axis=1)
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
