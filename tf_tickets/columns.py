"""Text in the columns of a terminal, where a character is not always one column wide; shares in per cent."""

import math
import unicodedata
from collections.abc import Iterable, Sequence


def width(text: str) -> int:
    """The columns that text takes in a terminal: two of wide characters, none of marks on others."""
    if text.isascii():
        return len(text)
    marks = ("Mn", "Me", "Cf")
    wide = (2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text if unicodedata.category(c) not in marks)
    return sum(wide)


def aligned(rows: Iterable[Sequence[str]], sides: str) -> str:
    """Rows of cells as lines of text, each column as wide as its widest cell, two spaces between them.

    Args:
      rows: equally many cells each; a row of titles is one of them.
      sides: for each column `l` or `r`, where its text stands; the last one is also that of all columns after it.
    """
    padded = []
    for index, cells in enumerate(zip(*rows)):
        side, widest = sides[min(index, len(sides) - 1)], max(map(width, cells))
        spaces = [" " * (widest - width(cell)) for cell in cells]
        padded.append([cell + space if side == "l" else space + cell for cell, space in zip(cells, spaces)])
    return "\n".join("  ".join(line).rstrip() for line in zip(*padded))


# Measured shares, which tables and figures give in per cent.
IN_PERCENT = ("accuracy", "calibration_error")


def measured(metric: str, value: float) -> str:
    """What was measured, as text."""
    return f"{100 * value:.2f} %" if metric in IN_PERCENT else f"{value:.6g}"


def percent(fraction: float | None) -> str:
    """A fraction as text in per cent, blank where missing; tiny densities keep their digits."""
    if fraction is None or math.isnan(fraction):
        return ""
    return f"{100 * fraction:.2f} %" if fraction == 0 or fraction >= 1e-3 else f"{100 * fraction:.3g} %"
