"""How many images a network computes at once where nothing is trained: what memory allows, and the bits depend on."""

import typing
from collections.abc import Callable

import numpy as np

from tf_tickets.registry import NETWORKS

if typing.TYPE_CHECKING:
    from tf_tickets.backend import keras

USUAL = 500
# Of networks that see large images, of which 500 take several GiB.
_LARGE = 100


def at_once(model: "keras.Model") -> int:
    """Images a call: fewer where a network enlarges them, or has a size of its own."""
    enlarges = any(layer.name == "enlarge" for layer in model.layers)
    has_size = model.name in NETWORKS and NETWORKS[model.name].image_size is not None
    return _LARGE if enlarges or has_size else USUAL


def in_parts(
    compute: Callable[[typing.Any], np.ndarray], images: typing.Any, model: "keras.Model"
) -> np.ndarray:  # fmt: skip
    """What a function gives for images, an array or tensor [n, ...]: [n, ...], computed `at_once` images a call."""
    count = at_once(model)
    if len(images) <= count:
        return compute(images)
    return np.concatenate([compute(images[start : start + count]) for start in range(0, len(images), count)])
