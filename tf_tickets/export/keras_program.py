"""The program that `tf_tickets.runtime` executes, read off the Keras network: operations and settings, no weights."""

from tf_tickets.backend import keras
from tf_tickets.models import layers


def of(model: keras.Model) -> list[dict] | None:
    """The program of a network of `models.build`.

    Args:
      model: the functional Keras model.

    Returns:
      List of dicts with name, operation, inputs and settings, in order, as `runtime.program` reads it; None for
      networks that hold what the runtime does not know, such as attention.
    """
    nodes = []
    for layer in model.layers:
        kind = next((name for name in type(layer).__mro__ if name in _SETTINGS), None)
        if kind is None:
            return None
        operation, settings = _SETTINGS[kind]
        tensors = layer.inbound_nodes[0].keras_inputs
        inputs = [tensor._keras_history.layer.name for tensor in tensors]
        node = {"name": layer.name, "operation": operation, "inputs": inputs, **settings(layer)}
        nodes.append(node)
    return nodes


def _nothing(layer):
    return {}


def _kernel(layer):
    return {"kernel": f"{layer.name}/kernel", "shape": [int(side) for side in layer.kernel.shape]}


def _convolution(layer):
    stride, size = layer.strides[0], layer.kernel_size[0]
    padding = size // 2 if layer.padding == "same" else 0
    return {**_kernel(layer), "stride": int(stride), "padding": int(padding), "bias": bool(layer.use_bias)}


def _own_convolution(layer):
    return {**_kernel(layer), "stride": int(layer.stride), "padding": int(layer.padding)}


def _normalisation(layer):
    channels = int(layer.moving_mean.shape[0])
    return {"epsilon": float(layer.epsilon), "affine": bool(layer.scale), "channels": channels}


def _max_pool(layer):
    return {"size": int(layer.pool_size[0]), "stride": int(layer.strides[0])}


# Keras' class -> (operation of the runtime, its settings).
_SETTINGS = {
    keras.layers.InputLayer: ("input", _nothing),
    keras.layers.Conv2D: ("convolution", _convolution),
    layers.HarmonicConvolution: ("harmonic", _own_convolution),
    layers.DepthwiseConvolution: ("depthwise", _own_convolution),
    layers.StridedPointwise: ("convolution", lambda layer: {**_own_convolution(layer), "bias": False}),
    layers.CosineFilters: ("cosine_filters", lambda layer: {"size": int(layer.size), "stride": int(layer.stride)}),
    keras.layers.BatchNormalization: ("normalisation", _normalisation),
    keras.layers.ReLU: ("relu", _nothing),
    keras.layers.Add: ("add", _nothing),
    keras.layers.ZeroPadding2D: ("pad", lambda layer: {"padding": int(layer.padding[0][0])}),
    keras.layers.MaxPooling2D: ("max_pool", _max_pool),
    keras.layers.GlobalAveragePooling2D: ("mean", _nothing),
    keras.layers.Dense: ("dense", _kernel),
    layers.SimilarityHead: (
        "similarity", lambda layer: {**_kernel(layer), "kind": layer.kind, "kappa": float(layer.kappa)},
    ),
}  # fmt: skip
