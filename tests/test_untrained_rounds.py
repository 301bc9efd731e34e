"""`--search_epochs=0`: rounds that are pruned and fitted to the dense network, and not trained."""

import os

import numpy as np
import pytest
import stops
import trees
from conftest import TWO_LAYERS

import tf_tickets as tt
from tf_tickets import runs, storage
from tf_tickets.errors import UsageError
from tf_tickets.experiments import plan as plans
from tf_tickets.experiments.session import Session
from tf_tickets.pruning import wrapping
from tf_tickets.training import checkpoints

VALUES = TWO_LAYERS | {
    "rounds": 4, "rate": 0.4, "epochs": 3, "rewind": "reconstructed:1", "search_epochs": 0, "choose": "last",
    "eval_every": None, "tensorboard": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(Config, runs.RunFolder) of a search of four rounds, two of which are trained."""
    config = tt.Config.from_values(**VALUES, out=str(tmp_path_factory.mktemp("runs")))
    return config, runs.RunFolder(tt.imp(config).folder)


def test_they_end_with_what_was_fitted(finished):
    for index in (1, 2):
        folder = finished[1].round(index)
        np.testing.assert_equal(storage.read_arrays(folder.weights), storage.read_arrays(folder.start))
        assert folder.read_summary()["epochs"] == 0
    assert [finished[1].round(index).read_summary()["epochs"] for index in (0, 3)] == [3, 2]


def test_each_mask_lies_in_the_one_before(finished):
    masks = [storage.read_arrays(finished[1].round(index).mask) for index in range(4)]
    for before, after in zip(masks, masks[1:]):
        for name, mask in after.items():
            assert not (mask & ~before[name]).any()
        assert sum(mask.sum() for mask in after.values()) < sum(mask.sum() for mask in before.values())


def test_their_row_says_what_the_network_answers_to_its_training_images(finished):
    config, folder = finished
    (row,) = storage.read_csv(folder.round(1).epochs)
    assert row["epoch"] == "0" and not row["test_accuracy"] and not row["learning_rate"]
    session = Session(plans.resolve(config))
    network = storage.read_arrays(folder.round(1).weights), storage.read_arrays(folder.round(1).mask)
    wrapping.write_state(session.steps.model, *network)
    of_training = session.evaluate(session.train)
    assert float(row["train_loss"]) == pytest.approx(of_training["loss"], rel=1e-6)
    assert float(row["train_accuracy"]) == of_training["accuracy"]


def test_with_eval_every_they_are_evaluated(tmp_path):
    folder = runs.RunFolder(tt.imp(tt.Config.from_values(**VALUES | {"eval_every": 3}, out=str(tmp_path))).folder)
    summaries = [folder.round(index).read_summary() for index in range(4)]
    assert all(summary["test_accuracy"] is not None for summary in summaries)


def test_the_plan_counts_the_steps_that_are_trained():
    plan = plans.resolve(tt.Config.from_values(**VALUES))
    of_rounds = [plan.steps_of([index]) for index in range(4)]
    assert of_rounds == [3 * plan.steps_per_epoch, 0, 0, 2 * plan.steps_per_epoch]


def test_stopped_anywhere_it_ends_in_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "_WRITING_SHARE", 1e9)  # a checkpoint after every block of steps
    config = tt.Config.from_values(**VALUES | {"epochs": 2, "rounds": 3}, out=str(tmp_path / "whole"))
    assert stops.assert_stopping_changes_nothing(tt.imp, config, tmp_path / "parts") >= 3


def test_asked_again_nothing_changes(finished):
    config, folder = finished
    before = trees.contents(folder.folder)
    tt.imp(config)
    trees.assert_equal(trees.contents(folder.folder), before)


@pytest.mark.parametrize("changes, said", [
    ({"rewind": "learning_rate:1"}, "--search_epochs=0 leaves rounds untrained, which --rewind=reconstructed allows"),
    ({"full_rounds": "last"}, "leaves out the dense round"),
    ({"mask_distance": 0.1}, "--mask_distance ends a round"),
    ({"criterion": "movement"}, "sums over the steps of a round"),
    ({"rewind": "reconstructed:3"}, "must lie before the last"),
])  # fmt: skip
def test_what_needs_steps_is_refused(changes, said, tmp_path):
    with pytest.raises(UsageError, match=said):
        tt.imp(tt.Config.from_values(**VALUES | changes, out=str(tmp_path / "none")))
    assert not os.path.exists(tmp_path / "none")
