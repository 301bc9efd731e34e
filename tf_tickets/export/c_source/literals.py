"""Numbers, labels and comments as C."""

import re
from collections.abc import Iterable

import numpy as np

_PLAIN = re.compile(r"[A-Za-z0-9 _.,:;()=+&%#<>|~^!-]")
# Of more bytes C99 does not promise a string.
_LONGEST_STRING = 4000


def number(value: float) -> str:
    """A float32 with as many digits as it needs to be read back as the same."""
    digits = f"{value:.9g}"
    return f"{digits}f" if "." in digits or "e" in digits else f"{digits}.0f"


def table(kind: str, name: str, values: np.ndarray) -> str:
    """A constant array, eight floats or sixteen whole numbers a line.

    Args:
      kind: the type of its entries.
      name: of the array.
      values: of any shape; floats are written as float32.
    """
    flat = values.reshape(-1)
    if np.issubdtype(flat.dtype, np.floating):
        words, width = [number(value) for value in flat.astype(np.float32).tolist()], 8
    else:
        words, width = [str(value) for value in flat.tolist()], 16
    lines = [", ".join(words[start : start + width]) for start in range(0, len(words), width)]
    # C has no empty array.
    body = ",\n    ".join(lines or ["0"])
    return f"static const {kind} {name}[{max(len(words), 1)}] = {{\n    {body},\n}};\n"


def comment(text: str) -> str:
    """Text between the marks of a comment; what could end it, or is not ASCII, becomes an underscore."""
    return f"/* {''.join(letter if _PLAIN.match(letter) else '_' for letter in text)} */"


def string(text: str) -> str:
    """Text as a constant of UTF-8: all but letters, digits and a few signs by the number of the byte."""
    data = text.encode("utf-8", "replace")
    if len(data) > _LONGEST_STRING:
        return f"(const char[]){{{', '.join(_character(byte) for byte in (*data, 0))}}}"
    return '"' + "".join(chr(byte) if _PLAIN.match(chr(byte)) else f"\\{byte:03o}" for byte in data) + '"'


def _character(byte):
    return f"'\\{byte:03o}'"


def listing(lines: Iterable[str]) -> str:
    """Lines of a constant array of anything."""
    return ",\n".join(f"    {line}" for line in lines) + ",\n"
