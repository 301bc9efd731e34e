"""Random fields for corruptions: keyed by image, so that an image's draws are the same in any batch."""

import numpy as np
from scipy import special

from tf_tickets import seeds

SEED = 0


class Draws:
    """The random numbers of one corruption at one severity for some images.

    Attributes:
      count: number of images.
    """

    def __init__(self, name, severity, ids):
        """Draws depend on `name`, `severity`, each image's id and the fixed seed 0 alone."""
        self._parts, self._ids = ("corruption", SEED, name, severity), np.asarray(ids)
        self.count = len(self._ids)

    def uniform(self, what: str, *shape: int) -> np.ndarray:
        """Float64 [count, *shape] in [0, 1); `what` names the draw within the corruption."""
        keys = seeds.spread(seeds.fold(*self._parts, what), self._ids)
        steps = np.arange(1, int(np.prod(shape)) + 1).astype(np.uint64)
        with np.errstate(over="ignore"):
            bits = seeds.mix(keys[:, np.newaxis] + steps * np.uint64(seeds.GOLDEN))
        return ((bits >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(self.count, *shape)

    def between(self, low: float, high: float, what: str, *shape: int) -> np.ndarray:
        """Float64 [count, *shape], uniform in [low, high)."""
        return low + (high - low) * self.uniform(what, *shape)

    def normal(self, what: str, *shape: int) -> np.ndarray:
        """Standard normal float64 [count, *shape], by the inverse of the distribution function."""
        # Half a step above the grid of uniform draws: never 0, whose inverse is infinite.
        return special.ndtri(self.uniform(what, *shape) + 2.0**-54)

    def poisson(self, what: str, levels: np.ndarray, rate: float) -> np.ndarray:
        """Poisson draws whose mean is `levels / 255 * rate`.

        Args:
          what: names the draw.
          levels: integers [count, ...] in 0..255.
          rate: mean at level 255.

        Returns:
          float64, of the shape of `levels`.
        """
        most = int(rate + 12 * np.sqrt(rate) + 12)
        table = special.pdtr(np.arange(most), np.arange(256)[:, np.newaxis] * (rate / 255.0))
        # Row v of the table, moved up by v, continues row v - 1: one sorted list answers for every level.
        table = np.minimum(table, 1.0 - 2.0**-40) + np.arange(256)[:, np.newaxis]
        places = np.searchsorted(table.ravel(), levels + self.uniform(what, *levels.shape[1:]), side="right")
        return np.minimum(places - levels.astype(np.int64) * most, most - 1).astype(np.float64)


def plasma(draws: Draws, what: str, shape: tuple[int, int], decay: float) -> np.ndarray:
    """Cloudy maps by the diamond-square method on a torus (Fournier et al. 1982), each scaled to 0..1.

    Args:
      what: names the draw.
      shape: (height, width); the map is a corner of the smallest square of a power of two that holds it.
      decay: the noise of each halving of the grid is that of the one before divided by the square of this.

    Returns:
      float64 [count, height, width].
    """
    size = 1 << (max(shape) - 1).bit_length()
    maps = np.zeros((draws.count, size, size))
    step, reach = size, 1.0

    def noisy(total, part):
        return total / 4.0 + reach * draws.between(-1.0, 1.0, f"{what} {part} {step}", *total.shape[1:])

    while step >= 2:
        half = step // 2
        corners = maps[:, ::step, ::step]
        pairs = corners + np.roll(corners, -1, axis=1)
        centres = noisy(pairs + np.roll(pairs, -1, axis=2), "centres")
        maps[:, half::step, half::step] = centres
        above = centres + np.roll(centres, 1, axis=1)
        left = centres + np.roll(centres, 1, axis=2)
        maps[:, ::step, half::step] = noisy(above + corners + np.roll(corners, -1, axis=2), "across")
        maps[:, half::step, ::step] = noisy(left + pairs, "down")
        step, reach = half, reach / decay**2
    maps -= maps.min(axis=(1, 2), keepdims=True)
    maps /= maps.max(axis=(1, 2), keepdims=True)
    return maps[:, : shape[0], : shape[1]]
