"""The program that `tf_tickets.runtime` executes, read off the Keras network: operations and settings, no weights."""

import numpy as np

from tf_tickets.backend import keras
from tf_tickets.models import keras_layers, layers, own_layers


def of(model: keras.Model) -> list[dict] | None:
    """The program of a network of `models.build`.

    Args:
      model: the functional Keras model.

    Returns:
      List of dicts with name, operation, inputs and settings, in order, as `runtime.program` reads it; None for
      networks that hold what the runtime does not know, such as attention.
    """
    nodes, stands_for = [], {}
    for layer in model.layers:
        tensors = layer.inbound_nodes[0].keras_inputs
        inputs = [stands_for.get(name, name) for name in (tensor._keras_history.layer.name for tensor in tensors)]
        if isinstance(layer, _NOTHING):
            stands_for[layer.name] = inputs[0]
            continue
        known = _operation(layer)
        if known is None:
            return None
        operation, settings = known
        nodes.append({"name": layer.name, "operation": operation, "inputs": inputs, **settings})
    return nodes


def unknown(model: keras.Model) -> str | None:
    """The first layer that the runtime does not execute, by name and class; None where `of` gives a program."""
    executed = (layer for layer in model.layers if not isinstance(layer, _NOTHING))
    layer = next((layer for layer in executed if _operation(layer) is None), None)
    return None if layer is None else f"{layer.name} ({type(layer).__name__})"


def _operation(layer):
    """(operation, settings), None of a layer that the runtime does not know."""
    kind = next((name for name in type(layer).__mro__ if name in _OPERATIONS), None)
    return None if kind is None else _OPERATIONS[kind](layer)


def _kernel(layer):
    return {"kernel": f"{layer.name}/kernel", "shape": [int(side) for side in layer.kernel.shape]}


def _convolution(layer):
    stride, size, same = layer.strides[0], layer.kernel_size[0], layer.padding == "same"
    if layer.dilation_rate != (1, 1) or layer.groups != 1 or layer.strides[1] != stride:
        return None
    if same and (stride > 1 or size % 2 == 0):  # padded unevenly, and by the image's size
        return None
    padding = size // 2 if same else 0
    bias = bool(layer.use_bias)
    return "convolution", {**_kernel(layer), "stride": int(stride), "padding": int(padding), "bias": bias}


def _own_convolution(layer):
    return {**_kernel(layer), "stride": int(layer.stride), "padding": _padding(layer.padding)}


def _padding(pixels):
    """A number, or [before, after] where they are not the same."""
    before, after = (pixels, pixels) if isinstance(pixels, int) else map(int, pixels)
    return before if before == after else [before, after]


def _pad(layer):
    rows, columns = layer.padding
    return ("pad", {"padding": _padding(rows)}) if rows == columns else None


def _relu(layer):
    if layer.negative_slope or layer.threshold:
        return None
    return ("relu", {}) if layer.max_value is None else ("bounded_relu", {"most": float(layer.max_value)})


def _resize(layer):
    if layer.interpolation != "bilinear" or layer.crop_to_aspect_ratio:
        return None
    return "resize", {"sides": [int(layer.height), int(layer.width)]}


def _normalisation(layer):
    if layer.scale != layer.center:
        return None
    channels = int(layer.moving_mean.shape[0])
    return "normalisation", {"epsilon": float(layer.epsilon), "affine": bool(layer.scale), "channels": channels}


def _max_pool(layer):
    if layer.padding != "valid" or layer.pool_size[0] != layer.pool_size[1]:
        return None
    return "max_pool", {"size": int(layer.pool_size[0]), "stride": int(layer.strides[0])}


def _dense(layer):
    """Of one vector an image alone: of maps it would be a convolution of one pixel."""
    return ("dense", _kernel(layer)) if layer.use_bias and len(layer.input_shape) == 2 else None


def _flatten(layer):
    return ("flatten", {}) if layer.data_format == "channels_last" else None


def _rescale(layer):
    """A factor and a shift for all channels, or one for each."""
    scale, offset = (np.ravel(np.asarray(part, np.float32)) for part in (layer.scale, layer.offset))
    if not {scale.size, offset.size} <= {1, layer.input_shape[-1]} or not np.isfinite([*scale, *offset]).all():
        return None
    scale, offset = np.broadcast_arrays(scale, offset)
    return "rescale", {"scale": scale.tolist(), "offset": offset.tolist()}


def _called(layer):
    """Of functions of TensorFlow the sum of two tensors alone."""
    added = layer.get_config()["function"] in ("__operators__.add", "math.add")
    return ("add", {}) if added and len(layer.inbound_nodes[0].keras_inputs) == 2 else None


def _similarity(layer):
    return "similarity", {**_kernel(layer), "kind": layer.kind, "kappa": float(layer.kappa)}


# What does nothing where nothing is trained.
_NOTHING = keras_layers.StatelessDropout

# Keras' class -> its operation of the runtime with the settings; None where a setting is one that the runtime lacks.
_OPERATIONS = {
    keras.layers.InputLayer: lambda layer: ("input", {}),
    keras.layers.Conv2D: _convolution,
    layers.HarmonicConvolution: lambda layer: ("harmonic", _own_convolution(layer)),
    layers.DepthwiseConvolution: lambda layer: ("depthwise", _own_convolution(layer)),
    layers.StridedPointwise: lambda layer: ("convolution", {**_own_convolution(layer), "bias": False}),
    layers.CosineFilters: lambda layer: ("cosine_filters", {"size": int(layer.size), "stride": int(layer.stride)}),
    keras.layers.BatchNormalization: _normalisation,
    keras.layers.ReLU: _relu,
    keras.layers.Add: lambda layer: ("add", {}),
    keras.layers.ZeroPadding2D: _pad,
    keras.layers.Resizing: _resize,
    keras.layers.MaxPooling2D: _max_pool,
    keras.layers.Flatten: _flatten,
    keras.layers.Rescaling: _rescale,
    keras.layers.GlobalAveragePooling2D: lambda layer: ("mean", {}),
    keras.layers.Dense: _dense,
    own_layers.TFOpLambda: _called,
    layers.SimilarityHead: _similarity,
}
