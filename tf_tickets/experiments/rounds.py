"""One round: mask, start state, training with resume, artefacts; `summary.json` last makes it complete."""

import os
import time

from tf_tickets import config as configs
from tf_tickets import storage
from tf_tickets.backend import tf
from tf_tickets.errors import DivergedError, StateError
from tf_tickets.experiments import joined, round_masks
from tf_tickets.experiments.notices import say
from tf_tickets.models import state
from tf_tickets.pruning import masks as pruning_masks
from tf_tickets.pruning import wrapping
from tf_tickets.pruning.rewind import RewindPoint
from tf_tickets.training import callbacks, schedules
from tf_tickets.training.fit import fit

EPOCH_COLUMNS = (
    "epoch", "learning_rate", "train_loss", "train_accuracy", "test_accuracy", "test_balanced_accuracy", "test_loss",
    "validation_accuracy", "mask_distance",
)  # fmt: skip
EVALUATION_COLUMNS = ("run", "round", "density", "evaluator", "setting", "metric", "value", "n")


def start_state(folder, round_index, session):
    """The state that mask x state trains from, by the kind of rewinding."""
    if round_index == 0:
        return session.initial
    return storage.read_arrays(folder.start_of(round_index, session.plan.config.pruning.rewind))


def rate_of(plan, round_index):
    """The learning rate as a function of the epoch, in one round."""
    pruning, training = plan.config.pruning, plan.training_of(round_index)
    kind, _ = configs.rewind_parts(pruning.rewind)
    if kind == "finetune" and round_index > 0:
        constant = pruning.finetune_learning_rate or training.learning_rate / 100.0
        return lambda epoch: constant
    return lambda epoch: schedules.learning_rate(training, epoch)


def is_evaluated(plan, round_index, epoch, last):
    """Whether an epoch (done, from 1) is evaluated: the middle and the last, or every `eval_every` and the last.

    A searched round is compared with nothing: evaluating it, which may cost more than training it, is left out unless
    `eval_every` asks for it.
    """
    every = plan.config.run.eval_every
    if every is None and plan.is_searched(round_index):
        return False
    return last or (epoch % every == 0 if every else epoch == plan.training.epochs // 2)


def train_round(
    session, folder, round_index, *, identity, masks, start, first_step, key_round=None, rate_round=None,
    stop=lambda: False, steps_after=0, gradual=None,
):  # fmt: skip
    """Trains one round to the end, from its beginning or its last checkpoint, and writes its artefacts.

    Args:
      session: a Session.
      folder: the runs.RunFolder.
      round_index: names the round's folder.
      identity: text that ties checkpoints to this run and round.
      masks: of this round.
      start: function -> the state that training starts from.
      first_step: global step at which a fresh start begins.
      key_round: the round number that order and augmentation draw from; defaults to round_index.
      rate_round: the round number whose learning rates these are; defaults to round_index.
      stop: asked after each block of steps.
      steps_after: steps of later rounds, for the time left.
      gradual: a training.gradual.GradualPruning that changes the masks on the way, or None.
    """
    plan, team, mine = session.plan, session.team, folder.round(round_index)
    key_round = round_index if key_round is None else key_round
    rate_round = round_index if rate_round is None else rate_round
    began = time.time()
    end = plan.end_step(round_index)
    # What changes or ends the round on its way, with a state of its own for checkpoints.
    companion = gradual or round_masks.settling_of(session, round_index, masks)
    step, rows, partial, kept = _begin(session, folder, mine, identity, masks, start, first_step, companion)
    folder.note_attempt(round_index, step)
    settling = companion if companion is not gradual else None
    if settling and settling.settled:
        end = step
    observers, boundaries = _observers(session, folder, round_index, masks, rows, step, steps_after)
    observers += [gradual] if gradual else []
    if team.chief:
        observers.append(_checkpoint(session, folder, mine, identity, rows, companion, kept))
    trained_from, remaining = time.monotonic(), pruning_masks.count(masks)

    def ends(epoch):
        settling.after_epoch(epoch, remaining)
        return {"mask_distance": settling.distance}, settling.settled

    if step < end or partial is not None:
        try:
            rows = rows + fit(
                steps=session.steps, batches=session.batches(key_round, step, end),
                steps_per_epoch=plan.steps_per_epoch, first_step=step, last_step=end,
                learning_rate=rate_of(plan, rate_round), callbacks=observers, boundaries=boundaries,
                partial=partial, stop=stop, ends=ends if settling else None,
                agree=lambda count: team.from_chief(lambda: count),
                evaluate=lambda epoch, last: session.evaluations(stop)
                if is_evaluated(plan, round_index, epoch, last) else {},
            )  # fmt: skip
        except DivergedError as error:
            raise DivergedError(f"round {round_index}: {error}") from None
        except tf.errors.OpError as error:
            raise getattr(session.train.pixels, "problem", None) or error from None
    seconds = time.monotonic() - trained_from
    masks = gradual.masks if gradual else masks
    weights = pruning_masks.masked_state(state.get_state(session.steps.model), masks)
    _check_same(session, weights, masks)
    if not team.chief:
        return
    if gradual:
        storage.write_arrays(mine.mask, masks, compress=True)
    storage.write_csv(mine.density, pruning_masks.density_rows(masks), ("layer", "shape", "kept", "total", "density"))
    _write_artefacts(session, folder, mine, rows, masks, weights)
    trained = rows[-1]["epoch"] * plan.steps_per_epoch - step
    storage.write_json(mine.timing, timing(plan, began, seconds, trained))
    mine.complete_with(summary_of(plan, round_index, masks, rows), folder.name)


def _checkpoint(session, folder, mine, identity, rows, companion, kept):
    """The callback that saves the round; `kept` is the generation that was resumed from, or None."""
    checkpoint = callbacks.Checkpoint(
        mine, session.steps, identity, rows, companion.arrays if companion else dict,
        folder.rewind if mine.index == 0 else None,
    )
    if kept:
        checkpoint.continue_after(kept)
    return checkpoint


def _check_same(session, weights, masks):
    """StateError where a worker ends a round with other masks or weights than the chief; it names the worker."""
    if session.team.size == 1:
        return
    fix = "than the chief; nothing of this round is kept: check its memory, then run again"
    found = [joined.digest(each) for each in (masks, wrapping.read_masks(session.steps.model), weights)]
    for what, one in zip(("masks", "masks in the network", "weights"), found):
        session.team.check_same(one, f"ends the round with other {what} {fix}")


def timing(plan, began, seconds, steps):
    """The contents of timing.json: when this process began, and how fast it trained so many steps."""
    images = steps / plan.steps_per_epoch * plan.train_images
    return {
        "began": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(began)), "seconds": seconds,
        "images_per_second": images / seconds if seconds > 0 and images else 0.0,
    }  # fmt: skip


def _begin(session, folder, mine, identity, masks, start, first_step, companion):
    """Loads the round's last checkpoint, or the start state; returns (step, rows, partial, checkpoint's path)."""
    team, found = session.team, {}

    def look():
        found["saved"] = _saved(session, folder, mine, identity)
        path, _, facts = found["saved"] or (None, None, None)
        return path, facts

    path, facts = team.from_chief(look)
    arrays = team.arrays_from_chief(lambda: found["saved"][1] if found["saved"] else start())
    wrapping.write_masks(session.steps.model, masks)
    session.steps.reset_optimizer()
    if path is None:
        wrapping.write_state(session.steps.model, arrays, masks)
        return first_step, [], None, None
    callbacks.restore(session.steps, arrays)
    if companion:
        companion.restore(arrays)
    partial = arrays["partial"] if len(arrays["partial"]) else None
    return facts["step"], facts["rows"], partial, path


def _saved(session, folder, mine, identity):
    """The round's last checkpoint as (path, arrays, facts), or None; StateError where the rewind point is not its."""
    saved = callbacks.load_checkpoint(mine, identity, say)
    if saved is None:
        if os.path.exists(mine.weights):
            say(f"{mine.folder} has no checkpoint; the round is trained again from its beginning")
        return None
    facts = saved[2]
    if mine.index == 0 and facts["step"] >= session.plan.rewind_step:
        there = os.path.exists(folder.rewind)
        if not there or storage.file_digest(folder.rewind) != facts["rewind"]:
            fate = "was changed" if there else "is missing"
            raise StateError(f"{folder.rewind} {fate} though round 0 needs it; restore it, or delete {mine.folder}")
    return saved


def _observers(session, folder, round_index, masks, rows, step, steps_after):
    """The callbacks before the checkpoint, and the steps at which blocks have to end for them."""
    plan, run = session.plan, session.plan.config.run
    observers, boundaries = [], []
    if round_index == 0:
        observers.append(RewindPoint(folder.rewind, plan.rewind_step, session.team.chief))
        boundaries.append(plan.rewind_step)
    if not session.team.chief:
        return observers, boundaries
    if run.tensorboard:
        observers.append(callbacks.TensorBoard(os.path.join(folder.tensorboard, f"round_{round_index:02d}"), rows))
    if run.profile_steps and not getattr(session, "profiled", False):
        session.profiled = True
        first, last = (step + int(part) for part in run.profile_steps.split(":"))
        observers.append(callbacks.Profile(folder.tensorboard, first, last))
        boundaries += [first, last]
    observers.append(callbacks.Progress(
        run.progress, title=f"{'refit, ' if plan.refits else ''}round {round_index}/{len(plan.weights) - 1}",
        detail=f"density {100 * pruning_masks.density(masks):.2f} %", shown=_shown(plan),
        first_step=step, last_step=plan.end_step(round_index), steps_per_epoch=plan.steps_per_epoch,
        images_per_epoch=plan.train_images, steps_after=steps_after,
    ))  # fmt: skip
    return observers, boundaries


def _shown(plan):
    """The part whose accuracy the progress shows: validation as long as it chooses the ticket."""
    return "validation" if plan.config.choose == "validation" and not plan.refits else "test"


def _write_artefacts(session, folder, mine, rows, masks, weights):
    storage.write_arrays(mine.weights, weights)
    storage.write_csv(mine.epochs, rows, EPOCH_COLUMNS)
    last, sizes = rows[-1], {"test": len(session.test), "validation": len(session.validation or ())}
    evaluations = [
        {"run": folder.name, "round": mine.index, "density": pruning_masks.density(masks), "evaluator": "clean",
         "setting": setting, "metric": metric, "value": last[f"{setting}_{metric}"], "n": n}
        for setting, n in sizes.items()
        for metric in ("accuracy", "balanced_accuracy", "loss")
        if f"{setting}_{metric}" in last
    ]  # fmt: skip
    storage.write_csv(mine.evaluations, evaluations, EVALUATION_COLUMNS)


def summary_of(plan, round_index, masks, rows):
    """The contents of summary.json; the best epoch on test is filled only when every epoch was evaluated."""
    last = rows[-1]
    evaluated = [row["test_accuracy"] for row in rows if row.get("test_accuracy") is not None]
    # A round that was begun otherwise and went on with eval_every=1 has no best of all its epochs.
    every = plan.config.run.eval_every == 1 and 0 < len(rows) == len(evaluated)
    return {
        "round": round_index,
        "density": pruning_masks.density(masks),
        "weights_left": pruning_masks.count(masks),
        "weights_total": sum(mask.size for mask in masks.values()),
        "epochs": len(rows),
        "searched": plan.is_searched(round_index),
        "train_loss": last["train_loss"],
        "test_accuracy": last.get("test_accuracy"),
        "test_balanced_accuracy": last.get("test_balanced_accuracy"),
        "test_loss": last.get("test_loss"),
        "test_accuracy_best_epoch": max(evaluated) if every else None,
        "epochs_evaluated": len(evaluated),
        "validation_accuracy": last.get("validation_accuracy"),
    }
