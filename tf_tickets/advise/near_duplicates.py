"""Pictures that are there twice: with the same pixels, saved again, resized, mirrored or cropped by a little.

Two pictures are compared by the normalised cross-correlation of the details of their brightness (Lewis 1995, "Fast
normalized cross-correlation"; details: a difference from a Gaussian blur), on thumbnails. Features of a network only
name candidates: what is the same to a network is another picture of the same thing as often as the same picture.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools

import numpy as np
from scipy import sparse, stats
from scipy.sparse import csgraph

from tf_tickets.data import thumbnailing

KINDS = ("same pixels", "re-saved", "resized", "mirrored", "cropped")
# First on coarse details of all pairs, then on fine ones of those that are left: side, deviation of the blur.
_COARSE, _FINE = (16, 2.0), (32, 3.0)
_CANDIDATE = 0.7
_ALIKE = 0.8
# However alike all pictures are, nobody sees a difference any more.
_SAME = 0.995
# Partners of a picture: of many pictures that are all alike not every pair is wanted.
_PARTNERS = 10
_NEIGHBOURS = 5
_BLOCK = 2048
_SAMPLE = 1000
# Share of a side that may be cut off, and the steps in which it is searched.
_MOST_CROPPED = 0.12
_STEPS = (0.02, 0.01)
_WINDOWS = ((0.08, 0.02), (0.02, 0.08), (0.08, 0.08))


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two pictures of which one is made of the other.

    Attributes:
      first, second: their rows, the smaller first.
      kind: one of KINDS, for what has to be undone so that they are alike.
      distance: 1 minus the correlation of their details, 0 of the same pixels.
    """

    first: int
    second: int
    kind: str
    distance: float


def pairs(thumbnails: np.ndarray, sizes: np.ndarray, features: np.ndarray | None = None) -> list[Pair]:
    """Which pictures are near-duplicates of each other.

    Pictures without details, such as blank ones, are paired by the same pixels alone. Of several pictures of the same
    pixels each is paired with the first, and the first alone with others.

    Args:
      thumbnails: uint8 [n, SIDE, SIDE, 3], of data.thumbnailing.
      sizes: int [n, 2], height and width of the pictures.
      features: float [n, features] of a network, whose nearest neighbours are compared too, or None.

    Returns:
      The pairs, closest first.
    """
    kept, paired = _same_pixels(thumbnails, sizes)
    grey = thumbnailing.luma(thumbnails[kept])
    whole = _windowed(grey, (0, 0), (0, 0), _FINE)
    least = _threshold(whole, thumbnails[kept])
    for a, b, kind, correlation in _compared(grey, whole, None if features is None else features[kept]):
        if correlation >= least:
            first, second = sorted((int(kept[a]), int(kept[b])))
            paired.append(Pair(first, second, kind or _scaling(sizes[first], sizes[second]), 1 - float(correlation)))
    return sorted(paired, key=lambda pair: (pair.distance, pair.first, pair.second))


def groups(paired: list[Pair]) -> list[list[int]]:
    """The rows that pairs join, over others too, each group in order; largest group first."""
    rows = sorted({row for pair in paired for row in (pair.first, pair.second)})
    place = {row: index for index, row in enumerate(rows)}
    ends = [(place[pair.first], place[pair.second]) for pair in paired]
    joined = sparse.coo_matrix((np.ones(len(ends)), tuple(np.reshape(ends, (-1, 2)).T)), (len(rows), len(rows)))
    count, label = csgraph.connected_components(joined, directed=False)
    members = [[rows[index] for index in np.flatnonzero(label == number)] for number in range(count)]
    return sorted(members, key=lambda group: (-len(group), group))


def _same_pixels(thumbnails, sizes):
    """(rows of all pictures that repeat none before them, [Pair] of those that do)."""
    first, repeats = {}, []
    for row, (picture, size) in enumerate(zip(thumbnails, sizes)):
        earlier = first.setdefault((tuple(map(int, size)), hashlib.sha256(picture.tobytes()).digest()), row)
        if earlier != row:
            repeats.append(Pair(earlier, row, "same pixels", 0.0))
    return np.array(sorted(first.values()), int), repeats


def _windowed(grey, vertical, horizontal, scale):
    side, deviation = scale
    rows, columns = (thumbnailing.window(*axis, side) for axis in (vertical, horizontal))
    return thumbnailing.details(rows @ grey @ columns.T, deviation)


def _threshold(whole, thumbnails):
    """The correlation that fewer than half a pair of unlike pictures reaches by chance.

    Of the correlations of all pairs (of the `_SAMPLE` pictures whose hashes are first), after Fisher's transformation,
    the median and the ninth decile tell a normal distribution; tails are longer, twice as long on photographs.
    """
    if len(whole) < 3:
        return _ALIKE
    chosen = sorted(range(len(whole)), key=lambda row: hashlib.sha256(thumbnails[row].tobytes()).digest())[:_SAMPLE]
    correlations = (whole[chosen] @ whole[chosen].T)[np.triu_indices(len(chosen), 1)]
    middle, high = np.quantile(np.arctanh(np.clip(correlations, -0.9999, 0.9999)), (0.5, 0.9))
    deviations = stats.norm.isf(0.5 / (len(whole) * (len(whole) - 1) / 2 + 1))
    reached = np.tanh(middle + 2 * deviations * (high - middle) / stats.norm.ppf(0.9))
    return float(np.clip(reached, _ALIKE, _SAME))


def _compared(grey, whole, features):
    """(row, row, kind or None, correlation) of candidates."""
    best = {}

    def put(a, b, kind, correlation):
        key = (min(a, b), max(a, b))
        if correlation > best.get(key, (0, None))[0]:
            best[key] = correlation, kind

    mirrored = _windowed(grey[:, :, ::-1], (0, 0), (0, 0), _FINE)
    coarse = _windowed(grey, (0, 0), (0, 0), _COARSE)
    straight = _near(coarse, coarse) | _neighbours(features)
    for a, b in straight:
        put(a, b, None, float(whole[a] @ whole[b]))
    for a, b in _near(_windowed(grey[:, :, ::-1], (0, 0), (0, 0), _COARSE), coarse):
        put(a, b, "mirrored", float(mirrored[a] @ whole[b]))
    cropped = straight | {(b, a) for a, b in straight}
    for vertical, horizontal in itertools.product(((0, 0), *_WINDOWS), repeat=2):
        if any((*vertical, *horizontal)):
            cropped |= _near(_windowed(grey, vertical, horizontal, _COARSE), coarse)
    for a, b in cropped:
        if best.get((min(a, b), max(a, b)), (0, None))[0] < _SAME:
            # What an uncropped copy gains by a search of windows is chance.
            put(a, b, "cropped", _aligned(grey[a], whole[b]) - 0.01)
    return [(a, b, kind, correlation) for (a, b), (correlation, kind) in sorted(best.items())]


def _near(windowed, coarse):
    """{(row, row)} of the first and the second whose product reaches `_CANDIDATE`, a picture's best partners alone."""
    near = set()
    for start in range(0, len(windowed), _BLOCK):
        product = windowed[start : start + _BLOCK] @ coarse.T
        rows, columns = np.nonzero(product >= _CANDIDATE)
        order = np.lexsort((columns, -product[rows, columns], rows))
        rows, columns = rows[order], columns[order]
        rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
        near |= {(int(a) + start, int(b)) for a, b in zip(rows[rank <= _PARTNERS], columns[rank <= _PARTNERS])}
    return {(a, b) for a, b in near if a != b}


def _neighbours(features):
    """{(row, row)} of each picture and those of nearest features, by cosine."""
    if features is None or len(features) < 2:
        return set()
    centred = (features - features.mean(axis=0)).astype(np.float32)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    near, most = set(), min(_NEIGHBOURS, len(unit) - 1)
    for start in range(0, len(unit), _BLOCK):
        product = unit[start : start + _BLOCK] @ unit.T
        product[np.arange(len(product)), np.arange(start, start + len(product))] = -2
        columns = np.argpartition(-product, most - 1, axis=1)[:, :most]
        near |= {(start + row, int(column)) for row, chosen in enumerate(columns) for column in chosen}
    return near


def _aligned(grey, target):
    """The best correlation of a picture's windows, float32 [SIDE, SIDE], with another's details, one axis at a time."""
    side, deviation = _FINE
    axes, best = [(0.0, 0.0), (0.0, 0.0)], -1.0
    for turn in range(4):
        step = _STEPS[turn > 1]
        for axis in range(2):
            centre = axes[axis]
            shares = _shares(centre, step) if turn > 1 else _shares(None, step)
            fixed = thumbnailing.window(*axes[1 - axis], side)
            halves = fixed @ grey if axis else grey @ fixed.T
            moved = np.stack([thumbnailing.window(*share, side) for share in shares])
            tried = halves @ moved.transpose(0, 2, 1) if axis else moved @ halves
            correlations = thumbnailing.details(tried, deviation) @ target
            place = int(np.argmax(correlations))
            if correlations[place] > best:
                best, axes[axis] = float(correlations[place]), shares[place]
    return best


def _shares(centre, step):
    if centre is None:
        grid = np.round(np.arange(0, _MOST_CROPPED + step / 2, step), 4)
        return list(itertools.product(map(float, grid), repeat=2))
    around = [[round(max(end + move * step, 0), 4) for move in (-1, 0, 1)] for end in centre]
    return list(itertools.product(*around))


def _scaling(first, second):
    """What has been done where nothing but the number of pixels can differ."""
    return "re-saved" if tuple(first) == tuple(second) else "resized"
