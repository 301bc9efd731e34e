"""The steps of a program made ready: shapes known, weights where they are used, results freed after their last use."""

import collections
import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np

from tf_tickets.runtime import convolutions, depthwise
from tf_tickets.runtime.program import Step, cosine_filters

# Of one image; ten times what the largest network here makes of the largest picture.
_LARGEST_MAP = 1 << 26
# Operations that do not mind how many dimensions there are.
_ANY = ("relu", "bounded_relu", "add", "normalisation", "rescale", "flatten")


@dataclasses.dataclass
class Operation:
    """One step, ready to run.

    Attributes:
      name, inputs: names of its result and of what it takes.
      compute: function of the inputs' values; of a convolution, also of the method.
      input_shape, shape: of one image, [channels, height, width] or [channels].
      unfolded: bytes of one image's unfolded map; 0 where nothing is unfolded.
      last: names of the values that nothing later takes.
    """

    name: str
    inputs: tuple
    compute: Callable
    input_shape: tuple
    shape: tuple
    unfolded: int = 0
    last: frozenset = frozenset()


def prepare(steps: list[Step], image_shape: tuple) -> list[Operation]:
    """Operations of program.Steps on images [height, width, channels]; ValueError if they do not fit together."""
    height, width, channels = image_shape
    operations, shapes, workspace = [], {steps[0].name: (channels, height, width)}, convolutions.Workspace()
    for step in steps[1:]:
        given = [shapes[name] for name in step.inputs]
        if len(given[0]) != (1 if step.operation in ("dense", "similarity") else 3) and step.operation not in _ANY:
            raise ValueError(f"{step.name} takes {given}")
        if step.operation in ("convolution", "harmonic", "depthwise"):
            compute, shape, unfolded = _sliding(step, given[0], workspace)
        else:
            compute, shape, unfolded = _MAKERS[step.operation](step, given[0])
        if any(sides != given[0] for sides in given) or min(shape) < 1:
            raise ValueError(f"{step.name} takes {given}")
        if math.prod(shape) > _LARGEST_MAP:
            raise ValueError(f"{step.name} makes maps of {list(shape)}")
        shapes[step.name] = shape
        operations.append(Operation(step.name, step.inputs, compute, given[0], shape, unfolded))
    operations = _rectified(operations)
    last = {name: index for index, operation in enumerate(operations) for name in operation.inputs}
    for index, operation in enumerate(operations):
        operation.last = frozenset(name for name in operation.inputs if last[name] == index)
    operations[0].inputs = (None,)
    _give_slots(operations)
    return operations


def _give_slots(operations):
    """Slots of the workspace for results of convolutions: free again after the last use, in place or not."""
    held, free, most = {}, [], 0
    for operation in operations:
        slots = frozenset()
        if isinstance(operation.compute, convolutions.Sliding):
            if not free:
                free, most = [most], most + 1
            operation.compute.slot = free.pop()
            slots = frozenset([operation.compute.slot])
        else:
            # What works in place lies where its inputs lie; that all others do too is a little too much.
            slots = frozenset().union(*(held.get(name, ()) for name in operation.inputs))
        held[operation.name] = slots
        gone = [held.pop(name, frozenset()) for name in operation.last]
        still = frozenset().union(*held.values())
        free += sorted(frozenset().union(*gone) - still - set(free))


def _rectified(operations):
    """Rectifiers that alone follow a convolution become part of it."""
    uses = collections.Counter(name for operation in operations for name in operation.inputs)
    made, kept, renamed = {}, [], {}
    for operation in operations:
        operation.inputs = tuple(renamed.get(name, name) for name in operation.inputs)
        before, rectifier = made.get(operation.inputs[0]), operation.compute
        if (
            before is not None and isinstance(before.compute, convolutions.Sliding)
            and isinstance(rectifier, _Rectifier) and uses[before.name] == 1 and not before.compute.rectified
        ):  # fmt: skip
            before.compute.rectified, before.compute.most = True, rectifier.most
            renamed[operation.name] = before.name
            uses[before.name] = uses[operation.name]
            continue
        made[operation.name] = operation
        kept.append(operation)
    return kept


def run(ready: list[Operation], maps: np.ndarray, methods: dict[str, str]) -> np.ndarray:
    """The last operation's result.

    Args:
      maps: float32 [channels, images, height, width].
      methods: dict from a convolution's name to dense, sparse or compiled.
    """
    values: dict[str | None, np.ndarray] = {None: maps}
    for operation in ready:
        given = [values[name] for name in operation.inputs]
        for name in operation.last:
            values.pop(name, None)
        if isinstance(operation.compute, convolutions.Sliding):
            values[operation.name] = operation.compute(given[0], methods[operation.name])
        else:
            # A value that nothing else takes may be overwritten.
            values[operation.name] = operation.compute(*given, operation.last >= set(operation.inputs))
    return values[ready[-1].name]


def _sliding(step, shape, workspace):
    high, wide, channels, outputs = step.weights.shape
    by_channel = step.operation == "depthwise"
    if channels != shape[0] or high != wide or (by_channel and outputs != 1):
        raise ValueError(f"{step.name} takes {list(step.weights.shape)}, with {shape[0]} channels")
    made = (depthwise.Depthwise if by_channel else convolutions.Convolution)(
        step.weights, step.bias, step.settings["stride"], _pair(step.settings["padding"]), workspace
    )
    rows, columns = made.shape(*shape[1:])
    unfolded = 4 * channels * rows * columns * (1 if by_channel else high**2)
    return made, (made.channels_out, rows, columns), unfolded


def _pair(padding):
    """Rows and columns of zeros (before, after) the pixels, of a setting that is one number where both are equal."""
    return tuple(padding) if isinstance(padding, list) else (padding, padding)


def _cosine_filters(step, shape):
    """Every channel under every filter, channel-major."""
    size, stride = step.settings["size"], step.settings["stride"]
    filters = cosine_filters(size).reshape(size**2, size**2).astype(np.float32)
    count = shape[0] * size**2
    scale = np.ones(count, np.float32) if step.weights is None else step.weights
    if len(scale) != count:
        raise ValueError(f"{step.name} makes {count} channels, not {len(scale)}")
    shift = np.zeros(count, np.float32) if step.bias is None else step.bias

    def compute(maps, in_place):
        seen = convolutions.windows(convolutions.padded(maps, size // 2, size // 2), size, stride)
        flat = seen.reshape(len(maps), size**2, -1)
        filtered = np.matmul(filters, flat).reshape(count, *seen.shape[3:])
        return filtered * _wide(scale) + _wide(shift)

    sides = tuple((side + 2 * (size // 2) - size) // stride + 1 for side in shape[1:])
    return compute, (count, *sides), 4 * count * sides[0] * sides[1]


def _normalisation(step, shape):
    if len(step.weights) != shape[0]:
        raise ValueError(f"{step.name} normalises {len(step.weights)} channels, not {shape[0]}")
    return _scaled(step.weights, step.bias, shape)


def _rescale(step, shape):
    scale, offset = (np.array(step.settings[part], np.float32) for part in ("scale", "offset"))
    if len(scale) != len(offset) or len(scale) not in (1, shape[0]):
        raise ValueError(f"{step.name} rescales {len(scale)} channels by {len(offset)}, not {shape[0]}")
    return _scaled(scale, offset, shape)


def _scaled(scale, shift, shape):
    """Every channel, or feature, times its factor, plus its shift."""
    scale, shift = (vector.reshape(-1, *(1 for _ in shape)) for vector in (scale, shift))
    return lambda maps, in_place: maps * scale + shift, shape, 0


def _flatten(step, shape):
    """All numbers of an image one below the other, rows first and channels last, as Keras has them."""
    if len(shape) == 1:
        return lambda features, in_place: features, shape, 0
    count = math.prod(shape)
    return lambda maps, in_place: maps.transpose(2, 3, 0, 1).reshape(count, maps.shape[1]), (count,), 0


def _wide(vector):
    return vector[:, np.newaxis, np.newaxis, np.newaxis]


@dataclasses.dataclass(frozen=True)
class _Rectifier:
    """Rectified linear units, with an upper bound or None."""

    most: float | None

    def __call__(self, maps, in_place):
        return convolutions.rectify(maps, self.most, maps if in_place else None)


def _relu(step, shape):
    return _Rectifier(step.settings.get("most")), shape, 0


def _add(step, shape):
    def compute(first, second, in_place):
        # In the place of a map whose rows lie apart it would take several times as long.
        return np.add(first, second, out=first if in_place and _whole(first) else None)

    return compute, shape, 0


def _whole(maps):
    return maps.flags.c_contiguous


def _pad(step, shape):
    before, after = _pair(step.settings["padding"])
    return (
        lambda maps, in_place: convolutions.padded(maps, before, after),
        (shape[0], *(side + before + after for side in shape[1:])), 0,
    )  # fmt: skip


def _resize(step, shape):
    """Bilinear, with half-pixel centres and without antialiasing, as tf.image.resize."""
    sides = step.settings["sides"]
    (up, down, by_row), (left, right, by_column) = map(between, shape[1:], sides)
    by_row = by_row[:, np.newaxis]

    def compute(maps, in_place):
        rows = maps[:, :, up] + (maps[:, :, down] - maps[:, :, up]) * by_row
        return rows[..., left] + (rows[..., right] - rows[..., left]) * by_column

    return compute, (shape[0], *sides), 4 * shape[0] * math.prod(sides)


def between(given: int, wanted: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(the pixel before, that after, how far from the first) of each of `wanted` pixels over `given` ones."""
    places = (np.arange(wanted, dtype=np.float32) + 0.5) * np.float32(given / wanted) - 0.5
    before = np.floor(places)
    first, last = (np.clip(pixels.astype(np.int64), 0, given - 1) for pixels in (before, before + 1))
    return first, last, (places - before).astype(np.float32)


def _max_pool(step, shape):
    size, stride = step.settings["size"], step.settings["stride"]

    def compute(maps, in_place):
        view = convolutions.windows(maps, size, stride)
        parts = [view[:, row, column] for row in range(size) for column in range(size)]
        return functools.reduce(np.maximum, parts[1:], parts[0])

    return compute, (shape[0], *((side - size) // stride + 1 for side in shape[1:])), 0


def _mean(step, shape):
    return lambda maps, in_place: maps.mean(axis=(2, 3)), shape[:1], 0


def _dense(step, shape):
    _check_head(step, shape)
    return lambda features, in_place: step.weights.T @ features + step.bias[:, np.newaxis], step.weights.shape[1:], 0


def _similarity(step, shape):
    """Logits from angles, as models.layers.SimilarityHead."""
    _check_head(step, shape)
    kernel, kappa = unit(step.weights), step.settings["kappa"]
    scale = np.float32(1.0 + np.logaddexp(0.0, step.bias[0]))

    def compute(features, in_place):
        cosine = kernel.T @ unit(features)
        if step.settings["kind"] == "tvmf":
            cosine = (1.0 + cosine) / (1.0 + np.float32(kappa) * (1.0 - cosine)) - 1.0
        return scale * cosine

    return compute, step.weights.shape[1:], 0


def unit(vectors: np.ndarray) -> np.ndarray:
    """Columns of length 1, of [length, columns]."""
    return vectors / np.sqrt(np.maximum(np.sum(np.square(vectors), axis=0, keepdims=True), 1e-24))


def _check_head(step, shape):
    if step.weights.shape[0] != shape[0] or len(shape) != 1:
        raise ValueError(f"{step.name} takes {step.weights.shape[0]} features, not {list(shape)}")


_MAKERS = {
    "cosine_filters": _cosine_filters, "normalisation": _normalisation, "relu": _relu, "bounded_relu": _relu,
    "add": _add, "pad": _pad, "resize": _resize, "max_pool": _max_pool, "mean": _mean, "flatten": _flatten,
    "rescale": _rescale, "dense": _dense, "similarity": _similarity,
}  # fmt: skip
