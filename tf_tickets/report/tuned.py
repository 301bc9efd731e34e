"""What `tune` prints and writes: the points with their scores, the one that is chosen, and why."""

import dataclasses
import math
import os
from collections.abc import Callable, Sequence

import pandas
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tf_tickets import storage
from tf_tickets.columns import percent
from tf_tickets.plotting import canvas, maps
from tf_tickets.report import tables


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One point of the grid.

    Attributes:
      texts: its values as written, by field.
      runs: names of its trainings.
      state: finished, diverged or stopped early.
      scores: by fold; None where the fold is not trained. Empty with weight_norm.
      mean, error: of the scores of a finished point, fractions; None of others and with weight_norm.
      within: whether that mean is within one standard error of the highest.
      train_accuracy, train_loss, norm, fits: with weight_norm, of a finished point; else None.
    """

    texts: dict[str, str]
    runs: Sequence[str]
    state: str
    scores: Sequence[float | None] = ()
    mean: float | None = None
    error: float | None = None
    within: bool = False
    train_accuracy: float | None = None
    train_loss: float | None = None
    norm: float | None = None
    fits: bool | None = None

    def __str__(self):
        """What a message calls it."""
        return " ".join(f"{name}={text}" for name, text in self.texts.items())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tuned:
    """A tuning that has ended.

    Attributes:
      folder: of the tuning.
      rows: of all points, in the grid's order.
      chosen: the place of the chosen point.
      best: with folds the place of the point of the highest mean; None with weight_norm.
      balanced: whether scores are balanced accuracies.
      fit: the share of training images that a point has to label rightly to fit them.
    """

    folder: str
    rows: Sequence[Row]
    chosen: int
    best: int | None
    balanced: bool
    fit: float

    @property
    def metric(self) -> str:
        """What the scores of folds are."""
        return f"{'balanced ' if self.balanced else ''}validation accuracy"

    @property
    def folds(self) -> int:
        """How many there are; 0 with weight_norm."""
        return len(self.rows[0].scores)


def finish(tuned: Tuned, command: str) -> str:
    """Writes tune.csv and the picture, and tells the choice.

    Args:
      tuned: the tuning.
      command: the next one.

    Returns:
      The table as text, the choice with its reason, and the lines that name the files and the next command.

    Raises:
      StateError: a file cannot be written.
    """
    rows = [_cells(tuned, index) for index in range(len(tuned.rows))]
    path = os.path.join(tuned.folder, "tune.csv")
    storage.write_csv(path, rows, list(rows[0]))
    picture = _picture(tuned)
    lines = [_table(tuned), why(tuned), *_beyond(tuned), *_spared(tuned), f"table: {path}"]
    if picture is None:
        lines.append(
            f"no picture: a grid of {len(tuned.rows[0].texts)} flags has no plane to be drawn in; tune.csv has it"
        )
    else:
        canvas.write(picture, os.path.join(tuned.folder, "tune"), ("png",))
        lines.append(f"picture: {os.path.join(tuned.folder, 'tune.png')}")
    lines.append(f"settings: {os.path.join(tuned.folder, 'tuned.cfg')}")
    return "\n".join([*lines, f"next: {command}"])


def _cells(tuned, index):
    """A row of tune.csv. Scores and errors are fractions."""
    row = tuned.rows[index]
    if tuned.best is None:
        measured = {
            "train_accuracy": row.train_accuracy, "train_loss": row.train_loss, "weight_norm": row.norm,
            "fits": None if row.fits is None else int(row.fits),
        }  # fmt: skip
    else:
        measured = {
            "metric": tuned.metric.replace(" ", "_"), **{f"fold_{n}": score for n, score in enumerate(row.scores)},
            "mean": row.mean, "standard_error": row.error, "within_one_standard_error": int(row.within),
        }  # fmt: skip
    chosen = int(index == tuned.chosen)
    return {**row.texts, "state": row.state, **measured, "chosen": chosen, "runs": " ".join(row.runs)}


def _table(tuned):
    marks = ["*" if i == tuned.chosen else "+" if row.within else "" for i, row in enumerate(tuned.rows)]
    columns = {"": marks, **{name: [row.texts[name] for row in tuned.rows] for name in tuned.rows[0].texts}}
    if tuned.best is None:
        columns |= {
            "training accuracy": [percent(row.train_accuracy) for row in tuned.rows],
            "training loss": ["" if row.train_loss is None else f"{row.train_loss:.4f}" for row in tuned.rows],
            "fits": ["" if row.fits is None else "yes" if row.fits else "no" for row in tuned.rows],
            "norm of the weights": ["" if row.norm is None else f"{row.norm:.2f}" for row in tuned.rows],
        }
    else:
        columns |= {f"fold {n}": [percent(row.scores[n]) for row in tuned.rows] for n in range(tuned.folds)}
        columns |= {
            "mean": [percent(row.mean) for row in tuned.rows],
            "standard error": ["" if row.error is None else f"{100 * row.error:.2f}" for row in tuned.rows],
        }
    columns["state"] = [row.state for row in tuned.rows]
    within = "\n+ within one standard error of the highest mean" if "+" in marks else ""
    return f"{tables.align(columns)}\n* the chosen point{within}"


def why(tuned: Tuned) -> str:
    """The choice and its reason, one sentence."""
    chosen = tuned.rows[tuned.chosen]
    if tuned.best is None:
        fitting, share = sum(bool(row.fits) for row in tuned.rows), f"{100 * tuned.fit:g} %"
        if fitting:
            return (
                f"chosen: {chosen}, whose weights have the smallest norm, {chosen.norm:.2f}, of the {fitting} points "
                f"that label at least {share} of their training images rightly"
            )
        return (
            f"chosen: {chosen}, whose training loss, {chosen.train_loss:.4f}, is the smallest: no point labels {share} "
            "of its training images rightly, so norms say nothing"
        )
    best = tuned.rows[tuned.best]
    over = f"mean {tuned.metric} over {tuned.folds} folds"
    if tuned.chosen == tuned.best:
        return (
            f"chosen: {chosen}, whose {over}, {percent(best.mean)}, is the highest, with no simpler point within one "
            f"standard error of it ({100 * (best.error or 0.0):.2f} points)"
        )
    return (
        f"chosen: {chosen}, the simplest point ({percent(chosen.mean)}) within one standard error "
        f"({100 * (best.error or 0.0):.2f} points) of the highest {over}, {percent(best.mean)} of {best}"
    )


def _beyond(tuned):
    """A line where the grid ends at a chosen number."""
    ends = []
    for name, text in tuned.rows[tuned.chosen].texts.items():
        try:
            numbers = sorted({float(row.texts[name]) for row in tuned.rows})
            if len(numbers) > 1 and float(text) in (numbers[0], numbers[-1]):
                ends.append(f"{name}={text}")
        except ValueError:
            continue  # words, or joined fields, have no order
    return [f"the grid ends at {' and '.join(ends)}: a point beyond may be better"] if ends else []


def _spared(tuned):
    """A line where trainings were left out."""
    early = [row for row in tuned.rows if row.state == "stopped early"]
    count = sum(score is None for row in early for score in row.scores)
    total = len(tuned.rows) * tuned.folds
    return [f"left out: {count} of {total} trainings, which could not change the choice"] if count else []


def _picture(tuned) -> Callable[[], Figure] | None:
    """A function that draws the points; None where they lie in no plane."""
    names = list(tuned.rows[0].texts)
    if len(names) > 2:
        return None
    if tuned.best is not None:
        label = f"mean {tuned.metric} of {tuned.folds} folds (%)"
        shown = [None if row.mean is None else 100 * row.mean for row in tuned.rows]
    elif any(row.fits for row in tuned.rows):
        label, shown = "norm of the weights, of points that fit", [row.norm if row.fits else None for row in tuned.rows]
    else:
        label, shown = "training loss", [row.train_loss for row in tuned.rows]
    return (lambda: _line(tuned, shown, label)) if len(names) == 1 else (lambda: _map(tuned, shown, label))


def _map(tuned, shown, label):
    down, across = tuned.rows[0].texts
    rows, columns = (list(dict.fromkeys(row.texts[name] for row in tuned.rows)) for name in (down, across))
    table = pandas.DataFrame(math.nan, index=rows, columns=columns)
    for row, value in zip(tuned.rows, shown):
        if value is not None:
            table.loc[row.texts[down], row.texts[across]] = value
    empty = "; empty: without this number" if None in shown else ""
    drawn = maps.heat_map(
        table, text=lambda value: f"{value:.3g}", x=across, y=down, title=f"{label}\nframed: the chosen point{empty}",
        size=(5.2, max(2.6, 1.4 + 0.4 * len(rows))),
    )  # fmt: skip
    chosen = tuned.rows[tuned.chosen].texts
    corner = (columns.index(chosen[across]), rows.index(chosen[down]))
    drawn.axes[0].add_patch(
        Rectangle(corner, 1, 1, fill=False, edgecolor=canvas.COLOURS[1], linewidth=3.0, clip_on=False)
    )
    return drawn


def _line(tuned, shown, label):
    (name,) = tuned.rows[0].texts
    drawn = canvas.canvas(5.2, 3.0)
    axes = drawn.add_subplot()
    places = [place for place, value in enumerate(shown) if value is not None]
    errors = [100 * (tuned.rows[place].error or 0.0) for place in places]
    axes.errorbar(
        places, [shown[place] for place in places], yerr=errors if tuned.best is not None else None,
        color=canvas.COLOURS[0], marker="o", capsize=3,
    )  # fmt: skip
    axes.plot(
        [tuned.chosen], [shown[tuned.chosen]], linestyle="none", marker="s", markersize=12, markerfacecolor="none",
        markeredgecolor=canvas.COLOURS[1], markeredgewidth=2, label="the chosen point",
    )  # fmt: skip
    axes.set_xticks(range(len(shown)), maps.shortened(row.texts[name] for row in tuned.rows))
    axes.set_xlabel(name)
    axes.set_title(label if tuned.best is None else f"{label}, bars: one standard error")
    axes.legend()
    return drawn


@dataclasses.dataclass(frozen=True, kw_only=True)
class Planned:
    """One training on paper.

    Attributes:
      texts: its point's values as written, by field.
      fold: `I/K`; empty with weight_norm.
      images, held: how many are trained on, and held out.
      steps: that are left.
      state: finished, begun, new, or why its point is out.
    """

    texts: dict[str, str]
    fold: str
    images: int
    held: int
    steps: int
    state: str


def listing(trainings: Sequence[Planned], folder: str) -> str:
    """The trainings of a tuning before it starts: a table as text with a line of totals.

    Args:
      trainings: of every point, in the grid's order.
      folder: of the tuning.
    """
    text = tables.align({
        **{name: [each.texts[name] for each in trainings] for name in trainings[0].texts},
        **({"fold": [each.fold for each in trainings]} if trainings[0].fold else {}),
        "images": [f"{each.images:,}" for each in trainings],
        "held out": [f"{each.held:,}" for each in trainings],
        "steps": [f"{each.steps:,}" for each in trainings],
        "state": [each.state for each in trainings],
    })  # fmt: skip
    points = len({tuple(each.texts.values()) for each in trainings})
    todo = [each for each in trainings if each.state in ("new", "begun")]
    most = "at most " if trainings[0].fold else ""
    return (
        f"{text}\nin all {points} points, {len(trainings)} trainings: "
        f"{sum(each.state == 'finished' for each in trainings)} finished, {most}{len(todo)} to do of "
        f"{sum(each.steps for each in todo):,} steps\nfolder: {folder}"
    )
