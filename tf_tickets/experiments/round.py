"""A round as a value: all that its training is told."""

import dataclasses
import typing
from collections.abc import Callable, Iterator

import numpy as np

from tf_tickets import runs
from tf_tickets.observers import Observer
from tf_tickets.pruning import masks as pruning_masks
from tf_tickets.pruning.settling import Settling
from tf_tickets.settings.groups import Training
from tf_tickets.training import schedules

if typing.TYPE_CHECKING:  # it needs TensorFlow, which a plan of rounds does without
    from tf_tickets.pruning.mask_changes import MaskChanges


@dataclasses.dataclass(frozen=True)
class Round:
    """One round. `Plan.round` makes it, a command adds what only files and the network can tell.

    Attributes:
      folder: of its files.
      identity: text that ties its checkpoints to this run and round.
      title: what the line of progress calls it.
      first_step: global step at which a fresh start begins.
      last_step: global step at which it ends; before, where its mask settles.
      draws_of: number of the round whose order and augmentation it draws.
      training: the settings whose schedule it follows.
      constant_rate: one learning rate in place of the schedule's, or None.
      searched: whether it only serves the next mask.
      rewind_step: global step at which it leaves the rewind point; None: it leaves none.
      masks: that it begins with, by layer name.
      start: function -> the state that training starts from.
      mask_changes: what changes the masks on the way, or None.
      settling: what may end it early, or None.
    """

    folder: runs.RoundFolder
    identity: str
    title: str
    first_step: int
    last_step: int
    training: Training
    draws_of: int = 0
    constant_rate: float | None = None
    searched: bool = False
    rewind_step: int | None = None
    masks: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    start: Callable[[], dict[str, np.ndarray]] | None = None
    mask_changes: "MaskChanges | None" = None
    settling: Settling | None = None

    def beginning(
        self, masks: dict[str, np.ndarray], start: Callable[[], dict[str, np.ndarray]],
        **riders: "MaskChanges | Settling | None",
    ) -> "Round":  # fmt: skip
        """The round with what it begins with, and what rides along."""
        return dataclasses.replace(self, masks=masks, start=start, **riders)

    @property
    def detail(self) -> str:
        """What the line of progress says of it where there is room."""
        return f"density {100 * pruning_masks.density(self.masks):.2f} %" if self.masks else ""

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.title.partition("/")[0]

    @property
    def index(self) -> int:
        """Its number."""
        return self.folder.index

    @property
    def companion(self) -> "MaskChanges | Settling | None":
        """What rides along, with a state of its own for checkpoints, or None."""
        return self.mask_changes or self.settling

    @property
    def observers(self) -> list[Observer]:
        """What rides along and is told how the training goes on."""
        return [self.mask_changes] if self.mask_changes else []

    def in_place(self, step: int, batches: Iterator) -> np.ndarray | None:
        """As `fit` takes it: what the changes of masks do with a batch in the place of a step, or None."""
        return self.mask_changes.in_place(step, batches) if self.mask_changes else None

    def learning_rate(self, epoch: int) -> float:
        """Of an epoch, counted from 0."""
        return schedules.learning_rate(self.training, epoch) if self.constant_rate is None else self.constant_rate

    def is_evaluated(self, epoch: int, last: bool, every: int | None) -> bool:
        """Whether an epoch (done, from 1) is evaluated: the middle and the last, or every `every` and the last.

        A searched round is compared with nothing: evaluating it, which may cost more than training it, is left out
        unless `every` asks for it.
        """
        if every is None and self.searched:
            return False
        return last or (epoch % every == 0 if every else epoch == self.training.epochs // 2)
