"""Pictures that are unlike the others of their data set: blank, dark, bright, blurred, of odd shape, or far from all.

What more than a twentieth of the pictures have in common is how this data set is, and odd in none of them.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tf_tickets.data import thumbnailing

KINDS = ("blank", "dark", "bright", "blurred", "odd size", "odd channels", "far from all others")
# A kind that more pictures are of is the data set's own.
_MOST = 0.05
# Levels of brightness, from 0 to 255.
_BLANK, _DARK, _BRIGHT = 3.0, 40.0, 220.0
# Deviations from the median, by robust estimates; of normally distributed values one in a million lies beyond.
_FAR = 5.0
_NEIGHBOURS = 5
# Cosine distances that differ by less are the same.
_NO_DISTANCE = 0.02
# Of fewer pictures nobody can say how pictures are.
_FEWEST = 10


@dataclasses.dataclass(frozen=True)
class Odd:
    """A picture that is unlike the others.

    Attributes:
      row: of the picture.
      kind: one of KINDS.
      value: what was measured, in the unit that the sentence says.
      sentence: for people, without a full stop.
      strength: how far beyond the limit of its kind, for the order; 1 at the limit.
    """

    row: int
    kind: str
    value: float
    sentence: str
    strength: float


def odd_pictures(
    thumbnails: np.ndarray, sizes: np.ndarray, channels: np.ndarray, *, features: np.ndarray | None = None,
    labels: np.ndarray | None = None,
) -> list[Odd]:  # fmt: skip
    """Which pictures somebody should look at; a picture can be odd in several ways.

    Args:
      thumbnails: uint8 [n, SIDE, SIDE, 3], of data.thumbnailing.
      sizes: int [n, 2], height and width of the pictures.
      channels: int [n].
      features: float [n, features] of a network, without which no picture is far from all others, or None.
      labels: int [n], or None: all are of one class.

    Returns:
      The most striking first.
    """
    if not len(thumbnails):
        return []
    grey = thumbnailing.luma(thumbnails)
    labels = np.zeros(len(grey), int) if labels is None else labels
    odd = _blank(grey)
    blank = {picture.row for picture in odd}
    for finder in (_dark, _bright, _blurred):
        odd += [picture for picture in _few(finder(grey), len(grey)) if picture.row not in blank]
    odd += _few(_of_odd_size(sizes), len(grey)) + _few(_of_odd_channels(channels), len(grey))
    if features is not None:
        odd += _few(_far(features, labels), len(grey))
    return sorted(odd, key=lambda picture: (-picture.strength, picture.row, picture.kind))


def _few(odd, count):
    return odd if len(odd) <= max(_MOST * count, 1) else []


def _blank(grey):
    """No level differs from the others."""
    deviations = grey.std(axis=(1, 2))
    return [
        Odd(int(row), "blank", float(deviations[row]), "one colour, or nearly", 100.0)
        for row in np.flatnonzero(deviations < _BLANK)
    ]


def _dark(grey):
    lightest = np.quantile(grey, 0.95, axis=(1, 2))
    return [
        Odd(int(row), "dark", float(lightest[row]),
            f"95 % of it is darker than {100 * lightest[row] / 255:.0f} % of white", _DARK / max(lightest[row], 1.0))
        for row in np.flatnonzero(lightest < _DARK)
    ]  # fmt: skip


def _bright(grey):
    darkest = np.quantile(grey, 0.05, axis=(1, 2))
    return [
        Odd(int(row), "bright", float(darkest[row]),
            f"95 % of it is brighter than {100 * darkest[row] / 255:.0f} % of white",
            (255 - _BRIGHT) / max(255 - darkest[row], 1.0))
        for row in np.flatnonzero(darkest > _BRIGHT)
    ]  # fmt: skip


def _blurred(grey):
    """The finest details that a thumbnail shows, as a share of coarser ones, are far fewer than in other pictures."""
    if len(grey) < _FEWEST:
        return []
    fine, coarse = (_strength(grey, deviation) for deviation in (1.0, 4.0))
    share = np.log2(np.maximum(fine, 1e-3) / np.maximum(coarse, 1e-3))
    beyond = _beyond(-share)
    return [
        Odd(int(row), "blurred", float(2.0 ** share[row]),
            f"fine details are, against coarse ones, {100 * 2.0 ** (share[row] - np.median(share)):.0f} % as strong as "
            "in the median picture", float(beyond[row]))
        for row in np.flatnonzero((beyond > 1) & (share < np.median(share) - 0.5))
    ]  # fmt: skip


def _strength(grey, deviation):
    from scipy.ndimage import gaussian_filter

    blurred = gaussian_filter(grey, (0, deviation, deviation), mode="nearest")
    return np.sqrt(np.mean(np.square(grey - blurred), axis=(1, 2)))


def _beyond(values):
    """How far values lie above the median, in units of the limit."""
    middle, high = np.quantile(values, (0.5, 0.84))
    return (values - middle) / max(_FAR * (high - middle), 1e-6)


def _of_odd_size(sizes):
    """Far smaller than the others, or of far other proportions."""
    sides = np.log2(np.min(sizes, axis=1))
    shapes = np.log2(sizes[:, 1] / sizes[:, 0])
    smaller, longer = np.median(sides) - sides, np.abs(shapes - np.median(shapes))
    return [
        Odd(int(row), "odd size", float(min(sizes[row])), f"{sizes[row][1]}x{sizes[row][0]} pixels, "
            + ("far smaller than most" if smaller[row] >= 2 else "of other proportions than most"),
            float(max(smaller[row] / 2, longer[row] / 1.3)))
        for row in np.flatnonzero((smaller >= 2) | (longer >= 1.3))
    ]  # fmt: skip


def _of_odd_channels(channels):
    kinds, counts = np.unique(channels, return_counts=True)
    usual = kinds[np.argmax(counts)]
    return [
        Odd(int(row), "odd channels", float(channels[row]), f"{channels[row]} channels, most have {usual}", 1.0)
        for row in np.flatnonzero(channels != usual)
    ]


def _far(features, labels):
    """Far from its nearest pictures of any class, as pictures of its class go."""
    count = min(_NEIGHBOURS, len(features) - 1)
    if len(features) < _FEWEST:
        return []
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    distances = np.empty(len(unit))
    for start in range(0, len(unit), 2048):
        product = unit[start : start + 2048] @ unit.T
        product[np.arange(len(product)), np.arange(start, start + len(product))] = -2
        distances[start : start + len(product)] = 1 - np.mean(np.partition(product, -count, axis=1)[:, -count:], axis=1)
    odd, middle = [], np.median(distances)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        beyond = _beyond(distances[rows] if len(rows) >= _FEWEST else distances)
        beyond = beyond if len(rows) >= _FEWEST else beyond[rows]
        odd += [
            Odd(int(row), "far from all others", float(distances[row]),
                f"its {count} nearest pictures are at a mean cosine distance of {distances[row]:.2f}, those of the "
                f"median picture at {middle:.2f}", float(value))
            for row, value in zip(rows, beyond) if value > 1 and distances[row] > middle + _NO_DISTANCE
        ]  # fmt: skip
    return odd
