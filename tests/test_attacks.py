"""Attacks against PyTorch's, and their bounds; the k-nearest-neighbour monitor."""

import functools

import numpy as np
from test_parity import formula_weights, wrapped_network

import tf_tickets as tt
from tf_tickets.backend import tf
from tf_tickets.evaluation import neighbours
from tf_tickets.registry import DATASETS
from tf_tickets.training import adversarial, losses


def attacked(fixture_json, fixture_arrays):
    """(pixels, gradient function, logits function) of the fixture's network."""
    facts, fixture = fixture_json("networks.json"), fixture_arrays("attacks.npz")
    model, _ = wrapped_network("resnet18", width=12)
    order = facts["networks"]["resnet18_small_w12"]["order"]
    tt.models.load_state(model, formula_weights(order, facts["seed"]), False)
    model.get_layer("linear").bias.assign(np.zeros(10))
    pixels = tf.constant(fixture["x"].transpose(0, 2, 3, 1))
    normalise = DATASETS["cifar10"].facts.normalise
    model(normalise(255.0 * pixels), training=True)
    targets = tf.one_hot(fixture["y"], 10)

    def logits_of(images):
        return model(normalise(255.0 * images), training=False)

    gradient_of = functools.partial(adversarial.loss_gradient, logits_of, losses.cross_entropy, targets=targets)
    return fixture, pixels, gradient_of, logits_of


def test_fgsm_equals_pytorch(fixture_json, fixture_arrays):
    fixture, pixels, gradient_of, logits_of = attacked(fixture_json, fixture_arrays)
    gradient = gradient_of(pixels).numpy().transpose(0, 3, 1, 2)
    assert (np.sign(gradient) == np.sign(fixture["grad"])).mean() >= 0.999
    found = adversarial.fgsm(gradient_of, pixels, 8 / 255)
    close = np.abs(found.numpy().transpose(0, 3, 1, 2) - fixture["fgsm"]) < 1e-6
    assert close.mean() >= 0.999
    logits = logits_of(tf.constant(fixture["fgsm"].transpose(0, 2, 3, 1))).numpy()
    assert np.abs(logits - fixture["logits_fgsm"]).max() <= 1e-2 * np.abs(fixture["logits_fgsm"]).max()


def test_pgd_stays_in_the_ball_and_beats_one_step(fixture_json, fixture_arrays):
    fixture, pixels, gradient_of, logits_of = attacked(fixture_json, fixture_arrays)
    eps, targets = 8 / 255, tf.one_hot(fixture["y"], 10)
    noise = tf.constant(np.random.default_rng(0).uniform(-eps, eps, pixels.shape).astype(np.float32))

    def loss(images):
        return float(tf.reduce_mean(losses.cross_entropy(targets, logits_of(images))))

    for start in (None, noise):
        found = adversarial.pgd(gradient_of, pixels, eps=eps, step=2 / 255, steps=10, start=start)
        assert np.abs(found - pixels).max() <= eps + 1e-6 and found.numpy().min() >= 0 and found.numpy().max() <= 1
        assert loss(found) > loss(adversarial.pgd(gradient_of, pixels, eps=eps, step=2 / 255, steps=1)) > loss(pixels)
    np.testing.assert_array_equal(
        adversarial.pgd(gradient_of, pixels, eps=eps, step=eps, steps=1), adversarial.fgsm(gradient_of, pixels, eps)
    )


def test_neighbours_vote_by_angle():
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 4
    centres = rng.normal(size=(4, 16))
    features = (centres[labels] + 0.3 * rng.normal(size=(200, 16))) * rng.uniform(0.1, 10, (200, 1))
    assert neighbours.accuracy(features[:100], labels[:100], features[100:], labels[100:]) > 0.95
    shuffled = rng.permutation(labels[:100])
    assert neighbours.accuracy(features[:100], shuffled, features[100:], labels[100:]) < 0.6
