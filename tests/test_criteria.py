"""Criteria: what they are given, what they have to give, and the gradients that some ask for."""

import os

import command_server
import numpy as np
import pytest
import small_network
import stops
from conftest import ROOT

import tf_tickets as tt
from tf_tickets import runs, storage
from tf_tickets.backend import tf
from tf_tickets.data import pipeline
from tf_tickets.errors import StateError, UsageError
from tf_tickets.experiments import plan as plans
from tf_tickets.experiments import train
from tf_tickets.experiments.imp import imp
from tf_tickets.experiments.session import Session
from tf_tickets.pruning import criteria, wrapping
from tf_tickets.registry import CRITERIA
from tf_tickets.training import checkpoints

SETTINGS = {
    "dataset": "digits", "model": small_network.NAME, "width": 2,
    "per_class": 4, "epochs": 2, "batch_size": 40, "rounds": 2,
    "rewind": "init", "progress": "none", "tensorboard": False, "augment": "none",
}  # fmt: skip


@pytest.fixture
def register(monkeypatch):
    monkeypatch.setattr(CRITERIA, "_parts", dict(CRITERIA))
    return CRITERIA.register


def unasked():
    raise AssertionError("nobody asked for gradients")


def test_gradients_are_computed_for_criteria_that_have_a_parameter_for_them(register):
    weights, masks = {"a": np.array([1.0, -3.0])}, {"a": np.array([True, True])}
    np.testing.assert_array_equal(criteria.scores("magnitude", weights, masks, unasked)["a"], [1.0, 3.0])
    register("own")(lambda weights, masks, gradients: {"a": np.abs(weights["a"] * gradients["a"])})
    scores = criteria.scores("own", weights, masks, lambda: {"a": np.array([5.0, 1.0])})
    np.testing.assert_array_equal(scores["a"], [5.0, 3.0])


@pytest.mark.parametrize(("scores", "message"), [
    ({}, "has no score for the weights of a"), ({"a": np.ones(3)}, r"has scores of shape \(3,\) for the weights of a"),
    ({"a": np.array([np.nan, 1.0])}, "has scores that are not finite"), ({"a": 1.0}, r"has scores of shape \(\) for"),
])  # fmt: skip
def test_a_criterion_gives_one_finite_number_for_each_weight(register, scores, message):
    register("own")(lambda weights, masks: scores)
    with pytest.raises(UsageError, match=f"--criterion=own {message}"):
        criteria.scores("own", {"a": np.ones(2)}, {"a": np.array([True, True])}, unasked)


def test_a_criterion_gives_a_dict(register):
    register("own")(lambda weights, masks: [np.ones(2)])
    with pytest.raises(UsageError, match="--criterion=own gives a list: a criterion gives a dict"):
        criteria.scores("own", {"a": np.ones(2)}, {"a": np.array([True, True])}, unasked)


def test_scores_of_removed_weights_do_not_count(register):
    register("own")(lambda weights, masks: {"a": np.array([np.nan, 1.0])})
    assert criteria.scores("own", {"a": np.ones(2)}, {"a": np.array([False, True])}, unasked)


def test_the_gradient_is_that_of_the_mean_loss_over_all_images():
    """By central differences in float64, which know nothing of how it is computed."""
    session = Session(plans.resolve(tt.Config.from_values(**SETTINGS | {"model": "vgg11"})))
    rng = np.random.default_rng(0)
    masks = {name: rng.random(mask.shape) < 0.7 for name, mask in session.plan.dense_masks.items()}
    state = {name: np.asarray(array) for name, array in session.initial.items()}
    gradients = session.gradients_at(state, masks)
    pixels = session.data_set.normalise(pipeline.evaluation_pixels(session.train, slice(None), session.data_set))
    targets = tf.one_hot(session.train.labels, 10)

    def loss():
        logits = session.steps.model(pixels, training=False)
        return float(tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits)))

    name, kernel = list(wrapping.kernel_variables(session.steps.model).items())[-1]
    weights, step = kernel.numpy(), np.float32(0.02)
    for place in map(tuple, np.argwhere(masks[name])[:: masks[name].size // 8]):
        moved = []
        for sign in (1, -1):
            changed = weights.copy()
            changed[place] += sign * step
            kernel.assign(changed)
            moved.append(loss())
        assert gradients[name][place] == pytest.approx((moved[0] - moved[1]) / (2 * step), rel=0.05, abs=2e-5)
    assert all((gradients[name][~mask] == 0).all() for name, mask in masks.items())
    assert any(gradients[name].any() for name in masks)


@pytest.mark.parametrize("further", [{}, {"mask_distance": 0.5, "rounds": 3}])
def test_a_search_by_gradients_removes_what_they_say(register, tmp_path, further):
    seen = []

    def own(weights, masks, gradients):
        seen.append(gradients)
        return {name: np.abs(weights[name] * gradients[name]) for name in weights}

    register("own")(own)
    config = tt.Config.from_values(**SETTINGS | further, criterion="own", out=str(tmp_path))
    run = runs.RunFolder(imp(config).folder)
    weights, mask = storage.read_arrays(run.round(0).weights), storage.read_arrays(run.round(1).mask)
    kernels = {name: weights[f"{name}/kernel"] for name in mask}
    flat = [np.concatenate([part[name].ravel() for name in mask]) for part in (own(kernels, None, seen[-1]), mask)]
    if not further:
        assert flat[0][flat[1]].min() >= flat[0][~flat[1]].max()
    assert seen
    # Asked again, the same masks follow from the same files.
    assert imp(config).folder == run.folder


def test_several_machines_do_not_compute_them(register, monkeypatch):
    register("own")(lambda weights, masks, gradients: gradients)
    config = tt.Config.from_values(**SETTINGS, criterion="own", strategy="multi_worker")
    with pytest.raises(UsageError, match="--criterion=own wants gradients, which one machine computes"):
        plans.resolve(config)


def test_taylor_is_the_weight_times_the_gradient():
    weights, masks = {"a": np.array([2.0, -3.0])}, {"a": np.array([True, True])}
    scores = criteria.scores("taylor", weights, masks, lambda: {"a": np.array([-5.0, 1.0])})
    np.testing.assert_array_equal(scores["a"], [10.0, 3.0])


def test_lamp_is_the_square_over_the_squares_that_are_not_smaller():
    weights = {"a": np.array([[2.0, -3.0], [1.0, 5.0]]), "b": np.array([100.0, 200.0]), "c": np.zeros(2)}
    masks = {"a": np.array([[True, True], [True, False]]), "b": np.ones(2, bool), "c": np.ones(2, bool)}
    scores = criteria.scores("lamp", weights, masks, None)
    np.testing.assert_allclose(scores["a"][masks["a"]], [4 / 13, 1.0, 1 / 14])
    np.testing.assert_allclose(scores["b"], [1 / 5, 1.0])
    np.testing.assert_array_equal(scores["c"], [0.0, 0.0])


def test_movement_is_summed_over_the_steps_of_a_round(tmp_path):
    """By a tape of its own: every step sees all images as they are, so each batch is the same."""
    config = tt.Config.from_values(**SETTINGS, criterion="movement", momentum=0.0, out=str(tmp_path))
    session = Session(plans.resolve(config))
    wrapping.write_state(session.steps.model, session.initial, session.plan.dense_masks)
    session.steps.reset_optimizer()
    kernels = wrapping.kernel_variables(session.steps.model)
    pixels = session.data_set.normalise(pipeline.evaluation_pixels(session.train, slice(None), session.data_set))
    targets, iterator = tf.one_hot(session.train.labels, 10), iter(session.batches(0, 0, 2))
    expected = {name: np.zeros(tuple(kernel.shape)) for name, kernel in kernels.items()}
    for _ in range(2):
        with tf.GradientTape() as tape:
            logits = session.steps.model(pixels, training=True)
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))
        for name, gradient in tape.gradient(loss, kernels).items():
            expected[name] -= kernels[name].numpy() * gradient.numpy()
        session.steps.train(iterator, 1, 0.01)
    for name, movement in session.steps.movement.items():
        np.testing.assert_allclose(movement, expected[name], rtol=1e-3, atol=1e-3 * np.abs(expected[name]).max())
    session.steps.reset_optimizer()
    assert not any(movement.any() for movement in session.steps.movement.values())


@pytest.mark.parametrize("further", [{}, {"control": "gradual", "rate": 0.5, "epochs": 3}, {"mask_distance": 0.5}])
def test_a_search_by_movement_is_the_same_when_it_is_stopped(further, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "_WRITING_SHARE", 1e9)
    changes = SETTINGS | {"criterion": "movement", "rounds": 3, "batch_size": 10, "epochs": 3} | further
    command = train.train if "control" in further else imp
    config = tt.Config.from_values(**changes, out=str(tmp_path / "whole"))
    assert stops.assert_stopping_changes_nothing(command, config, tmp_path / "parts", (1, 2, 3, 40)) == 3
    if not further:
        run = runs.RunFolder(imp(config).folder)
        movement, mask = storage.read_arrays(run.round(0).movement), storage.read_arrays(run.round(1).mask)
        flat = [np.concatenate([part[name].ravel() for name in mask]) for part in (movement, mask)]
        assert flat[0][flat[1]].min() >= flat[0][~flat[1]].max() and flat[0].any()
        os.remove(run.round(1).movement)
        with pytest.raises(StateError, match="movement.npz is missing; restore it"):
            imp(config.replace(rounds=4))


@pytest.mark.slow
def test_movement_is_the_same_on_two_devices(tmp_path):
    words = [f"--{name}={value}" for name, value in (SETTINGS | {"model": "vgg11"}).items() if name != "tensorboard"]
    moved = []
    for strategy in ("one_device", "cpu:2"):
        given = [
            *words, "--notensorboard", "--criterion=movement", "--epochs=1", "--batch_norm=synchronised",
            f"--strategy={strategy}", f"--out={tmp_path / strategy[:3]}", "--rounds=1",
        ]  # fmt: skip
        done = command_server.loaded().run(ROOT, given)
        assert done.returncode == 0, done.stderr
        (path,) = (tmp_path / strategy[:3]).glob("*/seed_0/round_00/movement.npz")
        moved.append(storage.read_arrays(str(path)))
    for name, array in moved[0].items():
        np.testing.assert_allclose(moved[1][name], array, rtol=1e-2, atol=1e-3 * np.abs(array).max())


def test_movement_needs_all_gradients():
    config = tt.Config.from_values(**SETTINGS, criterion="movement", precision="mixed_float16")
    with pytest.raises(UsageError, match="--criterion=movement sums the gradients of all steps"):
        plans.resolve(config)
