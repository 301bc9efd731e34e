"""Runs over several workers on the loopback against the same run without: masks, weights and losses of each round.

cd tests; python -m torture.worker_runs FOLDER
"""

import contextlib
import json
import os
import socket
import sys
import time

import command_server
import numpy as np
import trees

from tf_tickets import runs, storage

# Digits, 70 images, batches of 20 over all workers, five epochs; the second of two rounds at 80 % density.
SETTINGS = {
    "dataset": "digits", "model": "vgg11", "images": 70, "width": 2, "epochs": 5, "rounds": 2, "rewind": "epoch:1",
    "batch_size": 20, "progress": "none", "tensorboard": "false",
}  # fmt: skip
# vit_small normalises every image by itself, so nothing but the order of sums differs.
VIT = {"model": "vit_small", "width": 64, "learning_rate": 0.01}
# The first of its twelve blocks alone, for a test.
ONE_BLOCK = "from tf_tickets.models.families import transformer; transformer._DEPTH = 1"
# How far the weights of the two comparisons may be apart.
BOUNDS = {"vit_small": 1e-5, "vgg11": 1e-3}
# The program, with a checkpoint after every epoch.
_SAVING_ALWAYS = """
from tf_tickets import main, stopping
stopping.listen()
from tf_tickets.training import checkpoints
checkpoints._WRITING_SHARE = 1e9
{change}
main.entry_point()
"""


def flags_of(**changes):
    """The flags of a run; None leaves one out."""
    return [f"--{name}={value}" for name, value in (SETTINGS | changes).items() if value is not None]


def free_ports(count):
    """Ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def config_of(addresses, index, kind="worker", **others):
    """The text of TF_CONFIG."""
    return json.dumps({"cluster": {"worker": addresses, **others}, "task": {"type": kind, "index": index}})


def start(count, out, flags, limits=None, change=""):
    """Starts the workers of a run.

    Args:
      count: of workers.
      out: where runs are written.
      flags: of the command line.
      limits: {worker: bytes that a file of its may have}.
      change: Python that each executes first.
    """
    addresses, code = [f"127.0.0.1:{port}" for port in free_ports(count)], _SAVING_ALWAYS.format(change=change)
    return [
        command_server.loaded().start(
            command_server.ROOT, [*flags, "--strategy=multi_worker", f"--out={out}"], code,
            {**os.environ, "TF_CONFIG": config_of(addresses, index)}, (limits or {}).get(index),
        )
        for index in range(count)
    ]  # fmt: skip


def ends(workers):
    """(status, our lines of standard error) of each."""
    ended = []
    for each in workers:
        _, error = each.communicate(timeout=500)
        ended.append((each.returncode, [line for line in error.splitlines() if line.startswith("tf-tickets:")]))
    return ended


def finished(workers):
    """Waits for workers that have to end well."""
    for status, lines in ends(workers):
        assert status == 0, lines


def training(out):
    """Waits until the run, which was just started, saves a checkpoint of a round; returns its folder."""
    began = time.time()
    while time.time() - began < 500:
        path = trees.only_run(out)
        folder = path and runs.RunFolder(path)
        saved = [name for index in range(2) for name in folder.round(index).checkpoints] if folder else []
        with contextlib.suppress(OSError):
            if any(os.path.getmtime(name) > began for name in saved if os.path.exists(name)):
                return folder
        time.sleep(0.02)
    raise AssertionError("no checkpoint")


def on_one(out, flags, strategy, change=""):
    """The folder of a run in one process, in which `change` is executed first."""
    words = [*flags, f"--strategy={strategy}", f"--out={out}"]
    done = command_server.loaded().run(command_server.ROOT, words, code=_SAVING_ALWAYS.format(change=change))
    assert done.returncode == 0, done.stderr
    return runs.RunFolder(trees.only_run(out))


def over_workers(count, out, flags, change=""):
    """The folder of a run of `count` workers."""
    finished(start(count, out, flags, change=change))
    return runs.RunFolder(trees.only_run(out))


def differences(alone, shared):
    """How far two runs are apart, by round: mask positions, the farthest weights, both training losses."""
    row = {"mask_positions": [], "weights": [], "training_losses": []}
    for first, second in zip(alone.summaries(), shared.summaries(), strict=True):
        index = first["round"]
        masks, weights = (
            [storage.read_arrays(getattr(folder.round(index), kind)) for folder in (alone, shared)]
            for kind in ("mask", "weights")
        )
        row["mask_positions"].append(sum(int((masks[0][name] != masks[1][name]).sum()) for name in masks[0]))
        row["weights"].append(max(float(np.abs(weights[0][name] - weights[1][name]).max()) for name in weights[0]))
        row["training_losses"].append([float(first["train_loss"]), float(second["train_loss"])])
    return row


def like_one_device(out, counts=(2, 4), change=""):
    """Yields, for each number of workers, how far ViT's run is from that of one device, and its folder."""
    flags = flags_of(**VIT)
    alone = on_one(f"{out}/one", flags, "one_device", change)
    for count in counts:
        shared = over_workers(count, f"{out}/{count}", flags, change)
        yield {"network": "vit_small", "workers": count, "with": "one_device"} | differences(alone, shared), shared


def like_logical_devices(out, network="vgg11"):
    """How far two workers' run of a network with BatchNorm is from that of two logical devices, and its folder."""
    flags = flags_of(model=network)
    alone, shared = on_one(f"{out}/devices", flags, "cpu:2"), over_workers(2, f"{out}/workers", flags)
    return {"network": network, "workers": 2, "with": "cpu:2"} | differences(alone, shared), shared


def main(folder):
    """Prints one JSON line."""
    began = time.monotonic()
    compared = [*like_one_device(f"{folder}/vit"), like_logical_devices(f"{folder}/vgg")]
    versions = storage.read_json(compared[0][1].manifest)["versions"]
    facts = {name: versions[name] for name in ("tensorflow", "onednn")}
    rows = [row for row, _ in compared]
    print(json.dumps({"rows": rows, **facts, "seconds": round(time.monotonic() - began)}))


if __name__ == "__main__":
    main(sys.argv[1])
