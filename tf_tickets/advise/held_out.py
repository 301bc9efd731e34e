"""The linear probe on images that it was not fitted to: parts drawn by the images' ids, penalties chosen inside.

All of `advise` fits through here. Rows are put in the order of their keys before anything is summed, so that the order
in which a folder's files come decides nothing.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable

from tf_tickets import seeds
from tf_tickets.analysis import linear_probe
from tf_tickets.errors import StopRequested
from tf_tickets.lazy_modules import np

# Parts of the images on which a penalty is chosen.
INNER_PARTS = 3


class Images(typing.NamedTuple):
    """What a probe is fitted to.

    Attributes:
      features: float64 [n, d].
      labels: int64 [n].
      keys: uint64 [n], of the images' ids.
    """

    features: np.ndarray
    labels: np.ndarray
    keys: np.ndarray

    def rows(self, chosen: np.ndarray) -> Images:
        """The images of some rows, boolean [n] or integers."""
        return Images(self.features[chosen], self.labels[chosen], self.keys[chosen])


def images_of(features: np.ndarray, labels: np.ndarray, ids: Iterable[str | int]) -> tuple[Images, np.ndarray]:
    """(Images in the order of their keys, the rows that they were, int64 [n]).

    Args:
      features: float [n, d], finite.
      labels: int [n] from 0.
      ids: of each image, all different.

    Raises:
      ValueError: no such arrays, or fewer than two images or two classes.
    """
    keys = np.array([seeds.fold("image", name) for name in ids], np.uint64)
    features, labels = np.asarray(features, np.float64), np.asarray(labels, np.int64)
    if features.ndim != 2 or labels.shape != (len(features),) or keys.shape != labels.shape:
        raise ValueError(f"features {features.shape}, labels {labels.shape} and {len(keys)} ids are not of one length")
    if len(np.unique(keys)) < len(keys):
        raise ValueError("two images have the same id")
    if not np.isfinite(features).all():
        raise ValueError("features are no finite numbers")
    if len(np.unique(labels)) < 2 or labels.min() < 0:
        raise ValueError("labels are not of two classes or more, numbered from 0")
    order = np.argsort(keys)
    return Images(features[order], labels[order], keys[order]), order


def parts(images: Images, count: int, *names: str | int) -> np.ndarray:
    """In which of `count` parts each image is, int64 [n]: classes are spread evenly, the draw is that of `names`.

    A class that does not fill the parts begins where the last one ended, so that parts differ by one image at most.
    """
    draws, result, begun = seeds.spread(seeds.fold("advise", *names), images.keys), np.zeros(len(images.keys), int), 0
    for label in np.unique(images.labels):
        rows = np.flatnonzero(images.labels == label)
        result[rows[np.argsort(draws[rows])]] = (begun + np.arange(len(rows))) % count
        begun += len(rows)
    return result


def predictions(train: Images, features: np.ndarray, strengths: Iterable[float], classes: int) -> np.ndarray:
    """Probabilities of probes that are fitted to some images, one for each inverse penalty.

    Where there are more features than images both are turned into the space that the images span, which changes neither
    distances nor the penalty, and so no solution.

    Args:
      train: what they are fitted to; of one class alone, that class is sure.
      features: float64 [m, d] of the images predicted.
      strengths: inverse penalties.
      classes: of the columns; a class without an image in `train` has zeros.

    Returns:
      float64 [strengths, m, classes].
    """
    strengths = tuple(strengths)
    result = np.zeros((len(strengths), len(features), classes))
    there = np.unique(train.labels)
    if len(there) < 2:
        result[:, :, there] = 1.0
        return result
    mean, deviation = linear_probe.standardisation(train.features)
    inside, outside = (train.features - mean) / deviation, (features - mean) / deviation
    if len(inside) < inside.shape[1]:
        basis, turned = np.linalg.qr(inside.T)
        inside, outside = turned.T, outside @ basis
    for place, strength in enumerate(strengths):
        fitted = linear_probe.classifier(strength, inside, train.labels)
        result[place][:, there] = fitted.predict_proba(outside)
    return result


def chosen_strength(train: Images, stop: Callable[[], bool], *names: str | int) -> float:
    """The inverse penalty by which most of the images are predicted without having been fitted to; of equals the least.

    Args:
      train: the images, in `INNER_PARTS` parts.
      stop: asked before each fit.
      names: of the draw of the parts.

    Raises:
      StopRequested: `stop()` said so.
    """
    part, tried = parts(train, INNER_PARTS, "penalty", *names), linear_probe.STRENGTHS_OF_FOLDS
    right = np.zeros(len(tried))
    for index in range(INNER_PARTS):
        heed(stop)
        held = train.rows(part == index)
        if len(held.labels):
            expected = predictions(train.rows(part != index), held.features, tried, int(train.labels.max()) + 1)
            right += (expected.argmax(axis=2) == held.labels).sum(axis=1)
    return tried[int(np.argmax(right))]


def heed(stop: Callable[[], bool]) -> None:
    """StopRequested where `stop()` says so."""
    if stop():
        raise StopRequested("stopped on request; run again to continue")
