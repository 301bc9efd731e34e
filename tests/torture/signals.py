"""SIGTERM and SIGINT at random moments of whole processes, imports included: exit 75, and the same bits at the end.

cd tests; python -m torture.signals FOLDER SIGNALS SEED
"""

import collections
import json
import os
import random
import signal
import subprocess
import sys
import time

import trees
from torture import harness

SETTINGS = {
    "dataset": "digits", "images": 200, "width": 4, "epochs": 80, "rounds": 3, "batch_size": 20, "progress": "none",
}  # fmt: skip


# What TensorFlow says of itself as it loads.
NOTICES = ("WARNING: All log", "I0000", "E0000", "W0000")


def start(out, log):
    """The command as a user starts it."""
    command = [sys.executable, "-m", "tf_tickets.main", *harness.words(out, SETTINGS)]
    with open(log, "w") as file:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file)


def main(folder, wanted, seed):
    """Prints one JSON line."""
    began, draw = time.monotonic(), random.Random(seed)
    os.makedirs(folder, exist_ok=True)
    log, whole_out = os.path.join(folder, "log"), os.path.join(folder, "whole")
    if start(whole_out, log).wait():
        raise SystemExit(open(log).read())
    length, whole = time.monotonic() - began, trees.contents(trees.only_run(whole_out))
    ends, waits, wrong, sent, runs = collections.Counter(), [], [], 0, 0
    while sent < wanted:
        out, status = os.path.join(folder, f"run_{runs}"), 75
        while status == 75 and sent < wanted:
            process, twice = start(out, log), sent % 10 == 9
            # The interpreter itself needs a moment before any line of ours runs.
            time.sleep(draw.uniform(0.2, length))
            if process.poll() is None:
                asked = time.monotonic()
                process.send_signal(draw.choice((signal.SIGTERM, signal.SIGINT)))
                if twice:
                    time.sleep(1.2)
                    if process.poll() is None:
                        process.send_signal(signal.SIGTERM)
                status = process.wait()
                waits.append(round(time.monotonic() - asked, 2))
                sent += 1
                ends[f"{status}{', asked twice' if twice else ''}"] += 1
                text = "".join(line for line in open(log) if not line.startswith(NOTICES))
                if status not in (0, 75) or "Traceback" in text or text.count("\n") > 1:
                    wrong.append(f"exit {status}: {text[-600:]}")
            else:
                status = process.wait()
            print(f"{sent} of {wanted}: {dict(ends)}", file=sys.stderr)
        if status == 75:
            status = start(out, log).wait()
        try:
            trees.assert_equal(trees.contents(trees.only_run(out)), whole)
        except AssertionError as error:
            wrong.append(f"{out}: exit {status}: {error}")
        runs += 1
    print(json.dumps({
        "signals": sent, "ends": ends, "longest_wait": max(waits), "median_wait": sorted(waits)[len(waits) // 2],
        "runs": runs, "wrong": wrong, "seconds": round(time.monotonic() - began),
    }))  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
