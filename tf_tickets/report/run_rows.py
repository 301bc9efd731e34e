"""The columns of the rows of rounds, and the checks of their cells."""

import re
from collections.abc import Mapping, Sequence

import pandas

from tf_tickets.errors import plain_xml
from tf_tickets.registry import CONTROLS
from tf_tickets.settings.groups import Pruning

_TEXTS = (
    "run", "dataset", "model", "data", "augment", "control", "rewind", "subset_seed", "digest", "recipe", "criterion",
    "pretrained", "scope", "distillation",
)  # fmt: skip
_SETTINGS = (*_TEXTS[:7], "seed", "order_seed", *_TEXTS[7:10])
_WHOLE = ("seed", "order_seed", "round", "weights_left", "weights_total", "epochs", "searched")
_OPTIONAL = ("train_loss", "test_balanced_accuracy", "test_accuracy_best_epoch", "validation_accuracy")
_FRACTIONS = ("density", "test_accuracy", *_OPTIONAL[1:])
ROUND = (
    "round", "density", "weights_left", "weights_total", "epochs", "train_loss", "test_accuracy",
    "test_balanced_accuracy", "test_accuracy_best_epoch", "validation_accuracy", "searched",
)  # fmt: skip
# Whole numbers that earlier versions did not write, of which cells may be empty.
_COUNTS = ("images", "exported", "soup_members")
# What a round cost, as its summary has it; earlier versions did not count it.
COST = ("training_multiply_adds",)
# Rows of earlier versions lack these: every round was trained in full, magnitude was the only criterion, and what was
# ranked together is not known, mostly all weights.
LATER = {
    "searched": 0, "recipe": "unknown", "criterion": Pruning.criterion, "images": None, "pretrained": "unknown",
    "exported": None, "scope": Pruning.scope, "training_multiply_adds": None, "soup_members": None,
    "distillation": "",
}  # fmt: skip
COLUMNS = (
    *_SETTINGS,
    *ROUND,
    "criterion",
    "images",
    "pretrained",
    "exported",
    "scope",
    *COST,
    "soup_members",
    "distillation",
)
# Of a loss or another number without bounds: axes and means of more overflow.
MOST = 1e100


def checked(values: Mapping, columns: Sequence[str], place: str = "") -> dict:
    """The cells of one row in their types; ValueError names the column.

    Args:
      values: text of a CSV file, or what a summary holds.
      columns: of COLUMNS.
      place: what stands before the column's name in the message.
    """
    row, values = {}, {**LATER, **values}
    for name in columns:
        if name not in values:
            raise ValueError(f"{place}{name} is missing")
        value = values[name]
        unmeasured = name == "test_accuracy" and values["searched"] in (1, "1")
        if value in (None, "") and (name in (*_OPTIONAL, *_COUNTS, *COST) or unmeasured):
            row[name] = None
            continue
        if value == "" and name in ("pretrained", "distillation"):
            row[name] = ""
            continue
        try:
            if value in (None, ""):
                raise ValueError
            row[name] = str(value) if name in _TEXTS else int(value) if name in (*_WHOLE, *_COUNTS) else float(value)
        except (ValueError, TypeError, OverflowError):
            raise ValueError(f"{place}{name} is {_said(value)}") from None
        problem = _problem(name, row[name])
        if problem is not None:
            raise ValueError(f"{place}{name} is {_said(value)}{problem}")
    _check_counts(row, place)
    return row


def _said(value):
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _problem(name, value):
    """Why a cell cannot have a value of its type, as the end of a sentence; None where it can."""
    if name in _TEXTS:
        if name == "control" and value not in CONTROLS:
            return f", not one of {', '.join(CONTROLS)}"
        if name == "digest" and not re.fullmatch(r"[\w.-]{1,64}", value, re.ASCII):
            return ", no digest: figures could not be named after it"
        return None if plain_xml(value) == value else ", which no page can show"
    if name in _FRACTIONS and not 0.0 <= value <= 1.0:
        return ", not a fraction from 0 to 1"
    if name == "exported":
        return None if value in (0, 1) else ", neither 0 nor 1"
    if name in ("images", "soup_members"):
        return None if 0 < value < 2**63 else f", no number of {'images' if name == 'images' else 'trainings'}"
    if name in COST and value < 0:
        return ", which is negative"
    if name in _WHOLE:
        return None if -(2**63) <= value < 2**63 else ""
    return None if abs(value) <= MOST else ", which no axis can show"


def _check_counts(row, place):
    if row["searched"] not in (0, 1):
        raise ValueError(f"{place}searched is {row['searched']}, neither 0 nor 1")
    left, total = row["weights_left"], row["weights_total"]
    # Of almost nothing the share has its digits too.
    if not 0 <= left <= total or not total or abs(row["density"] - left / total) > min(1e-6, 1e-3 * left / total):
        raise ValueError(f"{place}density is {row['density']} with {left:,} of {total:,} weights left")


def framed(rows: Sequence[dict], columns: Sequence[str]) -> pandas.DataFrame:
    """Rows of `checked` as a frame, each column of its type."""
    types = {name: "int64" if name in _WHOLE else "float64" for name in columns if name not in _TEXTS}
    types |= {name: "Int64" for name in _COUNTS if name in columns}
    return pandas.DataFrame(rows, columns=list(columns)).astype(types)
