"""Arrays of a weights file of Keras', which tells them apart by their order, and the layers that were put anew."""

import numpy as np

from tf_tickets.backend import keras, tf
from tf_tickets.errors import UsageError


def leaf_of(weight: tf.Variable) -> str:
    """The last part of a variable's name: kernel."""
    return weight.name.split("/")[-1].split(":")[0]


def in_file_order(model: keras.Model) -> list[tf.Variable]:
    """The weights in the order in which tf_keras saves them to .h5."""
    return [weight for layer in model.layers for weight in layer.trainable_weights + layer.non_trainable_weights]


def _wanted(model):
    """Name of each variable that was put -> (its position in the file, its shape)."""
    return {
        f"{layer.name}/{leaf}": (position, shapes[leaf])
        for layer in model.layers
        for shapes in [{leaf_of(weight): tuple(weight.shape) for weight in layer.weights}]
        for leaf, position in getattr(layer, "file_positions", {}).items()
    }


def _of_shape(array, shape):
    """An array in the shape of a variable; None where it fits none."""
    if array.ndim == 4 and array.shape != shape:  # of groups of one channel
        array = array.transpose(0, 1, 3, 2)
    return array if array.shape == shape else None


def own_names(model: keras.Model, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays of an .h5 of Keras' under the names of a network here.

    Args:
      model: a network of `models.build` of an application.
      arrays: in the file's order, by which Keras tells them apart; those of a head, which come last, are left out.
        Where they are under the names of the network itself, or PyTorch's, they stay as they are.

    Raises:
      UsageError: fewer arrays, or of other shapes.
    """
    wanted = _wanted(model)
    if set(wanted) <= set(arrays) or not all("/" in name for name in arrays):
        return arrays
    given, placed = list(arrays.items()), {}
    for name, (position, shape) in wanted.items():
        if position >= len(given):
            raise UsageError(f"--pretrained holds {len(given)} arrays, and no {name}: it is another network's file")
        theirs, array = given[position]
        placed[name] = _of_shape(array, shape)
        if placed[name] is None:
            raise UsageError(
                f"--pretrained has {theirs} of shape {list(array.shape)} where this network has {name} of "
                f"{list(shape)}: it is another network's file"
            )
    return placed


def placed(model: keras.Model, arrays: list[np.ndarray | None]) -> dict[str, np.ndarray]:
    """Arrays by position under the names of the variables that were put; those that are None are left out."""
    return {
        name: _of_shape(arrays[position], shape)
        for name, (position, shape) in _wanted(model).items()
        if arrays[position] is not None
    }
