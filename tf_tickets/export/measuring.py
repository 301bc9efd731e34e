"""What is measured of each exported file, and the rows in which that is kept beside the ticket."""

import gzip
import os
import time
import typing
from collections.abc import Iterable

import numpy as np

from tf_tickets import runs, storage
from tf_tickets.columns import aligned
from tf_tickets.errors import StateError
from tf_tickets.export.file_kinds import Predictor
from tf_tickets.export.samples import NOISE as _NOISE

_BATCH = 100
# A file is timed until so many seconds are over, at least once and at most so often.
_SECONDS, _MOST_CALLS = 0.5, 50
_HEAD = (
    "format", "file", "bytes", "bytes gzipped", "largest probability difference", "same label",
    "ms an image, batch 1", f"batch {_BATCH}", "threads",
)  # fmt: skip
_TEXTS = {
    "difference": "{:.1e}".format, "same_label": lambda share: f"{100 * share:.2f} %", "ms_batch_1": "{:.3g}".format,
    "ms_batch_100": "{:.3g}".format,
}  # fmt: skip


_TIMES = ("ms_batch_1", "ms_batch_100")
_COMPARED = ("difference", "same_label", "images", "compared_on")
_OF_ONE_FILE = ("bytes", "bytes_gzipped", "threads")


# Of a file that cannot be executed here.
UNMEASURED = dict.fromkeys(("difference", "same_label", "ms_batch_1", "ms_batch_100"))


def measured(predict: Predictor, images: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Of runs.EXPORT_COLUMNS those that are measured, for a file that predicts so."""
    return dict(zip(UNMEASURED, (*compared(predict, images, expected), *timed(predict, images))))


def compared(predict: Predictor, images: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """(largest difference, share of equal labels) of what a file predicts to what the ticket does."""
    probabilities = predict(images)
    difference = float(np.abs(probabilities - expected).max())
    return difference, float((probabilities.argmax(axis=1) == expected.argmax(axis=1)).mean())


def timed(predict: Predictor, images: np.ndarray) -> tuple[float, float]:
    """Milliseconds an image of the fastest of some calls: with one image, and with 100."""
    alone, together = images[:1], images[np.arange(_BATCH) % len(images)]
    return _milliseconds(predict, alone), _milliseconds(predict, together)


def _milliseconds(predict, images):
    predict(images)  # what is prepared for images of this count is prepared now
    least, began = float("inf"), time.perf_counter()
    for _ in range(_MOST_CALLS):
        start = time.perf_counter()
        predict(images)
        now = time.perf_counter()
        least = min(least, now - start)
        if now - began > _SECONDS:
            break
    return 1000 * least / len(images)


def sizes(path: str) -> tuple[int, int]:
    """Bytes of a file, or of all files of a folder; plain, and each gzipped."""
    paths = [path] if os.path.isfile(path) else [os.path.join(at, n) for at, _, names in os.walk(path) for n in names]
    plain = zipped = 0
    for name in paths:
        with open(name, "rb") as file:
            data = file.read()
        plain, zipped = plain + len(data), zipped + len(gzip.compress(data, 9))
    return plain, zipped


def table(rows: Iterable[dict]) -> str:
    """Rows of runs.EXPORT_COLUMNS as lines of text."""
    cells = [
        (
            row["format"], row["file"], f"{row['bytes']:,}", f"{row['bytes_gzipped']:,}",
            *("" if row[name] is None else text(row[name]) for name, text in _TEXTS.items()),
            str(row["threads"]),
        ) for row in rows
    ]  # fmt: skip
    return aligned([_HEAD, *cells], "llr")


def kept(place: runs.Place, ticket: str) -> list[dict[str, typing.Any]]:
    """The rows of earlier exports of a ticket.

    Args:
      place: the ticket or round.
      ticket: its content digest: rows of another that stood there are passed over.

    Raises:
      StateError: the file is damaged.
    """
    path = runs.exports_of(place.path)
    if not os.path.lexists(path):
        return []
    try:
        rows = storage.read_csv(path)
    except StateError:
        raise StateError(f"{path} cannot be read: delete it, and each export writes its rows anew") from None
    return [{name: row.get(name) for name in runs.EXPORT_COLUMNS} for row in rows if row.get("ticket") == ticket]


def keep(place: runs.Place, earlier: list[dict], rows: list[dict]) -> list[str]:
    """Writes the rows beside the ticket, in place of those of the same formats, as `better` has it.

    Returns:
      Lines that say what of them is not kept.
    """
    path, folder = runs.exports_of(place.path), os.path.dirname(os.path.abspath(place.path))
    if not os.access(folder, os.W_OK | os.X_OK):
        return [f"the table is not kept: {folder} cannot be written"]
    before = {row["format"]: row for row in earlier}
    kept = [better(before.get(row["format"]), row) for row in rows]
    measured = {row["format"] for row in rows}
    storage.write_csv(path, [*(row for row in earlier if row["format"] not in measured), *kept], runs.EXPORT_COLUMNS)
    of_earlier = [row["format"] for row, stored in zip(rows, kept) if stored != row]
    text = f"{path} keeps better numbers that an earlier export measured of the same files"
    return [f"{text}: {', '.join(of_earlier)}"] if of_earlier else []


def better(earlier: dict | None, row: dict) -> dict:
    """Of two rows of a format, the better founded numbers.

    Those compared on the data set's images stand before those on noise, else the later ones count; of times on as many
    threads the shorter ones, since what else a machine does can only lengthen them.

    Args:
      earlier: of an earlier export; it counts only where it is of a file of as many bytes. None: there is none.
      row: of this one.
    """
    if earlier is None or any(str(earlier[name]) != str(row[name]) for name in _OF_ONE_FILE):
        return row
    on_images = bool(earlier["difference"]) and _NOISE not in str(earlier["compared_on"])
    unfounded = row["difference"] is None or _NOISE in row["compared_on"]
    compared_by = earlier if on_images and unfounded else row
    times = {name: _least(earlier[name], row[name]) for name in _TIMES}
    return row | {name: compared_by[name] for name in _COMPARED} | times


def _least(earlier, now):
    """The shorter of two times, of which the earlier one is text of a file that anybody may have changed."""
    try:
        return min((now, float(earlier)), key=lambda time: float("inf") if time is None or not time > 0 else time)
    except (TypeError, ValueError):
        return now
