"""A network's state as named arrays: `layer1.0.conv1/kernel`, and PyTorch's names and layout where files are read."""

import re

import numpy as np

from tf_tickets.backend import keras, tf
from tf_tickets.errors import UsageError
from tf_tickets.models import layers

# A residual network of torchvision has them where ours has pre_conv; MobileNetV2 has them itself.
_TORCHVISION_STEM = ((r"^conv1\.", "pre_conv.0."), (r"^bn1\.", "pre_conv.1."))

_TORCH_LEAVES = {
    "kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias",
    "moving_mean": "running_mean", "moving_variance": "running_var", "s": "s",
    "mean": "mean", "variance": "variance",
}  # fmt: skip

# Other names of the same tensors: EfficientNet-Lite's with underscores, torchvision's, and those of the release's
# harmonic, full-convolution and ViT files.
_OTHER_NAMES = (
    (r"^_", ""),
    (r"^(blocks\.\d+\.)_", r"\1"),
    (r"\.downsample\.", ".shortcut."),
    (r"^(?:fc|head)\.", "linear."),
    (r"^vit\.", ""),
)


def _own_layers(model):
    return [layer.layer if isinstance(layer, keras.layers.Wrapper) else layer for layer in model.layers]


def variables(model: keras.Model) -> dict[str, tf.Variable]:
    """The network's own variables by name, in layer order; a pruning wrapper's masks and counters are not state."""
    by_name = {}
    for inner in _own_layers(model):
        for part in getattr(inner, "parts", (inner,)):
            kernel = getattr(part, "kernel", None)  # of a user's own layer under another name too
            for variable in part.variables:
                leaf = "kernel" if variable is kernel else variable.name.split("/")[-1].split(":")[0]
                by_name[f"{part.name}/{leaf}"] = variable
    return by_name


def head_variables(model: keras.Model) -> list[tf.Variable]:
    """The trained variables of the head, the layer `linear`; all others of the network are the backbone's."""
    head = {id(variable) for name, variable in variables(model).items() if name.startswith("linear/")}
    return [variable for variable in model.trainable_variables if id(variable) in head]


def get_state(model: keras.Model, own: bool = False) -> dict[str, np.ndarray]:
    """All variables as float32 arrays by name.

    Args:
      model: a network.
      own: read this process's first copy of each, without asking other workers for theirs. Normalisation statistics
        are else the mean of all replicas', for which all workers have to ask together.
    """
    held = variables(model)
    if own:
        held = {name: getattr(variable, "values", (variable,))[0] for name, variable in held.items()}
    return {name: np.asarray(variable) for name, variable in held.items()}


def set_state(model: keras.Model, arrays: dict[str, np.ndarray]) -> None:
    """Assigns every variable; names and shapes have to fit exactly (ValueError)."""
    own = variables(model)
    if set(own) != set(arrays):
        odd = sorted(set(own) ^ set(arrays))
        raise ValueError(f"state does not fit the network: {odd[0]} and {len(odd) - 1} more names differ")
    for name, variable in own.items():
        variable.assign(arrays[name])


def _torch_name(name):
    layer, leaf = name.rsplit("/", 1)
    return leaf if layer == "tokens" else f"{layer}.{_TORCH_LEAVES.get(leaf, leaf)}"


def _to_keras(array, shape):
    """Torch's layout to that of a variable of `shape`."""
    if array.ndim == 5:
        # Coefficients of cosine filters, (out, in, size^2, 1, 1).
        out, channels, count = array.shape[:3]
        side = round(count**0.5)
        return array.reshape(out, channels, side, side).transpose(2, 3, 1, 0)
    if array.ndim == 4 and len(shape) == 4:
        depthwise = shape[3] == 1 and array.shape[0] == shape[2] and array.shape[1] == 1
        return array.transpose(2, 3, 0, 1) if depthwise else array.transpose(2, 3, 1, 0)
    return array.T if array.ndim == 2 else array


def torch_state(model: keras.Model) -> dict[str, np.ndarray]:
    """All variables by PyTorch's names, in torch's layout: what `load_state` takes."""
    kinds = {layer.name: type(layer) for layer in _own_layers(model)}
    return {
        _torch_name(name): np.ascontiguousarray(_to_torch(array, kinds.get(name.rsplit("/", 1)[0])))
        for name, array in get_state(model).items()
    }


def torch_named(model: keras.Model, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays under Keras' names and in its layout, `layer/kernel`, as `load_state` takes them; others as they are."""
    kinds = {layer.name: type(layer) for layer in _own_layers(model)}
    renamed = {}
    for name, array in arrays.items():
        layer, _, leaf = name.rpartition("/")
        known = layer in kinds and (leaf in _TORCH_LEAVES or layer == "tokens")
        renamed[_torch_name(name) if known else name] = _to_torch(array, kinds[layer]) if known else array
    return renamed


def _to_torch(array, kind):
    """The inverse of `_to_keras`, for a variable of a layer of some class."""
    if array.ndim == 4 and issubclass(kind, layers.HarmonicConvolution):
        side, _, channels, out = array.shape
        return array.transpose(3, 2, 0, 1).reshape(out, channels, side * side, 1, 1)
    if array.ndim == 4:
        return array.transpose((2, 3, 0, 1) if issubclass(kind, layers.DepthwiseConvolution) else (3, 2, 0, 1))
    return array.T if array.ndim == 2 else array


def load_state(
    model: keras.Model, arrays: dict[str, np.ndarray], strict: bool = True, replaceable: tuple[str, ...] = ()
) -> tuple[list[str], list[str]]:
    """Loads PyTorch-named arrays into a network.

    Args:
      model: a network of `models.build`, wrapped or not.
      arrays: dict of arrays in torch's layout (out, in, height, width), under the release's names or, for ResNets,
        torchvision's. `num_batches_tracked` is ignored.
      strict: raise if anything is missing or left over.
      replaceable: prefixes of names whose arrays are left out where their shapes differ.

    Returns:
      (missing, left_over), two lists of names; both empty when strict.

    Raises:
      UsageError: a shape differs, or, when strict, names are missing or left over.
    """
    given = {}
    residual = any(layer.name == "pre_conv.1" for layer in model.layers)
    patterns = (*_OTHER_NAMES, *(_TORCHVISION_STEM if residual else ()))
    for name, array in arrays.items():
        if name.endswith("num_batches_tracked"):
            continue
        for pattern, replacement in patterns:
            name = re.sub(pattern, replacement, name)
        given[name] = np.asarray(array)
    wanted = {_torch_name(name): variable for name, variable in variables(model).items()}
    for name in [name for name in given if name.startswith(tuple(replaceable)) and name in wanted]:
        if _to_keras(given[name], wanted[name].shape).shape != tuple(wanted[name].shape):
            del given[name]
    missing = [name for name in wanted if name not in given]
    left_over = [name for name in given if name not in wanted]
    if strict and (missing or left_over):
        raise UsageError(
            f"state does not fit the network: missing {missing or 'nothing'}, left over {left_over or 'nothing'}"
        )
    fitting = {name: _to_keras(given[name], wanted[name].shape) for name in wanted if name in given}
    for name, array in fitting.items():
        if tuple(wanted[name].shape) != array.shape:
            raise UsageError(f"{name} has shape {array.shape}, the network wants {tuple(wanted[name].shape)}")
    for name, array in fitting.items():
        wanted[name].assign(array)
    return missing, left_over
