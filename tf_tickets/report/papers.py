"""The tables of a report as LaTeX files beside their CSV."""

import os

import pandas

from tf_tickets import storage
from tf_tickets.report import evaluations, latex, pairing, plots, rewinds, rivals

FILES = ("paired.tex", "rivals.tex", "rewinds.tex", "evaluations.tex")


def write(
    frame: pandas.DataFrame, pairs: pandas.DataFrame, *, against: pandas.DataFrame, rewound: pandas.DataFrame,
    rows: pandas.DataFrame, out: str,
) -> list[str]:  # fmt: skip
    """Writes the tables that the page shows, and removes those of an earlier report that has others.

    Args:
      frame: of `tables.collect`, with the digests of `pairing.pooled`.
      pairs: of `pairing.paired`.
      against: of `rivals.compared`.
      rewound: of `rewinds.compared`.
      rows: of `evaluation_rows.gather`.
      out: folder to write to.

    Returns:
      The names of the files.

    Raises:
      StateError: a file cannot be written.
    """
    rounds, measured = [], []
    for digest, name in plots.labels(frame)[1].items():
        group = pairing.comparable(frame[frame["digest"] == digest])
        rounds.append((name, pairing.cells(group, pairs[pairs["digest"] == digest])))
        both = evaluations.compared(rows[rows["digest"] == digest])
        if evaluations.measures(both):
            measured.append((name, evaluations.cells(both)))
    texts = {
        "paired.tex": latex.table(rounds, "paired.csv, and report.csv for round 0"),
        "rivals.tex": "" if against.empty else latex.table(
            [("", rivals.cells(against))], "rivals.csv", rivals.note(against)
        ),
        "rewinds.tex": "" if rewound.empty else latex.table(
            [("", rewinds.cells(rewound))], "rewinds.csv", rewinds.heading(rewound)
        ),
        "evaluations.tex": latex.table(measured, "evaluations.csv") if measured else "",
    }  # fmt: skip
    for name, text in texts.items():
        path = os.path.join(os.path.abspath(out), name)
        if text:
            storage.write_bytes(path, text.encode("utf-8"))
        else:
            storage.remove(path)
    return [name for name, text in texts.items() if text]
