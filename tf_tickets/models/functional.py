"""A network of the user's own as JSON and back: layers in order, each with its class, its settings and its inputs.

Reading executes nothing that a file names: classes, operations, activations and initializers are those of tables.
"""

import math
import re
import typing

from tf_keras.src.engine.keras_tensor import KerasTensor

from tf_tickets.backend import keras, tf
from tf_tickets.errors import UsageError, reason, shown
from tf_tickets.models import own_layers

# The name of the images among the layers.
IMAGES = "images"
# Of the settings of a layer: where it was, how it was called and drawn, and what the program decides.
_DROPPED = ("name", "trainable", "dtype", "seed", "batch_input_shape", "autocast")
_MOST_LAYERS, _MOST_DEPTH = 5000, 8
# Of one kernel, and of one map.
_MOST_WEIGHTS, _MOST_VALUES = 1 << 29, 1 << 27


def settings_of(layer: keras.layers.Layer) -> dict:
    """The settings of a layer as plain JSON; ValueError, which says what to write instead, for what is not kept."""
    config = {name: value for name, value in layer.get_config().items() if name not in _DROPPED}
    if isinstance(layer, keras.layers.Normalization) and config.get("mean") is None and layer.built:
        config |= {name: getattr(layer, name).numpy().ravel().tolist() for name in ("mean", "variance")}
    kept, of_keras = {}, not own_layers.registered(layer)
    for name, value in config.items():
        if name.endswith("_regularizer"):
            value = None
        if name.endswith("_constraint") and value is not None:
            raise ValueError(f"has a {name}, which is not applied here: leave it out")
        if name == "activation" and of_keras and value not in [None, *own_layers.ACTIVATIONS]:
            raise ValueError(
                "has an activation of your own: write the name of one of keras.activations, such as 'relu', or a layer"
            )
        try:
            kept[name] = _plain(value)
        except ValueError as error:
            raise ValueError(f"has {name} {error}") from None
    if "data_format" in kept and kept["data_format"] not in (None, "channels_last"):
        raise ValueError(f"has data_format={kept['data_format']}: use channels_last")
    return kept


def _plain(value):
    """JSON of a setting; ValueError for one that is none."""
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, dict) and "class_name" in value:
        name = str(value["class_name"])
        if name in own_layers.INITIALIZERS:
            inner = {key: None if key == "seed" else _plain(part) for key, part in value["config"].items()}
            return {"class_name": name, "config": inner}
        raise ValueError(f"of the class {name}, which is not kept: give numbers, text and lists")
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple) or type(value).__name__ in ("ListWrapper", "TensorShape"):
        return [_plain(part) for part in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise ValueError(f"{shown(value)}, which JSON cannot hold: give numbers, text and lists")


def argument_of(value: typing.Any, names: dict[int, str]) -> typing.Any:
    """What a layer is called with as JSON; ValueError for what is none.

    Args:
      value: of Keras tensors, numbers, text, slices and lists of them.
      names: layer by the id of its Keras tensor.
    """
    if id(value) in names:
        return {"tensor": names[id(value)]}
    if isinstance(value, list | tuple):
        return [argument_of(part, names) for part in value]
    if isinstance(value, slice):
        return {"slice": [argument_of(part, names) for part in (value.start, value.stop, value.step)]}
    if isinstance(value, dict) and set(value) == {"start", "stop", "step"}:
        return {"slice": [argument_of(value[part], names) for part in ("start", "stop", "step")]}
    if value is Ellipsis:
        return {"ellipsis": True}
    if isinstance(value, tf.DType):
        return value.name
    if isinstance(value, tf.Tensor | tf.Variable | KerasTensor):
        raise ValueError("is called on a tensor that is no output of the network's layers: make it a layer")
    try:
        return _plain(value)
    except ValueError as error:
        raise ValueError(f"is called with {error}") from None


def _argument(value, tensors):
    """The inverse of `argument_of`."""
    if isinstance(value, list):
        return [_argument(part, tensors) for part in value]
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    if kind == "tensor":
        return tensors[held]
    if kind == "slice" and len(held) == 3 and all(part is None or type(part) is int for part in held):
        return slice(*held)
    if kind == "ellipsis":
        return Ellipsis
    raise ValueError("it is called with something that is no argument")


def layer_of(record: dict) -> keras.layers.Layer:
    """The layer of a record; its name is the record's.

    Raises:
      UsageError: a class that is not registered, or none that networks here have.
      KeyError, TypeError, ValueError: settings that it does not take.
    """
    name, config = record["name"], record["config"]
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,199}", name):
        raise ValueError(f"{shown(name)} is no name of a layer")
    cls = own_layers.named(str(record["class_name"]), name)
    if not isinstance(config, dict) or set(config) & set(_DROPPED):
        raise ValueError("its settings are not those of a layer")
    if cls in (own_layers.TFOpLambda, own_layers.SlicingOpLambda):
        if config.get("function") not in own_layers.OPERATIONS or set(config) != {"function"}:
            raise ValueError(f"{shown(config.get('function'))} is no operation that a network here has")
    activation = config.get("activation")
    standard = cls in own_layers.STANDARD.values()
    named = activation is None or (isinstance(activation, str) and activation in own_layers.ACTIVATIONS)
    if standard and not named:
        raise ValueError(f"{shown(activation)} is no activation")
    return cls.from_config(_opened(config, 0) | {"name": name})


def _opened(value, depth):
    """Settings as `from_config` takes them: initializers of tables alone, no object of any other module."""
    if depth > _MOST_DEPTH:
        raise ValueError("its settings are nested too deeply")
    if isinstance(value, list):
        return [_opened(part, depth + 1) for part in value]
    if not isinstance(value, dict):
        return value
    if not {"class_name", "module", "registered_name", "config"} & set(value):
        return {key: _opened(part, depth + 1) for key, part in value.items()}
    if set(value) != {"class_name", "config"} or value["class_name"] not in own_layers.INITIALIZERS:
        raise ValueError(f"{shown(value.get('class_name'))} is no initializer")
    inner = value["config"]
    if not all(part is None or isinstance(part, bool | int | float | str | list) for part in inner.values()):
        raise ValueError("an initializer holds more than numbers")
    name = value["class_name"]
    return {"module": "keras.initializers", "class_name": name, "config": inner, "registered_name": None}


def built(records: list[dict], image_shape: tuple[int, ...]) -> keras.Model:
    """The Keras network of records: its layers by name, its input `images`, its output the last layer's.

    Args:
      records: dicts with name, class_name, config, args and kwargs, each after those on whose outputs it is called.
      image_shape: (height, width, channels).

    Raises:
      UsageError: they are no network; names the layer.
    """
    if not isinstance(records, list) or not 0 < len(records) <= _MOST_LAYERS:
        raise UsageError("it has no layers, or more than any network")
    images = keras.Input(tuple(image_shape), name=IMAGES)
    tensors = {IMAGES: images}
    for record in records:
        name = shown(record.get("name") if isinstance(record, dict) else record)
        try:
            layer = layer_of(record)
            args = _argument(record["args"], tensors)
            kwargs = {str(key): _argument(value, tensors) for key, value in record["kwargs"].items()}
            _check_size(layer, args[0])
            outputs = layer(*args, **kwargs)
        except UsageError:
            raise
        except Exception as error:  # whatever Keras says of settings that do not fit
            raise UsageError(f"its layer {name} cannot be built: {reason(error)}") from None
        if not isinstance(outputs, KerasTensor) or layer.name in tensors:
            raise UsageError(f"its layer {name} does not give one tensor, or its name is there twice")
        if math.prod(side or 1 for side in outputs.shape) > _MOST_VALUES:
            raise UsageError(f"the output of its layer {name} is larger than any")
        tensors[layer.name] = outputs
    return keras.Model(images, outputs)


def _check_size(layer, inputs):
    """ValueError before a layer makes a kernel that is larger than any."""
    config = layer.get_config()
    if not isinstance(inputs, KerasTensor):
        return
    channels = int(inputs.shape[-1] or 1)
    units = config.get("units", config.get("filters", 1))
    area = math.prod(config.get("kernel_size", (1,)))
    if units * area * channels > _MOST_WEIGHTS:
        raise ValueError("it has more weights than any layer")
