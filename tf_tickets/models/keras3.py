"""Functional models of Keras 3 as models of tf_keras, their weights carried over."""

import functools
import sys
import typing

from tf_tickets.backend import keras, tf
from tf_tickets.errors import UsageError, reason
from tf_tickets.models import own_layers

# Settings of Keras 3 alone.
_DROPPED = ("dtype", "lora_alpha", "lora_rank", "quantization_config")


def as_tf_keras(model: typing.Any) -> typing.Any:
    """A functional model of Keras 3 rebuilt; whatever else is given as it is.

    Raises:
      UsageError: one of its layers is none of tf_keras; names it.
    """
    three = sys.modules.get("keras")
    if isinstance(model, keras.Model) or three is None or not isinstance(model, three.Model):
        return model
    if isinstance(model, three.Sequential) and model._functional is None:
        raise UsageError(
            f"the model {model.name} is a Sequential of Keras 3 that does not know its images yet: give it a "
            "keras.Input(shape) as its first layer"
        )
    if not (hasattr(model, "_nodes_by_depth") or hasattr(model, "_functional")):
        raise UsageError(
            f"the model {model.name} is a {type(model).__name__} of Keras 3 without a graph: build it as "
            "keras.Model(inputs, outputs)"
        )
    inputs = [keras.Input(tensor.shape[1:], name=f"input_{index}") for index, tensor in enumerate(model.inputs)]
    outputs = _run(model, inputs, {})
    return keras.Model(inputs, outputs, name=model.name)


def _run(model, tensors, made):
    """The outputs of a model of Keras 3, its layers made as those of tf_keras."""
    if not hasattr(model, "_nodes_by_depth"):
        model = model._functional  # of a Sequential
    placed = {id(old): new for old, new in zip(model.inputs, tensors)}
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.is_input:
                continue
            given = tuple(node.arguments.args), dict(node.arguments.kwargs)
            args, kwargs = tf.nest.map_structure(functools.partial(_placed, placed), given)
            operation = node.operation
            if hasattr(operation, "_nodes_by_depth") or hasattr(operation, "_functional"):
                outputs = _run(operation, tf.nest.flatten(args), made)
            else:
                kwargs = {key: value for key, value in kwargs.items() if key not in ("training", "mask")}
                outputs = [_layer(operation, made)(*args, **kwargs)]
                if operation.weights:
                    made[id(operation)].set_weights(operation.get_weights())
            placed |= {id(old): new for old, new in zip(node.outputs, outputs)}
    return [placed[id(tensor)] for tensor in model.outputs]


def _set(value):
    """Settings without those that are None, which tf_keras has others of."""
    return {key: _set(part) for key, part in value.items() if part is not None} if isinstance(value, dict) else value


def _placed(placed, value):
    return placed.get(id(value), value)


def _layer(operation, made):
    """The layer of tf_keras of the same class and settings; the same one where it is called again."""
    kind = type(operation).__name__
    if id(operation) in made:
        return made[id(operation)]
    if kind not in own_layers.STANDARD or not type(operation).__module__.startswith("keras.src.layers"):
        raise UsageError(
            f"its layer {operation.name} is a {kind} of Keras 3, which is not taken: use standard layers of "
            "keras.layers, or build the model with tf_keras"
        )
    config = {name: value for name, value in _set(operation.get_config()).items() if name not in _DROPPED}
    if kind == "LeakyReLU" and "negative_slope" in config:
        config["alpha"] = config.pop("negative_slope")
    try:
        made[id(operation)] = own_layers.STANDARD[kind].from_config(config)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"its layer {operation.name} ({kind}) of Keras 3 is none of tf_keras: {reason(error)}"
        ) from None
    return made[id(operation)]
