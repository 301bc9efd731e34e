"""Tables of a report as LaTeX, ruled by booktabs, for a paper that inputs them."""

import re
from collections.abc import Sequence

from tf_tickets.errors import plain

# What LaTeX reads as a command, and what its fonts draw as another sign or join with the next one.
_SIGNS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "'": r"\textquotesingle{}", "`": r"\textasciigrave{}",
    # At the start of a row these would belong to the end of the row before.
    "[": "{[}", "]": "{]}", "*": "{*}",
    "±": r"$\pm$", "–": "--",
}  # fmt: skip

_NUMBERS = re.compile(r"[-+±.,%()\[\]\d ]+")


def escape(text: str) -> str:
    """Text that LaTeX sets as it stands; control characters are named as in every other output."""
    # Two dashes or commas in a row are one sign in LaTeX's fonts.
    return re.sub(r"([-,])(?=\1)", r"\1{}", "".join(_SIGNS.get(sign, sign) for sign in plain(text)))


def table(blocks: Sequence[tuple[str, dict[str, list[str]]]], source: str, note: str = "") -> str:
    """A tabular of several parts under one head.

    Args:
      blocks: (title, columns) each: columns is a dict from title to a list of cells, all text, with the same titles in
        every block or fewer. The titles of blocks stand in the table where there are several.
      source: the file that has the same numbers in full.
      note: a sentence for the reader of the file.

    Returns:
      Text. Its first column is set to the left, the others, numbers, to the right.
    """
    titles = list(dict.fromkeys(title for _, columns in blocks for title in columns))
    rows = [rf"{' & '.join(map(escape, titles))} \\".replace(" - ", " $-$ ")]
    for title, columns in blocks:
        rows.append(r"\midrule")
        if len(blocks) > 1:
            rows.append(rf"\multicolumn{{{len(titles)}}}{{l}}{{{escape(title)}}} \\")
        rows += [rf"{' & '.join(map(_cell, line))} \\" for line in _lines(columns, titles)]
    body = "\n".join([rf"\begin{{tabular}}{{l{'r' * (len(titles) - 1)}}}", r"\toprule", *rows, r"\bottomrule"])
    return "\n".join([*_head(body, source, note), body, r"\end{tabular}", ""])


def _head(body, source, note):
    lines = [rf"% From {source}. It wants \usepackage{{booktabs}} and \usepackage[T1]{{fontenc}}."]
    if any(ord(sign) > 0xFF for sign in body):
        lines.append("% Names here have letters for which pdfLaTeX needs packages: XeLaTeX and LuaLaTeX need a font.")
    return [*lines, *([f"% {plain(note)}"] if note else [])]


def _lines(columns, titles):
    length = len(next(iter(columns.values())))
    return zip(*(columns.get(title, [""] * length) for title in titles))


def _cell(text):
    """A cell; numbers get a true minus and a thin space before the per cent sign, a dash alone is a long one."""
    cell = escape(text)
    if _NUMBERS.fullmatch(text):
        cell = re.sub(r"([+-])(?=\d)", r"$\1$", cell).replace(r" \%", r"\,\%")
    return "--" if text == "-" else cell
