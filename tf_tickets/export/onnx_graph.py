"""The nodes of an ONNX graph that do what the steps of a program do, on maps [images, channels, height, width]."""

import typing

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tf_tickets.runtime.program import Step, cosine_filters


class Graph:
    """Nodes and weights, as they are added.

    Attributes:
      nodes, weights: what `onnx.helper.make_graph` takes.
      channels: dict from the name of maps to how many channels they have.
      flat: names of results that are no maps but one vector an image.
    """

    def __init__(self):
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.channels: dict[str, int] = {}
        self.flat: set[str] = set()
        self._numbers = {}

    def weight(self, array: np.ndarray, name: str) -> str:
        """Adds an array under a name, which it returns."""
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def number(self, value: float) -> str:
        """A float32 number; equal ones are kept once."""
        if value not in self._numbers:
            self._numbers[value] = self.weight(np.array(value, np.float32), f"number_{value!r}")
        return self._numbers[value]

    def add(self, operation: str, inputs: list[str], output: str, **attributes: typing.Any) -> str:
        """Adds a node; returns the name of its result."""
        self.nodes.append(helper.make_node(operation, inputs, [output], output, **attributes))
        return output


def pixels(graph: Graph, data: dict) -> str:
    """Adds what becomes of stored images [images, height, width, channels] before the first layer."""
    values = graph.add("Cast", ["images"], "pixels", to=onnx.TensorProto.FLOAT)
    values = graph.add("Div", [values, graph.number(data.get("scale", 255.0))], "pixels/scaled")
    for operation, part in (("Sub", "mean"), ("Div", "deviation")):
        weight = graph.weight(np.asarray(data[part], np.float32), part)
        values = graph.add(operation, [values, weight], f"pixels/{part}")
    maps = graph.add("Transpose", [values], "pixels/maps", perm=[0, 3, 1, 2])
    graph.channels[maps] = data["image_shape"][2]
    return maps


def logits(graph: Graph, steps: list[Step], maps: str, prefix: str) -> str:
    """Adds the steps of a program.

    Args:
      steps: of `runtime.program.read`, with dense weights.
      maps: the name of normalised images.
      prefix: what the names of all results begin with.

    Returns:
      The name of the logits, [images, classes].
    """
    names = {steps[0].name: maps}
    for step in steps[1:]:
        given = [names[name] for name in step.inputs]
        name = names[step.name] = _WRITERS[step.operation](graph, step, given, prefix + step.name)
        graph.channels.setdefault(name, graph.channels[given[0]])
        if given[0] in graph.flat:
            graph.flat.add(name)
    return names[steps[-1].name]


def _convolution(graph, step, given, name):
    return _convolved(graph, step, given, name, step.weights.transpose(3, 2, 0, 1), 1)


def _depthwise(graph, step, given, name):
    kernel = step.weights.transpose(2, 3, 0, 1)
    return _convolved(graph, step, given, name, kernel, len(kernel))


def _convolved(graph, step, given, name, kernel, groups):
    """A convolution by a kernel [out, in of a group, height, width]."""
    inputs = [*given, graph.weight(kernel, f"{name}/kernel")]
    if step.bias is not None:
        inputs.append(graph.weight(step.bias.astype(np.float32), f"{name}/bias"))
    graph.channels[name] = len(kernel)
    stride, sides = step.settings["stride"], list(kernel.shape[2:])
    pads = _pads(step.settings.get("padding", sides[0] // 2))  # cosine filters have no setting of it
    return graph.add("Conv", inputs, name, kernel_shape=sides, strides=[stride, stride], pads=pads, group=groups)


def _pads(padding):
    """[top, left, bottom, right] of a setting that is one number or [before, after]."""
    before, after = padding if isinstance(padding, list) else (padding, padding)
    return [before, before, after, after]


def _cosine_filters(graph, step, given, name):
    """Every channel under every filter, channel-major: groups of one channel, and its filters."""
    size = step.settings["size"]
    filters = cosine_filters(size).reshape(size**2, 1, size, size).astype(np.float32)
    channels = graph.channels[given[0]]
    kernel = np.tile(filters, (channels, 1, 1, 1))
    if step.weights is not None:
        kernel = kernel * step.weights[:, np.newaxis, np.newaxis, np.newaxis]
    return _convolved(graph, step, given, name, kernel, channels)


def _normalisation(graph, step, given, name):
    return _scaled(graph, step.weights, step.bias, given, name)


def _rescale(graph, step, given, name):
    return _scaled(graph, *(np.array(step.settings[part], np.float32) for part in ("scale", "offset")), given, name)


def _scaled(graph, scale, shift, given, name):
    """Every channel, or feature, times its factor, plus its shift."""
    sides = [] if given[0] in graph.flat else [1, 1]
    scale, shift = (vector.reshape(-1, *sides).astype(np.float32) for vector in (scale, shift))
    scaled = graph.add("Mul", [*given, graph.weight(scale, f"{name}/scale")], f"{name}/scaled")
    return graph.add("Add", [scaled, graph.weight(shift, f"{name}/shift")], name)


def _bounded_relu(graph, step, given, name):
    return graph.add("Clip", [*given, graph.number(0.0), graph.number(step.settings["most"])], name)


def _pad(graph, step, given, name):
    # Named axes would be shorter, here and below, and ONNX Runtime 1.32 mixes them up where it moves channels last.
    top, left, bottom, right = _pads(step.settings["padding"])
    pads = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
    return graph.add("Pad", [*given, graph.weight(pads, f"{name}/pads")], name)


def _resize(graph, step, given, name):
    images_and_channels = graph.add("Shape", given, f"{name}/before", start=0, end=2)
    sides = graph.weight(np.array(step.settings["sides"], np.int64), f"{name}/sides")
    sizes = graph.add("Concat", [images_and_channels, sides], f"{name}/sizes", axis=0)
    return graph.add("Resize", [*given, "", "", sizes], name, mode="linear")


def _max_pool(graph, step, given, name):
    size, stride = step.settings["size"], step.settings["stride"]
    return graph.add("MaxPool", given, name, kernel_shape=[size, size], strides=[stride, stride])


def _mean(graph, step, given, name):
    graph.flat.add(name)
    averaged = graph.add("GlobalAveragePool", given, f"{name}/averaged")
    return graph.add("Flatten", [averaged], name)


def _flatten(graph, step, given, name):
    """Rows first and channels last, as Keras has them."""
    if given[0] in graph.flat:
        return graph.add("Identity", given, name)
    graph.flat.add(name)
    moved = graph.add("Transpose", given, f"{name}/moved", perm=[0, 2, 3, 1])
    return graph.add("Flatten", [moved], name)


def _dense(graph, step, given, name):
    kernel, bias = graph.weight(step.weights, f"{name}/kernel"), graph.weight(step.bias, f"{name}/bias")
    return graph.add("Gemm", [*given, kernel, bias], name)


def _similarity(graph, step, given, name):
    """Logits from angles, as models.layers.SimilarityHead."""
    axis = graph.weight(np.array([1], np.int64), f"{name}/axis")
    squares = graph.add("ReduceSumSquare", [*given, axis], f"{name}/squares", keepdims=1)
    length = graph.add("Sqrt", [graph.add("Max", [squares, graph.number(1e-24)], f"{name}/bounded")], f"{name}/length")
    unit = graph.add("Div", [*given, length], f"{name}/unit")
    kernel = step.weights / np.sqrt(np.maximum(np.sum(np.square(step.weights), axis=0, keepdims=True), 1e-24))
    cosine = graph.add("MatMul", [unit, graph.weight(kernel, f"{name}/kernel")], f"{name}/cosine")
    if step.settings["kind"] == "tvmf":
        unity, kappa = graph.number(1.0), graph.number(step.settings["kappa"])
        above = graph.add("Add", [cosine, unity], f"{name}/above")
        away = graph.add("Mul", [graph.add("Sub", [unity, cosine], f"{name}/away"), kappa], f"{name}/far")
        ratio = graph.add("Div", [above, graph.add("Add", [away, unity], f"{name}/below")], f"{name}/ratio")
        cosine = graph.add("Sub", [ratio, unity], f"{name}/similarity")
    scale = graph.weight(np.float32(1.0 + np.logaddexp(0.0, step.bias[0])), f"{name}/s")
    return graph.add("Mul", [cosine, scale], name)


_WRITERS = {
    "convolution": _convolution, "harmonic": _convolution, "depthwise": _depthwise, "cosine_filters": _cosine_filters,
    "normalisation": _normalisation, "relu": lambda graph, step, given, name: graph.add("Relu", given, name),
    "bounded_relu": _bounded_relu, "add": lambda graph, step, given, name: graph.add("Add", given, name),
    "pad": _pad, "resize": _resize, "max_pool": _max_pool, "mean": _mean, "flatten": _flatten,
    "rescale": _rescale, "dense": _dense, "similarity": _similarity,
}  # fmt: skip
