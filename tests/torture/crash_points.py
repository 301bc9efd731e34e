"""A crash, or a refusing disk, before the k-th file-changing call of a run, for every k.

    cd tests; python -m torture.crash_points FOLDER kill|ENOSPC|EIO|EACCES[,...] STEP [FIRST LAST]

hits every STEP-th call, runs the same command again, and prints one JSON line: K, the calls by kind, and what went
wrong, by k. Of several faults each hits a run of its own; where they leave the same bytes, one of them is run again for
all.
"""

import errno
import glob
import json
import os
import pathlib
import re
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


def hit(folder, fault, k, whole, faults):
    """Runs until the k-th call, which the fault hits; returns (out, whether the run ended all the same, problems)."""
    out, log = os.path.join(folder, f"{fault}_{k}"), os.path.join(folder, f"{fault}_{k}.log")
    found, problems = harness.run(harness.words(out), log, lambda: faults.arm(out, k, ACTIONS[fault])), []
    text = open(log).read()
    if fault == "kill" and found not in (0, -signal.SIGKILL):
        problems.append(f"exit {found}: {text[-300:]}")
    if fault != "kill" and found != 0:
        if found != 3 or text.count("\n") != 1 or "Traceback" in text:
            problems.append(f"{fault}: exit {found}: {text[-600:]}")
        problems += torn(out, whole)
    return out, found == 0, problems


def again(out, whole):
    """Runs the same command again, undisturbed; returns the problems."""
    log = f"{out}.log"
    found = harness.run(harness.words(out), log)
    if found != 0:
        return [f"run again: exit {found}: {open(log).read()[-600:]}"]
    try:
        trees.assert_equal(trees.contents(trees.only_run(out)), whole)
    except AssertionError as error:
        return [f"run again: {error}"]
    return []


def left(out):
    """What a hit run left behind: every path and byte but TensorBoard's, which hold the time of day, and the lock's."""
    run = trees.only_run(out)
    if run is None:
        return None
    names = ("tensorboard", "lock", "manifest.json", "timing.json")
    # What is being written has names that differ each time.
    found = {re.sub(r"\.[0-9a-f]{16}\.writing", ".writing", n): d for n, d in trees.tree(pathlib.Path(run)).items()}
    return {name: data for name, data in found.items() if not any(n in name for n in names)}


def attempt(folder, kinds, k, whole, faults):
    """Hits the k-th call with every fault, runs again what they left; returns (ended, runs again, problems)."""
    kept, ends, problems = [], 0, []
    for fault in kinds:
        out, ended, found = hit(folder, fault, k, whole, faults)
        ends, problems = ends + ended, problems + found
        state = left(out)
        if state not in [other for _, other in kept]:
            kept.append((out, state))
        elif not found:
            shutil.rmtree(out, ignore_errors=True)
    for out, _ in kept:
        found = again(out, whole)
        problems += found
        if not found:
            shutil.rmtree(out, ignore_errors=True)
    return ends, len(kept), problems


def main(folder, fault, step, first=1, last=None):
    """Prints one JSON line."""
    harness.with_faults("torture.crash_points", folder)
    began = time.monotonic()
    harness.load()
    faults = harness.Faults()
    calls = untouched(folder, faults)
    whole = trees.contents(trees.only_run(os.path.join(folder, "whole")))
    wrong, points, ends, reruns, kinds = {}, 0, 0, 0, fault.split(",")
    for k in range(first, min(last or calls["total"], calls["total"]) + 1, step):
        ended, states, problems = attempt(folder, kinds, k, whole, faults)
        points, ends, reruns = points + 1, ends + ended, reruns + states
        if problems:
            wrong[k] = problems
        print(f"{fault} {k}/{calls['total']}  {len(wrong)} wrong  {time.monotonic() - began:.0f} s", file=sys.stderr)
    print(json.dumps({
        "fault": fault, "calls": calls, "points": points, "ended_untouched": ends, "run_again": reruns, "wrong": wrong,
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
