"""`tune`: the points of a grid, trained on folds or on all training images, and one of them chosen. No TensorFlow."""

import dataclasses
import hashlib
import math
import os
from collections.abc import Callable, Iterable

import numpy as np

from tf_tickets import storage
from tf_tickets.errors import DivergedError, StateError, UsageError
from tf_tickets.registry import CONTROLS
from tf_tickets.settings import places
from tf_tickets.settings.checks import folds_of
from tf_tickets.settings.config import Config, options
from tf_tickets.sweeps import grid, rules, sweep
from tf_tickets.sweeps.outcomes import Outcome, Run

# What is held out and which round is chosen afterwards: of the run that the tuning is for, not of its trainings.
_AFTERWARDS = ("validation", "refit", "choose")
# What a grid cannot tune, and why; with weight_norm also what makes norms and losses of two points incomparable.
_LUCK = dict.fromkeys(("seed", "order_seed", "subset_seed"), "it would choose the luckiest")
_IMAGES = ("dataset", *places.FLAGS, "fraction", "per_class", "images", "subset_file", "imbalance", "imbalance_profile")
_REFUSED = {
    "command": "tune trains one round", **dict.fromkeys(_AFTERWARDS, "the rule decides what is held out"), **_LUCK,
    **dict.fromkeys(_IMAGES, "scores on other images do not compare"),
}  # fmt: skip
_NOT_BY_NORM = ("model", "width", "stem", "head", "kappa", "pretrained", "loss", "adversarial", "ticket", "control")


@dataclasses.dataclass(frozen=True)
class Tuning:
    """Everything that a tuning trains, and where it leaves what it finds.

    Attributes:
      config: of the command.
      points: the grid.Points, in the grid's order.
      trainings: of each point its outcomes.Runs: one for each fold, or one on all training images.
      values: of each point, the settings of the run that the tuning is for, by name, as they were given.
      folds: how many; None with weight_norm.
      folder: of the tuning.
    """

    config: Config
    points: list[grid.Point]
    trainings: list[list[Run]]
    values: list[dict]
    folds: int | None
    folder: str

    @property
    def runs(self) -> list[Run]:
        """All trainings."""
        return [run for of_point in self.trainings for run in of_point]

    @property
    def order(self) -> list[int]:
        """The places of the points, the simplest first."""
        return rules.by_simplicity([point.values for point in self.points])

    @property
    def _ledger(self):
        return os.path.join(self.folder, "diverged.csv")

    def diverged(self) -> dict[str, str]:
        """What the trainings that have diverged said, by the runs' names: they are not trained again."""
        if not os.path.exists(self._ledger):
            return {}
        try:
            return {row["run"]: row["message"] for row in storage.read_csv(self._ledger)}
        except KeyError:
            raise StateError(f"{self._ledger} has no columns run and message; restore or delete it") from None

    def note(self, outcome: Outcome) -> None:
        """Remembers a training that has diverged."""
        if outcome.status == DivergedError.exit_status:
            told = self.diverged() | {outcome.run.name: outcome.message}
            rows = [{"run": name, "message": message} for name, message in told.items()]
            storage.write_csv(self._ledger, rows, ("run", "message"))

    def flagfile(self, chosen: int) -> str:
        """The text of tuned.cfg: the flags that were given, with the values of the chosen point."""
        command, known = next_command(self.config), options()
        path = os.path.join(self.folder, "tuned.cfg")
        lines = [f"# python -m tf_tickets.main {command} --flagfile={path}", "#"]
        lines.append(f"# Chosen by tune --rule={self.config.command.rule}: {self.points[chosen]}.")
        return "\n".join([*lines, *(known[n].format(v) for n, v in self.values[chosen].items())]) + "\n"


def next_command(config: Config) -> str:
    """The command that the tuned settings are for."""
    place = CONTROLS[config.pruning.control].place or ""
    return "train" if config.pruning.ticket or place.startswith("train") else "imp"


def resolve(config: Config, names: Iterable[str], check: Callable[[str, Config], None]) -> Tuning:
    """Resolves every training of every point, before anything starts; arguments and errors as of `sweep.resolve`."""
    points = grid.points(config.command.sweep or "", "train")
    rule = config.command.rule or ""
    folds, given = folds_of(rule), sweep.of_runs(config, names)
    _check_fields(config, [name for axis in points[0].texts for name in axis.split("+")], by_norm=folds is None)
    shared = {name: value for name, value in given.items() if name not in _AFTERWARDS}
    split = [
        dataclasses.replace(
            point, values={**point.values, "validation": f"fold:{fold}/{folds}"},
            texts={**point.texts, "fold": f"{fold}/{folds}"},
        )
        for point in points for fold in range(folds or 0)
    ]  # fmt: skip
    runs, each = sweep.resolve_points(split or points, shared, check), folds or 1
    trainings = [runs[start : start + each] for start in range(0, len(runs), each)]
    afterwards = {name: value for name, value in given.items() if name != "allow_other_environment"}
    # What is chosen has to run afterwards.
    sweep.resolve_points([dataclasses.replace(point, command=next_command(config)) for point in points], given, check)
    values = [{**afterwards, **point.values} for point in points]
    identity = "\n".join([rule, *(run.name for run in runs)])
    name = f"{rule.replace(':', '_')}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
    return Tuning(config, points, trainings, values, folds, os.path.join(config.run.out, "tune", name))


def _check_fields(config, fields, by_norm):
    for name in fields:
        why = _REFUSED.get(name)
        if why is None and options()[name].group == "pruning" and next_command(config) == "imp":
            why = "tune trains one dense round, which is the same with any"
        if why is not None:
            raise UsageError(f"--sweep: {name} is no setting to tune: {why}; leave it out of the grid")
        if by_norm and name in _NOT_BY_NORM:
            raise UsageError(
                f"--sweep: --rule=weight_norm cannot compare points that differ in {name}, only in how one network is "
                "trained; take --rule=folds:5"
            )


def tune(
    tuning: Tuning, stop: Callable[[], bool] = lambda: False, say: Callable[[str], None] = lambda line: None
) -> list[Outcome]:
    """Trains what the choice needs and is not trained yet.

    Args:
      tuning: of `resolve`.
      stop, say: as of `sweep.sweep`.

    Returns:
      The Outcomes of the trainings that failed otherwise than by diverging; with none of them the choice can be made.

    Raises:
      StopRequested, StateError, UsageError: as of `sweep.sweep`.
    """

    def following(ended, progress):
        if failures(ended):
            return []
        return _following(tuning, progress)

    def failures(ended):
        return [outcome for outcome in ended.values() if outcome.status not in (0, DivergedError.exit_status)]

    ended = sweep.run_stages(tuning.runs, tuning.config, following, stop=stop, say=say, ended=tuning.note)
    return failures(ended)


def _following(tuning, progress):
    left = needed(tuning)
    for index, why in left_out(tuning).items():
        for run in tuning.trainings[index]:
            if not run.finished:
                progress.left_out(run, why)
    return left


def needed(tuning: Tuning) -> list[Run]:
    """The trainings of the next stage."""
    out = left_out(tuning)
    inside = [index for index in range(len(tuning.points)) if index not in out]
    if tuning.folds is None:
        return [run for index in inside for run in tuning.trainings[index] if not run.finished]
    scores = [fold_scores(tuning, index) for index in inside]
    return [tuning.trainings[inside[place]][fold] for place, fold in rules.following(scores, tuning.folds)]


def left_out(tuning: Tuning) -> dict[int, str]:
    """Why each point that is out is, by its place: `diverged`, or `cannot be chosen` for one that is hopeless."""
    told = tuning.diverged()
    out = {i: "diverged" for i, of_point in enumerate(tuning.trainings) if any(run.name in told for run in of_point)}
    if tuning.folds is None:
        return out
    inside = [index for index in range(len(tuning.points)) if index not in out]
    scores = [fold_scores(tuning, index) for index in inside]
    return out | {inside[place]: "cannot be chosen" for place in rules.hopeless(scores, tuning.folds)}


def uneven(tuning: Tuning) -> bool:
    """Whether the classes have unequal numbers of training images, or that is not known beforehand."""
    plan = tuning.runs[0].plan
    if plan.train_counts is None:
        return True
    return len({sum(counts) for counts in zip(plan.train_counts, plan.validation_counts or plan.train_counts)}) > 1


def fold_scores(tuning: Tuning, index: int) -> dict[int, float]:
    """The scores of a point by fold, of the folds that are trained.

    Raises:
      StateError: the round was written by a version that did not measure what the score is.
    """
    metric = "validation_balanced_accuracy" if uneven(tuning) else "validation_accuracy"
    scores = {}
    for fold, run in enumerate(tuning.trainings[index]):
        if run.finished:
            value = run.folder.round(run.rounds - 1).read_summary().get(metric)
            if value is None:
                raise StateError(f"{run.folder.folder} has no {metric}: delete it to train it again")
            scores[fold] = value
    return scores


def fitted(tuning: Tuning, index: int) -> rules.Fitted | None:
    """What a point came to on all training images; None where it is not trained, or has diverged."""
    (run,) = tuning.trainings[index]
    if index in left_out(tuning) or not run.finished:
        return None
    last = run.folder.round(run.rounds - 1)
    epoch = storage.read_csv(last.epochs)[-1]
    arrays = storage.read_arrays(last.weights)
    # Running statistics of normalisation are measured, not trained.
    squares = (np.sum(np.square(a, dtype=np.float64)) for n, a in arrays.items() if "/moving_" not in n)
    norm = math.sqrt(sum(map(float, squares)))
    try:
        return rules.Fitted(float(epoch["train_accuracy"]), float(epoch["train_loss"]), norm)
    except (KeyError, ValueError):
        raise StateError(f"{last.epochs} has no accuracy and loss of its last epoch; restore it") from None


@dataclasses.dataclass(frozen=True)
class Choice:
    """What a tuning has found.

    Attributes:
      chosen: the place of the chosen point.
      best: with folds the place of the point with the highest mean, else None.
      scores: of each point, its scores by fold; empty with weight_norm.
      fitted: of each point, its rules.Fitted or None; empty with folds.
      out: why each point that is out is, by its place.
    """

    chosen: int
    best: int | None
    scores: list[dict[int, float]]
    fitted: list[rules.Fitted | None]
    out: dict[int, str]


def choose(tuning: Tuning) -> Choice:
    """Chooses among points whose trainings have ended.

    Raises:
      DivergedError: of every point.
    """
    out, places = left_out(tuning), range(len(tuning.points))
    if len([why for why in out.values() if why == "diverged"]) == len(places):
        raise DivergedError(
            f"every point diverged, the first with '{next(iter(tuning.diverged().values()))}'; give --sweep smaller "
            f"learning rates, or delete {tuning.folder} to train them again"
        )
    if tuning.folds is None:
        all_fitted = [fitted(tuning, index) for index in places]
        return Choice(rules.choose_by_norm(all_fitted, tuning.order), None, [], all_fitted, out)
    scores = [fold_scores(tuning, index) for index in places]
    eligible = [{} if index in out else scores[index] for index in places]
    chosen, best = rules.choose_by_folds(eligible, tuning.folds, tuning.order)
    return Choice(chosen, best, scores, [], out)
