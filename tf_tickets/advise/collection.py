"""The pictures that `advise` looks at, and what a frozen network sees of them."""

from __future__ import annotations

import dataclasses
import io
import typing
from collections.abc import Callable, Iterator

import numpy as np

from tf_tickets.advise.stages import Stages
from tf_tickets.data import pipeline, subsets, thumbnailing
from tf_tickets.data.catalog import DataSet
from tf_tickets.errors import UsageError
from tf_tickets.experiments import opening
from tf_tickets.registry import DATASETS

if typing.TYPE_CHECKING:
    from tf_tickets.experiments.session import Session

# Of a large test part so many images are looked at, drawn by class: to find leaks, and to test the probe once.
MOST_TESTED = 2000
_AT_ONCE = 100


@dataclasses.dataclass(frozen=True)
class Collection:
    """Pictures, those that folds are made of first.

    Attributes:
      data_set: its facts.
      ids: names of the pictures [n].
      labels: int64 [n].
      parts: train, validation or test of each.
      paths: of the files; None where there are none.
      folded: boolean [n], whether a picture is in the folds: all but a test part that was given as one.
      features: float32 [n, features], of the frozen network.
      thumbnails: uint8 [n, side, side, 3].
      sizes: int64 [n, 2], height and width.
      channels: int64 [n].
      images: the pictures themselves, in the same order.
      notices: sentences about what is left out.
    """

    data_set: DataSet
    ids: tuple[str, ...]
    labels: np.ndarray
    parts: tuple[str, ...]
    paths: tuple[str | None, ...]
    folded: np.ndarray
    features: np.ndarray
    thumbnails: np.ndarray
    sizes: np.ndarray
    channels: np.ndarray
    images: Images
    notices: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in label order."""
        return tuple(map(str, self.data_set.labels))


class Images:
    """The pixels of several splits one after the other."""

    def __init__(self, splits: list[pipeline.Images], scale: float):
        """`scale`: the stored value that counts as white."""
        self._splits, self._scale = splits, scale

    def __len__(self) -> int:
        """Pictures in all."""
        return sum(map(len, self._splits))

    def pixels(self, row: int) -> np.ndarray:
        """uint8 [height, width, 1 or 3] of one."""
        for split in self._splits:
            if row < len(split):
                return _visible(split.pixels[row : row + 1][0], self._scale)
            row -= len(split)
        raise IndexError(row)

    def each(self) -> Iterator[np.ndarray]:
        """`pixels` of all, read some at a time."""
        for split in self._splits:
            for first in range(0, len(split), _AT_ONCE):
                for pixels in split.pixels[first : first + _AT_ONCE]:
                    yield _visible(pixels, self._scale)


def gather(session: Session, stages: Stages, stop: Callable[[], bool]) -> Collection:
    """Looks at the pictures of a session.

    Args:
      session: of a probe, its network with the weights whose features are wanted.
      stages: told how far it is.
      stop: asked between batches; what is computed is kept.

    Raises:
      UsageError: the features are no finite numbers.
      StopRequested: on request.
    """
    source, data = session.source, session.plan.config.data
    own = DATASETS[data.dataset].pictures(data.place)
    folds = [images for images in (session.train, session.validation) if images is not None]
    test = session.test
    if own is None:
        test = test.part(np.sort(np.concatenate(subsets.stratified(test.labels, MOST_TESTED, "advise"))))
    splits = [*folds, test]
    names = [source.ids[place] for images in folds for place in images.ids]
    names += [source.test_ids[place] for place in test.ids]
    held = np.concatenate([images.ids for images in folds])
    parts = ["validation" if source.held[place] else "train" for place in held] + ["test"] * len(test)
    folded = np.array([part != "test" for part in parts]) | (own is not None and own.test_is_drawn)
    images = Images(splits, session.data_set.scale)
    by_id = {} if own is None else {picture.id: picture for picture in own.pictures}
    features, drawn = _features(session, splits, stages, stop), _thumbnails(images, stages, stop)
    shape = session.data_set.image_shape
    facts = [by_id[name].facts if name in by_id else None for name in names]
    return Collection(
        session.data_set, tuple(map(str, names)), np.concatenate([images.labels for images in splits]), tuple(parts),
        tuple(by_id[name].path if name in by_id else None for name in names), folded, features, drawn,
        np.array([(fact.height, fact.width) if fact else shape[:2] for fact in facts], np.int64),
        np.array([fact.channels if fact else shape[2] for fact in facts], np.int64), images, tuple(source.notices),
    )  # fmt: skip


def _features(session, splits, stages, stop):
    """Of all splits, in blocks that are kept, small ones: a minute of work is lost at most."""
    from tf_tickets.experiments.features import Features

    features, blocks = Features(session, stop), []
    stages.begin("features", sum(map(len, splits)))
    for images in splits:
        for start in range(0, len(images), _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, len(images)))
            blocks.append(features.of(images.part(rows), "these"))
            stages.done(len(rows))
    gathered = np.concatenate(blocks)
    if not np.isfinite(gathered).all():
        raise UsageError(
            "the features of the pictures are no finite numbers: the network's weights are damaged or too large; give "
            "another --pretrained"
        )
    return gathered


def _thumbnails(images, stages, stop):
    stages.begin("thumbnails", len(images))
    drawn = []
    for pixels in images.each():
        opening.heed(stop)
        drawn.append(thumbnailing.thumbnail(pixels))
        stages.done()
    return np.stack(drawn)


def _visible(pixels, scale):
    """Stored pixels, or the bytes of a PNG or JPEG, as uint8 [height, width, 1 or 3]."""
    if isinstance(pixels, bytes):
        from PIL import Image

        picture = Image.open(io.BytesIO(pixels))
        array = np.asarray(picture if picture.mode == "L" else picture.convert("RGB"))
        return array[..., None] if array.ndim == 2 else array
    if pixels.dtype != np.uint8:
        pixels = np.clip(np.rint(pixels * (255.0 / scale)), 0, 255).astype(np.uint8)
    channels = pixels.shape[-1]
    return pixels if channels in (1, 3) else pixels[..., :3] if channels > 3 else pixels[..., :1]
