"""Sparse soups: trainings of one ticket by other orders of the images, averaged."""

import os

import numpy as np
import pytest
import stops
import trees
from conftest import TWO_LAYERS

import tf_tickets as tt
from tf_tickets import main, runs, storage
from tf_tickets.backend import keras
from tf_tickets.errors import UsageError
from tf_tickets.experiments import soup
from tf_tickets.models import measured_statistics, normalisation
from tf_tickets.training import checkpoints

VALUES = TWO_LAYERS | {"tensorboard": False, "rounds": 2}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """The ticket of a finished search of two rounds."""
    return tt.imp(tt.Config.from_values(**VALUES, out=str(tmp_path_factory.mktemp("runs")))).folder + "/ticket"


def configured(searched, out, **changes):
    return tt.Config.from_values(**VALUES | {"ticket": searched, "soup_members": 3, "out": str(out)} | changes)


def test_a_soup_is_the_mean_of_retrainings_that_differ_in_order(searched, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(checkpoints, "_WRITING_SHARE", 1e9)
    config = configured(searched, tmp_path / "whole")
    # In the midst of members, between two, and in those statistics.
    assert stops.assert_stopping_changes_nothing(tt.train, config, tmp_path / "parts", (0, 2, 3, 9, 1, 60)) >= 3
    folder = runs.RunFolder(trees.only_run(tmp_path / "whole"))
    states = [storage.read_arrays(folder.member(index).weights) for index in range(3)]
    average, mask = storage.read_arrays(folder.round(0).weights), storage.read_arrays(folder.round(0).mask)
    statistic = [name for name in average if "moving_" in name]
    for name, array in average.items():
        mean = np.mean([state[name] for state in states], axis=0, dtype=np.float64).astype(np.float32)
        assert np.array_equal(array, mean) != (name in statistic)
        assert any((states[0][name] != state[name]).any() for state in states[1:])
    for name, kept in mask.items():
        np.testing.assert_array_equal(kept, tt.Ticket.load(searched).masks[name])
        assert not average[f"{name}/kernel"][~kept].any()
    # The first member is the retraining alone, and all differ in nothing but their order.
    alone = runs.RunFolder(tt.train(configured(searched, tmp_path / "alone", soup_members=None)).folder)
    np.testing.assert_equal(storage.read_arrays(alone.round(0).weights), states[0])
    np.testing.assert_equal(storage.read_arrays(alone.rewind), storage.read_arrays(folder.rewind))
    seed = soup.order_seed(0, 1)
    other = tt.train(configured(searched, tmp_path / "other", soup_members=None, order_seed=seed))
    np.testing.assert_equal(storage.read_arrays(runs.RunFolder(other.folder).round(0).weights), states[1])
    # Rows, cost and the ticket.
    rows = storage.read_csv(folder.round(0).members)
    assert [int(row["order_seed"]) for row in rows] == [0, seed, soup.order_seed(0, 2)]
    assert float(rows[0]["test_accuracy"]) == alone.summaries()[0]["test_accuracy"]
    (summary,) = folder.summaries()
    assert summary["training_multiply_adds"] == 3 * alone.summaries()[0]["training_multiply_adds"] > 0
    assert summary["epochs"] == 3 * 4 == sum(int(row["epochs"]) for row in rows)
    ticket = tt.Ticket.load(folder.ticket)
    np.testing.assert_array_equal(ticket.trained["linear/bias"], average["linear/bias"])
    text = main.plan_text("train", config)
    assert (
        "soup        3 trainings, of order seed 0 and others" in text and "at most 45 steps, 900 image passes" in text
    )


def test_statistics_are_measured_layer_by_layer():
    inputs = keras.Input((4, 4, 2))
    first = keras.layers.BatchNormalization(name="first")(keras.layers.Conv2D(3, 3, name="conv")(inputs))
    second = keras.layers.BatchNormalization(name="second")(keras.layers.Flatten()(keras.layers.ReLU()(first)))
    frozen = normalisation.FrozenNormalisation(name="frozen")(second)
    model = keras.Model(inputs, frozen)
    images = np.random.default_rng(0).normal(1.0, 2.0, (30, 4, 4, 2)).astype(np.float32)
    batches = [images[:11], images[11:22], images[22:]]
    assert measured_statistics.measure(model, lambda: batches, lambda: None) == 2
    seen = keras.Model(inputs, model.get_layer("conv").output)(images).numpy().reshape(-1, 3).astype(np.float64)
    layer = model.get_layer("first")
    np.testing.assert_allclose(layer.moving_mean, seen.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, seen.var(axis=0, ddof=1), rtol=1e-5)
    normal = (seen - seen.mean(axis=0)) / np.sqrt(seen.var(axis=0, ddof=1) + layer.epsilon)
    later = np.maximum(normal, 0).reshape(30, -1)
    np.testing.assert_allclose(model.get_layer("second").moving_mean, later.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.get_layer("second").moving_variance, later.var(axis=0, ddof=1), rtol=1e-4)
    assert not model.get_layer("frozen").moving_mean.numpy().any()


@pytest.mark.slow
def test_a_network_without_batch_normalisation_has_soups_too(tmp_path):
    values = VALUES | {"model": "vit_small", "width": 64, "epochs": 2, "rewind": "init", "stem": "small"}
    search = tt.Config.from_values(**values, out=str(tmp_path))
    folder = tt.train(search.replace(ticket=tt.imp(search).folder + "/ticket", soup_members=2)).folder
    states = [storage.read_arrays(runs.RunFolder(folder).member(index).weights) for index in range(2)]
    np.testing.assert_equal(storage.read_arrays(runs.RunFolder(folder).round(0).weights), soup.averaged(states))


@pytest.mark.parametrize(("changes", "words"), [
    ({"ticket": None}, "--soup_members=3 averages trainings of one mask from one rewind point: it needs train"),
    ({"control": "reinitialize"}, "averages trainings from one rewind point: --control=reinitialize conflicts"),
    ({"control": "small_dense"}, "--control=small_dense conflicts"),
    ({"control": "probe"}, "--control=probe conflicts"),
    ({"adversarial": True}, "has no statistics of attacked images"),
    ({"strategy": "multi_worker"}, "averages on one machine"),
    ({"soup_members": 1}, "--soup_members=1 is below 2"),
])  # fmt: skip
def test_settings_that_a_soup_refuses(changes, words):
    with pytest.raises(UsageError, match=words):
        tt.Config.from_values(**VALUES | {"ticket": "x", "soup_members": 3} | changes)


def test_a_soup_is_calibrated_on_images_held_out_alone(searched, tmp_path):
    with pytest.raises(UsageError, match="repeats one training, and a soup is of --soup_members=3"):
        tt.train(configured(searched, tmp_path, calibration="folds:2"))
    assert not os.listdir(tmp_path)
