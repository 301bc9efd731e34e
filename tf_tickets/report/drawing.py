"""Figures of the page: drawn once, kept as files on white, and set into the page in its own colours."""

import os
import re
from collections.abc import Callable, Iterable

from matplotlib.figure import Figure

from tf_tickets import storage
from tf_tickets.plotting.canvas import BLUE, GRID, INK, LOOK, PAPER, SOFT, look, saved
from tf_tickets.report import html

_IN_PAGE = {
    INK: "var(--ink)", "#444444": "var(--ink)", SOFT: "var(--soft)", GRID: "var(--line)", PAPER: "var(--paper)",
    BLUE: "var(--blue)",
}  # fmt: skip
_LOOK = LOOK | {
    "svg.fonttype": "none", "font.size": 9.5, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": SOFT,
    "xtick.color": SOFT, "ytick.color": SOFT, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "figure.facecolor": PAPER, "savefig.facecolor": PAPER, "axes.facecolor": "none", "grid.color": GRID,
}  # fmt: skip


class Figures:
    """Draws the figures of a page, numbers them, and writes each as a file.

    Attributes:
      folder: where the files go.
      pdf: whether each is also written as PDF.
      names: of the figures written so far.
    """

    def __init__(self, folder, pdf=False):
        self.folder, self.pdf, self.names = folder, pdf, []

    def add(self, name: str, draw: Callable[[], Figure], caption: str, alt: str) -> str:
        """Draws a figure.

        Args:
          name: of its file, without suffix.
          draw: function -> matplotlib Figure.
          caption: text; says what the figure shows and what it does not.
          alt: text for those who do not see it.

        Returns:
          HTML of a figure with the drawing, its number and the caption.
        """
        files = render(draw, ("svg", "pdf") if self.pdf else ("svg",))
        self.names.append(name)
        number = len(self.names)
        for suffix, data in files.items():
            storage.write_bytes(os.path.join(self.folder, f"{name}.{suffix}"), data)
        return html.figure(inline(files["svg"].decode("utf-8"), f"f{number}-", alt), f"Figure {number}.", caption)


def render(draw: Callable[[], Figure], formats: Iterable[str]) -> dict[str, bytes]:
    """What `draw` returns as a dict from each format, svg or pdf, to bytes, which depend on the drawing alone."""
    with look(_LOOK):
        drawn, files = draw(), {}
        # Laid out once here: saving would do it again, and draw everything twice for that.
        drawn.get_layout_engine().execute(drawn)
        drawn.set_layout_engine("none")
        for name in formats:
            files[name] = saved(drawn, name)
    return files


def inline(svg: str, prefix: str, alt: str) -> str:
    """An SVG document as an element of an HTML page.

    Args:
      svg: its text.
      prefix: put before every id, which would else meet those of other drawings.
      alt: text for those who do not see it.

    Returns:
      HTML without any reference out of the page, its fixed colours replaced by variables of the page's style.
    """
    body = svg[svg.index("<svg") :]
    view = re.search(r'viewBox="([^"]*)"', body)[1]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = body[body.index(">") + 1 :].replace("xlink:href", "href")
    body = re.sub(r'\bid="([^"]*)"', rf'id="{prefix}\1"', body)
    body = re.sub(r'href="#([^"]*)"', rf'href="#{prefix}\1"', body)
    body = re.sub(r"url\(#([^)]*)\)", rf"url(#{prefix}\1)", body)
    for colour, variable in _IN_PAGE.items():
        # Only where a style names it: the same letters may stand in a label.
        body = re.sub(rf"(fill|stroke): {colour}", rf"\1: {variable}", body, flags=re.IGNORECASE)
    width = float(view.split()[2])
    return (
        f'<svg viewBox="{view}" role="img" aria-label="{html.escape(alt)}" style="max-width:{width * 4 / 3:.0f}px">'
        f"{body.strip()}"
    )
