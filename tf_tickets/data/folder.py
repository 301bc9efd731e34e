"""Your own pictures: one folder per class, or train, validation and test folders of such.

Pictures are looked at once, before anything starts: each is opened, hashed and named, so that what cannot be used is
refused with its name. No TensorFlow here.
"""

import collections
import dataclasses
import functools
import hashlib
import os

import numpy as np

from tf_tickets import storage
from tf_tickets.data import catalog, class_names, photographs
from tf_tickets.errors import UsageError

_PARTS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
# Pictures of one size up to this side are used as they are, all others through crops of 224 pixels.
_SMALL_SIDE = 96
_CROP = 224
_TEST_SHARE = 0.2
_IGNORED = {"thumbs.db", "desktop.ini"}


@dataclasses.dataclass(frozen=True)
class Picture:
    """One usable file.

    Attributes:
      id: its path below the folder, with slashes.
      label: of its class.
      part: train, validation or test.
      path: of the file.
      sha256: of its bytes.
    """

    id: str
    label: int
    part: str
    path: str
    sha256: str


@dataclasses.dataclass(frozen=True)
class Pictures:
    """A folder of pictures.

    Attributes:
      data_set: the catalog.DataSet made of it.
      pictures: tuple of Picture, by id.
      digest: SHA-256 over ids, parts and contents.
      notices: sentences for the user.
    """

    data_set: catalog.DataSet
    pictures: tuple
    digest: str
    notices: tuple


@functools.cache
def scan(root):
    """Looks at every picture below a folder.

    Args:
      root: path; class folders in it, or train, test and perhaps validation folders that hold class folders. Without a
        test folder a fifth of each class tests, chosen by content, the same whatever the seeds.

    Returns:
      A Pictures.

    Raises:
      UsageError: names the file or folder that cannot be used, and the fix.
    """
    if not root:
        raise UsageError("--dataset=folder needs --data_dir=DIR, which holds one folder of pictures per class")
    if not os.path.isdir(root):
        raise UsageError(f"--data_dir={root} is no folder; give the one that holds one folder of pictures per class")
    places = _class_folders(root)
    class_names.check([label for _, label, _ in places], f"--data_dir={root}")
    labels = tuple(sorted({label for part, label, _ in places if part == "train"}))
    if len(labels) < 2:
        raise UsageError(f"--data_dir={root} holds {len(labels)} class folders, at least 2 are needed")
    found, facts = [], []
    for part, label, folder in places:
        if label not in labels:
            raise UsageError(f"{folder}: class '{label}' has no training pictures; add them, or remove the folder")
        files = _files(folder)
        if not files:
            raise UsageError(f"{folder} holds no picture; put some there, or remove the folder")
        for path in files:
            width, height, channels = photographs.look(path)
            facts.append((height, width, channels))
            name = os.path.relpath(path, root).replace(os.sep, "/")
            found.append(Picture(name, labels.index(label), part, path, storage.file_digest(path)))
    found, notices = _distinct(found)
    if not any(picture.part == "test" for picture in found):
        found = _with_test_part(found, labels)
    found = tuple(sorted(found, key=lambda picture: picture.id))
    digest = hashlib.sha256("\n".join(f"{p.id} {p.part} {p.sha256}" for p in found).encode("utf-8")).hexdigest()
    return Pictures(_facts(found, labels, facts), found, digest, tuple(notices))


def _folders(path):
    """The folders in a folder by name; links to folders are refused, which could lead in circles."""
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; change its permissions") from None
    for entry in entries:
        if entry.is_symlink() and os.path.isdir(entry.path):  # a link that leads in circles is none
            raise UsageError(f"{entry.path} is a link to a folder: put the pictures there instead")
    return {_text(e.name, path): e.path for e in entries if os.path.isdir(e.path) and e.name[0] != "."}


def _class_folders(root):
    """(part, class, folder) of every class folder."""
    top = _folders(root)
    if "train" not in top:
        return [("train", name, path) for name, path in top.items()]
    odd = sorted(set(top) - set(_PARTS))
    if odd:
        raise UsageError(f"{top[odd[0]]} stands beside train/: only validation/ and test/ may; move it")
    return [(_PARTS[part], name, path) for part, below in top.items() for name, path in _folders(below).items()]


def _files(folder):
    """All files below a class folder, hidden ones left out."""
    found = []
    for path in _folders(folder).values():
        found += _files(path)
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith(".") or entry.name.lower() in _IGNORED or os.path.isdir(entry.path):
            continue
        _text(entry.name, folder)
        found.append(entry.path)
    return found


def _text(name, folder):
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(f"{folder} holds a name that is not UTF-8, {name!r}: rename it") from None
    return name


def _distinct(found):
    """Drops copies of a picture within its class and part; copies elsewhere are contradictions."""
    first, kept, notices = {}, [], []
    for picture in found:
        other = first.setdefault(picture.sha256, picture)
        if other is picture:
            kept.append(picture)
        elif other.label != picture.label:
            raise UsageError(f"{picture.path} is the same picture as {other.path}, in another class: remove one")
        elif other.part != picture.part:
            raise UsageError(
                f"{picture.path} is the same picture as {other.path}: what is in {other.part}/ must not be in "
                f"{picture.part}/; remove one"
            )
        else:
            notices.append(f"{picture.path} is the same picture as {other.path}; used once")
    return kept, notices


def _with_test_part(found, labels):
    """Moves a fifth of each class, at least one picture, to the test part; which, its content says."""
    result = []
    for label, name in enumerate(labels):
        for part in ("train", "validation"):
            mine = sorted((p for p in found if p.label == label and p.part == part), key=lambda p: p.sha256)
            if part == "train" and len(mine) < 2:
                raise UsageError(f"class '{name}' has one picture: at least 2 are needed, one to train and one to test")
            count = max(round(_TEST_SHARE * len(mine)), 1) if part == "train" else 0
            result += [dataclasses.replace(picture, part="test") for picture in mine[:count]] + mine[count:]
    return result


def _facts(found, labels, facts):
    """The DataSet: small pictures of one size as they are, others through crops."""
    counts = collections.Counter((picture.part, picture.label) for picture in found)
    channels = max(fact[2] for fact in facts)
    sizes = {fact[:2] for fact in facts}
    small = len(sizes) == 1 and max(next(iter(sizes))) <= _SMALL_SIDE
    shape = (*next(iter(sizes)), channels) if small else (_CROP, _CROP, channels)
    per_class = {
        part: tuple(counts[part, label] for label in range(len(labels))) for part in ("train", "validation", "test")
    }
    return catalog.DataSet(
        "folder", labels, tuple(t + v for t, v in zip(per_class["train"], per_class["validation"])), per_class["test"],
        shape, mean=None, deviation=None, flip=True, stem="small" if small else "full",
        crop_padding=max(min(shape[:2]) // 8, 1), crop_low=None if small else 0.08,
        cutout_side=max(min(shape[:2]) // 2, 1), source="folder",
        validation_counts=per_class["validation"] if any(per_class["validation"]) else None,
    )  # fmt: skip


def columns(pictures, split):
    """(ids, labels, paths, held) of the training or test pictures, as data.sources.Source takes them."""
    chosen = [p for p in pictures.pictures if (p.part == "test") == (split == "test")]
    paths = np.empty(len(chosen), object)
    paths[:] = [picture.path for picture in chosen]
    labels = np.array([picture.label for picture in chosen], np.int64)
    return [p.id for p in chosen], labels, paths, np.array([p.part == "validation" for p in chosen], bool)


def pixels(pictures, paths, checked):
    """The pictures as data.sources.Source gives them: uint8 [k, height, width, channels], or PNG bytes, object [k].

    Args:
      pictures: a Pictures.
      paths: of some of them.
      checked: set of the paths whose pictures have been found whole before; grows.
    """
    data_set = pictures.data_set
    if data_set.encoded:
        found = np.empty(len(paths), object)
        found[:] = [photographs.encoded(path, data_set.image_shape[2], path in checked) for path in paths]
        checked.update(paths)
        return found
    images = np.empty((len(paths), *data_set.image_shape), np.uint8)
    for index, path in enumerate(paths):
        images[index] = photographs.pixels(path, data_set.image_shape[2])
    return images
