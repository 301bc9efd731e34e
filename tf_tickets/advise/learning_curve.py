"""How accuracy grows with the number of pictures, and what more of them would bring."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterable

from tf_tickets import seeds
from tf_tickets.advise import held_out
from tf_tickets.lazy_modules import np

SIZES = (5, 10, 20, 35, 50, 75, 100, 150, 200, 350, 500, 750, 1000)
PARTS, REPEATS, RESAMPLES = 5, 4, 1000
# Exponents that are tried, and by how often as many images a curve is followed at most.
EXPONENTS = tuple(round(0.05 * step, 2) for step in range(2, 31))
FURTHEST = 4.0


class Point(typing.NamedTuple):
    """Accuracy at a number of training images per class, and its 95 % interval."""

    per_class: float
    accuracy: float
    low: float
    high: float


class Gain(typing.NamedTuple):
    """What more images per class would add to the accuracy, in [0, 1], and its 95 % interval."""

    extra: int
    gain: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Curve:
    """A power law, accuracy = a - b n^-c, of the images per class n.

    Attributes:
      points: what was measured.
      per_class: the images of a class, in the mean, that there are.
      fits: float64 [resamples, 3], (a, b, c) fitted to what was measured, first, then to each resample.
    """

    points: tuple[Point, ...]
    per_class: float
    fits: np.ndarray

    def predicted(self, per_class: float) -> Point | None:
        """The accuracy at so many images per class; None where the curve says nothing of it."""
        if not self._known(per_class):
            return None
        values = _law(self.fits, per_class)
        return Point(per_class, float(values[0]), *map(float, np.quantile(values[1:], (0.025, 0.975))))

    def more(self, extra: int) -> Gain | None:
        """What so many images more of each class would bring; None where the curve says nothing of it."""
        if not self._known(self.per_class + extra):
            return None
        values = _law(self.fits, self.per_class + extra) - _law(self.fits, self.per_class)
        return Gain(extra, float(values[0]), *map(float, np.quantile(values[1:], (0.025, 0.975))))

    def _known(self, per_class):
        return len(self.points) > 2 and per_class <= FURTHEST * self.per_class


def learning_curve(
    features: np.ndarray,
    labels: np.ndarray,
    ids: Iterable[str | int],
    seed: int = 0,
    stop: Callable[[], bool] = lambda: False,
) -> Curve:
    """Fits probes to growing numbers of images of each class and predicts the images of parts that none of them saw.

    Args:
      features: float [n, d].
      labels: int [n] from 0, of at least two classes.
      ids: n different ids.
      seed: of the draws.
      stop: asked before each fit.

    Raises:
      ValueError: arrays that do not fit.
      StopRequested: `stop()` said so.
    """
    images, _ = held_out.images_of(features, labels, ids)
    counts = np.bincount(images.labels)
    per_class = float(counts[counts > 0].mean())
    sizes = _sizes(counts)
    right = np.zeros((REPEATS, len(sizes), len(images.labels)))
    for repeat in range(REPEATS):
        part = held_out.parts(images, PARTS, "curve", seed, repeat)
        for index in range(PARTS):
            train, held = images.rows(part != index), part == index
            place = _places(train, seed, repeat, index)
            for at, size in enumerate(sizes):
                some = train.rows(place < size)
                strength = held_out.chosen_strength(some, stop, "curve", seed, repeat, index, size)
                (expected,) = held_out.predictions(some, images.features[held], [strength], len(counts))
                right[repeat, at, held] = expected.argmax(axis=1) == images.labels[held]
    return _curve(right, sizes, per_class, seed)


def _sizes(counts):
    """Numbers of images per class, up to those that are left of the smaller classes where a part is held out."""
    most = int(np.median(counts[counts > 0]) * (PARTS - 1) // PARTS)
    return [size for size in SIZES if size < 0.85 * most] + ([most] if most else [])


def _places(train, *names):
    """The place of each image among those of its class, in a drawn order."""
    draws, result = seeds.spread(seeds.fold("advise", "sizes", *names), train.keys), np.zeros(len(train.keys), int)
    for label in np.unique(train.labels):
        rows = np.flatnonzero(train.labels == label)
        result[rows[np.argsort(draws[rows])]] = np.arange(len(rows))
    return result


def _curve(right, sizes, per_class, seed):
    repeats, _, images = right.shape
    draws = np.random.default_rng(seeds.fold("advise", "bootstrap", seed))
    accuracies = [right.mean(axis=(0, 2))]
    for _ in range(RESAMPLES):
        some = right[draws.integers(repeats, size=repeats)].mean(axis=0)
        accuracies.append(some[:, draws.integers(images, size=images)].mean(axis=1))
    accuracies = np.array(accuracies)
    low, high = np.quantile(accuracies[1:], (0.025, 0.975), axis=0)
    points = tuple(Point(*map(float, row)) for row in zip(sizes, accuracies[0], low, high))
    return Curve(points, per_class, _fitted(np.array(sizes, float), accuracies))


def _law(fits, per_class):
    a, b, c = fits.T
    return a - b * per_class**-c


def _fitted(sizes, accuracies):
    """(a, b, c) of each row of accuracies [rows, sizes]: least squares, a at most 1, b at least 0, c of `EXPONENTS`."""
    best, fits = np.full(len(accuracies), np.inf), np.zeros((len(accuracies), 3))
    for exponent in EXPONENTS:
        shape = sizes**-exponent
        spread = shape - shape.mean()
        slope = -(accuracies - accuracies.mean(axis=1, keepdims=True)) @ spread / max(float(spread @ spread), 1e-12)
        b = np.maximum(slope, 0.0)
        a = accuracies.mean(axis=1) + b * shape.mean()
        bound = a > 1.0
        b = np.where(bound, (1.0 - accuracies) @ shape / (shape @ shape), b)
        a = np.where(bound, 1.0, a)
        loss = ((accuracies - a[:, None] + b[:, None] * shape) ** 2).sum(axis=1)
        better = loss < best
        best[better] = loss[better]
        fits[better] = np.stack([a, b, np.full(len(a), exponent)], axis=1)[better]
    return fits
