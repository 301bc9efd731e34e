"""Your own pictures: one folder per class, or train, validation and test folders of such.

Pictures are looked at once, before anything starts: each is opened, hashed, decoded and named, so that what cannot be
used is refused with its name. No TensorFlow here.
"""

import collections
import dataclasses
import functools
import hashlib
import os
from collections.abc import Iterable

import numpy as np

from tf_tickets.data import catalog, class_folders, class_names, copies, listing, photographs
from tf_tickets.errors import UsageError
from tf_tickets.settings.groups import Data

# Pictures of one size up to this side are used as they are, all others through crops of 224 pixels.
_SMALL_SIDE = 96
_CROP = 224
_TEST_SHARE = 0.2


class Unusable(UsageError):
    """Pictures that cannot be used.

    Attributes:
      problems: a line for each.
    """

    def __init__(self, root, problems):
        """Of several, the line has the first five."""
        count = f"--data_dir={root}: {len(problems):,} files cannot be used, which --dry_run lists: "
        super().__init__((count if len(problems) > 1 else "") + listing.few(problems))
        self.problems = tuple(problems)


@dataclasses.dataclass(frozen=True)
class Picture:
    """One usable file.

    Attributes:
      id: its path below the folder, with slashes.
      label: of its class.
      part: train, validation or test.
      path: of the file.
      facts: the photographs.Facts of it.
    """

    id: str
    label: int
    part: str
    path: str
    facts: photographs.Facts

    @property
    def sha256(self):
        """SHA-256 of the file's bytes."""
        return self.facts.sha256


@dataclasses.dataclass(frozen=True)
class Pictures:
    """A folder of pictures.

    Attributes:
      data_set: the catalog.DataSet made of it.
      pictures: tuple of Picture, by id.
      digest: SHA-256 over ids, parts and contents.
      notices: sentences for the user, about what is left out.
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
    labels, files, notices, problems = _listed(root)
    found = []
    for (path, name, part, label), facts in zip(files, copies.looks([path for path, *_ in files])):
        if isinstance(facts, UsageError):
            problems.append(str(facts))
        else:
            found.append(Picture(name, label, part, path, facts))
    if problems:
        raise Unusable(root, problems)
    facts = [picture.facts for picture in found]
    found = _distinct(root, found, notices)
    if not any(picture.part == "test" for picture in found):
        found = _with_test_part(found, labels)
    found = tuple(sorted(found, key=lambda picture: picture.id))
    return Pictures(_facts(found, labels, facts), found, digest_of(map(row_of, found)), tuple(notices))


def row_of(picture: Picture) -> dict[str, str]:
    """A picture as a row of a run's pictures.csv."""
    return {"id": picture.id, "part": picture.part, "sha256": picture.sha256}


def digest_of(rows: Iterable[dict[str, str]]) -> str:
    """SHA-256 over the rows of all pictures of a folder, by id."""
    text = "\n".join(f"{row['id']} {row['part']} {row['sha256']}" for row in rows)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _listed(root):
    """(class names, [(path, id, part, label)] of all files, notices, a line for each name that cannot be used)."""
    places, notices = class_folders.find(root)
    class_names.check([label for _, label, _ in places], f"--data_dir={root}")
    labels = tuple(sorted({label for part, label, _ in places if part == "train"}))
    if len(labels) < 2:
        raise UsageError(f"--data_dir={root} holds {len(labels)} class folders, at least 2 are needed")
    problems, clutter, found = [], collections.Counter(), []
    for part, label, folder in places:
        if label not in labels:
            raise UsageError(f"{folder}: class '{label}' has no training pictures; add them, or remove the folder")
        files = listing.files(folder, problems, clutter, inner_first=True)
        if not files and not problems:
            raise UsageError(f"{folder} holds no picture; put some there, or remove the folder")
        names = [(path, _name(path, root, problems)) for path in files]
        found += [(path, name, part, labels.index(label)) for path, name in names if name is not None]
    if clutter:
        notices.append("left out, as no pictures: " + ", ".join(f"{n} {name}" for name, n in sorted(clutter.items())))
    return labels, found, notices, problems


def _name(path, root, problems):
    """The id of a file, or None."""
    try:
        return class_folders.text(os.path.relpath(path, root), os.path.dirname(path)).replace(os.sep, "/")
    except UsageError as error:
        problems.append(str(error))
        return None


def _distinct(root, found, notices):
    """Drops copies of a picture within its class and part; copies elsewhere are contradictions."""
    problems, dropped, lines = [], set(), []
    for copy, first, how in copies.pairs(found):
        same = f"{copy.path} {how} {first.path}"
        if first.label != copy.label:
            problems.append(f"{same}, in another class: remove one")
        elif first.part != copy.part:
            problems.append(f"{same}: what is in {first.part}/ must not be in {copy.part}/; remove one")
        else:
            lines.append(f"{same}; used once")
            dropped.add(copy.path)
    if problems:
        raise Unusable(root, problems)
    notices += [listing.few(lines)] if lines else []
    return [picture for picture in found if picture.path not in dropped]


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
    channels = max(fact.channels for fact in facts)
    sizes = {(fact.height, fact.width) for fact in facts}
    small = len(sizes) == 1 and max(next(iter(sizes))) <= _SMALL_SIDE
    shape = (*next(iter(sizes)), channels) if small else (_CROP, _CROP, channels)
    per_class = {
        part: tuple(counts[part, label] for label in range(len(labels))) for part in ("train", "validation", "test")
    }
    return catalog.DataSet(
        "folder", labels, tuple(t + v for t, v in zip(per_class["train"], per_class["validation"])), per_class["test"],
        image_shape=shape, mean=None, deviation=None, flip=True, stem="small" if small else "full",
        crop_padding=max(min(shape[:2]) // 8, 1), crop_low=None if small else 0.08,
        cutout_side=max(min(shape[:2]) // 2, 1), source="folder",
        validation_counts=per_class["validation"] if any(per_class["validation"]) else None,
    )  # fmt: skip


def facts_of(data) -> catalog.DataSet:
    """The facts of a config.Data: from the catalog, or of the user's own pictures.

    Raises:
      UsageError: `--dataset=folder` without a folder of pictures that can be used, or a folder of pictures without it.
    """
    if data.dataset == "folder":
        return scan(data.data_dir).data_set
    if data.data_dir and data.dataset == Data().dataset:
        _check_no_pictures(data)
    return catalog.CATALOG[data.dataset]


def _check_no_pictures(data):
    """Own pictures given without --dataset would be planned, and paid for, as the data set that is its default."""
    if os.path.isdir(data.data_dir) and not os.path.exists(os.path.join(data.data_dir, data.dataset)):
        if names := class_folders.resembling(data.data_dir):
            more = ", ..." if len(names) > 3 else ""
            raise UsageError(
                f"--data_dir={data.data_dir} holds pictures ({', '.join(names[:3])}{more}), and no prepared "
                f"{data.dataset}: add --dataset=folder"
            )


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
      checked: set of the paths whose pictures are known to keep their bytes; grows.

    Raises:
      UsageError: a picture is not what it was when the folder was looked at.
    """
    data_set = pictures.data_set
    if data_set.encoded:
        found = np.empty(len(paths), object)
        found[:] = [photographs.encoded(path, data_set.image_shape[2], checked) for path in paths]
        return found
    images = np.empty((len(paths), *data_set.image_shape), np.uint8)
    for index, path in enumerate(paths):
        image = photographs.pixels(path, data_set.image_shape[2])
        if image.shape != data_set.image_shape:
            raise UsageError(f"{path} was changed while it was in use: start again")
        images[index] = image
    return images
