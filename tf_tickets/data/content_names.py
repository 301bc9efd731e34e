"""Images given from Python: in the settings, names of their content stand for them where a path of a file would.

A value is found by its name for as long as the program keeps it. Names are also what a run's folder records, so that a
later command can say what is missing.
"""

import typing
import weakref

from tf_tickets.errors import UsageError
from tf_tickets.settings.places import PREFIX

_SUFFIXES = {"data_file": "npz", "labels_file": "csv"}
_values: weakref.WeakValueDictionary[str, typing.Any] = weakref.WeakValueDictionary()


def name_of(value: typing.Any, digest: str) -> str:
    """The name under which `find` gives a value, of which `digest` is the content's."""
    name = f"{PREFIX}{digest}"
    _values[name] = value
    return name


def is_there(name: str) -> bool:
    """Whether the program still keeps what has this name."""
    return name in _values


def find(name: str, flag: str) -> typing.Any:
    """The value; UsageError where the program keeps it no more, or another program had it."""
    value = _values.get(name)
    if value is None:
        raise UsageError(lost("the images", flag))
    return value


def lost(images: str, flag: str) -> str:
    """The sentence that says how images that are gone are given again.

    Args:
      images: what they are called, such as "the images of runs/...".
      flag: the setting that has their name.
    """
    file = f"images.{_SUFFIXES[flag]}"
    again = f'give data= again, or write them there with .save("{file}") and add --{flag}={file}'
    return f"{images} were given from Python: {again}"
