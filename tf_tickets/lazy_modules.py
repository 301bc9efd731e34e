"""Modules that are more than their contents: numpy, imported at its first use, and rooms that can be called.

Of numpy: tables of parts name what works on arrays, and `--help` and refusals do without it.

A module that such a table imports takes `np` from here, and has its annotations unread (`from __future__ import
annotations`).
"""

import importlib
import sys
import types
import typing
from collections.abc import Callable


class LazyModule:
    """A module in whose place its attributes can be asked for."""

    def __init__(self, load: Callable[[], typing.Any]):
        """`load` imports the module and returns it."""
        self._load = load

    def __getattr__(self, name: str) -> typing.Any:
        """The module's attribute; none that Python asks instances for, such as `__setstate__`."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._load(), name)


def _numpy():
    import numpy

    return numpy


if typing.TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule(_numpy)


class _Room(types.ModuleType):
    """A room that, called, is the function of its name in `tf_tickets.library`: `tf_tickets.report(run)`."""

    @property
    def _function(self):
        return getattr(importlib.import_module("tf_tickets.library"), self.__name__.rpartition(".")[2])

    def __call__(self, *arguments: typing.Any, **named: typing.Any) -> typing.Any:
        """What the function returns."""
        return self._function(*arguments, **named)

    @property
    def __signature__(self):
        import inspect

        return inspect.signature(self._function)


def make_callable(room: str) -> None:
    """Lets an imported package, whose name stands in a library where a function of that name is wanted, be called."""
    sys.modules[room].__class__ = _Room
