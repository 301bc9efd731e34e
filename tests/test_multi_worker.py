"""One run over several workers on this machine's loopback: they meet, agree, end alike, and continue."""

import concurrent.futures
import os
import signal
import socket
import time

import numpy as np
import pytest
import small_network
import trees
from torture.worker_runs import (
    BOUNDS,
    ONE_BLOCK,
    config_of,
    ends,
    finished,
    free_ports,
    like_logical_devices,
    like_one_device,
    on_one,
    start,
    training,
)
from torture.worker_runs import flags_of as flags_of_vgg

import tf_tickets as tt
from tf_tickets import errors, runs, storage
from tf_tickets.workers import meeting, messages, team, wire
from tf_tickets.workers import tf_config as clusters


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ["needs TF_CONFIG", '"task"']),
        ("{", ["TF_CONFIG={", "cannot be read"]),
        ('{"cluster": {"worker": ["a:1"]}}', ["cannot be read", "task"]),
        (config_of(["a:1", "b"], 0), ["'b' is not host:port"]),
        (config_of(["a:1", "a:1"], 0), ["an address twice"]),
        (config_of(["a:1", "b:1"], 2), ["index 2", "give 0 to 1"]),
        (config_of(["a:1"], -1), ["index -1"]),
        (config_of(["a:1"], 0, ps=["b:1"]), ["ps", "remove it"]),
        (config_of(["a:1"], 0, "evaluator"), ["evaluator"]),
    ],
)
def test_a_wrong_tf_config_is_named(text, words):
    with pytest.raises(errors.UsageError) as caught:
        clusters.read({} if text is None else {"TF_CONFIG": text})
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)


def test_the_chief_comes_first():
    found = clusters.read({"TF_CONFIG": config_of(["b:1", "c:2"], 1, chief=["a:3"])})
    assert (found.addresses, found.index, found.name(2)) == (("a:3", "b:1", "c:2"), 2, "worker 2 (c:2)")
    assert found.place(0) == ("a", 3)


def test_without_tf_config_it_ends_before_tensorflow_loads(command, tmp_path, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    answer = command(tmp_path, "--strategy=multi_worker", "--dataset=digits")
    assert answer.returncode == 2 and answer.stderr.count("\n") == 1 and "TF_CONFIG" in answer.stderr
    assert not list(tmp_path.iterdir())
    answer = command(tmp_path, "evaluate", ".", "--strategy=multi_worker")
    assert answer.returncode == 2 and "imp and train" in answer.stderr


@pytest.mark.parametrize(
    "words", [["--out=gs://bucket/runs"], ["--data_dir=s3://bucket"], ["report", ".", "--out=az://b"]]
)
def test_buckets_are_refused_before_anything_is_touched(command, tmp_path, words):
    answer = command(tmp_path, *words)
    assert answer.returncode == 2 and answer.stderr.count("\n") == 1 and "POSIX" in answer.stderr
    assert not list(tmp_path.iterdir())


def together(count, function, settings=None, seconds=20.0, missing=()):
    """What `function(team)` returns or raises in each of `count` workers, which are threads here."""
    addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(count))

    def work(index):
        mine = (settings or {}).get(index, {"--width": "2"})
        with team.meet(clusters.Cluster(addresses, index), mine, seconds=seconds) as joined:
            return function(joined)

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        waiting = [pool.submit(work, index) for index in range(count) if index not in missing]
        return [each.exception() or each.result() for each in waiting]


def test_workers_tell_each_other():
    def talk(joined):
        arrays = {"a": np.arange(joined.index, joined.index + 3), "b": np.zeros(0)}
        given = joined.arrays_from_chief(lambda: arrays, lambda: messages.specs_of(arrays))
        parts = [np.full(2, 10 * turn + joined.index) for turn in range(2 if joined.index < 2 else 1)]
        expected = [messages.ArraySpec((2,), np.dtype(int))] * 5
        return (
            joined.from_chief(lambda: [1, None, {"x": 0.1}], lambda value: len(value) == 3), given["a"].tolist(),
            joined.gather(joined.index), joined.any(joined.index == 2), joined.any(False),
            np.concatenate(joined.gathered(parts, expected)).tolist(),
            joined.from_chief_alone(lambda: "mine"),
        )  # fmt: skip

    found = together(3, talk)
    shared = ([1, None, {"x": 0.1}], [0, 1, 2], [0, 1, 2], True, False, [0, 0, 1, 1, 2, 2, 10, 10, 11, 11])
    assert found == [(*shared, "mine"), (*shared, None), (*shared, None)]


def test_one_that_differs_is_named_by_all():
    def compare(joined):
        joined.check_same("x", "never")
        joined.check_same(joined.index == 2, "holds other masks")

    for error in together(3, compare):
        assert isinstance(error, errors.StateError) and "worker 2 (127.0.0.1:" in str(error)
        assert error.exit_status == 3 and "holds other masks" in str(error)


def test_other_flags_are_refused():
    for error in together(3, lambda joined: None, {1: {"--width": "4"}}):
        assert isinstance(error, errors.UsageError) and "--width=4, the chief --width=2" in str(error)


@pytest.mark.parametrize(("missing", "words"), [((0,), "the chief"), ((2,), "worker 2")])
def test_waiting_for_a_worker_ends(missing, words):
    for error in together(3, lambda joined: None, seconds=1.0, missing=missing):
        assert isinstance(error, errors.UsageError) and error.exit_status == 2
        assert words in str(error) and "did not" in str(error)


@pytest.mark.parametrize("broken", [0, 1])
def test_an_error_of_one_is_that_of_all(broken):
    def work(joined):
        if joined.index == broken:
            raise errors.StateError("the disk is full")
        joined.from_chief(lambda: joined.gather(1), bool)

    for error in together(3, work):
        assert isinstance(error, errors.StateError) and str(error) == "the disk is full"


@pytest.mark.parametrize("broken", [0, 1])
def test_one_that_dies_is_missed_by_all(broken):
    def work(joined):
        if joined.index == broken:
            raise ZeroDivisionError  # says nothing to the others, as a killed process does not
        joined.from_chief(lambda: joined.gather(1), bool)

    found = together(3, work)
    assert isinstance(found[broken], ZeroDivisionError)
    for error in found[:broken] + found[broken + 1 :]:
        assert isinstance(error, errors.WorkerLost) and error.exit_status == 75
        assert "is gone" in str(error) and "run the same command" in str(error)


def test_what_tensorflow_says_of_a_lost_worker_is_put_plainly():
    from tf_tickets.backend import tf

    def work(joined):
        if joined.index:
            raise ZeroDivisionError
        time.sleep(0.2)
        raise tf.errors.UnavailableError(None, None, "Socket closed")

    found = together(2, work)
    assert isinstance(found[0], errors.WorkerLost) and "worker 1" in str(found[0])


def test_a_stranger_on_the_port_is_ignored():
    def strange():
        for _ in range(200):
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as visitor:
                    return visitor.sendall(b"GET / HTTP/1.1\r\n\r\n" * 4)
            except OSError:
                time.sleep(0.01)

    (port, other) = free_ports(2)
    addresses = (f"127.0.0.1:{port}", f"127.0.0.1:{other}")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        chief = pool.submit(meeting.answer, clusters.Cluster(addresses, 0), {}, time.monotonic() + 20, lambda: False)
        pool.submit(strange).result()
        call = pool.submit(meeting.call, clusters.Cluster(addresses, 1), {}, time.monotonic() + 20, lambda: False)
        wires = chief.result()
        wires[1].send(wire.VALUE)
        call.result().close()
        wires[1].close()


@pytest.mark.parametrize(("value", "right"), [
    ([None, None], True), (["a.npz", {"step": 3, "rows": [{"epoch": 1}], "rewind": None}], True),
    (None, False), ([None, {}], False), (["a.npz", None], False), (["a.npz", {"step": 3}], False),
    (["a.npz", {"step": 3.5, "rows": []}], False), (["a.npz", {"step": 3, "rows": [1]}], False),
    ([1, {"step": 3, "rows": []}], False), (["a.npz", {"step": 3, "rows": []}, 1], False),
])  # fmt: skip
def test_what_the_chief_says_of_a_checkpoint_is_looked_at(value, right):
    from tf_tickets.experiments import rounds

    assert rounds._is_checkpoint(value) == right


def test_what_the_chief_says_of_rounds_is_looked_at():
    from tf_tickets.experiments import imp
    from tf_tickets.workers import joined

    assert joined.are_rounds([0, 2], 3) and joined.are_rounds([], 3)
    assert not any(joined.are_rounds(value, 3) for value in (None, 2, "01", [3], [-1], [True], [1.0], [[0]]))
    assert imp._is_choice([3, 2])
    assert not any(imp._is_choice(value) for value in (None, [3], [3, 3], [3, -1], [3, 2, 1], [3.0, 2]))


def test_a_checkpoint_of_a_round_that_settles_is_what_others_expect():
    from tf_tickets.pruning.settling import Settling

    settling = Settling(lambda: {"a": np.arange(20) < 3}, threshold=0.1, patience=2)
    for epoch in (1, 2):
        specs, arrays = settling.specs(), settling.arrays()
        again = messages.to_arrays(messages.of_arrays(arrays), specs)
        np.testing.assert_equal(again, arrays)
        settling.after_epoch(epoch, 20)
        assert specs == settling.specs()  # a worker that has just begun knows what a later checkpoint holds


@pytest.mark.parametrize("first_step", [0, 4])
def test_workers_deal_out_a_batch_as_devices_do(first_step):
    from tf_tickets import backend
    from tf_tickets.data import pipeline

    images = pipeline.Images(np.zeros((24, 2, 2, 1), np.uint8), np.arange(24), np.arange(24))

    def elements(workers, worker):
        devices = backend.Devices(backend.tf.distribute.get_strategy(), 4, "float32", False, "", workers, worker)
        found = pipeline.TrainingBatches(
            images, load=lambda pixels, labels, draws: (labels, draws.keys, draws.noise, draws.shared), batch_size=10,
            order_seed=0, devices=devices,
        ).iterate(round_index=1, first_step=first_step, epochs=2)  # fmt: skip
        return [[part.numpy().tolist() for part in element] for element in found]

    whole, shares = elements(1, 0), [elements(2, 0), elements(2, 1)]
    steps = len(whole) // 4
    assert steps == 6 - first_step
    dealt = [shares[worker][2 * step + which] for step in range(steps) for worker in (0, 1) for which in (0, 1)]
    assert dealt == whole
    assert sorted(label for element in whole[-12:] for label in element[1]) == list(range(24)) or first_step
    assert {len(element[1]) for element in whole[:8]} <= {1, 2, 3}


# Whole runs, each worker a process.
def flags_of(**changes):
    """The flags of a run of a network of two convolutions, which is traced in a moment."""
    return flags_of_vgg(model=small_network.NAME, **changes)


@pytest.mark.workers
def test_workers_share_a_global_batch(tmp_path):
    for row, folder in like_one_device(tmp_path, change=ONE_BLOCK):
        assert row["mask_positions"] == [0, 0] and max(row["weights"]) < BOUNDS[row["network"]], row
        for alone, shared in row["training_losses"]:
            assert shared == pytest.approx(alone, rel=1e-5)
        assert storage.read_json(folder.manifest)["workers"] == row["workers"]
        beside = os.listdir(tmp_path / str(row["workers"]))
        assert beside == [os.path.basename(os.path.dirname(folder.folder))]


@pytest.mark.workers
def test_workers_train_and_judge_the_rival_together(tmp_path):
    flags = flags_of(validation="0.2", rival="long_dense", refit="true")
    finished(start(2, tmp_path, flags))
    folder = runs.RunFolder(trees.only_run(tmp_path))
    assert folder.rival.round(0).complete and storage.read_json(folder.rival.manifest)["workers"] == 2
    both, ticket, dense, neither = np.sum(storage.read_sealed(folder.rival.verdict)["outcomes"], axis=0)
    right = [folder.round(1).read_summary(), folder.rival.round(0).read_summary()]
    counted = (both + ticket) / 10, (both + dense) / 10
    assert both + ticket + dense + neither == 10 and counted == tuple(row["validation_accuracy"] for row in right)
    assert (folder.refit.round(1) if folder.exported()[1] == "refit" else folder.refit.rival.round(0)).complete


@pytest.mark.workers
def test_workers_have_statistics_like_logical_devices(tmp_path):
    row, _ = like_logical_devices(tmp_path, small_network.NAME)
    assert row["mask_positions"] == [0, 0] and max(row["weights"]) < BOUNDS["vgg11"], row


@pytest.mark.workers
def test_a_killed_worker_ends_the_others_and_the_job_continues_to_the_same_bits(tmp_path):
    flags = flags_of(epochs=40)
    finished(start(2, tmp_path / "whole", flags))
    for victim in (1, 0):
        workers = start(2, tmp_path / "parts", flags)
        folder = training(tmp_path / "parts")
        workers[victim].send_signal(signal.SIGKILL)
        began, found = time.monotonic(), ends(workers)
        assert time.monotonic() - began < 30
        status, lines = found[1 - victim]
        assert found[victim][0] == -9 and status == 75 and len(lines) == 1
        assert f"{'worker 1' if victim else 'the chief'} (127.0.0.1:" in lines[0] and "is gone" in lines[0]
    workers = start(2, tmp_path / "parts", flags)
    training(tmp_path / "parts")
    workers[1].send_signal(signal.SIGTERM)
    for status, lines in ends(workers):
        assert status == 75 and len(lines) == 1 and "the state is saved, run again to continue" in lines[0]
    finished(start(2, tmp_path / "parts", flags))
    whole = trees.contents(trees.only_run(tmp_path / "whole"))
    trees.assert_equal(trees.contents(folder.folder), whole)
    three = ends(start(3, tmp_path / "parts", [*flags, "--rounds=3"]))
    assert [status for status, _ in three] == [2, 2, 2] and "2 devices, now there are 3" in three[0][1][0]


@pytest.mark.workers
def test_a_full_disk_of_the_chief_ends_all(tmp_path):
    # Files may have 20,000 bytes: enough for the manifest, not for a checkpoint.
    for status, lines in ends(start(2, tmp_path / "runs", flags_of(epochs=40), {0: 20_000})):
        assert status == 3 and len(lines) == 1 and "cannot be written" in lines[0]


@pytest.mark.workers
def test_training_a_ticket_over_two_workers(tmp_path):
    flags = flags_of(epochs=3)
    folder = on_one(tmp_path / "imp", flags, "cpu:2")
    flags = ["train", *flags_of(epochs=3, rounds=None), f"--ticket={folder.ticket}"]
    finished(start(2, tmp_path / "workers", flags))
    done = runs.RunFolder(trees.only_run(tmp_path / "workers")).summaries()
    assert done[0]["density"] == folder.summaries()[1]["density"]
    assert done[0]["train_loss"] == pytest.approx(folder.summaries()[1]["train_loss"], rel=1e-3)
    assert tt.Ticket.load(trees.only_run(tmp_path / "workers") + "/ticket").density == done[0]["density"]


@pytest.mark.workers
def test_workers_grow_the_same_weights(tmp_path):
    # A worker with another mask or weights than the chief would end the round.
    flags = ["train", *flags_of(control="rigl", rate=0.5, update_every=4, learning_rate=0.01)]
    finished(start(2, tmp_path, flags))
    folder = runs.RunFolder(trees.only_run(tmp_path))
    assert folder.summaries()[0]["density"] == pytest.approx(0.5, abs=1e-3)
    assert sum(float(row["mask_changed"]) for row in storage.read_csv(folder.round(0).epochs)) > 0
