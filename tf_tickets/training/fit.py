"""`fit`: runs steps from one global step to another, and tells observers where it is."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from tf_tickets.errors import DivergedError, StopRequested
from tf_tickets.observers import Block, Observer
from tf_tickets.training.steps import Steps

# An execution block, in which no Python runs, lasts about this long at most: a stop request is seen after it.
_BLOCK_SECONDS = 5.0

_STOPPED = "stopped on request after step {}; the state is saved, run again to continue"


@dataclasses.dataclass(frozen=True)
class Span:
    """The steps of a round that one call of `fit` trains.

    Attributes:
      first_step, last_step: global steps, counted from the start of the round's epoch 0.
      steps_per_epoch: batches of an epoch.
      learning_rate: function epoch -> float, epochs counted from 0.
      outcomes: float32 [k, 3], as of an observers.Block, of the k steps before `first_step` of an epoch that was
        begun, or is not evaluated yet.
      backbone_from: global step, at an epoch's beginning, before which the head alone is trained.
    """

    first_step: int
    last_step: int
    steps_per_epoch: int
    learning_rate: Callable[[int], float]
    outcomes: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 3), np.float32))
    backbone_from: int = 0


def fit(
    steps: Steps, batches: Iterable, span: Span, *, observers: Sequence[Observer] = (),
    ends: Callable[[int], tuple[dict, bool]] = lambda epoch: ({}, False),
    evaluate: Callable[[int, bool], dict] = lambda epoch, last: {},
    stop: Callable[[], bool] = lambda: False, agree: Callable[[int], int] = lambda count: count,
    in_place: Callable[[int, Iterator], np.ndarray | None] = lambda step, batches: None,
) -> list[dict]:  # fmt: skip
    """Trains the steps of a span.

    Args:
      steps: its variables are trained.
      batches: begin at the span's first step, from `data.pipeline.TrainingBatches`.
      span: which steps.
      observers: are told in this order.
      ends: function epoch -> (columns, whether this epoch is the last one), asked once an epoch is trained.
      evaluate: function (epoch, last) -> columns, empty when the epoch is not evaluated; called after `ends`. Both
        count epochs done, from 1.
      stop: whether to stop; asked after each block.
      agree: function of the steps that the next block might have -> those that it has, the same on all workers: their
        collectives find each other by their place in the block.
      in_place: function (step, iterator over the batches) -> outcomes, float32 [1, 3], of what it did with the next
        batch in the place of a training step; None where that step is trained. An observer has to end blocks there.

    Returns:
      One dict per epoch: epoch (done, from 1), learning_rate, train_loss, train_accuracy, and the columns of `ends`
      and `evaluate`.

    Raises:
      DivergedError: a loss is not finite; names epoch and step.
      StopRequested: `stop()` said so, or `evaluate` raised it; raised after the observers were told.
    """
    rows, iterator = [], iter(batches)
    step, last_step, outcomes = span.first_step, span.last_step, span.outcomes
    length = _BlockLength()
    for observer in observers:
        observer.training_begins(step)
    while step < last_step or len(outcomes):
        epoch = (step - len(outcomes)) // span.steps_per_epoch
        rate = span.learning_rate(epoch)
        epoch_end = min((epoch + 1) * span.steps_per_epoch, last_step)
        if step < epoch_end:  # else resumed where a stop request interrupted the evaluation
            count = agree(min(_block_end(step, epoch_end, observers) - step, length.steps))
            started = time.perf_counter()
            if 0 < step == span.backbone_from:  # also resumed here: what a checkpoint holds is the head's alone
                steps.reset_optimizer()
            replaced = in_place(step, iterator)
            head_alone = step < span.backbone_from
            trained = steps.train(iterator, count, rate, head_alone) if replaced is None else replaced
            length.took(count, time.perf_counter() - started)
            _check_finite(trained, epoch, step)
            step, outcomes = step + count, np.concatenate([outcomes, trained])
        if step == epoch_end:
            steps.synchronise()
            columns, ended = ends(epoch + 1)
            row = {"epoch": epoch + 1, "learning_rate": rate, **_means(outcomes), **columns}
            last_step = step if ended else last_step
            with _telling_of_interruption(observers, Block(step, outcomes, stopping=True)):
                row |= evaluate(epoch + 1, step == last_step)
            rows.append(row)
            outcomes = outcomes[:0]
            for observer in observers:
                observer.epoch_ends(row)
        # Replicas' own normalisation statistics become one, and can be saved, at an epoch's end.
        stopping = step < last_step and (steps.devices.replicas == 1 or not len(outcomes)) and stop()
        for observer in observers:
            observer.block_ends(Block(step, outcomes, stopping, last=step == last_step))
        if stopping:
            raise StopRequested(_STOPPED.format(step))
    for observer in observers:
        observer.training_ends()
    return rows


@contextlib.contextmanager
def _telling_of_interruption(observers, block):
    """Tells observers when a stop request ends the evaluation inside."""
    try:
        yield
    except StopRequested:
        for observer in observers:
            observer.evaluation_interrupted(block)
        raise StopRequested(_STOPPED.format(block.step)) from None


def _block_end(step, epoch_end, observers):
    """The first step after `step` at which a block has to end."""
    boundaries = [epoch_end, *(boundary for observer in observers for boundary in observer.boundaries)]
    return min(boundary for boundary in boundaries if boundary > step)


class _BlockLength:
    """Doubles the steps of a block while blocks are short, so that Python's share vanishes and stops stay prompt."""

    def __init__(self):
        self.steps = 1

    def took(self, count: int, seconds: float) -> None:
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
