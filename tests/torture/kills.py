"""SIGKILL at random moments: restarted by the same command, every run ends in the bits of an untouched one.

    cd tests; python -m torture.kills FOLDER KILLS SEEDS

Prints one JSON line: the kills by stage and by tenth of the run, and the names of runs that ended in other bits.
"""

import collections
import ctypes
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time

import trees
from torture import harness

OUTSIDE, TRAINING, WRITING = 0, 1, 2
STAGES = ("between", "training epoch", "write")
# Three rounds with augmentation that spend most of their time in epochs.
SETTINGS = {
    "dataset": "digits", "images": 100, "width": 4, "epochs": 60, "rounds": 3, "batch_size": 20, "progress": "none",
}  # fmt: skip
# Every second kill falls at a moment of its own, the others wait from theirs for a stage: three for training to one
# for a write, which takes milliseconds and would hardly ever be hit.
A_RUN = 3  # kills of one run; with many, most would fall in its last round
WANTED = (None, TRAINING, None, TRAINING, None, WRITING, None, TRAINING)


def watched(function, stage, inside):
    """`function`, telling the parent when it runs."""

    def call(*arguments, **options):
        before, stage.value = stage.value, inside
        try:
            return function(*arguments, **options)
        finally:
            stage.value = before

    return call


def start(settings, out, log, stage):
    """Forks a child that runs the command; returns its process id."""

    def watch():
        from tf_tickets import storage
        from tf_tickets.training import checkpoints
        from tf_tickets.training.steps import Steps

        checkpoints._WRITING_SHARE = 0.3  # many checkpoints, so that many kills find one to resume from
        Steps.train = watched(Steps.train, stage, TRAINING)
        storage.write_bytes = watched(storage.write_bytes, stage, WRITING)

    return harness.fork(harness.words(out, settings), log, watch)


def kill_at(child, stage, wanted, moment):
    """Kills the child at `moment` or, where a stage is wanted, when it is next inside it.

    Returns:
      The stage it was in; None if it ended first, by itself and with success.
    """
    while time.monotonic() < moment or (wanted is not None and stage.value != wanted):
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return None if status == 0 else f"exit status {status}"
        if wanted != WRITING or time.monotonic() < moment:
            time.sleep(0.0005)
    found = stage.value
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return STAGES[found]


def one_seed(folder, seed, kills):
    """Kills runs of one seed until `kills` have fallen, each run to its end; returns (fallen, runs, unequal)."""
    settings, draw = SETTINGS | {"seed": seed}, random.Random(seed)
    stage, log = multiprocessing.Value(ctypes.c_int, OUTSIDE, lock=False), os.path.join(folder, "log")
    whole_out = os.path.join(folder, f"whole_{seed}")
    if harness.status(start(settings, whole_out, log, stage)):
        raise SystemExit(open(log).read())
    run = trees.only_run(whole_out)
    times = [os.path.getmtime(os.path.join(run, name)) for name in ("config.cfg", "table.csv")]
    length, whole = times[1] - times[0], trees.contents(run)
    fallen, runs, unequal = [], 0, []
    while len(fallen) < kills:
        out, ended, before = os.path.join(folder, f"killed_{seed}_{runs}"), False, len(fallen)
        while len(fallen) < min(kills, before + A_RUN) and not ended:
            stage.value = OUTSIDE
            child = start(settings, out, log, stage)
            run = None
            while not run or not os.path.exists(os.path.join(run, "config.cfg")):
                time.sleep(0.001)
                run = trees.only_run(out)
            # What is left of the run, from the rounds it has; a restart begins with seconds of tracing.
            rounds = sum(os.path.exists(os.path.join(run, f"round_0{index}", "summary.json")) for index in range(3))
            wait = draw.uniform(0.0, length * (1.0 - rounds / 3))
            found = kill_at(child, stage, WANTED[len(fallen) % len(WANTED)], time.monotonic() + wait)
            ended = found is None
            if not ended:
                tenth = int(10 * min(rounds / 3 + wait / length, 0.99))
                fallen.append({"stage": found, "round": rounds, "tenth": tenth})
        if not ended and harness.status(start(settings, out, log, stage)):
            unequal.append(f"{out}: {open(log).read()[-400:]}")
        else:
            try:
                trees.assert_equal(trees.contents(trees.only_run(out)), whole)
                shutil.rmtree(out)
            except AssertionError as error:
                unequal.append(f"{out}: {error}")
        runs += 1
        print(f"seed {seed}: {len(fallen)} of {kills} kills, {len(unequal)} unequal", file=sys.stderr)
    return fallen, runs, unequal


def main(folder, kills, seeds):
    """Prints one JSON line."""
    began = time.monotonic()
    harness.load()
    os.makedirs(folder, exist_ok=True)
    fallen, runs, unequal = [], 0, []
    for seed in range(seeds):
        share = kills // seeds + (seed < kills % seeds)
        found = one_seed(folder, seed, share)
        fallen, runs, unequal = fallen + found[0], runs + found[1], unequal + found[2]
    by = {part: dict(sorted(collections.Counter(kill[part] for kill in fallen).items())) for part in fallen[0]}
    print(json.dumps({
        "kills": len(fallen), "by": by, "runs": runs, "unequal": unequal, "seconds": round(time.monotonic() - began),
    }))  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
