"""`train --control=probe`: a logistic regression as the head of a network, its ticket, what it refuses."""

import dataclasses
import glob
import os
import pathlib

import numpy as np
import pandas
import pytest
from conftest import QUICK
from sklearn.linear_model import LogisticRegression

import tf_tickets as tt
from tf_tickets import main, runs, storage
from tf_tickets.analysis import linear_probe
from tf_tickets.data import pipeline, sources, subsets
from tf_tickets.errors import StopRequested, UsageError
from tf_tickets.experiments import features as kept_features
from tf_tickets.experiments import folds, train
from tf_tickets.export import loading, writer
from tf_tickets.report import plots, probes, rivals, tables

SETTINGS = QUICK | {"control": "probe", "tensorboard": False}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The settings of a probe of a network as first drawn."""
    return tt.Config.from_values(**SETTINGS, out=str(tmp_path_factory.mktemp("runs")))


@pytest.fixture(scope="module")
def probed(config):
    """The folder of its run."""
    return runs.RunFolder(tt.train(config).folder)


def seen(ticket, images):
    """Logits and features of images by a ticket's network, float64."""
    mean, deviation = (np.asarray(ticket.data[name], np.float32) for name in ("mean", "deviation"))
    pixels = images.astype(np.float32) / np.float32(ticket.data["scale"])
    return [part.astype(np.float64) for part in ticket.with_features().predict((pixels - mean) / deviation, verbose=0)]


def test_the_ticket_s_logits_are_scikit_learn_s_decision_function(probed):
    ticket, source = loading.load(probed.ticket), sources.load("digits", None)
    positions = np.array([source.ids.index(name) for name in ticket.ids])
    _, inside = seen(ticket, source.images(positions))
    logits, outside = seen(ticket, source.test()[0])
    mean, deviation = inside.mean(axis=0), inside.std(axis=0)
    deviation[deviation == 0] = 1.0
    strength = probed.round(0).read_summary()["probe"]["inverse_penalty"]
    classifier = LogisticRegression(C=strength, max_iter=300, tol=1e-3)
    classifier.fit((inside - mean) / deviation, source.labels[positions])
    expected = classifier.decision_function((outside - mean) / deviation)
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=2e-4)
    right = (classifier.predict((outside - mean) / deviation) == source.test()[1]).mean()
    row = storage.read_csv(probed.round(0).epochs)
    assert float(row[0]["test_accuracy"]) == pytest.approx(right) and len(row) == 1 and row[0]["epoch"] == "0"
    with open(os.path.join(probed.ticket, "MODEL_CARD.md")) as file:
        assert file.read().startswith("# Linear probe: vgg11")


def test_nothing_of_the_backbone_is_changed(probed):
    start, end = storage.read_arrays(probed.rewind), storage.read_arrays(probed.round(0).weights)
    assert [name for name in end if not np.array_equal(start[name], end[name])] == ["linear/kernel", "linear/bias"]


def test_the_strongest_of_the_best_penalties_is_chosen_by_folds_of_the_training_images(probed):
    rows = storage.read_csv(probed.round(0).penalty)
    accuracies = [float(row["held_out_accuracy"]) for row in rows]
    assert [row["chosen"] for row in rows].index("1") == accuracies.index(max(accuracies)) and len(set(accuracies)) > 1
    assert probed.round(0).read_summary()["probe"]["folds"] == 5


def test_the_same_bits_whatever_the_test_labels_are(config, probed, tmp_path, monkeypatch):
    whole = pipeline.Images.of_test
    monkeypatch.setattr(pipeline.Images, "of_test", lambda source, **words: dataclasses.replace(
        whole(source, **words), labels=np.roll(whole(source, **words).labels, 1)
    ))  # fmt: skip
    other = runs.RunFolder(tt.train(config.replace(out=str(tmp_path))).folder).round(0)
    for name in ("weights", "penalty"):
        assert storage.file_digest(getattr(other, name)) == storage.file_digest(getattr(probed.round(0), name))
    assert other.read_summary()["test_accuracy"] != probed.round(0).read_summary()["test_accuracy"]


def test_a_stopped_one_goes_on_with_the_features_it_has_and_a_damaged_file_is_made_anew(
    config, probed, tmp_path, monkeypatch, capfd
):
    config, calls, computed = config.replace(out=str(tmp_path)), [], []
    with pytest.raises(StopRequested):  # after the training images' features
        tt.train(config, lambda: bool(glob.glob(str(tmp_path / "features" / "*"))))
    (kept,) = glob.glob(str(tmp_path / "features" / "*.npz"))
    logits_of = kept_features.accuracy.logits_of

    def counting(compute, images, data_set, **more):
        computed.append(len(images))
        return logits_of(compute, images, data_set, **more)

    monkeypatch.setattr(kept_features.accuracy, "logits_of", counting)
    folder = runs.RunFolder(tt.train(config).folder)
    assert computed == [len(sources.load("digits", None).test()[1]), 10]  # test and validation, not training
    weights = storage.read_arrays(folder.round(0).weights)
    for name, array in storage.read_arrays(probed.round(0).weights).items():
        np.testing.assert_array_equal(weights[name], array)
    assert tt.train(config, lambda: calls.append(1) or False).folder == folder.folder and not calls  # complete
    changed = storage.read_arrays(kept)
    changed["features"][0, 0] += 1  # whole as a file, another number inside
    storage.write_arrays(kept, changed)
    again = config.replace(seed=0, order_seed=1)
    folder = runs.RunFolder(tt.train(again).folder)
    assert f"{kept} is damaged" in capfd.readouterr().err and computed[2:] == [60]
    np.testing.assert_array_equal(
        storage.read_arrays(folder.round(0).weights)["linear/kernel"], weights["linear/kernel"]
    )


def test_a_ticket_s_network_is_probed_with_its_mask(config, probed, tmp_path):
    ticket, generator = loading.load(probed.ticket), np.random.default_rng(0)
    masks = {name: generator.random(mask.shape) < 0.7 for name, mask in ticket.masks.items()}
    zeros = {f"{name}/kernel": np.where(mask, ticket.trained[f"{name}/kernel"], 0) for name, mask in masks.items()}
    trained = ticket.trained | zeros
    sparse = dataclasses.replace(ticket, masks=masks, trained=trained, rewound=trained)
    path = writer.write(sparse, str(tmp_path / "sparse"))
    probe = config.replace(ticket=path, out=str(tmp_path / "runs"))
    text = main.plan_text("train", probe)
    assert "no training: features of" in text and "its mask and its weights as trained, without its head" in text
    folder = runs.RunFolder(tt.train(probe).folder)
    weights = storage.read_arrays(folder.round(0).weights)
    changed = [name for name in weights if not np.array_equal(weights[name], trained[name])]
    assert changed == ["linear/kernel", "linear/bias"]
    assert folder.round(0).read_summary()["weights_left"] == sum(mask.sum() for mask in masks.values())


def test_settings_of_training_have_no_meaning_and_a_dry_run_says_so(config):
    folder = train.prepare(config)[2].folder
    changes = {"epochs": 40, "learning_rate": 0.01, "augment": "rand", "batch_size": 7, "loss": "label_smoothing"}
    more = {"rounds": 9, "rewind": "epoch:3", "strategy": "cpu:2", "optimizer": "adam"}
    assert train.prepare(config.replace(**changes, **more))[2].folder == folder
    assert train.prepare(config.replace(width=4))[2].folder != folder
    text = main.plan_text("train", config.replace(**changes))
    assert "no training: features of 670 images, a logistic regression, penalty by 5 folds of the" in text
    assert "40 epochs" not in text and "steps" not in text


@pytest.mark.parametrize("changes, words", [
    ({"head": "cosine"}, "--control=probe fits a linear head: --head=cosine conflicts"),
    ({"head": "tvmf"}, "--control=probe fits a linear head: --head=tvmf conflicts"),
    ({"strategy": "multi_worker"}, "--control=probe fits on one machine"),
    ({"calibration": "folds:5"}, "use --calibration=validation"),
])  # fmt: skip
def test_what_it_cannot_do_is_refused(changes, words):
    with pytest.raises(UsageError, match=words):
        tt.Config.from_values(**SETTINGS | changes)


def test_imp_has_no_probe(config):
    with pytest.raises(UsageError, match="--control=probe belongs to train, not imp"):
        tt.imp(config)


def test_features_that_are_no_numbers_leave_no_run(config, tmp_path, monkeypatch):
    of = kept_features.Features.of
    monkeypatch.setattr(kept_features.Features, "of", lambda *words: of(*words) * np.float32("nan"))
    with pytest.raises(UsageError, match="--model=vgg11: the features of the training images are no finite numbers"):
        tt.train(config.replace(out=str(tmp_path)))
    assert os.listdir(tmp_path) == ["features"]


def drawn(classes, each, length=6, seed=0):
    """Features around a point for each class, and labels."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    return (generator.normal(size=(classes, length))[labels] + 0.7 * generator.normal(size=(len(labels), length)),
            labels)  # fmt: skip


def fitted(features, labels):
    count = folds.penalty_folds(np.bincount(labels))
    return linear_probe.fit_by_folds(features, labels, subsets.folds(labels, np.arange(len(labels)), "0", count))


def assert_same(probe, features, classes):
    kernel, bias = probe.head(classes)
    logits = features.astype(np.float32) @ kernel + bias
    decided = probe.classifier.decision_function((features - probe.mean) / probe.deviation)
    if decided.ndim == 1:
        np.testing.assert_allclose(logits[:, 1] - logits[:, 0], decided, atol=1e-4)
    else:
        np.testing.assert_allclose(logits[:, probe.classifier.classes_], decided, atol=1e-4)
    assert set(logits.argmax(axis=1)) <= set(probe.classifier.classes_)


@pytest.mark.parametrize("case", ["plain", "constant", "zero", "two", "single", "absent", "large"])
def test_the_head_is_the_classifier_in_odd_cases_too(case):
    features, labels = drawn(2 if case == "two" else 4, 12)
    if case == "constant":
        features[:, 2] = 3.25
    if case == "zero":
        features[:] = 0.0
    if case == "single":
        features, labels = features[11:], labels[11:]  # class 0 has one image
    if case == "large":
        features = features * 1e6
    probe, accuracies = fitted(features, labels)
    assert_same(probe, features, labels.max() + (2 if case == "absent" else 1)) if case != "large" else None
    assert len(accuracies) == len(linear_probe.STRENGTHS_OF_FOLDS) and np.isfinite(probe.classifier.coef_).all()
    # What is fitted to standardised features knows no units.
    assert case != "large" or fitted(features / 1e6, labels)[1] == accuracies
    assert case != "zero" or not probe.classifier.coef_.any()


def test_one_image_of_each_class_leaves_nothing_to_choose():
    probe, accuracies = fitted(*drawn(2, 1))
    assert probe.strength == linear_probe.UNCHOSEN and accuracies == [] and np.isnan(probe.held_out_accuracy)
    assert [folds.penalty_folds(sizes) for sizes in ([50, 50], [3, 50], [1, 50], [0, 4])] == [5, 3, 2, 4]


def test_folds_are_standardised_without_what_they_hold_out():
    features, labels = drawn(3, 10)
    parts = subsets.folds(labels, np.arange(30), "0", 5)
    right = 0
    for held in parts:
        rows = np.setdiff1d(np.arange(30), held)
        mean, deviation = features[rows].mean(axis=0), features[rows].std(axis=0)
        classifier = LogisticRegression(C=0.1, max_iter=300, tol=1e-3).fit(
            (features[rows] - mean) / deviation, labels[rows]
        )
        right += (classifier.predict((features[held] - mean) / deviation) == labels[held]).sum()
    place = linear_probe.STRENGTHS_OF_FOLDS.index(0.1)
    assert linear_probe.fit_by_folds(features, labels, parts)[1][place] == right / 30


def recipes():
    """Six pairs of a search, a dense network and a probe, as `tables.collect` gives them."""
    rows = []
    for seed in range(6):
        common = {"seed": seed, "subset_seed": seed, "order_seed": 0, "dataset": "cifar10", "model": "resnet18",
                  "data": "1 %", "searched": 0, "epochs": 30, "recipe": "unknown", "criterion": "magnitude",
                  "weights_total": 1000}  # fmt: skip
        for digest, control, augment, rounds in [
            ("aaaaaaaa", "none", "base", [(1000, 0.60), (500, 0.55 + 0.01 * seed)]),
            ("cccccccc", "none", "rand", [(1000, 0.62)]),
            ("pppppppp", "probe", "none", [(1000, 0.58)]),
        ]:
            for index, (left, accuracy) in enumerate(rounds):
                rows.append({**common, "run": f"{digest}/{seed}", "digest": digest, "control": control, "round": index,
                             "augment": augment, "rewind": "init" if control == "probe" else "epoch:2",
                             "weights_left": left, "density": left / 1000, "test_accuracy": accuracy})  # fmt: skip
    return pandas.DataFrame(rows)


def test_every_recipe_is_compared_with_the_probe_pair_by_pair():
    table = probes.compared(recipes())
    assert list(table["name"]) == [
        "augment base, magnitude: dense", "augment base, magnitude: round 1", "augment rand",
    ]  # fmt: skip
    assert list(table["difference"]) == pytest.approx([2.0, -0.5, 4.0]) and list(table["n"]) == [6] * 3
    assert table["low"].iloc[1] < -0.5 < table["high"].iloc[1] and (table["p_holm"] >= table["p_value"]).all()
    ((title, rows),) = probes.groups(table, recipes())
    assert title == "Against the linear probe" and tables.align(probes.cells(rows))
    fewer = recipes()[lambda frame: (frame["control"] != "probe") | (frame["seed"] < 2)]
    assert list(probes.compared(fewer)["n"]) == [2] * 3
    assert probes.compared(recipes()[lambda frame: frame["control"] != "probe"]).empty


def test_the_figure_has_the_probe_as_a_line_of_its_name_and_it_is_no_rival_twice():
    frame = recipes()
    assert plots.labels(frame)[1]["pppppppp"] == "linear probe"
    (axes,) = plots.figure(frame, "").axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert lines["linear probe: mean of 6 runs"].get_ydata() == pytest.approx([58.0, 58.0])
    assert "pppppppp" not in set(rivals.compared(frame)["rival"])


def test_report_and_run_show_it(probed, tmp_path):
    from tf_tickets.report import command

    text, problems = command.report([probed.folder], out=str(tmp_path))
    assert not problems and "Linear probe: test accuracy" in text and "one run" in text
    assert "linear probe" in (tmp_path / "accuracy.svg").read_text()
    assert "Linear probe" in (tmp_path / "report.html").read_text()
    command.finish_run(probed, 0)
    assert "linear probe" in pathlib.Path(probed.path("accuracy.svg")).read_text()
