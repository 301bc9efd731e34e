"""No final name appears before its bytes are durable: the system calls of a whole run, SavedModel included.

    cd tests; python -m torture.durability FOLDER

runs one command under strace and prints one JSON line: renames checked, violations, and the file-changing calls by
kind, beside what `faults.c`, through which crash points are counted, saw of the same process. Its writes are more:
it sees those that stdio gathers.
"""

import collections
import json
import os
import re
import subprocess
import sys

from torture import harness

CALLS = {
    "open": ("open", "openat", "creat"), "write": ("write", "pwrite64", "writev"), "sync": ("fsync", "fdatasync"),
    "truncate": ("ftruncate",), "rename": ("rename", "renameat", "renameat2"),
    "remove": ("unlink", "unlinkat", "rmdir"), "make": ("mkdir", "mkdirat"),
}  # fmt: skip
KINDS = {call: kind for kind, calls in CALLS.items() for call in calls}
LINE = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)")
# Written in place, and nothing that a run continues from: the lock's holder, and TensorBoard's view.
IN_PLACE = ("lock", "tensorboard/")


# The whole of `python -m tf_tickets.main`, with the other count beside it.
COUNTED = """
import atexit, json, sys
from torture import harness
out, counts = sys.argv[1:3]
faults = harness.Faults()
faults.arm(out)
atexit.register(lambda: print(json.dumps(faults.counts()), file=open(counts, "w")))
sys.argv[1:3] = []
from tf_tickets import main
main.entry_point()
"""


def record(out, log, counts):
    """Runs the command under strace; returns the lines."""
    command = [sys.executable, "-c", COUNTED, out, counts, *harness.words(out)]
    trace = ["strace", "-f", "-y", "-s", "0", "-e", "trace=" + ",".join(KINDS), "-o", log]
    subprocess.run([*trace, *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(log, encoding="utf-8", errors="replace") as file:
        # A call that another thread interrupts stands in two lines.
        return _joined(file)


def _joined(lines):
    waiting, whole = {}, []
    for line in lines:
        process = line.split(" ", 1)[0]
        if line.rstrip().endswith("<unfinished ...>"):
            waiting[process] = line.rstrip()[: -len("<unfinished ...>")].rstrip()
        elif " resumed>" in line and process in waiting:
            whole.append(waiting.pop(process) + line.split(" resumed>", 1)[1])
        else:
            whole.append(line)
    return whole


def calls(lines, out):
    """Yields (kind, path, second path of a rename) of the calls that change something below `out`, in order."""
    for line in lines:
        found = LINE.match(line)
        if not found or found[1] not in KINDS:
            continue
        kind, arguments = KINDS[found[1]], found[2]
        held, named = re.findall(r"\d+<([^>]*)>", arguments), re.findall(r'"([^"]*)"', arguments)
        if kind == "open" and not re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", arguments):
            continue
        if kind in ("write", "sync", "truncate"):
            paths = held[:1]
        else:
            base = held[0] if held and "<" in arguments.split(",")[0] else ""
            paths = [os.path.join(base, name) for name in named]
        if paths and (paths[0] == out or paths[0].startswith(out + os.sep)):
            yield kind, paths[0], (paths[1] if kind == "rename" else None), int(found[3]) >= 0


def violations(trace, out):
    """Renames to final names checked, and sentences on what was not durable in time."""
    dirty, unsynced_folders, renames, wrong = {}, {}, 0, []
    for kind, path, target, succeeded in trace:
        if not succeeded:
            continue
        relative = path.split(os.sep, len(out.split(os.sep)) + 2)[-1]
        final = ".writing" not in path
        if kind == "open" and final and not relative.startswith(IN_PLACE):
            wrong.append(f"{relative} is opened for writing under its final name")
        if kind in ("open", "write", "truncate") and not relative.startswith(IN_PLACE):
            dirty[path] = kind
        if kind in ("sync", "remove"):
            dirty.pop(path, None)
            unsynced_folders.pop(path, None)
        if kind == "rename":
            below = [name for name in dirty if name == path or name.startswith(path + os.sep)]
            if ".writing" in target:  # inside a folder that is being built
                for name in below:
                    dirty[target + name[len(path) :]] = dirty.pop(name)
                continue
            renames += 1
            wrong += [f"{name} is not synced before {target} appears" for name in below]
            wrong += [f"{folder} is not synced before {target} appears" for folder in unsynced_folders]
            unsynced_folders[os.path.dirname(target)] = target
    wrong += [f"{folder} is not synced after {target}" for folder, target in unsynced_folders.items()]
    return renames, wrong


def main(folder):
    """Prints one JSON line."""
    harness.with_faults("torture.durability", folder)
    out, seen = (os.path.join(os.path.abspath(folder), name) for name in ("runs", "counts.json"))
    trace = list(calls(record(out, os.path.join(folder, "strace"), seen), out))
    renames, wrong = violations(trace, out)
    counts = collections.Counter(kind for kind, *_ in trace)
    with open(seen) as file:
        print(json.dumps({"renames": renames, "violations": wrong, "strace": counts, "faults": json.load(file)}))


if __name__ == "__main__":
    main(sys.argv[1])
