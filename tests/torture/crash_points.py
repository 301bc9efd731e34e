"""A crash, or a refusing disk, before the k-th file-changing call of a run, for every k.

    cd tests; python -m torture.crash_points FOLDER kill|ENOSPC|EIO|EACCES STEP [FIRST LAST]

hits every STEP-th call, runs the same command again, and prints one JSON line: K, the calls by kind, and what went
wrong, by k.
"""

import errno
import glob
import json
import os
import shutil
import signal
import sys
import time

import trees
from torture import harness

ACTIONS = {"kill": signal.SIGKILL, "ENOSPC": -errno.ENOSPC, "EIO": -errno.EIO, "EACCES": -errno.EACCES}


def torn(out, whole):
    """Files of a failed run that have a final name and are neither what the untouched run has nor readable."""
    from tf_tickets import storage

    bad = []
    for path in glob.glob(os.path.join(out, "*", "seed_*", "**"), recursive=True):
        name = path.split(os.sep, len(out.split(os.sep)) + 2)[-1]
        if not os.path.isfile(path) or ".writing" in name or name.startswith(("lock", "tensorboard")):
            continue
        if name in whole and open(path, "rb").read() == whole[name]:
            continue
        try:
            reader = {"npz": storage.read_arrays, "json": storage.read_json, "csv": storage.read_csv}
            reader.get(name.rsplit(".", 1)[-1], lambda path: None)(path)
        except Exception as error:
            bad.append(f"{name}: {error}")
    return bad


def attempt(folder, fault, k, whole, faults):
    """Hits the k-th call, then runs again; returns (calls made, problems)."""
    out = os.path.join(folder, f"{fault}_{k}")
    counted = os.path.join(folder, f"{fault}_{k}.json")
    log, problems = os.path.join(folder, f"{fault}_{k}.log"), []

    def tell():
        calls = faults.counts()
        faults.arm("", 0, 0)
        with open(counted, "w") as file:
            json.dump(calls, file)

    found = harness.run(harness.words(out), log, lambda: faults.arm(out, k, ACTIONS[fault]), tell)
    ended = found == 0
    text = open(log).read()
    if fault == "kill" and found not in (0, -signal.SIGKILL):
        problems.append(f"exit {found}: {text[-300:]}")
    if fault != "kill" and found != 0:
        if found != 3 or text.count("\n") != 1 or "Traceback" in text:
            problems.append(f"exit {found}: {text[-600:]}")
        problems += torn(out, whole)
    calls = json.load(open(counted)) if os.path.exists(counted) else None
    found = harness.run(harness.words(out), log)
    if found != 0:
        problems.append(f"run again: exit {found}: {open(log).read()[-600:]}")
    else:
        try:
            trees.assert_equal(trees.contents(trees.only_run(out)), whole)
        except AssertionError as error:
            problems.append(f"run again: {error}")
    if not problems:
        shutil.rmtree(out)
    return ended, calls, problems


def main(folder, fault, step, first=1, last=None):
    """Prints one JSON line."""
    harness.with_faults("torture.crash_points", folder)
    began = time.monotonic()
    harness.load()
    faults = harness.Faults()
    calls = untouched(folder, faults)
    whole = trees.contents(trees.only_run(os.path.join(folder, "whole")))
    wrong, points, ends = {}, 0, 0
    for k in range(first, min(last or calls["total"], calls["total"]) + 1, step):
        ended, _, problems = attempt(folder, fault, k, whole, faults)
        points, ends = points + 1, ends + ended
        if problems:
            wrong[k] = problems
        print(f"{fault} {k}/{calls['total']}  {len(wrong)} wrong  {time.monotonic() - began:.0f} s", file=sys.stderr)
    print(json.dumps({
        "fault": fault, "calls": calls, "points": points, "ended_untouched": ends, "wrong": wrong,
        "seconds": round(time.monotonic() - began),
    }))  # fmt: skip


def untouched(folder, faults):
    """The calls of the run that nothing happens to."""
    out, counted = os.path.join(folder, "whole"), os.path.join(folder, "whole.json")

    def tell():
        calls = faults.counts()
        faults.arm("", 0, 0)
        with open(counted, "w") as file:
            json.dump(calls, file)

    log = os.path.join(folder, "whole.log")
    found = harness.run(harness.words(out), log, lambda: faults.arm(out), tell)
    if found != 0:
        raise SystemExit(open(log).read())
    return json.load(open(counted))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
