"""The program of a network: a list of operations, each on the results of earlier ones, with its weights.

`export` writes it from the Keras network; here it is checked, and normalisation is folded into the convolutions.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from tf_tickets.runtime.files import Damaged

# Rows and columns of zeros around the pixels: a number, or [before, after].
_PADDING = (int, list)
# Operation -> the settings it must have, with their types. One that gets a new setting gets a new name, so that earlier
# versions, which would pass over the setting, refuse it.
OPERATIONS = {
    "input": {},
    "convolution": {"kernel": str, "shape": list, "stride": int, "padding": int, "bias": bool},
    "harmonic": {"kernel": str, "shape": list, "stride": int, "padding": int},
    "depthwise": {"kernel": str, "shape": list, "stride": int, "padding": _PADDING},
    "cosine_filters": {"size": int, "stride": int},
    "normalisation": {"epsilon": float, "affine": bool, "channels": int},
    "relu": {}, "bounded_relu": {"most": float}, "add": {}, "pad": {"padding": _PADDING}, "resize": {"sides": list},
    "max_pool": {"size": int, "stride": int}, "mean": {}, "flatten": {}, "rescale": {"scale": list, "offset": list},
    "dense": {"kernel": str, "shape": list},
    "similarity": {"kernel": str, "shape": list, "kind": str, "kappa": float},
}  # fmt: skip
_LONGEST, _LARGEST_SIDE, _LARGEST_KERNEL, _LARGEST_PADDING, _LARGEST_BOUND = 10_000, 1 << 16, 1 << 30, 16, 1e9
_LARGEST_FLOAT = float(np.finfo(np.float32).max)
CONVOLUTIONS = ("convolution", "harmonic", "depthwise", "cosine_filters")


@dataclasses.dataclass(frozen=True)
class Sparse:
    """A kernel that is mostly zero.

    Attributes:
      shape: of the whole kernel, [height, width, in, out].
      positions: int64 [n], where in the flattened kernel weights are left, ascending.
      values: float32 [n].
    """

    shape: tuple
    positions: np.ndarray
    values: np.ndarray

    def scaled(self, scale: np.ndarray) -> "Sparse":
        """Every output channel times its entry of `scale`, float32 [out]."""
        return Sparse(self.shape, self.positions, self.values * scale[self.positions % self.shape[3]])

    def toarray(self) -> np.ndarray:
        """The whole kernel, float32."""
        kernel = np.zeros(math.prod(self.shape), np.float32)
        kernel[self.positions] = self.values
        return kernel.reshape(self.shape)


@dataclasses.dataclass
class Step:
    """One operation.

    Attributes:
      name: of its result.
      operation: a name in OPERATIONS.
      inputs: names of the results that it takes.
      settings: dict as OPERATIONS says.
      weights: of a convolution a Sparse or float32 [height, width, in, out] (depthwise [height, width, channels, 1]),
        of a head float32 [in, out]; None for others.
      bias: float32 [out] or None.
    """

    name: str
    operation: str
    inputs: tuple
    settings: dict
    weights: np.ndarray | None = None
    bias: np.ndarray | None = None


def cosine_filters(size: int) -> np.ndarray:
    """The 2-D cosine filters of a harmonic convolution, each with L1 norm 1 (Ulicny et al. 2019).

    Returns:
      float64 [size, size, size, size]: [i, j, x, y], filter (i, j) at pixel (x, y).
    """
    grid = np.cos(np.pi * np.outer(np.arange(size), np.arange(size) + 0.5) / size)
    filters = grid[:, None, :, None] * grid[None, :, None, :]
    return filters / np.abs(filters).sum(axis=(2, 3), keepdims=True)


def read(nodes: list[dict], weights: Callable) -> list[Step]:
    """Checks a program and gives every step its weights, normalisation folded in.

    Args:
      nodes: list of dicts with name, operation, inputs and settings, as `export` writes them.
      weights: function (name, shape) -> float32 array, of masked kernels a Sparse.

    Returns:
      List of Steps in order; the last one's result are the logits.

    Raises:
      Damaged: the program is none.
    """
    steps = _steps(nodes)
    for step in steps:
        _load(step, weights)
    with np.errstate(all="ignore"):  # what is not finite is refused by name
        return _folded(steps, weights)


def arrays(nodes: list[dict], layers: list[dict]) -> dict[str, tuple]:
    """The arrays that a program takes.

    Args:
      nodes: as of `read`.
      layers: list of dicts with layer and kept: the masked layers, and how many of their weights are left.

    Returns:
      dict from name to (shape, kind), as npz.Arrays.get takes them.

    Raises:
      Damaged: the program is none, or keeps more weights than there are.
    """
    try:
        kept = {layer["layer"]: layer["kept"] for layer in layers}
    except (KeyError, TypeError):
        raise Damaged("the ticket's document does not list its masked layers; restore it") from None
    wanted = {}
    for step in _steps(nodes):
        for name, shape in _variables(step):
            total, layer = math.prod(shape), name.removesuffix("/kernel")
            if layer not in kept or not name.endswith("/kernel"):
                wanted[f"trained_variables/{name}"] = shape, "f"
                continue
            if type(kept[layer]) is not int or not 0 <= kept[layer] <= total:
                raise Damaged(f"the ticket's mask of {layer} keeps {ascii(kept[layer])[:40]} of {total:,}; restore it")
            wanted[f"mask/{layer}"], wanted[f"trained/{layer}"] = ((-(-total // 8),), "u"), ((kept[layer],), "f")
    return wanted


def _steps(nodes):
    if not isinstance(nodes, list) or not 2 <= len(nodes) <= _LONGEST:
        raise Damaged("the ticket holds no program; export it again")
    steps, known = [], {}
    for node in nodes:
        step = _step(node, known)
        known[step.name] = step
        steps.append(step)
    if steps[0].operation != "input" or sum(step.operation == "input" for step in steps) != 1:
        raise Damaged("the ticket's program does not begin with its one input; export it again")
    if sum(math.prod(shape) for step in steps for _, shape in _variables(step)) > _LARGEST_KERNEL:
        raise Damaged("the ticket's program has more weights than any network; export it again")
    return steps


def _variables(step):
    """(name, shape) of what a step takes from the archive."""
    settings = step.settings
    if "kernel" in settings:
        yield settings["kernel"], tuple(settings["shape"])
    if step.operation == "dense" or settings.get("bias"):
        yield f"{step.name}/bias", (settings["shape"][-1],)
    if step.operation == "similarity":
        yield f"{step.name}/s", (1,)
    if step.operation == "normalisation":
        parts = ("moving_mean", "moving_variance", *(("gamma", "beta") if settings["affine"] else ()))
        for part in parts:
            yield f"{step.name}/{part}", (settings["channels"],)


def _step(node, known):
    operation = node.get("operation") if isinstance(node, dict) else None
    if isinstance(operation, str) and operation not in OPERATIONS:
        known = f"this version knows {', '.join(OPERATIONS)}; another version made it"
        raise Damaged(f"the ticket's program holds the operation {ascii(operation)[:40]}: {known}")
    wanted = OPERATIONS.get(operation) if isinstance(operation, str) else None
    if wanted is None:
        raise Damaged(f"the ticket's program holds {ascii(node)[:80]}, which is no operation; export it again")
    name, inputs, settings = node.get("name"), node.get("inputs"), {key: node.get(key) for key in wanted}
    if not (
        isinstance(name, str) and name not in known and isinstance(inputs, list)
        and all(isinstance(source, str) and source in known for source in inputs)
        and set(node) == {"name", "operation", "inputs", *wanted}
        and all(type(settings[key]) in (kind if type(kind) is tuple else (kind,)) for key, kind in wanted.items())
        and len(inputs) == {"input": 0, "add": 2}.get(node["operation"], 1)
        and all(_in_range(key, value) for key, value in settings.items())
    ):  # fmt: skip
        raise Damaged(f"the ticket's program is damaged at {ascii(node)[:80]}; export it again")
    return Step(name, node["operation"], tuple(inputs), settings)


def _in_range(key, value):
    if key in ("stride", "size", "channels"):
        return 1 <= value <= _LARGEST_SIDE
    if key == "padding":
        sides = value if isinstance(value, list) else [value, value]
        return len(sides) == 2 and all(type(side) is int and 0 <= side <= _LARGEST_PADDING for side in sides)
    if key == "sides":
        return len(value) == 2 and all(type(side) is int and 1 <= side <= _LARGEST_SIDE for side in value)
    if key == "most":
        return 0.0 < value <= _LARGEST_BOUND
    if key == "epsilon":
        return 0.0 <= value < math.inf
    if key == "shape":
        whole = len(value) in (2, 4) and all(type(side) is int and 1 <= side <= _LARGEST_SIDE for side in value)
        return whole and math.prod(value) <= _LARGEST_KERNEL
    if key in ("scale", "offset"):
        numbers = all(type(number) is float and abs(number) <= _LARGEST_FLOAT for number in value)
        return 1 <= len(value) <= _LARGEST_SIDE and numbers
    if key == "kind":
        return value in ("cosine", "tvmf")
    return not isinstance(value, float) or math.isfinite(value)


def _load(step, weights):
    settings = step.settings
    if step.operation in ("convolution", "harmonic", "depthwise", "dense", "similarity"):
        rank = 2 if step.operation in ("dense", "similarity") else 4
        if len(settings["shape"]) != rank:
            raise Damaged(f"the ticket's program is damaged at {step.name}; export it again")
        step.weights = weights(settings["kernel"], settings["shape"])
    if step.operation != "convolution" and isinstance(step.weights, Sparse):
        step.weights = step.weights.toarray()
    if step.operation == "harmonic":
        filters = cosine_filters(settings["shape"][0]).astype(np.float32)
        step.weights = np.einsum("ijxy,ijco->xyco", filters, step.weights, optimize=True)
    outputs = settings.get("shape", [0])[-1]
    if step.operation == "dense" or settings.get("bias"):
        step.bias = weights(f"{step.name}/bias", [outputs])
    if step.operation == "similarity":
        step.bias = weights(f"{step.name}/s", [1])


def _folded(steps, weights):
    """Normalisations that follow a convolution, and nothing else does, become part of it."""
    uses = {}
    for step in steps:
        for name in step.inputs:
            uses[name] = uses.get(name, 0) + 1
    folded, renamed, made = [], {}, {}
    for step in steps:
        step.inputs = tuple(renamed.get(name, name) for name in step.inputs)
        if step.operation == "normalisation":
            scale, shift = _affine(step, weights)
            before = made[step.inputs[0]]
            if before.operation in CONVOLUTIONS and uses[before.name] == 1 and before.name not in renamed.values():
                _absorb(before, scale, shift)
                renamed[step.name] = before.name
                continue
            step.weights, step.bias = scale, shift
        made[step.name] = step
        folded.append(step)
    for step in folded:
        parts = [step.weights.values if isinstance(step.weights, Sparse) else step.weights, step.bias]
        if not all(np.isfinite(part).all() for part in parts if part is not None):
            raise Damaged(f"the ticket's weights of {step.name} are not finite; restore it")
    return folded


def _affine(step, weights):
    """Scale and shift of a normalisation in inference mode, float32 [channels]."""
    channels = [step.settings["channels"]]
    mean, variance = (weights(f"{step.name}/{part}", channels) for part in ("moving_mean", "moving_variance"))
    scale = 1.0 / np.sqrt(variance.astype(np.float64) + step.settings["epsilon"])
    shift = -mean * scale
    if step.settings["affine"]:
        gamma, beta = (weights(f"{step.name}/{part}", channels) for part in ("gamma", "beta"))
        scale, shift = scale * gamma, shift * gamma + beta
    return scale.astype(np.float32), shift.astype(np.float32)


def _absorb(step, scale, shift):
    if step.operation == "cosine_filters":
        step.weights = scale
    else:
        axis = 2 if step.operation == "depthwise" else 3
        if step.weights.shape[axis] != len(scale):
            raise Damaged(f"the ticket's program is damaged at {step.name}; export it again")
        if isinstance(step.weights, Sparse):
            step.weights = step.weights.scaled(scale)
        else:
            step.weights = step.weights * scale.reshape([-1 if axis == a else 1 for a in range(4)])
    step.bias = shift if step.bias is None else shift + step.bias * scale
