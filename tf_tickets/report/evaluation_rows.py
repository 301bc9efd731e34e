"""The rows of `evaluate` and `analyze`: read from run folders and from the CSV of a report, and written to one."""

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence

import pandas

from tf_tickets import runs, storage
from tf_tickets.errors import StateError, plain_xml
from tf_tickets.report.details import MOST, number, tolerant

FILE = "evaluations.csv"
WHAT = ["evaluator", "setting", "metric"]
_NUMBERS = ["value", "n"]
_PLACE = ["run", "round"]
_FACTS = ["run", "digest", "seed", "subset_seed", "round", "density"]
_FRACTION = re.compile(r"(balanced_)?accuracy|calibration_error|(error|barrier)_|density")


def gather(
    paths: Sequence[str], folders: dict[str, runs.RunFolder], frame: pandas.DataFrame, problems: list[str]
) -> pandas.DataFrame:
    """The rows of all complete rounds: from run folders, then from the CSV beside each report.csv.

    What is there twice is kept once, as it comes first.

    Args:
      paths: those given to `tables.collect`.
      folders: dict from run name to runs.RunFolder.
      frame: of `tables.collect`; says which rounds are complete.
      problems: takes a line for each damaged file, and for each that has rows of runs that are not in the frame, or
        other values than an earlier file.

    Returns:
      A frame with run, digest, seed, subset_seed, round, density, evaluator, setting, metric, value and n.
    """
    facts = {(row["run"], row["round"]): row for row in frame[_FACTS].to_dict("records")}
    files = [(folders[run].round(index).evaluations, (run, index)) for run, index in facts if run in folders]
    known = {}
    for path, place in [file for file in files if os.path.exists(file[0])] + [(path, None) for path in beside(paths)]:
        rows = tolerant(lambda path=path, place=place: _rows(path, place), path, problems) or []
        ours = [facts[row_place] | row for row_place, row in rows if row_place in facts]
        if len(ours) < len(rows):
            text = f"{len(rows) - len(ours)} of its rows are of rounds that no report.csv or run folder given has"
            problems.append(f"{path} is left out in part: {text}")
        first = [known.setdefault(key_of(row), row) for row in ours]
        differing = sum(any(earlier[name] != row[name] for name in _NUMBERS) for earlier, row in zip(first, ours))
        if differing:
            problems.append(f"{path} is left out in part: {differing} of its rows have other values in an earlier file")
    return pandas.DataFrame(list(known.values()), columns=[*_FACTS, *WHAT, *_NUMBERS])


def beside(paths: Iterable[str]) -> list[str]:
    """The CSVs of rows that lie beside the report.csv files among `paths`, each once."""
    by_path = {}
    for path in paths:
        rows = os.path.join(os.path.dirname(path), FILE)
        if os.path.isfile(path) and os.path.isfile(rows):
            by_path.setdefault(os.path.realpath(rows), rows)
    return list(by_path.values())


def key_of(row: Mapping) -> tuple:
    """What is measured: run, round, evaluator, setting and metric of a row."""
    return tuple(row[name] for name in (*_PLACE, *WHAT))


def looked(rows: pandas.DataFrame) -> pandas.DataFrame:
    """The rows that training itself does not write."""
    return rows[(rows["evaluator"] != "clean") | (rows["metric"] == "calibration_error")]


def kept(rows: pandas.DataFrame) -> pandas.DataFrame:
    """The rows of `gather` for a CSV: all of the rounds that `evaluate` or `analyze` looked at.

    What training writes of the others stands in report.csv.
    """
    places = looked(rows)[_PLACE].drop_duplicates()
    return rows.merge(places, on=_PLACE)[[*_PLACE, "density", *WHAT, *_NUMBERS]]


def missing(rows: pandas.DataFrame, path: str) -> int | None:
    """How many rows of the CSV at `path` are not among `rows`; None where it is damaged."""
    try:
        there = [row for _, row in _rows(path, None)]
    except (ValueError, StateError):
        return None
    ours = {key_of(row) for row in rows.to_dict("records")}
    return sum(key_of(row) not in ours for row in there)


def _rows(path, place):
    """((run, round), row) of each row of a file, in their types; undefined values are passed over.

    Args:
      path: of the file.
      place: (run, round) of all its rows, or None to take them from the rows.

    Raises:
      ValueError: a row lacks a column or has a value that cannot be; it says which.
    """
    rows = []
    for line, row in enumerate(storage.read_csv(path), 1):
        lacking = [name for name in (*(() if place else _PLACE), *WHAT, *_NUMBERS) if row.get(name) is None]
        if lacking:
            raise ValueError(f"row {line} lacks {lacking[0]}")
        texts = [name for name in ("run", *WHAT) if row.get(name) and plain_xml(row[name]) != row[name]]
        if texts:
            raise ValueError(f"row {line}: {texts[0]} is {ascii(row[texts[0]])[:60]}, which no page can show")
        value, n = number(row, "value", line), number(row, "n", line, int)
        if math.isnan(value) or (row["metric"] == "loss" and math.isinf(value)):
            continue
        if abs(value) > MOST or (_FRACTION.match(row["metric"]) and not 0.0 <= value <= 1.0):
            raise ValueError(f"row {line}: {row['metric'][:60]} is {row['value'][:60]}")
        if not (1 if row["metric"].startswith("confusion:") else 0) <= n < 2**63:
            raise ValueError(f"row {line}: n is {row['n'][:60]}")
        run, index = place or (row["run"], number(row, "round", line, int))
        numbers = {"run": run, "round": index, "value": value, "n": n}
        rows.append(((run, index), numbers | {name: row[name] for name in WHAT}))
    return rows
