"""Sparse soups: one round's retrainings by other orders of the images, averaged (Zimmer et al. 2023).

Zimmer, Spiegel, Pokutta 2023, Sparse Model Soups: A Recipe for Improved Pruning via Model Averaging.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence

import numpy as np

from tf_tickets import runs, seeds, storage
from tf_tickets.backend import Devices
from tf_tickets.data import pipeline
from tf_tickets.evaluation import accuracy
from tf_tickets.experiments import artefacts, opening, rounds
from tf_tickets.experiments.plan import Plan
from tf_tickets.experiments.round import Round
from tf_tickets.experiments.session import Session
from tf_tickets.models import measured_statistics
from tf_tickets.pruning import wrapping

MEMBER_COLUMNS = (
    "member", "order_seed", "epochs", "train_loss", "test_accuracy", "test_balanced_accuracy", "test_loss",
    "validation_accuracy",
)  # fmt: skip


def order_seed(seed: int, member: int) -> int:
    """The seed of a member's order and augmentation: of the first one the run's own."""
    return seeds.fold("soup", seed, member) if member else seed


def train_round(
    plan: Plan, folder: runs.RunFolder, make: Callable[[Session, runs.RunFolder, int], Round],
    *, stop: Callable[[], bool],
) -> Devices:  # fmt: skip
    """Trains the members of a round, averages their weights, and writes the soup as the round (docs/science.md, Soups).

    Args:
      plan: of the run.
      folder: of the run.
      make: function (session, folder, number) -> the Round of the ticket.
      stop: asked between blocks of steps, and between layers whose statistics are measured.

    Returns:
      The devices of the process.

    Raises:
      StopRequested: `stop()` said so; members that are complete are kept, others continued.
      StateError: what a complete member left has changed.
    """
    began, run_from = time.time(), time.monotonic()
    session = rounds.run_rounds(plan, folder, [], make, command="train", stop=stop)
    members = [folder.member(index) for index in range(plan.members)]
    whole = make(session, folder, 0)
    for index, member in enumerate(members):
        if member.complete:
            member.check(folder.name)
        else:
            opening.heed(stop)
            later = plan.steps_of([0]) // plan.members * (plan.members - 1 - index)
            rounds.train_round(
                _Member(session, index), folder, _training(whole, member, plan.members), stop=stop, steps_after=later
            )
        for path in member.checkpoints:
            storage.remove(path)
    _average(session, folder, members, whole, stop, began=began, run_from=run_from)
    session.ended(folder, 0)
    return session.devices


class _Member(Session):
    """The session of one member: that of the run, with another order of its images."""

    def __init__(self, whole, index):
        vars(self).update(vars(whole))
        vars(self).pop("_training_batches", None)
        self._profiles = whole._profiles and not index
        seed = order_seed(whole.plan.config.order_seed, index)
        self.plan = dataclasses.replace(whole.plan, config=whole.plan.config.replace(order_seed=seed))


def _training(whole, member, count):
    """A member's Round; the first one leaves the run's rewind point."""
    return dataclasses.replace(
        whole, folder=member, identity=f"{whole.identity}/member_{member.index}_of_{count}",
        title=f"member {member.index + 1}/{count}", rewind_step=None if member.index else whole.rewind_step,
    )  # fmt: skip


def averaged(states: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The mean of each array over states of one network, summed in float64; float32, as they are."""
    return {
        name: np.mean([state[name] for state in states], axis=0, dtype=np.float64).astype(array.dtype)
        for name, array in states[0].items()
    }


def _average(session, folder, members, whole, stop, *, began, run_from):
    """Averages, measures the statistics on the training images, evaluates, and writes what a round leaves."""
    state = averaged([storage.read_arrays(member.weights) for member in members])
    model, summaries = session.steps.model, [member.read_summary() for member in members]
    wrapping.write_state(model, state, whole.masks)
    measured_statistics.measure(model, lambda: _batches(session), lambda: opening.heed(stop))
    fitted = session.evaluate(session.train, stop)
    last = [storage.read_csv(member.epochs)[-1] for member in members]
    row = {
        "epoch": int(last[0]["epoch"]), "learning_rate": float(last[0]["learning_rate"]),
        "train_loss": fitted["loss"], "train_accuracy": fitted["accuracy"], **session.evaluations(stop),
    }  # fmt: skip
    seed = session.plan.config.order_seed
    told = [
        {"member": index, "order_seed": order_seed(seed, index)} | {name: summary[name] for name in MEMBER_COLUMNS[2:]}
        for index, summary in enumerate(summaries)
    ]
    storage.write_csv(whole.folder.members, told, MEMBER_COLUMNS)
    timed = artefacts.timing(session.plan, began, time.monotonic() - run_from, 0)
    trained = {name: sum(summary[name] for summary in summaries) for name in ("epochs", "training_multiply_adds")}
    session.finish(folder, whole, [row], timed, facts=trained)


def _batches(session):
    """The training images as evaluation sees them."""
    for first in range(0, len(session.train), accuracy.BATCH):
        part = slice(first, first + accuracy.BATCH)
        yield session.data_set.normalise(pipeline.evaluation_pixels(session.train, part, session.data_set))
