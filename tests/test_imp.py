"""What a run of iterative magnitude pruning leaves behind, and how it continues."""

import os
import pathlib

import numpy as np
import pytest
import trees
from conftest import TWO_LAYERS

import tf_tickets as tt
from tf_tickets import errors, runs, storage
from tf_tickets.backend import tf
from tf_tickets.experiments import plan as plans
from tf_tickets.experiments import rounds as stages
from tf_tickets.models import state
from tf_tickets.pruning import masks as pruning_masks


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One finished run: (result, config, traces of the training step by round)."""
    config = tt.Config.from_values(**TWO_LAYERS, out=str(tmp_path_factory.mktemp("runs")))
    traces, original = [], stages.train_round

    def counted(session, folder, training_round, **options):
        count = {"stop": lambda: traces.append(session.steps.traces) or False}
        original(session, folder, training_round, **options | count)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "train_round", counted)
        result = tt.imp(config)
    return result, config, traces


def folder_of(finished):
    return runs.RunFolder(finished[0].folder)


def masks_of(folder, index):
    return storage.read_arrays(folder.round(index).mask)


def test_densities_are_exact_and_masks_nest(finished):
    folder, config, _ = folder_of(finished), *finished[1:]
    total = plans.resolve(config).weights[0]
    expected = pruning_masks.remaining_counts(total, 0.2, 3)
    before = None
    for index, summary in enumerate(folder.summaries()):
        masks = masks_of(folder, index)
        assert summary["weights_left"] == pruning_masks.count(masks) == expected[index]
        assert summary["density"] == expected[index] / total
        if before:
            assert all((masks[name] <= before[name]).all() for name in masks)
        before = masks
    assert list(plans.resolve(config).weights) == expected


def test_masks_remove_the_smallest_weights_of_the_last_epoch(finished):
    folder = folder_of(finished)
    weights, before = storage.read_arrays(folder.round(0).weights), masks_of(folder, 0)
    removed = np.concatenate([np.abs(weights[f"{n}/kernel"][~m]) for n, m in masks_of(folder, 1).items()])
    kept = np.concatenate([np.abs(weights[f"{n}/kernel"][m]) for n, m in masks_of(folder, 1).items()])
    assert pruning_masks.density(before) == 1.0
    assert removed.max() <= kept.min()


def test_removed_weights_are_exactly_zero_wherever_they_are_kept(finished):
    folder = folder_of(finished)
    for index in (1, 2):
        for name, mask in masks_of(folder, index).items():
            assert not storage.read_arrays(folder.round(index).weights)[f"{name}/kernel"][~mask].any()
    checkpoint, masks = storage.read_arrays(folder.round(2).checkpoints[0]), masks_of(folder, 2)
    assert all(not checkpoint[f"model/{name}/kernel"][~mask].any() for name, mask in masks.items())
    ticket = tt.Ticket.load(folder.ticket)
    chosen = masks_of(folder, finished[0].chosen)
    for name, mask in chosen.items():
        assert (ticket.masks[name] == mask).all()
        assert not ticket.trained[f"{name}/kernel"][~mask].any()
        assert not ticket.rewound[f"{name}/kernel"][~mask].any()


def test_the_training_step_is_traced_once_per_run(finished):
    traces = finished[2]
    assert len(traces) > 10
    assert set(traces) == {traces[0]}


def test_later_rounds_train_the_epochs_after_the_rewind_point(finished):
    folder = folder_of(finished)
    epochs = [[int(row["epoch"]) for row in storage.read_csv(folder.round(r).epochs)] for r in range(3)]
    assert epochs == [[1, 2, 3, 4, 5], [2, 3, 4, 5], [2, 3, 4, 5]]
    rates = [[row["learning_rate"] for row in storage.read_csv(folder.round(r).epochs)] for r in range(3)]
    assert rates[1] == rates[0][1:]
    rows = [storage.read_csv(folder.round(r).epochs) for r in range(3)]
    evaluated = [[row["epoch"] for row in of_round if row["test_accuracy"]] for of_round in rows]
    assert evaluated == [["2", "4", "5"]] * 3


def test_rounds_do_not_replay_the_dense_round_s_draws(finished):
    folder = folder_of(finished)
    losses = [storage.read_csv(folder.round(r).epochs)[-1]["train_loss"] for r in range(3)]
    assert len(set(losses)) == 3


def test_the_ticket_is_chosen_on_validation(finished):
    result, config, _ = finished
    accuracies = [summary["validation_accuracy"] for summary in folder_of(finished).summaries()]
    for index, summary in enumerate(folder_of(finished).summaries()):
        rows = storage.read_csv(folder_of(finished).round(index).evaluations)
        told = {row["metric"]: float(row["value"]) for row in rows if row["setting"] == "validation"}
        for metric in ("accuracy", "balanced_accuracy"):
            assert told[metric] == summary[f"validation_{metric}"]
    assert accuracies[result.chosen] == max(accuracies)
    assert config.choose == "validation"
    assert tt.Ticket.load(folder_of(finished).ticket).round == result.chosen


def test_the_best_epoch_is_reported_only_when_every_epoch_is_tested(finished):
    assert all(summary["test_accuracy_best_epoch"] is None for summary in folder_of(finished).summaries())


def test_subset_and_settings_are_kept(finished):
    result, config, _ = finished
    rows = storage.read_csv(folder_of(finished).subset)
    assert len(rows) == 70
    assert {row["part"] for row in rows} == {"train", "validation"}
    assert tt.Config.from_flagfile(folder_of(finished).config).values() == config.values()
    assert result.table["round"].tolist() == [0, 1, 2]


def test_asked_again_it_trains_nothing(finished, monkeypatch):
    result, config, _ = finished
    before = trees.contents(result.folder)
    monkeypatch.setattr(stages, "train_round", lambda *a, **k: pytest.fail("trained again"))
    assert tt.imp(config) == result
    trees.assert_equal(trees.contents(result.folder), before)


def test_only_the_last_round_keeps_a_checkpoint(finished):
    folder = folder_of(finished)
    kept = [[os.path.basename(p) for p in folder.round(r).checkpoints if os.path.exists(p)] for r in range(3)]
    assert kept == [[], [], ["checkpoint-a.npz"]]


def test_ticket_predicts_what_the_saved_model_and_the_evaluation_say(finished):
    result, config, _ = finished
    folder, ticket = folder_of(finished), tt.Ticket.load(folder_of(finished).ticket)
    from tf_tickets.data import sources

    images, labels = sources.load("digits", None).test()
    probabilities = ticket.predict(images)
    served = tf.saved_model.load(folder.ticket).signatures
    outputs = served["serving_default"](images=tf.constant(images))
    np.testing.assert_allclose(outputs["probabilities"], probabilities, atol=1e-5)
    assert (outputs["class"].numpy() == outputs["logits"].numpy().argmax(1)).all()
    assert outputs["label"].numpy()[0].decode() == ticket.labels[int(outputs["class"][0])]
    unit = served["float"](images=tf.constant(images / 255.0, tf.float32))
    np.testing.assert_allclose(unit["logits"], outputs["logits"], atol=1e-4)
    assert served["features"](images=tf.constant(images))["features"].shape == (len(images), 16)
    summary = storage.read_json(folder.round(result.chosen).summary)
    assert (probabilities.argmax(1) == labels).mean() == summary["test_accuracy"]


def test_a_round_folder_loads_as_the_same_ticket(finished):
    result = finished[0]
    exported = tt.Ticket.load(folder_of(finished).ticket)
    assert tt.Ticket.load(result.best.folder).content_digest == exported.content_digest


def test_more_rounds_continue_the_same_run(finished):
    result, config, _ = finished
    before = trees.contents(result.folder)
    more = tt.imp(config.replace(rounds=4, choose="0"))
    assert more.folder == result.folder
    assert len(runs.RunFolder(more.folder).summaries()) == 4
    after = trees.contents(result.folder)
    same = [n for n in before if n.startswith("round_0") and "checkpoint" not in n]
    assert all(after[name] == before[name] for name in same)
    assert tt.Ticket.load(runs.RunFolder(more.folder).ticket).round == 0


def test_train_retrains_a_ticket_like_its_round(finished, tmp_path):
    result, config, _ = finished
    folder = folder_of(finished)
    again = tt.train(config.replace(ticket=folder.round(2).folder, out=str(tmp_path)))
    retrained = runs.RunFolder(again.folder)
    original = trees.contents(folder.folder)
    assert trees.contents(retrained.folder)["round_00/weights.npz"] == original["round_02/weights.npz"]
    assert [row["epoch"] for row in storage.read_csv(retrained.round(0).epochs)] == ["2", "3", "4", "5"]
    assert retrained.summaries()[0]["density"] == folder.summaries()[2]["density"]
    other = tt.train(config.replace(ticket=folder.round(2).folder, out=str(tmp_path), images=80, rounds=1))
    assert len(storage.read_csv(runs.RunFolder(other.folder).round(0).epochs)) == 5


def test_a_ticket_of_another_width_is_refused(finished, tmp_path):
    with pytest.raises(errors.UsageError, match="--width=2"):
        tt.train(finished[1].replace(ticket=folder_of(finished).ticket, width=3, out=str(tmp_path)))


def test_profiling_leaves_a_trace_and_changes_no_number(tmp_path):
    config = tt.Config.from_values(**TWO_LAYERS | {"rounds": 1}, out=str(tmp_path / "plain"))
    plain = tt.imp(config)
    traced = tt.imp(config.replace(out=str(tmp_path / "traced"), profile_steps="2:4"))
    folder = runs.RunFolder(traced.folder)
    assert len(list(pathlib.Path(folder.tensorboard).glob("plugins/profile/*/*.xplane.pb"))) == 1
    trees.assert_equal(trees.contents(folder.folder), trees.contents(plain.folder))


def test_tensorboard_holds_every_epoch_once_and_the_hyper_parameters(finished):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = folder_of(finished)
    for index, expected in ((0, [1, 2, 3, 4, 5]), (2, [2, 3, 4, 5])):
        events = EventAccumulator(os.path.join(folder.tensorboard, f"round_{index:02d}"))
        events.Reload()
        assert [event.step for event in events.Tensors("train_loss")] == expected
    rounds = EventAccumulator(os.path.join(folder.tensorboard, "rounds"))
    rounds.Reload()
    assert {0, 1, 2} <= {event.step for event in rounds.Tensors("rounds/test_accuracy")}
    assert "_hparams_/session_start_info" in rounds.PluginTagToContent("hparams")


def test_masked_weights_do_not_reach_the_logits():
    from tf_tickets.pruning import wrapping

    model = tt.models.build("resnet18", classes=4, image_shape=(8, 8, 1), width=2)
    names = [layer.name for layer in model.layers if layer.__class__.__name__ == "Conv2D"]
    wrapped = wrapping.wrap(model, names)
    ones = wrapping.read_masks(wrapped)
    masks = {name: np.random.RandomState(0).rand(*mask.shape) < 0.3 for name, mask in ones.items()}
    wrapping.write_masks(wrapped, masks)
    images = np.random.RandomState(1).randn(3, 8, 8, 1).astype(np.float32)
    before = wrapped(images).numpy()
    dead = state.variables(wrapped)["layer1.0.conv1/kernel"]
    dead.assign(np.where(masks["layer1.0.conv1"], dead.numpy(), 7.0))
    np.testing.assert_array_equal(wrapped(images).numpy(), before)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(wrapped(images, training=True) ** 2)
    gradient = tape.gradient(loss, dead).numpy()
    assert not gradient[~masks["layer1.0.conv1"]].any()
    assert gradient[masks["layer1.0.conv1"]].any()
