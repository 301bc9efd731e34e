"""What `sweep --engine=ray` says of clusters and disks that it cannot use, with its status and seconds.

    python benchmarks/ray_refusals.py FOLDER [--json=FILE]

Told is also whether anything was touched. Needs the extra [ray]; the full disk is a tmpfs of 48 KiB, which root may
mount, and is left out for others. Prints JSON.
"""

import argparse
import contextlib
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # Ray's nodes keep to 127.0.0.1
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tf_tickets import storage  # noqa: E402

SWEEP = [
    "sweep", "--dataset=digits", "--model=vgg11", "--images=60", "--width=2", "--epochs=2", "--rounds=2",
    "--rewind=epoch:1", "--batch_size=20", "--sweep=seed=0..3", "--engine=ray",
]  # fmt: skip
HEAD = """
import sys, ray
ray.__version__ = sys.argv[1] or ray.__version__
from ray.cluster_utils import Cluster
print(Cluster(initialize_head=True, head_node_args={"num_cpus": 1}).address, flush=True)
input()
"""


def ask(out, *words, poison=None):
    """What one command said."""
    path = os.pathsep.join([*([poison] if poison else []), str(ROOT)])
    before, began = sorted(pathlib.Path(out).parent.rglob("*")), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "tf_tickets.main", *SWEEP, *words, f"--out={out}"], capture_output=True, text=True,
        cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, timeout=600,
    )  # fmt: skip
    return {
        "status": done.returncode, "seconds": round(time.perf_counter() - began, 1), "stdout": done.stdout,
        "said": done.stderr.strip().split("\n"), "touched": sorted(pathlib.Path(out).parent.rglob("*")) != before,
    }  # fmt: skip


@contextlib.contextmanager
def head(version=""):
    """The address of a cluster on this machine that says it is of some version of Ray."""
    words = [sys.executable, "-c", HEAD, version]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip()
        process.communicate("\n")


@contextlib.contextmanager
def web_server():
    """The address of something that is not Ray."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()


@contextlib.contextmanager
def disk(folder, size):
    """A small file system, or None for those who may not mount one."""
    os.makedirs(folder, exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def main():
    """Prints one JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--json")
    given = parser.parse_args()
    folder = pathlib.Path(given.folder).absolute()
    (folder / "work").mkdir(parents=True)
    (folder / "poison").mkdir()
    (folder / "poison" / "ray.py").write_text("raise ModuleNotFoundError(\"No module named 'ray'\")\n")
    out, refusals = str(folder / "work" / "runs"), {}
    refusals["ray is missing"] = ask(out, poison=str(folder / "poison"))
    refusals["no cluster on this machine"] = ask(out, "--address=auto")  # if there is none
    refusals["nothing listens"] = ask(out, "--address=127.0.0.1:9")
    with web_server() as address:
        refusals["a web server"] = ask(out, f"--address={address}")
    with head("2.39.0") as address:
        refusals["another version"] = ask(out, f"--address={address}")
    with head() as address:
        refusals["more than a node has"] = ask(out, f"--address={address}", "--cpus_per_run=3")
    for name, size in (("a full disk", "48k"), ("a disk that fills up", "400k")):
        with disk(str(folder / "disk"), size) as mounted:
            if mounted:
                refusals[name] = ask(os.path.join(mounted, "runs"), "--cpus_per_run=1")
    print(json.dumps(refusals, indent=1))
    if given.json:
        storage.write_json(given.json, refusals)


if __name__ == "__main__":
    main()
