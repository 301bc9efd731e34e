"""Which layers and operations a network of the user's own may have, and layers of the user's own classes."""

import functools
import inspect
import os
import typing

from tf_keras.src.applications.convnext import LayerScale
from tf_keras.src.layers.core.tf_op_layer import SlicingOpLambda, TFOpLambda

from tf_tickets import plugins
from tf_tickets.backend import keras
from tf_tickets.errors import UsageError

_STANDARD = (
    "Activation", "Add", "Average", "AveragePooling2D", "BatchNormalization", "CenterCrop", "Concatenate", "Conv2D",
    "Cropping2D", "Dense", "DepthwiseConv2D", "Dropout", "ELU", "Flatten", "GlobalAveragePooling2D",
    "GlobalMaxPooling2D", "GroupNormalization", "LayerNormalization", "LeakyReLU", "MaxPooling2D", "Maximum", "Minimum",
    "Multiply", "Normalization", "PReLU", "Permute", "ReLU", "Rescaling", "Reshape", "Resizing", "SeparableConv2D",
    "Softmax", "SpatialDropout2D", "Subtract", "ThresholdedReLU", "UnitNormalization", "UpSampling2D", "ZeroPadding2D",
)  # fmt: skip
STANDARD = {name: getattr(keras.layers, name) for name in _STANDARD} | {
    cls.__name__: cls for cls in (LayerScale, SlicingOpLambda, TFOpLambda)
}

# What `x + y` and functions of TensorFlow on Keras tensors become; none of them reads or writes anything.
OPERATIONS = frozenset(
    [f"__operators__.{name}" for name in ("add", "getitem", "ne", "eq")]
    + [f"nn.{name}" for name in (
        "avg_pool2d", "bias_add", "elu", "gelu", "l2_normalize", "leaky_relu", "max_pool2d", "relu", "relu6", "selu",
        "sigmoid", "silu", "softmax", "softplus", "swish", "tanh",
    )]
    + [f"math.{name}" for name in (
        "abs", "add", "divide", "exp", "l2_normalize", "log", "maximum", "minimum", "multiply", "negative", "pow",
        "reduce_max", "reduce_mean", "reduce_min", "reduce_sum", "rsqrt", "sigmoid", "softplus", "sqrt", "square",
        "subtract", "tanh", "truediv",
    )]
    + [
        "abs", "add", "cast", "clip_by_value", "concat", "divide", "expand_dims", "identity", "image.resize", "maximum",
        "minimum", "multiply", "negative", "pad", "reduce_max", "reduce_mean", "reduce_min", "reduce_sum", "repeat",
        "reshape", "reverse", "sigmoid", "space_to_depth", "nn.space_to_depth", "depth_to_space", "nn.depth_to_space",
        "nn.local_response_normalization", "sqrt", "square", "squeeze", "stack", "subtract", "tanh", "tile",
        "transpose", "truediv",
    ]
)  # fmt: skip

ACTIVATIONS = frozenset((
    "elu", "exponential", "gelu", "hard_sigmoid", "leaky_relu", "linear", "mish", "relu", "relu6", "selu", "sigmoid",
    "silu", "softmax", "softplus", "softsign", "swish", "tanh",
))  # fmt: skip

INITIALIZERS = frozenset((
    "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform", "Ones",
    "Orthogonal", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Zeros",
))  # fmt: skip

# Standard classes that are refused, and what to write in their place.
INSTEAD = {
    "Lambda": "its code cannot be kept in a file: use layers of keras.layers or functions of TensorFlow, or a class of "
    "your own under tt.models.register_layer",
    **dict.fromkeys(
        ("GaussianDropout", "GaussianNoise", "AlphaDropout", "SpatialDropout1D", "SpatialDropout3D"),
        "its draws cannot be repeated: use Dropout or SpatialDropout2D",
    ),
    **dict.fromkeys(
        ("RNN", "SimpleRNN", "LSTM", "GRU", "ConvLSTM2D", "Bidirectional"),
        "recurrent layers are not pruned here: use convolutions and dense layers",
    ),
    "TimeDistributed": "the layer inside it has no mask: call that layer itself, which works along the last axis",
}

# Registered classes -> the attribute that holds the kernel, None where none is pruned.
_REGISTERED: dict[type, str | None] = {}


def register_layer(cls: type | None = None, *, kernel: str | None = None) -> typing.Any:
    """Lets networks have layers of a class of the user's own; also a decorator, with or without arguments.

    Args:
      cls: a class derived from tf_keras.layers.Layer, whose `get_config` gives all that its constructor takes.
      kernel: the attribute that holds the weights that are pruned, an array of two or more axes that `build` makes with
        `add_weight`; None: the layer's weights are all kept. A class has one kernel at most.

    Returns:
      The class.

    Raises:
      UsageError: it is no such class, or one of its name is registered.
    """
    if cls is None:
        return functools.partial(register_layer, kernel=kernel)
    said = f"tt.models.register_layer({getattr(cls, '__name__', cls)})"
    if not (isinstance(cls, type) and issubclass(cls, keras.layers.Layer)) or issubclass(cls, keras.Model):
        raise UsageError(f"{said}: it is no class of a layer: derive it from tf_keras.layers.Layer")
    if "get_config" not in vars(cls):
        raise UsageError(f"{said}: it has no get_config: let it return all that its constructor takes")
    if kernel is not None and not (isinstance(kernel, str) and kernel.isidentifier()):
        raise UsageError(f"{said}: kernel={kernel!r} is no name of one attribute, such as kernel='kernel'")
    for known in [known for known in _REGISTERED if class_name(known) == class_name(cls)]:
        if _source_file(known) != _source_file(cls):
            raise UsageError(f"{said}: another class of this name is registered: give it another name")
        del _REGISTERED[known]  # its module was loaded anew
    _REGISTERED[cls] = kernel
    if kernel is not None:
        cls.get_prunable_weights = lambda self: [getattr(self, kernel)]
        if kernel != "kernel":
            cls.kernel = property(lambda self: getattr(self, kernel))
    return cls


def _source_file(cls):
    return inspect.getsourcefile(cls) if cls.__module__ != "__main__" else None


def class_name(cls: type) -> str:
    """How a registered class is called in an architecture: `module>Class`, whichever module it is that ran first."""
    return f"{cls.__module__}>{cls.__name__}"


def registered(layer: keras.layers.Layer) -> bool:
    """Whether a layer is of a class of the user's own."""
    return type(layer) in _REGISTERED


def prunable(layer: keras.layers.Layer) -> bool:
    """Whether a layer of the user's own has a kernel that is pruned."""
    return _REGISTERED.get(type(layer)) is not None


def named(name: str, layer: str) -> type:
    """The class of a name in an architecture; UsageError, which says what to do, where it is none here."""
    if name in STANDARD:
        return STANDARD[name]
    for cls in _REGISTERED:
        if class_name(cls) == name:
            return cls
    module = name.partition(">")[0]
    if ">" not in name or plugins.check_names(module):
        raise UsageError(f"its layer {layer} is of the class {name[:60]!r}, which no network here has")
    raise UsageError(
        f"its layer {layer} is of the class {name[:120]}, which is not registered, and files alone import no code: add "
        f"--plugins={module} to the command, or in Python import {module} first"
    )


def name_of(layer: keras.layers.Layer) -> str | None:
    """The name of a layer's class in an architecture; None where networks cannot have it."""
    if type(layer) in _REGISTERED:
        return class_name(type(layer))
    return type(layer).__name__ if STANDARD.get(type(layer).__name__) is type(layer) else None


def sources(names: typing.Iterable[str]) -> dict[str, str]:
    """What a run depends on of classes of the user's own: `layer NAME` -> hash of its module's file."""
    files = {f"layer {class_name(cls)}": _source_file(cls) for cls in _REGISTERED if class_name(cls) in names}
    return {
        name: "without source" if path is None or not os.path.isfile(path) else f"source {plugins.file_hash(path)}"
        for name, path in files.items()
    }
