"""How accuracy grows with the number of pictures, and what more of them would bring."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterable

from tf_tickets import seeds
from tf_tickets.advise import held_out
from tf_tickets.lazy_modules import np

# Images of a class that probes are fitted to, beside all that there are; a number near those adds nothing.
SIZES = (5, 10, 20, 35, 50, 75, 100, 150, 200, 350, 500, 750, 1000)
_NEAR = 0.85
PARTS, REPEATS, RESAMPLES = 5, 4, 1000
# Exponents of the power law; a few points cannot tell them apart, so that each is given its likelihood.
EXPONENTS = tuple(round(0.05 * step, 2) for step in range(6, 25))
# A curve says nothing from fewer points, of more images than so many times those that there are, nor where the interval
# of the gain is wider.
FEWEST_POINTS, FURTHEST, WIDEST = 3, 4.0, 0.2


class Point(typing.NamedTuple):
    """Accuracy at a number of training images per class, and its 95 % interval."""

    per_class: float
    accuracy: float
    low: float
    high: float


class Gain(typing.NamedTuple):
    """What `extra` more images of each class would add to the accuracy, as a share, and its 95 % interval."""

    extra: int
    gain: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Curve:
    """Accuracy = a - b n^-c, n the images per class.

    Attributes:
      points: what was measured, ascending; `per_class` is the mean over the classes.
      per_class: the mean of the images that there are.
      fits: float64 [resamples, 3], the a, b and c that what was measured allows, equally probable.
    """

    points: tuple[Point, ...]
    per_class: float
    fits: np.ndarray

    def predicted(self, per_class: float) -> Point | None:
        """The accuracy at so many images per class; None where the curve says nothing of it."""
        if not self._reaches(per_class):
            return None
        return Point(per_class, *_middle(self._at(per_class)))

    def more(self, extra: int) -> Gain | None:
        """What so many more images of each class would bring; None where the curve says nothing yet."""
        if not self._reaches(self.per_class + extra):
            return None
        gain = Gain(extra, *_middle(self._at(self.per_class + extra) - self._at(self.per_class)))
        return gain if gain.high - gain.low <= WIDEST else None

    def _reaches(self, per_class):
        return len(self.points) >= FEWEST_POINTS and per_class <= FURTHEST * self.per_class

    def _at(self, per_class):
        a, b, c = self.fits.T
        return a - b * per_class**-c


def learning_curve(
    features: np.ndarray,
    labels: np.ndarray,
    ids: Iterable[str | int],
    seed: int = 0,
    stop: Callable[[], bool] = lambda: False,
) -> Curve:
    """Fits probes to growing numbers of images of each class, and predicts parts of the images that none of them saw.

    The images of a part are predicted by all sizes, and those fitted to fewer are among those fitted to more, so that
    differences between sizes are known better than accuracies are (docs/science.md, What advise computes).

    Args:
      features: float [n, d].
      labels: int [n] from 0, of at least two classes.
      ids: n different ids; they decide all draws, not the order of rows.
      seed: of the draws.
      stop: asked before each part.

    Raises:
      ValueError: arrays that do not fit.
      StopRequested: `stop()` said so.
    """
    images, _ = held_out.images_of(features, labels, ids)
    counts = np.bincount(images.labels)
    sizes = _sizes(counts[counts > 0])
    repeats, count = held_out.repeats(images, REPEATS), min(PARTS, len(images.labels))
    part = np.stack([held_out.parts(images, count, "curve", seed, repeat) for repeat in range(repeats)])
    right = np.stack([_right(images, part, size, seed, stop) for size in sizes.values()], axis=1)
    accuracies = _resampled(right, seed)
    low, high = np.quantile(accuracies, (0.025, 0.975), axis=0)
    points = tuple(Point(*map(float, row)) for row in zip(sizes, right.mean(axis=(0, 2)), low, high))
    fits = _fits(np.array(list(sizes)), accuracies, seeds.uniform(seeds.fold("advise", "exponents", seed), RESAMPLES))
    return Curve(points, float(counts[counts > 0].mean()), fits)


def _sizes(counts):
    """Mean images per class -> how many a class has at most, None for all that are left where a part is held out."""
    left = counts * (PARTS - 1) / PARTS
    everything = min(float(left.mean()), held_out.MOST_IMAGES / len(counts))
    means = {float(np.minimum(left, size).mean()): size for size in SIZES}
    return {mean: size for mean, size in means.items() if mean < _NEAR * everything} | {everything: None}


def _right(images, part, size, seed, stop):
    """Whether each image is recognised by probes of at most so many images of a class, boolean [repeats, n]."""
    tried = [
        held_out.cross_predictions(images, row, stop, "curve", seed, repeat, per_class=size)
        for repeat, row in enumerate(part)
    ]
    return held_out.chosen(np.stack(tried, axis=1), images.labels, part)[0].argmax(axis=2) == images.labels


def _resampled(right, seed):
    """Accuracies [resamples, sizes] of repeats and images that are drawn again, from right [repeats, sizes, n].

    As many fewer images are drawn as the variance of repeated cross-validation exceeds theirs.
    """
    repeats, _, images = right.shape
    count = max(2, round(images / held_out.inflation(min(PARTS, images), repeats)))
    key = seeds.fold("advise", "resamples", seed)
    draws = seeds.uniform(key, RESAMPLES * (repeats + count)).reshape(RESAMPLES, -1)
    result = []
    for of_repeats, of_images in zip(draws[:, :repeats], draws[:, repeats:]):
        mean = right[(of_repeats * repeats).astype(int)].mean(axis=0)
        result.append(mean[:, (of_images * images).astype(int)].mean(axis=1))
    return np.array(result)


def _fits(sizes, accuracies, draws):
    """(a, b, c) of each row of accuracies [rows, sizes]: generalised least squares, weighted by their covariance.

    Of each exponent a is at most 1 and b at least 0; `draws`, in [0, 1), choose among the exponents by likelihood.
    """
    weights = np.linalg.inv(np.cov(accuracies.T).reshape(len(sizes), -1) + 1e-6 * np.eye(len(sizes)))
    tried = np.array([_bounded(sizes**-exponent, accuracies, weights) for exponent in EXPONENTS])
    loss = tried[:, :, 2]
    likelihood = np.cumsum(np.exp((loss.min(axis=0) - loss) / 2), axis=0)
    chosen = (likelihood < draws * likelihood[-1]).sum(axis=0)
    rows = np.arange(len(accuracies))
    return np.column_stack([tried[chosen, rows, :2], np.array(EXPONENTS)[chosen]])


def _bounded(shape, accuracies, weights):
    """(a, b, loss) [rows, 3] of accuracies = a - b x shape, a <= 1, b >= 0; shape [sizes] descends."""
    one = np.ones_like(shape)
    design = np.stack([one, -shape])
    a, b = np.linalg.pinv(design @ weights @ design.T) @ design @ weights @ accuracies.T
    at_one = np.maximum((1 - accuracies) @ weights @ shape / (shape @ weights @ shape), 0)
    flat = np.minimum(accuracies @ weights @ one / (one @ weights @ one), 1)
    a, b = np.where(a > 1, 1.0, a), np.where(a > 1, at_one, b)
    a, b = np.where(b < 0, flat, a), np.maximum(b, 0)
    rest = accuracies - a[:, None] + b[:, None] * shape
    return np.stack([a, b, np.einsum("ri,ij,rj->r", rest, weights, rest)], axis=1)


def _middle(values):
    """Median and 95 % interval."""
    return tuple(map(float, np.quantile(values, (0.5, 0.025, 0.975))))
