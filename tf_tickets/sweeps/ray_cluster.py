"""A Ray cluster, joined or started here. Ray is an extra, imported when it is asked for."""

import dataclasses
import os
import re
import socket
import subprocess
import sys
import types

from tf_tickets import stopping
from tf_tickets.errors import StopRequested, UsageError, install, reason
from tf_tickets.settings.inputs import Command
from tf_tickets.sweeps import devices

# Seconds for the first answer of an address, and for Ray to join what answers there; its own limit is minutes.
_ANSWER, _JOIN = 5.0, 30.0

# Bytes of the object store of a cluster of one's own: runs hand over paths, not arrays.
_STORE = 80 << 20

_OPTIONS = {"log_to_driver": False, "logging_level": "ERROR"}


@dataclasses.dataclass(frozen=True)
class Demand:
    """What each run asks of a node.

    Attributes:
      cpus: whole number of cores, which is also its number of threads.
      gpus: whole number of GPUs, or a fraction of one.
      slots: how many such runs the cluster takes at a time.
    """

    cpus: int
    gpus: float
    slots: int


def connect(address: str | None) -> types.ModuleType:
    """Joins a cluster, or starts one on this machine that listens on its loopback interface alone.

    Args:
      address: HOST:PORT of its head, or `auto` for the one that runs on this machine; None starts one.

    Returns:
      The module `ray`, connected.

    Raises:
      UsageError: Ray is not installed; nothing answers at the address, or another version of Ray or Python does.
      StopRequested: on the way.
    """
    # Read when Ray is imported. No report of use leaves the machine, and a run without GPUs is told so by us.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if address is None:
        # The setting by which Ray keeps to 127.0.0.1, its default on systems whose firewall would ask.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        # Ray's workers, and so the runs, would stand behind everything else on this machine.
        os.environ.setdefault("RAY_worker_niceness", "0")
    try:
        import ray
    except ImportError as error:
        raise UsageError(f"--engine=ray needs Ray ({error}): {install('ray')}, or use --engine=process") from None
    own = {
        "num_cpus": devices.cores(), "num_gpus": len(devices.gpus()), "include_dashboard": False,
        "object_store_memory": _STORE,
    }  # fmt: skip
    if address is not None:
        _probe(address)
    try:
        ray.init(address=address or "local", **_OPTIONS, **({} if address else own))
    except SystemExit:
        raise StopRequested("stopped on request") from None
    finally:
        stopping.listen()  # Ray has taken SIGTERM for itself, and leaves at once
    return ray


def _probe(address):
    """UsageError unless a process like this one can join: Ray itself waits for minutes, or ends the process."""
    if address != "auto":
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _ANSWER).close()
        except OSError as error:
            raise UsageError(
                f"--address={address}: no cluster answers ({reason(error)}); start one: ray start"
            ) from None
    code = "import sys, ray; ray.init(sys.argv[1], log_to_driver=False, logging_level='ERROR')"
    try:
        words = [sys.executable, "-c", code, address]
        done = subprocess.run(words, capture_output=True, text=True, timeout=_JOIN, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise UsageError(f"--address={address}: no Ray cluster answers within {_JOIN:.0f} s: ray start") from None
    if done.returncode:
        raise UsageError(f"--address={address}: {_last_error(done.stderr)}")


def _last_error(text):
    """The message of the exception that ended a process, in one line."""
    parts = re.split(r"(?m)^[\w.]+(?:Error|Exception): ", text)
    return reason(parts[-1] if len(parts) > 1 else text.strip().rpartition("\n")[2])


def demand(ray: types.ModuleType, command: Command) -> Demand:
    """What each run asks for, as `--cpus_per_run` and `--gpus_per_run` say, or by what there is.

    Args:
      ray: of `connect`.

    Raises:
      UsageError: no node has as much.
    """
    resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    nodes = [(node.get("CPU", 0), node.get("GPU", 0)) for node in resources]
    most, devices = int(max(node[0] for node in nodes)), max(node[1] for node in nodes)
    cpus = command.cpus_per_run or max(1, min(2, most))
    gpus = (1 if devices else 0) if command.gpus_per_run is None else command.gpus_per_run
    slots = sum(int(min(node[0] // cpus, node[1] / gpus + 1e-6 if gpus else node[0])) for node in nodes)
    if not slots:
        raise UsageError(
            f"--cpus_per_run={cpus} --gpus_per_run={gpus:g}: no node has as much, the largest {most} CPUs and "
            f"{devices:g} GPUs; ask for less"
        )
    return Demand(cpus, gpus, slots)
