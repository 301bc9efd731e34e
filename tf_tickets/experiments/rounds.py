"""Rounds: each from its start state and masks, trained with resume, written; `summary.json` last makes it complete."""

import os
import time
from collections.abc import Callable

import numpy as np

from tf_tickets import runs, storage
from tf_tickets.backend import tf
from tf_tickets.errors import DivergedError, StateError
from tf_tickets.experiments import artefacts, opening
from tf_tickets.experiments.round import Round
from tf_tickets.experiments.session import Session
from tf_tickets.notices import say
from tf_tickets.pruning import masks as pruning_masks
from tf_tickets.pruning import wrapping
from tf_tickets.pruning.rewind import RewindPoint
from tf_tickets.training import callbacks
from tf_tickets.training.fit import fit
from tf_tickets.workers import joined, messages
from tf_tickets.workers.team import ALONE


def run_rounds(
    plan, folder: runs.RunFolder, todo: list[int], make: Callable[[Session, runs.RunFolder, int], Round],
    *, command: str, stop=lambda: False, team=ALONE, devices=None, session_class=Session,
) -> Session:  # fmt: skip
    """Trains rounds in order, each made when those before are done.

    Args:
      plan: an experiments.plan.Plan.
      folder: of the run.
      todo: numbers of the rounds.
      make: function (session, folder, number) -> the Round, with masks and start.
      command: that config.cfg names.
      stop: asked between blocks of steps.
      team: the team.Team that shares the run.
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
        train_round(session, folder, make(session, folder, index), stop, later)
        session.ended(folder, index)
    return session


def train_round(session: Session, folder: runs.RunFolder, training_round: Round, stop, steps_after: int = 0) -> None:
    """Trains one round to the end, from its beginning or its last checkpoint, and writes its artefacts.

    Args:
      session: what the rounds share.
      folder: of the run.
      training_round: the Round.
      stop: asked after each block of steps.
      steps_after: steps of later rounds, for the time left.
    """
    plan, team, began = session.plan, session.team, time.time()
    step, rows, partial, kept = _begin(session, folder, training_round)
    folder.note_attempt(training_round.index, step)
    settling, end = training_round.settling, training_round.last_step
    if settling and settling.settled:
        end = step
    observers, boundaries = _observers(session, folder, training_round, rows, step, steps_after)
    if team.chief:
        observers.append(_checkpoint(session, folder, training_round, rows, kept))
    trained_from, remaining = time.monotonic(), pruning_masks.count(training_round.masks)

    def ends(epoch):
        settling.after_epoch(epoch, remaining)
        return {"mask_distance": settling.distance}, settling.settled

    def evaluate(epoch, last):
        wanted = training_round.is_evaluated(epoch, last, plan.config.run.eval_every)
        return session.evaluations(stop) if wanted else {}

    if step < end or partial is not None:
        try:
            rows = rows + fit(
                steps=session.steps, batches=session.batches(training_round.draws_of, step, end),
                steps_per_epoch=plan.steps_per_epoch, first_step=step, last_step=end,
                learning_rate=training_round.learning_rate, callbacks=observers, boundaries=boundaries,
                partial=partial, stop=stop, ends=ends if settling else None,
                agree=lambda count: team.from_chief(lambda: count, lambda value: messages.is_whole(value, 1)),
                evaluate=evaluate,
            )  # fmt: skip
        except DivergedError as error:
            raise DivergedError(f"{training_round.name}: {error}") from None
        except tf.errors.OpError as error:
            raise getattr(session.train.pixels, "problem", None) or error from None
    seconds, trained = time.monotonic() - trained_from, rows[-1]["epoch"] * plan.steps_per_epoch - step
    session.finish(folder, training_round, rows, artefacts.timing(plan, began, seconds, trained))


def _checkpoint(session, folder, training_round, rows, kept):
    """The callback that saves the round; `kept` is the generation that was resumed from, or None."""
    companion = training_round.companion
    checkpoint = callbacks.Checkpoint(
        training_round.folder,
        session.steps,
        training_round.identity,
        rows,
        companion.arrays if companion else dict,
        None if training_round.rewind_step is None else folder.rewind,
    )
    if kept:
        checkpoint.continue_after(kept)
    return checkpoint


def _begin(session, folder, training_round):
    """Loads the round's last checkpoint, or the start state; returns (step, rows, partial, checkpoint's path)."""
    team, there = session.team, {}

    def look():
        there["saved"] = _saved(folder, training_round)
        path, _, facts = there["saved"] or (None, None, None)
        return path, facts

    path, facts = team.from_chief(look, _is_checkpoint)
    arrays = team.arrays_from_chief(
        lambda: there["saved"][1] if there["saved"] else training_round.start(),
        lambda: _specs(session, path is not None, training_round.companion),
    )
    masks, companion = training_round.masks, training_round.companion
    wrapping.write_masks(session.steps.model, masks)
    session.steps.reset_optimizer()
    if path is None:
        wrapping.write_state(session.steps.model, arrays, masks)
        return training_round.first_step, [], None, None
    callbacks.restore(session.steps, arrays)
    if companion:
        companion.restore(arrays)
    partial = arrays["partial"] if len(arrays["partial"]) else None
    return facts["step"], facts["rows"], partial, path


def _is_checkpoint(value):
    """Whether this is what `look` in `_begin` returns, as JSON has it: [path, facts] of a checkpoint, or of none."""
    path, facts = value if isinstance(value, list) and len(value) == 2 else (None, False)
    if path is None:
        return facts is None
    known = isinstance(path, str) and isinstance(facts, dict) and messages.is_whole(facts.get("step"))
    rows = facts.get("rows") if known else None
    return isinstance(rows, list) and all(isinstance(row, dict) for row in rows)


def _specs(session, saved, companion):
    """The messages.ArraySpec of all that a round begins from: a state, or what its checkpoint holds."""
    model = messages.specs_of(session.initial)
    if not saved:
        return model
    specs = {f"model/{name}": spec for name, spec in model.items()}
    specs |= {f"optimizer/{name}": spec for name, spec in session.steps.optimizer_specs.items()}
    specs |= companion.specs() if companion else {}
    return specs | {"partial": messages.ArraySpec((None, 3), np.dtype(np.float32))}


def _saved(folder, training_round):
    """The round's last checkpoint as (path, arrays, facts), or None; StateError where it had another rewind point."""
    saved = callbacks.load_checkpoint(training_round.folder, training_round.identity, say)
    if saved is None:
        if os.path.exists(training_round.folder.weights):
            say(f"{training_round.folder.folder} has no checkpoint; the round is trained again from its beginning")
        return None
    facts, rewind_step = saved[2], training_round.rewind_step
    if rewind_step is not None and facts["step"] >= rewind_step:
        there = os.path.exists(folder.rewind)
        if not there or storage.file_digest(folder.rewind) != facts["rewind"]:
            fate = "was changed" if there else "is missing"
            raise StateError(
                f"{folder.rewind} {fate} though round 0 needs it; restore it, or delete {training_round.folder.folder}"
            )
    return saved


def _observers(session, folder, training_round, rows, step, steps_after):
    """The callbacks before the checkpoint, and the steps at which blocks have to end for them."""
    plan, run = session.plan, session.plan.config.run
    observers, boundaries = [], []
    if training_round.rewind_step is not None:
        observers.append(RewindPoint(folder.rewind, training_round.rewind_step, session.team.chief))
        boundaries.append(training_round.rewind_step)
    if session.team.chief and run.tensorboard:
        place = os.path.basename(training_round.folder.folder)
        observers.append(callbacks.TensorBoard(os.path.join(folder.tensorboard, place), rows))
    if session.team.chief and session.profiles:
        session.profiles = False
        first, last = (step + int(part) for part in run.profile_steps.split(":"))
        observers.append(callbacks.Profile(folder.tensorboard, first, last))
        boundaries += [first, last]
    if session.team.chief:
        observers.append(callbacks.Progress(
            run.progress, title=training_round.title, detail=training_round.detail, shown=_shown(plan),
            first_step=step, last_step=training_round.last_step, steps_per_epoch=plan.steps_per_epoch,
            images_per_epoch=plan.train_images, steps_after=steps_after,
        ))  # fmt: skip
    return observers + ([training_round.gradual] if training_round.gradual else []), boundaries


def _shown(plan):
    """The part whose accuracy the progress shows: validation as long as it chooses the ticket."""
    return "validation" if plan.config.choose == "validation" and not plan.refits else "test"
