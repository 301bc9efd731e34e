"""The `gradual` control: weights removed during one run, by tfmot's polynomial schedule (Zhu & Gupta 2017)."""

import numpy as np

from tf_tickets.backend import tf, tfmot
from tf_tickets.observers import Block, Observer
from tf_tickets.pruning import masks as pruning_masks
from tf_tickets.pruning import wrapping
from tf_tickets.workers import messages


class GradualPruning(Observer):
    """Removes the smallest weights of all layers together at the end of each epoch between two epochs.

    The fraction removed follows tfmot's PolynomialDecay, power 3, from 0 to 1 - density. tfmot's own wrapper would
    prune every layer alike; here the ranking is global, as in the rounds that this is compared with, and the last
    count exact. Removed weights and their optimizer slots are exactly zero from then on.

    Attributes:
      masks: of the weights kept so far.
    """

    def __init__(self, steps, masks, left, *, first_epoch, last_epoch, steps_per_epoch, remove):
        """What is removed when.

        Args:
          steps: a training.steps.Steps, whose network and optimizer it prunes.
          masks: of the start.
          left: weights that remain from the end of `last_epoch` on; nothing is removed before `first_epoch` ends.
          first_epoch, last_epoch, steps_per_epoch: of the schedule.
          remove: function (weights, masks, amount) -> masks with so many weights fewer.
        """
        self.masks, self._steps, self._left, self._remove = masks, steps, left, remove
        self._last_step = last_epoch * steps_per_epoch
        total = sum(mask.size for mask in masks.values())
        self._schedule = tfmot.sparsity.keras.PolynomialDecay(
            0.0, 1.0 - left / total, first_epoch * steps_per_epoch, self._last_step, 3, steps_per_epoch
        )

    def wanted(self, step):
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
            kernels = wrapping.kernel_variables(self._steps.model)
            weights = {name: variable.numpy() for name, variable in kernels.items()}
            self.masks = self._remove(weights, self.masks, amount)
            wrapping.write_masks(self._steps.model, self.masks)
            for name, variable in kernels.items():
                for slot in self._steps.slots(variable):
                    slot.assign(np.where(self.masks[name], np.asarray(slot), np.float32(0.0)))

    def arrays(self):
        """What a checkpoint keeps."""
        return {f"mask/{name}": mask for name, mask in self.masks.items()}

    def specs(self):
        """{name: messages.ArraySpec} of `arrays`."""
        return messages.specs_of(self.arrays())

    def restore(self, arrays):
        """Continues with the masks of a checkpoint."""
        self.masks = {name: arrays[f"mask/{name}"] for name in self.masks}
        wrapping.write_masks(self._steps.model, self.masks)
