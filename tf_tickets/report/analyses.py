"""What `analyze` leaves beside the rows: tables and figures in the run's folder `analysis`, and text to print."""

import os
from collections.abc import Iterable

from tf_tickets import storage
from tf_tickets.columns import percent
from tf_tickets.plotting import canvas
from tf_tickets.registry import ANALYSES
from tf_tickets.report import tables


def finish(analysed: Iterable, names: list[str]) -> str:
    """Writes the tables and figures of finished analyses.

    Args:
      analysed: list with folder (where to write), name and rows (dicts of text, the columns of evaluations.csv).
      names: of analyses.

    Returns:
      A table of the main rows, and the lines that name the files.
    """
    text, paths = [_table([row for run in analysed for row in run.rows])], []
    for run in analysed:
        for name in names:
            rows = [row for row in run.rows if row["evaluator"] == name]
            if rows:
                paths += _written(name, rows, run)
    return "\n".join(text + [f"wrote {path}" for path in paths])


def _table(rows):
    """The rows that speak of a whole network, as text."""
    shown = [row for row in rows if ":" not in row["metric"] or row["metric"].startswith("accuracy:")]
    cells = {name: [row[name] for row in shown] for name in ("run", "round", "evaluator", "setting", "metric")}
    return tables.align(cells | {
        "density": [percent(float(row["density"])) for row in shown],
        "value": [f"{float(row['value']):.6g}" for row in shown], "n": [row["n"] for row in shown],
    })  # fmt: skip


def _written(name, rows, run):
    """The paths of the tables and figures of one analysis of one run, which it writes."""
    paths = []
    for file, lines in ANALYSES[name].tables(name, rows).items():
        paths.append(os.path.join(run.folder, f"{file}.csv"))
        storage.write_csv(paths[-1], lines, list(lines[0]))
    for file, draw in ANALYSES[name].figures(name, rows, run.name).items():
        paths += canvas.write(draw, os.path.join(run.folder, file))
    return paths
