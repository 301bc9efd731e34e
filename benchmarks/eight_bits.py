"""Ways to make an ONNX file of 8 bits: test accuracy, bytes and milliseconds of each beside float32.

python benchmarks/eight_bits.py NAME=RUN ... [--images=2000] [--data_dir=DIR] [--ways=7_bits,...] [--out=FILE.json]

RUN is a run folder with a ticket. Ranges are read from training images, as `export` reads them: 200, or 60 where
histograms of all activations have to be held. `depthwise_8` is what `export` does.
"""

import argparse
import json
import os
import tempfile
import time

import numpy as np
import onnx
import onnxruntime
from onnxruntime import quantization

import tf_tickets as tt
from tf_tickets.data import sources
from tf_tickets.export import formats, onnx_file, origin, samples

METHODS, FEW = quantization.CalibrationMethod, 60


def ways(model: onnx.ModelProto) -> dict[str, dict]:
    """What each way asks of `quantize_static` beside what all ask."""
    kernels = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    ends, inner = [kernels[0].name, kernels[-1].name], onnx_file.depthwise(model)
    return {
        "7_bits": {}, "8_bits": {"reduce_range": False},
        "depthwise_8": {"extra_options": {"TensorQuantOverrides": overrides(inner)}},
        "unsigned_8": {"reduce_range": False, "weight_type": quantization.QuantType.QUInt8},
        "percentile_99.99": {"calibrate_method": METHODS.Percentile, "extra_options": {"CalibPercentile": 99.99}},
        "percentile_99.999": {"calibrate_method": METHODS.Percentile, "extra_options": {"CalibPercentile": 99.999}},
        "entropy": {"calibrate_method": METHODS.Entropy},
        "moving_average": {"extra_options": {"CalibMovingAverage": True}},
        "ends_in_float": {"nodes_to_exclude": ends},
        "depthwise_in_float": {"nodes_to_exclude": [node.name for node in kernels if node.input[1] in inner]},
    }  # fmt: skip


def overrides(kernels: list[str]) -> dict[str, list[dict]]:
    """Kernels whose weights take all 8 bits."""
    return {name: [{"axis": 0, "reduce_range": False}] for name in kernels}


def quantised(data: bytes, way: dict, images: np.ndarray) -> bytes:
    """A file made in one way."""
    settings = {"reduce_range": True, "weight_type": quantization.QuantType.QInt8, **way}
    settings["extra_options"] = {"OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"]} | way.get(
        "extra_options", {}
    )
    histograms = way.get("calibrate_method", METHODS.MinMax) != METHODS.MinMax
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "quantised.onnx")
        quantization.quantize_static(
            onnx.load_model_from_string(data), path, onnx_file.Reader(images[: FEW if histograms else None]),
            per_channel=True, op_types_to_quantize=onnx_file.EIGHT_BITS, quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8, **settings,
        )  # fmt: skip
        with open(path, "rb") as file:
            return file.read()


def measured(data: bytes, images: np.ndarray, labels: np.ndarray) -> tuple[dict, np.ndarray]:
    """(accuracy, bytes and the shortest milliseconds of an image alone on one thread; the classes)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    parts = [images[start : start + 50] for start in range(0, len(images), 50)]
    classes = np.concatenate([session.run(["class"], {"images": part})[0] for part in parts])
    seconds = []
    for _ in range(30):
        began = time.perf_counter()
        session.run(["class"], {"images": images[:1]})
        seconds.append(time.perf_counter() - began)
    row = {"accuracy": float((classes == labels).mean()), "bytes": len(data), "ms_batch_1": 1000 * min(seconds)}
    return row, classes


def rows(name: str, run: str, arguments: argparse.Namespace) -> list[dict]:
    """A row for float32 and for each way."""
    place = formats.place_of(run)
    ticket = tt.Ticket.load(place.path)
    config = tt.Config.from_values(dataset=ticket.data["dataset"], data_dir=arguments.data_dir)
    where = origin.place(place.run, ticket, config.data.place)
    calibration = samples.of(ticket, place.run, where).calibration
    images, labels = sources.load(ticket.data["dataset"], where).test()
    chosen = np.arange(min(arguments.images, len(labels))) * len(labels) // min(arguments.images, len(labels))
    images, labels = images[chosen], labels[chosen]
    data = onnx_file.convert(ticket)
    plain, expected = measured(data, images, labels)
    common = {"ticket": name, "network": ticket.network["name"], "density": ticket.density, "images": len(images)}
    made = [common | {"way": "float32", "same_label": 1.0} | plain]
    known = ways(onnx.load_model_from_string(data))
    for way in arguments.ways.split(",") if arguments.ways else known:
        row, classes = measured(quantised(data, known[way], calibration), images, labels)
        made.append(common | {"way": way, "same_label": float((classes == expected).mean())} | row)
        print(json.dumps(made[-1]), flush=True)
    return made


def main() -> None:
    """Measures the runs of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--data_dir")
    parser.add_argument("--ways")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    made = [row for text in arguments.runs for row in rows(*text.split("=", 1), arguments)]
    if arguments.out:
        with open(arguments.out, "w", encoding="utf-8") as file:
            file.write(json.dumps({"onnxruntime": onnxruntime.__version__, "rows": made}, indent=1) + "\n")


if __name__ == "__main__":
    main()
