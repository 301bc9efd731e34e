"""The calls of one network: one or two for each of its operations."""

import numpy as np

from tf_tickets.export.c_source import literals, nodes
from tf_tickets.export.c_source.layouts import Map, Phases, placed
from tf_tickets.export.c_source.nodes import Node
from tf_tickets.export.c_source.weight_tables import Parts, Weights, written
from tf_tickets.runtime import execution
from tf_tickets.runtime.program import cosine_filters


class Calls:
    """One network.

    Attributes:
      scratch: floats of memory that its maps take.
      logits: where they lie in the end.
    """

    def __init__(self, listed: list[Node], parts: Parts):
        self._nodes, self._parts = listed, parts
        self._maps, self._phases, self.scratch = placed(listed)
        self.logits: str = _at(self._maps[listed[-1].name].first)

    def lines(self) -> list[str]:
        """The statements that compute its logits, in order; `image` is what they read."""
        lines = []
        for node in self._nodes:
            lines += ["", literals.comment(_described(node)), *_WRITERS[node.step.operation](self, node)]
            result = self._maps[node.name]
            if result.border:
                facts = *node.shape, result.border, result.pitch
                lines.append(self._parts.call("clear_border", _at(result.start), *facts))
        return lines[1:]

    def _image(self, node):
        result = self._maps[node.name]
        return [f"read_image(image, {_at(result.first)}, {result.plane}, {result.pitch});"]

    def _slide(self, node):
        """A convolution of any kind: its input by phases where it has a stride, then the sums."""
        given, lines = self._maps[node.inputs[0]], []
        source, begin = given, given.first - node.padding[0] * (given.pitch + 1)
        if node.stride > 1:
            source = self._phases[node.name]
            lines, begin = self._taken(node, given, source), source.start
        outputs, channels, places, values = _surviving(node)
        offsets = offsets_of(node, source, channels, places)
        bias, scale = node.step.bias, np.ones(node.shape[0], np.float32)
        repeat, advance, total = node.shape[0], 0, 0
        if node.step.operation == "cosine_filters":
            scale = scale if node.step.weights is None else node.step.weights
            repeat, advance = node.size**2, source.plane
        elif node.step.operation != "depthwise":
            total = node.step.weights.size
        weights = Weights(outputs, offsets, values, _bias(bias, node), scale, repeat, advance, total)
        return [*lines, self._sum(node, weights, begin)]

    def _taken(self, node, given, phases):
        """Copies the phases of an input into zeros."""
        size = len(phases.used) * phases.channels * phases.plane
        lines = [f"memset({_at(phases.start)}, 0, {size} * sizeof(float));"]
        stride, before = node.stride, node.padding[0]
        for index, shifts in enumerate(phases.used):
            # The first pixel of the phase in each direction, where it goes, and how many there are.
            into = [max(0, -(-(before - shift) // stride)) for shift in shifts]
            first = [place * stride + shift - before for place, shift in zip(into, shifts)]
            rows, columns = (max(0, -(-(side - at) // stride)) for side, at in zip(node.given[1:], first))
            if rows and columns:
                source = given.first + first[0] * given.pitch + first[1]
                to = phases.start + index * phases.channels * phases.plane + into[0] * phases.pitch + into[1]
                places = _at(source), given.plane, given.pitch, stride, _at(to), phases.plane, phases.pitch
                lines.append(self._parts.call("take_phase", *places, phases.channels, rows, columns))
        return lines

    def _sum(self, node, weights, begin):
        result = self._maps[node.name]
        function, layer = written(
            self._parts, weights, plane=result.plane, length=result.length, bounds=(node.low, node.high)
        )
        return self._parts.call(function, f"&{layer}", _at(begin), _at(result.first))

    def _head(self, node):
        """A head as the convolution of one position."""
        kernel = node.step.weights
        if node.step.operation == "similarity":
            kernel = execution.unit(kernel)
        features, outputs = np.nonzero(kernel)
        bias = node.step.bias if node.step.operation == "dense" else None
        given, scale = self._maps[node.inputs[0]], np.ones(node.shape[0], np.float32)
        weights = Weights(
            outputs, features * given.plane, kernel[features, outputs], _bias(bias, node), scale, len(scale),
            total=kernel.size,
        )  # fmt: skip
        return [self._sum(node, weights, given.first)]

    def _similarity(self, node):
        given, result = self._maps[node.inputs[0]], self._maps[node.name]
        step = node.step
        kappa = step.settings["kappa"] if step.settings["kind"] == "tvmf" else -1.0
        scale = float(np.float32(1.0 + np.logaddexp(0.0, step.bias[0])))
        numbers = literals.number(kappa), literals.number(scale)
        return [
            *self._head(node),
            self._parts.call(
                "scale_cosines", _at(given.first), given.channels, _at(result.first), result.channels, *numbers
            ),
        ]

    def _add(self, node):
        first, second, result = (self._maps[name] for name in (*node.inputs, node.name))
        given = _at(first.first), first.plane, _at(second.first), second.plane, _at(result.first), result.plane
        bounds = literals.number(node.low), literals.number(node.high)
        return [self._parts.call("add", *given, result.channels, result.length, *bounds)]

    def _normalise(self, node):
        return self._scaled(node, node.step.weights, node.step.bias)

    def _rescale(self, node):
        settings, channels = node.step.settings, node.shape[0]
        factors = (np.broadcast_to(np.array(settings[part], np.float32), channels) for part in ("scale", "offset"))
        return self._scaled(node, *factors)

    def _scaled(self, node, scale, shift):
        """Every channel times its factor, plus its shift."""
        given, result = self._maps[node.inputs[0]], self._maps[node.name]
        self._parts.layers += 1
        tables = self._parts.named("float", "scales", scale), self._parts.named("float", "shifts", shift)
        places = _at(given.first), given.plane, _at(result.first), result.plane, result.channels, result.length
        bounds = literals.number(node.low), literals.number(node.high)
        return [self._parts.call("normalise", *places, *tables, *bounds)]

    def _rectify(self, node):
        given, result = self._maps[node.inputs[0]], self._maps[node.name]
        places = _at(given.first), given.plane, _at(result.first), result.plane, result.channels, result.length
        return [self._parts.call("rectify", *places, literals.number(node.high))]

    def _rows(self, function, node, moved=0, sides=None, more=()):
        """A function that goes over rows of maps of any pitch."""
        given, result = self._maps[node.inputs[0]], self._maps[node.name]
        rows, columns = sides or node.shape[1:]
        to = _at(result.first + moved * (result.pitch + 1))
        places = _at(given.first), given.plane, given.pitch, to, result.plane, result.pitch
        return self._parts.call(function, *places, node.shape[0], rows, columns, *more)

    def _pad(self, node):
        result, before = self._maps[node.name], nodes.pair(node.step.settings["padding"])[0]
        size = result.channels * result.plane
        return [
            f"memset({_at(result.first)}, 0, {size} * sizeof(float));",
            self._rows("copy_rows", node, before, node.given[1:]),
        ]

    def _resize(self, node):
        self._parts.layers += 1
        tables = []
        for axis, given, wanted in zip(("row", "column"), node.given[1:], node.shape[1:]):
            before, after, share = execution.between(given, wanted)
            tables += [
                self._parts.named("uint16_t", f"{axis}s_before", before),
                self._parts.named("uint16_t", f"{axis}s_after", after),
                self._parts.named("float", f"{axis}s_between", share),
            ]
        return [self._rows("resize", node, more=tables)]

    def _max_pool(self, node):
        return [self._rows("max_pool", node, more=(node.step.settings["size"], node.step.settings["stride"]))]

    def _mean(self, node):
        given, result = self._maps[node.inputs[0]], self._maps[node.name]
        return [self._parts.call("mean", _at(given.first), given.plane, given.pitch, _at(result.first), *node.given)]

    def _flatten(self, node):
        given, result = self._maps[node.inputs[0]], self._maps[node.name]
        places = _at(given.first), given.plane, given.pitch, _at(result.first), result.plane
        return [self._parts.call("flatten", *places, *node.given)]


_WRITERS = {
    "input": Calls._image, "convolution": Calls._slide, "harmonic": Calls._slide, "depthwise": Calls._slide,
    "cosine_filters": Calls._slide, "normalisation": Calls._normalise, "relu": Calls._rectify,
    "bounded_relu": Calls._rectify, "add": Calls._add, "pad": Calls._pad, "resize": Calls._resize,
    "max_pool": Calls._max_pool, "mean": Calls._mean, "flatten": Calls._flatten, "rescale": Calls._rescale,
    "dense": Calls._head, "similarity": Calls._similarity,
}  # fmt: skip


def _at(place):
    return f"scratch + {place}"


def _bias(bias, node):
    return np.zeros(node.shape[0], np.float32) if bias is None else bias


def _surviving(node):
    """(output, input channel, place in the filter, value) of each weight that is not zero."""
    step = node.step
    if step.operation == "cosine_filters":
        filters = cosine_filters(node.size).astype(np.float32).reshape(node.size**2, -1)
        outputs, places = np.nonzero(filters)
        return outputs, np.zeros_like(places), places, filters[outputs, places]
    positions = np.flatnonzero(step.weights)
    values = step.weights.reshape(-1)[positions]
    inputs, outputs = np.divmod(positions, step.weights.shape[3])
    places, channels = np.divmod(inputs, step.weights.shape[2])
    return channels if step.operation == "depthwise" else outputs, channels, places, values


def offsets_of(node: Node, source: Map | Phases, channels: np.ndarray, places: np.ndarray) -> np.ndarray:
    """How far from its position each weight reads in a map, or in the phases of one."""
    rows, columns = np.divmod(places, node.size)
    if node.stride == 1:
        return channels * source.plane + rows * source.pitch + columns
    index = {phase: number for number, phase in enumerate(source.used)}
    phases = np.array(
        [index[row % node.stride, column % node.stride] for row, column in np.ndindex(node.size, node.size)]
    )
    inside = rows // node.stride * source.pitch + columns // node.stride
    return (phases[places] * source.channels + channels) * source.plane + inside


def _described(node):
    """A node in words: its name, what it does, and how many of its weights are left."""
    step, (channels, height, width) = node.step, node.shape
    result = f"{channels} of {height} x {width}" if height * width > 1 else f"{channels}"
    kind = step.operation.replace("_", " ")
    if node.slides:
        stride = f", stride {node.stride}" if node.stride > 1 else ""
        kind = f"{kind} {node.size} x {node.size}{stride}, {node.given[0]} channels"
    left = ""
    if node.slides and step.operation != "cosine_filters" or step.operation in ("dense", "similarity"):
        left = "; {:,} of {:,} weights".format(*nodes.weights_left(node))
    rectified = f" between 0 and {node.high:g}" if node.low == 0.0 and node.high < nodes.LARGEST else ""
    rectified = rectified or (" not below 0" if node.low == 0.0 else "")
    return f"{step.name}: {kind} to {result}{rectified}{left}"
