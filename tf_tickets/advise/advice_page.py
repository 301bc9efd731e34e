"""The page of `advise`: one file that needs no network, what to do first, and why below."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence

from tf_tickets import storage
from tf_tickets.advise import drawings, galleries
from tf_tickets.advise.estimates import Interval
from tf_tickets.advise.findings import Findings
from tf_tickets.advise.methods import Recommendation
from tf_tickets.report import html
from tf_tickets.report.drawing import Figures
from tf_tickets.report.sentences import count, number

# Rows of the table of classes; classes.csv has all.
_MOST_CLASSES = 200
_EXTRA = (10, 20, 50, 100, 200)
# How many times as often as with equal classes the largest one is right from which that is said.
_LOPSIDED = 1.5
_NAMED = 10
_HOW = (
    "Nothing was trained but linear probes, logistic regressions on what a frozen network sees of the pictures.",
    "Accuracy: the pictures are divided into parts, each is predicted by a probe that was fitted to the others, and "
    "all that again with other parts. The interval is wider than that of as many independent pictures, since the "
    "probes share theirs (Nadeau and Bengio 2003). It is about pictures of the same kind, taken in the same way as "
    "these; others can be harder.",
    "Suspected labels: confident learning (Northcutt, Jiang and Chuang 2021) on the same predictions. The curve: "
    "probes of growing numbers of pictures, a power law fitted to their accuracy, its band by bootstrap.",
)


def write(
    findings: Findings, steps: Sequence[Recommendation], *, title: str, folder: str, command: str, files: Sequence[str]
) -> str:
    """Writes advice.html and its figures.

    Args:
      findings: what was found.
      steps: what to do.
      title: of the page.
      folder: where it goes; it is there.
      command: the command line that made it.
      files: names of the CSV files beside it.

    Returns:
      The path of the page.

    Raises:
      StateError: a file cannot be written.
    """
    figures = Figures(storage.subfolder(folder, "figures"))
    parts = [
        html.heading(1, title), *_claims(findings), html.heading(2, "What to do", "steps"), *_steps(steps),
        *_accuracy(findings, figures), *_curve(findings, figures), *galleries.labels(findings),
        *galleries.copies(findings), *galleries.odd(findings), *_how(findings, command, files),
    ]  # fmt: skip
    path = os.path.join(folder, "advice.html")
    storage.write_bytes(path, html.page(title, parts).encode("utf-8"))
    return path


def interval(value: Interval) -> str:
    """A share and its interval in per cent: `81.2 % [77.3, 84.6]`."""
    return f"{100 * value.value:.1f} % {_bounds(value)}"


def _bounds(value):
    return f"[{100 * value.low:.1f}, {100 * value.high:.1f}]"


def _claims(findings) -> Iterator[str]:
    accuracy, balanced = findings.estimate.accuracy, findings.estimate.balanced_accuracy
    if accuracy is None:
        yield html.paragraph(f"{findings.pictures}: too few to say how often a network will be right.", "claim")
        return
    if findings.guesses:
        yield html.paragraph(
            f"With {findings.pictures}, a network is not yet better than guessing: with every class counted alike it "
            f"recognises {interval(balanced)} of new pictures, guessing {100 / len(findings.scored):.0f} %.", "claim",
        )  # fmt: skip
    else:
        yield html.paragraph(
            f"With {findings.pictures}, expect {100 * accuracy.value:.0f} % of new pictures of this kind to be "
            "recognised: "
            f"with 95 % confidence between {100 * accuracy.low:.0f} and {100 * accuracy.high:.0f} %.", "claim",
        )  # fmt: skip
    if findings.guessing > _LOPSIDED / len(findings.scored):
        yield html.paragraph(
            f"Always naming the largest class would be right in {100 * findings.guessing:.0f} % of these pictures; "
            f"with every class counted alike {interval(balanced)} are recognised."
        )
    yield html.paragraph(f"Seen through {findings.backbone.sentence}; only its last layer was fitted.")
    if findings.tested is not None:
        yield html.paragraph(f"Of the test part that was given, {interval(findings.tested)} are recognised.")
    if findings.unscored:
        names = ", ".join(findings.unscored[:_NAMED]) + (", ..." if len(findings.unscored) > _NAMED else "")
        amount = f"{number(len(findings.unscored))} class{'' if len(findings.unscored) == 1 else 'es'}"
        yield html.paragraph(f"Nothing can be said of {amount} without two different pictures: {names}.")


def _steps(steps) -> Iterator[str]:
    for place, step in enumerate(steps, 1):
        yield html.heading(3, f"{place}. {step.title}")
        yield from map(html.paragraph, step.reasons)
        if step.commands:
            yield html.code("\n".join(step.commands), wrapped=True)


def _accuracy(findings, figures) -> Iterator[str]:
    estimate, names = findings.estimate, findings.collection.classes
    if estimate.accuracy is None:
        return
    yield html.heading(2, "Accuracy to expect", "accuracy")
    yield html.paragraph(
        f"Over all pictures {interval(estimate.accuracy)}; with every class counted alike "
        f"{interval(estimate.balanced_accuracy)}. Always naming the largest class: {100 * findings.guessing:.1f} %. "
        f"The probe's own probabilities are off by {100 * estimate.calibration_error:.1f} points on average "
        "(calibration error)."
    )
    scored = len(findings.scored)
    weakest = f" The {drawings.MOST_CLASSES} weakest of {scored}." if scored > drawings.MOST_CLASSES else ""
    shown = [figures.add(
        "by_class", functools.partial(drawings.by_class, estimate, names),
        f"Accuracy of each class with its 95 % interval, weakest first; dotted, that of all pictures.{weakest}",
        "accuracy by class",
    )]  # fmt: skip
    if estimate.confusions.sum() > estimate.confusions.trace():
        shown.append(figures.add(
            "confusions", functools.partial(drawings.confusions, estimate, names),
            "What the pictures of each class are taken for, in per cent; the diagonal is right.",
            "which class is taken for which",
        ))  # fmt: skip
    yield html.figures(shown)
    yield html.folded("All classes", [html.table(_classes(findings))])


def _classes(findings):
    names, classes = findings.collection.classes, findings.estimate.classes[:_MOST_CLASSES]
    taken = [
        ", ".join(f"{names[label]} {100 * share:.0f} %" for label, share in each.confused_with[:3]) for each in classes
    ]
    return {
        "class": [names[each.label] for each in classes],
        "pictures": [str(each.images) for each in classes],
        "recognised": ["–" if each.accuracy is None else f"{100 * each.accuracy.value:.0f} %" for each in classes],
        "95 % interval": ["–" if each.accuracy is None else _bounds(each.accuracy) for each in classes],
        "taken for": [text or "–" for text in taken],
    }


def _curve(findings, figures) -> Iterator[str]:
    curve = findings.curve
    if len(curve.points) < 2:
        return
    yield html.heading(2, "How much more pictures would help", "curve")
    gains = [gain for extra in _EXTRA if (gain := curve.more(extra)) is not None]
    texts = [
        f"{gain.extra} more of each class: {100 * gain.gain:+.1f} points [{100 * gain.low:+.1f}, "
        f"{100 * gain.high:+.1f}]"
        for gain in gains
    ]
    yield html.paragraph(f"{'; '.join(texts)}." if texts else "The curve says nothing yet about more pictures.")
    furthest = curve.per_class + max((gain.extra for gain in gains), default=0)
    law = (
        " The line is the power law through them, with its band; right of the last point it is a forecast."
        if gains
        else ""
    )
    yield html.figures([figures.add(
        "learning_curve", functools.partial(drawings.curve, curve, furthest),
        f"Accuracy by pictures per class, with 95 % intervals.{law}", "accuracy by pictures per class",
    )])  # fmt: skip


def _how(findings, command, files) -> Iterator[str]:
    yield html.heading(2, "How this was computed", "how")
    yield from map(html.paragraph, _HOW)
    if findings.repeats:
        left_out = count(findings.repeats, "picture").capitalize()
        yield html.paragraph(f"{left_out} left out of accuracy, curve and labels: copies, or in two classes.")
    for notice in findings.collection.notices:
        yield html.paragraph(f"{notice[0].upper()}{notice[1:]}.", "soft")
    yield html.paragraph(f"The rows, beside this page: {', '.join(files)}.")
    yield html.code(command, wrapped=True)
