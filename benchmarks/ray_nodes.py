"""A sweep on a Ray cluster of three nodes, one of which is killed every minute and replaced, against one left alone.

    python benchmarks/ray_nodes.py FOLDER [--seconds=60] [--json=FILE] [-- FLAG ...]

needs the extra [ray]. Both sweeps run on such a cluster on this machine, on its loopback interface: a head that holds
no run, and three nodes of one CPU each. A node is killed with SIGKILL to all its processes, in turn. Checked is that
every run finishes, once, with each epoch once, in the bits of the sweep that was left alone. One JSON line tells it:

- start_up: seconds from a kill to the line that the continued run writes into its attempts.csv, when it has loaded and
  restored all it needs and is about to train,
- interval: the longest time between two checkpoints of a run, as seen from outside, on the machine as loaded as it was.
"""

import argparse
import collections
import glob
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import threading
import time

os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # Ray's nodes keep to 127.0.0.1
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray.cluster_utils  # noqa: E402

ROOT = pathlib.Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import trees  # noqa: E402

from tf_tickets import storage  # noqa: E402

SWEEP = ["--flagfile=flags/quickstart.cfg", "--rounds=5", "--notensorboard", "--sweep=seed+subset_seed=0..5"]
NODES = 3


class Watcher(threading.Thread):
    """What changes in the run folders: (moment, path, size) of attempts and checkpoints."""

    def __init__(self, out):
        super().__init__(daemon=True)
        self._out, self._seen, self.changes, self.ended = out, {}, [], threading.Event()

    def run(self):
        """Until `ended`."""
        while not self.ended.wait(0.25):
            for name in ("attempts.csv", "round_*/checkpoint-?.npz"):
                for path in glob.glob(os.path.join(self._out, "*", "seed_*", name)):
                    try:
                        status = os.stat(path)
                    except FileNotFoundError:
                        continue
                    if self._seen.get(path) != status.st_mtime_ns:
                        self._seen[path] = status.st_mtime_ns
                        self.changes.append((status.st_mtime, path))


def sweep(out, flags, seconds):
    """One sweep; returns what happened."""
    cluster = ray.cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = collections.deque(cluster.add_node(num_cpus=1) for _ in range(NODES))
    watcher, kills, began = Watcher(out), [], time.time()
    watcher.start()
    words = ["sweep", *flags, f"--out={out}", "--engine=ray", f"--address={cluster.address}", "--cpus_per_run=1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tf_tickets.main", *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")), daemon=True)
    reader.start()
    while process.poll() is None:
        if seconds and time.time() - began > seconds * (len(kills) + 1):
            node = nodes.popleft()
            kills.append(time.time())
            cluster.remove_node(node, allow_graceful=False)
            nodes.append(cluster.add_node(num_cpus=1))
            print(f"kill {len(kills)} after {kills[-1] - began:.0f} s", file=sys.stderr, flush=True)
        time.sleep(0.2)
    total = time.time() - began
    watcher.ended.set()
    watcher.join()
    reader.join()
    cluster.shutdown()
    print("".join(lines), file=sys.stderr)
    return {"status": process.returncode, "seconds": total, "kills": kills, "lines": lines, "changes": watcher.changes}


def run_folders(out):
    """The run folders, by name."""
    return {os.path.relpath(path, out): path for path in sorted(glob.glob(os.path.join(out, "*", "seed_*")))}


def epochs_once(folder, plain):
    """Whether every epochs.csv has the epochs of the sweep that was left alone, each once."""
    for path in glob.glob(os.path.join(plain, "round_*", "epochs.csv")):
        rows, wanted = (
            [int(row["epoch"]) for row in storage.read_csv(each)]
            for each in (os.path.join(folder, os.path.relpath(path, plain)), path)
        )
        if rows != wanted or rows != list(range(rows[0], rows[-1] + 1)):
            return False
    return True


def start_ups(kills, changes):
    """Seconds from each kill to the next line that is added to an attempts.csv, where one is before the next kill."""
    added = [moment for moment, path in changes if path.endswith("attempts.csv")]
    ends = [*kills[1:], float("inf")]
    delays = [next((moment - kill for moment in added if kill < moment < end), None) for kill, end in zip(kills, ends)]
    return [seconds for seconds in delays if seconds is not None]


def interval(changes):
    """The longest time between two checkpoints of one run that no start lies between."""
    longest, last = 0.0, {}
    for moment, path in changes:
        run = path.split("/round_")[0].removesuffix("/attempts.csv")
        if not path.endswith("attempts.csv") and run in last:
            longest = max(longest, moment - last[run])
        last[run] = moment
    return longest


def main():
    """Prints one JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json")
    words, _, flags = " ".join(sys.argv[1:]).partition(" -- ")
    given, flags = parser.parse_args(words.split()), flags.split() or SWEEP
    outs = [os.path.abspath(os.path.join(given.folder, name)) for name in ("plain", "killed")]
    plain, killed = (sweep(out, flags, seconds) for out, seconds in zip(outs, (None, given.seconds)))
    runs, wanted = run_folders(outs[1]), run_folders(outs[0])
    finished = collections.Counter(
        match[1] for line in killed["lines"] if (match := re.match(r"\[\d+/\d+\] finished (\S+)", line))
    )
    bits = [{name: trees.contents(path) for name, path in each.items()} for each in (runs, wanted)]
    unequal = [name for name in wanted if bits[0].get(name) != bits[1][name]]
    attempts = {name: storage.read_csv(os.path.join(path, "attempts.csv")) for name, path in runs.items()}
    ups, between = start_ups(killed["kills"], killed["changes"]), interval(killed["changes"])
    allowed = plain["seconds"] + len(killed["kills"]) * (statistics.median(ups or [0]) + between)
    result = {
        "runs": len(wanted), "exit": [plain["status"], killed["status"]], "kills": len(killed["kills"]),
        "seconds": {"plain": round(plain["seconds"]), "killed": round(killed["seconds"]), "allowed": round(allowed)},
        "start_up": {"median": round(statistics.median(ups or [0]), 1), "longest": round(max(ups or [0]), 1)},
        "interval": round(between, 1), "unequal": unequal,
        "finished_once": set(finished) == set(wanted) and set(finished.values()) == {1},
        "table_complete": [row["state"] for row in storage.read_csv(os.path.join(outs[1], "sweep", "table.csv"))]
        == ["finished"] * len(wanted),
        "epochs_once": all(epochs_once(runs[name], wanted[name]) for name in wanted),
        "started_again": sum("started again" in line for line in killed["lines"]),
        "attempts": {
            name: [{"round": row["round"], "step": row["step"]} for row in rows] for name, rows in attempts.items()
        },
    }  # fmt: skip
    print(json.dumps(result))
    if given.json:
        storage.write_json(given.json, result)


if __name__ == "__main__":
    main()
