"""How many runs share this machine, and each one's part of its cores or GPUs. Found without TensorFlow."""

import os
import subprocess

_GPU_FOLDER = "/proc/driver/nvidia/gpus"


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> list[str]:
    """The GPUs that a run would see, as CUDA_VISIBLE_DEVICES names them; empty without any."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = [name.strip() for name in visible.split(",")]
        # CUDA itself reads the list up to the first name that it does not know, such as -1.
        end = next((i for i, name in enumerate(names) if not name or name.startswith("-")), len(names))
        return names[:end]
    return [str(index) for index in range(_installed())]


def _installed():
    """The number of GPUs of the machine, by the driver's own tool or else its folder."""
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30)
        if done.returncode == 0:
            return sum(line.startswith("GPU ") for line in done.stdout.splitlines())
    except (OSError, subprocess.TimeoutExpired):
        pass  # no driver, or one that does not answer: the folder decides
    try:
        return len(os.listdir(_GPU_FOLDER))
    except OSError:
        return 0


def environments(wanted: int | None, runs: int) -> list[dict[str, str]]:
    """The environment variables of each worker.

    The parts depend on the machine and the grid alone, never on how many runs are left: the number of threads and of
    devices decides the bits, and a sweep that was stopped has to end in the same ones.

    Args:
      wanted: the number of workers; None means one per GPU, or without GPUs one per two cores.
      runs: the number of runs of the whole grid.

    Returns:
      A list with one dict per worker.
    """
    devices, threads = gpus(), cores()
    workers = wanted or len(devices) or max(1, min(threads // 2, runs))
    share = str(max(1, threads // workers))
    shares = []
    for index in range(workers):
        # A number that the user has set stands.
        names = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")
        variables = {name: os.environ.get(name, share) for name in names}
        if devices:
            own = devices[index::workers] or [devices[index % len(devices)]]
            variables["CUDA_VISIBLE_DEVICES"] = ",".join(own)
        if len(devices) < workers and devices:
            # TensorFlow takes a GPU's whole memory unless told that it is shared.
            variables["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
        shares.append(variables)
    return shares
