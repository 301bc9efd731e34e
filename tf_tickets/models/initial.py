"""Initial weights from stateless draws: they depend on the seed and the layer's name (docs/science.md, Training)."""

import math
import typing

import numpy as np
from scipy import special

from tf_tickets import seeds
from tf_tickets.models.description import OWN, Kernel, Network, VarianceScaling

if typing.TYPE_CHECKING:
    from tf_tickets.backend import keras

# The deviation of a normal draw that is cut off at two deviations.
_TRUNCATED = 0.87962566103423978


def unit(seed: int, layer: str, variable: str, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform draws in [0, 1) of a variable, float64 of `shape`."""
    return seeds.uniform(seeds.fold("initial", seed, layer, variable), math.prod(shape)).reshape(shape)


def normal(seed: int, layer: str, variable: str, shape: tuple[int, ...], *, deviation: float) -> np.ndarray:
    """Normal draws of a variable, float32 of `shape`."""
    draws = np.clip(unit(seed, layer, variable, shape), 2.0**-54, 1.0 - 2.0**-53)
    return (deviation * special.ndtri(draws)).astype(np.float32)


def uniform_fan_in(seed: int, layer: str, variable: str, shape: tuple[int, ...], *, fan_in: int) -> np.ndarray:
    """Uniform in +-1/sqrt(fan_in), PyTorch's default for convolution and linear layers, float32 of `shape`."""
    bound = 1.0 / math.sqrt(fan_in)
    return ((2.0 * unit(seed, layer, variable, shape) - 1.0) * bound).astype(np.float32)


def scaled(seed: int, layer: str, variable: str, shape: tuple[int, ...], *, scaling: VarianceScaling) -> np.ndarray:
    """As keras.initializers.VarianceScaling draws, float32 of `shape`: [in, out] or [height, width, in, out]."""
    area = math.prod(shape[:-2])
    fan_in, fan_out = area * shape[-2], area * shape[-1]
    fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[scaling.mode]
    variance = scaling.scale / max(1.0, fan)
    if scaling.distribution == "uniform":
        bound = math.sqrt(3.0 * variance)
        return ((2.0 * unit(seed, layer, variable, shape) - 1.0) * bound).astype(np.float32)
    if scaling.distribution == "untruncated_normal":
        return normal(seed, layer, variable, shape, deviation=math.sqrt(variance))
    below = special.ndtr(-2.0)
    draws = special.ndtri(below + (1.0 - 2.0 * below) * unit(seed, layer, variable, shape))
    return (draws * math.sqrt(variance) / _TRUNCATED).astype(np.float32)


def kernel(described: Kernel, seed: int) -> np.ndarray:
    """The initial kernel of a Kernel."""
    name, shape = described.name, described.shape
    if isinstance(described.start, VarianceScaling):
        return scaled(seed, name, "kernel", shape, scaling=described.start)
    if described.start == "fan_in":
        return uniform_fan_in(seed, name, "kernel", shape, fan_in=described.fan_in)
    area = math.prod(shape[:-2]) if len(shape) == 4 else 1
    deviation = {"small": 0.01, "token": 0.02, "fan_out": math.sqrt(2.0 / (described.outputs * area))}[described.start]
    return normal(seed, name, "kernel", shape, deviation=deviation)


def bias(described: Kernel, seed: int) -> np.ndarray:
    """The initial bias of a Kernel: PyTorch's default, or zeros."""
    shape = (described.outputs,)
    if described.start == "fan_in":
        return uniform_fan_in(seed, described.name, "bias", shape, fan_in=described.fan_in)
    return np.zeros(shape, np.float32)


def by_layer(layer: "keras.layers.Layer", seed: int) -> None:
    """Draws the variables for which a layer names an initializer of Keras' own, each by seed and names."""
    for variable in layer.weights:
        leaf = variable.name.split("/")[-1].split(":")[0]
        if leaf in layer.draws:
            initializer = layer.draws[leaf]
            config = initializer.get_config()
            if "seed" in config:
                config["seed"] = seeds.fold("initial", seed, layer.name, leaf) % (1 << 31)
            variable.assign(type(initializer).from_config(config)(variable.shape, dtype=variable.dtype))


def draw(model: "keras.Model", described: Network, seed: int) -> None:
    """Assigns the initial weights of a Network to its Keras model."""
    for layer in model.layers:
        if hasattr(layer, "draws"):
            by_layer(layer, seed)
    for part in described.kernels():
        layer = model.get_layer(part.name)
        if part.start != OWN:
            layer.kernel.assign(kernel(part, seed))
        if part.bias and "bias" not in getattr(layer, "draws", {}):
            layer.bias.assign(bias(part, seed))
    for (name, variable), deviation in described.other_starts().items():
        values = getattr(model.get_layer(name), variable)
        values.assign(normal(seed, name, variable, tuple(values.shape), deviation=deviation))
