"""Size, multiply-adds and latency of tickets: their SavedModel, TFLite file and the runtime, interleaved in one run.

python benchmarks/tickets.py NAME=SOURCE ... [--out=FILE.json] [--rounds=15]; SOURCE is a ticket or round folder, or
MODEL:WIDTH:SIDE:DENSITY, a network of untrained weights whose largest ones are left. Every engine lives in a process of
its own, and one at a time predicts: threads of one that still wait would slow the next.
"""

import argparse
import gzip
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import zipfile

import numpy as np

import tf_tickets as tt
from tf_tickets.analysis.analyses import activity
from tf_tickets.export.ticket import ids_digest, settings_of
from tf_tickets.models import architecture, builder, state
from tf_tickets.pruning import masks

ENGINES = ("saved_model", "tflite", "onnx", "runtime", "runtime_sparse", "runtime_dense", "runtime_compiled")
BATCHES = (1, 100)

# Loads one engine, answers "batch repeats" lines with the seconds of each call; the first line is about the start.
WORKER = """
import json, os, sys, time
began = time.perf_counter()
engine, folder, exported, images = sys.argv[1:]
import numpy as np
if engine == "saved_model":
    import tensorflow as tf
    loaded = tf.saved_model.load(folder)
    serve = loaded.signatures["serving_default"]
    predict = lambda batch: serve(images=tf.constant(batch))["probabilities"].numpy()
elif engine == "tflite":
    from ai_edge_litert.interpreter import Interpreter
    run = Interpreter(os.path.join(exported, "ticket.tflite"), num_threads=os.cpu_count()).get_signature_runner()
    predict = lambda batch: np.concatenate([run(images=image[None])["probabilities"] for image in batch])
elif engine == "onnx":
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count()
    session = onnxruntime.InferenceSession(os.path.join(exported, "ticket.onnx"), options)
    predict = lambda batch: session.run(["probabilities"], {"images": batch})[0]
else:
    from tf_tickets import runtime
    network = runtime.load(folder, compiled=engine == "runtime_compiled")
    how = engine.partition("_")[2]
    network.use(how if how in ("sparse", "dense") else None)
    predict = network.predict
images = np.load(images)
predict(images[:1])
start = time.perf_counter() - began
memory = next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM")) / 1024
answer = os.fdopen(os.dup(1), "w")
print(json.dumps({"start": start, "memory": memory}), file=answer, flush=True)
for line in sys.stdin:
    batch, repeats = map(int, line.split())
    seconds = []
    for _ in range(repeats):
        before = time.perf_counter()
        predict(images[:batch])
        seconds.append(time.perf_counter() - before)
    print(json.dumps(seconds), file=answer, flush=True)
"""


class Engine:
    """One engine in its process."""

    def __init__(self, name, ticket, exported, images):
        environment = {k: v for k, v in os.environ.items() if k not in ("TF_ENABLE_ONEDNN_OPTS", "TF_USE_LEGACY_KERAS")}
        environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(pathlib.Path(__file__).parent.parent)}
        self._process = subprocess.Popen(
            [sys.executable, "-c", WORKER, name, ticket, exported, images], stdin=subprocess.PIPE, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
        self.start = json.loads(self._process.stdout.readline())

    def seconds(self, batch, repeats):
        """Seconds of some calls on the first `batch` images."""
        self._process.stdin.write(f"{batch} {repeats}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self):
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()


def untrained(source):
    """The ticket of MODEL:WIDTH:SIDE:DENSITY, pruned by global magnitude."""
    name, width, side, density = source.split(":")
    side = int(side)
    facts = {
        "classes": 10, "image_shape": (side, side, 3), "stem": "small" if side <= 64 else "full", "width": int(width),
        "head": "linear", "kappa": 16.0,
    }  # fmt: skip
    start = state.get_state(builder.build(name, **facts))
    kernels = architecture.describe(name, **facts).prunable("all")
    weights = {kernel.name: start[f"{kernel.name}/kernel"] for kernel in kernels}
    left = masks.dense(weights)
    if float(density) < 1.0:
        left = masks.global_magnitude(weights, rate=1.0 - float(density))
    data = {
        "dataset": "untrained", "labels": [str(i) for i in range(10)], "mean": [0.5] * 3, "deviation": [0.25] * 3,
        "image_shape": [side, side, 3], "dtype": "uint8", "scale": 255.0,
    }  # fmt: skip
    trained = masks.masked_state(start, left)
    network = {"name": name, **facts, "image_shape": [side, side, 3]}
    settings = settings_of(tt.Config.from_values(dataset="cifar10", model=name, width=int(width)))
    return tt.Ticket(left, trained, trained, network, data=data, settings=settings, ids_digest=ids_digest([]), round=0)


def entropy(mask):
    """Bits of a mask's entropy if every weight of the layer is as likely to be left."""
    share = mask.mean()
    if share in (0.0, 1.0):
        return 0.0
    return -mask.size * (share * np.log2(share) + (1 - share) * np.log2(1 - share))


def packed(data):
    """Bytes after gzip."""
    return len(gzip.compress(data, 9))


def sizes(ticket, folder, files):
    """Bytes of the parts of ticket.npz, of the SavedModel and of the files made from it."""
    parts = {"mask": 0, "trained": 0, "rewound": 0}
    with zipfile.ZipFile(os.path.join(folder, "ticket.npz")) as archive:
        for member in archive.infolist():
            name = member.filename.split("/")[0].removesuffix("_variables")
            parts[name] += member.compress_size
    saved = [pathlib.Path(folder, "saved_model.pb"), *pathlib.Path(folder, "variables").iterdir()]
    dense = 4 * sum(mask.size for mask in ticket.masks.values())
    numbers = {f"{name}_bytes": size for name, size in parts.items()}
    numbers |= {
        "mask_entropy_bytes": round(sum(map(entropy, ticket.masks.values())) / 8),
        "ticket_npz_bytes": os.path.getsize(os.path.join(folder, "ticket.npz")), "dense_weight_bytes": dense,
        "saved_model_bytes": sum(path.stat().st_size for path in saved),
        "saved_model_gzip_bytes": sum(packed(path.read_bytes()) for path in saved),
    }  # fmt: skip
    for name, path in files.items():
        numbers |= {
            f"{name}_bytes": os.path.getsize(path),
            f"{name}_gzip_bytes": packed(pathlib.Path(path).read_bytes()),
        }
    return numbers


def work(ticket):
    """Multiply-adds of one image, with and without the removed weights."""
    facts = dict(ticket.network)
    model, described = ticket.build(), architecture.describe(facts.pop("name"), **facts)
    shapes = {k.name: tuple(model.get_layer(k.name).output.shape[1:]) for k in described.kernels()}
    metrics = {metric: value for metric, value, _ in activity.layer_metrics(described.kernels(), ticket.masks, shapes)}
    return {name: int(metrics[name]) for name in ("multiply_adds", "multiply_adds_dense")}


def latency(ticket, exported, images, rounds):
    """Start, memory and milliseconds an image of every engine; the median of interleaved rounds, and ratios."""
    engines = {name: Engine(name, ticket, exported, images) for name in ENGINES}
    numbers = {name: {f"{key}": value for key, value in engine.start.items()} for name, engine in engines.items()}
    for batch, repeats in ((1, 20), (100, 1)):
        for engine in engines.values():
            engine.seconds(batch, 2)  # what it still has to compile or choose
        medians = {name: [] for name in engines}
        for _ in range(rounds):
            for name, engine in engines.items():
                medians[name].append(statistics.median(engine.seconds(batch, repeats)))
        for name, values in medians.items():
            numbers[name][f"ms_{batch}"] = 1000 * statistics.median(values) / batch
            ratios = [base / value for base, value in zip(medians["saved_model"], values)]
            numbers[name][f"times_faster_{batch}"] = statistics.median(ratios)
            numbers[name][f"times_faster_{batch}_quartiles"] = list(statistics.quantiles(ratios, n=4)[::2])
    for engine in engines.values():
        engine.close()
    return numbers


def measure(name, source, rounds, work_folder):
    """All numbers of one ticket."""
    from tf_tickets.export import formats

    ticket = untrained(source) if source.count(":") == 3 else tt.Ticket.load(source)
    folder, out = os.path.join(work_folder, name), os.path.join(work_folder, f"{name}.files")
    ticket.save(folder)
    formats.export(folder, ["runtime", "tflite", "onnx"], tt.Config(), out)
    names = {"runtime": "runtime.npz", "tflite": "ticket.tflite", "onnx": "ticket.onnx"}
    files = {engine: os.path.join(out, file) for engine, file in names.items()}
    images = os.path.join(work_folder, "images.npy")
    shape, dtype = ticket.data["image_shape"], ticket.data.get("dtype", "uint8")
    np.save(images, np.random.default_rng(0).integers(0, 256, (max(BATCHES), *shape)).astype(dtype))
    numbers = {"name": name, "width": ticket.network["width"], "density": ticket.density, "round": ticket.round}
    numbers |= sizes(ticket, folder, files) | work(ticket)
    return numbers | {"engines": latency(folder, out, images, rounds)}


def show(numbers):
    """Prints one ticket's numbers."""
    share = numbers["ticket_npz_bytes"] / numbers["dense_weight_bytes"]
    print(f"\n{numbers['name']}: width {numbers['width']}, density {100 * numbers['density']:.2f} %")
    print(f"ticket.npz {numbers['ticket_npz_bytes']:,} bytes, {100 * share:.2f} % of the dense weights' "
          f"{numbers['dense_weight_bytes']:,}: mask {numbers['mask_bytes']:,} "
          f"(entropy {numbers['mask_entropy_bytes']:,}), trained {numbers['trained_bytes']:,}, "
          f"rewound {numbers['rewound_bytes']:,}")  # fmt: skip
    for name in ("saved_model", "runtime", "tflite", "onnx"):
        print(f"{name}: {numbers[f'{name}_bytes']:,} bytes, gzipped {numbers[f'{name}_gzip_bytes']:,}")
    print(f"multiply-adds {numbers['multiply_adds']:,} of {numbers['multiply_adds_dense']:,}")
    print("engine            ms, batch 1  times faster  ms an image, batch 100  times faster  start, s  peak MiB")
    for name, engine in numbers["engines"].items():
        print(f"{name:17s} {engine['ms_1']:12.2f} {engine['times_faster_1']:13.2f} {engine['ms_100']:23.2f} "
              f"{engine['times_faster_100']:13.2f} {engine['start']:9.2f} {engine['memory']:9.0f}")  # fmt: skip


def main():
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tickets", nargs="+", metavar="NAME=SOURCE")
    parser.add_argument("--out")
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work_folder:
        measured = []
        for named in given.tickets:
            name, _, source = named.partition("=")
            measured.append(measure(name, source, given.rounds, work_folder))
            show(measured[-1])
    if given.out:
        pathlib.Path(given.out).write_text(json.dumps(measured, indent=1) + "\n")


if __name__ == "__main__":
    main()
