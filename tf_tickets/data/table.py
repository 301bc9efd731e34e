"""Your own pictures in a table, which says of each file which class it is of: a CSV file, or a DataFrame's rows.

What is checked, and what becomes of the pictures, is that of `folder`. No TensorFlow here.
"""

from __future__ import annotations

import collections
import csv
import functools
import io
import itertools
import os
import typing
from collections.abc import Sequence

from tf_tickets import storage
from tf_tickets.columns import aligned
from tf_tickets.data import class_folders, class_names, content_names, folder, listing, own
from tf_tickets.errors import UsageError, plain, reason
from tf_tickets.registry import DATASETS
from tf_tickets.settings import places
from tf_tickets.settings.places import Place

COLUMNS = ("file", "label", "split")
_COLUMNS = "give the columns file, label and, where parts are given, split"


class Row(typing.NamedTuple):
    """A row: the file's path below the folder, its class, and train, validation, test or nothing."""

    file: str
    label: str
    split: str = ""


class PictureTable:
    """Picture files with labels; what `tt.data.from_dataframe` returns.

    Attributes:
      root: the folder of the files.
      rows: tuple of Row.
    """

    def __init__(self, root: str, rows: Sequence[Row], *, where: str, first_row: int = 0, whole: bool = False):
        """Nothing is looked at yet.

        Args:
          root: the folder of the files.
          rows: one for each file.
          where: what holds the rows, in messages.
          first_row: the number that messages give the first row.
          whole: whether a picture in the folder that no row lists is refused.
        """
        self.root, self.rows, self._where = root, tuple(rows), where
        self._first_row, self._whole = first_row, whole

    @functools.cached_property
    def pictures(self) -> own.Pictures:
        """The files, each decoded; without rows of the split test a fifth of each class tests, chosen by content.

        Raises:
          UsageError: names the rows and files that cannot be used.
        """
        notices, problems = [], []
        if not os.path.isdir(self.root):
            raise UsageError(f"--data_dir={self.root} is no folder; give the one that the files of the table are in")
        class_names.check([row.label for row in self.rows if row.label], self._where, "class")
        files = [*self._files(problems)]
        labels = self._labels(files, problems)
        if self._whole:
            problems += self._unlisted({path for path, *_ in files})
        # A class without training pictures is a problem already.
        files = [(path, name, part, labels.index(label)) for path, name, part, label in files if label in labels]
        pictures, facts = folder.looked_at(self._where, files, notices=notices, problems=problems, mark="")
        drawn = not any(picture.part == "test" for picture in pictures)
        if drawn:
            pictures = own.with_test_part(pictures, labels)
            notices.append(
                "no row is of the split test: a fifth of each class, chosen by content, is kept for the test"
            )
        where = f"in {plain(self.root)}"
        return folder.gathered(
            "table", labels, pictures, facts=facts, where=where, notices=notices, test_is_drawn=drawn
        )

    def _files(self, problems):
        """(path, id, part, class) of each row that can be used."""
        parts, seen = any(row.split for row in self.rows), {}
        for number, row in enumerate(self.rows, self._first_row):
            file = os.path.normpath(row.file) if row.file else ""
            path, part = os.path.join(self.root, file), class_folders.PARTS.get(row.split.lower())
            first = seen.setdefault(file, number)
            problem = None
            if not file:
                problem = "has no file: name one, or leave the row out"
            elif os.path.isabs(file) or file.split(os.sep)[0] == os.pardir:
                problem = f"{row.file} is not below {self.root}: give paths that start from that folder"
            elif first != number:
                problem = f"{row.file} is in row {first} too: leave one out"
            elif not row.label:
                problem = f"{row.file} has no label: give one, or leave the row out"
            elif parts and part is None:
                problem = f"{row.file} has the split '{row.split}': give train, validation or test"
            elif not os.path.isfile(path):
                problem = f"{path} is not there: put it there, or leave the row out"
            if problem:
                problems.append(f"{self._where}, row {number}: {problem}")
                continue
            yield path, f"{row.label}/{file.replace(os.sep, '/')}", part or "train", row.label

    def _labels(self, files, problems):
        """Names of classes: those of the training pictures."""
        labels = tuple(sorted({label for _, _, part, label in files if part == "train"}))
        for label in sorted({label for *_, label in files} - set(labels)):
            problems.append(f"{self._where}: class '{label}' has no training pictures: add some, or leave its rows out")
        if len(labels) < 2 and not problems:
            raise UsageError(f"{self._where}: training pictures of {len(labels)} classes, at least 2 are needed")
        return labels

    def _unlisted(self, listed):
        """A line for each picture in the folder that no row lists."""
        problems, clutter = [], collections.Counter()
        paths = listing.files(self.root, problems, clutter)
        unlisted = [path for path in paths if path not in listed and class_folders.is_called_picture(path)]
        return [*problems, *(f"{path} is in no row of {self._where}: add one, or remove the file" for path in unlisted)]

    @property
    def settings(self) -> dict[str, str]:
        """The settings that stand for this value."""
        name = content_names.name_of(self, self.pictures.digest)
        return {"dataset": "table", "data_dir": self.root, "labels_file": name}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a CSV file for `--dataset=table --data_dir=ROOT --labels_file=PATH`, which is the same data.

        Raises:
          StateError: it cannot be written.
        """
        columns = COLUMNS if any(row.split for row in self.rows) else COLUMNS[:2]
        storage.write_csv(
            os.fspath(path), [{name: getattr(row, name) for name in columns} for row in self.rows], columns
        )

    def __repr__(self) -> str:
        """Counts by class and split."""
        counts = collections.Counter((row.label, row.split) for row in self.rows)
        splits, labels = sorted({row.split for row in self.rows}), sorted({row.label for row in self.rows})
        rows = [["class", *(split or "pictures" for split in splits)]]
        rows += [[plain(label), *(f"{counts[label, split]:,}" for split in splits)] for label in labels[:20]]
        left_out = [f"and {len(labels) - 20} more classes"] if len(labels) > 20 else []
        first = f"<PictureTable: {len(self.rows):,} pictures in {plain(self.root)}>"
        return "\n".join([first, aligned(rows, "l"), *left_out])


def read(path: str) -> list[Row]:
    """The rows of a CSV file of the columns file, label and perhaps split; UsageError where it has others."""
    where = f"--labels_file={path}"
    try:
        with io.TextIOWrapper(storage.open_regular(os.path.expanduser(path)), encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file, strict=True))
    except UnicodeDecodeError:
        raise UsageError(f"{where} is not UTF-8 text: save it as CSV in UTF-8") from None
    except (OSError, csv.Error) as error:
        raise UsageError(f"{where} cannot be read ({reason(error)}): {_COLUMNS}") from None
    while lines and not any(lines[-1]):
        lines.pop()
    header = [name.strip().lower() for name in lines[0]] if lines else []
    odd = [name for name in header if name not in COLUMNS]
    lacking = [name for name in COLUMNS[:2] if name not in header]
    if odd or lacking or len(set(header)) != len(header):
        problem = "has a column twice"
        if lacking or odd:
            problem = f"has no column {lacking[0]}" if lacking else f"has the column '{odd[0]}', which nothing reads"
        first = plain(",".join(lines[0]) if lines else "")
        raise UsageError(f"{where} {problem} (its first line is '{first}'): {_COLUMNS}")
    rows = []
    for number, cells in enumerate(lines[1:], 2):
        if len(cells) > len(header):
            raise UsageError(f"{where}, row {number}: more cells than columns: put names with commas into quotes")
        # Of a short row the other cells are empty.
        rows.append(Row(**{name: cell.strip() for name, cell in itertools.zip_longest(header, cells, fillvalue="")}))
    if not rows:
        raise UsageError(f"{where} has no rows: {_COLUMNS}")
    return rows


def open_place(place: Place) -> PictureTable:
    """What `--labels_file` lists, or stands for; UsageError where it is not given or cannot be used."""
    path = place.labels_file
    if path is None or place.data_dir is None:
        lacking = "--labels_file=FILE.csv, which lists" if path is None else "--data_dir=DIR, which holds"
        raise UsageError(f"--dataset=table needs {lacking} your pictures")
    if places.is_name(path):
        return content_names.find(path, "labels_file")
    try:
        status = os.stat(os.path.expanduser(path))
    except OSError as error:
        raise UsageError(
            f"--labels_file={path} cannot be read ({reason(error)}): give the path of a CSV file"
        ) from None
    return _read_once(place, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=1)
def _read_once(place, _modified, _size):
    path = place.labels_file
    return PictureTable(place.data_dir, read(path), where=f"--labels_file={path}", first_row=2, whole=True)


@DATASETS.register("table")
class Table(folder.Folder):
    """The pictures that `--labels_file` lists."""

    place_flags = ("data_dir", "labels_file")
    adds_validation = "give rows the split validation"

    def pictures(self, place: Place) -> own.Pictures:
        """The files."""
        return open_place(place).pictures
