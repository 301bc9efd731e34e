"""Convolutions and heads as constant tables: over the weights that are left, or over all where most are."""

import dataclasses

import numpy as np

from tf_tickets.export.c_source import literals, tile_kernels

# From this share of weights on, computing all of them is faster: that adds twice as many products in the same time.
_DENSE_FROM = 0.5
_MOST = 127


@dataclasses.dataclass
class Parts:
    """What the networks of a file share.

    Attributes:
      quantised: whether weights have 8 bits, with a scale for each output, or are floats.
      tables: constant arrays and layers, as text.
      functions: the functions that are called: names of map_kernels.FUNCTIONS, and sparse_N and dense_N.
      largest_offset: of all tables.
      layers: how many were written.
      kept: how many weights were.
    """

    quantised: bool
    tables: list[str] = dataclasses.field(default_factory=list)
    functions: set[str] = dataclasses.field(default_factory=set)
    largest_offset: int = 0
    layers: int = 0
    kept: int = 0

    def call(self, function: str, *arguments: object) -> str:
        """The statement that calls a function, which the file then has."""
        self.functions.add(function)
        return f"{function}({', '.join(map(str, arguments))});"

    def named(self, kind: str, name: str, values: np.ndarray) -> str:
        """Writes a table of the layer that was begun last; its name."""
        whole = f"layer_{self.layers}_{name}"
        self.tables.append(literals.table(kind, whole, values))
        return whole


@dataclasses.dataclass
class Weights:
    """The weights of one layer, each with what it reads and what it adds to.

    Attributes:
      outputs: int [n], the output of each weight.
      offsets: int [n], how far from a position it reads.
      values: float32 [n], none of them zero.
      bias, scale: float32 [channels out]; what sums are multiplied by, and what is added then.
      repeat, advance: weights of output o are those of o % repeat, moved by o / repeat * advance; repeat of ordinary
        layers is their number of outputs.
      total: how many there were before any was removed; 0 where outputs do not read the same.
    """

    outputs: np.ndarray
    offsets: np.ndarray
    values: np.ndarray
    bias: np.ndarray
    scale: np.ndarray
    repeat: int
    advance: int = 0
    total: int = 0

    @property
    def is_dense(self) -> bool:
        """Whether all weights are computed, the removed ones too."""
        return self.total > 0 and len(self.values) >= _DENSE_FROM * self.total


def written(parts: Parts, weights: Weights, *, plane: int, length: int, bounds: tuple[float, float]) -> tuple[str, str]:
    """Writes the tables of a layer.

    Args:
      plane, length: floats from one channel of the result to the next, and positions of each.
      bounds: what smaller and larger results become.

    Returns:
      (the function that computes it, the name of its layer).
    """
    parts.layers += 1
    parts.kept += len(weights.values)
    parts.largest_offset = max(parts.largest_offset, int(weights.offsets.max(initial=0)))
    order = np.lexsort((weights.offsets, weights.outputs))
    outputs, offsets, values = (part[order] for part in (weights.outputs, weights.offsets, weights.values))
    scale = weights.scale
    if parts.quantised:
        outputs_scale, values = _quantised(outputs, values, weights.repeat)
        scale = scale * np.tile(outputs_scale, len(scale) // weights.repeat)
    shared = {
        "outputs": len(weights.bias), "plane": plane, "length": length,
        "bias": parts.named("float", "bias", weights.bias),
        "low": literals.number(bounds[0]), "high": literals.number(bounds[1]),
    }  # fmt: skip
    if (scale != 1.0).any():
        shared["scales"] = parts.named("float", "scales", scale)
    kind, fields = (_dense if weights.is_dense else _sparse)(parts, weights, (outputs, offsets, values))
    name = f"layer_{parts.layers}"
    entries = ",\n".join(f"    .{field} = {value}" for field, value in (shared | fields).items())
    parts.tables.append(f"static const {kind}_layer {name} = {{\n{entries},\n}};\n")
    tile = (tile_kernels.dense_tile if weights.is_dense else tile_kernels.sparse_tile)(length)
    return f"{kind}_{tile}", name


def _quantised(outputs, values, count):
    """(the scale of each output, whole numbers from -127 to 127 in place of the values)."""
    largest = np.zeros(count, np.float32)
    np.maximum.at(largest, outputs, np.abs(values))
    scale = np.where(largest > 0, largest / np.float32(_MOST), np.float32(1.0))
    # Of numbers too small for a scale, which is then zero, nothing is left.
    steps = np.divide(values, scale[outputs], out=np.zeros_like(values), where=scale[outputs] > 0)
    return scale, np.rint(steps).astype(np.int8)


def _sparse(parts, weights, entries):
    outputs, offsets, values = entries
    starts = np.searchsorted(outputs, np.arange(weights.repeat + 1))
    return "sparse", {
        "repeat": weights.repeat, "advance": weights.advance,
        "starts": parts.named("uint32_t", "starts", starts),
        "offsets": parts.named("ticket_offset", "offsets", offsets),
        "values": parts.named("ticket_weight", "values", values),
    }  # fmt: skip


def _dense(parts, weights, entries):
    """Weights by eight outputs, and taps by four: what is missing to whole ones is zero, and reads what others read."""
    outputs, offsets, values = entries
    read, taps = np.unique(offsets, return_inverse=True)
    groups, count = -(-len(weights.bias) // 8), -(-len(read) // 4) * 4
    kernel = np.zeros((groups, count, 8), values.dtype)
    kernel[outputs // 8, taps, outputs % 8] = values
    return "dense", {
        "taps": count, "offsets": parts.named("ticket_offset", "offsets", np.resize(read, count)),
        "values": parts.named("ticket_weight", "values", kernel),
    }  # fmt: skip
