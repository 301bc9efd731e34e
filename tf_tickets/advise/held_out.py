"""The linear probe on images that it was not fitted to: parts drawn by the images' ids, penalties chosen inside.

All of `advise` fits through here. Rows are put in the order of their keys before anything is summed, so that the order
in which a folder's files come decides nothing.
"""

from __future__ import annotations

import typing
import warnings
from collections.abc import Callable, Iterable, Sequence

from tf_tickets import seeds
from tf_tickets.analysis import linear_probe
from tf_tickets.errors import StopRequested
from tf_tickets.lazy_modules import np

# Probes are fitted to no more images than these: more cost minutes and change little.
MOST_IMAGES = 5000
# Images x features x classes: up to which cross-validation is repeated, what is large being known well from once, and
# beyond which a fit takes seconds.
_REPEATED, _SLOW = 6e7, 3e8
_FEW_PARTS, _FEW_STRENGTHS = 5, (1e-3, 1e-2, 1e-1)
# Of probabilities where penalties are compared, so that one image does not decide.
_LEAST = 1e-4


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


class Effort(typing.NamedTuple):
    """How much is fitted.

    Attributes:
      parts: of the images, each of which is held out once in a repeat.
      repeats: how often parts are drawn.
      strengths: the inverse penalties that are tried, ascending.
    """

    parts: int
    repeats: int
    strengths: tuple[float, ...]


def effort(images: Images, parts: int, repeats: int) -> Effort:
    """So many parts, repeats and all penalties of a probe's folds, or fewer where that would take many minutes."""
    count = len(images.labels)
    work = count * min(images.features.shape) * (int(images.labels.max()) + 1)
    repeats = max(1, min(repeats, int(_REPEATED / work)))
    if work > _SLOW:
        return Effort(min(count, parts, _FEW_PARTS), repeats, _FEW_STRENGTHS)
    return Effort(min(count, parts), repeats, linear_probe.STRENGTHS_OF_FOLDS)


def inflation(count: int, repeats: int) -> float:
    """By how much cross-validation's variance exceeds that of as many independent images (Nadeau and Bengio 2003).

    Of count x repeats test parts, each a share 1/count of the images, the corrected variance of their mean is
    (1 / (count repeats) + 1 / (count - 1)) s^2; where s^2 is binomial that is p (1 - p) / n times this number.

    Args:
      count: parts of the images.
      repeats: how often they are drawn.
    """
    return count * (1 / (count * repeats) + 1 / (count - 1))


def places(images: Images, *names: str | int) -> np.ndarray:
    """The place of each image among those of its class, from 0, in the order that `names` draw: int64 [n]."""
    draws, result = seeds.spread(seeds.fold("advise", *names), images.keys), np.zeros(len(images.keys), np.int64)
    for label in np.unique(images.labels):
        rows = np.flatnonzero(images.labels == label)
        result[rows[np.argsort(draws[rows])]] = np.arange(len(rows))
    return result


def predictions(train: Images, features: np.ndarray, classes: int, strengths: Sequence[float]) -> np.ndarray:
    """Probabilities of probes that are fitted to some images, one for each inverse penalty.

    Where there are more features than images both are turned into the space that the images span, which changes neither
    distances nor the penalty, and so no solution.

    Args:
      train: what they are fitted to; where it is of one class, that class is sure.
      features: float64 [m, d] of the images predicted.
      classes: of the columns; a class without an image in `train` has zeros.
      strengths: inverse penalties.

    Returns:
      float32 [penalties, m, classes].
    """
    result = np.zeros((len(strengths), len(features), classes), np.float32)
    there = np.unique(train.labels)
    if len(there) < 2:
        result[:, :, there] = 1.0
        return result
    mean, deviation = linear_probe.standardisation(train.features)
    inside, outside = (train.features - mean) / deviation, (features - mean) / deviation
    if len(inside) < inside.shape[1]:
        basis, turned = np.linalg.qr(inside.T)
        inside, outside = turned.T, outside @ basis
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes is greater")  # many classes of two images
        for place, strength in enumerate(strengths):
            result[place][:, there] = linear_probe.classifier(strength, inside, train.labels).predict_proba(outside)
    return result


def cross_predictions(
    images: Images,
    part: np.ndarray,
    strengths: Sequence[float],
    stop: Callable[[], bool],
    *names: str | int,
    per_class: int | None = None,
) -> np.ndarray:
    """Probabilities of all images by probes that were fitted to the other parts.

    Args:
      images: all there are.
      part: int64 [n], the part in which each is.
      strengths: inverse penalties.
      stop: asked before each part.
      names: of the draw of the images that a probe is fitted to, where those are not all of the other parts.
      per_class: how many of a class it is fitted to at most.

    Returns:
      float32 [penalties, n, classes].

    Raises:
      StopRequested: `stop()` said so.
    """
    classes = int(images.labels.max()) + 1
    result = np.zeros((len(strengths), len(part), classes), np.float32)
    with _one_thread():
        for index in range(part.max() + 1):
            if stop():
                raise StopRequested("stopped on request; run again to continue")
            train, held = images.rows(part != index), part == index
            place = places(train, "sizes", *names, index)
            share = place / np.bincount(train.labels)[train.labels]
            some = np.argsort(share, kind="stable")[:MOST_IMAGES]
            train = train.rows(np.sort(some[place[some] < (per_class or len(place))]))
            result[:, held] = predictions(train, images.features[held], classes, strengths)
    return result


def _one_thread():
    """Several threads of small matrices wait for each other, and their sums depend on how many there are."""
    import sklearn.linear_model  # noqa: F401  limits reach libraries that are loaded
    import threadpoolctl

    return threadpoolctl.threadpool_limits(1)


def chosen(probabilities: np.ndarray, labels: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities of the penalty under which the images of other parts are likeliest; of equals the strongest.

    What an image is predicted with so never depends on its own part. Likelihood tells penalties apart that have equally
    many images right, so that luck does not choose among them.

    Args:
      probabilities: float [penalties, repeats, n, classes], the strongest penalty first, of `cross_predictions`.
      labels: int [n].
      part: int64 [repeats, n], the part in which each image was held out.

    Returns:
      (float [repeats, n, classes], int64 [repeats, n]): the probabilities, and the places of the penalties.
    """
    own = probabilities[:, :, np.arange(len(labels)), labels]
    by_image = np.log(np.maximum(own, _LEAST), dtype=np.float64).sum(axis=1)
    place = np.zeros(part.shape, np.int64)
    for repeat, of_image in enumerate(part):
        inside = np.stack([np.bincount(of_image, row, of_image.max() + 1) for row in by_image])
        place[repeat] = np.argmax(by_image.sum(axis=1)[:, None] - inside, axis=0)[of_image]
    return np.take_along_axis(probabilities, place[None, :, :, None], axis=0)[0], place
