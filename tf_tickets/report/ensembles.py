"""Ensembles below the paths of a report, with what `evaluate` measured of each on the test images."""

import os
from collections.abc import Sequence

import pandas

from tf_tickets import runs, storage
from tf_tickets.columns import percent
from tf_tickets.report.details import number, tolerant
from tf_tickets.report.tables import run_folders

COLUMNS = ("ensemble", "members", "weights_left", "density", "accuracy", "calibration_error", "images")


def gather(paths: Sequence[str], problems: list[str]) -> pandas.DataFrame:
    """A frame of COLUMNS, a row for each ensemble in or below `paths`; what was not measured is missing.

    Args:
      paths: those given to a report.
      problems: takes a line for each damaged file.
    """
    rows = []
    for folder in tickets(paths):
        row = tolerant(lambda folder=folder: _row(folder), os.path.join(folder, runs.DOCUMENT), problems)
        rows += [row] if row else []
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def tickets(paths: Sequence[str]) -> list[str]:
    """The absolute paths of ticket folders in and below `paths` that lie in no run, sorted."""
    return sorted({os.path.abspath(place) for path in paths for place in _tickets(path)})


def alone(path: str) -> bool:
    """Whether a path holds tickets outside of runs, such as ensembles, and no run."""
    return os.path.isdir(path) and not run_folders(path) and any(_tickets(path))


def _tickets(path):
    """The ticket folders in and below a folder that lie in no run."""
    for folder, inner, names in os.walk(path):
        inner.sort()
        if "config.cfg" in names or runs.DOCUMENT in names:
            inner[:] = []
        if runs.DOCUMENT in names:
            yield folder


def _row(folder):
    """The row of an ensemble; None of a ticket of one network."""
    members = storage.read_json(os.path.join(folder, runs.DOCUMENT)).get("members", [])
    if len(members) < 2:
        return None
    left, total = (sum(int(member[name]) for member in members) for name in ("weights_left", "weights_total"))
    measured, path = {}, f"{folder}.evaluations.csv"
    for line, row in enumerate(storage.read_csv(path) if os.path.isfile(path) else [], 1):
        if (row.get("evaluator"), row.get("setting")) == ("clean", "test"):
            measured[row.get("metric")] = number(row, "value", line), number(row, "n", line, int)
    accuracy, images = measured.get("accuracy", (None, None))
    return {
        "ensemble": "/".join(folder.split(os.sep)[-2:]), "members": len(members), "weights_left": left,
        "density": left / total, "accuracy": accuracy,
        "calibration_error": measured.get("calibration_error", (None, None))[0], "images": images,
    }  # fmt: skip


def cells(frame: pandas.DataFrame) -> dict[str, list[str]]:
    """The frame of `gather` as columns of text."""
    return {
        "ensemble": list(frame["ensemble"]),
        "members": [str(count) for count in frame["members"]],
        "weights left": [f"{count:,}" for count in frame["weights_left"]],
        **{
            name.replace("_", " "): ["" if pandas.isna(value) else percent(value) for value in frame[name]]
            for name in ("density", "accuracy", "calibration_error")
        },
        "test images": ["" if pandas.isna(count) else f"{int(count):,}" for count in frame["images"]],
    }
