"""What is read off layers that are put: how Keras would draw their weights, and what a plan knows of them."""

import typing

from tf_tickets.backend import keras, tf
from tf_tickets.models.description import Kernel, VarianceScaling
from tf_tickets.models.keras_files import leaf_of


def noting_draws(layer: keras.layers.Layer, args: typing.Any, kwargs: dict[str, typing.Any]) -> tf.Tensor:
    """What a layer gives, whose random initial weights are noted: Keras draws them by what it drew before."""
    draws, add_weight = {}, layer.add_weight

    def add(*names, **given):
        weight = add_weight(*names, **given)
        initializer = keras.initializers.get(given.get("initializer", names[3] if len(names) > 3 else None))
        if initializer is None:
            initializer = keras.initializers.GlorotUniform() if weight.dtype.is_floating else None
        if "seed" in (initializer.get_config() if initializer else {}):
            draws[leaf_of(weight)] = initializer
        return weight

    object.__setattr__(layer, "add_weight", add)
    try:
        outputs = layer(*args, **kwargs)
    finally:
        object.__delattr__(layer, "add_weight")
    layer.draws = draws
    return outputs


def record(images: tf.Tensor, features: tf.Tensor, put: list[Kernel]) -> dict:
    """What is known of a network from its layers: a JSON object that `families.applications.Facts` reads.

    Args:
      images: its input.
      features: what its last layer gives.
      put: its kernels, in order.
    """
    model = keras.Model(images, features)
    kernels = {f"{kernel.name}/kernel" for kernel in put}
    biases = {f"{kernel.name}/bias" for kernel in put if kernel.bias}
    rest = [
        weight for layer in model.layers for weight in layer.trainable_weights
        if f"{layer.name}/{'kernel' if weight is getattr(layer, 'kernel', None) else leaf_of(weight)}"
        not in kernels | biases
    ]  # fmt: skip
    starts = list(dict.fromkeys(kernel.start for kernel in put))
    return {
        "features": int(features.shape[-1]),
        "other": sum(int(weight.shape.num_elements()) for weight in rest),
        "normalises": any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers),
        "starts": [
            [start.scale, start.mode, start.distribution] if isinstance(start, VarianceScaling) else None
            for start in starts
        ],
        "kernels": [[k.name, k.kind, list(k.shape), int(k.bias), starts.index(k.start)] for k in put],
    }
