"""Empty figures, how they look, and their files as PNG, SVG and PDF, whose bytes depend on the drawing alone."""

import contextlib
import dataclasses
import io
import math
import os
import re
import typing
import warnings
from collections.abc import Callable, Iterator, Sequence

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from tf_tickets import storage
from tf_tickets.errors import plain_xml

if typing.TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

# Okabe and Ito's palette, readable with colour-blind eyes, brown for its yellow, which is faint on white; markers tell
# the groups apart without colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LOOK = {
    "svg.hashsalt": "tf_tickets", "svg.fonttype": "path", "pdf.fonttype": 42, "font.size": 10.0, "axes.titlesize": 10.0,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6, "axes.axisbelow": True, "legend.fontsize": 8.5, "legend.frameon": False,
    "text.parse_math": False,  # names may hold dollars
}  # fmt: skip
# Nothing of when and by what a file was made.
METADATA = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
# Of the page: those that it replaces by its own, so that one drawing serves light, dark and paper.
INK, SOFT, GRID, PAPER, BLUE = "#1c1c1d", "#6e6e73", "#e4e4e4", "#fefefe", "#0072b2"
_LACKING = r"Glyph .* missing from"


@dataclasses.dataclass(frozen=True)
class Shown:
    """A figure for the page of a report.

    Attributes:
      name: of its file, without suffix.
      draw: function () -> the figure.
      caption: says what it shows and what it does not.
      alt: text for those who do not see it.
    """

    name: str
    draw: Callable[[], Figure]
    caption: str
    alt: str


class Drawing(Figure):
    """A figure that notebooks show, though pyplot does not know it."""

    def _repr_png_(self):
        return saved(self, "png")


def canvas(width: float, height: float) -> Figure:
    """An empty figure of so many inches that no window shows."""
    drawn = Drawing(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    FigureCanvasAgg(drawn)
    return drawn


def write(draw: Callable[[], Figure], path_without_suffix: str, formats: Sequence[str] = ("png", "svg")) -> list[str]:
    """Writes what `draw` gives as PNG and SVG, whatever a matplotlibrc says; returns the paths."""
    with look(LOOK) as lacking:
        drawn, paths = draw(), []
        for name in formats:
            if lacking():
                matplotlib.rcParams["svg.fonttype"] = "none"  # the reader's fonts may have what ours lacks
            paths.append(f"{os.path.abspath(path_without_suffix)}.{name}")
            storage.write_bytes(paths[-1], saved(drawn, name, dpi=200))
    return paths


def saved(drawn: Figure, name: str, **options: typing.Any) -> bytes:
    """The bytes of a figure in a format of METADATA."""
    drawn.savefig(data := io.BytesIO(), format=name, metadata=METADATA[name], **options)
    return plain_xml(data.getvalue().decode()).encode() if name == "svg" else data.getvalue()


@contextlib.contextmanager
def look(settings: dict) -> Iterator[Callable[[], bool]]:
    """Draws under these settings alone, whatever a matplotlibrc says.

    Yields:
      A function that says whether what has been drawn holds characters that the font lacks; nothing is printed of it.
    """
    with matplotlib.rc_context(), warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", _LACKING)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings)
        yield lambda: any(re.match(_LACKING, str(warning.message)) for warning in caught)
    for warning in caught:
        if not re.match(_LACKING, str(warning.message)):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def density_axis(axes: "Axes", densities: "pandas.Series | list[float]") -> None:
    """A log axis of densities (positive fractions), sparser to the right, with ticks in per cent."""
    axes.set_xscale("log")
    least = min(densities)
    margin = max((1.0 / least) ** 0.04, 1.01)
    axes.set_xlim(max(densities) * margin, least / margin)
    ticks = _ticks(densities)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{100 * tick:.3g} %" for tick in ticks]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("density: prunable weights left (log scale)")


def _ticks(densities):
    """At most nine densities for labels: 100 50 20 10 ... per cent, else decades, else some that occur."""
    most, least = max(densities), min(densities)
    decades = range(math.floor(math.log10(least)) - 1, 1)
    within = [d for d in (m * 10.0**k for k in decades for m in (1, 2, 5)) if least * 0.999 <= d <= most * 1.001]
    if 3 <= len(within) <= 9:
        return sorted(within, reverse=True)
    if len(within) > 9:
        tens = [10.0**k for k in decades if least * 0.999 <= 10.0**k <= most * 1.001]
        return tens[:: -math.ceil(len(tens) / 9)]
    ticks, room = [], math.log(most / least) / 6
    for density in sorted(set(densities), reverse=True):
        if not ticks or math.log(ticks[-1] / density) > room:
            ticks.append(density)
    return ticks
