"""Masks that change during a training: what their observers share."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tf_tickets.backend import keras, tf
from tf_tickets.observers import Observer
from tf_tickets.pruning import wrapping
from tf_tickets.workers import messages

Slots = Callable[[tf.Variable], list[tf.Variable]]


class MaskChanges(Observer):
    """Changes the masks of a wrapped network between steps; a checkpoint keeps them.

    Attributes:
      masks: of the weights that are left now.
      columns: names of what `row` says of an epoch.
      constant: whether each layer's number of weights stays.
      dense_steps: steps in which the gradient by all weights is computed.
    """

    columns: Sequence[str] = ()
    constant = False
    dense_steps = 0

    def __init__(self, model: keras.Model, masks: dict[str, np.ndarray], slots: Slots):
        """`masks`: of the start; `slots`: function variable -> what the optimizer keeps of it from step to step."""
        self.masks, self._model, self._slots = masks, model, slots

    def change(self, masks: dict[str, np.ndarray]) -> None:
        """Writes other masks; weights and optimizer slots are zero where a weight is gone, or was not there before."""
        for name, variable in wrapping.kernel_variables(self._model).items():
            stayed = self.masks[name] & masks[name]
            for slot in self._slots(variable):
                slot.assign(np.where(stayed, np.asarray(slot), np.float32(0.0)))
        self.masks = masks
        wrapping.write_masks(self._model, masks)

    def in_place(self, step: int, batches: Iterator) -> np.ndarray | None:
        """As `fit` takes it: what is done with a batch in the place of a training step."""
        return None

    def row(self, epoch: int) -> dict[str, float]:
        """`columns` of an epoch that is trained, counted from 1."""
        return {}

    def arrays(self) -> dict[str, np.ndarray]:
        """What a checkpoint keeps."""
        return {f"mask/{name}": mask for name, mask in self.masks.items()}

    def specs(self) -> dict[str, messages.ArraySpec]:
        """What `arrays` has to be, by name."""
        return messages.specs_of(self.arrays())

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Continues with the masks of a checkpoint."""
        self.masks = {name: arrays[f"mask/{name}"] for name in self.masks}
        wrapping.write_masks(self._model, self.masks)
