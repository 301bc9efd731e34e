"""What a report keeps apart: runs of different data sets have figures, and rivals, of their own."""

import os
import re

import pandas

from tf_tickets import storage
from tf_tickets.registry import DATASETS
from tf_tickets.report import pairing, plots, rivals, tables

_SUFFIXES = ("png", "svg", "pdf")


def parts(frame: pandas.DataFrame) -> dict[str, pandas.DataFrame]:
    """The rows of each data set by its name, which is of the user's own pictures that of their folder or file."""
    names = [_name(*row) for row in frame[["dataset", "data"]].itertuples(index=False)]
    grouped = frame.groupby(pandas.Series(names, index=frame.index, dtype=object), sort=False)
    return {str(name): rows for name, rows in grouped}


def file_name(stem: str, name: str, together: dict[str, pandas.DataFrame]) -> str:
    """The name of a data set's file: the stem, with the data set's name where `together` has several of `parts`."""
    plain = re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-.") or str(list(together).index(name))
    return f"{stem}-{plain}" if len(together) > 1 else stem


def draw_accuracies(frame: pandas.DataFrame, out: str, formats: tuple[str, ...]) -> list[str]:
    """Draws accuracy against density, a figure for each data set, and removes those of an earlier report.

    Returns:
      The names of the files.
    """
    together, written = parts(frame), []
    for name, rows in together.items():
        stem = file_name("accuracy", name, together)
        title = plots.labels(rows)[0]
        plots.accuracy_against_density(pairing.comparable(rows), os.path.join(out, stem), title, formats)
        written += [f"{stem}.{suffix}" for suffix in formats]
    if len(together) > 1:  # with a single data set, accuracy.png was written anew
        for suffix in _SUFFIXES:
            storage.remove(os.path.join(os.path.abspath(out), f"accuracy.{suffix}"))
    return written


def rivals_of(frame: pandas.DataFrame) -> pandas.DataFrame:
    """As `rivals.compared`, of each data set by itself."""
    each = list(map(rivals.compared, parts(frame).values())) or [rivals.compared(frame)]
    filled = [table for table in each if not table.empty]
    return pandas.concat(filled, ignore_index=True) if filled else each[0]


def left_out(frame: pandas.DataFrame, against: pandas.DataFrame) -> str:
    """As `rivals.left_out`, of each data set by itself."""
    return "; ".join(filter(None, (rivals.left_out(rows, against) for rows in parts(frame).values())))


def rivals_text(frame: pandas.DataFrame, against: pandas.DataFrame) -> list[str]:
    """The tables of `rivals_of` as text, one for each data set."""
    texts = []
    for rows in parts(frame).values():
        table = against[against["rival"].isin(rows["digest"])]
        if not table.empty:
            first = rivals.subjects(rows)[0]["run"].iloc[0].split("/")[0]
            lines = [f"Ticket of {first} against its rivals", tables.align(rivals.cells(table)), rivals.note(table)]
            texts.append("\n".join(filter(None, lines)))
    return texts


def _name(dataset, data):
    """A data set's name; `data` is what `naming.data_text` says of its images."""
    known = DATASETS[dataset] if ":" not in dataset and dataset in DATASETS else None
    if known is None or not known.place_flags:
        return dataset
    return data.partition(" in ")[2].partition(",")[0] or dataset
