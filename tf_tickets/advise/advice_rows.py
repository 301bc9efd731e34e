"""What was found as CSV files to act on; ids and paths are those of the pictures."""

from __future__ import annotations

import os

import numpy as np

from tf_tickets import storage
from tf_tickets.advise.findings import Findings

_INTERVAL = ("value", "low", "high")


def write(findings: Findings, folder: str) -> list[str]:
    """Writes the files.

    Args:
      findings: what was found.
      folder: where they go; it is there.

    Returns:
      Their names.

    Raises:
      StateError: a file cannot be written.
    """
    tables = {
        "accuracy": _accuracy(findings), "classes": _classes(findings), "confusions": _confusions(findings),
        "learning_curve": _curve(findings), "suspected_labels": _suspects(findings),
        "near_duplicates": _pairs(findings), "odd_pictures": _odd(findings), "predictions": _predictions(findings),
    }  # fmt: skip
    for name, (columns, lines) in tables.items():
        rows = [dict(zip(columns, map(_rounded, line))) for line in lines]
        storage.write_csv(os.path.join(folder, f"{name}.csv"), rows, columns)
    return [f"{name}.csv" for name in tables]


def _rounded(value):
    """What is no more exact than that, as people can read it."""
    return round(float(value), 6) if isinstance(value, (float, np.floating)) else value


def _accuracy(findings):
    estimate, counted = findings.estimate, sum(each.images for each in findings.scored)
    lines = [
        (name, *interval, counted)
        for name, interval in (("accuracy", estimate.accuracy), ("balanced accuracy", estimate.balanced_accuracy))
        if interval is not None
    ]
    lines.append(("calibration error", estimate.calibration_error, None, None, counted))
    if findings.tested is not None:
        lines.append(("accuracy on the test part", *findings.tested, int((~findings.collection.folded).sum())))
    return ("measure", *_INTERVAL, "pictures"), lines


def _classes(findings):
    names, lines = findings.collection.classes, []
    for each in findings.estimate.classes:
        accuracy = each.accuracy or (None, None, None)
        taken, share = each.confused_with[0] if each.confused_with else (None, None)
        lines.append((names[each.label], each.images, *accuracy, "" if taken is None else names[taken], share))
    there = {each.label for each in findings.estimate.classes}
    lines += [(name, 0, None, None, None, "", None) for label, name in enumerate(names) if label not in there]
    return ("class", "pictures", "accuracy", "low", "high", "taken_for", "share"), lines


def _confusions(findings):
    names, confusions = findings.collection.classes, findings.estimate.confusions
    lines = [(names[true], names[said], confusions[true, said]) for true, said in np.argwhere(confusions > 0)]
    return ("class", "taken_for", "pictures"), lines


def _curve(findings):
    return ("per_class", "accuracy", "low", "high"), [tuple(point) for point in findings.curve.points]


def _suspects(findings):
    collection = findings.collection
    lines = [
        (
            collection.ids[each.row], collection.parts[each.row], collection.classes[each.given],
            collection.classes[each.suggested], each.probability_given, each.probability_suggested,
            collection.paths[each.row] or "",
        )
        for each in findings.suspects
    ]  # fmt: skip
    columns = ("id", "part", "label", "suggested", "probability_label", "probability_suggested", "path")
    return columns, lines


def _pairs(findings):
    collection = findings.collection
    lines = [
        (each.kind, each.distance, *(
            value for row in (each.first, each.second)
            for value in (
                collection.ids[row], collection.classes[collection.labels[row]], collection.parts[row],
                collection.paths[row] or "",
            )
        ))
        for each in findings.pairs
    ]  # fmt: skip
    of_both = [f"{place}_{name}" for place in ("first", "second") for name in ("id", "label", "part", "path")]
    return ("kind", "distance", *of_both), lines


def _predictions(findings):
    """What probes say of each picture that they were not fitted to."""
    collection, lines = findings.collection, []
    for row, probabilities in zip(findings.rows, findings.probabilities):
        label, said = int(collection.labels[row]), int(probabilities.argmax())
        lines.append((
            collection.ids[row], collection.classes[label], collection.classes[said], probabilities[said],
            probabilities[label], collection.paths[row] or "",
        ))  # fmt: skip
    return ("id", "label", "predicted", "probability_predicted", "probability_label", "path"), lines


def _odd(findings):
    collection = findings.collection
    lines = [
        (
            collection.ids[each.row], collection.classes[collection.labels[each.row]], collection.parts[each.row],
            each.kind, each.value, each.sentence, collection.paths[each.row] or "",
        )
        for each in findings.odd
    ]  # fmt: skip
    return ("id", "label", "part", "kind", "value", "why", "path"), lines
