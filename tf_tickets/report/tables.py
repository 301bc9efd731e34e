"""Frames of complete rounds: of one run, of many runs, and of dense against ticket over seeds.

Accuracies are fractions in frames and CSV files; differences to dense are percentage points.
"""

import csv
import math
import os
from collections.abc import Iterable, Mapping

import pandas

from tf_tickets import runs, storage
from tf_tickets.columns import aligned, percent
from tf_tickets.errors import StateError, UsageError
from tf_tickets.report import naming, statistics
from tf_tickets.report.run_rows import COLUMNS, COST, LATER, ROUND, checked, framed


def run_table(folder: runs.RunFolder, chosen: int | None = None) -> pandas.DataFrame:
    """One row per complete round of a run.

    Args:
      chosen: index of the round that became the ticket, or None.

    Returns:
      A frame with round, density, weights_left, test_accuracy, test_balanced_accuracy, test_accuracy_best_epoch,
      validation_accuracy, searched (1 for a round that was shortened), difference_to_dense (points; NaN where either
      round was shortened or round 0 is not dense) and chosen.

    Raises:
      StateError: no complete round, or a summary that is damaged.
      ValueError: `chosen` is no complete round.
    """
    frame = framed(_rounds(folder), ROUND).drop(columns=["weights_total", "epochs", "train_loss"])
    if chosen is not None and chosen not in set(frame["round"]):
        raise ValueError(f"chosen={chosen} is not among the {len(frame)} complete rounds of {folder.folder}")
    dense = frame["test_accuracy"][0] if frame["density"][0] == 1.0 and not frame["searched"][0] else math.nan
    frame["difference_to_dense"] = (100 * (frame["test_accuracy"] - dense)).where(frame["searched"] == 0)
    frame["chosen"] = frame["round"] == chosen
    return frame


def mean_sd(mean: float, sd: float | None) -> str:
    """`38.67 ± 1.24 %` of two fractions; the mean alone where one value has no deviation."""
    if pandas.isna(sd):
        return percent(mean)
    if 0 < mean < 1e-3:
        return f"{percent(mean).removesuffix(' %')} ± {percent(sd)}"
    return f"{100 * mean:.2f} ± {100 * sd:.2f} %"


def interval(row: Mapping) -> str:
    """`[+0.39, +3.75]` of a row with n (pairs), low and high in points; of two pairs without one in words why."""
    if pandas.isna(row["low"]):
        return "" if row["n"] == 1 else "none: both agree"
    return f"[{statistics.points(row['low'] / 100, 2)}, {statistics.points(row['high'] / 100, 2)}]"


def format_table(frame: pandas.DataFrame, rival: pandas.DataFrame | None = None) -> str:
    """The frame of `run_table` as aligned text; the chosen round is marked with a star.

    Args:
      rival: as `frame`, of the dense network that was trained as long, which has the last row.
    """
    if rival is not None:
        dense = frame["test_accuracy"][0] - frame["difference_to_dense"][0] / 100  # NaN where it is not to be compared
        gained = 100 * (rival["test_accuracy"] - dense)
        rival = rival.assign(round=naming.RIVAL_TITLE, difference_to_dense=gained, chosen=False)
        frame = pandas.concat([frame.astype({"round": object}), rival], ignore_index=True)
    marks = ["* " if chosen else "- " if short else "" for chosen, short in zip(frame["chosen"], frame["searched"])]
    columns = {
        "round": [f"{mark}{number}" for mark, number in zip(marks, frame["round"])],
        "density": map(percent, frame["density"]),
        "weights left": [f"{count:,}" for count in frame["weights_left"]],
        "test, last epoch": map(percent, frame["test_accuracy"]),
        "balanced": map(percent, frame["test_balanced_accuracy"]),
        "best epoch": map(percent, frame["test_accuracy_best_epoch"]),
        "validation": map(percent, frame["validation_accuracy"]),
    }
    columns["to dense, points"] = [
        "" if pandas.isna(value) else statistics.points(value / 100, 2) for value in frame["difference_to_dense"]
    ]
    note = "\n* the chosen round" if frame["chosen"].any() else ""
    note += "\n- a shortened round, which only serves the next mask" if frame["searched"].any() else ""
    return align(columns) + note


def align(columns: dict[str, list[str]]) -> str:
    """Text cells by column title as right-aligned lines under their titles, without the columns that are all empty."""
    written = [[title, *cells] for title, values in columns.items() if any(cells := list(values))]
    return aligned(zip(*written), "r")


def write_table(frame: pandas.DataFrame, path: str) -> None:
    """Writes a frame as CSV, atomically; missing values are empty cells and every float reads back exactly."""
    rows = [
        {name: None if pandas.isna(value) else value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]  # fmt: skip
    storage.write_csv(os.path.abspath(path), rows, list(frame.columns))


def write_rows(frame: pandas.DataFrame, path: str) -> None:
    """Writes the frame of `collect` as CSV, from which `read_rows` and `collect` make the same frame again."""
    write_table(frame[list(COLUMNS)], path)


def read_rows(path: str) -> pandas.DataFrame:
    """Reads a CSV of `write_rows`; UsageError names the file and what is wrong in it."""
    try:
        rows = storage.read_csv(path)
    except (StateError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} is not a readable CSV file: {error}") from None
    missing = [name for name in COLUMNS if rows and name not in {**rows[0], **LATER}]
    if missing or not rows:
        problem = f"column {missing[0]} is missing" if missing else "it has no rows"
        raise UsageError(f"{path} is no table of rounds: {problem}; give a report.csv that report wrote")
    try:
        return framed([checked(row, COLUMNS, f"row {number}: ") for number, row in enumerate(rows, 1)], COLUMNS)
    except ValueError as error:
        raise UsageError(f"{path}, {error}") from None


def collect(paths: Iterable[str]) -> tuple[pandas.DataFrame, list[str]]:
    """Gathers the complete rounds of many runs.

    Args:
      paths: run folders, folders that contain run folders, and CSV files of `write_rows`.

    Returns:
      (frame, problems): a frame of COLUMNS in the order given, each run once; and one line for each run left out.

    Raises:
      UsageError: a path without any run, or a CSV that is no table of rounds.
    """
    known, problems = {}, []
    for path in paths:
        for name, load in _sources(path):
            try:
                rows = load()
            except (StateError, UsageError) as error:
                problems.append(f"{name} is left out: {error}")
                continue
            run = rows[0]["run"]
            first = known.setdefault(run, rows)
            if _told(first) != _told(rows):
                problems.append(f"{name} is left out: an earlier path has other numbers for run {run}")
            elif _unknown(rows) < _unknown(first):
                known[run] = rows  # of a later version, which says more
    return framed([row for rows in known.values() for row in rows], COLUMNS), problems


def _told(rows):
    """What versions of this program write alike of a run, whichever round is exported."""
    apart = ("data", "recipe", "images", "pretrained", "exported", *COST, "soup_members", "distillation")
    return [{name: cell for name, cell in row.items() if name not in apart} for row in rows]


def _unknown(rows):
    """How much a version did not write of a run."""
    return [rows[0]["recipe"], rows[0]["pretrained"]].count("unknown")


def run_folders(path: str) -> list[str]:
    """The run folders at and below `path`, in the order of their names."""
    folders = []
    for folder, inner, files in os.walk(path):
        inner.sort()
        if "config.cfg" in files and "round_00" in inner:
            folders.append(folder)
            inner[:] = [name for name in inner if name in (runs.REFIT, runs.RIVAL)]
    return folders


def committed(path: str) -> str:
    """The report.csv in a folder that has no run folders, such as a published result; else the path itself."""
    rows = os.path.join(path, "report.csv")
    return rows if os.path.isfile(rows) and not run_folders(path) else path


def _sources(path):
    """(name, function that reads the rows) for each run at `path`."""
    if os.path.isfile(path) and path.endswith(".csv"):
        frame = read_rows(path)
        rows = [checked(row, COLUMNS) for row in frame.astype(object).where(frame.notna(), None).to_dict("records")]
        for run in dict.fromkeys(row["run"] for row in rows):
            yield f"{run} in {path}", lambda run=run: _some_in_full([row for row in rows if row["run"] == run], run)
        return
    folders = run_folders(path)
    if not folders:
        problem = "holds no run: no config.cfg beside a round_00"
        if not os.path.isdir(path):
            problem = "is neither a folder nor a CSV file"
        raise UsageError(f"{path} {problem}; give run folders, a folder above them, or a report.csv")
    for folder in folders:
        yield folder, lambda folder=folder: _run_rows(runs.RunFolder(folder))


def _run_rows(folder):
    known, exported = naming.settings(folder), folder.exported()
    return [
        {**known, **row, "exported": int(exported == (row["round"], folder.inner))}
        for row in _some_in_full(_rounds(folder), folder.folder)
    ]


def _some_in_full(rows, name):
    if all(row["searched"] for row in rows):
        raise StateError(f"{name} has no complete round that was trained in full yet")
    return rows


def _rounds(folder):
    rows = []
    for index, summary in enumerate(folder.summaries()):
        path = folder.round(index).summary
        try:
            row = checked(summary, (*ROUND, *COST))
            if row["round"] != index:
                raise ValueError(f"round is {row['round']}, not {index}")
        except (ValueError, TypeError) as error:
            raise StateError(f"{path} is damaged: {error}; delete its folder to redo it") from None
        rows.append(row)
    if not rows:
        raise StateError(f"{folder.folder} has no complete round yet")
    return rows
