"""The `gradual` control: weights removed during one run, by tfmot's polynomial schedule (Zhu & Gupta 2017)."""

from collections.abc import Callable

import numpy as np

from tf_tickets.backend import keras, tf, tfmot
from tf_tickets.observers import Block
from tf_tickets.pruning import masks as pruning_masks
from tf_tickets.pruning import wrapping
from tf_tickets.pruning.mask_changes import MaskChanges, Slots


class GradualPruning(MaskChanges):
    """Removes the smallest weights of all layers together at the end of each epoch between two epochs.

    The fraction removed follows tfmot's PolynomialDecay, power 3, from 0 to 1 - density. tfmot's own wrapper would
    prune every layer alike; here the ranking is global, as in the rounds that this is compared with, and the last
    count exact. Removed weights and their optimizer slots are exactly zero from then on.
    """

    def __init__(
        self, model: keras.Model, masks: dict[str, np.ndarray], left: int, *, first_epoch: int, last_epoch: int,
        steps_per_epoch: int, slots: Slots,
        remove: Callable[[dict[str, np.ndarray], dict[str, np.ndarray], int], dict[str, np.ndarray]],
    ):  # fmt: skip
        """What is removed when.

        Args:
          model: the wrapped network.
          masks: of the start.
          left: weights that remain from the end of `last_epoch` on; nothing is removed before `first_epoch` ends.
          first_epoch, last_epoch, steps_per_epoch: of the schedule.
          slots: function variable -> what the optimizer keeps of it from step to step.
          remove: function (weights, masks, amount) -> masks with so many weights fewer.
        """
        super().__init__(model, masks, slots)
        self._left, self._remove = left, remove
        self._last_step = last_epoch * steps_per_epoch
        total = sum(mask.size for mask in masks.values())
        self._schedule = tfmot.sparsity.keras.PolynomialDecay(
            0.0, 1.0 - left / total, first_epoch * steps_per_epoch, self._last_step, 3, steps_per_epoch
        )

    def wanted(self, step: int) -> int:
        """How many weights are kept once `step` steps are done."""
        if step >= self._last_step:
            return self._left
        total = sum(mask.size for mask in self.masks.values())
        prunes, sparsity = self._schedule(tf.constant(step))
        kept = round(total * (1.0 - float(sparsity)))
        return kept if bool(prunes) else pruning_masks.count(self.masks)

    def block_ends(self, block: Block) -> None:
        """Prunes where the schedule says so, and empties the slots that momentum would move weights from zero by."""
        amount = pruning_masks.count(self.masks) - self.wanted(block.step)
        if amount > 0:
            kernels = wrapping.kernel_variables(self._model)
            weights = {name: variable.numpy() for name, variable in kernels.items()}
            self.change(self._remove(weights, self.masks, amount))
