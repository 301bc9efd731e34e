"""The recipes that come with the program, flagfiles and grids of `sweep`, found by name from any folder.

A repository has them in `flags/` beside the package, an installation inside of the package.
"""

import difflib
import functools
import os
import re

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_FOLDER = "flags"


@functools.cache
def folder() -> str:
    """The folder of the recipes, as it is installed or as it lies in the repository."""
    installed = os.path.join(_PACKAGE, _FOLDER)
    return installed if os.path.isdir(installed) else os.path.join(os.path.dirname(_PACKAGE), _FOLDER)


def names() -> list[str]:
    """The file names of all recipes, sorted; none where the folder is missing."""
    there = os.listdir(folder()) if os.path.isdir(folder()) else ()
    return sorted(name for name in there if name.endswith((".cfg", ".sweep")))


def named(path: str) -> str | None:
    """The recipe that a path means, `NAME` or `flags/NAME`, where no file is there; None: none."""
    name = _name(path)
    return os.path.join(folder(), name) if name in names() else None


def find(path: str) -> str:
    """The file that a path means from the current folder: itself if it is there, else the recipe of that name."""
    return path if os.path.lexists(path) else named(path) or path


def hint(path: str) -> str:
    """What to add to a message that a file is not there: that it is no recipe either, and recipes of nearly that name.

    Empty where the path leads to another folder, so that no recipe was meant.
    """
    name = _name(path)
    if name is None or named(path):
        return ""
    close = difflib.get_close_matches(name, names(), 3, 0.7)
    return f", nor is it one of the recipes in {folder()}: " + (
        f"did you mean {', '.join(close)}?" if close else "--help=recipes lists them"
    )


def first_sentence(name: str) -> str:
    """What a recipe says of itself: the first sentence of its comment, after the line with its command."""
    with open(os.path.join(folder(), name), encoding="utf-8") as file:
        comment = re.match(r"#.*\n((?:#.*\n)*)", file.read())
    text = " ".join(line.lstrip("# ") for line in comment[1].splitlines()) if comment else ""
    return re.split(r"(?<=\.)\s+(?=[A-Z])", text.strip(), maxsplit=1)[0]


def _name(path):
    """The name of the recipe that a path may mean; None where it leads elsewhere."""
    parts = os.path.normpath(path).split(os.sep)
    return parts[-1] if len(parts) == 1 or parts[:-1] == [_FOLDER] else None
