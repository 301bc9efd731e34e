"""`Observer`: what is told how a training goes on."""

import contextlib
import contextvars
import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Block:
    """Where a training is after a block of steps, in which no Python ran.

    Attributes:
      step: global steps done.
      outcomes: float32 [k, 3], of the k steps done of the epoch: sum of the losses, correctly classified, examples;
        empty once the epoch has ended.
      stopping: whether training stops here on request, to be continued later.
      last: whether it was the last block.
    """

    step: int
    outcomes: np.ndarray
    stopping: bool = False
    last: bool = False


class Observer:
    """Told by `training.fit.fit` how a training goes on; each method does nothing unless a subclass defines it.

    Attributes:
      boundaries: global steps at which a block has to end for this observer.
    """

    boundaries: Sequence[int] = ()

    def round_begins(self, index: int, density: float) -> None:
        """Before a round is trained, or continued: its number, and the share of the prunable weights that it has."""

    def training_begins(self, step: int) -> None:
        """Before the first block, when `step` global steps are done."""

    def epoch_ends(self, row: dict) -> None:
        """When an epoch is trained and evaluated; `row` holds its columns. The block that ended it follows."""

    def block_ends(self, block: Block) -> None:
        """After each block."""

    def evaluation_interrupted(self, block: Block) -> None:
        """In place of `epoch_ends` and `block_ends`, when a stop request ends the evaluation of a trained epoch."""

    def training_ends(self) -> None:
        """After the last block; not when training stops on request or fails."""


_told: contextvars.ContextVar[tuple[Observer, ...]] = contextvars.ContextVar("told", default=())


@contextlib.contextmanager
def told(observers: Sequence[Observer]) -> Iterator[None]:
    """While inside, all rounds that are trained tell these observers too."""
    token = _told.set((*_told.get(), *observers))
    try:
        yield
    finally:
        _told.reset(token)


def of_the_caller() -> tuple[Observer, ...]:
    """Those of `told`, outermost first."""
    return _told.get()
