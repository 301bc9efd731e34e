"""Your own pictures: one folder per class, or train, validation and test folders of such.

Pictures are looked at once, before anything starts: each is opened, hashed, decoded and named, so that what cannot be
used is refused with its name. No TensorFlow here.
"""

from __future__ import annotations

import collections
import functools
import os

from tf_tickets.data import class_folders, class_names, copies, encoding, listing, own, photographs, resaved, sources
from tf_tickets.data.catalog import DataSet
from tf_tickets.data.own import Picture, Pictures
from tf_tickets.errors import UsageError, plain
from tf_tickets.lazy_modules import np
from tf_tickets.registry import DATASETS
from tf_tickets.settings.places import Place

# Pictures that are not all small and of one size are seen through crops of this side.
_CROP = 224


class Unusable(UsageError):
    """Pictures that cannot be used.

    Attributes:
      problems: a line for each.
    """

    def __init__(self, where, problems):
        """Of several, the line has the first five; `where` is what holds them, such as --data_dir=pictures."""
        count = f"{where}: {len(problems):,} files or folders cannot be used, which --dry_run lists: "
        super().__init__((count if len(problems) > 1 else "") + listing.few(problems))
        self.problems = tuple(problems)


@functools.cache
def scan(root: str | None) -> Pictures:
    """Looks at every picture below a folder.

    Args:
      root: path; class folders in it, or train, test and perhaps validation folders that hold class folders. Without a
        test folder a fifth of each class tests, chosen by content, the same whatever the seeds.

    Raises:
      UsageError: names the file or folder that cannot be used, and the fix.
    """
    if not root:
        raise UsageError("--dataset=folder needs --data_dir=DIR, which holds one folder of pictures per class")
    if not os.path.isdir(root):
        raise UsageError(f"--data_dir={root} is no folder; give the one that holds one folder of pictures per class")
    labels, files, notices, problems = _listed(root)
    pictures, facts = looked_at(f"--data_dir={root}", files, notices=notices, problems=problems)
    drawn = not any(picture.part == "test" for picture in pictures)
    if drawn:
        pictures = own.with_test_part(pictures, labels)
    where = f"in {plain(root)}"
    return gathered("folder", labels, pictures, facts=facts, where=where, notices=notices, test_is_drawn=drawn)


def looked_at(where: str, files: list, *, notices: list, problems: list, mark: str = "/") -> tuple[list, list]:
    """Decodes pictures, and drops copies of one within its class and part.

    Args:
      where: what lists them, such as --data_dir=pictures.
      files: (path, id, part, label) of each.
      notices: sentences for the user; grows.
      problems: lines about files that cannot be used; grows.
      mark: what follows the name of a part in messages.

    Returns:
      ([Picture], [photographs.Facts of all files]).

    Raises:
      Unusable: some cannot be used.
    """
    usable = []
    for (path, name, part, label), facts in zip(files, copies.looks([path for path, *_ in files])):
        if isinstance(facts, UsageError):
            problems.append(str(facts))
        else:
            usable.append(Picture(name, label, part, path, facts))
    if problems:
        raise Unusable(where, problems)
    return _distinct(where, usable, notices, mark), [picture.facts for picture in usable]


def gathered(
    name: str, labels: tuple, pictures: list, *, facts: list, where: str, notices: list, test_is_drawn: bool
) -> Pictures:  # fmt: skip
    """The Pictures of a data set of files, by their ids.

    Args:
      name: of the data set.
      labels: class names.
      pictures: list of Picture.
      facts: photographs.Facts of all files, copies too.
      where: where they are, such as "in pictures".
      notices: sentences for the user.
      test_is_drawn: as of Pictures.
    """
    ordered = tuple(sorted(pictures, key=lambda picture: picture.id))
    origin = f"{where}, each decoded and found whole"
    said = (*notices, *resaved.notices(ordered, labels))
    return Pictures(_facts(name, ordered, labels, facts), ordered, origin, said, test_is_drawn)


def _listed(root):
    """(class names, [(path, id, part, label)] of all files, notices, a line for each name that cannot be used)."""
    problems, clutter, listed, inner = [], collections.Counter(), [], []
    places, notices = class_folders.find(root, clutter)
    class_names.check([label for _, label, _ in places], f"--data_dir={root}")
    labels = tuple(sorted({label for part, label, _ in places if part == "train"}))
    if len(labels) < 2:
        count = listing.counted(len(labels), "class folder")
        loose = "; put the pictures that lie in it into one folder per class" if notices else ""
        raise UsageError(f"--data_dir={root} holds {count}, at least 2 are needed{loose}")
    for part, label, folder in places:
        if label not in labels:
            problems.append(f"{folder}: class '{label}' has no training pictures; add them, or remove the folder")
            continue
        named = len(problems)
        files = listing.files(folder, problems, clutter, inner_first=True)
        if not files and len(problems) == named:
            problems.append(f"{folder} holds no picture; put some there, or remove the folder")
        names = [(path, _name(path, root, problems)) for path in files]
        listed += [(path, name, part, labels.index(label)) for path, name in names if name is not None]
        inner += [path for path in files if os.path.dirname(path) != folder]
    if clutter:
        notices.append(listing.left_out(clutter))
    if inner:
        count = listing.counted(len(inner), "picture")
        notices.append(
            f"{count} in folders inside of class folders, such as {inner[0]}: used, each of its class folder"
        )
    return labels, listed, notices, problems


def _name(path, root, problems):
    """The id of a file, or None."""
    try:
        return class_folders.text(os.path.relpath(path, root), os.path.dirname(path)).replace(os.sep, "/")
    except UsageError as error:
        problems.append(str(error))
        return None


def _distinct(where, pictures, notices, mark):
    """Drops copies of a picture within its class and part; copies elsewhere are contradictions."""
    problems, dropped, lines = [], set(), []
    for copy, first, how in copies.pairs(pictures):
        same = f"{copy.path} {how} {first.path}"
        if first.label != copy.label:
            problems.append(f"{same}, in another class: remove one")
        elif first.part != copy.part:
            problems.append(f"{same}: what is in {first.part}{mark} must not be in {copy.part}{mark}; remove one")
        else:
            lines.append(f"{same}, which alone is used")
            dropped.add(copy.path)
    if problems:
        raise Unusable(where, problems)
    notices += [listing.few(lines)] if lines else []
    return [picture for picture in pictures if picture.path not in dropped]


def _facts(name, pictures, labels, facts):
    """The DataSet: small pictures of one size as they are, others through crops."""
    channels = max(fact.channels for fact in facts)
    sizes = {(fact.height, fact.width) for fact in facts}
    if len(sizes) == 1 and max(next(iter(sizes))) <= own.SMALL_SIDE:
        return own.facts(name, labels, pictures, (*next(iter(sizes)), channels), source="folder")
    crops = {"stem": "full", "crop_low": 0.08}
    return own.facts(name, labels, pictures, (_CROP, _CROP, channels), source="folder", **crops)


def pixels(pictures: Pictures, paths: np.ndarray, checked: set) -> np.ndarray:
    """The pictures as data.sources.Source gives them: uint8 [k, height, width, channels], or PNG bytes, object [k].

    Args:
      paths: of some of them.
      checked: set of the paths whose pictures are known to keep their bytes; grows.

    Raises:
      UsageError: a picture is not what it was when the folder was looked at.
    """
    data_set = pictures.data_set
    if data_set.encoded:
        encoded = np.empty(len(paths), object)
        encoded[:] = [encoding.encoded(path, data_set.image_shape[2], checked) for path in paths]
        return encoded
    images = np.empty((len(paths), *data_set.image_shape), np.uint8)
    for index, path in enumerate(paths):
        image = photographs.pixels(path, data_set.image_shape[2])
        if image.shape != data_set.image_shape:
            raise UsageError(f"{path} was changed while it was in use: start again")
        images[index] = image
    return images


@DATASETS.register("folder")
class Folder(sources.Provider):
    """The pictures in `--data_dir`."""

    place_flags = ("data_dir",)
    adds_validation = "add a folder validation/"

    def facts_in(self, place: Place) -> DataSet:
        """Those of the pictures."""
        return self.pictures(place).data_set

    def pictures(self, place: Place) -> Pictures:
        """The files."""
        return scan(place.data_dir)

    def load(self, place: Place) -> sources.Source:
        """The files, decoded as they are wanted."""
        pictures = self.pictures(place)
        paths = np.array([picture.path for picture in pictures.pictures], object)
        train, test = (pictures.columns(part, paths) for part in ("train", "test"))
        decode = functools.partial(pixels, pictures, checked=set())
        return sources.Source(pictures.data_set, train, test, decode, pictures.notices)
