"""What lies in a folder of pictures: the user's files, without what systems and programs leave beside them."""

import collections
import os
from collections.abc import Iterable

from tf_tickets.errors import UsageError

_FOLDERS = {
    "@eadir", "@recycle", "@recently-snapshot", "@tmp", "#recycle", "#snapshot", "__macosx", "__pycache__",
    "$recycle.bin", "recycler", "found.000", "lost+found", "system volume information",
}  # fmt: skip
# The macOS icon of a folder is `Icon` and a carriage return, which other systems show as a letter of their own.
_FILES = {
    "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "thumbs.db:encryptable", "desktop.ini", "picasa.ini", "icon\r",
    "icon\uf00d",
}  # fmt: skip
_HIDDEN = "hidden files"
# What cameras, editors, downloads and labelling tools write beside a picture.
_SIDECARS = (".json", ".aae", ".xmp", ".thm", ":zone.identifier", "\uf03azone.identifier")


def is_clutter(name: str, is_folder: bool) -> bool:
    """Whether a file or folder of this name is a system's or a program's, not one of the user's pictures."""
    lower = name.lower()
    return name.startswith(".") or (lower in _FOLDERS if is_folder else lower in _FILES or lower.endswith(_SIDECARS))


def entries(folder: str) -> tuple[list, list, list]:
    """(folders, files, clutter) in a folder, each a list of os.DirEntry by name; a folder may be a link to one.

    Raises:
      UsageError: it cannot be read.
    """
    try:
        all_entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}; change its permissions") from None
    folders, files, clutter = [], [], []
    for entry in all_entries:
        is_folder = os.path.isdir(entry.path)  # a link that leads in circles is none
        (clutter if is_clutter(entry.name, is_folder) else folders if is_folder else files).append(entry)
    return folders, files, clutter


def link_problem(entry: os.DirEntry) -> str | None:
    """What is wrong with an entry that is a link to a folder, which could lead in circles; None of others."""
    return f"{entry.path} is a link to a folder: put the pictures there instead" if entry.is_symlink() else None


def files(folder: str, problems: list, clutter: collections.Counter, inner_first: bool = False) -> list[str]:
    """All files below a folder, by name.

    Args:
      folder: its path.
      problems: a line for each inner folder that is left out; grows.
      clutter: counts of what systems and programs left, by name; grows.
      inner_first: whether a folder's inner folders come before its own files.

    Returns:
      Paths, of all that is neither clutter nor a folder.

    Raises:
      UsageError: the folder itself cannot be read.
    """
    paths, waiting = [], [folder]
    while waiting:  # folders nest deeper than functions may
        place = waiting.pop()
        if isinstance(place, list):
            paths += place
            continue
        try:
            folders, own, left = entries(place)
        except UsageError as error:
            if place == folder:
                raise
            problems.append(str(error))
            continue
        clutter.update(map(sort_of, left))
        problems += filter(None, map(link_problem, folders))
        inner = [entry.path for entry in folders if not entry.is_symlink()]
        own = [entry.path for entry in own]
        # The last of the list is the next.
        waiting += [own, *reversed(inner)] if inner_first else [*reversed(inner), own]
    return paths


def sort_of(entry: os.DirEntry) -> str:
    """What clutter is called in a sentence that counts it."""
    name = entry.name
    if os.path.isdir(entry.path):
        return name
    suffix = next((sidecar for sidecar in _SIDECARS if name.lower().endswith(sidecar)), None)
    return f"*{suffix}" if suffix else _HIDDEN if name.startswith(".") else name


def left_out(clutter: collections.Counter) -> str:
    """The sentence about clutter of which there is some, by what `sort_of` calls it."""
    counts = (f"{n} {name}" if name != _HIDDEN else counted(n, "hidden file") for name, n in sorted(clutter.items()))
    return f"left out, as no pictures: {', '.join(counts)}"


def counted(number: int, noun: str) -> str:
    """A number with its noun, such as "1 picture" and "1,200 pictures"."""
    return f"{number:,} {noun}" + ("s" if number != 1 else "")


def few(lines: Iterable[str], most: int = 5) -> str:
    """Some lines as one: the first five, and how many there are."""
    lines = list(lines)
    return "; ".join(lines[:most]) + (f"; and {len(lines) - most:,} more" if len(lines) > most else "")
