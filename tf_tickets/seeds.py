"""Stateless random streams in numpy.

Every draw of the project is a pure function of names and numbers (seed, stream, round, epoch, image id), never of a
generator's history: the same image in the same epoch sees the same draw whatever the batch size, the number of
threads or the number of restarts. SHA-256 folds the names, the SplitMix64 finalizer spreads the image ids; neither
depends on a library's version, so a subset drawn today is the subset drawn in ten years.
"""

from __future__ import annotations

import hashlib

from tf_tickets.lazy_modules import np

GOLDEN, MIX_1, MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def fold(*parts: str | int) -> int:
    """Folds names and integers into one 64-bit key.

    Args:
      *parts: strings and integers, in order; ("subset", 1) and ("subset1",) give different keys.

    Returns:
      An int in [0, 2**64).
    """
    text = "\x1f".join(f"{type(part).__name__[0]}{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "little")


def mix(values: np.ndarray) -> np.ndarray:
    """SplitMix64's finalizer on a uint64 array: a bijection whose output bits look independent."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * np.uint64(MIX_1)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(MIX_2)
        return values ^ (values >> np.uint64(31))


def spread(key: int, ids: np.ndarray) -> np.ndarray:
    """One 64-bit key per id.

    Args:
      key: int from `fold`.
      ids: integer array [n].

    Returns:
      uint64 array [n].
    """
    ids = np.asarray(ids).astype(np.uint64)
    with np.errstate(over="ignore"):
        return mix(np.uint64(key) + (ids + np.uint64(1)) * np.uint64(GOLDEN))


def image_keys(order_seed: int, round_index: int, epoch: int, ids: np.ndarray) -> np.ndarray:
    """The augmentation key of each image in one epoch of one round, int64 [n] (TensorFlow's indexable integer)."""
    key = fold("augment", order_seed, round_index, epoch)
    return spread(key, ids).view(np.int64)


def epoch_order(order_seed: int, round_index: int, epoch: int, ids: np.ndarray) -> np.ndarray:
    """The order in which one epoch visits the images: positions into `ids`, int64 [n]."""
    key = fold("order", order_seed, round_index, epoch)
    return np.argsort(spread(key, ids), kind="stable").astype(np.int64)


def uniform(key: int, count: int) -> np.ndarray:
    """`count` float64 draws in [0, 1) from one key."""
    return (spread(key, np.arange(count)) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def tensor_seed(*parts: str | int) -> np.ndarray:
    """Two int32 for TensorFlow's stateless ops, folded from `parts`."""
    key = fold(*parts)
    return np.array([key & 0x7FFFFFFF, (key >> 32) & 0x7FFFFFFF], np.int32)
