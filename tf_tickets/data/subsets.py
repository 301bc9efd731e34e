"""Which images are in use: stratified, nested subsets, long tails and held-out parts, in numpy alone.

The images of each class are put in one order, drawn by `subset_seed` from the images' original order; a subset takes
the first n_c of each class, so a smaller subset lies inside a larger one.
"""

import collections
import dataclasses
import io
from collections.abc import Sequence

import numpy as np

from tf_tickets import seeds, storage
from tf_tickets.errors import UsageError
from tf_tickets.settings.data_group import Data


@dataclasses.dataclass(frozen=True)
class Subset:
    """Chosen images, as sorted positions in the original order.

    Attributes:
      train: int64 array of the images trained on.
      validation: int64 array of the images held out, empty without a validation split.
    """

    train: np.ndarray
    validation: np.ndarray

    @property
    def whole(self) -> "Subset":
        """The subset with nothing held out."""
        return Subset(np.sort(np.concatenate([self.train, self.validation])), self.validation[:0])


def long_tail_counts(counts: Sequence[int], factor: float, profile: str) -> tuple[int, ...]:
    """Images per class of a long tail (Cui et al. 2019; docs/science.md: n_c = n mu^(c/(C-1)), rounded down).

    Args:
      counts: images per class of the full set.
      factor: rarest over most frequent, in (0, 1].
      profile: `exp`, or `step` (the second half of the classes is rare).

    Returns:
      A tuple of counts, in class order.
    """
    largest, classes = max(counts), len(counts)
    if profile == "exp":
        wanted = [int(largest * factor ** (c / (classes - 1.0))) for c in range(classes)]
    else:
        wanted = [largest if c < (classes + 1) // 2 else int(largest * factor) for c in range(classes)]
    return tuple(min(w, n) for w, n in zip(wanted, counts))


def stratified_counts(counts: Sequence[int] | np.ndarray, total: int) -> tuple[int, ...]:
    """Images per class of a stratified subset of `total` images.

    Seats go one by one to the class with the smallest (given + 1/2) / count (Sainte-Lague). For equal classes this
    is largest-remainder rounding; for unequal ones it differs from that rule at most by one image, and, unlike it,
    never takes an image away when the total grows, which nesting needs.

    Args:
      counts: images per class of the full set.
      total: images wanted.

    Returns:
      A tuple of counts that sums to `total`.
    """
    sizes = np.asarray(counts, np.int64)
    quotients = np.concatenate([(np.arange(n) + 0.5) / n for n in sizes])
    classes = np.repeat(np.arange(len(sizes)), sizes)
    chosen = classes[np.argsort(quotients, kind="stable")[:total]]
    return tuple(int(n) for n in np.bincount(chosen, minlength=len(sizes)))


def stratified(labels: np.ndarray, total: int, stream: str) -> list[np.ndarray]:
    """A stratified sample, always the same.

    Args:
      labels: int [n].
      total: how many images; all where there are no more.
      stream: what the sample is for: those of different streams are drawn apart.

    Returns:
      Positions by class, int [n_c] each, in the order drawn.
    """
    labels = np.asarray(labels)
    counts = stratified_counts(np.bincount(labels), min(total, len(labels)))
    members = (np.flatnonzero(labels == label) for label in range(len(counts)))
    return [class_order(each, "0", label, stream)[: counts[label]] for label, each in enumerate(members)]


def counts_of(data: Data, counts: Sequence[int]) -> tuple[int, ...]:
    """Images per class that a `Data` configuration asks for; UsageError where a class has too few.

    Args:
      data: a config.Data; `subset_file` is not looked at.
      counts: images per class of the full training set.

    Returns:
      A tuple of counts.
    """
    wanted_counts = _counts_of(data, counts)
    if data.validation and not any(validation_count(data.validation, n) for n in wanted_counts):
        raise _holds_out_nothing(data, max(wanted_counts))
    return wanted_counts


def _holds_out_nothing(data, largest):
    return UsageError(f"--validation={data.validation} holds nothing out of {largest} images a class: take more images")


def _counts_of(data, counts):
    total = sum(counts)
    if data.imbalance is not None:
        given = long_tail_counts(counts, data.imbalance, data.imbalance_profile)
        if min(given) == 0:
            raise UsageError(
                f"--imbalance={data.imbalance} leaves class {given.index(0)} of {data.dataset} without an image: "
                "choose it larger"
            )
        return given
    if data.per_class is not None:
        short = [c for c, n in enumerate(counts) if n < data.per_class]
        if short:
            raise UsageError(
                f"--per_class={data.per_class}: class {short[0]} of {data.dataset} has only {counts[short[0]]} images"
            )
        return (data.per_class,) * len(counts)
    if data.images is not None and data.images > total:
        raise UsageError(f"--images={data.images}: {data.dataset} has only {total} training images")
    wanted = data.images
    if data.fraction is not None:
        wanted = int(np.floor(data.fraction * total + 0.5))
    if wanted is None:
        return tuple(counts)
    given = stratified_counts(counts, wanted)
    if min(given) == 0:
        flag = f"--fraction={data.fraction}" if data.images is None else f"--images={data.images}"
        raise UsageError(f"{flag} leaves class {given.index(0)} of {data.dataset} without an image: ask for more")
    return given


def class_order(positions: np.ndarray, subset_seed: str, label: int, stream: str = "subset") -> np.ndarray:
    """The order in which a class's images enter subsets; `original` keeps the data set's own."""
    if subset_seed == "original":
        return positions
    key = seeds.fold(stream, int(subset_seed), int(label))
    return positions[np.argsort(seeds.spread(key, positions), kind="stable")]


def choose(
    data: Data, labels: np.ndarray, ids: Sequence[str] | None = None, official: np.ndarray | None = None
) -> Subset:
    """Draws the subset and its validation part.

    Args:
      labels: int array [n], the labels of the full training set in original order.
      ids: list of the images' ids, needed for `subset_file`.
      official: bool array [n], what `validation=official` holds out; nothing of it enters the subset then.
    """
    labels = np.asarray(labels)
    classes = int(labels.max()) + 1
    members = [np.flatnonzero(labels == c) for c in range(classes)]
    if data.validation == "official":
        if official is None:
            raise ValueError("validation=official needs to be told what the official split holds out")
        data = dataclasses.replace(data, validation=None)
        _check_listed(data.subset_file, ids, official)
        drawn = choose(data, np.where(official, -1, labels), ids)
        return Subset(drawn.train, np.flatnonzero(official))
    if data.subset_file is not None:
        listed = _listed(data.subset_file, ids)
        chosen = [listed[labels[listed] == c] for c in range(classes)]
    else:
        counts = counts_of(data, [len(m) for m in members])
        chosen = [class_order(m, data.subset_seed, c)[:n] for c, (m, n) in enumerate(zip(members, counts))]
    train, held = [], []
    for label, positions in enumerate(chosen):
        held_out = _held_out(data, positions, label)
        train.append(positions[~held_out])
        held.append(positions[held_out])
    if data.validation and not any(map(len, held)):
        raise _holds_out_nothing(data, max(map(len, chosen)))
    return Subset(np.sort(np.concatenate(train)), np.sort(np.concatenate(held)))


def validation_count(validation: str | None, count: int) -> int:
    """How many of a class's `count` images a validation setting holds out; at least one of each kind stays."""
    if not validation or count < 2:
        return 0
    if validation.startswith("fold:"):
        index, folds = (int(part) for part in validation[5:].split("/"))
        return len(range(index, count, folds))
    return min(max(int(np.floor(float(validation) * count + 0.5)), 1), count - 1)


def _held_out(data, positions, label):
    held = np.zeros(len(positions), bool)
    count = validation_count(data.validation, len(positions))
    if not count:
        return held
    order = np.argsort(positions)
    if data.subset_seed != "original":
        keys = seeds.spread(seeds.fold("validation", int(data.subset_seed), label), positions)
        order = np.argsort(keys, kind="stable")
    if data.validation.startswith("fold:"):
        index, folds = (int(part) for part in data.validation[5:].split("/"))
        held[order[index::folds]] = True
    else:
        held[order[:count]] = True
    return held


def folds(labels: np.ndarray, positions: np.ndarray, subset_seed: str, count: int) -> list[np.ndarray]:
    """Parts of the training images that are held out in turn: stratified, drawn by `subset_seed`, always the same.

    Args:
      labels: int [n] of the training images.
      positions: int [n], where they are in the original order, ascending.
      subset_seed: the setting.
      count: how many parts.

    Returns:
      Rows of each part, ascending; each image is in one, and parts begin with another class's odd images each.
    """
    part = np.zeros(len(labels), np.int64)
    for label in range(int(labels.max()) + 1):
        order = class_order(positions[labels == label], subset_seed, label, "calibration")
        part[np.searchsorted(positions, order)] = (np.arange(len(order)) + label) % count
    return [np.flatnonzero(part == index) for index in range(count)]


def fold_sizes(sizes: Sequence[int] | np.ndarray, count: int) -> list[int]:
    """How many images each of the parts of `folds` has, where the classes have so many."""
    return [sum(len(range((index - c) % count, int(n), count)) for c, n in enumerate(sizes)) for index in range(count)]


def check_folds(sizes: Sequence[int] | np.ndarray, count: int) -> None:
    """UsageError where a class, of which there are `sizes` training images, has too few for so many folds."""
    least = min((int(size) for size in sizes if size), default=0)
    if least < count:
        raise UsageError(
            f"--calibration=folds:{count}: a class has {least} training images; "
            + (f"choose K of at most {least}" if least > 1 else "hold images out with --validation instead")
        )


def _check_listed(path, ids, official):
    held = [ids[position] for position in _listed(path, ids) if official[position]] if path else []
    if held:
        raise UsageError(
            f"--subset_file={path}: '{held[0]}' is of the validation part, which --validation=official holds out: "
            "leave that part out of the list; --refit trains on it too"
        )


def _listed(path, ids):
    try:
        with io.TextIOWrapper(storage.open_regular(path), encoding="utf-8") as file:
            wanted = [line.strip() for line in file if line.strip()]
    except (OSError, UnicodeDecodeError, UsageError) as error:
        raise UsageError(f"--subset_file={path} cannot be read: {error}") from None
    where = {name: position for position, name in enumerate(ids)}
    unknown = [name for name in wanted if name not in where]
    if unknown:
        raise UsageError(f"--subset_file={path}: '{unknown[0]}' is no training image; ids look like {ids[0]}")
    twice = [name for name, times in collections.Counter(wanted).items() if times > 1]
    if twice:
        raise UsageError(f"--subset_file={path}: '{twice[0]}' stands there more than once")
    if not wanted:
        raise UsageError(f"--subset_file={path} names no image")
    return np.sort(np.array([where[name] for name in wanted], np.int64))
