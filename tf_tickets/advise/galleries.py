"""The pictures that the page of `advise` shows, with what is said of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tf_tickets.advise.findings import Findings
from tf_tickets.report import html
from tf_tickets.report.sentences import count
from tf_tickets.report.thumbnails import data_address

# Pictures of a kind that the page shows; the CSV files list all.
_MOST = 48


def labels(findings: Findings) -> Iterator[str]:
    """HTML of the pictures whose labels may be wrong."""
    if not findings.suspects:
        return
    names = findings.collection.classes
    yield html.heading(2, "Labels that may be wrong", "labels")
    yield html.paragraph(
        "Most suspicious first. In bold what the picture is labelled; below what it looks like, and how probable the "
        "two are. Not every picture here is mislabelled: it may be a hard one, or show two things."
        + _rest(findings.suspects, "suspected_labels.csv")
    )
    shown = [
        (each.row, names[each.given], [
            f"{names[each.suggested]}? {100 * each.probability_suggested:.0f} %",
            f"{names[each.given]}: {100 * each.probability_given:.0f} %",
        ])
        for each in findings.suspects[:_MOST]
    ]  # fmt: skip
    yield _gallery(
        _example(findings, [row], name, [*lines, findings.collection.ids[row]]) for row, name, lines in shown
    )


def copies(findings: Findings) -> Iterator[str]:
    """HTML of the near-duplicates, pair by pair."""
    if not findings.pairs:
        return
    yield html.heading(2, "Pictures that look like copies", "copies")
    yield html.paragraph(
        "By their pixels alone: drawings, and other pictures of few shapes, may look like copies and be none. In the "
        "numbers of this page one of each group counts, the first by name, and none where their classes differ.",
        "soft",
    )  # fmt: skip
    leaks, contradictions = findings.leaks, findings.contradictions
    alike = [pair for pair in findings.pairs if pair not in leaks and pair not in contradictions]
    kinds = {
        "Between the training part and the test part": leaks, "In two classes": contradictions,
        "Inside of one class": alike,
    }  # fmt: skip
    for title, pairs in kinds.items():
        if pairs:
            yield html.heading(3, title)
            yield html.paragraph(
                f"{count(len(pairs), 'pair').capitalize()}." + _rest(pairs, "near_duplicates.csv", _MOST // 2), "soft"
            )
            yield _gallery(_pair(findings, pair) for pair in pairs[: _MOST // 2])


def odd(findings: Findings) -> Iterator[str]:
    """HTML of the pictures that are unlike the others."""
    if not findings.odd:
        return
    collection = findings.collection
    yield html.heading(2, "Pictures unlike the others", "odd")
    yield html.paragraph("Most striking first." + _rest(findings.odd, "odd_pictures.csv"))
    by_row = {}
    for each in findings.odd:
        by_row.setdefault(each.row, []).append(f"{each.kind}: {each.sentence}")
    yield _gallery(
        _example(findings, [row], _class(collection, row), [*lines, collection.ids[row]])
        for row, lines in list(by_row.items())[:_MOST]
    )


def _pair(findings, pair):
    collection, rows = findings.collection, (pair.first, pair.second)
    lines = [f"{_class(collection, row)}, {collection.parts[row]}: {collection.ids[row]}" for row in rows]
    return _example(findings, rows, pair.kind, lines)


def _class(collection, row):
    return collection.classes[collection.labels[row]]


def _rest(listed: Sequence, file: str, most: int = _MOST) -> str:
    return f" The first {most} of {len(listed):,}; {file} has all." if len(listed) > most else f" {file} lists them."


def _example(findings, rows, bold, lines):
    """Pictures side by side, a text in bold, and lines below."""
    collection = findings.collection
    drawn = "".join(
        f'<img src="{data_address(collection.images.pixels(row))}" alt="{(name := html.escape(collection.ids[row]))}" '
        f'title="{name}">'
        for row in rows
    )
    below = "<br>".join(html.escape(line).replace("/", "/<wbr>") for line in lines)
    kind = "example pair" if len(rows) > 1 else "example"
    return f'<div class="{kind}">{drawn}<b>{html.escape(bold)}</b><br>{below}</div>'


def _gallery(shown) -> str:
    return f'<div class="examples">{"".join(shown)}</div>'
