"""The user's own pictures once they are looked at: in a folder (`folder`), or given by a function (`functions`)."""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import typing
from collections.abc import Iterable

from tf_tickets.data import photographs
from tf_tickets.data.catalog import DataSet
from tf_tickets.lazy_modules import np

PARTS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
      id: its path below the folder, with slashes; or its part, class and number.
      label: of its class.
      part: train, validation or test.
      path: of the file; None of a function's.
      facts: the photographs.Facts of it.
    """

    id: str
    label: int
    part: str
    path: str | None
    facts: photographs.Facts

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes, or of the pixels."""
        return self.facts.sha256

    @property
    def row(self) -> dict[str, str]:
        """Its row of a run's pictures.csv."""
        return {"id": self.id, "part": self.part, "sha256": self.sha256}


def digest_of(rows: Iterable[dict[str, str]]) -> str:
    """SHA-256 over the rows of all pictures, in their order: over ids, parts and contents."""
    lines = (f"{row['id']} {row['part']} {row['sha256']}" for row in rows)
    return hashlib.sha256("\n".join(lines).encode("utf-8")).hexdigest()


@dataclasses.dataclass(frozen=True)
class Pictures:
    """All of the user's own pictures.

    Attributes:
      data_set: the catalog.DataSet made of them.
      pictures: tuple of Picture.
      origin: what follows their number in the plan of a run, such as "in pictures, each decoded and found whole".
      notices: sentences for the user, about what is left out.
    """

    data_set: DataSet
    pictures: tuple[Picture, ...]
    origin: str
    notices: tuple[str, ...] = ()

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 over ids, parts and contents."""
        return digest_of(picture.row for picture in self.pictures)

    def columns(self, split: str, stored: np.ndarray) -> tuple:
        """What a Source has of a split.

        Args:
          split: train, of which the validation pictures are a part, or test.
          stored: what is kept of each picture, [n] or [n, ...], in the order of `pictures`.

        Returns:
          (ids, labels, the split's part of `stored`, held).
        """
        rows = [row for row, picture in enumerate(self.pictures) if (picture.part == "test") == (split == "test")]
        chosen = [self.pictures[row] for row in rows]
        labels = np.array([picture.label for picture in chosen], np.int64)
        held = np.array([picture.part == "validation" for picture in chosen], bool)
        return [picture.id for picture in chosen], labels, stored[rows], held


def facts(name: str, labels: tuple, pictures: tuple, shape: tuple, *, source: str, **changes: typing.Any) -> DataSet:
    """The DataSet of own pictures, normalised by what is measured on them.

    Args:
      name: of the data set.
      labels: class names.
      pictures: tuple of Picture.
      shape: (height, width, channels) of what the network sees.
      source: folder or function.
      changes: other facts than the usual ones, by their names.
    """
    counts = collections.Counter((picture.part, picture.label) for picture in pictures)
    train, held, test = (tuple(counts[part, label] for label in range(len(labels))) for part in PARTS)
    usual = {
        "mean": None, "deviation": None, "flip": True, "stem": "small", "crop_padding": max(min(shape[:2]) // 8, 1),
        "cutout_side": max(min(shape[:2]) // 2, 1), "validation_counts": held if any(held) else None,
    }  # fmt: skip
    return DataSet(
        name, labels, tuple(map(sum, zip(train, held))), test, image_shape=shape, source=source, **usual | changes
    )
