"""The files that `export` wrote of tickets below the paths of a report, with what it measured of each."""

import os
from collections.abc import Mapping, Sequence

import pandas

from tf_tickets import runs, storage
from tf_tickets.errors import plain_xml
from tf_tickets.report import ensembles
from tf_tickets.report.details import number, tolerant

_WHOLE = ("bytes", "bytes_gzipped", "threads", "images")
_NUMBERS = ("difference", "same_label", "ms_batch_1", "ms_batch_100")
COLUMNS = ("of", *runs.EXPORT_COLUMNS[1:])


def gather(paths: Sequence[str], folders: Mapping[str, runs.RunFolder], problems: list[str]) -> pandas.DataFrame:
    """A frame of COLUMNS, a row for each file; rows of a ticket that has been replaced are passed over.

    Args:
      paths: those given to a report, for the tickets that lie in no run.
      folders: dict from run name to runs.RunFolder.
      problems: takes a line for each damaged file.
    """
    tickets = {folder.ticket: name for name, folder in folders.items()}
    tickets |= {place: "/".join(place.split(os.sep)[-2:]) for place in ensembles.tickets(paths)}
    rows = []
    for ticket, name in tickets.items():
        path = runs.exports_of(ticket)
        if os.path.exists(path) and os.path.exists(os.path.join(ticket, runs.DOCUMENT)):
            rows += (
                tolerant(lambda ticket=ticket, name=name, path=path: _rows(ticket, name, path), path, problems) or []
            )
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def _rows(ticket, name, path):
    digest, rows = storage.read_json(os.path.join(ticket, runs.DOCUMENT)).get("content_digest"), []
    for line, row in enumerate(storage.read_csv(path), 1):
        texts = {column: row.get(column) for column in ("format", "file", "compared_on")}
        odd = next((column for column, text in texts.items() if not text or plain_xml(text) != text), None)
        if odd:
            raise ValueError(f"row {line}: {odd} is {ascii(texts[odd])[:60]}")
        numbers = {column: number(row, column, line, int) for column in _WHOLE}
        # Of a C file where there was no compiler these are empty.
        numbers |= {column: number(row, column, line) for column in _NUMBERS if row.get(column) != ""}
        beyond = next((column for column, value in numbers.items() if not 0 <= value < 2**63), None)
        if beyond or numbers.get("same_label", 0) > 1:
            column = beyond or "same_label"
            raise ValueError(f"row {line}: {column} is {row[column][:60]}")
        if row.get("ticket") == digest:
            rows.append({"of": name} | texts | numbers)
    return rows


def cells(frame: pandas.DataFrame) -> dict[str, list[str]]:
    """The frame of `gather` as columns of text."""
    return {
        "ticket": list(frame["of"]),
        "format": list(frame["format"]),
        "bytes": [f"{count:,}" for count in frame["bytes"]],
        "gzipped": [f"{count:,}" for count in frame["bytes_gzipped"]],
        "largest difference": _texts(frame["difference"], "{:.1e}"),
        "same label": _texts(100 * frame["same_label"], "{:.2f} %"),
        "ms an image, batch 1": _texts(frame["ms_batch_1"], "{:.3g}"),
        "batch 100": _texts(frame["ms_batch_100"], "{:.3g}"),
        "threads": [str(count) for count in frame["threads"]],
        "compared on": [f"{count:,} {text}" for count, text in zip(frame["images"], frame["compared_on"])],
    }


def _texts(values, form):
    return ["-" if pandas.isna(value) else form.format(value) for value in values]


NOTE = (
    "Measured by export: largest difference of a probability to the ticket's own, and milliseconds of the fastest of "
    "some calls on the machine that exported, or of an earlier export of the same file where those are shorter."
)
