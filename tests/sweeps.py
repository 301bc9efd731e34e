"""What tests of sweeps share: settings, a grid made into runs, and the program as a process of its own."""

import os
import subprocess
import sys
import time

from absl import flags
from conftest import QUICK, ROOT

from tf_tickets.settings import cli, commands
from tf_tickets.sweeps import sweep

BASE = {name: value for name, value in QUICK.items() if name not in ("images", "validation", "eval_every")}
BASE |= {"epochs": 2, "rounds": 2}
FLAGS = [f"--{name}={value}" for name, value in BASE.items() if name != "progress"] + ["--notensorboard"]


def parse(*words):
    return cli.parse(["tf-tickets", "sweep", *words], flags.FlagValues())


def runs_of(*words, text="seed=0..2"):
    """(points of a sweep as the command resolves them, their configuration)."""
    request = parse(*FLAGS, "--images=60", *words, f"--sweep={text}")
    return sweep.resolve(request.config, request.names, commands.check_command), request.config


def resolve(text, *words):
    request = parse(*FLAGS, *words, f"--sweep={text}")
    return sweep.resolve(request.config, request.names, commands.check_command)


def start(folder, words, without_tensorflow=False, **options):
    """The program in `folder`, whose runs go to `runs` there; its own process group."""
    path = str(ROOT)
    if without_tensorflow:
        (folder / "poison").mkdir(exist_ok=True)
        (folder / "poison" / "tensorflow.py").write_text("import os\nos._exit(99)\n")
        path = os.pathsep.join([str(folder / "poison"), path])
    return subprocess.Popen(
        [sys.executable, "-m", "tf_tickets.main", *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True, env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        **options,
    )  # fmt: skip


def run_sweep(folder, words, **options):
    process = start(folder, words, **options)
    out, error = process.communicate(timeout=600)
    return subprocess.CompletedProcess(words, process.returncode, out, error)


def wait_until(process, condition):
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.02)
