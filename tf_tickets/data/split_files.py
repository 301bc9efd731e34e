"""The split-file layout of Brigato et al. 2021: pictures anywhere below a folder, and lists of `name label` lines.

A list names a picture by the end of its path, without suffix: `AnnualCrop/AnnualCrop_44` is one file, never
`AnnualCrop_441`.
"""

import collections
import dataclasses
import os
from collections.abc import Iterable

from tf_tickets import storage
from tf_tickets.data import class_names
from tf_tickets.data.catalog import DataSet
from tf_tickets.errors import UsageError

LISTS = ("trainval", "train", "val", "test")


@dataclasses.dataclass(frozen=True)
class Listed:
    """One line of a list.

    Attributes:
      name: the picture's, which is its id.
      label: its class.
      path: its file, below the folder or among the stored ones.
      held: whether the official split holds it out for validation.
    """

    name: str
    label: int
    path: str
    held: bool = False


def read(
    folder: str, suffixes: tuple[str, ...], data_set: DataSet, stored: Iterable[str] = ()
) -> dict[str, list[Listed]]:
    """Reads trainval.txt, val.txt and test.txt below a folder and finds the pictures they name.

    Args:
      folder: path; lists and pictures may lie anywhere below it.
      suffixes: of the picture files, lower case, such as (".jpg", ".jpeg").
      data_set: a catalog.DataSet, whose counts are asserted.
      stored: paths of pictures that lie elsewhere, such as `Forest/Forest_44.jpg`; used where the folder holds none.

    Returns:
      {"train": [Listed], "test": [Listed]}, in the lists' order.

    Raises:
      UsageError: a list or picture is missing, is there twice, or does not hold what the data set has.
    """
    lists, pictures = _found(folder, suffixes)
    if not pictures:
        for path in stored:
            pictures[os.path.splitext(os.path.basename(path))[0]].append(path)
    entries = {name: _entries(lists, name, data_set.classes, folder) for name in LISTS}
    held = set(dict(entries["val"]))
    _check_parts(entries, held)
    listed = {
        split: [
            Listed(name, label, _only(pictures, name, suffixes, folder), name in held and split == "train")
            for name, label in entries[key]
        ]
        for split, key in (("train", "trainval"), ("test", "test"))
    }
    for split, counts in (("train", data_set.train_counts), ("test", data_set.test_counts)):
        _check_counts(listed[split], counts, data_set, split)
    return listed


def folder_names(folder: str, entries: list[Listed], classes: int) -> list[str] | None:
    """What the folders of the pictures call the classes, in the order of the labels; None unless each has its own name.

    Raises:
      UsageError: a name that cannot be shown; see `class_names.check`.
    """
    folders = collections.defaultdict(set)
    for entry in entries:
        folders[entry.label].add(os.path.dirname(entry.name))
    names = ["".join(sorted(folders[label])) for label in range(classes)]
    if not all(names) or len(set(names)) < len(names):
        return None
    class_names.check(names, f"--archive={folder}: trainval.txt", "class")
    return names


def _found(folder, suffixes):
    """Paths of the lists by name, and of the pictures, below the folder, by their last part without suffix."""
    if not os.path.isdir(folder):
        raise UsageError(f"--archive={folder} is no folder: give the one that holds imgs/ and the lists")
    lists, pictures = collections.defaultdict(list), collections.defaultdict(list)
    for path, _, names in os.walk(folder):
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in suffixes:
                pictures[stem].append(os.path.relpath(os.path.join(path, name), folder))
            elif suffix == ".txt" and stem in LISTS:
                lists[stem].append(os.path.join(path, name))
    return lists, pictures


def _entries(lists, name, classes, folder):
    if len(lists[name]) != 1:
        raise UsageError(
            f"--archive={folder} holds {len(lists[name])} files {name}.txt, not one; the lists are those of the DEIC "
            "benchmark"
        )
    (path,) = lists[name]
    labels = {}
    try:
        with storage.open_regular(path) as file:
            lines = file.read().decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        stem, _, label = line.strip().rpartition(" ")
        if not stem or not (label.isascii() and label.isdigit()) or int(label) >= classes:
            raise UsageError(f"{path}, line {number}: '{line}' is not a name and a label from 0 to {classes - 1}")
        if stem in labels:
            raise UsageError(f"{path}, line {number}: '{stem}' stands there twice")
        labels[stem] = int(label)
    return list(labels.items())


def _check_parts(entries, held):
    training, parts = dict(entries["trainval"]), dict(entries["train"]) | dict(entries["val"])
    if training != parts or held & set(dict(entries["train"])):
        odd = sorted(set(training.items()) ^ set(parts.items())) or sorted(held & set(dict(entries["train"])))
        raise UsageError(f"trainval.txt is not train.txt and val.txt together: see {odd[0]}")
    both = sorted(set(training) & set(dict(entries["test"])))
    if both:
        raise UsageError(f"'{both[0]}' stands in trainval.txt and in test.txt: remove it from one")


def _only(pictures, name, suffixes, folder):
    """The one file whose path, without suffix, ends with the name's parts."""
    parts = name.split("/")
    fitting = [
        path for path in pictures.get(parts[-1], ()) if os.path.splitext(path)[0].split(os.sep)[-len(parts) :] == parts
    ]
    if len(fitting) != 1:
        reason = "is missing" if not fitting else f"is there {len(fitting)} times ({', '.join(sorted(fitting)[:2])})"
        raise UsageError(f"--archive={folder}: picture {name} ({' or '.join(suffixes)}) {reason}")
    path = os.path.join(folder, fitting[0])
    if os.path.lexists(path) and not os.path.isfile(path):  # a stored one lies elsewhere
        raise UsageError(f"{path} is no regular file; put the picture in its place")
    return fitting[0]


def _check_counts(listed, counts, data_set, split):
    given = collections.Counter(entry.label for entry in listed)
    counted = tuple(given[label] for label in range(data_set.classes))
    if isinstance(counts, int):
        fits, wanted = sum(counted) == counts and min(counted) > 0, f"{counts} in all, every class among them"
    elif data_set.exact:
        fits, wanted = counted == tuple(counts), f"{min(counts)} to {max(counts)} per class"
    else:
        fits, wanted = sorted(counted) == sorted(counts), f"{min(counts)} to {max(counts)} per class"
    if not fits:
        raise UsageError(
            f"the lists hold {sum(counted)} {split} images of {data_set.name}, {min(counted)} to {max(counted)} per "
            f"class; it has {wanted}: take the benchmark's own lists"
        )
