"""Kills runs with SIGKILL at random moments, restarts them, and says where each kill fell.

    python tests/kill_runs.py FOLDER KILLS SEED

One process imports TensorFlow and forks a child per attempt, so that ten kills take seconds each. Prints one JSON
line: the stage of each kill, and the folders of the killed runs, each finished, beside that of the untouched one.
"""

import ctypes
import json
import multiprocessing
import os
import random
import signal
import sys
import time

import tf_tickets as tt
from tf_tickets import runs, storage
from tf_tickets.experiments import session  # noqa: F401  imports TensorFlow, starts no device
from tf_tickets.training import callbacks
from tf_tickets.training.steps import Steps

OUTSIDE, TRAINING, WRITING = 0, 1, 2
STAGES = ("between", "training epoch", "write")


def settings(out, seed):
    """A three-round run with augmentation that spends seconds in its epochs."""
    return tt.Config.from_values(
        dataset="digits", images=100, width=4, epochs=60, rounds=3, batch_size=20, seed=seed, out=out, progress="none",
    )  # fmt: skip


def watched(function, stage, inside):
    """`function`, telling the parent when it runs."""

    def call(*arguments, **options):
        before, stage.value = stage.value, inside
        try:
            return function(*arguments, **options)
        finally:
            stage.value = before

    return call


def start(config, stage):
    """Forks a child that runs to the end; returns its process id."""
    child = os.fork()
    if child:
        return child
    callbacks._WRITING_SHARE = 0.3  # many checkpoints, so that many kills find one to resume from
    Steps.train = watched(Steps.train, stage, TRAINING)
    storage.write_bytes = watched(storage.write_bytes, stage, WRITING)
    try:
        tt.imp(config)
        os._exit(0)
    except BaseException as error:
        print(error, file=sys.stderr)
        os._exit(1)


def wait(child):
    """Waits for the end of a child that must succeed."""
    if os.waitpid(child, 0)[1] != 0:
        raise SystemExit("a restarted run failed")


def ended(child):
    """Whether a child has finished by itself."""
    found, status = os.waitpid(child, os.WNOHANG)
    if found and status != 0:
        raise SystemExit("a restarted run failed")
    return bool(found)


def kill_at(child, stage, wanted, moment):
    """Kills the child at `moment` or, where a stage is wanted, when it is next inside it; None if it ended first."""
    while time.monotonic() < moment or (wanted is not None and stage.value != wanted):
        if ended(child):
            return None
        time.sleep(0.0005)
    found = stage.value
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return STAGES[found]


def main(folder, kills, seed):
    """Runs once untouched, then under kills until `kills` have fallen; the last run goes on to its end."""
    draw, stage = random.Random(seed), multiprocessing.Value(ctypes.c_int, OUTSIDE, lock=False)
    whole = settings(os.path.join(folder, "whole"), seed)
    wait(start(whole, stage))
    first = os.path.getmtime(runs.RunFolder.of(whole).config)
    length = os.path.getmtime(runs.RunFolder.of(whole).ticket) - first
    fallen, finished, number = [], [], 0
    while True:
        config = settings(os.path.join(folder, f"killed_{number}"), seed)
        run = runs.RunFolder.of(config)
        while len(fallen) < kills:
            stage.value = OUTSIDE
            child = start(config, stage)
            while not os.path.exists(run.config):
                time.sleep(0.001)
            wanted = (TRAINING, None)[len(fallen) % 2]
            left = length * (1.0 - len(run.summaries()) / config.pruning.rounds)
            found = kill_at(child, stage, wanted, time.monotonic() + draw.uniform(0.0, left))
            if found is None:
                break
            fallen.append(found)
        else:
            wait(start(config, stage))
        finished.append(run.folder)
        if len(fallen) == kills:
            break
        number += 1
    print(json.dumps({"whole": runs.RunFolder.of(whole).folder, "killed": finished, "stages": fallen}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
