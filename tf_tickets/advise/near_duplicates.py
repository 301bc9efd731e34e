"""Pictures that are there twice: with the same pixels, saved again, resized, mirrored or cropped by a little.

Two pictures are compared by the normalised cross-correlation of the details of their brightness (Lewis 1995, "Fast
normalized cross-correlation"; details: a difference from a Gaussian blur), on thumbnails. All pairs are compared
coarsely, each picture also through windows and mirrored; the best partners of each are compared finely, the window
searched. Nearest neighbours by the features of a network are compared through narrower windows too, and decide nothing:
what is the same to a network is another picture of the same thing as often as the same picture.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import itertools
import typing

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from tf_tickets.data import thumbnailing

KINDS = ("same pixels", "re-saved", "resized", "mirrored", "cropped")
# Side and deviation of the blur, in pixels, of the coarse comparison and of the fine one.
_COARSE, _FINE = (12, 2.0), (32, 3.0)
# Copies cropped by up to a tenth a side reach 0.82 in the nearest of the windows.
_CANDIDATE = 0.75
_ALIKE = 0.8
# However alike all pictures of a data set are, copies that were not cropped are more alike.
_SAME = 0.98
# From here on no window is searched: what it gained would be chance, as the least gain is.
_UNCROPPED, _LEAST_GAIN = 0.95, 0.02
# Of many pictures that are all alike not every pair is wanted.
_PARTNERS = 5
_NEIGHBOURS = 2
_BLOCK = 1024
_MOST_CROPPED = 0.25
# Steps in which a window is searched, and the most that was gained from each on, by copies and with some room.
_STEPS = ((0.03, 0.4), (0.015, 0.1), (0.0075, 0.03))
# Root mean square of the differences of colours, in levels; the same brightness in other colours is another picture.
_COLOURS_DIFFER = 40.0

# What is cut off at the start and at the end of each axis, as shares of it.
Axis = tuple[float, float]
Window = tuple[Axis, Axis]
_AXES: tuple[Axis, ...] = ((0.0, 0.0), (0.08, 0.02), (0.02, 0.08), (0.08, 0.08))
_WINDOWS: tuple[Window, ...] = tuple((vertical, horizontal) for vertical in _AXES for horizontal in _AXES)
_NARROW_WINDOWS: tuple[Window, ...] = tuple(
    ((top, bottom), (left, right)) for top, bottom, left, right in itertools.product((0.0, 0.1, 0.2), repeat=4)
)


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two pictures of which one is made of the other.

    Attributes:
      first, second: their rows, the smaller first.
      kind: one of KINDS; of copies that were changed in several ways the last of them.
      distance: 1 minus the correlation of their details, 0 of the same pixels.
    """

    first: int
    second: int
    kind: str
    distance: float


class _Candidate(typing.NamedTuple):
    """Two rows of which the first, mirrored or not, may be the second through a window."""

    first: int
    second: int
    mirrored: bool
    window: Window


def pairs(thumbnails: np.ndarray, sizes: np.ndarray, features: np.ndarray | None = None) -> list[Pair]:
    """Which pictures are near-duplicates of each other.

    Pictures without details, such as blank ones, are paired by the same pixels alone. Of several pictures of the same
    pixels each is paired with the first, and the first alone with others; other pictures have at most a few partners.

    Args:
      thumbnails: uint8 [n, SIDE, SIDE, 3], of data.thumbnailing.
      sizes: int [n, 2], height and width of the pictures.
      features: float [n, features] of a network, by which wider crops are looked for, or None.

    Returns:
      The pairs, closest first.
    """
    kept, paired = _same_pixels(thumbnails, sizes)
    thumbnails = thumbnails[kept]
    grey = thumbnailing.luma(thumbnails)
    least = thumbnailing.chance_level(_windowed(grey[_sample(thumbnails)], _WINDOWS[0], _FINE), len(kept))
    least = max(least, _ALIKE)
    best = {}
    for candidate in _candidates(grey, None if features is None else features[kept]):
        correlation, cropped = _compared(candidate, least, grey, thumbnails)
        if correlation >= (least if cropped else min(least, _SAME)):
            rows = sorted((int(kept[candidate.first]), int(kept[candidate.second])))
            resized = tuple(sizes[rows[0]]) != tuple(sizes[rows[1]])
            kind = KINDS[3 if candidate.mirrored else 4 if cropped else 2 if resized else 1]
            pair = Pair(rows[0], rows[1], kind, max(1 - correlation, 0.0))
            best[tuple(rows)] = min(pair, best.get(tuple(rows), pair), key=_order)
    return sorted([*paired, *best.values()], key=_order)


def groups(paired: list[Pair]) -> list[list[int]]:
    """The rows that pairs join, over others too, each group in order; largest group first."""
    rows = sorted({row for pair in paired for row in (pair.first, pair.second)})
    place = {row: index for index, row in enumerate(rows)}
    ends = [(place[pair.first], place[pair.second]) for pair in paired]
    joined = sparse.coo_matrix((np.ones(len(ends)), tuple(np.reshape(ends, (-1, 2)).T)), (len(rows), len(rows)))
    _, label = csgraph.connected_components(joined, directed=False)
    members = collections.defaultdict(list)
    for row, number in zip(rows, label):
        members[number].append(row)
    return sorted(members.values(), key=lambda group: (-len(group), group))


def _order(pair):
    return pair.distance, pair.first, pair.second, pair.kind


def _same_pixels(thumbnails, sizes):
    """(rows of all pictures that repeat none before them, [Pair] of those that do)."""
    first, repeats = {}, []
    for row, (picture, size) in enumerate(zip(thumbnails, sizes)):
        earlier = first.setdefault((tuple(map(int, size)), hashlib.sha256(picture.tobytes()).digest()), row)
        if earlier != row:
            repeats.append(Pair(earlier, row, KINDS[0], 0.0))
    return np.array(sorted(first.values()), int), repeats


def _sample(thumbnails):
    """Rows by the hashes of pictures, so that their order decides nothing; as many as tell how alike pictures are."""
    order = sorted(range(len(thumbnails)), key=lambda row: hashlib.sha256(thumbnails[row].tobytes()).digest())
    return order[: thumbnailing.SAMPLE]


def _windowed(grey, window, scale):
    """The details of pictures, float32 [..., SIDE, SIDE], in a window: float32 [..., side * side]."""
    side, deviation = scale
    rows, columns = (thumbnailing.window(*axis, side) for axis in window)
    return thumbnailing.details(rows @ grey @ columns.T, deviation)


def _candidates(grey, features):
    """The _Candidates of each picture: its best partners, whole and through windows, as they are and mirrored."""
    target = _windowed(grey, _WINDOWS[0], _COARSE)
    chosen = []
    for mirrored in (False, True):
        sides = grey[:, :, ::-1] if mirrored else grey
        near = [_near(_windowed(sides, window, _COARSE), target, number) for number, window in enumerate(_WINDOWS)]
        near = _best(np.concatenate(near, axis=1))
        chosen += [_Candidate(int(a), int(b), mirrored, _WINDOWS[int(window)]) for a, b, _, window in near.T]
    return chosen if features is None else chosen + _through_narrow_windows(grey, target, _neighbours(features))


def _through_narrow_windows(grey, target, near):
    """Those of (row, row), int [pairs, 2], of which the first looks like the second through one of narrower windows."""
    chosen = []
    for start in range(0, len(near), _BLOCK):
        first, second = near[start : start + _BLOCK].T
        alike = np.stack([
            np.einsum("ij,ij->i", _windowed(grey[first], window, _COARSE), target[second]) for window in _NARROW_WINDOWS
        ])  # fmt: skip
        best = alike.argmax(axis=0)
        for place in np.flatnonzero(alike.max(axis=0) >= _CANDIDATE):
            chosen.append(_Candidate(int(first[place]), int(second[place]), False, _NARROW_WINDOWS[best[place]]))
    return chosen


def _near(windowed, target, number):
    """Pairs whose product reaches `_CANDIDATE`: float64 [4, pairs], rows, correlation and the window's number."""
    parts: list[np.ndarray] = [np.zeros((4, 0))]
    for start in range(0, len(windowed), _BLOCK):
        product = windowed[start : start + _BLOCK] @ target.T
        product[np.arange(len(product)), np.arange(start, start + len(product))] = -1
        rows = np.flatnonzero(product.max(axis=1) >= _CANDIDATE)
        product = product[rows]
        places, columns = np.nonzero(product >= _CANDIDATE)
        values = product[places, columns]
        parts.append(_best(np.stack([rows[places] + start, columns, values, np.full(len(values), number)])))
    return np.concatenate(parts, axis=1)


def _best(near):
    """Of each pair the best window, of each picture the best partners."""
    first, second, correlation, _ = near
    near = near[:, np.lexsort((-correlation, second, first))]
    near = near[:, np.any(np.diff(near[:2], axis=1, prepend=-1), axis=0)]
    near = near[:, np.lexsort((near[1], -near[2], near[0]))]
    return near[:, np.arange(near.shape[1]) - np.searchsorted(near[0], near[0]) < _PARTNERS]


def _neighbours(features):
    """(row, row), int [pairs, 2], of each picture and those of nearest features, by cosine, and the other way round."""
    centred = (features - features.mean(axis=0)).astype(np.float32)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    near, most = set(), min(_NEIGHBOURS, len(unit) - 1)
    for start in range(0, len(unit) if most > 0 else 0, _BLOCK):
        product = unit[start : start + _BLOCK] @ unit.T
        product[np.arange(len(product)), np.arange(start, start + len(product))] = -2
        columns = np.argpartition(-product, most - 1, axis=1)[:, :most]
        near |= {(start + row, int(column)) for row, best in enumerate(columns) for column in best}
    return np.array(sorted(near | {(b, a) for a, b in near}), int).reshape(-1, 2)


def _compared(candidate, least, grey, thumbnails):
    """(correlation of fine details, whether a window was needed for it); (0, False) where colours differ."""
    turn = slice(None, None, -1 if candidate.mirrored else 1)
    picture, target = grey[candidate.first][:, turn], _windowed(grey[candidate.second], _WINDOWS[0], _FINE)
    window = _WINDOWS[0]
    correlation, cropped = float(_windowed(picture, window, _FINE) @ target), False
    if correlation < _UNCROPPED:
        aligned, best_window = _aligned(picture, target, candidate.window, least)
        if aligned - correlation > _LEAST_GAIN:
            correlation, cropped, window = aligned, True, best_window
    colours = thumbnails[[candidate.first, candidate.second]].astype(np.float32).transpose(0, 3, 1, 2)
    rows, columns = (thumbnailing.window(*axis, 8) for axis in window)
    whole = thumbnailing.window(0.0, 0.0, 8)
    difference = rows @ colours[0][:, :, turn] @ columns.T - whole @ colours[1] @ whole.T
    alike = np.sqrt(np.mean(np.square(difference))) <= _COLOURS_DIFFER
    return (correlation, cropped) if alike else (0.0, False)


def _aligned(picture, target, window, least):
    """The best correlation of a picture's windows, float32 [SIDE, SIDE], with details, and the window.

    Each axis is searched in turn, for as long as `least` can be reached.
    """
    side, deviation = _FINE
    axes, best = list(window), float(_windowed(picture, window, _FINE) @ target)
    for step, gain in _STEPS:
        for axis in (0, 1) if best >= least - gain else ():
            across = thumbnailing.window(*axes[1 - axis], side)
            halves = across @ picture if axis else picture @ across.T
            shares = _around(axes[axis], step)
            moved = np.stack([thumbnailing.window(*share, side) for share in shares])
            tried = halves @ moved.transpose(0, 2, 1) if axis else moved @ halves
            correlations = thumbnailing.details(tried, deviation) @ target
            place = int(np.argmax(correlations))
            if correlations[place] > best:
                best, axes[axis] = float(correlations[place]), shares[place]
    return best, tuple(axes)


def _around(axis, step):
    ends = [[min(max(end + move * step, 0.0), _MOST_CROPPED) for move in (-1, 0, 1)] for end in axis]
    return list(itertools.product(*ends))
