"""What a test after each epoch costs at low-data size: 500 images of CIFAR-10 trained once with it and once without.

    python benchmarks/testing.py --data_dir=DATA [--width=64] [--epochs=200] [--repeats=1] [--out=FILE.json]

Each run is `train` with the settings of flags/cifar10_1pct.cfg in a process of its own, imports included; the two sides
alternate. A ratio is the median of the pairs'. Ends in an error where the last epoch's row of one differs from the
other's in a bit.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import bench

SIDES = {"as by default": [], "a test after each epoch": ["--eval_every=1"]}


def trained(given, words):
    """Trains; returns the wall time in seconds and the last row of epochs.csv."""
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "tf_tickets.main", "train", "--flagfile=flags/cifar10_1pct.cfg",
             f"--width={given.width}", f"--epochs={given.epochs}", f"--data_dir={given.data_dir}", f"--out={out}",
             "--progress=none", *words], env=bench.environment(), cwd=bench.ROOT, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        taken = time.perf_counter() - start
        (rows,) = pathlib.Path(out).glob("*/*/round_00/epochs.csv")
        return taken, rows.read_text().splitlines()[-1]


def main():
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out")
    given = parser.parse_args()
    facts = bench.machine()
    print(bench.header(facts))
    found, last = {name: [] for name in SIDES}, set()
    for _ in range(given.repeats):
        for name, words in SIDES.items():
            taken, row = trained(given, words)
            found[name].append(taken)
            last.add(row)
            print(f"{name}: {taken:.1f} s, last epoch {row}", flush=True)
    if len(last) > 1:
        raise SystemExit("the last epoch's rows differ")
    usual, each = found.values()
    ratio = statistics.median(long / short for long, short in zip(each, usual))
    print(f"a test after each epoch takes {ratio:.2f} times as long; wanted: at least 6 at width 64 and 200 epochs")
    numbers = {"width": given.width, "epochs": given.epochs, "seconds": found, "ratio": ratio, "last_epoch": last.pop()}
    bench.record("testing", facts, numbers, given.out)


if __name__ == "__main__":
    main()
