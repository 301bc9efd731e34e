"""A ticket's C file beside its SavedModel, TFLite, ONNX where that is exported, and the compiled runtime.

taskset -c 1 python benchmarks/c_file.py NAME=SOURCE ... [--rounds=15] [--realtime] [--out=FILE.json]; SOURCE as of
tickets.py. One image at a time, one thread each. Every engine lives in a process of its own, and one at a time
predicts, in turns; ratios are medians over the turns. Of the C programs also the start, from nothing to the first
answer, and the peak of memory. What the machine allows is measured beside them: multiply-adds from registers, and those
of which each loads a factor from the first cache, as in sparse kernels.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from tickets import untrained, work

import tf_tickets as tt
from tf_tickets.settings.checks import EXPORTS

FAST = ("-O3", "-march=native", "-ffast-math")
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS")}

# Loads one engine and answers "repeats" lines with the seconds of each call.
WORKER = """
import json, os, sys, time
engine, folder, exported, image = sys.argv[1:]
import numpy as np
if engine == "saved_model":
    import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    loaded = tf.saved_model.load(folder)
    serve = loaded.signatures["serving_default"]
    predict = lambda batch: serve(images=tf.constant(batch))["probabilities"].numpy()
elif engine == "tflite":
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        from tensorflow.lite import Interpreter
    run = Interpreter(os.path.join(exported, "ticket.tflite"), num_threads=1).get_signature_runner()
    predict = lambda batch: run(images=batch)["probabilities"]
elif engine == "onnx":
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(os.path.join(exported, "ticket.onnx"), options)
    predict = lambda batch: session.run(["probabilities"], {"images": batch})[0]
else:
    from tf_tickets import runtime
    network = runtime.load(folder, compiled=True)
    predict = network.predict
image = np.load(image)
predict(image)
answer = os.fdopen(os.dup(1), "w")
print("ready", file=answer, flush=True)
for line in sys.stdin:
    seconds = []
    for _ in range(int(line)):
        before = time.perf_counter()
        predict(image)
        seconds.append(time.perf_counter() - before)
    print(json.dumps(seconds), file=answer, flush=True)
"""

# The same of the C file.
PROGRAM = """
#include "ticket.h"
#include <stdio.h>
#include <time.h>

int main(int count, char **words)
{
    static TICKET_PIXEL image[TICKET_HEIGHT * TICKET_WIDTH * TICKET_CHANNELS];
    static float probabilities[TICKET_CLASSES];
    int repeats;
    FILE *const file = count > 1 ? fopen(words[1], "rb") : NULL;
    if (file == NULL || fread(image, sizeof image, 1, file) != 1)
        return 2;
    ticket_predict(image, probabilities);
    printf("ready\\n");
    fflush(stdout);
    while (scanf("%d", &repeats) == 1) {
        for (int i = 0; i < repeats; i++) {
            struct timespec before, after;
            clock_gettime(CLOCK_MONOTONIC, &before);
            ticket_predict(image, probabilities);
            clock_gettime(CLOCK_MONOTONIC, &after);
            printf("%s%.9f", i ? ", " : "[", after.tv_sec - before.tv_sec + 1e-9 * (after.tv_nsec - before.tv_nsec));
        }
        printf("]\\n");
        fflush(stdout);
    }
    return 0;
}
"""

# GFLOP/s of multiply-adds with all factors in registers, and with one that is loaded, not aligned, from 32 KiB.
PEAK = """
#include <stdio.h>
#include <time.h>
static float x[8192 + 64], result[96];
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + 1e-9 * t.tv_nsec; }
int main(void)
{
    double best[2] = {0, 0};
    for (int turn = 0; turn < 200; turn++) {
        float sums[192] = {0}, value = 0.5f + 1e-3f * result[0];
        for (int j = 0; j < 8192; j++)
            x[j] = value;
        double before = now();
        for (int i = 0; i < 20000; i++)
            for (int j = 0; j < 192; j++)
                sums[j] = sums[j] * value + value;
        double speed = 2e-9 * 20000 * 192 / (now() - before);
        best[0] = speed > best[0] ? speed : best[0];
        for (int j = 0; j < 192; j++)
            result[j % 96] = sums[j];
        float again[96] = {0};
        before = now();
        for (int i = 0; i + 7 < 20000; i += 8) {
            const float *s = x + (i * 37) % 7400;
            for (int j = 0; j < 96; j++)
                again[j] += value * s[j] + value * s[j + 65] + value * s[j + 130] + value * s[j + 195]
                            + value * s[j + 261] + value * s[j + 327] + value * s[j + 393] + value * s[j + 459];
        }
        speed = 2e-9 * 20000 * 96 / (now() - before);
        best[1] = speed > best[1] ? speed : best[1];
        for (int j = 0; j < 96; j++)
            result[j] = 1e-9f * again[j];
    }
    printf("[%.1f, %.1f]\\n", best[0], best[1]);
    return result[0] > 1e30f;
}
"""


class Engine:
    """One engine in its process."""

    def __init__(self, words):
        environment = os.environ | ONE_THREAD | {
            "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(pathlib.Path(__file__).parent.parent),
        }  # fmt: skip
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(words, text=True, env=environment, **pipes)
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError(f"{words[:2]} ended")

    def memory(self):
        """Peak so far, in MiB."""
        lines = pathlib.Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

    def hurry(self):
        """Gives all its threads real-time priority."""
        for thread in os.listdir(f"/proc/{self._process.pid}/task"):
            os.sched_setscheduler(int(thread), os.SCHED_FIFO, os.sched_param(10))

    def seconds(self, repeats):
        """Seconds of some calls on one image."""
        self._process.stdin.write(f"{repeats}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self):
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()


def compilers():
    """The commands of gcc and clang, those that are here."""
    zig = [sys.executable, "-m", "ziglang", "cc"] if importlib.util.find_spec("ziglang") else None
    commands = {"gcc": ["gcc"] if shutil.which("gcc") else None, "clang": ["clang"] if shutil.which("clang") else zig}
    return {name: command for name, command in commands.items() if command}


def compiled(folder, program, command, flags):
    """Compiles the C files of a folder with PROGRAM; seconds that it took."""
    main = pathlib.Path(f"{program}.main.c")
    main.write_text(PROGRAM)
    before = time.perf_counter()
    words = [*command, *flags, os.path.join(folder, "ticket.c"), str(main), f"-I{folder}", "-o", program, "-lm"]
    subprocess.run(words, check=True)
    return time.perf_counter() - before


def start(program, image, realtime):
    """Milliseconds from nothing to the first answer, the median of some, and the peak of memory then in MiB."""
    taken = []
    if realtime:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    for _ in range(20):
        before = time.perf_counter()
        engine = Engine([program, image])
        taken.append(1000 * (time.perf_counter() - before))
        memory = engine.memory()
        engine.close()
    if realtime:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return {"start_ms": statistics.median(taken), "peak_mib": memory}


def peak(folder):
    """GFLOP/s of the machine: from registers, and with a load for each multiply-add; the better compiler's."""
    speeds = []
    pathlib.Path(folder, "peak.c").write_text(PEAK)
    for name, command in compilers().items():
        program = os.path.join(folder, f"peak_{name}")
        subprocess.run([*command, *FAST, os.path.join(folder, "peak.c"), "-o", program], check=True)
        speeds.append(json.loads(subprocess.run([program], capture_output=True, check=True).stdout))
    return dict(zip(("registers", "loads"), np.max(speeds, axis=0).tolist()))


def measure(name, source, given, work_folder):
    """All numbers of one ticket."""
    from tf_tickets.export import formats, measuring

    ticket = untrained(source) if source.count(":") == 3 else tt.Ticket.load(source)
    folder, out = os.path.join(work_folder, name), os.path.join(work_folder, f"{name}.files")
    ticket.save(folder)
    formats.export(folder, [n for n in ("tflite", "onnx", "c", "c_int8") if n in EXPORTS], tt.Config(), out)
    shape, dtype = ticket.data["image_shape"], ticket.data.get("dtype", "uint8")
    image = np.random.default_rng(0).integers(0, 256, (1, *shape)).astype(dtype)
    paths = [os.path.join(work_folder, f"image.{kind}") for kind in ("npy", "raw")]
    np.save(paths[0], image)
    image.tofile(paths[1])
    numbers = {"name": name, "width": ticket.network["width"], "density": ticket.density, **work(ticket), "engines": {}}
    words = {
        engine: [sys.executable, "-c", WORKER, engine, folder, out, paths[0]]
        for engine in ("saved_model", "tflite", "onnx", "runtime_compiled") if engine != "onnx" or "onnx" in EXPORTS
    }  # fmt: skip
    for compiler, command in compilers().items():
        kinds = [("c", "c", FAST), ("c_int8", "c_int8", FAST)]
        if compiler == "gcc":  # zig's clang takes the machine's own processor without being asked
            kinds.append(("c, -O3 alone", "c", ("-O3",)))
        for kind, files, flags in kinds:
            program = os.path.join(work_folder, f"{name}.{kind}.{compiler}")
            seconds = compiled(os.path.join(out, files), program, command, flags)
            facts = {"compiled_s": seconds, "program_bytes": os.path.getsize(program)}
            numbers["engines"][f"{kind} {compiler}"] = start(program, paths[1], given.realtime) | facts
            words[f"{kind} {compiler}"] = [program, paths[1]]
    numbers["c_bytes"] = {kind: measuring.sizes(os.path.join(out, kind)) for kind in ("c", "c_int8")}
    for engine, facts in latency(words, given).items():
        numbers["engines"].setdefault(engine, {}).update(facts)
    return numbers


def latency(words, given):
    """Milliseconds of every engine, the median of its turns, and how many times as fast as the SavedModel."""
    engines = {name: Engine(command) for name, command in words.items()}
    for engine in engines.values():
        engine.seconds(3)
        if given.realtime:
            engine.hurry()
    medians = {name: [] for name in engines}
    for _ in range(given.rounds):
        for name, engine in engines.items():
            medians[name].append(statistics.median(engine.seconds(15)))
    for engine in engines.values():
        engine.close()
    numbers = {}
    for name, values in medians.items():
        ratios = [base / value for base, value in zip(medians["saved_model"], values)]
        numbers[name] = {
            "ms": 1000 * statistics.median(values), "least_ms": 1000 * min(values),
            "times_faster": statistics.median(ratios), "quartiles": list(statistics.quantiles(ratios, n=4)[::2]),
        }  # fmt: skip
    return numbers


def show(numbers, allowed):
    """Prints one ticket's numbers."""
    adds = numbers["multiply_adds"]
    print(f"\n{numbers['name']}: width {numbers['width']}, density {100 * numbers['density']:.2f} %, "
          f"{adds:,} of {numbers['multiply_adds_dense']:,} multiply-adds")  # fmt: skip
    for kind, (plain, zipped) in numbers["c_bytes"].items():
        print(f"{kind}: {plain:,} bytes of text, {zipped:,} gzipped")
    print("engine             ms  least  times faster (quartiles)  GFLOP/s, of loads  start, ms  peak MiB  program")
    for name, facts in numbers["engines"].items():
        speed = 2e-6 * adds / facts["least_ms"]
        share = 100 * speed / allowed["loads"]
        low, high = facts["quartiles"]
        more = "".join(
            f"{facts[key]:{width}.1f}" if key in facts else "" for key, width in (("start_ms", 11), ("peak_mib", 10))
        )
        size = f"{facts['program_bytes']:13,}" if "program_bytes" in facts else ""
        print(f"{name:17s} {facts['ms']:6.2f} {facts['least_ms']:6.2f} {facts['times_faster']:8.2f} "
              f"({low:.2f} to {high:.2f}) {speed:14.1f} {share:6.0f} %{more}{size}")  # fmt: skip


def main():
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tickets", nargs="+", metavar="NAME=SOURCE")
    parser.add_argument("--out")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--realtime", action="store_true", help="predict at real-time priority, beside other work")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work_folder:
        allowed = peak(work_folder)
        print(f"GFLOP/s: {allowed['registers']:.0f} from registers, {allowed['loads']:.0f} with a load for each")
        measured = []
        for named in given.tickets:
            name, _, source = named.partition("=")
            measured.append(measure(name, source, given, work_folder))
            show(measured[-1], allowed)
    if given.out:
        pathlib.Path(given.out).write_text(json.dumps({"gflops": allowed, "tickets": measured}, indent=1) + "\n")


if __name__ == "__main__":
    main()
