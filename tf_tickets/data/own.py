"""The user's own pictures, looked at: files (`folder`, `table`) or arrays (`image_arrays`, `functions`)."""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import typing
from collections.abc import Iterable, Sequence

from tf_tickets.data import photographs
from tf_tickets.data.catalog import DataSet
from tf_tickets.errors import UsageError
from tf_tickets.lazy_modules import np

PARTS = ("train", "validation", "test")
# Pictures of one size up to this side are used as they are, with a network's small stem.
SMALL_SIDE = 96
_TEST_SHARE = 0.2


@dataclasses.dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
      id: its path below the folder, with slashes; of a table its class before that; of arrays part, class and number.
      label: of its class.
      part: train, validation or test.
      path: of the file; None of arrays.
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
      test_is_drawn: whether `with_test_part` chose what tests, and not the user.
    """

    data_set: DataSet
    pictures: tuple[Picture, ...]
    origin: str
    notices: tuple[str, ...] = ()
    test_is_drawn: bool = False

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


def with_test_part(pictures: Iterable[Picture], labels: Sequence[str]) -> list[Picture]:
    """Moves a fifth of each class, at least one picture, from train to test; which, its content says.

    Args:
      pictures: of the train and validation parts.
      labels: class names.

    Returns:
      The pictures by class and part.

    Raises:
      UsageError: a class has one training picture.
    """
    result, pictures = [], list(pictures)
    for label, name in enumerate(labels):
        for part in ("train", "validation"):
            of_class = sorted((p for p in pictures if p.label == label and p.part == part), key=lambda p: p.sha256)
            if part == "train" and len(of_class) < 2:
                raise UsageError(f"class '{name}' has one picture: at least 2 are needed, one to train and one to test")
            count = max(round(_TEST_SHARE * len(of_class)), 1) if part == "train" else 0
            result += [dataclasses.replace(picture, part="test") for picture in of_class[:count]] + of_class[count:]
    return result


def facts(name: str, labels: tuple, pictures: tuple, shape: tuple, *, source: str, **changes: typing.Any) -> DataSet:
    """The DataSet of own pictures, normalised by what is measured on them.

    Args:
      name: of the data set.
      labels: class names.
      pictures: tuple of Picture.
      shape: (height, width, channels) of what the network sees.
      source: folder, function or arrays.
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
