"""Fits the temperature of a round's probabilities on images that its training did not see (docs/science.md)."""

from collections.abc import Callable

import numpy as np

from tf_tickets import runs, storage
from tf_tickets.backend import Devices
from tf_tickets.data import subsets
from tf_tickets.evaluation import accuracy, calibration
from tf_tickets.experiments import folds, opening, rounds
from tf_tickets.experiments.plan import Plan
from tf_tickets.experiments.round import Round
from tf_tickets.experiments.session import Session
from tf_tickets.notices import say
from tf_tickets.runtime.facts import HOTTEST
from tf_tickets.settings.checks import folds_of
from tf_tickets.workers import joined
from tf_tickets.workers.team import Alone


def calibrate(
    plan: Plan, folder: runs.RunFolder, index: int, *, target: runs.RoundFolder,
    make: Callable[[Session, runs.RunFolder, int], Round], command: str, stop: Callable[[], bool], team: Alone,
    devices: Devices | None = None,
) -> None:  # fmt: skip
    """Fits what `--calibration` asks for, and writes the round's calibration.json; trainings that are there are kept.

    Args:
      plan: of the run whose round predicts held-out images, or is trained again without some.
      folder: of that run, whose rounds are complete.
      index: of the round.
      target: the round that gets the temperature: this one, or that of the refit.
      make: function (session, folder, number) -> the Round, as `rounds.run_rounds` takes it.
      command, stop, team, devices: as there.
    """
    method, run_stop = plan.config.choice.calibration, joined.agreed(stop, team)
    session = rounds.run_rounds(plan, folder, [], make, command=command, stop=stop, team=team, devices=devices)
    if team.chief:
        folder.note_attempt("calibration")
    if (count := folds_of(method)) is None:
        held = session.validation
        assert held is not None, "folds.check has seen to it"
        logits, labels = session.logits_of_round(folder.round(index), held, run_stop), held.labels
    else:
        trained = make(session, folder, index)
        logits, labels = _of_folds(session, folder, trained, count, run_stop)
    if not team.chief:
        return
    fitted = calibration.fitted(logits, labels, method)
    if np.array_equal(logits.argmax(axis=1), labels):
        say("WARNING: all images held out are predicted as they are: no temperature can be known from them, it stays 1")
    elif fitted["temperature"] > HOTTEST / 1.01:
        say("WARNING: the temperature is the highest there is: images held out are predicted no better than by chance")
    storage.write_json(target.calibration, storage.seal(fitted))


def _of_folds(session, run, trained, count, stop):
    """(logits, labels) of all training images, each by the training without it; none beside the chief."""
    team, parts = session.team, subsets.folds(
        session.train.labels, session.train.ids, session.plan.config.data.subset_seed, count
    )  # fmt: skip
    folders = [run.fold(trained.index, fold, count) for fold in range(count)]
    todo = team.from_chief(lambda: _incomplete(run, folders), lambda value: joined.are_rounds(value, count))
    for fold in todo:
        opening.heed(stop)
        part = _Fold(session, parts[fold])
        training = folds.training(trained, part.plan, whole=session.plan, run=run, fold=fold, count=count)
        rounds.train_round(part, run, training, stop=stop)
    answers = [storage.read_arrays(folder.logits) for folder in folders if team.chief]
    logits, labels = ([answer[name] for answer in answers] for name in ("logits", "labels"))
    return np.concatenate(logits or [np.zeros((0, 0))]), np.concatenate(labels or [np.zeros(0, int)])


def _incomplete(run, folders):
    """The numbers of the trainings that are left to do, once those there have been checked."""
    for folder in folders:
        if folder.complete:
            folder.check(run.name)
            for path in folder.checkpoints:  # of one that was killed before it had removed them
                storage.remove(path)
    return [number for number, folder in enumerate(folders) if not folder.complete]


class _Fold(Session):
    """The session of one training: network and devices of another, on all but some of its training images."""

    def __init__(self, whole, held):
        """`held`: rows of the training images that are left out."""
        vars(self).update(vars(whole))
        vars(self).pop("_training_batches", None)
        self.held = whole.train.part(held)
        self.train = whole.train.part(np.setdiff1d(np.arange(len(whole.train)), held))
        self.plan = folds.without(whole.plan, len(held))

    def evaluations(self, stop: Callable[[], bool]) -> dict[str, float]:
        """Nothing: what counts are the logits at its end."""
        return {}

    def finish(self, run: runs.RunFolder, training_round: Round, rows: list[dict], timed: dict) -> None:
        """Writes the logits of the images that were left out, and is complete."""
        logits = accuracy.logits_of(self.steps.logits, self.held, self.data_set, team=self.team)
        if not self.team.chief:
            return
        folder = training_round.folder
        storage.write_arrays(folder.logits, {"logits": logits, "labels": self.held.labels, "ids": self.held.ids})
        folder.complete_with({"images": len(self.train), "epochs": len(rows)}, run.name)
        for path in folder.checkpoints:
            storage.remove(path)
