"""The controls that a ticket has to beat, and rewinding to trained weights."""

import os
import shutil

import numpy as np
import pytest
import stops
from conftest import TWO_LAYERS

import tf_tickets as tt
from tf_tickets import main, runs, seeds, storage
from tf_tickets.errors import UsageError
from tf_tickets.experiments import plan as plans
from tf_tickets.experiments import plan_text, train
from tf_tickets.models import costs
from tf_tickets.pruning import gradual
from tf_tickets.pruning import masks as pruning_masks
from tf_tickets.training import checkpoints

# Next to no learning: a round ends with the weights it starts from.
STILL = {"learning_rate": 1e-20, "weight_decay": 0.0, "tensorboard": False}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A finished run of three rounds and the folder of its ticket."""
    out = str(tmp_path_factory.mktemp("runs"))
    result = tt.imp(tt.Config.from_values(**TWO_LAYERS | {"tensorboard": False}, out=out))
    folder = runs.RunFolder(result.folder)
    return folder, folder.round(2).folder


def retrained(searched, **changes):
    """`train --ticket` with a control: (folder, weights, mask, the ticket's mask)."""
    folder, ticket = searched
    values = TWO_LAYERS | STILL | {"ticket": ticket, "out": os.path.dirname(os.path.dirname(folder.folder))} | changes
    mine = runs.RunFolder(tt.train(tt.Config.from_values(**values)).folder)
    arrays = storage.read_arrays(mine.round(0).weights), storage.read_arrays(mine.round(0).mask)
    return mine, *arrays, storage.read_arrays(folder.round(2).mask)


def test_random_layerwise_shuffles_positions_inside_each_layer(searched):
    mine, weights, mask, original = retrained(searched, control="random_layerwise")
    start = storage.read_arrays(searched[0].rewind)
    assert any((mask[name] != original[name]).any() for name in mask)
    for name in mask:
        assert mask[name].sum() == original[name].sum()
        kernel = f"{name}/kernel"
        np.testing.assert_array_equal(weights[kernel], np.where(mask[name], start[kernel], 0))
    assert len(storage.read_csv(mine.round(0).epochs)) == 4  # from the rewind point on, like its round


@pytest.mark.parametrize("control, words", [
    ("none", "its mask, from the end of epoch 1 where"), ("reinitialize", "its mask, on fresh weights"),
    ("random_layerwise", "its mask shuffled inside each layer, from the end of epoch 1"), ("small_dense", None),
])  # fmt: skip
def test_a_dry_run_is_of_the_ticket(searched, control, words):
    folder, ticket = searched
    values = TWO_LAYERS | {"ticket": ticket, "control": control, "rewind": "epoch:2", "out": folder.folder + "/none"}
    config = tt.Config.from_values(**values)
    text = main.plan_text("train", config)
    left = pruning_masks.count(storage.read_arrays(folder.round(2).mask))
    if words:
        assert words in text and text.splitlines()[-1].split()[-1] == f"{left:,}" and "rewind epoch:1" in text
    else:
        assert int(text.splitlines()[-1].split()[-1].replace(",", "")) <= left and "100.00 %" in text
    assert not os.path.exists(config.run.out)
    with pytest.raises(UsageError, match="in the network asked for it"):
        main.plan_text("train", config.replace(width=3, control="none"))


def test_random_layerwise_needs_the_full_rewind_point(searched, tmp_path):
    alone = shutil.copytree(searched[0].ticket, tmp_path / "alone" / "ticket")
    with pytest.raises(UsageError, match=r"rewind.npz is missing; give the ticket inside its run folder"):
        retrained(searched, control="random_layerwise", ticket=str(alone))


def test_reinitialize_keeps_the_mask_and_draws_the_weights(searched, capfd):
    # With the seed of the search itself, whose own initial weights would be no fresh ones.
    mine, weights, mask, original = retrained(searched, control="reinitialize", progress="log")
    assert f"round 0  density {100 * pruning_masks.density(original):.2f} %" in capfd.readouterr().err
    fresh, own = (
        tt.models.build(TWO_LAYERS["model"], classes=10, image_shape=(8, 8, 1), width=2, seed=seed)
        for seed in (seeds.fold("reinitialize", 0), 0)
    )
    for name in mask:
        np.testing.assert_array_equal(mask[name], original[name])
        kernel = fresh.get_layer(name).kernel.numpy()
        assert not np.isin(kernel, own.get_layer(name).kernel.numpy()).any()
        np.testing.assert_array_equal(weights[f"{name}/kernel"], np.where(mask[name], kernel, 0))
    assert len(storage.read_csv(mine.round(0).epochs)) == 5  # all epochs


def test_small_dense_is_the_widest_net_that_is_no_larger(searched, tmp_path, capfd):
    mine, _, mask, original = retrained(searched, control="small_dense", out=str(tmp_path))
    wanted, found = pruning_masks.count(original), pruning_masks.count(mask)
    assert found <= wanted and all(part.all() for part in mask.values())
    assert f"{found:,} prunable weights, the ticket has {wanted:,}" in capfd.readouterr().err
    assert tt.Config.from_flagfile(mine.config).network.width == 1


def test_one_shot_reaches_the_last_round_s_density_at_once(tmp_path):
    changes = {"control": "one_shot", "rounds": 4, "tensorboard": False}
    config = tt.Config.from_values(**TWO_LAYERS | changes, out=str(tmp_path))
    result = tt.train(config)
    folder = runs.RunFolder(result.folder)
    left = [summary["weights_left"] for summary in folder.summaries()]
    total = left[0]
    assert left == [total, pruning_masks.remaining_counts(total, 0.2, 4)[-1]]
    weights = storage.read_arrays(folder.round(0).weights)
    kept = storage.read_arrays(folder.round(1).mask)
    smallest = min(np.abs(weights[f"{n}/kernel"][m]).min() for n, m in kept.items() if m.any())
    assert all(np.abs(weights[f"{n}/kernel"][~m]).max(initial=0) <= smallest for n, m in kept.items())
    assert tt.train(config).folder == result.folder


@pytest.mark.parametrize("optimizer", ["sgd", pytest.param("adam", marks=pytest.mark.slow)])
def test_gradual_removes_on_the_way_in_as_many_epochs_as_all_rounds(tmp_path, monkeypatch, optimizer):
    monkeypatch.setattr(checkpoints, "_WRITING_SHARE", 1e9)
    changes = {"control": "gradual", "rounds": 3, "rate": 0.5, "optimizer": optimizer, "learning_rate": 0.01}
    config = tt.Config.from_values(**TWO_LAYERS | changes | {"tensorboard": False}, out=str(tmp_path / "whole"))
    assert stops.assert_stopping_changes_nothing(tt.train, config, tmp_path / "parts", (2, 3, 40)) == 2
    folder = runs.RunFolder.of(config, "train", [("final_round", 2)])
    mask, weights = storage.read_arrays(folder.round(0).mask), storage.read_arrays(folder.round(0).weights)
    total = sum(part.size for part in mask.values())
    assert pruning_masks.count(mask) == pruning_masks.remaining_counts(total, 0.5, 3)[-1]
    assert len(storage.read_csv(folder.round(0).epochs)) == 5 + 2 * 4
    summary = storage.read_json(folder.round(0).summary)
    assert summary["weights_left"] == pruning_masks.count(mask)
    planned = train.prepare(config)[0]
    last, dense = (3 * 13 * planned.train_images * cost for cost in costs.of_network(
        tt.Ticket.load(folder.ticket).model, planned.network.kernels(), mask))  # fmt: skip
    assert last < summary["training_multiply_adds"] < dense
    assert all((weights[f"{name}/kernel"][~part] == 0).all() for name, part in mask.items())
    # Optimizer slots of removed weights are empty: as many zeros as weights were removed, at their places.
    checkpoint = storage.read_arrays(folder.round(0).checkpoints[0])
    slots = [array for name, array in checkpoint.items() if name.startswith("optimizer/")]
    for part in mask.values():
        mine = [slot for slot in slots if slot.shape == part.shape and (slot[~part] == 0).all() and slot.any()]
        assert mine or not part.any()
    assert set(checkpoint) >= {f"mask/{name}" for name in mask}
    assert tt.Config.from_flagfile(folder.config) == config.replace(out=tt.Config.from_flagfile(folder.config).run.out)


def test_gradual_of_a_shortened_search_has_the_search_s_epochs(tmp_path):
    search = {"rounds": 4, "search_epochs": 3, "full_rounds": "1,last", "choose": "last", "out": str(tmp_path)}
    config = tt.Config.from_values(**TWO_LAYERS | search)
    plan = train.prepare(config.replace(control="gradual"))[0]
    epochs = [3, 5 - 1, 3 - 1, 5 - 1]  # each after the first from the rewind point on
    searched = plans.resolve(config)
    assert searched.steps_of(range(4)) == sum(epochs) * plan.steps_per_epoch
    assert plan.training_of(0).epochs == sum(epochs) and "   epochs" not in plan_text.text(plan, "train")
    with pytest.raises(UsageError, match="--control=gradual trains as long as all rounds, which --mask_distance"):
        config.replace(control="gradual", search_epochs=None, mask_distance=0.1)


def test_gradual_follows_the_cubic_schedule():
    dense = {"a": np.ones((40, 25), bool)}
    pruner = gradual.GradualPruning(
        None, dense, 100, first_epoch=2, last_epoch=12, steps_per_epoch=5, slots=None, remove=None
    )
    kept = [pruner.wanted(step) for step in range(0, 70)]
    expected = [1000 * (1 - 0.9 * (1 - (1 - (epoch - 2) / 10) ** 3)) for epoch in range(2, 13)]
    np.testing.assert_allclose([kept[5 * epoch] for epoch in range(2, 13)], expected, atol=0.51)
    assert all(kept[step] == 1000 for step in range(60) if step % 5 or step < 10) and set(kept[60:]) == {100}


def test_rewinding_to_trained_weights_starts_from_round_0_s_last_epoch(tmp_path):
    config = tt.Config.from_values(**TWO_LAYERS | STILL | {"rewind": "trained"}, out=str(tmp_path))
    folder = runs.RunFolder(tt.imp(config).folder)
    trained = storage.read_arrays(folder.round(0).weights)
    for index in (1, 2):
        weights, mask = (storage.read_arrays(path) for path in (folder.round(index).weights, folder.round(index).mask))
        for name in mask:
            kernel = f"{name}/kernel"
            np.testing.assert_array_equal(weights[kernel], np.where(mask[name], trained[kernel], 0))
        rows = storage.read_csv(folder.round(index).epochs)
        assert [row["learning_rate"] for row in rows] == [
            row["learning_rate"] for row in storage.read_csv(folder.round(0).epochs)
        ]


def test_drawn_positions_are_uniform_and_depend_on_the_seed():
    masks = {"a": np.arange(4000).reshape(20, 200) % 4 == 0}
    first, second = (pruning_masks.random_layerwise(masks, seed)["a"] for seed in (0, 1))
    assert first.sum() == second.sum() == 1000 and (first != second).any()
    assert abs(int((first & second).sum()) - 250) < 60
    np.testing.assert_array_equal(first, pruning_masks.random_layerwise(masks, 0)["a"])


def test_release_accounting_rewinds_an_epoch_late_and_trains_every_round_in_full(tmp_path):
    values = TWO_LAYERS | {"rounds": 2, "tensorboard": False, "eval_every": 1}
    release = tt.Config.from_values(**values, accounting="release", out=str(tmp_path / "release"))
    folder = runs.RunFolder(tt.imp(release).folder)
    rows = storage.read_csv(folder.round(1).epochs)
    assert [row["epoch"] for row in rows] == list("23456")  # schedule index 1 to 5: as many epochs as the dense round
    dense = [row["learning_rate"] for row in storage.read_csv(folder.round(0).epochs)]
    assert [row["learning_rate"] for row in rows] == [*dense[1:], "0.0"]
    later = tt.Config.from_values(**values | {"rewind": "epoch:2", "rounds": 1}, out=str(tmp_path / "exact"))
    expected = storage.read_arrays(runs.RunFolder(tt.imp(later).folder).rewind)
    np.testing.assert_equal(storage.read_arrays(folder.rewind), expected)
    assert storage.read_json(folder.round(1).summary)["test_accuracy_best_epoch"] is not None
    for changes in ({"eval_every": None}, {"rewind": "init"}):
        with pytest.raises(UsageError, match="--accounting=release rewinds to an epoch and looks at every epoch"):
            release.replace(**changes)
