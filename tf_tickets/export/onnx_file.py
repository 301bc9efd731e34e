"""A ticket as ONNX, written from the program of `tf_tickets.runtime`: stored pixels in, any number of them at once.

Outputs are `probabilities` and `logits`, float32 [images, classes], and `class`, int64 [images]. Kernels are dense:
what is removed is zero, and gzip makes it small.
"""

import contextlib
import logging
import math
import os
import tempfile
from collections.abc import Callable, Iterator

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnxruntime import quantization

import tf_tickets
from tf_tickets.errors import StateError
from tf_tickets.export import file_facts, folded, onnx_graph
from tf_tickets.export.ticket import Ticket

# Of 2022: what has been released since reads them.
_OPSET, _FORMAT = 18, 8
# With rectifiers among them ranges are read behind them, and what is negative takes none of the 256 steps.
EIGHT_BITS = ["Conv", "Gemm", "MatMul", "Relu", "Clip", "Add", "Pad", "MaxPool", "GlobalAveragePool"]
# Protocol buffers hold no more.
_MOST_BYTES = (1 << 31) - (1 << 20)


def convert(ticket: Ticket) -> bytes:
    """The bytes of an ONNX file in float32; equal tickets make equal bytes.

    Raises:
      StateError: the weights are such that the runtime refuses them, or more than such a file holds.
    """
    graph, labels = onnx_graph.Graph(), len(ticket.labels)
    maps = onnx_graph.pixels(graph, ticket.data)
    several = len(ticket.members) > 1
    logits = [
        onnx_graph.logits(graph, folded.steps(member), maps, f"member_{index:02d}/" if several else "network/")
        for index, member in enumerate(ticket.members)
    ]
    if several:
        _averaged(graph, ticket, logits)
    else:
        graph.add("Identity", logits, "logits")
        graph.add("Softmax", [_scaled(graph, "logits", ticket.temperature)], "probabilities", axis=1)
    graph.add("ArgMax", ["logits"], "class", axis=1, keepdims=0)
    size = sum(len(weight.raw_data) for weight in graph.weights)
    if size > _MOST_BYTES:
        raise StateError(f"its weights are {size:,} bytes, and an ONNX file holds 2 GiB; leave onnx out of --format")
    return _model(ticket, graph, labels).SerializeToString(deterministic=True)


def _scaled(graph, logits, temperature):
    if temperature == 1.0:
        return logits
    return graph.add("Div", [logits, graph.number(temperature)], f"{logits}/scaled")


def _averaged(graph, ticket, logits):
    """Probabilities are the mean of the members', each at its own temperature; logits the logarithm of that."""
    axis = graph.weight(np.array([0], np.int64), "members")
    logarithms = []
    for member, of_member in zip(ticket.members, logits):
        scaled = graph.add("LogSoftmax", [_scaled(graph, of_member, member.temperature)], f"{of_member}/log", axis=1)
        logarithms.append(graph.add("Unsqueeze", [scaled, axis], f"{of_member}/row"))
    rows = graph.add("Concat", logarithms, "rows", axis=0)
    summed = graph.add("ReduceLogSumExp", [rows, axis], "summed", keepdims=0)
    graph.add("Sub", [summed, graph.number(math.log(len(logits)))], "logits")
    graph.add("Softmax", ["logits"], "probabilities", axis=1)


def _model(ticket, graph, labels):
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(ticket.data.get("dtype", "uint8")))
    given = helper.make_tensor_value_info("images", kind, ["batch", *ticket.data["image_shape"]])
    outputs = [
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", labels]),
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", labels]),
        helper.make_tensor_value_info("class", TensorProto.INT64, ["batch"]),
    ]
    made = helper.make_model(
        helper.make_graph(graph.nodes, "ticket", [given], outputs, graph.weights), ir_version=_FORMAT,
        opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="tf_tickets",
        producer_version=tf_tickets.__version__,
    )  # fmt: skip
    helper.set_model_props(made, file_facts.facts_of(ticket))
    return made


def quantised(data: bytes, images: np.ndarray) -> bytes:
    """The bytes of an ONNX file whose convolutions and head compute in 8 bits, with a scale for each output channel.

    Weights take 7 bits of the 8: sums of products of 8 bits overflow on processors without instructions for them. Those
    of depthwise convolutions take all 8: ONNX Runtime's kernels for them sum products in 32 bits on all processors.

    Args:
      data: what `convert` gives.
      images: what the ranges of activations are read from, of the data set's stored type.
    """
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path, model = os.path.join(folder, "quantised.onnx"), onnx.load_model_from_string(data)
        quantization.quantize_static(
            model, path, Reader(images), per_channel=True, reduce_range=True,
            op_types_to_quantize=EIGHT_BITS, quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
            # Logits are all that probabilities are made of.
            extra_options={
                "OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"],
                "TensorQuantOverrides": {name: [{"axis": 0, "reduce_range": False}] for name in depthwise(model)},
            },
        )  # fmt: skip
        made = onnx.load_model(path)
    # What the quantiser leaves of its own.
    made.producer_name, made.producer_version = "tf_tickets", tf_tickets.__version__
    return made.SerializeToString(deterministic=True)


def depthwise(model: onnx.ModelProto) -> list[str]:
    """The names of the kernels of depthwise convolutions: of one channel in, and of one out."""
    shapes = {weight.name: list(weight.dims) for weight in model.graph.initializer}
    groups = {
        node.input[1]: attribute.i
        for node in model.graph.node
        if node.op_type == "Conv"
        for attribute in node.attribute
        if attribute.name == "group"
    }
    return [name for name, count in groups.items() if 1 < count == shapes[name][0]]


class Reader(quantization.CalibrationDataReader):
    """Gives the calibration its images, some at a time."""

    def __init__(self, images: np.ndarray):
        self._rest = iter([images[start : start + 20] for start in range(0, len(images), 20)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next images, or None."""
        images = next(self._rest, None)
        return None if images is None else {"images": images}


def predictor(data: bytes, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function from stored images to class probabilities, by ONNX Runtime on the processor."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, threads
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["probabilities"], {"images": images})[0]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantiser's advice."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
