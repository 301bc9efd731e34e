"""Sweeps on Ray: what is asked of it, what is refused, and a run whose worker is killed."""

import dataclasses
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import types

import pytest
from absl import flags
from conftest import ROOT
from sweeps import FLAGS, parse, resolve, run_sweep, runs_of, start, wait_until

from tf_tickets import storage
from tf_tickets.errors import StateError, UsageError
from tf_tickets.settings import cli
from tf_tickets.sweeps import ray_cluster, ray_engine, sweep

ON_RAY = ["--images=60", "--engine=ray", "--cpus_per_run=1"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--engine=condor"], ["--engine=condor", "process, ray, slurm"]),
        (["--address=auto"], ["--address belongs to --engine=ray, not process"]),
        (["--engine=slurm", "--address=auto"], ["--address belongs to --engine=ray, not slurm"]),
        (["--engine=ray", "--workers=2"], ["--workers belongs to --engine=process, not ray"]),
        (["--cpus_per_run=2"], ["--cpus_per_run belongs to --engine=ray or slurm, not process"]),
        (["--engine=ray", "--cpus_per_run=0"], ["--cpus_per_run=0", "below 1"]),
        (["--engine=ray", "--gpus_per_run=1.5"], ["--gpus_per_run=1.5", "whole number", "0.25"]),
        (["--engine=ray", "--gpus_per_run=-1"], ["--gpus_per_run=-1"]),
        (["--engine=slurm", "--gpus_per_run=0.5"], ["--gpus_per_run=0.5", "Slurm gives whole GPUs"]),
        (["--engine=ray", "--address=ray://10.0.0.1:10001"], ["--address=ray://", "HOST:PORT", "auto"]),
        (["--engine=ray", "--address=10.0.0.1"], ["HOST:PORT"]),
        (["--engine=ray", "--address=10.0.0.1:70000"], ["HOST:PORT"]),
    ],
)
def test_bad_flags_are_refused_in_one_line(words, expected):
    with pytest.raises(UsageError) as caught:
        parse("--sweep=seed=0", *words)
    assert "\n" not in str(caught.value)
    assert all(fragment in str(caught.value) for fragment in expected)


def test_the_engine_s_flags_are_of_the_sweep(tmp_path):
    found, _ = runs_of("--engine=ray", "--address=auto", "--cpus_per_run=3", "--gpus_per_run=1/4")
    assert not [word for word in found[0].words if re.search("engine|address|_per_run", word)]
    for name in ("engine", "address", "cpus_per_run", "gpus_per_run"):
        with pytest.raises(UsageError, match=f"{name} is of the sweep as a whole, as --{name}"):
            resolve(f"{name}=1")


def refused(folder, words, *expected, **environment):
    """One line, exit 2, nothing touched, in seconds."""
    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        done = run_sweep(folder, ["sweep", *FLAGS, *ON_RAY, "--sweep=seed=0..1", *words], without_tensorflow=True)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("tf-tickets: ") and done.stderr.count("\n") == 1
    assert all(fragment in done.stderr for fragment in expected), done.stderr
    assert os.listdir(folder) == ["poison"] and time.monotonic() - began < 60


def test_without_ray_it_says_how_to_install_it(tmp_path):
    (tmp_path / "poison").mkdir()
    (tmp_path / "poison" / "ray.py").write_text("raise ImportError('No module named ray')\n")
    refused(tmp_path, [], "--engine=ray needs Ray", "pip install 'ray<")


def test_an_address_where_nothing_answers_is_refused_at_once(tmp_path):
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    refused(tmp_path, [f"--address=127.0.0.1:{port}"], f"--address=127.0.0.1:{port}: no cluster answers", "refused")


def test_something_else_than_ray_is_refused_in_bounded_time(monkeypatch):
    monkeypatch.setattr(ray_cluster, "_JOIN", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(UsageError, match="no Ray cluster answers within 1 s"):
            ray_cluster._probe(f"127.0.0.1:{silent.getsockname()[1]}")


def test_what_ray_complains_of_becomes_one_line():
    text = (
        "Traceback (most recent call last):\n  File\nRuntimeError: Version mismatch: The cluster was started with:\n"
        "    Ray: 2.0.0\n    Python: 3.11.4\nThis process on node 127.0.0.1 was started with:\n    Ray: 2.60.0\n"
    )
    assert ray_cluster._last_error(text).startswith("Version mismatch: The cluster was started with: Ray: 2.0.0 Python")
    assert ray_cluster._last_error("one\ntwo\n") == "two"


@pytest.mark.slow
def test_a_cluster_of_another_version_is_refused(tmp_path):
    pytest.importorskip("ray")
    code = (
        "import ray; ray.__version__ = '2.0.0'\nfrom ray.cluster_utils import Cluster\n"
        "print(Cluster(initialize_head=True, head_node_args={'num_cpus': 1}).address, flush=True); input()"
    )
    head = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        address = head.stdout.readline().strip()
        refused(tmp_path, [f"--address={address}"], "Version mismatch", "2.0.0")
    finally:
        head.communicate("\n")


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StateError, match="session cannot be written: No space left on device"):
        sweep.open_logs(str(tmp_path / "a" / "runs"))
    assert not list(tmp_path.iterdir())


def nodes(*resources):
    found = [{"Alive": True, "Resources": dict(zip(("CPU", "GPU"), pair))} for pair in resources]
    return types.SimpleNamespace(nodes=lambda: [*found, {"Alive": False, "Resources": {"CPU": 999.0}}])


class TestDemand:
    @pytest.mark.parametrize(
        ("cpus", "gpus", "machines", "expected"),
        [
            (None, None, [(8.0,), (4.0,)], (2, 0, 6)),
            (None, None, [(1.0,)], (1, 0, 1)),
            (None, None, [(0.0,), (16.0, 4.0), (16.0, 4.0)], (2, 1, 8)),
            (1, 0.25, [(8.0, 1.0)], (1, 0.25, 4)),
            (1, 0.1, [(16.0, 1.0)], (1, 0.1, 10)),
            (4, 0, [(8.0, 1.0)], (4, 0, 2)),
        ],
    )
    def test_by_what_there_is(self, cpus, gpus, machines, expected):
        command = types.SimpleNamespace(cpus_per_run=cpus, gpus_per_run=gpus)
        assert dataclasses.astuple(ray_cluster.demand(nodes(*machines), command)) == expected

    def test_more_than_any_node_has_is_refused(self):
        command = types.SimpleNamespace(cpus_per_run=16, gpus_per_run=2)
        with pytest.raises(UsageError, match=r"--cpus_per_run=16 --gpus_per_run=2: no node .* 8 CPUs and 1 GPUs"):
            ray_cluster.demand(nodes((8.0, 1.0), (8.0, 1.0)), command)


class TestOrder:
    @pytest.fixture
    def run(self, tmp_path, monkeypatch):
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_FORCE_GPU_ALLOW_GROWTH", "OMP_NUM_THREADS"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.chdir(tmp_path)
        found, config = runs_of("--out=runs")
        sweep.open_logs(config.run.out)
        return found[0]

    def test_threads_are_the_cores_and_what_the_user_has_set_stands(self, run, monkeypatch):
        monkeypatch.setenv("TF_NUM_INTEROP_THREADS", "7")
        monkeypatch.setenv("TFDS_DATA_DIR", "data")
        monkeypatch.setenv("SECRET", "x")
        found = ray_engine.order(run, ray_cluster.Demand(3, 0, 1)).environment
        assert (found["TF_NUM_INTRAOP_THREADS"], found["OMP_NUM_THREADS"]) == ("3", "3")
        assert (found["TF_NUM_INTEROP_THREADS"], found["TFDS_DATA_DIR"]) == ("7", "data")
        assert found["CUDA_VISIBLE_DEVICES"] == "" and "SECRET" not in found

    @pytest.mark.parametrize(("gpus", "grows"), [(0, False), (0.25, True), (1, False), (2, False)])
    def test_a_shared_gpu_s_memory_grows(self, run, gpus, grows):
        found = ray_engine.order(run, ray_cluster.Demand(1, gpus, 1)).environment
        assert (found.get("TF_FORCE_GPU_ALLOW_GROWTH") == "true") == grows
        assert ("CUDA_VISIBLE_DEVICES" in found) == (gpus == 0)

    def test_paths_hold_on_every_node_and_another_disk_is_noticed(self, run, tmp_path):
        found = ray_engine.order(run, ray_cluster.Demand(1, 0, 1))
        request = cli.parse(["tf-tickets", *found.words], flags.FlagValues())
        assert request.config.run.out == str(tmp_path / "runs") and found.log.startswith(str(tmp_path))
        assert ray_engine._not_shared(found) is None
        sweep.open_logs("runs")  # another session: what a disk of the node's own would have
        assert "storage that all nodes share" in ray_engine._not_shared(found)


def test_the_board_counts_starts_and_starts_none_after_a_stop():
    board = ray_engine.Board()
    assert (board.started("a", "x"), board.started("a", "y"), board.started("b", "x")) == (1, 2, 1)
    assert board.news() == [("a", "x"), ("a", "y"), ("b", "x")] and board.news() == []
    assert not board.stopping() and board.stop() == {"a", "b"} and board.stopping()
    assert board.started("c", "x") is None


def test_a_lost_run_waits_until_its_folder_is_free(monkeypatch):
    answers = [(4, "in use"), (4, "in use"), (0, "")]
    monkeypatch.setattr(ray_engine, "run_words", lambda *words, **options: answers.pop(0))
    monkeypatch.setattr(ray_engine, "_HEED", 0.0)
    order = ray_engine.Order("a", (), "log", {}, "nowhere", b"")
    assert ray_engine._run(order, types.SimpleNamespace(stopping=False), 60.0) == (0, "")
    answers[:] = [(4, "in use")]
    assert ray_engine._run(order, types.SimpleNamespace(stopping=False), -1.0) == (4, "in use")


def test_a_leashed_process_dies_with_its_parent(tmp_path):
    words = [sys.executable, "-m", "tf_tickets.sweeps.leash"]
    assert subprocess.run([*words, "1", "--help"], cwd=ROOT, capture_output=True).returncode == 137  # no child of 1
    # A parent that starts a run, waits for it to be begun, and is killed.
    out = tmp_path / "runs"
    code = (
        "import os, subprocess, sys; process = subprocess.Popen([*sys.argv[1:4], str(os.getpid()), *sys.argv[4:]]); "
        "print(process.pid, flush=True); process.wait()"
    )
    run = ["imp", *FLAGS, "--images=60", "--epochs=9999", f"--out={out}"]
    parent = subprocess.Popen([sys.executable, "-c", code, *words, *run], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    wait_until(parent, lambda: list(out.glob("*/seed_0/lock")))
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 20
    while os.path.exists(f"/proc/{child}") and "Z (" not in pathlib.Path(f"/proc/{child}/status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def parents_of(folder):
    """The ids of the processes that started a run below a folder."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
            if f"--out={folder}".encode() in words and b"tf_tickets.main" in words and b"imp" in words:
                found.append(int(re.search(r"PPid:\s(\d+)", (path.parent / "status").read_text())[1]))
        except OSError:
            pass  # it is gone meanwhile
    return found


def test_a_killed_worker_s_run_is_continued(tmp_path):
    pytest.importorskip("ray")
    words = ["sweep", *FLAGS, *ON_RAY, "--epochs=4", "--sweep=seed=0"]
    run = resolve("seed=0", "--images=60", "--epochs=4", f"--out={tmp_path}/runs")[0]
    process = start(tmp_path, words)
    wait_until(process, lambda: run.complete)  # inside the second round
    for parent in parents_of(f"{tmp_path}/runs"):
        os.kill(parent, signal.SIGKILL)
    out, error = process.communicate(timeout=200)
    assert process.returncode == 0, error
    assert "\ntable: runs/sweep/table.csv" in out and "raylet" not in out
    lines = [line.split(" digits")[0] for line in error.splitlines()]
    assert lines == ["[1/1] started", "[1/1] started again", "[1/1] finished"]
    rows = storage.read_csv(run.folder.attempts)
    assert len(rows) >= 1 and (rows[0]["round"], rows[0]["step"]) == ("0", "0")
    assert rows[-1]["round"] in ("1", "0") and len({row["process"] for row in rows}) == len(rows)
    for index in (0, 1):
        epochs = [int(row["epoch"]) for row in storage.read_csv(run.folder.round(index).epochs)]
        assert epochs == list(range(1 + index, 5))
    assert [row["state"] for row in storage.read_csv(f"{tmp_path}/runs/sweep/table.csv")] == ["finished"]


@pytest.mark.slow
def test_stopped_on_ray_and_finished_by_processes_it_has_the_same_bits(tmp_path):
    pytest.importorskip("ray")
    import trees

    base = [*FLAGS, "--images=60", "--epochs=40", "--sweep=seed=0..1"]
    threads = {name: "1" for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")}
    found = resolve("seed=0..1", "--images=60", "--epochs=40", f"--out={tmp_path}/runs")
    process = start(tmp_path, ["sweep", *base, "--engine=ray", "--cpus_per_run=1"])
    wait_until(process, lambda: os.path.exists(found[0].folder.attempts))
    process.send_signal(signal.SIGTERM)
    out, error = process.communicate(timeout=200)
    assert (process.returncode, out) == (75, ""), error
    assert error.splitlines()[-1].endswith("run again to continue")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in threads.items():
            patch.setenv(name, value)
        for out in ("runs", "whole"):
            assert run_sweep(tmp_path, ["sweep", *base, "--workers=2", f"--out={out}"]).returncode == 0
    for run in found:
        whole = run.folder.folder.replace("/runs/", "/whole/")
        trees.assert_equal(trees.contents(run.folder.folder), trees.contents(whole))
