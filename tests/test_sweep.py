"""A sweep's refusals, its workers, and real sweeps that are killed, stopped and continued."""

import os
import signal
import sys
import time

import pytest
from absl import flags
from sweeps import FLAGS, resolve, run_sweep, start, wait_until

from tf_tickets import runs, stopping, storage
from tf_tickets.errors import LockedError, StateError, StopRequested, UsageError
from tf_tickets.settings import cli
from tf_tickets.sweeps import devices, pool, sweep


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["sweep"], ["sweep needs --sweep="]),
        (["sweep", "train", "--sweep=seed=0"], ["'train'", "stray"]),
        (["--sweep=seed=0"], ["--sweep belongs to sweep and tune, not imp"]),
        (["train", "--workers=2"], ["--workers belongs to sweep and tune, not train"]),
        (["sweep", "--sweep=seed=0", "--workers=0"], ["--workers=0", "below 1"]),
        (["sweep", "--sweep=seed=0", "--archive=a.tar"], ["--archive belongs to prepare", "at seed=0"]),
        (["sweep", "--sweep=seed=0;sede=1"], ["did you mean seed?"]),
    ],
)
def test_the_program_refuses_without_tensorflow(words, expected, tmp_path):
    done = run_sweep(tmp_path, words, without_tensorflow=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("tf-tickets: ") and done.stderr.count("\n") == 1
    assert all(fragment in done.stderr for fragment in expected)
    assert os.listdir(tmp_path) == ["poison"]


def test_what_the_sweep_s_flags_leave_in_conflict_the_grid_may_settle():
    found = resolve("rewind=init,step:1", "--epochs=1")  # with the rewind=epoch:1 of the base no run could start
    assert [run.config.pruning.rewind for run in found] == ["init", "step:1"]


def test_each_run_gets_every_flag_that_was_set(tmp_path):
    run = resolve("augment=rand(2)|flip;command=train;seed=3", f"--out={tmp_path}", "--batch_size=10", "--dry_run")[0]
    request = cli.parse(["tf-tickets", *run.words], flags.FlagValues())
    assert request.command == "train" and request.config.values() == run.config.values() | {"progress": "log"}
    assert (request.config.data.batch_size, request.config.data.augment) == (10, "rand(2)|flip")
    assert not request.config.run.dry_run and request.config.command.sweep is None
    assert run.folder.folder == runs.RunFolder.of(run.config, "train").folder


def test_a_run_is_finished_with_all_rounds_the_chosen_ticket_and_its_table(tmp_path):
    run = resolve("seed=0", "--images=60", "--validation=0.2", f"--out={tmp_path}")[0]
    facts = ((run.folder.round(r).summary, {"validation_accuracy": a}) for r, a in ((0, 0.9), (1, 0.5)))
    document = os.path.join(run.folder.ticket, "ticket.json")
    assert (run.complete, run.steps_left, run.chosen, run.finished) == (0, 9, None, False)
    storage.write_json(*next(facts))
    storage.write_json(document, {"round": 0})
    storage.write_csv(run.folder.table, [], ["round"])
    assert (run.complete, run.steps_left, run.chosen, run.finished) == (1, 3, None, False)
    storage.write_json(*next(facts))
    assert (run.complete, run.steps_left, run.chosen, run.finished) == (2, 0, 0, True)
    storage.write_json(document, {"round": 1})
    assert not run.finished
    storage.write_bytes(document, b"damaged")
    assert not run.finished
    storage.write_json(document, {"round": 0})
    os.remove(run.folder.table)
    assert not run.finished


def test_stop_requests_within_a_second_are_one(monkeypatch):
    left, now = [], [100.0]
    monkeypatch.setattr(stopping, "_requests", [])
    monkeypatch.setattr(os, "_exit", left.append)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    for moment in (100.0, 100.3):
        now[0] = moment
        stopping._remember(signal.SIGTERM, None)
        assert stopping.requested() and not left
    now[0] = 101.1
    stopping._remember(signal.SIGINT, None)
    assert left == [75]


def test_dry_run_lists_runs_states_and_totals_and_touches_nothing(tmp_path):
    words = ["sweep", *FLAGS, "--sweep=images=60,80;command=imp,train;seed=0..1", "--dry_run"]
    found = resolve(words[-2].removeprefix("--sweep="), f"--out={tmp_path}/runs")
    storage.write_json(found[0].folder.round(0).summary, {"round": 0})
    before = sorted(tmp_path.rglob("*"))
    done = run_sweep(tmp_path, words, without_tensorflow=True)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 11 and [line.split()[:3] for line in lines[1:4]] == [
        ["60", "imp", "0"], ["60", "imp", "1"], ["60", "train", "0"],
    ]  # fmt: skip
    # 60 images in batches of 20: 3 steps an epoch, 2 epochs, the second round from epoch 1.
    assert "1 of 2 rounds" in lines[1] and lines[1].split()[-2] == "3" and lines[2].split()[-3:-1] == ["new", "9"]
    for run, line in zip(found, lines[1:]):
        assert line.endswith(os.path.relpath(run.folder.folder, tmp_path))
    steps = 3 + 9 + 2 * 6 + 2 * 12 + 2 * 8
    assert lines[-2] == f"in all 8 runs: 0 finished, 1 begun, 7 new; {steps} steps left"
    few = "six pairs of (seed, subset seed) are needed for a claim, this grid has two for each of four recipes"
    assert lines[-1] == few
    assert sorted(p for p in tmp_path.rglob("*") if "poison" not in str(p)) == before


class TestWorkers:
    @pytest.fixture(autouse=True)
    def machine(self, monkeypatch, tmp_path):
        """Sixteen cores, no GPU, no variable of threads, no driver."""
        for name in ("CUDA_VISIBLE_DEVICES", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(devices, "cores", lambda: 16)
        monkeypatch.setattr(devices, "_GPU_FOLDER", str(tmp_path / "gpus"))
        monkeypatch.setenv("PATH", str(tmp_path))

    def threads(self, wanted, count):
        return [found["TF_NUM_INTRAOP_THREADS"] for found in devices.environments(wanted, count)]

    def test_cores_are_shared(self, monkeypatch):
        assert self.threads(None, 100) == ["2"] * 8
        assert self.threads(None, 2) == ["8"] * 2
        assert self.threads(3, 100) == ["5"] * 3
        assert self.threads(32, 100) == ["1"] * 32
        monkeypatch.setattr(devices, "cores", lambda: 1)
        assert self.threads(None, 100) == ["1"]
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
        assert devices.environments(None, 9) == [{"TF_NUM_INTRAOP_THREADS": "7", "OMP_NUM_THREADS": "1"}]

    @pytest.mark.parametrize(("text", "found"), [("0,2", ["0", "2"]), ("", []), ("-1", []), ("1,-1,0", ["1"])])
    def test_the_environment_names_the_gpus(self, text, found, monkeypatch):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", text)
        assert devices.gpus() == found

    def test_the_driver_counts_the_gpus(self, tmp_path):
        assert devices.gpus() == []
        for name in ("0000:01:00.0", "0000:02:00.0", "0000:03:00.0"):
            (tmp_path / "gpus" / name).mkdir(parents=True)
        assert devices.gpus() == ["0", "1", "2"]
        tool = tmp_path / "nvidia-smi"
        tool.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: x)'\necho '  MIG 1g Device 0: (UUID: y)'\necho 'GPU 1: A'\n")
        tool.chmod(0o755)
        assert devices.gpus() == ["0", "1"]
        tool.write_text("#!/bin/sh\necho 'GPU 0: stale'\nexit 9\n")
        assert devices.gpus() == ["0", "1", "2"]

    @pytest.mark.parametrize(
        ("wanted", "visible"), [(None, ["0", "1", "2"]), (2, ["0,2", "1"]), (4, ["0", "1", "2", "0"])]
    )
    def test_gpus_are_shared(self, wanted, visible, monkeypatch):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
        found = devices.environments(wanted, 2)
        assert [variables["CUDA_VISIBLE_DEVICES"] for variables in found] == visible
        assert all(("TF_FORCE_GPU_ALLOW_GROWTH" in variables) == (wanted == 4) for variables in found)


class TestPool:
    @staticmethod
    def child(point, share, children):
        process = children.start([sys.executable, "-c", f"import sys, time; time.sleep({point}); sys.exit({share})"])
        return process and (point, process.wait())

    def test_every_point_once_and_no_more_at_a_time_than_shares(self):
        going, most = set(), []

        def work(point, share, children):
            going.add(share)
            most.append(len(going))
            assert self.child(0.1, share, children) == (0.1, share)
            going.remove(share)
            return point

        assert sorted(pool.map_points(work, list(range(6)), [3, 4])) == list(range(6))
        assert max(most) == 2

    def test_a_stop_ends_what_runs_and_starts_no_more(self):
        started = []
        began = time.monotonic()

        def work(point, share, children):
            started.append(point)
            return self.child(point, share, children)

        stop = lambda: len(started) == 2 and time.monotonic() > began + 0.5  # noqa: E731
        found = list(pool.map_points(work, [60, 61, 62, 63], [1, 2], stop))
        assert sorted(result for result in found if result) == [(60, -signal.SIGTERM), (61, -signal.SIGTERM)]
        assert found.count(None) == 2 and sorted(started[:2]) == [60, 61] and time.monotonic() < began + 30

    def test_a_caller_that_gives_up_leaves_no_process_behind(self):
        began = time.monotonic()
        with pytest.raises(ZeroDivisionError):
            for _ in pool.map_points(self.child, [0, 60], [1, 2]):
                raise ZeroDivisionError
        assert time.monotonic() < began + 30


def test_the_exit_status_is_the_worst(tmp_path):
    run = resolve("seed=0", "--images=60", f"--out={tmp_path}")[0]
    order = [1, StateError.exit_status, 5, LockedError.exit_status, UsageError.exit_status, StopRequested.exit_status]
    for index, status in enumerate(order):
        assert sweep.worst([sweep.Outcome(run, s) for s in (0, *reversed(order[index:]))]) == status
    assert sweep.worst([sweep.Outcome(run, 0)]) == 0


@pytest.mark.parametrize(("number", "expected"), [
    (signal.SIGKILL, (1, "failed (1)", "ended by SIGKILL")), (signal.SIGTERM, (75, "stopped", "ended by SIGTERM")),
])  # fmt: skip
def test_a_run_that_a_signal_ends_is_named_with_it(number, expected, tmp_path, monkeypatch):
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nkill -{number:d} $$\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    found = resolve("seed=0..1", "--images=60", f"--out={tmp_path}/runs", "--workers=1")
    lines = []
    outcomes = sweep.sweep(found, found[0].config, say=lines.append)
    assert [(o.status, o.state, o.message) for o in outcomes] == [expected] * 2
    word = expected[1].split()[0]
    assert [" ".join(line.split()[:2]) for line in lines] == [
        "[1/2] started", f"[1/2] {word}", "[2/2] started", f"[2/2] {word}"
    ]  # fmt: skip


GRID = "fraction=0.04,0.06;augment=base,rand;seed+subset_seed=0..1"


@pytest.mark.slow
def test_a_killed_sweep_starts_again_and_finishes_eight_runs(tmp_path):
    (tmp_path / "base.cfg").write_text("\n".join(FLAGS))
    words = ["sweep", "--flagfile=base.cfg", f"--sweep={GRID}", "--workers=2"]
    folders = [run.folder for run in resolve(GRID, f"--out={tmp_path}/runs")]
    assert len({folder.folder for folder in folders}) == 8
    finished = lambda: [folder for folder in folders if os.path.exists(folder.table)]  # noqa: E731
    process = start(tmp_path, words)
    wait_until(process, lambda: len(finished()) >= 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = {folder.folder: os.stat(folder.round(1).summary).st_mtime_ns for folder in finished()}
    assert 2 <= len(before) < 8
    done = run_sweep(tmp_path, words)
    assert done.returncode == 0, done.stderr
    for path, moment in before.items():
        assert os.stat(runs.RunFolder(path).round(1).summary).st_mtime_ns == moment
    assert done.stderr.count("skipped") == len(before)
    assert done.stderr.count("started") == done.stderr.count("finished digits") == 8 - len(before)
    assert "minutes left" in done.stderr and "8 of 8 done" in done.stderr
    rows = storage.read_csv(f"{tmp_path}/runs/sweep/table.csv")
    assert [(r["fraction"], r["augment"], r["seed+subset_seed"]) for r in rows] == [
        (f, a, s) for f in ("0.04", "0.06") for a in ("base", "rand") for s in "01"
    ]
    for row, folder in zip(rows, folders):
        first, last = (summary["test_accuracy"] for summary in folder.summaries())
        assert (row["state"], row["rounds_done"], row["chosen"]) == ("finished", "2", "1")
        assert (float(row["test_accuracy_round_0"]), float(row["test_accuracy"])) == (first, last)
        assert float(row["difference"]) == pytest.approx(100 * (last - first))
        assert row["run"] in done.stdout
    assert "table: runs/sweep/table.csv\nnext: report runs" in done.stdout
    again = run_sweep(tmp_path, words, without_tensorflow=True)
    assert (again.returncode, again.stdout, again.stderr.count("skipped")) == (0, done.stdout, 8)


@pytest.mark.slow
def test_a_failing_run_and_a_stop_leave_the_rest_to_finish(tmp_path):
    text = "learning_rate=1e30,0.1"
    words = ["sweep", *FLAGS, "--images=60", f"--sweep={text}", "--workers=1"]
    bad, good = resolve(text, "--images=60", f"--out={tmp_path}/runs")
    process = start(tmp_path, words)
    wait_until(process, lambda: os.path.exists(good.folder.subset))
    process.send_signal(signal.SIGTERM)
    out, error = process.communicate(timeout=200)
    assert (process.returncode, out) == (75, ""), error
    assert "0 of 2 runs are finished; run again to continue" in error
    log = f"{tmp_path}/runs/sweep/{good.name.replace('/', '-')}.log"
    with open(log) as file:
        assert "run again" in file.read()
    done = run_sweep(tmp_path, words)
    assert done.returncode == 5, done.stderr
    assert f"failed {bad.name} (learning_rate=1e30) with exit status 5: round 0: the training loss" in done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"tf-tickets: {bad.name} (learning_rate=1e30) failed, log runs/")
    rows = storage.read_csv(f"{tmp_path}/runs/sweep/table.csv")
    assert [(row["state"], row["rounds_done"]) for row in rows] == [("failed (5)", "0"), ("finished", "2")]
    assert rows[0]["test_accuracy"] == "" and float(rows[1]["test_accuracy"]) > 0
