"""A temperature of one's own: fitted on images that the ticket's training did not see, applied to probabilities."""

import dataclasses
import json
import os
import pathlib
import shutil

import numpy as np
import pytest
import stops
import trees
from conftest import TWO_LAYERS
from scipy import special
from torture import resealed

import tf_tickets as tt
from tf_tickets import confidence, runs, runtime, storage
from tf_tickets.backend import tf
from tf_tickets.data import sources, subsets
from tf_tickets.errors import StateError, UsageError
from tf_tickets.evaluation import calibration
from tf_tickets.evaluation.evaluate import evaluate
from tf_tickets.experiments import folds, plan_text
from tf_tickets.experiments.plan import resolve
from tf_tickets.export import card, formats, tflite, verify
from tf_tickets.report import reliability

VALUES = TWO_LAYERS | {"tensorboard": False, "rounds": 2, "choose": "last"}
IMAGES = sources.load("digits").test(slice(0, 20))[0]


def configured(out, **changes):
    return tt.Config.from_values(**VALUES | {"out": str(out)} | changes)


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    """(Config, runs.RunFolder) of a search whose ticket has a temperature from three folds."""
    config = configured(tmp_path_factory.mktemp("runs"), calibration="folds:3")
    return config, runs.RunFolder(tt.imp(config).folder)


def document_of(folder):
    return json.loads((pathlib.Path(folder.ticket) / "ticket.json").read_text())


@pytest.fixture
def copy(calibrated, tmp_path):
    """(Config, runs.RunFolder) of a copy of it."""
    config, folder = calibrated
    shutil.copytree(config.run.out, tmp_path / "runs")
    place = os.path.join(tmp_path / "runs", os.path.relpath(folder.folder, config.run.out))
    return config.replace(out=str(tmp_path / "runs")), runs.RunFolder(place)


@pytest.mark.parametrize("wanted", [0.02, 0.4, 1.0, 3.0, 50.0])
def test_the_temperature_is_the_most_likely_one(wanted):
    generator = np.random.default_rng(1)
    true = generator.normal(size=(4000, 5)) * 2
    labels = np.array([generator.choice(5, p=row) for row in special.softmax(true, axis=1)])
    fitted = calibration.fitted((true * wanted).astype(np.float32), labels, "validation")
    assert fitted["temperature"] == pytest.approx(wanted, rel=0.06) and fitted["images"] == 4000

    def loss(temperature):
        return -special.log_softmax(true * wanted / temperature, axis=1)[np.arange(4000), labels].mean()

    assert fitted["loss"] == pytest.approx(loss(fitted["temperature"]), rel=1e-5)
    assert fitted["loss_before"] == pytest.approx(loss(1.0), rel=1e-5)
    assert all(loss(fitted["temperature"] * factor) >= fitted["loss"] - 1e-7 for factor in (0.98, 1.02))


def test_where_all_is_right_nothing_is_known_and_where_all_is_wrong_it_can_be_divided_by():
    logits, labels = np.eye(4, dtype=np.float32) * 9, np.arange(4)
    right = calibration.fitted(logits, labels, "validation")
    assert right["temperature"] == 1.0 and right["loss"] == right["loss_before"] > 0
    assert 900 < calibration.fitted(logits, labels[::-1], "validation")["temperature"] <= 1e3


@pytest.mark.parametrize("seed", ["0", "7", "original"])
def test_folds_part_the_images_by_class_and_stay(seed):
    labels = np.repeat(np.arange(3), [10, 4, 7])
    positions = np.arange(0, 63, 3)
    parts = subsets.folds(labels, positions, seed, 4)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(21))
    assert [len(part) for part in parts] == subsets.fold_sizes([10, 4, 7], 4)
    counts = np.array([np.bincount(labels[part], minlength=3) for part in parts])
    assert (counts.max(axis=0) - counts.min(axis=0) <= 1).all()
    assert all(np.array_equal(a, b) for a, b in zip(parts, subsets.folds(labels, positions, seed, 4)))


def test_no_fold_s_training_saw_what_it_predicts(calibrated):
    config, folder = calibrated
    train = [row for row in storage.read_csv(folder.subset) if row["part"] == "train"]
    kept = [storage.read_arrays(folder.fold(1, fold, 3).logits) for fold in range(3)]
    predicted = np.concatenate([each["ids"] for each in kept])
    ids = np.array(sources.load("digits").ids)
    assert sorted(ids[predicted]) == sorted(row["id"] for row in train)
    for each, fold in zip(kept, range(3)):
        assert folder.fold(1, fold, 3).read_summary()["images"] == len(train) - len(each["ids"])
    logits, labels = (np.concatenate([each[name] for each in kept]) for name in ("logits", "labels"))
    ticket = tt.Ticket.load(folder.ticket)
    assert ticket.calibration == calibration.fitted(logits, labels, "folds:3")
    assert ticket.round == 1 and ticket.temperature != 1.0
    assert not any(os.path.exists(path) for fold in range(3) for path in folder.fold(1, fold, 3).checkpoints)


def test_a_fold_s_training_is_the_round_s_on_fewer_images(calibrated, monkeypatch):
    """With nothing left out it ends in the round's own bits."""
    config, folder = calibrated
    from tf_tickets.experiments import calibrating, rounds, searching
    from tf_tickets.models import state
    from tf_tickets.pruning.masks import masked_state

    plan = resolve(config)
    session = rounds.run_rounds(plan, folder, [], searching.next_round, command="imp")
    part = calibrating._Fold(session, np.zeros(0, int))
    part.held = session.validation
    monkeypatch.setattr(calibrating._Fold, "finish", lambda self, *given: None)
    training = folds.training(
        searching.next_round(session, folder, 1), part.plan, whole=plan, run=folder, fold=0, count=9
    )
    rounds.train_round(part, folder, training, stop=lambda: False)
    shutil.rmtree(os.path.dirname(training.folder.folder))
    mine, weights = state.get_state(session.steps.model), storage.read_arrays(folder.round(1).weights)
    masks = storage.read_arrays(folder.round(1).mask)
    for name, array in masked_state(mine, masks).items():
        np.testing.assert_array_equal(array, weights[name])


def test_the_digest_and_the_rounds_of_a_run_stay(calibrated, tmp_path):
    config, folder = calibrated
    plain = runs.RunFolder(tt.imp(configured(tmp_path)).folder)
    assert plain.name == folder.name
    for index in (0, 1):
        for mine, wanted in (
            (folder.round(index).path(n), plain.round(index).path(n)) for n in ("mask.npz", "weights.npz")
        ):
            assert storage.file_digest(mine) == storage.file_digest(wanted)
    ticket, bare = tt.Ticket.load(folder.ticket), tt.Ticket.load(plain.ticket)
    assert ticket.content_digest != bare.content_digest == ticket.retrained_digest
    assert document_of(plain)["format"] == 2
    assert "calibration" not in json.dumps(document_of(plain))


def test_stopped_anywhere_it_ends_in_the_same_bits(tmp_path):
    config = configured(tmp_path / "whole", calibration="folds:2")
    # In a round, and in both trainings.
    assert stops.assert_stopping_changes_nothing(tt.imp, config, tmp_path, (3, 21, 2, 6, 1000)) == 4


def test_asked_again_nothing_is_touched_and_more_is_added(copy, idle):
    config, folder = copy
    before = trees.tree(pathlib.Path(folder.folder))
    idle()
    for asked in (config, config.replace(calibration="none")):
        tt.imp(asked)
        after = trees.tree(pathlib.Path(folder.folder))
        assert {name for name in before if before[name] != after.get(name)} <= {"lock"} and set(after) == set(before)


def test_another_method_replaces_it(copy):
    config, folder = copy
    summary = os.stat(folder.fold(1, 0, 3).summary).st_mtime_ns
    tt.imp(config.replace(calibration="validation"))
    held = sum(row["part"] == "validation" for row in storage.read_csv(folder.subset))
    ticket = tt.Ticket.load(folder.ticket)
    assert (ticket.calibration["method"], ticket.calibration["images"]) == ("validation", held)
    assert "not trained on" in card.text(ticket, {}, None)
    tt.imp(config)
    assert tt.Ticket.load(folder.ticket).calibration["method"] == "folds:3"
    assert os.stat(folder.fold(1, 0, 3).summary).st_mtime_ns == summary


def test_a_damaged_calibration_is_named(copy):
    config, folder = copy
    whole = storage.read_sealed(folder.round(1).calibration)
    storage.write_json(folder.round(1).calibration, whole | {"self_sha256": "x"})
    with pytest.raises(StateError, match=r"calibration\.json does not have its own hash"):
        tt.imp(config)
    storage.write_json(folder.round(1).calibration, storage.seal(whole | {"temperature": 0.0}))
    with pytest.raises(StateError, match=r"calibration\.json: its temperature is 0\.0, no number from"):
        tt.imp(config)


def test_a_refit_is_calibrated_by_all_images_or_by_the_search(tmp_path):
    config = configured(tmp_path, refit=True, calibration="folds:2", choose="0")
    folder = runs.RunFolder(tt.imp(config).folder)
    assert tt.Ticket.load(folder.ticket).calibration["images"] == 70 and folder.refit.fold(0, 1, 2).complete
    tt.imp(config.replace(calibration="validation"))
    ticket = tt.Ticket.load(folder.ticket)
    assert ticket.refits and ticket.calibration["method"] == "validation" and ticket.calibration["images"] < 70
    assert "before it was trained again on these images too" in card.text(ticket, {}, None)


def test_a_retraining_is_calibrated_too_and_its_name_stays(calibrated, tmp_path):
    _, folder = calibrated
    config = configured(tmp_path, ticket=folder.ticket, rounds=1, choose=None)
    first = tt.train(config.replace(ticket=folder.round(1).folder))
    done = runs.RunFolder(tt.train(config.replace(calibration="folds:2")).folder)
    assert done.folder == first.folder
    ticket = tt.Ticket.load(done.ticket)
    assert ticket.calibration["method"] == "folds:2" and ticket.calibration["images"] == len(ticket.ids)


@pytest.mark.parametrize(("changes", "message"), [
    ({"calibration": "folds:1"}, "folds:K with K from 2"), ({"calibration": "folds"}, "is not none, validation or"),
    ({"calibration": "validation", "validation": None}, "needs --validation"),
    ({"calibration": "folds:2", "rewind": "learning_rate:1"}, "weights that all images have trained"),
    ({"calibration": "folds:60"}, "choose K of at most"),
])  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(tmp_path, changes, message):
    with pytest.raises(UsageError, match=message) as caught:
        tt.imp(configured(tmp_path / "runs", **changes))
    assert "\n" not in str(caught.value) and not (tmp_path / "runs").exists()


def test_a_training_on_all_images_has_none_held_out(tmp_path):
    with pytest.raises(UsageError, match="train --refit trains on what --validation holds out"):
        tt.train(configured(tmp_path, refit=True, calibration="validation", rounds=1))
    with pytest.raises(UsageError, match="trains one mask, which --control=gradual has not"):
        tt.train(configured(tmp_path, control="gradual", calibration="folds:2", choose=None))


def test_the_plan_shows_what_the_folds_cost(calibrated):
    config, folder = calibrated
    plan = resolve(config)
    text = plan_text.text(plan, "imp")
    steps = sum(
        5 * fold.steps_per_epoch - fold.steps_per_epoch for fold in folds.plans(plan)
    )  # four epochs after the rewind point
    assert "calibrate   3 trainings of round 1 on" in text and f"{steps:,} steps" in text
    assert "at most" in plan_text.text(resolve(config.replace(choose="validation")), "imp").split("calibrate")[1]
    held = plan_text.text(resolve(config.replace(calibration="validation")), "imp")
    assert "images held out: nothing is trained for it" in held


def test_every_format_divides_before_softmax_and_leaves_logits(calibrated, tmp_path):
    _, folder = calibrated
    ticket = tt.Ticket.load(folder.ticket)
    bare = dataclasses.replace(ticket, calibration=None)
    serve = tf.saved_model.load(folder.ticket).signatures["serving_default"]
    answer = {name: value.numpy() for name, value in serve(images=tf.constant(IMAGES)).items()}
    wanted = special.softmax(answer["logits"].astype(np.float64) / ticket.temperature, axis=1)
    assert np.abs(wanted - bare.predict(IMAGES)).max() > 1e-3
    np.testing.assert_allclose(answer["probabilities"], wanted, atol=1e-6)
    np.testing.assert_allclose(ticket.predict(IMAGES), wanted, atol=1e-5)
    formats.export(folder.ticket, ["runtime", "tflite"], tt.Config.from_values(dataset="digits"), str(tmp_path))
    for path in (folder.ticket, str(tmp_path / "runtime.npz")):
        for compiled in (False, True):
            network = runtime.load(path, compiled=compiled)
            np.testing.assert_allclose(network.logits(IMAGES), answer["logits"], atol=1e-4)
            np.testing.assert_allclose(network.predict(IMAGES), wanted, atol=1e-4)
    np.testing.assert_allclose(
        tflite.predictor((tmp_path / "ticket.tflite").read_bytes(), 1)(IMAGES), wanted, atol=1e-4
    )


def test_it_is_said_wherever_a_ticket_is_described(calibrated):
    ticket = tt.Ticket.load(calibrated[1].ticket)
    text = card.text(ticket, {}, None)
    assert f"softmax(logits / {ticket.temperature:.6g})" in text and f"{len(ticket.ids)} images most likely" in text
    assert "not calibrated" not in text and f", temperature {ticket.temperature:.4g}" in repr(ticket)
    assert f"; temperature {ticket.temperature:.4g};" in verify.verify(calibrated[1].ticket)


def test_rows_say_which_temperature_they_are_of_and_others_are_measured_anew(copy):
    config, folder = copy
    tt.imp(config)
    ask = config.replace(which="all")
    rows = evaluate([folder.folder], ask)
    by = {(row["round"], row["metric"]): float(row["value"]) for row in rows}
    ticket = tt.Ticket.load(folder.ticket)
    assert by["1", "temperature"] == ticket.temperature and ("0", "temperature") not in by
    images, labels = sources.load("digits").test()
    probabilities = ticket.predict(images)
    wanted = confidence.expected_calibration_error(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)
    assert by["1", "calibration_error"] == pytest.approx(wanted, abs=1e-4)
    assert by["1", "calibration_error_uncalibrated"] != by["1", "calibration_error"]
    kept = storage.read_arrays(folder.round(1).predictions)
    np.testing.assert_allclose(kept["confidences"], probabilities.max(axis=1), atol=1e-5)
    assert kept["temperature"] == ticket.temperature
    shown = reliability.gather([folder], problems := [])
    assert not problems and shown["ticket"][0].temperatures == (ticket.temperature,)
    assert confidence.expected_calibration_error(kept["confidences"], kept["predictions"] == labels) == pytest.approx(
        wanted, abs=1e-4
    )
    tt.imp(config.replace(calibration="validation"))
    again = {(row["round"], row["metric"]): float(row["value"]) for row in evaluate([folder.folder], ask)}
    assert again["1", "temperature"] == tt.Ticket.load(folder.ticket).temperature != by["1", "temperature"]
    assert again["1", "calibration_error_uncalibrated"] == by["1", "calibration_error_uncalibrated"]
    tt.imp(config)  # its rounds still have the hashes that they left


BAD = [0.0, -1.0, 1e300, 1e-30, "2.0", None, True, 2, [], {"a": 1}]


@pytest.mark.parametrize("value", BAD)
def test_a_resealed_temperature_that_is_none_is_refused(calibrated, tmp_path, value):
    folder = calibrated[1].ticket
    document = document_of(calibrated[1])
    document["members"][0]["calibration"]["temperature"] = value
    arrays = storage.read_arrays(os.path.join(folder, "ticket.npz"))
    place = tmp_path / "ticket"
    shutil.copytree(folder, place)
    resealed.write(place, document, resealed.hashed(arrays))
    with pytest.raises(StateError, match="temperature") as caught:
        verify.verify(str(place))
    assert "\n" not in str(caught.value)
    with pytest.raises(runtime.Damaged, match="temperature"):
        runtime.load(str(place))


@pytest.mark.parametrize("change", [
    lambda d: d.update(format=4), lambda d: d.update(format="3"), lambda d: d.update(members=[]),
    lambda d: d.update(members=d["members"] * 1000), lambda d: d.update(members={}), lambda d: d.pop("members"),
    lambda d: d.update(format=2), lambda d: d["members"][0].update(calibration={"temperature": 2.0}),
])  # fmt: skip
def test_what_no_format_has_is_refused_in_one_line(calibrated, tmp_path, change):
    folder = calibrated[1].ticket
    document = document_of(calibrated[1])
    change(document)
    place = tmp_path / "ticket"
    shutil.copytree(folder, place)
    resealed.write(place, document, resealed.hashed(storage.read_arrays(os.path.join(folder, "ticket.npz"))))
    with pytest.raises(StateError) as caught:
        verify.verify(str(place))
    assert "\n" not in str(caught.value)
