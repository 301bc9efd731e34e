"""tfmot at arm's length: its wrapper carries each prunable kernel's mask, and never changes it by itself.

tfmot's own wrapper assigns weight x mask on every call, through a merge of all replicas. Ours multiplies inside the
forward pass instead: a removed weight is exactly 0.0 there, its gradient is exactly 0.0, and weights that start at
zero stay zero through momentum and decay, so checkpoints and exports need no repair.
"""

import contextlib
import typing
from collections.abc import Iterable

import numpy as np

from tf_tickets.backend import PruneLowMagnitude, keras, tf, tfmot
from tf_tickets.models import state


class NeverUpdate(tfmot.sparsity.keras.PruningSchedule):
    """A schedule that never fires: masks are assigned between rounds, never inside one."""

    def __call__(self, step: tf.Tensor) -> tuple[bool, float]:
        """Never, whatever the step."""
        return False, 0.0

    def get_config(self) -> dict:
        """No settings."""
        return {"class_name": type(self).__name__, "config": {}}


class MaskedLayer(PruneLowMagnitude):
    """PruneLowMagnitude whose mask multiplies the kernel in the forward pass."""

    def __init__(self, layer: keras.layers.Layer, **kwargs):
        kwargs.setdefault("pruning_schedule", NeverUpdate())
        super().__init__(layer, dtype=layer.dtype_policy, **kwargs)

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates the mask, and notes under which attribute the layer keeps each prunable weight."""
        super().build(input_shape)
        # By identity: a layer's own attribute and the wrapper's list name the same variable.
        self._attributes = [
            next(name for name, value in vars(self.layer).items() if value is weight)
            for weight, _, _ in self.pruning_vars
        ]

    @contextlib.contextmanager
    def _masked(self):
        # vars() goes around Keras' attribute tracking, which would take the product for a new weight.
        attributes = vars(self.layer)
        try:
            for name, (weight, mask, _) in zip(self._attributes, self.pruning_vars):
                attributes[name] = weight * mask
            yield
        finally:
            for name, (weight, _, _) in zip(self._attributes, self.pruning_vars):
                attributes[name] = weight

    def call(self, inputs: tf.Tensor, training: bool | None = None, **kwargs: typing.Any) -> tf.Tensor:
        """The wrapped layer's call, on masked weights."""
        with self._masked():
            return self.layer.call(inputs, **kwargs)


def wrap(model: keras.Model, prunable: Iterable[str]) -> keras.Model:
    """A clone of `model` with the named layers wrapped, all masks ones, and the same state.

    Args:
      model: a functional network.
      prunable: names of the layers whose kernels the ranking sees.

    Returns:
      The wrapped network, with variables of its own.
    """
    prunable = set(prunable)
    missing = prunable - {layer.name for layer in model.layers}
    if missing:
        raise ValueError(f"the network has no layer {sorted(missing)[0]}")

    def clone(layer):
        copy = layer.__class__.from_config(layer.get_config())
        return MaskedLayer(copy) if layer.name in prunable else copy

    wrapped = keras.models.clone_model(model, clone_function=clone)
    state.set_state(wrapped, state.get_state(model))
    return wrapped


def _masked_layers(model):
    return {layer.layer.name: layer for layer in model.layers if isinstance(layer, MaskedLayer)}


def read_masks(model: keras.Model) -> dict[str, np.ndarray]:
    """The masks in the network's order, boolean arrays in Keras layout."""
    return {name: np.asarray(layer.pruning_vars[0][1]) > 0.5 for name, layer in _masked_layers(model).items()}


def write_masks(model: keras.Model, masks: dict[str, np.ndarray]) -> None:
    """Assigns masks, and sets the weights that they remove to exactly zero.

    Args:
      model: a wrapped network.
      masks: dict from layer name to boolean array, for every wrapped layer.
    """
    layers = _masked_layers(model)
    if set(layers) != set(masks):
        raise ValueError(f"masks do not fit the network: {sorted(set(layers) ^ set(masks))[0]} is odd")
    for name, layer in layers.items():
        weight, mask, _ = layer.pruning_vars[0]
        if tuple(mask.shape) != masks[name].shape:
            raise ValueError(f"mask of {name} has shape {masks[name].shape}, the kernel {tuple(mask.shape)}")
        mask.assign(masks[name].astype(np.float32))
        weight.assign(np.where(masks[name], np.asarray(weight), np.float32(0.0)))


def open_masks(model: keras.Model) -> None:
    """Assigns masks of ones, under which gradients reach all weights; the weights stay as they are."""
    for layer in _masked_layers(model).values():
        mask = layer.pruning_vars[0][1]
        mask.assign(tf.ones_like(mask))


def write_state(model: keras.Model, arrays: dict[str, np.ndarray], masks: dict[str, np.ndarray]) -> None:
    """Writes mask x state into the network: what every round starts from (docs/science.md, IMP step 3)."""
    state.set_state(model, arrays)
    write_masks(model, masks)


def kernel_variables(model: keras.Model) -> dict[str, tf.Variable]:
    """The variables of the wrapped kernels, by layer name, in the network's order."""
    return {name: layer.pruning_vars[0][0] for name, layer in _masked_layers(model).items()}
