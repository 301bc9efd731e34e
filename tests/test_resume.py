"""How a run stops, continues and refuses to share its folder."""

import os
import shutil
import signal
import time
from unittest import mock

import command_server
import numpy as np
import pytest
import stops
import trees
from conftest import QUICK, ROOT, TWO_LAYERS

import tf_tickets as tt
from tf_tickets import errors, runs, storage
from tf_tickets.evaluation import accuracy
from tf_tickets.experiments import imp as experiment
from tf_tickets.experiments.round import Round
from tf_tickets.models import winograd
from tf_tickets.training import checkpoints


def test_stopped_anywhere_it_ends_in_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "_WRITING_SHARE", 1e9)  # a checkpoint after every block of steps
    config = tt.Config.from_values(**QUICK | {"rounds": 2, "rewind": "step:2"}, out=str(tmp_path / "whole"))
    attempts = stops.assert_stopping_changes_nothing(tt.imp, config, tmp_path / "parts")
    assert attempts >= 4


def test_with_filtered_convolutions_it_ends_in_the_same_bits_too(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "_WRITING_SHARE", 1e9)
    monkeypatch.setattr(winograd, "pays", lambda inputs, outputs, sides: min(sides) >= 4)  # however narrow
    monkeypatch.setattr(winograd, "convolve", mock.Mock(side_effect=winograd.convolve))
    config = tt.Config.from_values(**QUICK | {"rounds": 2, "rewind": "step:2"}, out=str(tmp_path / "whole"))
    assert stops.assert_stopping_changes_nothing(tt.imp, config, tmp_path / "parts") >= 4
    assert winograd.convolve.called


@pytest.mark.parametrize("control", ["none", "gradual"])
def test_stopped_inside_evaluations_it_ends_in_the_same_bits(tmp_path, monkeypatch, control):
    inside, original = [], accuracy.logits_of

    def watched(*arguments, stop, **options):
        inside.append(True)
        try:
            return original(*arguments, stop=stop, **options)
        finally:
            inside.pop()

    monkeypatch.setattr(accuracy, "logits_of", watched)
    values = TWO_LAYERS | {"rounds": 2, "eval_every": 1, "rewind": "epoch:2", "control": control}
    config = tt.Config.from_values(**values, out=str(tmp_path / "whole"))
    run = tt.imp if control == "none" else tt.train
    whole = trees.contents(run(config).folder)
    parts, left = config.replace(out=str(tmp_path / "parts")), [0, 0, 2, 1, 5]
    while left:
        asked = left.pop(0)

        def stop():
            nonlocal asked
            asked -= bool(inside)
            return asked < 0

        with pytest.raises(errors.StopRequested, match=r"after step \d+; the state is saved"):
            run(parts, stop)
    trees.assert_equal(trees.contents(run(parts).folder), whole)


def test_a_diverging_round_stops_and_keeps_the_complete_ones(tmp_path):
    config = tt.Config.from_values(**TWO_LAYERS | {"rounds": 2}, out=str(tmp_path / "runs"))
    folder = runs.RunFolder.of(config)
    original = Round.learning_rate

    def explode(training_round, epoch):
        return 1e30 if training_round.index == 1 else original(training_round, epoch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Round, "learning_rate", explode)
        with pytest.raises(errors.DivergedError, match=r"round 1: .* epoch \d+, step \d+"):
            tt.imp(config)
    assert folder.round(0).complete
    assert not folder.round(1).complete
    assert not os.path.exists(folder.ticket)
    assert tt.imp(config).rounds == 2


@pytest.mark.parametrize("rewind", ["init", "learning_rate:1", "finetune:1"])
def test_other_kinds_of_rewinding(rewind, tmp_path):
    config = tt.Config.from_values(
        **TWO_LAYERS | {"rounds": 2, "rewind": rewind, "weight_decay": 0.0, "learning_rate": 1e-20}, out=str(tmp_path)
    )
    folder = runs.RunFolder(tt.imp(config).folder)
    first, second = (storage.read_arrays(folder.round(r).weights) for r in (0, 1))
    mask = storage.read_arrays(folder.round(1).mask)
    rows = storage.read_csv(folder.round(1).epochs)
    assert len(rows) == (5 if rewind == "init" else 4)
    if rewind == "finetune:1":
        assert all(float(row["learning_rate"]) == pytest.approx(1e-22) for row in rows)
    # With next to no learning rate, a round ends where it starts: mask x what the kind says.
    start = storage.read_arrays(folder.rewind) if rewind == "init" else first
    for name in mask:
        np.testing.assert_array_equal(second[f"{name}/kernel"], np.where(mask[name], start[f"{name}/kernel"], 0))
    if rewind == "init":
        assert not start["conv0.bn/moving_mean"].any()
        assert not np.array_equal(second["conv0.bn/moving_mean"], first["conv0.bn/moving_mean"])


def test_a_kill_before_tidying_leaves_nothing_behind(tmp_path):
    config = tt.Config.from_values(**TWO_LAYERS | {"rounds": 2}, out=str(tmp_path))
    folder = runs.RunFolder(tt.imp(config).folder)
    before = trees.contents(folder.folder)
    shutil.copy(folder.round(1).checkpoints[0], folder.round(0).checkpoints[1])
    tt.imp(config)
    trees.assert_equal(trees.contents(folder.folder), before)


def test_a_run_in_use_is_left_alone(tmp_path):
    config = tt.Config.from_values(**TWO_LAYERS, out=str(tmp_path))
    with runs.RunFolder.of(config).locked(), pytest.raises(errors.LockedError, match=f"process {os.getpid()}"):
        experiment.imp(config)


def test_attempts_tell_where_each_process_went_on(tmp_path):
    config = tt.Config.from_values(**TWO_LAYERS | {"rounds": 1}, out=str(tmp_path))
    folder, asked = runs.RunFolder.of(config), []

    def stop():
        asked.append(1)
        return len(asked) > 5

    with pytest.raises(errors.StopRequested):
        tt.imp(config, stop)
    stopped = storage.read_csv(folder.attempts)
    assert [(row["round"], row["step"], row["process"]) for row in stopped] == [("0", "0", str(os.getpid()))]
    with open(folder.attempts, "ab") as file:
        file.write(b"\xff what an editor left\n")  # the file is never read, only added to
    tt.imp(config)
    with open(folder.attempts, "rb") as file:
        header, first, damaged, second = file.read().splitlines()
    assert header == b"began,host,process,round,step" and damaged.startswith(b"\xff")
    assert first.endswith(b",0,0") and int(second.split(b",")[-1]) > 0
    summary = storage.read_json(folder.round(0).summary)
    assert not [name for name in summary["files"] if "attempts" in name]
    before = os.stat(folder.attempts)
    tt.imp(config)
    assert os.stat(folder.attempts) == before  # nothing was left to do
    storage.remove(folder.ticket)
    tt.imp(config)
    with open(folder.attempts, "rb") as file:
        assert file.read().endswith(b",ticket,\n")  # only the ticket was


def run_command(arguments):
    return command_server.loaded().start(ROOT, arguments)


@pytest.mark.slow
def test_two_logical_devices_train_stop_and_resume(tmp_path):
    flags = [f"--{name}={value}" for name, value in QUICK.items() if name not in ("validation", "eval_every")]
    flags += ["--strategy=cpu:2", "--rounds=2", "--notensorboard"]
    whole = run_command([*flags, f"--out={tmp_path}/whole"])
    parts = run_command([*flags, f"--out={tmp_path}/parts"])
    values = QUICK | {"validation": None, "eval_every": None, "rounds": 2}
    config = runs.RunFolder.of(tt.Config.from_values(**values, out=f"{tmp_path}/parts"))
    while parts.poll() is None and not os.path.exists(config.subset):
        time.sleep(0.01)
    second = run_command([*flags, f"--out={tmp_path}/parts"])
    _, error = second.communicate(timeout=120)
    assert second.returncode == 4, error
    assert error.count("\n") == 1 and f"process {parts.pid}" in error
    parts.send_signal(signal.SIGTERM)
    _, error = parts.communicate(timeout=120)
    assert parts.returncode == 75, error
    assert "run again" in error
    again = run_command([*flags, f"--out={tmp_path}/parts"])
    for process in (again, whole):
        _, error = process.communicate(timeout=200)
        assert process.returncode == 0, error
    trees.assert_equal(trees.contents(config.folder), trees.contents(config.folder.replace("/parts/", "/whole/")))
    one_device = run_command([*[f for f in flags if "strategy" not in f], f"--out={tmp_path}/parts", "--rounds=3"])
    _, error = one_device.communicate(timeout=120)
    assert one_device.returncode == 2
    assert "2 devices" in error
