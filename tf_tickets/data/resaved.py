"""Pictures of which one may be another that was saved again or resized, by signatures. No TensorFlow here.

They are named and used: unlike the same pixels, a signature is no proof.
"""

from __future__ import annotations

from collections.abc import Sequence

from tf_tickets import seeds
from tf_tickets.data import listing, thumbnailing
from tf_tickets.data.own import PARTS, Picture
from tf_tickets.lazy_modules import np

_DEVIATION = 2.0
# Correlation of details: of small pictures as JPEG of quality 60 the least is 0.97.
_LEAST = 0.95
# However alike all pictures of a data set are.
_SAME = 0.995
# Levels, of brightness as a root mean square, and of each colour's mean. Copies of small pictures differ by 4.
_BRIGHTNESS_DIFFERS, _COLOURS_DIFFER = 6, 24
# Of a picture and its copy, whose details correlate by 0.97, some table has equal keys with a probability of 0.9999.
_TABLES, _BITS = 32, 16
_BLOCK = 4096
# Copies that a table compares with each picture: of many that are all alike not every pair is wanted.
_NEXT = 8


def pairs(pictures: Sequence[Picture]) -> list[tuple[Picture, Picture]]:
    """Each picture that may be an earlier one, saved again or resized, with the first that it may be.

    Candidates have a key in common, whose bits are signs of random projections (Charikar 2002, "Similarity estimation
    techniques from rounding algorithms"), so that many pictures take little more time each than few. Pictures of the
    same pixels count once, and those without details not at all.

    Args:
      pictures: whose facts have signatures, in order of preference.

    Returns:
      (picture, the earlier one), by picture.
    """
    distinct = list({picture.facts.pixels: picture for picture in reversed(pictures)}.values())[::-1]
    details, grey, colours = _read(distinct)
    least = thumbnailing.chance_level(details[_sample(distinct)], len(distinct))
    least = min(max(least, _LEAST), _SAME)
    first = {}
    for rows, later in _candidates(details):
        near = np.einsum("ij,ij->i", details[rows], details[later]) >= least
        rows, later = rows[near], later[near]
        alike = np.abs(colours[rows] - colours[later]).max(axis=1, initial=0) <= _COLOURS_DIFFER
        alike &= np.square(grey[rows] - grey[later].astype(np.float32)).mean(axis=1) <= _BRIGHTNESS_DIFFERS**2
        for row, copy in zip(rows[alike].tolist(), later[alike].tolist()):
            first[copy] = min(row, first.get(copy, row))
    return [(distinct[copy], distinct[row]) for copy, row in sorted(first.items())]


def notices(pictures: Sequence[Picture], labels: Sequence[str]) -> list[str]:
    """The sentence that names such pictures, those of unlike parts or classes first; none where there are none."""
    named = pairs(sorted(pictures, key=lambda picture: PARTS.index(picture.part)))
    if not named:
        return []
    named.sort(key=lambda pair: (pair[0].part == pair[1].part, pair[0].label == pair[1].label))
    count = f"{len(named):,} pictures look like others" if len(named) > 1 else "1 picture looks like another"
    lines = [" and ".join(_described(picture, labels) for picture in pair[::-1]) for pair in named]
    apart = sum(picture.part != first.part for picture, first in named)
    leak = f" ({apart:,} in another part, so that accuracies may say too much)" if apart else ""
    return [
        f"{count}, saved again or resized{leak}: {listing.few(lines)}; used as they are: remove one where they are the "
        "same"
    ]


def _described(picture, labels):
    return f"{picture.path or picture.id} ({labels[picture.label]}, {picture.part})"


def _read(pictures):
    """(details, float32 [n, values], brightness, uint8 [n, values], mean colours, int [n, 3]) of signatures."""
    side = thumbnailing.SIGNATURE_SIDE
    stored = np.frombuffer(b"".join(picture.facts.signature for picture in pictures), np.uint8)
    stored = stored.reshape(len(pictures), side * side + 3)
    details = np.empty((len(pictures), side * side), np.float32)
    for start in range(0, len(stored), _BLOCK):
        block = stored[start : start + _BLOCK, : side * side].reshape(-1, side, side).astype(np.float32)
        details[start : start + _BLOCK] = thumbnailing.details(block, _DEVIATION)
    return details, stored[:, : side * side], stored[:, side * side :].astype(int)


def _sample(pictures):
    """Rows by what the pictures hold, so that their order decides nothing."""
    order = sorted(range(len(pictures)), key=lambda row: pictures[row].facts.pixels)
    return order[: thumbnailing.SAMPLE]


def _candidates(details):
    """(rows, later rows), arrays of those with a key in common, table by table."""
    draws = np.random.default_rng(seeds.fold("signatures"))
    detailed = np.flatnonzero(details.any(axis=1))
    powers = 2 ** np.arange(_BITS)
    for _ in range(_TABLES):
        keys = (details[detailed] @ draws.normal(size=(details.shape[1], _BITS)).astype(np.float32) > 0) @ powers
        order = np.argsort(keys, kind="stable")
        rows, keys = detailed[order], keys[order]
        for distance in range(1, min(_NEXT, len(rows) - 1) + 1):
            equal = keys[distance:] == keys[:-distance]
            yield rows[:-distance][equal], rows[distance:][equal]
