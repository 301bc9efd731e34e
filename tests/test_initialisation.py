"""Criteria that score weights as they are drawn: by hand on two layers, and the sparse round that follows."""

import pathlib
import types

import numpy as np
import pytest
import small_network
import stops

import tf_tickets as tt
from tf_tickets import registry, runs, storage
from tf_tickets.backend import keras, tf
from tf_tickets.data import pipeline
from tf_tickets.errors import StateError, UsageError
from tf_tickets.experiments import plan as plans
from tf_tickets.experiments import plan_text, train
from tf_tickets.experiments.derivatives import Derivatives
from tf_tickets.experiments.session import Session
from tf_tickets.pruning import criteria
from tf_tickets.pruning import masks as pruning_masks
from tf_tickets.training.score_derivatives import TEMPERATURE, BatchDerivatives, SynapticFlow, balanced, positive

SETTINGS = {
    "dataset": "digits", "model": small_network.NAME, "width": 2,
    "per_class": 12, "epochs": 2, "batch_size": 40, "rounds": 2,
    "rate": 0.9, "rewind": "init", "progress": "none", "tensorboard": False, "control": "one_shot",
}  # fmt: skip
CRITERIA = ("random", "snip", "grasp", "synflow")
CLASSES = 3
DATA_SET = types.SimpleNamespace(classes=CLASSES, normalise=lambda pixels: pixels / np.float32(64.0) - np.float32(2.0))


def two_layers(precision="float32"):
    """(network, its kernels by name) of 4 inputs, 5 hidden units and 3 outputs."""
    x = keras.Input((2, 2, 1), dtype=precision)
    hidden = keras.layers.Dense(5, activation="relu", name="a", dtype=precision)
    head = keras.layers.Dense(CLASSES, name="b", dtype=precision)
    model = keras.Model(x, head(hidden(keras.layers.Flatten(dtype=precision)(x))))
    rng = np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(rng.normal(0.0, 1.0, variable.shape))
    return model, {"a": hidden.kernel, "b": head.kernel}


def batch(count=150):
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (count, 2, 2, 1), np.uint8)
    return pipeline.Images(pixels, rng.integers(0, CLASSES, count), np.arange(count))


def gradient_by_hand(first, second, biases, images, temperature):
    """The gradient of the mean cross-entropy by both kernels, in numpy."""
    inputs = (images.pixels.reshape(len(images), -1) / 64.0) - 2.0
    hidden = np.maximum(inputs @ first + biases[0], 0.0)
    logits = (hidden @ second + biases[1]) / temperature
    probabilities = np.exp(logits - logits.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    errors = (probabilities - np.eye(CLASSES)[images.labels]) / temperature / len(images)
    return inputs.T @ ((errors @ second.T) * (hidden > 0)), hidden.T @ errors


def computed(model, kernels, images):
    return BatchDerivatives(model, kernels, tf.nn.softmax_cross_entropy_with_logits, images, DATA_SET)


def test_snip_is_the_gradient_times_the_weight_by_hand():
    model, kernels = two_layers()
    images = batch()  # in two parts
    first, bias, second, bias_ = (variable.numpy().astype(np.float64) for variable in model.variables)
    by_hand = gradient_by_hand(first, second, (bias, bias_), images, 1.0)
    weights = {name: kernel.numpy() for name, kernel in kernels.items()}
    masks = pruning_masks.dense(weights)
    network = types.SimpleNamespace(of_batch=computed(model, kernels, images).gradients)
    scores = criteria.scores("snip", weights, masks, network)
    for name, weight, gradient in zip("ab", (first, second), by_hand):
        np.testing.assert_allclose(scores[name], np.abs(weight * gradient), rtol=2e-4, atol=1e-6)


def test_grasp_is_the_hessian_times_the_gradient_by_differences():
    """H g as the gradient's change along g, by central differences in float64; kept is what removal would hurt."""
    model, kernels = two_layers()
    images = batch()
    first, bias, second, bias_ = (variable.numpy().astype(np.float64) for variable in model.variables)

    def gradient(one_layer, next_layer):
        return gradient_by_hand(one_layer, next_layer, (bias, bias_), images, TEMPERATURE)

    along = gradient(first, second)
    step = 1e-4 / max(np.abs(part).max() for part in along)
    ahead, behind = (gradient(first + sign * step * along[0], second + sign * step * along[1]) for sign in (1, -1))
    weights = {name: kernel.numpy() for name, kernel in kernels.items()}
    network = types.SimpleNamespace(hessian_products=computed(model, kernels, images).hessian_products)
    scores = criteria.scores("grasp", weights, pruning_masks.dense(weights), network)
    for name, weight, far, near in zip("ab", (first, second), ahead, behind):
        expected = weight * (far - near) / (2 * step)
        np.testing.assert_allclose(scores[name], expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    # Removing the weight of smallest score leaves more of the gradient flow than removing that of the largest.
    flows = []
    for pick in (np.argmin, np.argmax):
        changed = first.copy()
        changed.ravel()[pick(scores["a"])] *= 0.99
        flows.append(sum((part**2).sum() for part in gradient(changed, second)))
    assert flows[0] > flows[1]


def test_synaptic_flow_is_the_product_of_absolute_weights_by_hand():
    model, kernels = two_layers("float64")
    state = {f"{name}/{leaf}": variable.numpy() for name in "ab"
             for leaf, variable in zip(("kernel", "bias"), model.get_layer(name).variables)}  # fmt: skip
    for name, array in positive(state).items():
        layer, leaf = name.split("/")
        getattr(model.get_layer(layer), leaf).assign(array)
    first, second = np.abs(state["a/kernel"]), np.abs(state["b/kernel"])
    network = types.SimpleNamespace(synaptic_flow=SynapticFlow(model, kernels))
    weights = {name: state[f"{name}/kernel"] for name in "ab"}
    scores = criteria.scores("synflow", weights, pruning_masks.dense(weights), network)
    np.testing.assert_allclose(scores["a"], first * second.sum(1), rtol=1e-6)
    np.testing.assert_allclose(scores["b"], second * first.sum(0)[:, None], rtol=1e-6)
    assert scores["a"].sum() == pytest.approx(scores["b"].sum())  # what flows in flows out


@pytest.mark.parametrize("flow", [0.0, -1.0])
def test_synaptic_flow_that_is_none_is_refused(flow):
    weights = {"a": np.ones((2, 2), np.float32)}
    network = types.SimpleNamespace(synaptic_flow=lambda: {"a": np.full((2, 2), flow)})
    with pytest.raises(UsageError, match="--criterion=synflow is for networks of rectified units"):
        criteria.scores("synflow", weights, pruning_masks.dense(weights), network)


def test_the_batch_has_ten_images_of_each_class_or_all_that_there_are():
    labels = np.repeat([0, 1, 2], [30, 4, 12])
    images = pipeline.Images(np.zeros((46, 2, 2, 1), np.uint8), labels, np.arange(100, 146))
    drawn = balanced(images, seed=3)
    assert np.bincount(drawn.labels).tolist() == [10, 4, 10] and len(set(drawn.ids)) == 24
    assert drawn.labels[:6].tolist() == [0, 1, 2, 0, 1, 2]
    np.testing.assert_array_equal(drawn.ids, balanced(images, seed=3).ids)
    assert set(drawn.ids) != set(balanced(images, seed=4).ids)


def drawn_masks(name, **changes):
    """(session, the masks that a criterion leaves of its network)."""
    session = Session(plans.resolve(tt.Config.from_values(**SETTINGS | changes, criterion=name)))
    dense = session.plan.dense_masks
    weights = pruning_masks.kernels(session.initial, dense)
    derivatives = Derivatives(session, (session.initial, dense))
    return session, session.plan.control.drawn(session.plan, weights, gradients=derivatives)


@pytest.mark.parametrize("name", CRITERIA)
def test_one_sparse_round_of_the_exact_count_is_trained_stopped_and_asked_again(name, tmp_path, monkeypatch):
    scope = "erk" if name == "random" else "global"
    config = tt.Config.from_values(**SETTINGS, criterion=name, scope=scope, out=str(tmp_path / "whole"))
    assert stops.assert_stopping_changes_nothing(train.train, config, tmp_path / "parts", (3, 4, 40)) == 2
    folder = runs.RunFolder(train.train(config).folder)
    (summary,), mask = folder.summaries(), storage.read_arrays(folder.round(0).mask)
    total = summary["weights_total"]
    assert summary["weights_left"] == pruning_masks.count(mask) == pruning_masks.remaining_counts(total, 0.9, 2)[1]
    session, masks = drawn_masks(name, scope=scope)
    weights = storage.read_arrays(folder.round(0).weights)
    for layer, part in masks.items():
        np.testing.assert_array_equal(mask[layer], part)
        assert (weights[f"{layer}/kernel"][~part] == 0).all()
    ticket = tt.Ticket.load(folder.ticket)
    assert ticket.round == 0 and ticket.density == pytest.approx(0.1, abs=1e-3)
    assert f"pruned by {name} before it was trained" in pathlib.Path(folder.ticket, "MODEL_CARD.md").read_text()
    text = plan_text.text(session.plan, "train")
    assert (
        f"pruned      by {name}, before" in text
        and "in all      1 round, " in text
        and f"{total:,} prunable weights" in text
    )
    assert text.splitlines()[-1].split() == ["0", f"{100 * summary['weights_left'] / total:.2f}", "%",
                                              f"{summary['weights_left']:,}"]  # fmt: skip


def test_weights_are_removed_in_as_many_iterations_as_a_criterion_says(monkeypatch):
    monkeypatch.setattr(registry.CRITERIA, "_parts", dict(registry.CRITERIA))
    given = []

    @registry.CRITERIA.register("own")
    @criteria.at_initialisation(iterations=3)
    def own(weights, masks):
        given.append(pruning_masks.count(masks))
        assert all((weights[name][~mask] == 0).all() for name, mask in masks.items())
        return {name: np.abs(array) for name, array in weights.items()}

    session, masks = drawn_masks("own")
    total, left = session.plan.weights
    assert given == [total, round(total * (left / total) ** (1 / 3)), round(total * (left / total) ** (2 / 3))]
    assert pruning_masks.count(masks) == left and criteria.iterations_at_initialisation("synflow") == 100


def test_a_criterion_that_is_declared_oddly_is_taken_or_refused(monkeypatch):
    @criteria.at_initialisation
    def bare(weights, masks):
        return weights

    assert bare.iterations_at_initialisation == 1
    with pytest.raises(ValueError, match="iterations=0"):
        criteria.at_initialisation(iterations=0)

    @criteria.at_initialisation()
    def moved(weights, masks, movement):
        return movement

    monkeypatch.setattr(criteria, "CRITERIA", {"moved": moved})
    config = types.SimpleNamespace(
        pruning=types.SimpleNamespace(criterion="moved"),
        run=types.SimpleNamespace(strategy="auto", precision="float32"),
    )
    with pytest.raises(UsageError, match="has a parameter movement, which is of training"):
        criteria.check(config, starts_sparse=True)


def test_too_few_weights_for_any_flow_are_said():
    weights = {"a": np.ones((2, 2), np.float32)}
    with pytest.raises(UsageError, match="nothing flows through the network any more: leave more"):
        criteria.CRITERIA["synflow"](weights, {"a": np.eye(2, dtype=bool)}, {"a": np.zeros((2, 2))})


def test_snip_keeps_the_weights_of_largest_score_and_other_seeds_other_ones():
    session, masks = drawn_masks("snip")
    derivatives = Derivatives(session, (session.initial, session.plan.dense_masks))
    weights = pruning_masks.kernels(session.initial, masks)
    gradients = derivatives.of_batch()
    flat = [np.concatenate([part[name].ravel() for name in masks]) for part in (
        {name: np.abs(weights[name] * gradients[name]) for name in masks}, masks)]  # fmt: skip
    assert flat[0][flat[1]].min() >= flat[0][~flat[1]].max()
    other = drawn_masks("snip", seed=1)[1]
    assert any((other[name] != masks[name]).any() for name in masks)


def test_the_gradient_of_the_batch_normalises_by_the_batch():
    """Scaling a kernel before a normalisation by the batch changes nothing, so the sum of g x w is 0; not by others."""
    session, _ = drawn_masks("snip")
    gradients = Derivatives(session, (session.initial, session.plan.dense_masks)).of_batch()
    weights = pruning_masks.kernels(session.initial, gradients)
    for name, gradient in gradients.items():
        products = weights[name] * gradient
        assert abs(products.sum()) < 1e-2 * np.abs(products).sum()


def test_erdos_renyi_kernel_numbers_are_kept_at_random():
    session, masks = drawn_masks("random", scope="erk")
    sums = {name: sum(mask.shape) for name, mask in masks.items()}
    factors = [mask.sum() / sums[name] for name, mask in masks.items() if not mask.all()]
    assert max(factors) - min(factors) < 0.1 and pruning_masks.count(masks) == session.plan.weights[1]


@pytest.mark.parametrize(("changes", "message"), [
    ({"control": "none"}, "--criterion=snip scores the weights as they are drawn, .* train --control=one_shot"),
    ({"control": "gradual"}, "--criterion=snip scores the weights as they are drawn"),
    ({"control": "random"}, "--criterion=snip scores the weights as they are drawn"),
    ({"strategy": "multi_worker"}, "--criterion=snip wants gradients, which one machine computes"),
    ({"scope": "layer"}, "--control=one_shot ranks all weights together: --scope=layer conflicts"),
])  # fmt: skip
def test_what_has_no_weights_as_drawn_to_prune_is_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        plans.resolve(tt.Config.from_values(**SETTINGS | {"criterion": "snip"} | changes))


def test_a_round_needs_no_teacher_and_a_search_none_of_these(tmp_path):
    config = tt.Config.from_values(**SETTINGS, criterion="random", distillation=0.5, out=str(tmp_path))
    with pytest.raises(UsageError, match="--distillation=0.5 needs --teacher=DIR"):
        train.prepare(config)
    with pytest.raises(UsageError, match="belongs to train, not imp"):
        tt.imp(config)


def test_a_mask_that_is_another_is_refused(tmp_path):
    config = tt.Config.from_values(**SETTINGS, criterion="random", out=str(tmp_path))
    with pytest.raises(tt.errors.StopRequested):
        train.train(config, stops.StopAfter(4))
    folder = runs.RunFolder.of(config, "train", [("final_round", 1)])
    mask = storage.read_arrays(folder.round(0).mask)
    storage.write_arrays(folder.round(0).mask, pruning_masks.dense(mask))
    with pytest.raises(StateError, match="not the .* of its round; delete it to redo it"):
        train.train(config)


def is_connected(session, masks):
    """Whether anything flows from the images to the logits through the weights left."""
    flow = Derivatives(session, (session.initial, masks)).synaptic_flow()
    weights = pruning_masks.kernels(session.initial, masks)
    return any((np.abs(weights[name]) * flow[name])[mask].any() for name, mask in masks.items())


@pytest.mark.slow
@pytest.mark.parametrize("model", ["vgg16", "resnet18"])
def test_synflow_keeps_networks_connected_at_a_thousandth_and_snip_does_not(model):
    """The observation of Tanaka et al. 2020; a ResNet's shortcuts go round branches that are left empty."""
    changes = {"model": model, "width": 16, "rate": 0.999, "epochs": 1}
    session, masks = drawn_masks("synflow", **changes)
    assert is_connected(session, masks) and pruning_masks.count(masks) == session.plan.weights[1]
    assert model != "vgg16" or not pruning_masks.empty_layers(masks)
    session, masks = drawn_masks("snip", **changes)
    assert not is_connected(session, masks) and pruning_masks.empty_layers(masks)
