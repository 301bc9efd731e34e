"""`evaluate`: rows beside each network, written once; calibration; attacks."""

import csv
import dataclasses
import json
import os
import pathlib
import shutil
from unittest import mock

import command_server
import numpy as np
import pytest
from absl import flags
from conftest import QUICK, ROOT

import tf_tickets as tt
from tf_tickets import columns, confidence, errors, registry, runs, storage
from tf_tickets.backend import tf
from tf_tickets.data import pipeline, sources
from tf_tickets.evaluation import attacks, calibration, corruptions, evaluate, networks, predictions, replicas
from tf_tickets.export import writer
from tf_tickets.registry import DATASETS
from tf_tickets.settings import cli
from tf_tickets.training import losses

EVALUATORS = "clean,corruptions,fgsm,pgd"
TINY = dataclasses.replace(DATASETS["cifar10"].facts, test_counts=(2,) * 10)
RNG = np.random.default_rng(3)
PIXELS = RNG.integers(0, 256, (100, 32, 32, 3), dtype=np.uint8)
LABELS = np.tile(np.arange(10), 10)


def settings(**changes):
    return tt.Config.from_values(**{"evaluators": EVALUATORS, "attack_steps": 2, "restarts": 2} | changes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run of three rounds on digits; treat as read-only."""
    return tt.imp(tt.Config.from_values(**QUICK, out=str(tmp_path_factory.mktemp("runs")))).folder


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the run that a test may add rows to."""
    return runs.RunFolder(shutil.copytree(trained, tmp_path / os.path.basename(os.path.dirname(trained)) / "seed_0"))


@pytest.fixture
def few(monkeypatch, tmp_path):
    """Four kinds of corruption, three of them standard, and no folder to keep images in."""
    chosen = {name: corruptions.CORRUPTIONS[name] for name in ("fog", "contrast", "gaussian_noise", "saturate")}
    monkeypatch.setattr(corruptions, "CORRUPTIONS", chosen)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "none"))


def keys(rows):
    return [(row["evaluator"], row["setting"], row["metric"]) for row in rows]


def test_rows_are_appended_once(run, few, idle):
    before = storage.read_csv(run.round(0).evaluations)
    rows = evaluate.evaluate([run.folder], settings())
    assert {row["round"] for row in rows} == {"0", "2"} and len({row["run"] for row in rows}) == 1
    files_now = {index: pathlib.Path(run.round(index).evaluations).read_bytes() for index in range(3)}
    mine = storage.read_csv(run.round(0).evaluations)
    assert mine[: len(before)] == before and len(set(keys(mine))) == len(mine)
    assert len(storage.read_csv(run.round(1).evaluations)) == len(before)
    idle()
    assert evaluate.evaluate([run.folder, run.round(2).folder], settings()) == rows
    assert {index: pathlib.Path(run.round(index).evaluations).read_bytes() for index in range(3)} == files_now
    with pytest.raises(AssertionError, match="computed again"):
        evaluate.evaluate([run.folder], settings(which="all"))


def test_the_rows_say_what_was_measured(run, few):
    rows = evaluate.evaluate([run.round(2).folder], settings())
    values = {key: float(row["value"]) for key, row in zip(keys(rows), rows)}
    summary = storage.read_json(run.round(2).summary)
    assert values["clean", "test", "accuracy"] == pytest.approx(summary["test_accuracy"], abs=2 / 600)
    assert all(float(row["density"]) == summary["density"] and row["round"] == "2" for row in rows)
    counts = {key[2]: value for key, value in values.items() if key[2].startswith("confusion:")}
    right = sum(value for name, value in counts.items() if len(set(name[10:].split(">"))) == 1)
    assert sum(counts.values()) == 600 and right / 600 == pytest.approx(values["clean", "test", "accuracy"])
    by_class = [values["clean", "test", f"accuracy:{label}"] for label in range(10)]
    assert np.mean(by_class) == pytest.approx(values["clean", "test", "balanced_accuracy"])
    parts = {key[1] for key in values if key[0] == "generated-corruptions"}
    severities = {f"{name}:{s}" for name in ("fog", "contrast", "gaussian_noise") for s in range(1, 6)}
    assert parts == severities | {"standard_3", "all_3"}
    mean = np.mean([values["generated-corruptions", one, "accuracy"] for one in severities])
    assert values["generated-corruptions", "standard_3", "accuracy"] == pytest.approx(mean)
    fgsm = values["fgsm", "eps=0.03137", "accuracy"]
    pgd = values["pgd", "eps=0.03137,step=0.007843,steps=2,restarts=2", "accuracy"]
    assert max(fgsm, pgd) <= values["clean", "test", "accuracy"]
    text = evaluate.table(rows).splitlines()
    assert text[0].split()[:4] == ["run", "round", "density", "evaluator"] and len(text) == 1 + 5
    assert f"{100 * fgsm:.2f} %" in text[-2]


def test_a_ticket_folder_stays_as_it_is_and_agrees_with_its_round(run, few):
    ticket = storage.read_json(f"{run.ticket}/ticket.json")
    before = sorted(ticket["files"])
    rows = evaluate.evaluate([run.ticket], settings())
    assert storage.read_csv(f"{run.ticket}.evaluations.csv") == rows
    assert writer.files_below(run.ticket) == before
    same = {key: row["value"] for key, row in zip(keys(rows), rows)}
    other = evaluate.evaluate([run.folder], settings(which="ticket", evaluators="clean"))
    assert {row["round"] for row in other} == {"2"}
    errors_found = [row["value"] for row in other if row["metric"] == "calibration_error"]
    assert errors_found == [same["clean", "test", "calibration_error"]]


def test_predictions_are_kept_with_examples_of_what_differs(run, idle):
    evaluate.evaluate([run.folder], settings(evaluators="clean"))
    dense, ticket = (storage.read_arrays(run.round(index).predictions) for index in (0, 2))
    pixels, labels = sources.load("digits").test()
    for index, kept in ((0, dense), (2, ticket)):
        assert kept["predictions"].dtype == kept["labels"].dtype == np.uint16
        np.testing.assert_array_equal(kept["labels"], labels)
        rows = storage.read_csv(run.round(index).evaluations)
        (right,) = {float(row["value"]) for row in rows if row["metric"] == "accuracy" and row["setting"] == "test"}
        assert (kept["predictions"] == labels).mean() == pytest.approx(right, abs=2 / 600)
    found = storage.read_arrays(run.examples)
    at = found["positions"]
    np.testing.assert_array_equal(found["images"], pixels[at])
    for name, source in (("labels", labels), ("dense", dense["predictions"]), ("ticket", ticket["predictions"])):
        np.testing.assert_array_equal(found[name], source[at])
    right = dense["predictions"] == labels, ticket["predictions"] == labels
    assert (found["gained"], found["lost"]) == ((~right[0] & right[1]).sum(), (right[0] & ~right[1]).sum())
    assert 0 < len(at) <= predictions.MOST_EXAMPLES and (right[0][at] != right[1][at]).all()
    assert (found["round"], found["total"]) == (2, 600) and list(found["classes"]) == [str(k) for k in range(10)]
    before = pathlib.Path(run.examples).read_bytes()
    rows = pathlib.Path(run.round(2).evaluations).read_bytes()
    # Evaluated before predictions were kept: they are added, the rows stay.
    storage.remove(run.round(2).predictions)
    storage.remove(run.examples)
    evaluate.evaluate([run.folder], settings(evaluators="clean"))
    assert pathlib.Path(run.examples).read_bytes() == before
    assert pathlib.Path(run.round(2).evaluations).read_bytes() == rows
    idle()
    evaluate.evaluate([run.folder], settings(evaluators="clean"))


def test_examples_show_both_directions():
    labels = np.zeros(100, int)
    dense, ticket = np.ones(100, int), np.ones(100, int)
    ticket[:60] = 0
    dense[60:63] = 0
    gained, lost = predictions.choose_examples(labels, dense, ticket, 8)
    assert list(gained) == [0, 12, 24, 36, 48] and list(lost) == [60, 61, 62]
    dense[70:] = 0
    gained, lost = predictions.choose_examples(labels, dense, ticket, 8)
    assert len(gained) == len(lost) == 4 and set(lost) <= {60, 61, 62, *range(70, 100)}
    assert [len(part) for part in predictions.choose_examples(labels, labels, labels)] == [0, 0]


def test_a_stopped_evaluation_goes_on(run, few):
    asked = []
    with pytest.raises(errors.StopRequested):
        evaluate.evaluate([run.folder], settings(), lambda: asked.append(1) or len(asked) > 5)
    part = storage.read_csv(run.round(0).evaluations)
    rows = evaluate.evaluate([run.folder], settings())
    assert storage.read_csv(run.round(0).evaluations)[: len(part)] == part
    rounds = [row["round"] for row in rows]
    assert len(set(zip(rounds, keys(rows)))) == len(rows) and set(rounds) == {"0", "2"}


def test_what_is_no_network_is_refused(run, few, tmp_path):
    for path in (tmp_path, run.path("tensorboard"), os.path.dirname(run.folder)):
        with pytest.raises(errors.UsageError, match="no run, round or ticket folder"):
            evaluate.evaluate([str(path)], settings())
    storage.remove(run.round(1).summary)
    with pytest.raises(errors.UsageError, match="not complete"):
        evaluate.evaluate([run.round(1).folder], settings())
    storage.remove(run.ticket)
    with pytest.raises(errors.UsageError, match="--which=ticket"):
        evaluate.evaluate([run.folder], settings(which="ticket"))
    with pytest.raises(errors.UsageError, match="cifar10, not digits"):
        evaluate.evaluate([run.folder], settings(evaluators="shift"))
    with run.locked(), pytest.raises(errors.LockedError):
        evaluate.evaluate([run.folder], settings())
    with open(run.round(0).evaluations, "w") as file:
        file.write("run,value\n1,2\n")
    with pytest.raises(errors.StateError, match="evaluations.csv has other columns"):
        evaluate.evaluate([run.folder], settings())


@pytest.mark.parametrize(("words", "expected"), [
    (["evaluate"], ["evaluate needs run, round or ticket folders", "such as: evaluate"]),
    (["evaluate", "none"], ["none does not exist"]),
    (["evaluate", ".", "--evaluators=clean,noise"], ["--evaluators=clean,noise", "corruptions"]),
    (["evaluate", ".", "--evaluators=clean,clean"], ["at most once"]),
    (["evaluate", ".", "--which=best"], ["--which=best", "dense_and_ticket"]),
    (["evaluate", ".", "--restarts=2"], ["--restarts", "--evaluators=pgd"]),
    (["evaluate", ".", "--attack_eps=0.1"], ["--attack_eps", "fgsm"]),
    (["evaluate", ".", "--evaluators=fgsm", "--attack_steps=3"], ["--attack_steps", "pgd"]),
    (["--evaluators=fgsm"], ["--evaluators", "evaluate, not imp"]),
    (["report", ".", "--which=all"], ["--which", "evaluate, not report"]),
])  # fmt: skip
def test_flags_that_do_not_belong_are_refused(words, expected):
    with pytest.raises(errors.UsageError) as caught:
        cli.parse(["tf-tickets", *words], flags.FlagValues())
    assert all(part in str(caught.value) for part in expected)


ON_TWO_DEVICES = """
import json, sys
import tf_tickets as tt
from tf_tickets import columns, backend
from tf_tickets.evaluation import evaluate
config = tt.Config.from_values(
    evaluators="clean,fgsm,pgd", attack_eps=0.1, attack_steps=2, restarts=0, strategy="cpu:2")
rows = evaluate.evaluate(sys.argv[1:], config)
assert backend.start(config.run).strategy.num_replicas_in_sync == 2
json.dump(rows, sys.stdout)
"""


def test_two_devices_share_each_batch_and_measure_the_same(run):
    other = runs.RunFolder(shutil.copytree(run.folder, str(run.folder).replace("seed_0", "seed_1")))
    alone = evaluate.evaluate([run.folder], settings(evaluators="clean,fgsm,pgd", attack_eps=0.1, restarts=0))
    done = command_server.loaded().run(ROOT, [other.folder], code=ON_TWO_DEVICES)
    assert done.returncode == 0, done.stderr
    shared = json.loads(done.stdout)
    alone, shared = ([row for row in rows if row["n"] == "600"] for rows in (alone, shared))
    assert keys(shared) == keys(alone) and len(alone) == 2 * 6
    for mine, theirs in zip(alone, shared):
        assert float(mine["value"]) == pytest.approx(float(theirs["value"]), abs=1e-5)


@pytest.mark.parametrize("count", [1, 2, 7, 8])
def test_a_batch_that_does_not_divide_is_filled_up_and_cut(count):
    mirrored = mock.Mock(num_replicas_in_sync=2)
    mirrored.experimental_distribute_values_from_function = lambda value: [
        value(mock.Mock(replica_id_in_sync_group=index)) for index in range(2)
    ]
    mirrored.run = lambda function, args: list(map(function, *args))
    mirrored.experimental_local_results = list
    array = np.arange(3 * count).reshape(count, 3)
    with mock.patch.object(tf, "function", lambda function, **options: function):
        doubled = replicas.spread(lambda x: 2 * x, mirrored)(array)
    np.testing.assert_array_equal(doubled, 2 * array)


def test_pgd_takes_ten_steps_unless_told():
    assert registry.EVALUATORS["pgd"].attack(settings(attack_steps=1)).steps == 10
    found = registry.EVALUATORS["pgd"].attack(settings(attack_steps=7, attack_eps=0.1, restarts=0))
    assert found.setting == "eps=0.1,step=0.007843,steps=7,restarts=0"
    assert registry.EVALUATORS["fgsm"].attack(settings()).setting == "eps=0.03137"


def test_an_attack_s_restarts_are_its_worst(trained, monkeypatch):
    ticket = tt.Ticket.load(f"{trained}/ticket")
    data_set = DATASETS["digits"].facts
    pixels, labels = sources.load("digits").test()
    images = pipeline.Images(pixels[:60], labels[:60], np.arange(60))
    targets, model, noise = tf.one_hot(images.labels, 10), ticket.build(), attacks._noise

    def loss(restarts, first=0):
        monkeypatch.setattr(attacks, "_noise", lambda *parts: noise(*parts[:-1], parts[-1] + first))
        attack = attacks.Attack("pgd", 0.2, 0.1, 2, restarts)
        return losses.cross_entropy(targets, attacks.logits_of(model, images, data_set, attack, batch=25)).numpy()

    each = np.stack([loss(1, first) for first in range(3)])
    np.testing.assert_array_equal(loss(3), each.max(axis=0))
    assert len(set(each.argmax(axis=0))) == 3


def test_calibration_error_of_cases_made_by_hand():
    error = confidence.expected_calibration_error
    assert error(np.full(10, 0.7), np.arange(10) < 7) == pytest.approx(0.0)
    assert error(np.full(10, 0.9), np.arange(10) < 6) == pytest.approx(0.3)
    # Two bins: 4 images at 0.95 all right, 6 at 0.55 of which 2 are right.
    sure, correct = np.repeat([0.95, 0.55], [4, 6]), np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0], bool)
    assert error(sure, correct) == pytest.approx(0.4 * 0.05 + 0.6 * (0.55 - 1 / 3))
    # Over- and underconfidence cancel within a bin and not between bins; an edge belongs to the bin below.
    assert error(np.array([0.62, 0.64]), np.array([True, False]), 2) == pytest.approx(0.13)
    assert error(np.array([0.5, 0.75]), np.array([True, False]), 2) == pytest.approx(0.625)
    assert error(np.ones(3), np.ones(3, bool)) == 0.0


def test_confidence_and_confusion():
    logits = np.array([[0.0, 0.0], [1000.0, 0.0], [0.0, np.log(3.0)]], np.float32)
    np.testing.assert_allclose(calibration.confidences(logits), [0.5, 1.0, 0.75], rtol=1e-6)
    counts = calibration.confusion(logits, np.array([0, 1, 1]), 2)
    np.testing.assert_array_equal(counts, [[1, 0], [1, 1]])


def test_rows_are_csv_that_anyone_reads(run, few):
    evaluate.evaluate([run.ticket], settings(evaluators="pgd"))
    with open(f"{run.ticket}.evaluations.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["setting"] == "eps=0.03137,step=0.007843,steps=2,restarts=2" and row["metric"] == "accuracy"
    assert networks.subjects(run.ticket, "all")[0].rows() == [row]


def test_the_table_s_columns_stand_under_each_other_also_of_wide_names():
    row = {"round": "1", "density": "0.8", "evaluator": "clean", "setting": "test", "metric": "accuracy", "value": "1"}
    lines = evaluate.table([row | {"run": name, "n": "10"} for name in ("猫と犬", "plain-run")]).splitlines()
    assert len({columns.width(line[: line.index("80.00 %")]) for line in lines[1:]}) == 1
