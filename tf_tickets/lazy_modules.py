"""numpy, imported at its first use: tables of parts name what works on arrays, and `--help` and refusals do without it.

A module that such a table imports takes `np` from here, and has its annotations unread (`from __future__ import
annotations`).
"""

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
