"""The parts of the page about one recipe, each HTML; a part without anything to show is empty text."""

import dataclasses
import functools
from collections.abc import Callable

import pandas
from matplotlib.figure import Figure

from tf_tickets.plotting import maps
from tf_tickets.registry import measured_by
from tf_tickets.report import (
    details,
    evaluations,
    figures_robustness,
    figures_training,
    html,
    more_pairs,
    pairing,
    plots,
    sentences,
    thumbnails,
)
from tf_tickets.report.statistics import PairedDifference

_CURVE_ROUNDS, _CURVE_RUNS, _CONFUSION_CLASSES, _CLASSES = 3, 12, 20, 40
_LETTERS_ACROSS = 40


@dataclasses.dataclass(frozen=True)
class Group:
    """The runs of one digest.

    Attributes:
      digest, name: the recipe, and what tells it from the others.
      frame: its rows of `tables.collect`.
      pairs: its rows of `pairing.paired`.
      rows: its rows of `evaluation_rows.gather`.
      folders: dict from run name to runs.RunFolder, of the runs that came from folders.
      figures: the drawing.Figures of the page.
      problems: takes a line for each damaged file.
    """

    digest: str
    name: str
    frame: pandas.DataFrame
    pairs: pandas.DataFrame
    rows: pandas.DataFrame
    folders: dict
    figures: object
    problems: list

    @property
    def rounds(self) -> list[int]:
        """The rounds that any run has completed, ascending."""
        return sorted(self.frame["round"].unique())

    @functools.cached_property
    def both(self) -> pandas.DataFrame:
        """Dense and ticket side by side, of `evaluations.compared`."""
        return evaluations.compared(self.rows)

    def draw(self, kind: str, draw: Callable[[], Figure], caption: str, alt: str) -> str:
        """Adds a figure of this group to the page."""
        return self.figures.add(f"{_plain(self.digest)}_{_plain(kind)}", draw, caption, alt)

    @functools.cached_property
    def result(self) -> tuple[float, float, float, PairedDifference] | None:
        """(density, dense, ticket, PairedDifference) at the last round, or None."""
        last = int(self.rounds[-1])
        return pairing.pair(self.frame, self.digest, last) if last else None

    @property
    def has_claim(self) -> bool:
        """Whether `headline` says a result."""
        return self.result is not None or self.headline() != sentences.NO_TICKET

    def headline(self) -> str:
        """The result in words."""
        result = self.result
        if result is None:
            return sentences.alone(self.frame)
        text = sentences.headline(*result)
        runs, last = self.frame["run"].nunique(), self.rounds[-1]
        reached = self.frame[self.frame["round"] == last]["run"].nunique()
        return text + sentences.reached(self.digest, last, reached, runs)


def few_pairs(group: Group) -> str:
    """The command that makes enough pairs, where there are too few."""
    line = more_pairs.command(group.frame, group.folders, group.result[3]) if group.result else ""
    return html.paragraph("This makes as many pairs as a claim needs:") + html.code(line, wrapped=True) if line else ""


def accuracy(group: Group) -> str:
    """Accuracy against density, and the table of rounds."""
    count = group.frame["run"].nunique()
    runs = sentences.count(count, "run")
    caption = f"Test accuracy after the last epoch against the share of prunable weights left, {runs}; dashed: dense. "
    caption += (
        "One run shows neither luck nor spread."
        if count == 1
        else "Two runs show no spread that could be drawn as an interval; differences to dense are in the table."
        if count < plots.LEAST_IN_BAND
        else (
            "The band is a 95 % interval of the mean over runs, not of the difference to dense, which the table gives: "
            "runs share their seeds with their dense network, so differences are known better than means."
        )
    )
    drawing = group.draw("accuracy", lambda: plots.figure(group.frame, ""), caption, "accuracy against density")
    parts = [html.heading(3, "Accuracy against density"), html.figures([drawing])]
    parts.append(html.table(pairing.cells(group.frame, group.pairs)))
    if pairing.is_marked(group.frame):
        parts.append(html.paragraph(f"{pairing.MARK_NOTE}.", "soft"))
    if not group.pairs.empty:
        parts.append(html.paragraph(
            "p: two-sided sign-flip test of each round alone. " + sentences.over_rounds(group.pairs)[1], "soft"
        ))  # fmt: skip
    return "\n".join(parts)


def robustness(group: Group) -> str:
    """Accuracy on every test set and under attack, and the difference by corruption and severity."""
    measures = evaluations.measures(group.both)
    if len(measures) < 2 and not evaluations.by_severity(group.both):
        return ""
    parts = [html.heading(3, "Robustness")]
    drawn = [_bars(group, measures)] if measures else []
    for evaluator, table in evaluations.by_severity(group.both).items():
        measure = measured_by(evaluator)
        source = measure.source(evaluator) if measure else evaluator
        drawn.append(group.draw(
            f"{evaluator}_severity",
            functools.partial(maps.differences, table, label="ticket - dense (points)", x="severity"),
            f"Accuracy of the ticket minus that of its dense network by kind of corruption and severity ({source}), "
            "mean over pairs. Orange: the ticket is better. Single cells carry no test; noise of a point or more is "
            "usual.",
            "heat map of accuracy differences by corruption and severity",
        ))  # fmt: skip
    return "\n".join([*parts, html.figures(drawn), _measures_table(group)])


def _bars(group, measures):
    pairs = max(entry["difference"].n for entry in measures)
    spread = f" Mean over {sentences.count(pairs, 'pair')}"
    spread += "; lines: its 95 % interval, wide below four pairs." if pairs > 1 else ", so without interval."
    return group.draw(
        "robustness", lambda: figures_robustness.bars(measures),
        f"Accuracy of dense network and ticket on each test set and under each attack.{spread} Intervals of the two "
        "may overlap though the paired difference, in the table, is shown.",
        "bars of accuracy, dense against ticket",
    )  # fmt: skip


def _measures_table(group):
    rounds = sorted({int(value) for value in group.both["round"]})
    text = (
        f"The ticket is round {', '.join(map(str, rounds))}. Each p stands alone, uncorrected over the test sets. "
        "ECE: expected calibration error, the distance between confidence and accuracy."
    )
    return html.table(evaluations.cells(group.both)) + "\n" + html.paragraph(text, "soft")


def classes(group: Group) -> str:
    """Accuracy by class and confusion."""
    table = evaluations.by_class(group.both)
    if table.empty:
        return ""
    shown, left = table, ""
    if len(table) > _CLASSES:
        order = (table["ticket"] - table["dense"]).abs().sort_values(ascending=False, kind="stable").index[:_CLASSES]
        shown, left = table.loc[order], f" The {_CLASSES} of {len(table)} classes that differ most, which exaggerates."
    drawn = [group.draw(
        "classes", lambda: figures_robustness.by_class(shown),
        f"Accuracy by class, mean over pairs: square dense, circle ticket.{left} No interval is drawn: read it as a "
        "description, not as a test.",
        "accuracy by class, dense and ticket",
    )]  # fmt: skip
    confusions = evaluations.confusions(group.rows, group.both) if len(table) <= _CONFUSION_CLASSES else None
    if confusions:
        drawn += _confusions(group, *confusions)
    return html.heading(3, "Classes") + "\n" + html.figures(drawn)


def _confusions(group, dense, ticket):
    # Names of more than a few letters stand upright, below cells as large as those of short ones.
    longest = max(map(len, maps.shortened(dense.columns)))
    upright = longest * len(dense) > _LETTERS_ACROSS
    side = (5.2, 1.5 + 0.34 * len(dense) + (0.075 * longest if upright else 0.0))
    words = {"x": "predicted", "y": "true", "size": side, "upright": upright}
    # One scale for both, so that colours compare.
    norm = maps.Normalize(0.0, 100 * max(table.to_numpy().max() for table in (dense, ticket)))
    plain = functools.partial(
        maps.heat_map, text=lambda value: f"{value:.0f}", norm=norm, label="% of the true class", **words
    )
    return [
        group.draw(
            "confusion_dense", lambda: plain(100 * dense),
            "Confusion of the dense network: of each true class (row), the per cent taken for each class (column), "
            "mean over runs.", "confusion matrix of the dense network",
        ),
        group.draw(
            "confusion_ticket", lambda: plain(100 * ticket),
            "Confusion of the ticket, read in the same way.", "confusion matrix of the ticket",
        ),
        group.draw(
            "confusion_difference",
            lambda: maps.differences(100 * (ticket - dense), label="points", **words),
            "Ticket minus dense, in points of the true class. On the diagonal orange is better, off it purple is. "
            "Cells are not independent: each row adds up to zero.", "difference of the two confusion matrices",
        ),
    ]  # fmt: skip


def examples(group: Group) -> str:
    """Test images that only one of the two networks has right, and sure mistakes, of the first run that kept some."""
    for name, folder in group.folders.items():
        kept = details.examples(folder, group.problems)
        parts = thumbnails.sections(kept, name) if kept else []
        if parts:
            return "\n".join(parts)
    return ""


def inside(group: Group) -> str:
    """What there is to see of masks and layers: weights left, and what analyses show."""
    # The weights left that training wrote go before those that were analysed.
    shown = maps.weights_left(details.density_means(group.folders.values(), group.rounds, group.problems))
    rows = [(measured_by(name), name, rows) for name, rows in group.rows.groupby("evaluator", sort=False)]
    for measure, name, measured in sorted((item for item in rows if item[0]), key=lambda item: item[0].order):
        read, file = functools.partial(measure.page, measured), f"what evaluations.csv has of {name}"
        shown += details.tolerant(read, file, group.problems) or []
    figures = {}
    for figure in shown:
        figures.setdefault(figure.name, figure)
    drawn = [group.draw(name, figure.draw, figure.caption, figure.alt) for name, figure in figures.items()]
    return html.heading(3, "Inside the networks") + "\n" + html.figures(drawn) if drawn else ""


def training(group: Group) -> str:
    """Training curves of some rounds."""
    later = [index for index in group.rounds if index]
    step = max(1, -(-len(later) // _CURVE_ROUNDS))
    chosen = [0, *later[::-1][::step][::-1]] if 0 in group.rounds else later[::-1][::step][::-1]
    folders = list(group.folders.values())[:_CURVE_RUNS]
    curves = details.curves(folders, chosen, group.problems)
    if not curves or max(map(len, curves.values())) < 2:
        return ""
    drawing = group.draw(
        "training", lambda: figures_training.curves(curves),
        f"Training loss by epoch of some rounds, mean over {sentences.count(len(folders), 'run')}, with test accuracy "
        "where at least three epochs were evaluated; grey: dense. A lower training loss is no better network.",
        "training curves by round",
    )  # fmt: skip
    return html.heading(3, "Training") + "\n" + html.figures([drawing])


def _plain(text):
    """A text as part of a file's name."""
    return "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_") else "_" for sign in text)
