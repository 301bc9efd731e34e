"""Rounds: each from its start state and masks, trained with resume, written; `summary.json` last makes it complete."""

import os
import time
import typing
from collections.abc import Callable

import numpy as np

from tf_tickets import runs, storage
from tf_tickets.backend import Devices, tf
from tf_tickets.errors import DivergedError, StateError, UsageError
from tf_tickets.experiments import artefacts, opening
from tf_tickets.experiments.plan import Plan
from tf_tickets.experiments.round import Round
from tf_tickets.experiments.session import Session
from tf_tickets.models import costs
from tf_tickets.notices import say
from tf_tickets.observers import of_the_caller as observers_of_the_caller
from tf_tickets.pruning import masks as pruning_masks
from tf_tickets.pruning import wrapping
from tf_tickets.pruning.rewind import RewindPoint
from tf_tickets.training import checkpoints
from tf_tickets.training.checkpoints import CheckpointWriter
from tf_tickets.training.fit import Span, fit
from tf_tickets.training.progress import Progress
from tf_tickets.training.tensorboard import Profile, TensorBoard
from tf_tickets.workers import joined, messages
from tf_tickets.workers.team import ALONE, Alone


def run_rounds(
    plan: Plan, folder: runs.RunFolder, todo: list[int], make: Callable[[Session, runs.RunFolder, int], Round],
    *, command: str, stop: Callable[[], bool] = lambda: False, team: Alone = ALONE, devices: Devices | None = None,
    session_class: type[Session] = Session,
) -> Session:  # fmt: skip
    """Trains rounds in order, each made when those before are done.

    Args:
      plan: of the run.
      folder: of the run.
      todo: numbers of the rounds.
      make: function (session, folder, number) -> the Round, with masks and start.
      command: that config.cfg names.
      stop: asked between blocks of steps.
      team: that shares the run.
      devices: those of an earlier Session of the same process, if there was one.
      session_class: Session, or a subclass.

    Returns:
      The session that the rounds shared.
    """
    stop = joined.agreed(stop, team)
    opening.heed(stop)
    session = session_class(plan, team, devices)
    opening.open_folder(folder, session, command)
    opening.heed(stop)
    session.began(folder)
    for index in todo:
        later = session.plan.steps_of(number for number in todo if number > index)
        train_round(session, folder, make(session, folder, index), stop=stop, steps_after=later)
        session.ended(folder, index)
    return session


def train_round(
    session: Session, folder: runs.RunFolder, training_round: Round, *, stop: Callable[[], bool], steps_after: int = 0
) -> None:
    """Trains one round to the end, from its beginning or its last checkpoint, and writes its artefacts.

    Args:
      session: what the rounds share.
      folder: of the run.
      stop: asked after each block of steps.
      steps_after: steps of later rounds, for the time left.
    """
    plan, team, began = session.plan, session.team, time.time()
    session.teach(folder, training_round.index)
    beginning = _begin(session, folder, training_round)
    step, rows = beginning.step, beginning.rows
    folder.note_attempt(training_round.index, step)
    settling, last_step = training_round.settling, training_round.last_step
    if settling and settling.settled:
        last_step = step
    head_epochs = training_round.training.head_epochs
    span = Span(
        step, last_step, plan.steps_per_epoch, training_round.learning_rate, beginning.outcomes,
        backbone_from=head_epochs * plan.steps_per_epoch,
    )  # fmt: skip
    remaining = pruning_masks.count(training_round.masks)

    def ends(epoch):
        if settling is None:
            return _of_masks(session, training_round.mask_changes, epoch), False
        if epoch > head_epochs:  # before, weights that do not move would settle nothing
            settling.after_epoch(epoch, remaining)
        return {"mask_distance": settling.distance}, settling.settled

    def evaluate(epoch, last):
        wanted = training_round.is_evaluated(epoch, last, plan.config.run.eval_every)
        return session.evaluations(stop) if wanted else {}

    observers = _observers(session, folder, training_round, beginning, steps_after=steps_after)
    for observer in observers:
        observer.round_begins(training_round.index, remaining / plan.weights[0])
    trained_from = time.monotonic()
    if step < last_step or len(span.outcomes):
        try:
            rows = rows + fit(
                session.steps, session.batches(training_round.draws_of, step, last_step), span, observers=observers,
                ends=ends, evaluate=evaluate, stop=stop,
                agree=lambda count: team.from_chief(lambda: count, lambda value: messages.is_whole(value, 1)),
                in_place=training_round.in_place,
            )  # fmt: skip
        except DivergedError as error:
            raise DivergedError(f"{training_round.name}: {error}") from None
        except tf.errors.OpError as error:
            raise session.unreadable or _not_compiled(plan, error) or error from None
    rows = rows or [_untrained(session, evaluate)]
    seconds, trained = time.monotonic() - trained_from, rows[-1]["epoch"] * plan.steps_per_epoch - step
    session.finish(folder, training_round, rows, artefacts.timing(plan, began, seconds, trained))


def _untrained(session, evaluate):
    """The row of a round that has no steps: an epoch 0, with what the network answers to the training images."""
    of_training = session.evaluate(session.train)
    return {
        "epoch": 0, "train_loss": of_training["loss"], "train_accuracy": of_training["accuracy"], **evaluate(0, True)
    }  # fmt: skip


def _of_masks(session, changes, epoch):
    """Columns of an epoch whose masks change on the way; where their numbers do, what an image costs under these."""
    if changes is None or changes.constant:
        return changes.row(epoch) if changes else {}
    cost = costs.of_network(session.steps.model, session.plan.network.kernels(), changes.masks)[0]
    return {**changes.row(epoch), "multiply_adds": cost}


def _not_compiled(plan, error):
    """The UsageError where XLA has no kernel with the same bits each time, or None."""
    if not plan.config.run.jit or "deterministic XLA" not in error.message:
        return None
    return UsageError(
        "--jit: TensorFlow compiles no gradient of max-pooling that has the same bits each time; leave --jit out, or "
        "add --nodeterministic"
    )


class _Beginning(typing.NamedTuple):
    """What a round begins with: global steps done, rows of epochs, outcomes of one begun, the checkpoint's path."""

    step: int
    rows: list[dict]
    outcomes: np.ndarray
    checkpoint: str | None


def _begin(session, folder, training_round):
    """Loads the round's last checkpoint, or the start state, into the network and optimizer; what it begins with."""
    team, masks, companion = session.team, training_round.masks, training_round.companion
    saved = _saved(folder, training_round) if team.chief else None
    path, facts = team.from_chief(lambda: (saved.path, saved.facts) if saved else (None, None), _is_checkpoint)
    arrays = team.arrays_from_chief(
        lambda: saved.arrays if saved else training_round.start(), lambda: _specs(session, path is not None, companion)
    )
    wrapping.write_masks(session.steps.model, masks)
    session.steps.reset_optimizer()
    if path is None:
        wrapping.write_state(session.steps.model, arrays, masks)
        return _Beginning(training_round.first_step, [], np.zeros((0, 3), np.float32), None)
    checkpoints.restore(session.steps, arrays)
    if companion:
        companion.restore(arrays)
    return _Beginning(facts["step"], facts["rows"], arrays["partial"], path)


def _is_checkpoint(value):
    """Whether the chief said this in `_begin`, as JSON has it: [path, facts] of a checkpoint, or of none."""
    path, facts = value if isinstance(value, list) and len(value) == 2 else (None, False)
    if path is None:
        return facts is None
    if not isinstance(path, str) or not isinstance(facts, dict) or not messages.is_whole(facts.get("step")):
        return False
    rows = facts.get("rows")
    return isinstance(rows, list) and all(isinstance(row, dict) for row in rows)


def _specs(session, saved, companion):
    """The messages.ArraySpec of all that a round begins from: a state, or what its checkpoint holds."""
    model = messages.specs_of(session.initial)
    if not saved:
        return model
    specs = {f"model/{name}": spec for name, spec in model.items()}
    specs |= {f"optimizer/{name}": spec for name, spec in session.steps.optimizer_specs.items()}
    specs |= {f"movement/{name}": spec for name, spec in messages.specs_of(session.steps.movement).items()}
    specs |= companion.specs() if companion else {}
    return specs | {"partial": messages.ArraySpec((None, 3), np.dtype(np.float32))}


def _saved(folder, training_round):
    """The round's last checkpoint, or None.

    Raises:
      StateError: it was saved after the rewind point, and rewind.npz is missing or has changed since.
    """
    saved = checkpoints.load(training_round.folder, training_round.identity, say)
    if saved is None:
        if os.path.exists(training_round.folder.weights):
            say(f"{training_round.folder.folder} has no checkpoint; the round is trained again from its beginning")
        return None
    rewind_step = training_round.rewind_step
    if rewind_step is not None and saved.facts["step"] >= rewind_step:
        there = os.path.exists(folder.rewind)
        if not there or storage.file_digest(folder.rewind) != saved.facts["rewind"]:
            fate = "was changed" if there else "is missing"
            raise StateError(
                f"{folder.rewind} {fate} though round 0 needs it; restore it, or delete {training_round.folder.folder}"
            )
    return saved


def _observers(session, folder, training_round, beginning, *, steps_after):
    """What is told how the round goes on; the checkpoints stand last, so that they hold what the others did."""
    plan, run, rewind_step, observers = session.plan, session.plan.config.run, training_round.rewind_step, []
    if rewind_step is not None:
        observers.append(RewindPoint(session.steps.model, folder.rewind, rewind_step, writes=session.team.chief))
    if not session.team.chief:
        return [*observers, *training_round.observers]
    if run.tensorboard:
        place = os.path.basename(training_round.folder.folder)
        observers.append(TensorBoard(os.path.join(folder.tensorboard, place), beginning.rows))
    if profiled := session.take_profiled_steps():
        observers.append(Profile(folder.tensorboard, *(beginning.step + step for step in profiled)))
    companion = training_round.companion
    return [
        *observers,
        Progress(
            run.progress, title=training_round.title, detail=training_round.detail, shown=_shown(plan),
            first_step=beginning.step, last_step=training_round.last_step, steps_per_epoch=plan.steps_per_epoch,
            images_per_epoch=plan.train_images, steps_after=steps_after,
        ),
        *training_round.observers,
        *observers_of_the_caller(),
        CheckpointWriter(
            training_round.folder, session.steps, training_round.identity, beginning.rows,
            extra=companion.arrays if companion else dict, rewind=None if rewind_step is None else folder.rewind,
            resumed=beginning.checkpoint,
        ),
    ]  # fmt: skip


def _shown(plan):
    """The part whose accuracy the progress shows: validation as long as it chooses the ticket."""
    return "validation" if plan.config.choose == "validation" and not plan.refits else "test"
