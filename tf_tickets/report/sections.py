"""The parts of the page about one recipe, each HTML; a part without anything to show is empty text."""

import dataclasses
import functools

import pandas

from tf_tickets.report import (
    details,
    evaluations,
    figures_networks,
    figures_robustness,
    html,
    pairing,
    plots,
    sentences,
    thumbnails,
)

_CURVE_ROUNDS, _CURVE_RUNS, _CONFUSION_CLASSES, _CLASSES, _MATRICES = 3, 12, 20, 40, 4
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
    def rounds(self):
        """The rounds that any run has completed, ascending."""
        return sorted(self.frame["round"].unique())

    @functools.cached_property
    def both(self):
        """Dense and ticket side by side, of `evaluations.compared`."""
        return evaluations.compared(self.rows)

    def draw(self, kind, draw, caption, alt):
        """Adds a figure of this group to the page."""
        return self.figures.add(f"{_plain(self.digest)}_{kind}", draw, caption, alt)

    @functools.cached_property
    def result(self):
        """(density, dense, ticket, PairedDifference) at the last round, or None."""
        last = int(self.rounds[-1])
        return pairing.pair(self.frame, self.digest, last) if last else None

    def headline(self):
        """The result in words."""
        found = self.result
        if found is None:
            return "No ticket to compare: no run has both a dense round 0 and a later round."
        text = sentences.headline(*found)
        runs, last = self.frame["run"].nunique(), self.rounds[-1]
        reached = self.frame[self.frame["round"] == last]["run"].nunique()
        return text + sentences.reached(self.digest, last, reached, runs)


def accuracy(group):
    """Accuracy against density, and the table of rounds."""
    runs = sentences.count(group.frame["run"].nunique(), "run")
    caption = f"Test accuracy after the last epoch against the share of prunable weights left, {runs}; dashed: dense. "
    caption += (
        "One run shows neither luck nor spread."
        if group.frame["run"].nunique() == 1
        else (
            "The band is a 95 % interval of the mean over runs, not of the difference to dense, which the table gives: "
            "runs share their seeds with their dense network, so differences are known better than means."
        )
    )
    drawing = group.draw("accuracy", lambda: plots.figure(group.frame, ""), caption, "accuracy against density")
    parts = [html.heading(3, "Accuracy against density"), html.figures([drawing])]
    parts.append(html.table(pairing.cells(group.frame, group.pairs)))
    if not group.pairs.empty:
        parts.append(html.paragraph(
            "p: two-sided sign-flip test of each round alone. " + sentences.over_rounds(group.pairs)[1], "soft"
        ))  # fmt: skip
    return "\n".join(parts)


def robustness(group):
    """Accuracy on every test set and under attack, and the difference by corruption and severity."""
    measures = evaluations.measures(group.both)
    if len(measures) < 2 and not evaluations.by_severity(group.both):
        return ""
    parts = [html.heading(3, "Robustness")]
    drawn = [_bars(group, measures)] if measures else []
    for evaluator, table in evaluations.by_severity(group.both).items():
        most = "generated here, not CIFAR-10-C" if evaluator.startswith("generated") else evaluator
        drawn.append(group.draw(
            f"{_plain(evaluator)}_severity",
            functools.partial(figures_robustness.differences, table, label="ticket - dense (points)", x="severity"),
            f"Accuracy of the ticket minus that of its dense network by kind of corruption and severity ({most}), mean "
            "over pairs. Orange: the ticket is better. Single cells carry no test; noise of a point or more is usual.",
            "heat map of accuracy differences by corruption and severity",
        ))  # fmt: skip
    return "\n".join([*parts, html.figures(drawn), _measures_table(group)])


def _bars(group, measures):
    pairs = max(one["difference"].n for one in measures)
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


def classes(group):
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
    found = evaluations.confusions(group.rows, group.both) if len(table) <= _CONFUSION_CLASSES else None
    if found:
        drawn += _confusions(group, *found)
    return html.heading(3, "Classes") + "\n" + html.figures(drawn)


def _confusions(group, dense, ticket):
    # Names of more than a few letters stand upright, below cells as large as those of short ones.
    longest = max(map(len, figures_robustness.shortened(dense.columns)))
    upright = longest * len(dense) > _LETTERS_ACROSS
    side = (5.2, 1.5 + 0.34 * len(dense) + (0.075 * longest if upright else 0.0))
    words = {"x": "predicted", "y": "true", "size": side, "upright": upright}
    # One scale for both, so that colours compare.
    norm = figures_robustness.Normalize(0.0, 100 * max(table.to_numpy().max() for table in (dense, ticket)))
    plain = functools.partial(
        figures_robustness.heat_map, text=lambda value: f"{value:.0f}", norm=norm, label="% of the true class", **words
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
            lambda: figures_robustness.differences(100 * (ticket - dense), label="points", **words),
            "Ticket minus dense, in points of the true class. On the diagonal orange is better, off it purple is. "
            "Cells are not independent: each row adds up to zero.", "difference of the two confusion matrices",
        ),
    ]  # fmt: skip


def examples(group):
    """Test images that only one of the two networks has right, and sure mistakes, of the first run that kept some."""
    for name, folder in group.folders.items():
        found = details.examples(folder, group.problems)
        parts = thumbnails.sections(found, name) if found else []
        if parts:
            return "\n".join(parts)
    return ""


def inside(group):
    """Density by layer and round, and CKA."""
    drawn, table = [], details.density_means(group.folders.values(), group.rounds, group.problems)
    table = evaluations.densities(group.rows) if table is None else table
    if table is not None and table.shape[1] > 1:
        drawn.append(group.draw(
            "layers", lambda: figures_networks.densities(table),
            "Weights left in each layer after each round of pruning, in per cent on a log scale, mean over runs; an "
            "empty cell is a layer without a weight. It shows where weights survive, not which layers matter.",
            "heat map of density by layer and round",
        ))  # fmt: skip
    for read in _similarities(group):
        found = read()
        for name, matrix in found[:_MATRICES]:
            drawn.append(group.draw(
                _plain(name), functools.partial(figures_networks.similarity, matrix),
                f"Linear CKA between layers {details.compared_networks(name)}, one run: 1 where two layers' features "
                "agree up to rotation and scale. Similar features are not the same predictions.",
                "heat map of CKA between layers",
            ))  # fmt: skip
        if found:
            break
    return html.heading(3, "Inside the networks") + "\n" + html.figures(drawn) if drawn else ""


def _similarities(group):
    """Functions -> CKA matrices, one for each run folder, or one of the rows where there is none."""
    rows, file = functools.partial(evaluations.similarities, group.rows), "what evaluations.csv has of similarity"
    found = [functools.partial(details.similarities, folder, group.problems) for folder in group.folders.values()]
    return found or [lambda: details.tolerant(rows, file, group.problems) or []]


def training(group):
    """Training curves of some rounds."""
    later = [index for index in group.rounds if index]
    step = max(1, -(-len(later) // _CURVE_ROUNDS))
    chosen = [0, *later[::-1][::step][::-1]] if 0 in group.rounds else later[::-1][::step][::-1]
    folders = list(group.folders.values())[:_CURVE_RUNS]
    found = details.curves(folders, chosen, group.problems)
    if not found or max(map(len, found.values())) < 2:
        return ""
    drawing = group.draw(
        "training", lambda: figures_networks.curves(found),
        f"Training loss by epoch of some rounds, mean over {sentences.count(len(folders), 'run')}, with test accuracy "
        "where at least three epochs were evaluated; grey: dense. A lower training loss is no better network.",
        "training curves by round",
    )  # fmt: skip
    return html.heading(3, "Training") + "\n" + html.figures([drawing])


def _plain(text):
    """A text as part of a file's name."""
    return "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_") else "_" for sign in text)
