"""A pretrained network trained on: the head first, the backbone at a rate of its own, statistics that stay."""

import json

import command_server
import numpy as np
import pytest
import stops
import trees
from conftest import ROOT, TWO_LAYERS

import tf_tickets as tt
from tf_tickets import runs, storage
from tf_tickets.backend import tf
from tf_tickets.models import builder, normalisation, state
from tf_tickets.pruning import gradual
from tf_tickets.settings.groups import Training
from tf_tickets.training import checkpoints, optimizers
from tf_tickets.training.fit import Span, fit
from tf_tickets.training.steps import Steps

VALUES = {name: value for name, value in TWO_LAYERS.items() if name != "validation"} | {"tensorboard": False}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """(path, its state): a network as if pretrained, with statistics of its own."""
    model = builder.build(VALUES["model"], classes=10, image_shape=(8, 8, 1), width=2, seed=5)
    draws, arrays = np.random.default_rng(0), state.get_state(model)
    for name, array in arrays.items():
        if "/moving_" in name:  # means below zero, so that units fire
            low = 0.5 if name.endswith("variance") else -1.0
            arrays[name] = draws.uniform(low, low + 0.5, array.shape).astype(np.float32)
    state.set_state(model, arrays)
    path = str(tmp_path_factory.mktemp("backbone") / "backbone.npz")
    np.savez(path, **state.torch_state(model))
    return path, arrays


@pytest.fixture
def search(backbone, tmp_path):
    """A function that runs a small search from the backbone, and gives its folder."""

    def run(**changes):
        values = VALUES | {"pretrained": backbone[0], "out": str(tmp_path / "runs")} | changes
        return runs.RunFolder(tt.imp(tt.Config.from_values(**values)).folder)

    return run


@pytest.fixture
def blocks(monkeypatch):
    """A list that gets, for each block of steps, its steps and whether they were of the head alone."""
    told, original = [], Steps.train

    def train(steps, iterator, count, learning_rate, head_alone=False):
        told.append((count, head_alone))
        return original(steps, iterator, count, learning_rate, head_alone)

    monkeypatch.setattr(Steps, "train", train)
    return told


def weights(folder, index=0):
    return storage.read_arrays(folder.round(index).weights)


def backbone_of(arrays):
    return {name: array for name, array in arrays.items() if not name.startswith("linear/")}


@pytest.mark.parametrize("optimizer", ["sgd", pytest.param("adam", marks=pytest.mark.slow)])
def test_first_the_head_moves_alone_and_then_all(search, backbone, optimizer):
    """No decay, no momentum and no statistics reach the backbone; the rewind point is where it joins."""
    folder = search(head_epochs=2, rewind="epoch:2", epochs=3, rounds=1, optimizer=optimizer, learning_rate=0.01)
    phase, after = storage.read_arrays(folder.rewind), weights(folder)
    for name, array in backbone_of(backbone[1]).items():
        np.testing.assert_array_equal(phase[name], array, err_msg=name)
        assert (after[name] != array).any(), name
    start = builder.build(VALUES["model"], classes=10, image_shape=(8, 8, 1), width=2, seed=0).get_layer("linear")
    assert (phase["linear/kernel"] != start.kernel.numpy()).any()
    assert (phase["linear/bias"] != start.bias.numpy()).any()


class Told:
    """Stands for Steps: keeps the length of each block, whether it was of the head alone, and resets."""

    def __init__(self):
        self.told, self.devices = [], type("Devices", (), {"replicas": 1})

    def train(self, iterator, count, learning_rate, head_alone):
        self.told += [head_alone] * count
        return np.tile(np.float32([1.0, 1.0, 1.0]), (count, 1))

    def reset_optimizer(self):
        self.told.append("reset")

    def synchronise(self):
        pass


@pytest.mark.parametrize(("first", "whole"), [
    (0, [True] * 4 + ["reset"] + [False] * 2), (3, [True, "reset", False, False]), (4, ["reset", False, False]),
    (5, [False]),
])  # fmt: skip
def test_the_optimizer_is_empty_where_the_backbone_joins(first, whole):
    """Also where a round is resumed there; a span without the phase resets nothing."""
    steps = Told()
    begun = np.ones((first % 2, 3), np.float32)
    fit(steps, (), Span(first, 6, 2, lambda epoch: 0.1, begun, backbone_from=4))
    assert steps.told == whole
    steps = Told()
    fit(steps, (), Span(0, 2, 2, lambda epoch: 0.1))
    assert steps.told == [False, False]


@pytest.mark.parametrize(("rewind", "again"), [
    pytest.param("pretrained", 3, marks=pytest.mark.slow), ("step:4", 2), ("epoch:3", 0),
])  # fmt: skip
def test_later_rounds_have_what_is_left_of_it(search, blocks, rewind, again):
    folder = search(head_epochs=3, rewind=rewind, rounds=2)
    per_epoch = -(-VALUES["images"] // VALUES["batch_size"])
    first = {"step:4": 4}.get(rewind, per_epoch * int(rewind[-1]) if rewind.startswith("epoch") else 0)
    alone = [head_alone for count, head_alone in blocks for _ in range(count)]
    round_0, round_1 = alone[: 5 * per_epoch], alone[5 * per_epoch :]
    assert round_0 == [True] * 3 * per_epoch + [False] * 2 * per_epoch
    left = max(0, 3 * per_epoch - first)
    assert round_1 == [True] * left + [False] * (5 * per_epoch - first - left) and bool(left) == bool(again)
    rates = [float(row["learning_rate"]) for row in storage.read_csv(folder.round(0).epochs)]
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.05])


def test_a_later_round_keeps_the_masked_backbone_through_it(search, backbone):
    folder = search(head_epochs=4, rewind="pretrained", rounds=2, learning_rate=1e-20, weight_decay=0.0)
    mask, last = storage.read_arrays(folder.round(1).mask), weights(folder, 1)
    for name, part in mask.items():
        if name != "linear":
            expected = np.where(part, backbone[1][f"{name}/kernel"], 0)
            np.testing.assert_array_equal(last[f"{name}/kernel"], expected)


@pytest.mark.parametrize("rewind", ["pretrained", pytest.param("epoch:2", marks=pytest.mark.slow)])
def test_frozen_statistics_stay_while_scale_and_shift_train(search, backbone, rewind):
    folder = search(batch_norm="frozen", rewind=rewind, rounds=2, learning_rate=0.01)
    for index in (0, 1):
        arrays = weights(folder, index)
        for name, array in arrays.items():
            if "/moving_" in name:
                np.testing.assert_array_equal(array, backbone[1][name], err_msg=name)
        for leaf in ("/gamma", "/beta"):
            assert any((arrays[name] != backbone[1][name]).any() for name in arrays if name.endswith(leaf))


def test_a_frozen_network_computes_in_training_what_it_does_in_inference(backbone):
    model = builder.build(VALUES["model"], classes=10, image_shape=(8, 8, 1), width=2)
    state.set_state(model, backbone[1])
    frozen = normalisation.freeze(model)
    images = np.random.default_rng(1).normal(size=(4, 8, 8, 1)).astype(np.float32)
    np.testing.assert_array_equal(frozen(images, training=True), model(images, training=False))
    assert list(state.get_state(frozen)) == list(backbone[1])
    assert len(frozen.trainable_variables) == len(model.trainable_variables)


def test_first_updates_are_as_the_learning_rates(search, backbone):
    """The head's are those of the same run without a rate for the backbone."""
    values = {"epochs": 1, "rounds": 1, "rewind": "pretrained", "batch_size": 70, "schedule": "constant"}
    same, slower = (weights(search(**values, **rate)) for rate in ({}, {"backbone_learning_rate": 0.025}))
    for name, start in backbone_of(backbone[1]).items():
        if "/moving_" not in name:
            update = same[name] - start
            assert name.endswith("/bias") or np.abs(update).max() > 1e-5, name  # normalisation takes a bias away
            np.testing.assert_allclose(slower[name] - start, 0.25 * update, rtol=1e-3, atol=1e-6, err_msg=name)
    for leaf in ("kernel", "bias"):
        np.testing.assert_array_equal(slower[f"linear/{leaf}"], same[f"linear/{leaf}"])


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_each_optimizer_moves_the_backbone_by_its_share_at_every_rate(optimizer, precision):
    training = Training(optimizer=optimizer, learning_rate=0.5, backbone_learning_rate=0.125, weight_decay=0.0)
    body, head = (tf.Variable([0.0, 0.0]) for _ in range(2))
    built = optimizers.build(training, precision, [head])
    built.build([body, head])
    for rate in (0.5, 0.1):
        built.learning_rate = rate
        before = body.numpy(), head.numpy()
        built.apply_gradients([(tf.constant([1.0, -2.0]), variable) for variable in (body, head)])
        updates = body.numpy() - before[0], head.numpy() - before[1]
        assert updates[1].all()
        np.testing.assert_allclose(updates[0], 0.25 * updates[1], rtol=1e-5)


TUNED = {"head_epochs": 2, "backbone_learning_rate": 0.02, "batch_norm": "frozen", "rounds": 2, "rewind": "step:2"}


@pytest.mark.parametrize("optimizer", [pytest.param("sgd", marks=pytest.mark.slow), "adam"])
def test_stopped_anywhere_it_ends_in_the_same_bits(backbone, tmp_path, monkeypatch, optimizer):
    monkeypatch.setattr(checkpoints, "_WRITING_SHARE", 1e9)
    values = VALUES | TUNED | {"pretrained": backbone[0], "optimizer": optimizer, "batch_norm": "per_replica"}
    config = tt.Config.from_values(**values, out=str(tmp_path / "whole"))
    assert stops.assert_stopping_changes_nothing(tt.imp, config, tmp_path / "parts") >= 4


def test_killed_inside_and_at_its_edge_it_ends_in_the_same_bits(backbone, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "_WRITING_SHARE", 1e9)
    config = tt.Config.from_values(**VALUES | TUNED, pretrained=backbone[0], out=str(tmp_path / "whole"))
    whole, parts = trees.contents(tt.imp(config).folder), config.replace(out=str(tmp_path / "parts"))
    original, killed = Steps.train, []

    class Killed(BaseException):
        pass

    def train(steps, iterator, count, learning_rate, head_alone=False):
        # Once inside of the phase, once before the first step of the backbone, once after it.
        moments = len(killed) == 0 and head_alone, len(killed) == 1 and not head_alone, len(killed) == 2
        if any(moments):
            killed.append(head_alone)
            raise Killed
        return original(steps, iterator, count, learning_rate, head_alone)

    with monkeypatch.context() as patch:
        patch.setattr(Steps, "train", train)
        for _ in range(3):
            with pytest.raises(Killed):
                tt.imp(parts)
        folder = tt.imp(parts).folder
    assert killed[:2] == [True, False]
    trees.assert_equal(trees.contents(folder), whole)


TWO_DEVICES = """
import json, sys
import tf_tickets as tt
print(tt.imp(tt.Config.from_values(**json.loads(sys.argv[1]))).folder)
"""


def test_two_devices_train_the_head_alone_as_one_does(search, backbone, tmp_path):
    """And both at rates of their own; normalisation does not tell the devices apart where it is frozen."""
    values = {"head_epochs": 2, "epochs": 3, "backbone_learning_rate": 0.01, "batch_norm": "frozen", "rounds": 1,
              "rewind": "epoch:2", "learning_rate": 0.02}  # fmt: skip
    one = search(**values)
    words = json.dumps(VALUES | values | {"pretrained": backbone[0], "strategy": "cpu:2", "out": str(tmp_path / "2")})
    done = command_server.loaded().run(ROOT, [words], code=TWO_DEVICES)
    assert done.returncode == 0, done.stderr
    two = runs.RunFolder(done.stdout.splitlines()[-1])
    for path in ("rewind", None):
        first, second = (storage.read_arrays(each.rewind) if path else weights(each) for each in (one, two))
        for name, array in first.items():
            np.testing.assert_allclose(second[name], array, rtol=1e-3, atol=1e-4, err_msg=name)
            if path and not name.startswith("linear/"):
                np.testing.assert_array_equal(second[name], backbone[1][name], err_msg=name)


def test_a_ticket_on_other_images_is_trained_by_its_head_first(search, tmp_path):
    found = search(rounds=2, rewind="epoch:1")
    ticket = tt.Ticket.load(found.ticket)
    values = {name: value for name, value in VALUES.items() if name not in ("rounds", "rewind")}
    config = tt.Config.from_values(
        **values | {"images": 60, "subset_seed": 3, "ticket": found.ticket, "head_epochs": 1, "out": str(tmp_path)}
    )
    retrained = runs.RunFolder(tt.train(config).folder)
    after, mask = storage.read_arrays(retrained.rewind), storage.read_arrays(retrained.round(0).mask)
    for name, array in backbone_of(ticket.rewound).items():
        layer = name.partition("/")[0]
        expected = np.where(mask[layer], array, 0) if name.endswith("/kernel") and layer in mask else array
        np.testing.assert_array_equal(after[name], expected, err_msg=name)
    assert (weights(retrained)["conv0/kernel"] != after["conv0/kernel"]).any()


def test_a_mask_is_not_settled_by_weights_that_do_not_move(search):
    folder = search(head_epochs=3, epochs=8, search_epochs=7, mask_distance=1.0, mask_patience=1, full_rounds="last",
                    rounds=2, rewind="pretrained")  # fmt: skip
    distances = [row["mask_distance"] for row in storage.read_csv(folder.round(0).epochs)]
    assert [bool(distance) for distance in distances] == [False] * 4 + [True]


def test_gradual_pruning_waits_for_the_backbone(backbone, tmp_path):
    values = VALUES | {"control": "gradual", "head_epochs": 4, "rewind": "init", "pretrained": backbone[0]}
    kept, original = [], gradual.GradualPruning.block_ends

    def block_ends(self, block):
        original(self, block)
        kept.append((block.step, sum(int(mask.sum()) for mask in self.masks.values())))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradual.GradualPruning, "block_ends", block_ends)
        tt.train(tt.Config.from_values(**values, out=str(tmp_path)))
    per_epoch = -(-VALUES["images"] // VALUES["batch_size"])
    phase = {count for step, count in kept if step <= 4 * per_epoch}
    assert len(phase) == 1 and kept[-1][1] < phase.pop()


def test_without_them_one_trace_serves_all_and_with_the_head_first_two(search, monkeypatch):
    traces, original = [], Steps.train

    def train(steps, *arguments, **options):
        outcome = original(steps, *arguments, **options)
        traces.append(steps.traces)
        return outcome

    monkeypatch.setattr(Steps, "train", train)
    search(rounds=2, backbone_learning_rate=0.01)
    assert traces[-1] == 1
    search(rounds=3, rewind="pretrained", head_epochs=2)
    assert traces[-1] == 2
