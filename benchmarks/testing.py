"""What a test after each epoch costs at low-data size: 500 images of CIFAR-10 trained once with it and once without.

    python benchmarks/testing.py --data_dir=DATA [--width=64] [--epochs=4,12] [--repeats=1] [--out=FILE.json]

Each run is `train` with the settings of flags/cifar10_1pct.cfg in a process of its own, imports included; the two sides
alternate. Time grows evenly with epochs, so the shortest and the longest length give the seconds of an epoch and those
of all else, and these the 200 epochs that the settings have; `--epochs=200` runs them. A ratio is the median of the
pairs'. Ends in an error where the last epoch's row of one side differs from the other's in a bit.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import bench

WHOLE = 200  # epochs of the settings
SIDES = {"as by default": [], "a test after each epoch": ["--eval_every=1"]}


def trained(given, epochs, words):
    """Trains; returns the wall time in seconds and the last row of epochs.csv."""
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "tf_tickets.main", "train", "--flagfile=flags/cifar10_1pct.cfg",
             f"--width={given.width}", f"--epochs={epochs}", f"--data_dir={given.data_dir}", f"--out={out}",
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
    parser.add_argument("--epochs", default="4,12", help="lengths")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out")
    given = parser.parse_args()
    lengths = sorted(set(map(int, given.epochs.split(","))))
    if WHOLE not in lengths and len(lengths) < 2:
        parser.error(f"--epochs={given.epochs}: two lengths, or {WHOLE}")
    facts = bench.machine()
    print(bench.header(facts))
    taken_by, rows = {name: {epochs: [] for epochs in lengths} for name in SIDES}, {}
    for _ in range(given.repeats):
        for epochs in lengths:
            for name, words in SIDES.items():
                taken, row = trained(given, epochs, words)
                taken_by[name][epochs].append(taken)
                print(f"{name}: {epochs} epochs in {taken:.1f} s, the last {row}", flush=True)
                if rows.setdefault(epochs, row) != row:
                    raise SystemExit("the last epoch's rows differ")
    usual, each = ([whole(pair, lengths) for pair in zip(*sides.values())] for sides in taken_by.values())
    ratio = statistics.median(long / short for long, short in zip(each, usual))
    how = "" if WHOLE in lengths else ", calculated from the lengths that ran"
    print(
        f"{WHOLE} epochs take {statistics.median(usual):,.0f} s, tested after each {ratio:.2f} times as long{how}: "
        "wanted: at least 6 at width 64"
    )
    numbers = {"width": given.width, "seconds": taken_by, "seconds_of_200": [usual, each], "ratio": ratio}
    bench.record("testing", facts, numbers | {"last_epochs": rows}, given.out)


def whole(seconds, lengths):
    """Seconds of all epochs, from those of one run of each length."""
    if WHOLE in lengths:
        return seconds[lengths.index(WHOLE)]
    epoch = (seconds[-1] - seconds[0]) / (lengths[-1] - lengths[0])
    return seconds[0] + (WHOLE - lengths[0]) * epoch


if __name__ == "__main__":
    main()
