"""The class folders among the folders of the user's pictures, and which part of the pictures each belongs to."""

import collections

from tf_tickets.data import listing
from tf_tickets.errors import UsageError

PARTS = {
    **dict.fromkeys(("train", "training"), "train"), "test": "test", "testing": "test",
    **dict.fromkeys(("validation", "val", "valid"), "validation"),
}  # fmt: skip
# What a picture is called, by which a folder of pictures is recognised; which pictures are used, their contents say.
_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".webp", ".bmp")


def find(root: str, clutter: collections.Counter) -> tuple[list, list]:
    """Finds the class folders.

    Args:
      root: path of a folder of class folders, or of train, test and perhaps validation folders of such.
      clutter: counts of what systems and programs left beside them, by name; grows.

    Returns:
      ([(part, class, path)] of every class folder, sentences about pictures beside them).

    Raises:
      UsageError: the folders are neither, or one cannot be read.
    """
    top, loose = _folders(root, clutter)
    spelt = collections.defaultdict(list)
    for name in top:
        spelt[PARTS.get(name.lower())].append(name)
    classes = spelt.pop(None, [])
    if not spelt:
        return [("train", name, top[name]) for name in classes], _loose(root, loose)
    for part, names in spelt.items():
        if len(names) > 1:
            raise UsageError(f"{root} holds {' and '.join(names)}, which all mean {part}/: join them")
    if "train" not in spelt:
        raise UsageError(
            f"{top[next(iter(spelt.values()))[0]]} is a part of the pictures, and there is no train/: move the "
            "training pictures' class folders into train/, or call the folder otherwise if it is a class"
        )
    if classes:
        raise UsageError(
            f"{top[classes[0]]} stands beside {spelt['train'][0]}/: only validation/ and test/ may; move it"
        )
    places, notices = [], _loose(root, loose)
    for part, (name,) in spelt.items():
        inner, loose = _folders(top[name], clutter)
        places += [(part, label, path) for label, path in inner.items()]
        notices += _loose(top[name], loose)
    return places, notices


def _folders(path, clutter):
    """({name: path} of the folders in a folder, the files beside them); links to folders are refused."""
    folders, files, left = listing.entries(path)
    clutter.update(map(listing.sort_of, left))
    for entry in folders:
        if problem := listing.link_problem(entry):
            raise UsageError(problem)
    return {text(entry.name, path): entry.path for entry in folders}, [entry.name for entry in files]


def _loose(folder, names):
    names = [name for name in names if is_called_picture(name)]
    verb = "is" if len(names) == 1 else "are"
    return (
        [f"{folder}: {listing.counted(len(names), 'picture')} outside of the class folders {verb} not used"]
        if names
        else []
    )


def text(name: str, folder: str) -> str:
    """A name in a folder, which is UTF-8; UsageError of others."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(f"{folder} holds a name that is not UTF-8, {name!r}: rename it") from None
    return name


def resembling(root: str) -> tuple[str, ...]:
    """What in a folder looks like pictures of the user's, by names alone.

    Returns:
      The names of two or more class folders in it, or in a train folder in it, or of pictures in it; else nothing.
    """
    try:
        folders, files, _ = listing.entries(root)
        below = [entry.path for entry in folders if PARTS.get(entry.name.lower()) == "train"]
        folders = listing.entries(below[0])[0] if below else folders
    except UsageError:
        return ()
    holding = tuple(entry.name for entry in folders if _holds_pictures(entry.path))
    return holding if len(holding) > 1 else tuple(entry.name for entry in files if is_called_picture(entry.name))


def _holds_pictures(folder, depth=2):
    try:
        folders, files, _ = listing.entries(folder)
    except UsageError:
        return False
    return any(is_called_picture(entry.name) for entry in files) or (
        depth > 1 and any(_holds_pictures(entry.path, depth - 1) for entry in folders)
    )


def is_called_picture(name: str) -> bool:
    """Whether a file is called as pictures are."""
    return name.lower().endswith(_SUFFIXES)
