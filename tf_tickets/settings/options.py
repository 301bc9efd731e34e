"""How one setting is declared, parsed and checked: a dataclass field that is also a flag."""

import dataclasses
import difflib
import math
import numbers
import os
import re
import types
import typing
from collections.abc import Callable, Iterable

from tf_tickets.registry import Registry

# Digits of a whole number: more are no setting, and folders could not be named after them.
_DIGITS = 100
_TOO_LARGE = f"has more than {_DIGITS} digits"


def option(
    default: typing.Any, text: str | Callable[[], str], *,
    choices: Iterable[str] | Callable[[], Iterable[str]] | None = None,
    low: float | None = None, high: float | None = None, above: float | None = None, check: Callable | None = None,
    digest: bool = True, explained: Callable[[], dict[str, str]] | None = None,
) -> typing.Any:  # fmt: skip
    """A field that is a flag; `low`/`high` are inclusive bounds, `above` an exclusive one, `check(text) -> problem`.

    `text`, what `--help` says, may be a function, and `choices` one or a registry: both are looked at when needed.
    `explained` gives choices with a sentence each, which `--help=FLAG` shows beside `text`.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "help": text, "choices": choices, "low": low, "high": high, "above": above, "check": check,
            "digest": digest, "explained": explained,
        },
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Option:
    """One field as a flag: its name, group, type and metadata."""

    name: str
    group: str
    type: type
    optional: bool
    default: object
    metadata: typing.Mapping[str, typing.Any]

    @property
    def help(self) -> str:
        """What `--help` says of it, without its choices."""
        text = self.metadata["help"]
        return text if isinstance(text, str) else text()

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that it can have, of many alike their pattern; empty where others are possible."""
        choices = self.metadata["choices"]
        if isinstance(choices, Registry):
            return choices.spelled
        return tuple(choices() if isinstance(choices, types.FunctionType) else choices or ())

    @property
    def explained(self) -> dict[str, str]:
        """Choices with a sentence each, where what `help` says of all together would be too long."""
        return self.metadata["explained"]() if self.metadata["explained"] else {}

    def parse(self, text: str) -> typing.Any:
        """Text to a checked value; raises ValueError with the problem, without the flag's name."""
        if self.type is bool:
            if text.lower() not in ("true", "false", "1", "0"):
                raise ValueError("is not true or false")
            return text.lower() in ("true", "1")
        if self.type is float and (parts := re.fullmatch(r"(\d{1,9})/([1-9]\d{0,8})", text, re.ASCII)):
            return self.check(int(parts[1]) / int(parts[2]))
        try:
            # int and float also read 1_000 and other scripts' digits, which are more likely slips.
            value = self.type(text if self.type is str or (text.isascii() and "_" not in text) else "")
        except ValueError:
            raise ValueError(f"is not {'a whole number' if self.type is int else 'a number'}") from None
        return self.check(value)

    def check(self, value: typing.Any) -> typing.Any:
        """Returns `value` if it is in range and among the choices, else raises ValueError with the problem."""
        limits = self.metadata
        if self.type is int and abs(value) >= 10**_DIGITS:
            raise ValueError(_TOO_LARGE)
        if self.type is float:
            try:
                value = float(value)
            except OverflowError:
                value = math.inf
            if not math.isfinite(value):
                raise ValueError("is not a finite number")
        table = limits["choices"] if isinstance(limits["choices"], Registry) else None
        if self.choices and value not in (self.choices if table is None else table):
            choices = self.choices if table is None else table.near(value)
            close = difflib.get_close_matches(str(value), choices, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            own = ", nor of what --plugins=MODULE registers" if choices == self.choices and table is not None else ""
            raise ValueError(f"is not one of {', '.join(choices)}{own}{hint}")
        if limits["low"] is not None and value < limits["low"]:
            raise ValueError(f"is below {limits['low']}")
        if limits["above"] is not None and value <= limits["above"]:
            raise ValueError(f"is not above {limits['above']:g}")
        if limits["high"] is not None and value > limits["high"]:
            raise ValueError(f"is above {limits['high']:g}")
        problem = check_text(value) if self.type is str else None
        problem = problem or (limits["check"](value) if limits["check"] else None)
        if problem:
            raise ValueError(problem)
        return value

    def format(self, value: typing.Any) -> str:
        """The value as one flagfile line; `parse` reads it back exactly."""
        if self.type is bool:
            return f"--{self.name}" if value else f"--no{self.name}"
        return f"--{self.name}={value!r}" if self.type is float else f"--{self.name}={value}"


def check_text(text: str) -> str | None:
    """What a flagfile line could not carry there and back."""
    if not text:
        return "is empty"
    if text != text.strip():
        return "begins or ends with a space"
    if len(text.splitlines()) != 1 or "\x00" in text:
        return "holds a line break"
    if not text.isascii() and text != text.encode("utf-8", "ignore").decode("utf-8"):
        return "is not UTF-8 text"
    return None


def checked(option: Option, value: typing.Any) -> typing.Any:
    """A value from Python, anything but None, checked against its option's range and turned into its type.

    numpy's scalars stand for Python's, a path for its text, and a number for its text where text is wanted:
    subset_seed=3.

    Raises:
      ValueError: the problem, without the flag's name and the value.
    """
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    if option.type is str and isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str):
        return option.parse(value)
    if option.type is bool and isinstance(value, bool):
        return value
    wanted = {int: numbers.Integral, float: numbers.Real, str: numbers.Real}.get(option.type)
    if wanted is None or isinstance(value, bool) or not isinstance(value, wanted):
        raise ValueError(f"is of type {type(value).__name__}, not {accepted(option)}")
    whole = isinstance(value, numbers.Integral)
    try:
        value = int(value) if whole else float(value)
        value = str(value) if option.type is str else value
    except (OverflowError, ValueError):
        raise ValueError(_TOO_LARGE) from None
    return option.check(value)


def accepted(option: Option) -> str:
    """What an Option takes, for a message."""
    limits = option.metadata
    if option.type is bool:
        return "True or False"
    if option.choices:
        return f"one of {', '.join(option.choices)}"
    if option.type is str:
        return f"text ({option.help})"
    bounds = [(limits["low"], "at least"), (limits["above"], "above"), (limits["high"], "at most")]
    text = " and ".join(f"{word} {bound:g}" for bound, word in bounds if bound is not None)
    return ("a whole number" if option.type is int else "a number") + (f", {text}" if text else "")
