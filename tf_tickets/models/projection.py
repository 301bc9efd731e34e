"""SimCLR's projection head on a backbone (Chen et al. 2020)."""

import numpy as np

from tf_tickets.backend import keras
from tf_tickets.models import initial

SIZE = 128


def add(model: keras.Model, seed: int) -> keras.Model:
    """A network of `builder.build` with its head replaced: features -> dense -> ReLU -> dense, `SIZE` out.

    The new layers, `projection.0` and `projection.2`, are as wide as the features and drawn like PyTorch's linear.
    """
    features = model.get_layer("features").output
    size = features.shape[-1]
    x = keras.layers.Dense(size, activation="relu", name="projection.0")(features)
    projected = keras.Model(model.input, keras.layers.Dense(SIZE, name="projection.2", dtype="float32")(x))
    for name, outputs in (("projection.0", size), ("projection.2", SIZE)):
        layer = projected.get_layer(name)
        layer.kernel.assign(initial.uniform_fan_in(seed, name, "kernel", (size, outputs), fan_in=size))
        layer.bias.assign(initial.uniform_fan_in(seed, name, "bias", (outputs,), fan_in=size))
    return projected


def backbone(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A state by PyTorch's names without the projection."""
    return {name: array for name, array in arrays.items() if not name.startswith("projection.")}
