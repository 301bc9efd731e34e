"""What a run pays beside its steps: commands that answer, rounds after the first, ranking, writing, resuming, memory.

    python benchmarks/overheads.py [--data_dir=DATA] [--repeats=5] [--out=FILE.json]

Every comparison alternates its two sides in one run, after one pair that does not count; a ratio is the median of the
pairs' ratios. Rows on CIFAR-10 need its prepared folder and are left out without it.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import bench
import plain

STACK = "import tensorflow, tf_keras, tensorflow_model_optimization, tensorflow_datasets, keras_cv"
ANSWERS = {
    "--help": ["--help"], "bad flag": ["--lerning_rate=0.1"],
    "--dry_run": ["--flagfile=flags/cifar10_1pct.cfg", "--dry_run"],
}  # fmt: skip
TINY = {
    "dataset": "digits", "images": 100, "width": 4, "epochs": 3, "rounds": 16, "batch_size": 20, "progress": "none",
    "eval_every": 3,
}  # fmt: skip
RECIPE = "flags/cifar10_1pct_cpu.cfg"


def seconds(words, **changes):
    """Wall time of a Python process, whatever its exit status."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *map(str, words)], env=bench.environment(TF_USE_LEGACY_KERAS=1, **changes), cwd=bench.ROOT,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    return time.perf_counter() - start


def alternate(sides, repeats):
    """Seconds of each side's function, `repeats` times, in turn, after one turn that does not count."""
    times = {name: [] for name in sides}
    for turn in range(-1, repeats):
        for name, function in sides.items():
            taken = function()
            if turn >= 0:
                times[name].append(taken)
    return times


def commands(repeats):
    """Rows of commands that answer without TensorFlow, against importing it."""
    main = ["-m", "tf_tickets.main"]
    sides = {name: lambda words=words: seconds([*main, *words]) for name, words in ANSWERS.items()}
    by_side = alternate({"the stack's import": lambda: seconds(["-c", STACK])} | sides, repeats)
    stack = by_side.pop("the stack's import")
    return [("the stack's import, seconds", statistics.median(stack), None, "")] + [
        (f"{name}, seconds; the import / it", statistics.median(times), bench.ratio(stack, times),
         "at most 0.5; at least 20")
        for name, times in by_side.items()
    ]  # fmt: skip


def child(part, *words, **changes):
    """What this file prints as JSON when it is asked for a part."""
    done = subprocess.run(
        [sys.executable, __file__, "--part", part, *map(str, words)], env=bench.environment(**changes), check=False,
        cwd=bench.ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def rounds(repeats):
    """Sixteen tiny rounds on one network, against a network built and compiled for each."""
    sides = {way: lambda way=way: child("rounds", way)["seconds"] for way in ("one", "anew")}
    by_way = alternate(sides, repeats)
    return [(
        "16 tiny rounds, seconds; built anew each / one network", statistics.median(by_way["one"]),
        bench.ratio(by_way["anew"], by_way["one"]), "at least 3",
    )]  # fmt: skip


def part_rounds(way):
    """Seconds of the rounds alone: imports, folder, ticket and table are left out."""
    from tf_tickets.experiments import imp, plan, session
    from tf_tickets.settings import config

    with tempfile.TemporaryDirectory() as out:
        plans = plan.resolve(config.Config.from_values(**TINY, out=out))
        folder, todo = plans.folder(), range(TINY["rounds"])
        session.Session(plans).test  # noqa: B018  what a process loads once: TensorFlow's devices, the data's reader
        start = time.perf_counter()
        for some in [list(todo)] if way == "one" else [[index] for index in todo]:
            imp.run_rounds(plans, folder, some, lambda: False)
        return {"seconds": time.perf_counter() - start}


def part_ranking():
    """Seconds of ranking 11 million weights and writing the masks, on the paper's network."""
    import numpy as np

    from tf_tickets.models import builder
    from tf_tickets.pruning import masks, wrapping

    model = builder.build("resnet18", classes=10, image_shape=(32, 32, 3), width=64)
    model = wrapping.wrap(model, [layer.name for layer in model.layers if hasattr(layer, "kernel")])
    old, times, total = wrapping.read_masks(model), [], 0
    for _ in range(7):
        start = time.perf_counter()
        kernels = {name: np.asarray(variable) for name, variable in wrapping.kernel_variables(model).items()}
        total = sum(kernel.size for kernel in kernels.values())
        old = masks.global_magnitude(kernels, old, rate=0.2)
        wrapping.write_masks(model, old)
        times.append(time.perf_counter() - start)
    return {"seconds": statistics.median(times), "weights": total}


class Clock:
    """Adds up the time inside some functions; what one calls inside another counts once."""

    def __init__(self):
        self.seconds, self._inside = 0.0, False

    def watch(self, owner, name):
        """Replaces `owner.name` by itself, timed."""
        function = getattr(owner, name)

        def timed(*arguments, **options):
            if self._inside:
                return function(*arguments, **options)
            self._inside, start = True, time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self._inside, self.seconds = False, self.seconds + time.perf_counter() - start

        setattr(owner, name, timed)


def part_writing(out, data_dir):
    """Share of two rounds' wall time in checkpoints, logs and TensorBoard; peak memory by stage, in MiB."""
    from tf_tickets import storage
    from tf_tickets.experiments import imp, plan
    from tf_tickets.experiments import rounds as _  # noqa: F401  imports TensorFlow and all that a run needs
    from tf_tickets.training import checkpoints, tensorboard

    memory, clock, plans = {"imports": _peak()}, Clock(), plan.resolve(cifar(out=out, data_dir=data_dir))
    clock.watch(checkpoints.CheckpointWriter, "save")
    for name in ("epoch_ends", "training_ends"):
        clock.watch(tensorboard.TensorBoard, name)
    for name in ("write_bytes", "write_arrays", "write_csv", "write_json"):
        clock.watch(storage, name)
    start = time.perf_counter()
    imp.run_rounds(plans, plans.folder(), [0, 1], lambda: False)
    wall = time.perf_counter() - start
    memory["two rounds"] = _peak()
    imp.export_ticket(plans.folder(), 1)
    return {"share": clock.seconds / wall, "seconds": wall, "memory": memory | {"ticket": _peak()}}


def part_floor():
    """Peak memory, in MiB, of a plain TensorFlow program on the same network: a step on 100 images, logits of 500."""
    import numpy as np

    import tf_tickets.experiments.rounds  # noqa: F401  the imports of a run, as in part_writing
    from tf_tickets import backend
    from tf_tickets.models import builder

    tf, keras = backend.tf, backend.keras
    model = builder.build("resnet18", classes=10, image_shape=(32, 32, 3), width=cifar().network.width)
    optimizer = keras.optimizers.legacy.SGD(0.1, 0.9)
    images, labels = np.zeros((500, 32, 32, 3), np.float32), np.zeros(500, np.int64)

    @tf.function
    def step(some, wanted):
        with tf.GradientTape() as tape:
            logits = model(some, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, logits))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    logits, peaks = tf.function(lambda some: model(some, training=False)), {"imports": _peak()}
    for _ in range(20):
        step(images[:100], labels[:100]).numpy()
    for _ in range(4):
        logits(images).numpy()
    return peaks | {"steps and logits": _peak()}


def part_plain(out, data_dir):
    """Peak memory, in MiB, of the same work as a program of TFDS and Keras alone."""
    plain.work(data_dir, out, cifar())
    return {"the work of two rounds": _peak()}


def cifar(**values):
    """The Config of the CPU recipe for CIFAR-10 at 1 %, two rounds of it."""
    from tf_tickets.settings import config

    return config.Config.from_flagfile(str(bench.ROOT / RECIPE), rounds=2, progress="none", **values)


def _peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def part_first_step(out, data_dir, began):
    """Seconds from `began` to the end of this process's first step; the process then dies as by SIGKILL."""
    from tf_tickets.experiments import imp
    from tf_tickets.training import steps

    train = steps.Steps.train

    def first(self, iterator, count, rate):
        train(self, iterator, 1, rate)
        print(json.dumps({"seconds": time.time() - float(began)}), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    steps.Steps.train = first
    imp.imp(cifar(out=out, data_dir=data_dir))


def resuming(folder, data_dir, repeats):
    """A run that continues inside its first round, against one that begins."""
    stopped = os.path.join(folder, "stopped")
    process = subprocess.Popen(
        [sys.executable, "-m", "tf_tickets.main", f"--flagfile={RECIPE}", "--progress=none", "--rounds=2",
         f"--out={stopped}", f"--data_dir={data_dir}"], env=bench.environment(), cwd=bench.ROOT,
    )  # fmt: skip
    while not list(pathlib.Path(stopped).glob("*/*/rewind.npz")):
        time.sleep(0.2)
    process.terminate()
    process.wait()

    def first_step(origin):
        with tempfile.TemporaryDirectory() as out:
            if origin:
                shutil.copytree(origin, out, dirs_exist_ok=True)
            return child("first_step", out, data_dir, time.time())["seconds"]

    by_start = alternate({"cold": lambda: first_step(None), "resumed": lambda: first_step(stopped)}, repeats)
    return [(
        "first step of a resumed run, seconds; it / of a new one", statistics.median(by_start["resumed"]),
        bench.ratio(by_start["resumed"], by_start["cold"]), "at most 1.1",
    )]  # fmt: skip


def measure(data_dir, repeats):
    """All rows: (name, value, ratio or None, what it should be)."""
    ranking = child("ranking")
    lines = commands(repeats) + rounds(repeats)
    lines.append((f"ranking {ranking['weights']:,} weights, writing masks, seconds", ranking["seconds"], None,
                  "at most 1"))  # fmt: skip
    if not data_dir:
        return lines
    with tempfile.TemporaryDirectory() as folder:
        lines += resuming(folder, data_dir, repeats)
        writing = child("writing", os.path.join(folder, "writing"), data_dir)
        lines.append(("checkpoints, logs, TensorBoard: share of two rounds", writing["share"], None, "at most 0.02"))
        floor = child("floor") | child("plain", os.path.join(folder, "plain"), data_dir)
        lines += [(f"peak memory up to here, MiB: {stage}", mib, None, "") for stage, mib in writing["memory"].items()]
        lines += [(f"plain TensorFlow, MiB: {stage}", mib, None, "") for stage, mib in floor.items()]
    return lines


def main():
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out")
    parser.add_argument("--part", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        print(json.dumps(globals()[f"part_{given.part[0]}"](*given.part[1:])))
        return
    facts = bench.machine()
    print(bench.header(facts))
    lines = measure(given.data_dir, given.repeats)
    bench.rows(("what", "value", "ratio", "quartiles", "wanted"), [
        (name, f"{value:,.3f}", *(("", "") if times is None else (
            f"{times['median']:.3f}", "{:.3f} to {:.3f}".format(*times["quartiles"]))), wanted)
        for name, value, times, wanted in lines
    ])  # fmt: skip
    bench.record("overheads", facts, {"rows": {name: {"value": v, "ratio": r} for name, v, r, _ in lines}}, given.out)


if __name__ == "__main__":
    main()
