"""Seconds that `report` takes over many run folders, made from one small real run.

python benchmarks/report.py [--recipes=20] [--seeds=10]; runs in a temporary folder.
"""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np

RUN = [
    "--dataset=digits", "--images=100", "--model=vgg11", "--width=2", "--epochs=4", "--rounds=4", "--batch_size=50",
    "--progress=none", "--notensorboard",
]  # fmt: skip


def command(*words):
    """Runs one command of the program."""
    subprocess.run([sys.executable, "-m", "tf_tickets.main", *words], check=True, stdout=subprocess.DEVNULL)


def multiply(source, target, recipes, seeds):
    """Copies a run into one folder per recipe and seed; accuracies vary, so that every recipe has something to show."""
    draws = np.random.default_rng(0)
    for recipe in range(recipes):
        for seed in range(seeds):
            folder = target / f"digits-vgg11-{recipe:08x}" / f"seed_{seed}"
            shutil.copytree(source, folder)
            config = folder / "config.cfg"
            config.write_text(re.sub(r"(?m)^--seed=.*\n", "", config.read_text()) + f"--seed={seed}\n")
            for path in folder.glob("round_*/summary.json"):
                summary = json.loads(path.read_text())
                summary["test_accuracy"] = float(np.clip(summary["test_accuracy"] + draws.normal(0, 0.02), 0, 1))
                path.write_text(json.dumps(summary))


def main():
    """Prints one line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--recipes", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        first, many = pathlib.Path(temporary, "one"), pathlib.Path(temporary, "many")
        command(*RUN, f"--out={first}")
        (run,) = first.glob("*/seed_0")
        command("evaluate", str(run), "--evaluators=clean", "--which=all")
        command("analyze", str(run), "--what=density,activity", "--which=all")
        multiply(run, many, given.recipes, given.seeds)
        start = time.perf_counter()
        command("report", str(many))
        seconds = time.perf_counter() - start
        figures = len(list(many.glob("figures/*.svg")))
        print(f"{given.recipes * given.seeds} run folders, {given.recipes} recipes, {figures} figures: {seconds:.1f} s")


if __name__ == "__main__":
    main()
