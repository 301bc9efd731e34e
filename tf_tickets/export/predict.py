"""`predict`: labels and probabilities of picture files, by the network that `evaluate` measures."""

import csv
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np

from tf_tickets import runs
from tf_tickets.columns import aligned
from tf_tickets.errors import UsageError, plain
from tf_tickets.export import exported_files, loading
from tf_tickets.export.ticket import Ticket
from tf_tickets.settings.inputs import Command

BATCH = 100
STANDARD_INPUT = "-"


def predict(folder: str, paths: Sequence[str], command: Command) -> tuple[str, list[str]]:
    """Labels pictures.

    Args:
      folder: a ticket or round folder, a run folder with a ticket, or a file that `export` wrote.
      paths: picture files, folders of such, and `-` for one picture from standard input.
      command: a config.Command: `format` is table, json, csv or None; `top_k` how many labels of each picture.

    Returns:
      (text, problems): the answers as text, and one line for each file that is no picture.

    Raises:
      UsageError, StateError: the folder is no ticket, or its hashes are wrong; no file is a picture.
    """
    ticket = network_of(folder)
    rows, problems = [], []
    names, images = [], []
    for name, image in pictures(paths, ticket.data, problems):
        names.append(name)
        images.append(image)
        if len(images) == BATCH:
            rows += _answers(ticket, names, images, command.top_k)
            names, images = [], []
    rows += _answers(ticket, names, images, command.top_k)
    if not rows:
        raise UsageError("; ".join(problems))
    return {"json": _json, "csv": _csv}.get(command.format, _table)(rows), problems


def load(folder: str) -> Ticket:
    """The Ticket of a ticket folder, a round folder, or a run folder that has one."""
    place = runs.place(folder)
    return loading.load(place.run.ticket if place.kind == "run" and place.run.exported() is not None else folder)


def network_of(path: str) -> Ticket | exported_files.FileNetwork:
    """The Ticket of a folder, as `load`, or the network in a file that `export` wrote."""
    return exported_files.load(path) if os.path.isfile(path) else load(path)


def pictures(paths: Sequence[str], data: dict, problems: list[str]) -> Iterator[tuple[str, np.ndarray]]:
    """(name, pixels) of every picture; what is none goes to `problems`."""
    from tf_tickets.data import unlabelled

    for path in paths:
        try:
            if path == STANDARD_INPUT:
                yield path, _from_standard_input(data)
                continue
            files = unlabelled.files(path, problems)
        except UsageError as error:
            problems.append(str(error))
            continue
        for file in files:
            try:
                image = unlabelled.pixels(file, data)
            except (UsageError, OSError) as error:
                problems.append(str(error))
            else:
                yield file, image


def _from_standard_input(data):
    from tf_tickets.data import unlabelled

    # Pillow and tifffile want to go back and forth in a file, which Windows opens only once it is closed.
    with tempfile.TemporaryDirectory(prefix="tf-tickets-") as folder:
        path = os.path.join(folder, "picture")
        try:
            picture = sys.stdin.buffer.read()
        except OSError as error:  # a terminal that is gone, or a descriptor that is not for reading, as under nohup
            raise UsageError(f"standard input cannot be read: {error.strerror}") from None
        with open(path, "wb") as file:
            file.write(picture)
        try:
            return unlabelled.pixels(path, data)
        except UsageError as error:
            raise UsageError(str(error).replace(path, "the picture on standard input")) from None


def _answers(ticket, names, images, top_k):
    """List of (name, [(label, probability)]), the most probable label first."""
    if not names:
        return []
    probabilities = ticket.predict(np.stack(images))
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
    return [
        (name, [(ticket.labels[index], float(row[index])) for index in chosen])
        for name, row, chosen in zip(names, probabilities, order)
    ]


def _table(rows):
    most = max(len(answers) for _, answers in rows)
    head = ["file", *(title for _ in range(most) for title in ("label", "probability"))]
    lines = [
        [plain(name), *(cell for label, value in answers for cell in (plain(label), f"{100 * value:.2f} %"))]
        for name, answers in rows
    ]
    return aligned([head, *lines], "l")


def _json(rows):
    entries = [
        {"file": name, "predictions": [{"label": label, "probability": value} for label, value in answers]}
        for name, answers in rows
    ]
    return json.dumps(entries, indent=1, ensure_ascii=False)


def _csv(rows):
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["file", "rank", "label", "probability"])
    for name, answers in rows:
        writer.writerows([name, rank, label, repr(value)] for rank, (label, value) in enumerate(answers, 1))
    return buffer.getvalue().rstrip("\n")
