"""When a round has settled which weights it would remove (You et al. 2020, Drawing Early-Bird Tickets, section 3)."""

from collections.abc import Callable

import numpy as np

from tf_tickets.workers import messages


class Settling:
    """Compares, after every epoch, the mask that the round would leave with that of the epoch before.

    Attributes:
      settled: whether the mask has stayed within `threshold` for `patience` epochs in a row.
      distance: share of the weights that would be removed that are others than an epoch ago, in [0, 1]; None after
        the first epoch. Early-Bird divides by all weights instead, so its distance falls as fewer are removed.
    """

    def __init__(self, next_masks: Callable[[], dict[str, np.ndarray]], threshold: float, patience: int):
        """`next_masks`: function -> the masks that the round would leave, from its weights now."""
        self._next_masks, self._threshold, self._patience = next_masks, threshold, patience
        self._epoch, self._within, self._kept, self.distance = -1, 0, None, None

    @property
    def settled(self) -> bool:
        """Whether the round may end."""
        return self._within >= self._patience

    def after_epoch(self, epoch: int, remaining: int) -> None:
        """Takes the mask after `epoch` epochs; asked again about the same epoch, changes nothing.

        Args:
          epoch: epochs done, from 1.
          remaining: weights left in the round.
        """
        if epoch == self._epoch:
            return  # a stop request interrupted what followed, and the epoch ends once more
        masks = self._next_masks()
        bits = np.concatenate([np.packbits(mask) for mask in masks.values()])
        if self._kept is not None:
            removed = remaining - int(np.bitwise_count(bits).sum())
            # As many weights leave the set as enter it.
            entered = int(np.bitwise_count(bits ^ self._kept).sum()) // 2
            self.distance = entered / removed if removed else 0.0
            self._within = self._within + 1 if self.distance <= self._threshold else 0
        self._epoch, self._kept = epoch, bits

    def arrays(self) -> dict[str, np.ndarray]:
        """What a checkpoint keeps, so that a resumed round ends in the same epoch."""
        kept = np.zeros(0, np.uint8) if self._kept is None else self._kept
        distance = np.nan if self.distance is None else self.distance
        return {
            "settling/epochs": np.array([self._epoch, self._within]), "settling/kept": kept,
            "settling/distance": np.array(distance),
        }  # fmt: skip

    def specs(self) -> dict[str, messages.ArraySpec]:
        """What `arrays` has to be, by name; the mask is empty at first."""
        return messages.specs_of(self.arrays()) | {"settling/kept": messages.ArraySpec((None,), np.dtype(np.uint8))}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Continues from a checkpoint's arrays."""
        self._epoch, self._within = map(int, arrays["settling/epochs"])
        kept, distance = arrays["settling/kept"], float(arrays["settling/distance"])
        self._kept = kept if len(kept) else None
        self.distance = None if np.isnan(distance) else distance
