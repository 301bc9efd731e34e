"""Reconstruction: a pruned network whose layers are fitted, one after the other, to what a dense network's layers give.

He, Zhang and Sun 2017, section 3.1, fit what channel pruning leaves by least squares, each layer to the unpruned
network's outputs from the pruned network's inputs; Frantar and Alistarh 2022 do so for single weights.
"""

import collections
import math
import typing
from collections.abc import Iterator

import numpy as np

from tf_tickets.backend import keras, tf
from tf_tickets.pruning import least_squares
from tf_tickets.pruning.wrapping import MaskedLayer

# Bytes of the largest output of a layer, of all images; several outputs of both networks are in memory at a time.
_LARGEST = 2**29


def images_that_fit(model: keras.Model) -> int:
    """Of how many images the outputs of a network's layers fit into memory."""
    sizes = [math.prod(tensor.shape[1:]) for layer in model.layers for tensor in tf.nest.flatten(layer.output)]
    return max(1, _LARGEST // (4 * max(sizes)))


def reconstruct(pruned: keras.Model, dense: keras.Model, images: tf.Tensor) -> dict[str, np.ndarray]:
    """Fits the masked kernels of a network so that its layers give what those of a dense one give, in their order.

    Each layer gets its inputs from the layers that are fitted already. Biases and normalisation stay, as do layers of
    which `least_squares` does not know how they use their kernel.

    Args:
      pruned: a wrapped network, with its masks; its kernels change.
      dense: the same network, with masks of ones.
      images: float32 [n, height, width, channels], normalised.

    Returns:
      The fitted kernels, float32, by layer name.
    """
    fitted, of_pruned, of_dense = {}, _Outputs(pruned, images), _Outputs(dense, images)
    for node, dense_node in zip(_nodes(pruned), _nodes(dense)):
        target, layer = of_dense.outputs(dense_node), node.layer
        if isinstance(layer, MaskedLayer) and least_squares.is_known(layer.layer):
            kernel, mask, _ = layer.pruning_vars[0]
            inputs, name = of_pruned.arguments(node)[0][0], layer.layer.name
            fitted[name] = least_squares.refitted(layer.layer, mask.numpy() > 0.5, inputs, target)
            kernel.assign(fitted[name])
        of_pruned.keep(node, of_pruned.outputs(node))
        of_dense.keep(dense_node, target)
    return fitted


def _nodes(model) -> Iterator[typing.Any]:
    """The calls of a functional model's layers, in an order in which each has its inputs."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        yield from (node for node in model._nodes_by_depth[depth] if not node.is_input)


class _Outputs:
    """What the layers of a network have given so far, as long as a layer still wants it."""

    def __init__(self, model, images):
        self._wanted = collections.Counter(id(tensor) for node in _nodes(model) for tensor in node.keras_inputs)
        self._values = {id(model.inputs[0]): images}

    def arguments(self, node):
        """(positional, by name), as a layer is called."""
        values = {str(id(tensor)): [self._values[id(tensor)]] * len(node.keras_inputs) for tensor in node.keras_inputs}
        return node.map_arguments(values)

    def outputs(self, node):
        """What a layer gives."""
        arguments, by_name = self.arguments(node)
        return node.layer(*arguments, **by_name)

    def keep(self, node, outputs):
        """Keeps what a layer gave; what no other layer wants of its inputs is forgotten."""
        for tensor, value in zip(tf.nest.flatten(node.outputs), tf.nest.flatten(outputs)):
            self._values[id(tensor)] = value
        self._wanted.subtract(id(tensor) for tensor in node.keras_inputs)
        for tensor in node.keras_inputs:
            if self._wanted[id(tensor)] == 0:
                self._values.pop(id(tensor), None)
