"""`DynamicTraining`: the observer that changes the mask of a training by a `DynamicControl`."""

from collections.abc import Callable, Iterator

import numpy as np

from tf_tickets.backend import keras, tf
from tf_tickets.observers import Block
from tf_tickets.pruning import dynamic, wrapping
from tf_tickets.pruning import masks as pruning_masks
from tf_tickets.pruning.mask_changes import MaskChanges, Slots

Gradients = Callable[[Iterator, dict[str, tf.Variable]], tuple[dict[str, np.ndarray], np.ndarray]]


class DynamicTraining(MaskChanges):
    """Drops weights of smallest magnitude and grows as many others of their layer, at some steps.

    As in the paper's implementation a grown weight starts at zero, with empty optimizer slots. Dropped weights are
    exactly zero, and so are their slots, which there go on to decay unseen: a weight that is grown again finds none of
    them there either. An update that wants gradients takes a batch for itself, whose step is not trained; any other
    comes between two steps.
    """

    columns, constant = ("density", "mask_changed"), True

    def __init__(
        self, model: keras.Model, masks: dict[str, np.ndarray], slots: Slots, *, updates: range, steps_per_epoch: int,
        share: Callable[[int], float], growth: Callable[[int, dict[str, np.ndarray] | None], dict[str, np.ndarray]],
        gradients: Gradients | None,
    ):  # fmt: skip
        """What changes when.

        Args:
          model: the wrapped network.
          masks, slots: as of `MaskChanges`.
          updates: steps after which the masks change.
          steps_per_epoch: batches of an epoch.
          share: function step -> the share of each layer's weights that is dropped.
          growth: function (step, gradients or None) -> arrays by layer, see `DynamicControl.growth`.
          gradients: function (iterator, variables) -> (the next batch's gradients by them, its outcomes); None where
            `growth` wants none.
        """
        super().__init__(model, masks, slots)
        self._updates, self._steps_per_epoch, self._share = updates, steps_per_epoch, share
        self._growth, self._gradients = growth, gradients
        self.dense_steps = 0 if gradients is None else len(updates)
        # A batch that is not trained is a block of its own.
        ends = (0,) if gradients is None else (0, 1)
        self.boundaries = [step + after for step in updates for after in ends]
        self._epoch = self._entered = 0

    def in_place(self, step: int, batches: Iterator) -> np.ndarray | None:
        """An update by the next batch's gradients."""
        if self._gradients is None or step not in self._updates:
            return None
        # Weights that are off are zero, so that under masks of ones the network computes the same.
        wrapping.open_masks(self._model)
        gradients, outcomes = self._gradients(batches, wrapping.kernel_variables(self._model))
        if np.isfinite(outcomes).all():
            self._update(step, gradients)
        else:
            wrapping.write_masks(self._model, self.masks)
        return outcomes

    def block_ends(self, block: Block) -> None:
        """An update without gradients."""
        if self._gradients is None and block.step in self._updates:
            self._update(block.step, None)

    def _update(self, step, gradients):
        weights = {name: variable.numpy() for name, variable in wrapping.kernel_variables(self._model).items()}
        changed = dynamic.updated(self.masks, weights, self._growth(step, gradients), self._share(step))
        epoch = step // self._steps_per_epoch + 1
        self._entered = self._entered if epoch == self._epoch else 0
        self._epoch = epoch
        self._entered += sum(int(np.count_nonzero(mask & ~self.masks[name])) for name, mask in changed.items())
        self.change(changed)

    def row(self, epoch: int) -> dict[str, float]:
        """The share of weights left, and, of these, how many updates of the epoch have grown elsewhere."""
        entered = self._entered if epoch == self._epoch else 0
        left = pruning_masks.count(self.masks)
        return {"density": pruning_masks.density(self.masks), "mask_changed": entered / left if left else 0.0}

    def arrays(self) -> dict[str, np.ndarray]:
        """What a checkpoint keeps."""
        return {**super().arrays(), "dynamic/entered": np.array([self._epoch, self._entered])}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Continues from a checkpoint's arrays."""
        super().restore(arrays)
        self._epoch, self._entered = map(int, arrays["dynamic/entered"])
