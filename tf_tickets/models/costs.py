"""What a network costs: multiply-adds of an image. No TensorFlow."""

from __future__ import annotations

import math
import typing
from collections.abc import Sequence

from tf_tickets.lazy_modules import np

if typing.TYPE_CHECKING:
    from tf_tickets.models.description import Kernel


def multiply_adds(weights: int, output_shape: tuple[int, ...]) -> int:
    """Multiply-adds of one image in one layer: each weight that is there works once at every output position.

    Half of what is often called FLOPs. Left out are biases, normalisation, additions, the fixed filters of a harmonic
    network (of which each coefficient counts as one weight) and the products inside attention.

    Args:
      weights: how many are left.
      output_shape: (height, width, channels), (tokens, channels) or (channels,).
    """
    return weights * math.prod(output_shape[:-1])


def output_shapes(model: typing.Any, kernels: Sequence[Kernel]) -> dict[str, tuple[int, ...]]:
    """The shape of one image's output by kernel, of a Keras network that has layers of their names, wrapped or not."""
    layers = {getattr(layer, "layer", layer).name: layer for layer in model.layers}
    return {kernel.name: tuple(layers[kernel.name].output.shape[1:]) for kernel in kernels}


def of_network(model: typing.Any, kernels: Sequence[Kernel], masks: dict[str, np.ndarray]) -> tuple[int, int]:
    """Multiply-adds of one image in a Keras network: (of the weights that masks leave, of all).

    Args:
      kernels: all of its models.description.Network.
      masks: by layer; a kernel without one is dense.
    """
    shapes = output_shapes(model, kernels)
    left = {k.name: k.size if k.name not in masks else int(np.count_nonzero(masks[k.name])) for k in kernels}
    return (
        sum(multiply_adds(left[kernel.name], shapes[kernel.name]) for kernel in kernels),
        sum(multiply_adds(kernel.size, shapes[kernel.name]) for kernel in kernels),
    )
