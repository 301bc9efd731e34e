"""How accuracy grows with the number of pictures, and what more of them would bring."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterable

from tf_tickets import seeds
from tf_tickets.advise import estimates, held_out
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
    """Accuracy at a number of training images per class, a share, and its 95 % interval."""

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
      points: what was measured, ascending; `per_class` is the mean over the classes. Empty where no class has two
        images.
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
    *,
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
    per_class, sizes = float(counts[counts > 0].mean()), _sizes(counts[counts > 0])
    known = counts[images.labels] > 1  # an image that is the only one of its class is never recognised
    if not known.any():
        return Curve((), per_class, np.zeros((0, 3)))
    effort = held_out.effort(images, PARTS, REPEATS)
    part = [held_out.parts(images, effort.parts, "curve", seed, repeat) for repeat in range(effort.repeats)]
    right = np.stack(
        [_right(images, np.array(part), size, effort.strengths, seed, stop) for size in sizes.values()], axis=1
    )[:, :, known]
    accuracies = _resampled(right, effort.parts, seed)
    factor, count = held_out.inflation(effort.parts, effort.repeats), int(known.sum())
    shares = [estimates.wilson(float(share) * count / factor, count / factor) for share in right.mean(axis=(0, 2))]
    points = tuple(Point(size, *share) for size, share in zip(sizes, shares))
    fits = power_laws(
        np.array(list(sizes)), accuracies, seeds.uniform(seeds.fold("advise", "exponents", seed), RESAMPLES)
    )
    return Curve(points, per_class, fits)


def _sizes(counts):
    """Mean images per class -> how many a class has at most, None for all that are left where a part is held out."""
    left = counts * (PARTS - 1) / PARTS
    everything = min(float(left.mean()), held_out.MOST_IMAGES / len(counts))
    means = {float(np.minimum(left, size).mean()): size for size in SIZES}
    return {mean: size for mean, size in means.items() if mean < _NEAR * everything} | {everything: None}


def _right(images, part, size, strengths, seed, stop):
    """Whether each image is recognised by probes of at most so many images of a class, boolean [repeats, n]."""
    tried = [
        held_out.cross_predictions(images, row, strengths, stop, "curve", seed, repeat, per_class=size)
        for repeat, row in enumerate(part)
    ]
    return held_out.chosen(np.stack(tried, axis=1), images.labels, part)[0].argmax(axis=2) == images.labels


def _resampled(right, parts, seed):
    """Accuracies [resamples, sizes] of repeats and images that are drawn again, from right [repeats, sizes, n].

    As many fewer images are drawn as the variance of repeated cross-validation exceeds theirs.
    """
    repeats, _, images = right.shape
    count = max(2, round(images / held_out.inflation(parts, repeats)))
    result = []
    for index in range(RESAMPLES):
        draws = seeds.uniform(seeds.fold("advise", "resamples", seed, index), repeats + count)
        mean = right[(draws[:repeats] * repeats).astype(int)].mean(axis=0)
        result.append(mean[:, (draws[repeats:] * images).astype(int)].mean(axis=1))
    shift, variance = _of_small_counts(right.mean(axis=(0, 2)), count)
    spread = np.sqrt(variance)
    first, second = seeds.uniform(seeds.fold("advise", "small_counts", seed), 2 * RESAMPLES * len(spread)).reshape(
        2, RESAMPLES, len(spread)
    )
    normal = np.sqrt(-2 * np.log(1 - first)) * np.cos(2 * np.pi * second)
    return np.array(result) + shift + spread * normal


def _of_small_counts(shares, count):
    """(shift, variance) that take drawn shares of `count` images to Jeffreys' estimate; 0 between 15 and 85 %.

    Where no image is wrong, all draws are alike, though the next image may be wrong. The variance is what theirs lacks,
    and the shift grows from nothing to all of it as all of the variance comes from here.
    """
    right = shares * count
    jeffreys = (right + 0.5) * (count - right + 0.5) / ((count + 1) ** 2 * (count + 2))
    variance = np.maximum(jeffreys - shares * (1 - shares) / count, 0)
    return variance / jeffreys * ((right + 0.5) / (count + 1) - shares), variance


def power_laws(sizes: np.ndarray, accuracies: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """The laws that resampled accuracies allow, by generalised least squares.

    Args:
      sizes: float64 [sizes], images per class.
      accuracies: float64 [rows, sizes]; the inverse of their covariance over rows weights them.
      draws: float64 [rows] in [0, 1), which choose among `EXPONENTS` by likelihood.

    Returns:
      float64 [rows, 3]: a, b and c of accuracy = a - b sizes^-c, a at most 1 and b at least 0.
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
    level = np.ones_like(shape)
    design = np.stack([level, -shape])
    a, b = np.linalg.pinv(design @ weights @ design.T) @ design @ weights @ accuracies.T
    at_one = np.maximum((1 - accuracies) @ weights @ shape / (shape @ weights @ shape), 0)
    flat = np.minimum(accuracies @ weights @ level / (level @ weights @ level), 1)
    a, b = np.where(a > 1, 1.0, a), np.where(a > 1, at_one, b)
    a, b = np.where(b < 0, flat, a), np.maximum(b, 0)
    rest = accuracies - a[:, None] + b[:, None] * shape
    return np.stack([a, b, np.einsum("ri,ij,rj->r", rest, weights, rest)], axis=1)


def _middle(values):
    """Median and 95 % interval."""
    return tuple(map(float, np.quantile(values, (0.5, 0.025, 0.975))))
