"""One round: mask, start state, training with resume, artefacts; `summary.json` last makes it complete."""

import os
import sys
import time

import numpy as np

from tf_tickets import config as configs
from tf_tickets import storage
from tf_tickets.errors import DivergedError, StateError
from tf_tickets.models import state
from tf_tickets.pruning import masks as pruning_masks
from tf_tickets.pruning import wrapping
from tf_tickets.pruning.rewind import RewindPoint
from tf_tickets.training import callbacks, schedules
from tf_tickets.training.fit import fit

EPOCH_COLUMNS = (
    "epoch", "learning_rate", "train_loss", "train_accuracy", "test_accuracy", "test_balanced_accuracy", "test_loss",
    "validation_accuracy",
)  # fmt: skip
EVALUATION_COLUMNS = ("run", "round", "density", "evaluator", "setting", "metric", "value", "n")


def say(message):
    """A notice to the user, beside the results."""
    print(f"tf-tickets: {message}", file=sys.stderr, flush=True)


def next_masks(folder, round_index, plan):
    """The masks of a round: dense, or the previous round's with the smallest weights removed (SCIENCE, IMP step 2).

    Args:
      folder: the runs.RunFolder.
      round_index: the round that will train with them.
      plan: an experiments.plan.Plan.

    Returns:
      dict of boolean masks in network order.
    """
    pruning = plan.config.pruning
    if round_index == 0:
        shapes = {kernel.name: kernel.shape for kernel in plan.kernels}
        return {name: np.ones(shape, bool) for name, shape in shapes.items()}
    before = folder.round(round_index - 1)
    masks = read_masks(before.mask, plan)
    weights = wrapping.kernels(storage.read_arrays(before.weights), masks)
    if pruning.control == "random":
        return pruning_masks.random_removal(
            weights, masks, pruning.rate, pruning.min_per_layer, seed=plan.config.run.seed, round_index=round_index
        )
    if pruning.control == "one_shot":
        return pruning_masks.global_magnitude(
            weights, masks, min_per_layer=pruning.min_per_layer, amount=plan.weights[0] - plan.weights[1]
        )
    remove = pruning_masks.layer_magnitude if pruning.scope == "layer" else pruning_masks.global_magnitude
    found = remove(weights, masks, pruning.rate, pruning.min_per_layer)
    for name in pruning_masks.empty_layers(found):
        say(f"WARNING: round {round_index} leaves layer {name} without a weight; --min_per_layer=1 keeps one")
    return found


def read_masks(path, plan):
    """The masks of a mask.npz, in network order; StateError if they are not this network's."""
    arrays = storage.read_arrays(path)
    if set(arrays) != set(plan.prunable) or any(array.dtype != bool for array in arrays.values()):
        raise StateError(f"{path} holds no masks of this network; delete it to redo it")
    return {name: arrays[name] for name in plan.prunable}


def keep_masks(mine, masks, plan):
    """Writes the masks a round begins with, or checks that those on disk are the same.

    Args:
      mine: the runs.RoundFolder.
      masks: dict of boolean masks, made anew from what they follow from.
      plan: an experiments.plan.Plan.

    Returns:
      `masks`.

    Raises:
      StateError: mask.npz is damaged or holds others.
    """
    if not os.path.exists(mine.mask):
        storage.write_arrays(mine.mask, masks, compress=True)
    found = read_masks(mine.mask, plan)
    if any(not np.array_equal(found[name], mask) for name, mask in masks.items()):
        raise StateError(f"{mine.mask} holds other masks than this round begins with; delete it to redo it")
    return masks


def start_state(folder, round_index, session):
    """The state that mask x state trains from, by the kind of rewinding."""
    if round_index == 0:
        return session.initial
    kind, _ = configs.rewind_parts(session.plan.config.pruning.rewind)
    if kind in ("learning_rate", "finetune"):
        return storage.read_arrays(folder.round(round_index - 1).weights)
    if kind == "trained":
        return storage.read_arrays(folder.round(0).weights)
    return storage.read_arrays(folder.rewind)


def rate_of(plan, round_index):
    """The learning rate as a function of the epoch, in one round."""
    pruning = plan.config.pruning
    kind, _ = configs.rewind_parts(pruning.rewind)
    if kind == "finetune" and round_index > 0:
        constant = pruning.finetune_learning_rate or plan.training.learning_rate / 100.0
        return lambda epoch: constant
    return lambda epoch: schedules.learning_rate(plan.training, epoch)


def is_evaluated(plan, epoch):
    """Whether an epoch (done, from 1) is evaluated: the middle and the last, or every `eval_every` and the last."""
    epochs, every = plan.training.epochs, plan.config.run.eval_every
    return epoch == epochs or (epoch % every == 0 if every else epoch == epochs // 2)


def train_round(
    session, folder, round_index, *, identity, masks, start, first_step, key_round=None, stop=lambda: False,
    steps_after=0, gradual=None,
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
      stop: asked after each block of steps.
      steps_after: steps of later rounds, for the time left.
      gradual: a training.gradual.GradualPruning that changes the masks on the way, or None.
    """
    plan, config, mine = session.plan, session.plan.config, folder.round(round_index)
    key_round = round_index if key_round is None else key_round
    began = time.time()
    end = plan.end_step(round_index)
    step, rows, partial, kept = _begin(session, folder, mine, identity, masks, start, first_step, gradual)
    checkpoint = callbacks.Checkpoint(
        mine, session.steps, identity, end, rows, gradual.arrays if gradual else dict,
        folder.rewind if round_index == 0 else None,
    )
    if kept:
        checkpoint.continue_after(kept)
    observers, boundaries = _observers(session, folder, round_index, rows, step, steps_after)
    observers += [gradual] if gradual else []
    trained_from = time.monotonic()
    if step < end or partial is not None:
        try:
            rows = rows + fit(
                steps=session.steps, batches=session.batches(key_round, step, end),
                steps_per_epoch=plan.steps_per_epoch, first_step=step, last_step=end,
                learning_rate=rate_of(plan, round_index), callbacks=[*observers, checkpoint], boundaries=boundaries,
                partial=partial, stop=stop,
                evaluate=lambda epoch: session.evaluations(stop) if is_evaluated(plan, epoch) else {},
            )  # fmt: skip
        except DivergedError as error:
            raise DivergedError(f"round {round_index}: {error}") from None
    seconds = time.monotonic() - trained_from
    if gradual:
        masks = gradual.masks
        storage.write_arrays(mine.mask, masks, compress=True)
    storage.write_csv(mine.density, pruning_masks.density_rows(masks), ("layer", "shape", "kept", "total", "density"))
    _write_artefacts(session, folder, mine, rows, masks)
    storage.write_json(mine.timing, timing(plan, began, seconds, end - step))
    mine.complete_with(summary_of(config, round_index, masks, rows), folder.name)


def timing(plan, began, seconds, steps):
    """The contents of timing.json: when this process began, and how fast it trained so many steps."""
    images = steps / plan.steps_per_epoch * plan.train_images
    return {
        "began": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(began)), "seconds": seconds,
        "images_per_second": images / seconds if seconds > 0 and images else 0.0,
    }  # fmt: skip


def _begin(session, folder, mine, identity, masks, start, first_step, gradual):
    """Loads the round's last checkpoint, or the start state; returns (step, rows, partial, checkpoint's path)."""
    saved = callbacks.load_checkpoint(mine, identity, say)
    wrapping.write_masks(session.steps.model, masks)
    session.steps.reset_optimizer()
    if saved is None:
        if os.path.exists(mine.weights):
            say(f"{mine.folder} has no checkpoint; the round is trained again from its beginning")
        wrapping.write_state(session.steps.model, start(), masks)
        return first_step, [], None, None
    path, arrays, facts = saved
    rewind_step = session.plan.rewind_step
    if mine.index == 0 and facts["step"] >= rewind_step:
        there = os.path.exists(folder.rewind)
        if not there or storage.file_digest(folder.rewind) != facts["rewind"]:
            fate = "was changed" if there else "is missing"
            raise StateError(f"{folder.rewind} {fate} though round 0 needs it; restore it, or delete {mine.folder}")
    callbacks.restore(session.steps, arrays)
    if gradual:
        gradual.restore(arrays)
    partial = arrays["partial"] if len(arrays["partial"]) else None
    return facts["step"], facts["rows"], partial, path


def _observers(session, folder, round_index, rows, step, steps_after):
    """The callbacks before the checkpoint, and the steps at which blocks have to end for them."""
    plan, run = session.plan, session.plan.config.run
    observers, boundaries = [], []
    if round_index == 0:
        observers.append(RewindPoint(folder.rewind, plan.rewind_step))
        boundaries.append(plan.rewind_step)
    if run.tensorboard:
        observers.append(callbacks.TensorBoard(os.path.join(folder.tensorboard, f"round_{round_index:02d}"), rows))
    if run.profile_steps and not getattr(session, "profiled", False):
        session.profiled = True
        first, last = (step + int(part) for part in run.profile_steps.split(":"))
        observers.append(callbacks.Profile(folder.tensorboard, first, last))
        boundaries += [first, last]
    left = plan.weights[round_index] if round_index < len(plan.weights) else plan.weights[-1]
    observers.append(callbacks.Progress(
        run.progress, title=f"round {round_index}/{len(plan.weights) - 1}  "
        f"density {100 * left / plan.weights[0]:.2f} %", first_step=step, last_step=plan.end_step(round_index),
        steps_per_epoch=plan.steps_per_epoch, images_per_epoch=plan.train_images, steps_after=steps_after,
    ))  # fmt: skip
    return observers, boundaries


def _write_artefacts(session, folder, mine, rows, masks):
    weights = pruning_masks.masked_state(state.get_state(session.steps.model), masks)
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


def summary_of(config, round_index, masks, rows):
    """The contents of summary.json; the best epoch on test is filled only when every epoch was evaluated."""
    last = rows[-1]
    evaluated = [row["test_accuracy"] for row in rows if row.get("test_accuracy") is not None]
    return {
        "round": round_index,
        "density": pruning_masks.density(masks),
        "weights_left": pruning_masks.count(masks),
        "weights_total": sum(mask.size for mask in masks.values()),
        "epochs": len(rows),
        "train_loss": last["train_loss"],
        "test_accuracy": last["test_accuracy"],
        "test_balanced_accuracy": last["test_balanced_accuracy"],
        "test_loss": last["test_loss"],
        "test_accuracy_best_epoch": max(evaluated) if config.run.eval_every == 1 else None,
        "epochs_evaluated": len(evaluated),
        "validation_accuracy": last.get("validation_accuracy"),
    }
