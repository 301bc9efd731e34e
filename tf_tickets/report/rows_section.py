"""All rows of a report on its page."""

import pandas

from tf_tickets.columns import percent
from tf_tickets.report import html

# Beyond these the page says how many it leaves out; report.csv holds all.
MOST_ROWS = 3000


def section(frame: pandas.DataFrame) -> str:
    """A row for each complete round, folded."""
    shown = frame.head(MOST_ROWS)
    cells = {}
    short = ["searched"] if frame["searched"].any() else []
    for name in ("run", "seed", "subset_seed", "round", "density", "weights_left", "weights_total", "epochs", *short,
                 "train_loss", "test_accuracy", "test_balanced_accuracy", "validation_accuracy"):  # fmt: skip
        if frame[name].notna().any():
            cells[name.replace("_", " ")] = [_cell(name, value) for value in shown[name]]
    rest = len(frame) - len(shown)
    more = html.paragraph(f"and {rest:,} more rows in report.csv", "soft") if rest else ""
    title = f"All {len(frame):,} rows, one for each complete round"
    return html.heading(2, "Rows") + "\n" + html.folded(title, [html.table(cells), more])


def _cell(name, value):
    if name == "density" or name.endswith("accuracy"):
        return percent(value)
    if name == "train_loss":
        return "" if value != value else f"{value:.4f}"
    return f"{value:,}" if name.startswith("weights") else str(value)
