"""Dynamic sparse training: RigL and SET."""

import dataclasses
import itertools
import math
import os
import signal
import time

import command_server
import numpy as np
import pytest
import stops
import trees
from conftest import ROOT, TWO_LAYERS

import tf_tickets as tt
from tf_tickets import runs, storage
from tf_tickets.backend import tf
from tf_tickets.errors import DivergedError, UsageError
from tf_tickets.experiments import plan_text, train
from tf_tickets.experiments.session import Session
from tf_tickets.models import costs, state
from tf_tickets.pruning import densities, dynamic, wrapping
from tf_tickets.pruning import masks as pruning_masks
from tf_tickets.pruning.dynamic_training import DynamicTraining
from tf_tickets.training import checkpoints
from tf_tickets.training.steps import Steps

VALUES = TWO_LAYERS | {"control": "rigl", "rate": 0.5, "tensorboard": False, "learning_rate": 0.01}


def trained(**changes):
    """The folder of a finished run."""
    return runs.RunFolder(tt.train(tt.Config.from_values(**VALUES | changes)).folder)


def by_hand(mask, weights, growth, share):
    """The rule for one layer, position by position."""
    left = list(np.flatnonzero(mask.ravel()))
    amount = math.floor(share * len(left))
    magnitude = np.abs(weights).ravel()
    dropped = sorted(left, key=lambda position: (magnitude[position], position))[:amount]
    kept = [position for position in left if position not in dropped]
    off = [position for position in range(mask.size) if position not in kept]
    grown = sorted(off, key=lambda position: (-growth.ravel()[position], position))[:amount]
    changed = np.zeros(mask.size, bool)
    changed[kept + grown] = True
    return changed.reshape(mask.shape)


def test_the_rule_drops_by_magnitude_and_grows_by_what_it_is_given():
    mask = np.array([[1, 1, 1], [1, 0, 0]], bool)
    weights = np.array([[0.5, -0.1, 0.2], [-0.2, 0.0, 0.0]])
    growth = np.array([[0.0, 0.0, 0.0], [0.0, 0.3, 0.9]])
    ((changed),) = dynamic.updated({"a": mask}, {"a": weights}, {"a": growth}, 0.5).values()
    np.testing.assert_array_equal(changed, [[1, 0, 0], [1, 1, 1]])  # of the two 0.2 the earlier one goes
    growth[0, 1] = 0.5  # what was just dropped may be grown again
    ((changed),) = dynamic.updated({"a": mask}, {"a": weights}, {"a": growth}, 0.5).values()
    np.testing.assert_array_equal(changed, [[1, 1, 0], [1, 0, 1]])
    draws = np.random.default_rng(0)
    for share in (0.0, 0.1, 0.37, 1.0):
        masks = {name: draws.random(shape) < 0.4 for name, shape in {"a": (3, 3, 4, 5), "b": (20, 10)}.items()}
        weights = {name: np.where(mask, draws.integers(-3, 4, mask.shape), 0) for name, mask in masks.items()}
        growth = {name: draws.integers(0, 9, mask.shape).astype(float) for name, mask in masks.items()}
        changed = dynamic.updated(masks, weights, growth, share)
        for name, mask in masks.items():
            np.testing.assert_array_equal(changed[name], by_hand(mask, weights[name], growth[name], share))
            assert changed[name].sum() == mask.sum()


def test_gradients_that_a_loss_scale_makes_infinite_are_the_largest():
    growth = np.array([0.0, np.nan, 1.0, np.inf])
    mask, weights = np.array([True, False, False, False]), np.array([1.0, 0.0, 0.0, 0.0])
    ((changed),) = dynamic.updated({"a": mask}, {"a": weights}, {"a": growth}, 1.0).values()
    np.testing.assert_array_equal(changed, [False, True, False, False])


def test_updates_come_every_so_many_steps_until_three_quarters():
    def planned(**changes):  # three steps an epoch
        return train.prepare(tt.Config.from_values(**VALUES | changes))[0]

    assert dynamic.updates(planned(epochs=4000)) == range(100, 9000, 100)
    assert dynamic.updates(planned(epochs=400)) == range(90, 900, 90)  # a tenth of 900 steps is less than 100
    assert list(dynamic.updates(planned(epochs=20, update_every=7))) == [7, 14, 21, 28, 35, 42]
    plan = planned(epochs=20, update_every=7)
    head_first = dataclasses.replace(plan, training=dataclasses.replace(plan.training, head_epochs=5))  # 15 steps
    assert list(dynamic.updates(head_first)) == [21, 28, 35, 42]
    plan = planned(epochs=40, update_every=10, update_fraction=0.4)
    shares = [dynamic.fraction(plan, step) for step in dynamic.updates(plan)]
    np.testing.assert_allclose(shares, [0.2 * (1 + math.cos(math.pi * step / 90)) for step in range(10, 90, 10)])
    assert "updates     8, every 10 steps until step 80: 40 % of each" in plan_text.text(plan, "train")
    with pytest.raises(UsageError, match="of 15 steps and --update_every=12 the mask would never change"):
        train.planned(tt.Config.from_values(**VALUES, update_every=12))


@pytest.mark.parametrize("control", ["rigl", "set"])
def test_the_mask_changes_and_its_count_never_does(tmp_path, monkeypatch, control):
    monkeypatch.setattr(checkpoints, "_WRITING_SHARE", 1e9)  # a checkpoint after every block of steps
    seen, original = [], DynamicTraining.change

    def change(self, masks):
        before = self.masks
        original(self, masks)
        seen.append((before, masks))
        for name, variable in wrapping.kernel_variables(self._model).items():
            grown = masks[name] & ~before[name]
            assert not variable.numpy()[~masks[name] | grown].any()
            for slot in self._slots(variable):
                assert not slot.numpy()[~masks[name] | grown].any() and slot.numpy().any()

    monkeypatch.setattr(DynamicTraining, "change", change)
    config = tt.Config.from_values(**VALUES | {"control": control, "eval_every": 1}, out=str(tmp_path / "whole"))
    folder = trained(control=control, eval_every=1, out=str(tmp_path / "whole"))
    changes, seen = seen, []
    plan = train.prepare(config)[0]
    total = plan.weights[0]
    left = densities.erdos_renyi_kernel(
        {name: mask.shape for name, mask in plan.dense_masks.items()},
        pruning_masks.remaining_counts(total, 0.5, 3)[-1],
    )
    assert len(changes) == len(dynamic.updates(plan)) == 5
    for before, after in changes:
        assert {name: int(mask.sum()) for name, mask in after.items()} == left
        assert any((after[name] != before[name]).any() for name in after)
    assert all((first[1][name] == second[0][name]).all() for first, second in itertools.pairwise(changes)
               for name in left)  # fmt: skip
    # The ticket has the last masks, and the rows say what was done.
    ticket = tt.Ticket.load(folder.ticket)
    for name, mask in changes[-1][1].items():
        np.testing.assert_array_equal(ticket.masks[name], mask)
    rows = storage.read_csv(folder.round(0).epochs)
    entered = sum(int((after[name] & ~before[name]).sum()) for before, after in changes for name in after)
    assert {float(row["density"]) for row in rows} == {sum(left.values()) / total}
    assert sum(float(row["mask_changed"]) for row in rows) == pytest.approx(entered / sum(left.values()))
    assert float(rows[-1]["mask_changed"]) == 0.0
    (summary,) = folder.summaries()
    assert summary["weights_left"] == sum(left.values())
    sparse, dense = costs.of_network(ticket.model, plan.network.kernels(), ticket.masks)
    grown = 5 * 20 * (dense - sparse) if control == "rigl" else 0  # five batches of 20, all weights' gradients
    assert summary["training_multiply_adds"] == 3 * 5 * plan.train_images * sparse + grown
    assert stops.assert_stopping_changes_nothing(tt.train, config, tmp_path / "parts", (0, 1, 2, 1, 3, 40)) == 5


def test_an_update_of_rigl_takes_a_batch_and_moves_no_weight(tmp_path, monkeypatch):
    """The gradients are those of a plain network by the next batch, of all weights; nothing else changes."""
    steps_trained, original = [], Steps.train
    monkeypatch.setattr(Steps, "train", lambda self, iterator, count, *rest: (
        steps_trained.append(count), original(self, iterator, count, *rest))[1])  # fmt: skip
    checked, in_place = [], DynamicTraining.in_place

    def compared(self, step, batches):
        before = {v.name: v.numpy() for v in self._model.trainable_variables}
        masks = self.masks
        given = {}

        def growth(step, gradients):
            given.update(gradients)
            return wanted(step, gradients)

        wanted, self._growth = self._growth, growth
        outcomes = in_place(self, step, batches)
        self._growth = wanted
        if outcomes is None:
            return None
        assert outcomes.shape == (1, 3)
        kernels = wrapping.kernel_variables(self._model)
        assert any(given[name][~masks[name]].any() for name in masks)
        expected = dynamic.updated(
            masks, {name: before[kernel.name] for name, kernel in kernels.items()},
            {name: np.abs(gradient) for name, gradient in given.items()}, self._share(step),
        )  # fmt: skip
        for name, kernel in kernels.items():
            np.testing.assert_array_equal(self.masks[name], expected[name])
            np.testing.assert_array_equal(kernel.numpy(), np.where(expected[name], before[kernel.name], 0))
        of_kernels = {kernel.name for kernel in kernels.values()}
        for variable in self._model.trainable_variables:
            if variable.name not in of_kernels:
                np.testing.assert_array_equal(variable.numpy(), before[variable.name])
        checked.append(step)
        return outcomes

    monkeypatch.setattr(DynamicTraining, "in_place", compared)
    trained(out=str(tmp_path))
    assert checked == [2, 4, 6, 8, 10] and sum(steps_trained) == 15 - 5


def batch_of(session, count):
    """The first batch of a session's round 0: an iterator, and (images, one-hot labels) of all its replicas."""
    return iter(session.batches(0, 0, count))


def test_dense_gradients_are_those_of_a_network_without_masks(tmp_path):
    config = tt.Config.from_values(**VALUES, out=str(tmp_path))
    plan = train.prepare(config)[0]
    session = Session(plan)
    masks = dynamic.first_masks(plan)
    wrapping.write_state(session.steps.model, session.initial, masks)
    wrapping.open_masks(session.steps.model)
    kernels = wrapping.kernel_variables(session.steps.model)
    gradients, outcomes = session.steps.gradients(batch_of(session, 3), kernels)
    _, images, targets = next(batch_of(session, 3))
    plain = tt.models.build(VALUES["model"], classes=10, image_shape=(8, 8, 1), width=2)
    state.set_state(plain, pruning_masks.masked_state(session.initial, masks))
    with tf.GradientTape() as tape:
        logits = plain(images, training=True)
        losses = tf.nn.softmax_cross_entropy_with_logits(targets, logits)
        loss = tf.reduce_mean(losses)
    expected = tape.gradient(loss, {name: plain.get_layer(name).kernel for name in kernels})
    for name, gradient in expected.items():
        np.testing.assert_allclose(gradients[name], gradient.numpy(), rtol=1e-4, atol=1e-6)
        assert gradients[name][~masks[name]].any() or masks[name].all()
    np.testing.assert_allclose(outcomes[0, 0], losses.numpy().sum(), rtol=1e-5)
    assert outcomes[0, 2] == len(images)


def test_draws_of_growth_are_the_seed_s_the_step_s_and_the_layer_s():
    shapes = {"a": (3, 3, 2, 4), "b": (8, 9)}
    draws = dynamic.drawn(shapes, 0, 100)
    np.testing.assert_array_equal(draws["b"].ravel()[:3], [0.7314061944264709, 0.5769648996608965, 0.8587524261661711])
    assert {name: array.shape for name, array in draws.items()} == shapes
    for others in (dynamic.drawn(shapes, 1, 100), dynamic.drawn(shapes, 0, 200)):
        assert (others["a"] != draws["a"]).all()
    assert (draws["a"].ravel() != draws["b"].ravel()).all()


def test_a_loss_that_is_no_number_at_an_update_ends_the_run(tmp_path, monkeypatch):
    original = Steps.gradients

    def exploded(self, iterator, variables):
        gradients, outcomes = original(self, iterator, variables)
        return {name: gradient * np.nan for name, gradient in gradients.items()}, outcomes * np.nan

    monkeypatch.setattr(Steps, "gradients", exploded)
    with pytest.raises(DivergedError, match="the training loss is NaN in epoch 1, step 3"):
        trained(out=str(tmp_path))


@pytest.mark.parametrize(("changes", "words"), [
    ({"rounds": 1}, "--control=rigl trains at the density of the last of --rounds: 1 has none"),
    ({"scope": "layer"}, "--control=rigl has numbers of weights by layer of its own: --scope=layer conflicts"),
    ({"accounting": "release", "eval_every": 1}, "--control=rigl does not rewind: --accounting=release conflicts"),
    ({"control": "none", "update_every": 9}, "--update_every=9 needs --control=rigl or --control=set: no other"),
    ({"control": "gradual", "update_fraction": 0.5}, "--update_fraction=0.5 needs --control=rigl"),
    ({"update_every": 1}, "--update_every=1 is below 2"),
    ({"update_fraction": 0.0}, "--update_fraction=0.0 is not above 0"),
])  # fmt: skip
def test_settings_that_dynamic_training_refuses(changes, words):
    with pytest.raises(UsageError, match=words):
        tt.Config.from_values(**VALUES | changes)


def test_it_belongs_to_train_and_is_of_one_mask_no_folds_could_repeat(tmp_path):
    with pytest.raises(UsageError, match="--control=rigl belongs to train, not imp"):
        tt.imp(tt.Config.from_values(**VALUES, out=str(tmp_path)))
    with pytest.raises(UsageError, match="trains one mask, which --control=rigl has not"):
        tt.train(tt.Config.from_values(**VALUES, calibration="folds:2", out=str(tmp_path)))


def begun(out, *flags):
    """A process that trains and saves after every block; its output goes nowhere but for errors."""
    code = (
        "from tf_tickets import main\nfrom tf_tickets.training import checkpoints\n"
        "checkpoints._WRITING_SHARE = 1e9\nmain.entry_point()"
    )
    words = [
        f"--{name}={value}" for name, value in (VALUES | {"model": "vgg11"}).items() if not isinstance(value, bool)
    ]
    given = ["train", *words, "--notensorboard", f"--out={out}", *flags]
    return command_server.loaded().start(ROOT, given, code=code)


def finished(process):
    """Waits for its end, which is a good one."""
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error


def saved(out):
    """When each checkpoint below a folder was written."""
    return {(str(path), os.stat(path).st_mtime_ns) for path in out.glob("*/*/round_00/checkpoint*.npz")}


@pytest.mark.slow
@pytest.mark.parametrize("flags", [["--control=rigl"], ["--control=set", "--strategy=cpu:2"]])
def test_killed_and_continued_it_ends_in_the_same_bits(tmp_path, flags):
    flags = [*flags, "--epochs=40"]
    whole = begun(tmp_path / "whole", *flags)
    part = begun(tmp_path / "parts", *flags)
    while part.poll() is None and len(saved(tmp_path / "parts")) < 2:
        time.sleep(0.005)
    part.kill()
    part.communicate()
    assert part.returncode == -signal.SIGKILL
    finished(begun(tmp_path / "parts", *flags))
    finished(whole)
    attempts = storage.read_csv(runs.RunFolder(trees.only_run(tmp_path / "parts")).attempts)
    assert len(attempts) == 2 and 0 < int(attempts[1]["step"]) < 90
    parts, expected = (trees.contents(trees.only_run(tmp_path / name)) for name in ("parts", "whole"))
    trees.assert_equal(parts, expected)


@pytest.mark.slow
def test_two_replicas_sum_their_gradients(tmp_path):
    """Where the whole batch normalises, one device and two drop and grow the same weights, but for rounding."""
    masks = []
    for strategy in ("one_device", "cpu:2"):
        out = tmp_path / strategy.replace(":", "_")
        finished(begun(out, f"--strategy={strategy}", "--batch_norm=synchronised", "--update_every=10"))
        masks.append(storage.read_arrays(runs.RunFolder(trees.only_run(out)).round(0).mask))
    assert min(np.mean(masks[0][name] == masks[1][name]) for name in masks[0]) > 0.99
