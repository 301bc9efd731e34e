"""Parts of the user's own: modules that `--plugins` names, and that register criteria, networks, data sets and so on.

A module is imported because its name stands on the command line, in a flagfile given there, or in a call of `load`.
What a run or a ticket has recorded imports nothing, so that somebody else's folder runs no code: a line says which flag
to add.
"""

import hashlib
import importlib
import os
import sys
import traceback
import types

from tf_tickets.errors import UsageError, reason

ENTRY_POINTS = "tf_tickets.plugins"

_LOADED: dict[str, types.ModuleType] = {}


class NotLoaded(UsageError):
    """What a file or a setting names as a plugin is not imported; the message names the flag to add."""


def check_names(text: str) -> str | None:
    """The problem with a list of plugins, or None."""
    names = text.split(",")
    if all(part.isidentifier() for name in names for part in name.split(".")) and len(set(names)) == len(names):
        return None
    return "is not a list of modules such as my_parts or my_package.parts, each at most once"


def load(text: str) -> None:
    """Imports plugins, which register their parts.

    Args:
      text: names separated by commas: of an entry point of the group `tf_tickets.plugins` of an installed package, or
        of a module that Python finds, also in the working folder.

    Raises:
      UsageError: one of them cannot be imported; says why, and where.
    """
    if problem := check_names(text):
        raise UsageError(f"--plugins={text} {problem}")
    for name in text.split(","):
        if name not in _LOADED:
            _LOADED[name] = _imported(name)


def require(text: str, place: str = "") -> None:
    """NotLoaded unless plugins that a file or a setting names are loaded."""
    missing = [name for name in text.split(",") if name not in _LOADED]
    if missing:
        named = f"{place} names the plugin {missing[0]}" if place else f"the plugin {missing[0]} is named"
        raise NotLoaded(
            f"{named}, which settings alone do not import: add --plugins={text} to the command, or in Python call "
            f"tf_tickets.plugins.load({text!r}) first"
        )


def versions(text: str | None) -> dict[str, str]:
    """What a run depends on of its plugins: `plugin NAME` -> version, where it says one, and hash of its source."""
    loaded = {name: _LOADED[name] for name in text.split(",")} if text else {}
    return {
        f"plugin {name}": f"{getattr(module, '__version__', 'without version')}, source {_source_hash(module)}"
        for name, module in loaded.items()
    }


def _imported(name):
    module = _module_of(name)
    if os.getcwd() not in sys.path:  # the console script, unlike `python -m`, leaves it out
        sys.path.append(os.getcwd())
    try:
        imported = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever the module does when it is imported
        what = reason(error) or type(error).__name__
        if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == module.split(".")[0]:
            what += ": it is a file in the working folder, or a module on PYTHONPATH, named without .py"
        raise UsageError(f"--plugins={name}: {module} cannot be imported: {what}{_place(error)}") from error
    if getattr(imported, "__file__", None) is None:
        raise UsageError(f"--plugins={name}: {module} has no file, so that a run could not be held to it")
    return imported


def _module_of(name):
    """The module that an entry point names, else the name itself."""
    import importlib.metadata  # it brings Python's mail, which only plugins are worth

    points = importlib.metadata.entry_points(group=ENTRY_POINTS, name=name)
    return next((point.module for point in points), name)


def _place(error):
    """Where in the user's module an exception was raised; nothing where it is not even found or read."""
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename not in (__file__, importlib.__file__) and not frame.filename.startswith("<frozen"):
            return f" ({frame.filename}, line {frame.lineno})"
    return ""


def _source_hash(module):
    """Twelve hex digits of the SHA-256 over a module's file, or a package's Python files by their paths in it."""
    root, paths = os.path.dirname(module.__file__), [module.__file__]
    if os.path.basename(module.__file__) == "__init__.py":
        paths = sorted(
            os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names if name.endswith(".py")
        )
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            content = file.read()
        digest.update(f"{os.path.relpath(path, root)} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:12]
