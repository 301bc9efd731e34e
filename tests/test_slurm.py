"""Sweeps on Slurm: the script of a job array, what it does at a failure, a stop and the time limit."""

import os
import pathlib
import signal
import subprocess
import sys
import types

import pytest
from sweeps import FLAGS, run_sweep, runs_of, wait_until

from tf_tickets.sweeps import outcomes, slurm


class TestSlurm:
    @pytest.fixture
    def made(self, tmp_path, monkeypatch):
        """A script whose program prints its words, and an scontrol that remembers."""
        program = tmp_path / "python"
        program.write_text(
            '#!/bin/bash\necho "$TF_NUM_INTRAOP_THREADS $@"\n[ -e slow ] && trap "sleep 0.3; exit 75" TERM && '
            "touch ready && for i in {1..300}; do sleep 0.1; done\n[ -e status ] && exit $(cat status)\nexit 0\n"
        )
        tool = tmp_path / "scontrol"
        tool.write_text('#!/bin/sh\necho "$@" >>requeued\n')
        for path in (program, tool):
            path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))
        monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
        monkeypatch.chdir(tmp_path)
        found, config = runs_of("--engine=slurm", "--cpus_per_run=3", "--gpus_per_run=1", "--out=it's runs")
        text = slurm.script(found, config)
        (tmp_path / "array.sh").write_text(text)
        variables = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_ARRAY_JOB_ID": "17"}

        def submit(index):
            return subprocess.Popen(
                ["bash", "array.sh"], env=variables | {"SLURM_ARRAY_TASK_ID": str(index)}, cwd=tmp_path,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip

        return types.SimpleNamespace(text=text, submit=submit, runs=found, folder=tmp_path)

    def test_it_is_bash_with_one_index_per_run(self, made):
        subprocess.run(["bash", "-n", "array.sh"], check=True)
        for line in ("--array=0-2", "--cpus-per-task=3", "--gpus-per-task=1", "--requeue", "--signal=B:USR1@180"):
            assert f"#SBATCH {line}\n" in made.text
        for index, run in enumerate(made.runs):
            assert made.submit(index).wait() == 0
            with open(run.log) as file:
                assert file.read() == f"3 -m tf_tickets.main {' '.join(run.words)}\n"
        assert made.submit(3).wait() == 2 and not os.path.exists("requeued")

    def test_a_failure_is_the_job_s_and_a_stop_is_queued_again(self, made):
        pathlib.Path("status").write_text("5")
        assert made.submit(0).wait() == 5 and not os.path.exists("requeued")
        pathlib.Path("status").write_text("75")
        assert made.submit(1).wait() == 0
        assert pathlib.Path("requeued").read_text() == "requeue 17_1\n"

    @pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
    def test_the_signal_before_the_limit_saves_and_queues_again(self, made, number):
        pathlib.Path("slow").touch()
        job = made.submit(2)
        wait_until(job, lambda: os.path.exists("ready"))
        job.send_signal(number)
        assert job.wait(timeout=30) == 0 and pathlib.Path("requeued").read_text() == "requeue 17_2\n"

    def test_finished_runs_are_left_out_and_nothing_is_touched(self, made, monkeypatch):
        finished = {made.runs[1].name}
        monkeypatch.setattr(outcomes.Run, "finished", property(lambda run: run.name in finished))
        _, config = runs_of("--engine=slurm", "--out=other")
        assert "#SBATCH --array=0,2\n" in slurm.script(made.runs, config) and not os.path.exists("other")
        finished |= {run.name for run in made.runs}
        assert slurm.script(made.runs, config) is None
        assert slurm._ranges([0, 1, 2, 5, 7, 8]) == "0-2,5,7-8"

    def test_the_program_prints_it(self, tmp_path):
        words = ["sweep", *FLAGS, "--images=60", "--engine=slurm", "--sweep=seed=0..1"]
        done = run_sweep(tmp_path, words, without_tensorflow=True)
        assert (done.returncode, done.stderr, os.listdir(tmp_path)) == (0, "", ["poison"])
        assert done.stdout.startswith("#!/usr/bin/env bash\n") and "#SBATCH --array=0-1\n" in done.stdout
