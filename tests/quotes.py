"""Ties the numbers of pages to committed rows: what pages quote, and which of their numbers nothing quotes.

A function under `quotes_of(PAGE, ...)` makes, of the rows in `results/`, the pieces of text that these pages have to
have, word for word but for line breaks. `untied` names the numbers of a page that are in none of these pieces, unless
`stated.STATED` says of the words around them why they come from no row: a setting, others' numbers, a calculation.

Looked at are, outside of code and of addresses, numbers with decimals, with a thousand's comma or with one of `_UNITS`
behind them, and in the rows of tables of `results/` all numbers.
"""

from __future__ import annotations

import functools
import json
import re
import typing
from collections.abc import Callable, Iterator

import pandas
from conftest import ROOT

Quotes = Callable[[], Iterator[str]]
QUOTES: dict[str, list[Quotes]] = {}
_UNITS = (
    "%", "points?", "ms", "s", "seconds", "minutes", "hours?", "h", "MiB", "GiB", "kB", "KiB", "MB", "GB", "GFLOP/s",
    "times", "images/s", "Gbit/s",
)  # fmt: skip
_NUMBER = re.compile(r"(?<![\w.,:/-])[+-]?\d+(?:,\d{3})*(?:\.\d+)*(?:e[+-]?\d+)?(?=x?(?![\w]))")
_UNIT = re.compile(rf" (?:{'|'.join(_UNITS)})(?!\w)")
_UNREAD = re.compile(
    r"^( *)(```+|~~~+).*?^\1\2 *$|`[^`\n]+(?:\n[^`\n]+)?`|(?<=\])\([^)\s]*\)|<!--.*?-->|https?://\S+",
    re.DOTALL | re.MULTILINE,
)


def quotes_of(*pages: str) -> Callable[[Quotes], Quotes]:
    """A decorator of a function that makes what the pages quote: paths from the repository's root."""

    def put(function: Quotes) -> Quotes:
        for page in pages:
            QUOTES.setdefault(page, []).append(function)
        return function

    return put


@functools.cache
def rows(name: str) -> pandas.DataFrame:
    """The rows of a CSV file of `results/`."""
    return pandas.read_csv(ROOT / "results" / name)


@functools.cache
def document(name: str) -> typing.Any:
    """The content of a JSON file of `results/`."""
    return json.loads((ROOT / "results" / name).read_text(encoding="utf-8"))


def lines(frame: pandas.DataFrame, template: str) -> Iterator[str]:
    """For each row of a frame, the template with the row's cells by the names of their columns."""
    for row in frame.to_dict("records"):
        yield template.format(**{str(name): cell for name, cell in row.items()})


def percent(share: float, places: int = 2) -> str:
    """A share as it stands on pages: `86.45 %`."""
    return f"{100 * share:.{places}f} %"


def joined(words: list[str]) -> str:
    """Words as an enumeration: `a, b and c`."""
    return f"{', '.join(words[:-1])} and {words[-1]}"


def one_line(text: str) -> str:
    """Text with a single space where there are spaces and line breaks."""
    return " ".join(text.split())


def missing(page: str) -> list[str]:
    """What a page has to quote and does not have."""
    text = one_line((ROOT / page).read_text(encoding="utf-8"))
    return [quote for make in QUOTES.get(page, ()) for quote in map(one_line, make()) if quote not in text]


class Number(typing.NamedTuple):
    """A number of a page, and where: the place in its text on one line."""

    start: int
    end: int


def numbers(text: str, tables: bool) -> list[Number]:
    """The numbers of a page's Markdown that may be measured.

    Args:
      text: the page.
      tables: whether all numbers in tables count.
    """
    blank = _UNREAD.sub(lambda match: re.sub(r"[^\s]", "\0", match[0]), text)
    numbered, place = [], 0
    read = [one_line(line) for line in blank.splitlines()]
    for line, following in zip(read, [*read[1:], ""]):
        row = tables and line.startswith("|") and not following.startswith("|--")
        for match in _NUMBER.finditer(line):
            if row or "." in match[0] or "," in match[0] or _UNIT.match(line, match.end()):
                numbered.append(Number(place + match.start(), place + match.end()))
        place += len(line) + 1 if line else 0
    return numbered


def untied(text: str, ties: list[str], *, tables: bool = False) -> list[str]:
    """The numbers of a page in none of the pieces of text, each with the words around it.

    Args:
      text: the page.
      ties: pieces of its text, or regular expressions, these after a `~`.
      tables: whether all numbers in tables count.
    """
    line = one_line(text)
    patterns = [tie[1:] if tie.startswith("~") else re.escape(one_line(tie)) for tie in ties]
    spans = [match.span() for pattern in dict.fromkeys(patterns) for match in re.finditer(pattern, line)]
    return [
        f"{line[number.start : number.end]} in ...{line[max(0, number.start - 50) : number.end + 40]}..."
        for number in numbers(text, tables)
        if not any(start <= number.start and number.end <= end for start, end in spans)
    ]
