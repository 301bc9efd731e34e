"""Eight starts on one run folder: one runs, seven exit 4 and name the holder; a dead holder's lock is taken over.

cd tests; python -m torture.starts FOLDER
"""

import collections
import json
import os
import re
import signal
import socket
import sys
import time

import trees
from torture import harness

STARTS = 8
HOLDER = re.compile(r"is in use by process (\d+) on (\S+) since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d; wait for it")


def main(folder):
    """Prints one JSON line."""
    harness.load()
    os.makedirs(folder, exist_ok=True)
    out, logs = os.path.join(folder, "runs"), [os.path.join(folder, f"log_{number}") for number in range(STARTS)]
    whole = os.path.join(folder, "whole")
    if harness.run(harness.words(whole), logs[0]):
        raise SystemExit(open(logs[0]).read())
    dead = harness.fork(harness.words(out), logs[0])
    while not trees.only_run(out) or not os.path.exists(os.path.join(trees.only_run(out), "config.cfg")):
        time.sleep(0.001)
    os.kill(dead, signal.SIGKILL)
    harness.status(dead)
    children = [harness.fork(harness.words(out), log) for log in logs]
    ends = [harness.status(child) for child in children]
    runner = children[ends.index(0)] if 0 in ends else None
    wrong = []
    for end, log in zip(ends, logs):
        text = open(log).read()
        found = HOLDER.search(text)
        named = found and (int(found[1]), found[2]) == (runner, socket.gethostname()) and text.count("\n") == 1
        if end == 4 and not named:
            wrong.append(text)
    try:
        trees.assert_equal(trees.contents(trees.only_run(out)), trees.contents(trees.only_run(whole)))
    except AssertionError as error:
        wrong.append(str(error))
    counts = {str(end): count for end, count in collections.Counter(ends).items()}
    print(json.dumps({"starts": STARTS, "ends": counts, "wrong": wrong}))


if __name__ == "__main__":
    main(sys.argv[1])
