"""`fit`: runs steps from one global step to another, and tells callbacks where it is."""

import math
import time

import numpy as np

from tf_tickets.errors import DivergedError, StopRequested

# An execution block, in which no Python runs, lasts about this long at most: a stop request is seen after it.
_BLOCK_SECONDS = 5.0

_STOPPED = "stopped on request after step {}; the state is saved, run again to continue"


def fit(
    *, steps, batches, steps_per_epoch, first_step, last_step, learning_rate, callbacks=(), evaluate=None,
    boundaries=(), partial=None, stop=lambda: False, ends=None, agree=lambda count: count,
):  # fmt: skip
    """Trains from `first_step` to `last_step`.

    Args:
      steps: a training.steps.Steps; its variables are trained.
      batches: an iterable that starts at `first_step`, from `data.pipeline.TrainingBatches`.
      steps_per_epoch: batches of an epoch.
      first_step, last_step: global steps, counted from the start of the round's epoch 0.
      learning_rate: function epoch -> float.
      callbacks: keras.callbacks.Callback; `on_train_begin({"step"})`,
        `on_epoch_begin(epoch, logs)`, `on_epoch_end(epoch, row)`, and, after each block, `on_train_batch_end(step,
        logs)` with the global steps done, `partial` the epoch's outcomes so far, `stopping` and whether it was the
        `last`; where they have it, `on_epoch_interrupted(step, logs)` before StopRequested leaves `evaluate`.
      evaluate: function (epoch, last) -> dict of columns, empty when the epoch is not evaluated; called before
        on_epoch_end.
      boundaries: global steps at which a block has to end.
      partial: float32 [k, 3], the outcomes of the first epoch's batches before `first_step`, when resuming inside it
        or before its evaluation.
      stop: function that says whether to stop; asked after each block.
      agree: function of the steps that the next block might have -> those that it has, the same on all workers: their
        collectives find each other by their place in the block.
      ends: function epoch -> (dict of columns, whether this epoch is the last one), asked once an epoch is trained.

    Returns:
      One dict per epoch: epoch (done, from 1), learning_rate, train_loss, train_accuracy, and evaluate's columns.

    Raises:
      DivergedError: a loss is not finite; names epoch and step.
      StopRequested: `stop()` said so; raised after the callbacks have seen the block.
    """

    # Not keras.callbacks.CallbackList, whose timing of batches would warn of every checkpoint.
    def tell(hook, *facts):
        for callback in callbacks:
            getattr(callback, hook, _ignored)(*facts)

    rows, iterator, step = [], iter(batches), first_step
    done = np.zeros((0, 3), np.float32) if partial is None else partial
    block = _BlockLength()
    tell("set_model", steps.model)
    tell("on_train_begin", {"step": first_step})
    while step < last_step or len(done):
        epoch = (step - len(done)) // steps_per_epoch
        rate = learning_rate(epoch)
        if not len(done):
            tell("on_epoch_begin", epoch)
        epoch_end = min((epoch + 1) * steps_per_epoch, last_step)
        if step < epoch_end:  # else resumed where a stop request interrupted the evaluation
            count = agree(min(min(b for b in (*boundaries, epoch_end) if b > step) - step, block.steps))
            started = time.perf_counter()
            outcomes = steps.train(iterator, count, rate)
            block.took(count, time.perf_counter() - started)
            _check_finite(outcomes, epoch, step)
            step, done = step + count, np.concatenate([done, outcomes])
        if step == epoch_end:
            steps.synchronise()
            row = {"epoch": epoch + 1, "learning_rate": rate, **_means(done)}
            columns, ended = ends(epoch + 1) if ends else ({}, False)
            row, last_step = row | columns, step if ended else last_step
            try:
                row |= evaluate(epoch + 1, step == last_step) if evaluate else {}
            except StopRequested:
                tell("on_epoch_interrupted", step, {"partial": done})
                raise StopRequested(_STOPPED.format(step)) from None
            rows.append(row)
            done = done[:0]
            tell("on_epoch_end", epoch, row)
        # Replicas' own normalisation statistics become one, and can be saved, at an epoch's end.
        stopping = step < last_step and (steps.devices.replicas == 1 or not len(done)) and stop()
        tell("on_train_batch_end", step, {"partial": done, "stopping": stopping, "last": step == last_step})
        if stopping:
            raise StopRequested(_STOPPED.format(step))
    tell("on_train_end")
    return rows


def _ignored(*facts):
    """What a callback without some hook does there."""


class _BlockLength:
    """Doubles the steps of a block while blocks are short, so that Python's share vanishes and stops stay prompt."""

    def __init__(self):
        self.steps = 1

    def took(self, count, seconds):
        per_step = max(seconds / count, 1e-6)
        self.steps = max(1, min(2 * max(count, self.steps), int(_BLOCK_SECONDS / per_step)))


def _means(outcomes):
    # float64 over the steps in order: the same sums however the epoch was cut into blocks.
    loss, correct, examples = outcomes.astype(np.float64).sum(axis=0)
    return {"train_loss": loss / examples, "train_accuracy": correct / examples}


def _check_finite(outcomes, epoch, step):
    bad = np.flatnonzero(~np.isfinite(outcomes[:, 0]))
    if len(bad):
        value = outcomes[bad[0], 0]
        word = "NaN" if math.isnan(value) else "infinite"
        raise DivergedError(
            f"the training loss is {word} in epoch {epoch + 1}, step {step + int(bad[0]) + 1}; "
            "lower --learning_rate or set --warmup; complete rounds are kept"
        )
