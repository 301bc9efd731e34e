"""Parts of the user's own: modules that `--plugins` names, and that register criteria, networks, data sets and so on.

A module is imported because its name stands on the command line, in a flagfile given there, or in a call of `load`.
What a run or a ticket has recorded imports nothing, so that somebody else's folder runs no code: a line says which flag
to add.
"""

import difflib
import hashlib
import importlib
import inspect
import os
import re
import sys
import traceback
import types
import typing
from collections.abc import Callable

from tf_tickets import own_networks, registry
from tf_tickets.errors import UsageError, reason

ENTRY_POINTS = "tf_tickets.plugins"

# How TensorFlow begins the message of what is raised while it traces a function, whose frames its traceback lacks.
_TRACED = "in user code:"

_LOADED: dict[str, types.ModuleType] = {}
# What each has registered, by table and name.
_PARTS: dict[str, list[tuple[registry.Registry, str]]] = {}


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
            before = [set(table) for table in registry.TABLES]
            module = _module_of(name)
            _LOADED[name] = _imported(module, f"--plugins={name}: {module}")
            tables = zip(registry.TABLES, before)
            _PARTS[name] = [(table, part) for table, known in tables for part in table if part not in known]


def load_network(text: str) -> None:
    """Imports the module of `--model=PACKAGE.MODULE:FUNCTION`; UsageError where it or the function is not there."""
    name, _, function = text.partition(":")
    if text in own_networks.FUNCTIONS:
        return
    importlib.import_module("tf_tickets.backend")  # before the module does: TensorFlow's first lines are kept back
    module = _imported(name, f"--model={text}: {name}")
    call = getattr(module, function, None)
    if not callable(call):
        close = difflib.get_close_matches(function, [part for part in vars(module) if callable(vars(module)[part])], 1)
        raise UsageError(
            f"--model={text}: {name} ({module.__file__}) has no function {function}"
            + (f"; did you mean {name}:{close[0]}?" if close else "")
        )
    own_networks.FUNCTIONS[text] = own_networks.Function(call, f"--model={text}", _source_hash(module))


def function_given(call: Callable[..., typing.Any]) -> own_networks.Function:
    """A function that Python gives as a network."""
    module = sys.modules.get(getattr(call, "__module__", ""))
    named = f"{getattr(call, '__module__', '')}:{getattr(call, '__qualname__', type(call).__name__)}"
    has_file = module is not None and getattr(module, "__file__", None) and module.__name__ != "__main__"
    return own_networks.Function(call, f"model={named}", _source_hash(module) if has_file else None)


def called(function: Callable[..., typing.Any], arguments: dict[str, typing.Any]) -> typing.Any:
    """What a function of the user's gives; UsageError, with the place in its file, for whatever it raises."""
    try:
        return function(**arguments)
    except UsageError:
        raise
    except Exception as error:
        said = reason(error)
        said = said if said == type(error).__name__ else f"{type(error).__name__}: {said}"
        path = getattr(getattr(function, "__code__", None), "co_filename", None)
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        place = f" ({path}, line {lines[-1]})" if lines else ""
        raise UsageError(f"the function failed: {said}{place}") from error


def require(text: str, place: str = "") -> None:
    """NotLoaded unless plugins that a file or a setting names are loaded."""
    missing = [name for name in text.split(",") if name not in _LOADED]
    if missing:
        named = f"{place} names the plugin {missing[0]}" if place else f"the plugin {missing[0]} is named"
        raise NotLoaded(
            f"{named}, which settings alone do not import: add --plugins={text} to the command, or in Python call "
            f"tf_tickets.plugins.load({text!r}) first"
        )


def registered(text: str) -> str:
    """What loaded plugins have registered, in words."""
    parts = [_called_part(*part) for name in text.split(",") for part in _PARTS[name]]
    return ", ".join(parts) or "nothing"


def versions(text: str | None) -> dict[str, str]:
    """What a run depends on of its plugins: `plugin NAME` -> version, where it says one, and hash of its source."""
    loaded = {name: _LOADED[name] for name in text.split(",")} if text else {}
    return {
        f"plugin {name}": f"{getattr(module, '__version__', 'without version')}, source {_source_hash(module)}"
        for name, module in loaded.items()
    }


def _imported(module, said):
    """A module that the user names; UsageError, which begins with `said`, where it cannot be imported."""
    if os.getcwd() not in sys.path:  # the console script, unlike `python -m`, leaves it out
        sys.path.append(os.getcwd())
    try:
        imported = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever the module does when it is imported
        what = reason(error) or type(error).__name__
        if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == module.split(".")[0]:
            what += ": it is a file in the working folder, or a module on PYTHONPATH, named without .py"
        raise UsageError(f"{said} cannot be imported: {what}{_place(error)}") from error
    if getattr(imported, "__file__", None) is None:
        raise UsageError(f"{said} has no file, so that a run could not be held to it")
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


def failure(error: Exception) -> str | None:
    """What went wrong in a plugin's code, in one line: part, plugin, exception and place; None where none is at fault.

    At fault is the innermost function of a plugin in the traceback, what does not take the arguments that it is given,
    and an object that lacks what is asked of it.
    """
    place = _raised_at(error) or _uncallable(error) or _lacking(error)
    if place is None:
        return None
    name, function, path, line = place
    lines = [part.strip() for part in str(error).splitlines() if part.strip()]
    said = reason(lines[-1] if lines and lines[0] == _TRACED else error)
    said = said if said == type(error).__name__ else f"{type(error).__name__}: {said}"
    return f"{_part(name, function)}--plugins={name} failed: {said} ({path}, line {line}, in {function})"


def _raised_at(error):
    """(plugin, function, path, line) of the innermost call of a plugin's function."""
    calls = [(frame.f_code.co_filename, _called(frame), line) for frame, line in traceback.walk_tb(error.__traceback__)]
    if str(error).startswith(_TRACED):
        traced = re.findall(r'File "(.+)", line (\d+), in (\S+)', str(error))
        calls += [(path, function, int(line)) for path, line, function in traced]
    own = [(name, *call) for call in calls if (name := _plugin_of(call[0])) is not None]
    if not own:
        return None
    name, path, _, line = own[-1]
    functions = [function for _, _, function, _ in own if "<" not in function]  # comprehensions lie inside of one
    return name, functions[-1] if functions else "<lambda>", path, line


def _called(frame):
    """The name of a function, of a method with its class."""
    name = frame.f_code.co_name
    return f"{type(frame.f_locals['self']).__name__}.{name}" if "self" in frame.f_locals else name


def _uncallable(error):
    """As `_raised_at`, of a function whose parameters are others than those that are given: it was never entered."""
    named = re.match(r"([\w.]+)\(\) ", str(error)) if isinstance(error, TypeError) else None
    if named is None:
        return None
    for name, module in _LOADED.items():
        function = module
        for part in named[1].split("."):
            function = getattr(function, part, None)
        if isinstance(function, types.FunctionType):
            return name, named[1], function.__code__.co_filename, function.__code__.co_firstlineno
    return None


def _lacking(error):
    """As `_raised_at`, of an object of a plugin's class without an attribute or method that was asked for."""
    if isinstance(error, AttributeError):
        lacking = type(error.obj)
    elif isinstance(error, NotImplementedError):
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        lacking = type(frame.f_locals.get("self"))
    else:
        return None
    for name, module in _LOADED.items():
        if getattr(module, lacking.__name__, None) is lacking:
            return name, lacking.__name__, module.__file__, inspect.getsourcelines(lacking)[1]
    return None


def _plugin_of(path):
    """The plugin whose source a file is."""
    for name, module in _LOADED.items():
        folder, file = os.path.split(str(module.__file__))
        if path == module.__file__ or (file == "__init__.py" and path.startswith(folder + os.sep)):
            return name
    return None


def _part(name, function):
    """What a plugin registered and `function`, perhaps a method, belongs to, as words before the plugin's."""
    parts = _PARTS.get(name, [])
    if len(parts) > 1:
        outer = function.partition(".")[0]
        parts = [(table, part) for table, part in parts if outer in _names(table[part])]
    return f"{_called_part(*parts[0])} of " if len(parts) == 1 else ""


def _called_part(table, part):
    return f"{table.kind} {part!r}"


def _names(part):
    return getattr(part, "__name__", None), type(part).__name__


def file_hash(path: str) -> str:
    """Twelve hex digits of the SHA-256 over a source file."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:12]


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
