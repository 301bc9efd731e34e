"""AdvProp: attacked images train an auxiliary normalisation; what is evaluated and exported never sees it."""

import os

import numpy as np
import pytest
import stops
from conftest import TWO_LAYERS

import tf_tickets as tt
from tf_tickets import backend, runs, storage
from tf_tickets.backend import tf
from tf_tickets.data import pipeline
from tf_tickets.errors import UsageError
from tf_tickets.models import auxiliary, names, state
from tf_tickets.registry import DATASETS
from tf_tickets.settings.groups import Training
from tf_tickets.training import checkpoints, losses, objectives

DIGITS = DATASETS["digits"].facts
VALUES = TWO_LAYERS | {"adversarial": True, "tensorboard": False, "attack_eps": 0.1, "attack_step": 0.05}


@pytest.fixture
def plain():
    """A small network whose normalisation statistics are not those of the start."""
    model = tt.models.build("vgg11", classes=10, image_shape=(8, 8, 1), width=2, seed=3)
    arrays, generator = state.get_state(model), np.random.default_rng(0)
    for name, array in arrays.items():
        if "moving" in name:
            arrays[name] = array + generator.uniform(0.1, 0.5, array.shape).astype(np.float32)
    state.set_state(model, arrays)
    return model


@pytest.fixture
def images():
    return np.random.default_rng(1).random((6, 8, 8, 1)).astype(np.float32)


def test_pairing_leaves_the_network_as_it_is(plain, images):
    paired = auxiliary.add(plain)
    np.testing.assert_array_equal(plain(images, training=False), paired(images, training=False))
    arrays = state.get_state(paired)
    own = names.without_auxiliary(arrays)
    assert set(own) == set(state.get_state(plain))
    mirrored = [name for name in arrays if ".auxiliary/" in name]
    assert len(mirrored) == sum("gamma" in n or "beta" in n or "moving" in n for n in own)
    for name in mirrored:
        np.testing.assert_array_equal(arrays[name], own[name.replace(".auxiliary", "")])


def test_each_path_trains_its_own_statistics(plain, images):
    paired = auxiliary.add(plain)
    before = state.get_state(paired)
    with auxiliary.path():
        paired(images, training=True)
    after = state.get_state(paired)
    changed = {name for name in after if (after[name] != before[name]).any()}
    assert changed == {name for name in after if ".auxiliary/moving" in name}
    paired(images, training=True)
    final = state.get_state(paired)
    assert {name for name in final if (final[name] != after[name]).any()} == {
        name.replace(".auxiliary", "") for name in changed
    }


def test_the_loss_is_the_mean_over_attacked_and_clean_images(plain, images):
    paired = auxiliary.add(plain)
    targets = tf.one_hot(np.arange(6), 10)
    noise = np.random.default_rng(2).uniform(-0.1, 0.1, images.shape).astype(np.float32)
    training = Training(adversarial=True, attack_eps=0.1, attack_step=0.05, attack_steps=2)
    # By hand, on the unpaired network, whose state both paths begin with.
    pixels = np.clip(images + noise, 0.0, 1.0)
    for _ in range(2):
        with tf.GradientTape() as tape:
            watched = tf.constant(pixels)
            tape.watch(watched)
            loss = tf.reduce_sum(losses.cross_entropy(targets, plain(DIGITS.standardise(watched), training=False)))
        pixels = pixels + 0.05 * np.sign(tape.gradient(loss, watched))
        pixels = np.clip(np.clip(pixels, images - 0.1, images + 0.1), 0.0, 1.0).astype(np.float32)
    attacked, clean = (
        losses.cross_entropy(targets, plain(DIGITS.standardise(x), training=True)).numpy() for x in (pixels, images)
    )
    objective = objectives.advprop(losses.cross_entropy, DIGITS, training)
    found, correct = objective(paired, tf.constant(images), targets, tf.constant(noise))
    np.testing.assert_allclose(found, (attacked + clean) / 2, rtol=1e-5)
    assert np.abs(attacked - clean).max() > 1e-3  # the attack does something
    logits = plain(DIGITS.standardise(images), training=True)
    np.testing.assert_array_equal(correct, np.argmax(logits, 1) == np.arange(6))


def noise_of(order_seed, devices=None):
    split = pipeline.Images(np.zeros((40, 8, 8, 1), np.uint8), np.zeros(40, np.int64), np.arange(40))
    batches = pipeline.TrainingBatches(
        split, load=pipeline.attacked(DIGITS, lambda x, y, k: (x, y), 0.1), batch_size=10, order_seed=order_seed,
        devices=devices or backend.start(tt.Config.from_values().run),
    )  # fmt: skip
    return np.stack([noise for _, _, _, noise in batches.iterate(round_index=0, first_step=0, epochs=50)])


def test_noise_starts_four_batches_in_five_and_depends_on_the_seed():
    noise = noise_of(1)
    started = np.abs(noise).max(axis=(1, 2, 3, 4)) > 0
    assert len(noise) == 200 and 0.72 < started.mean() < 0.88
    assert np.abs(noise).max() <= 0.1 and 0.09 < np.abs(noise[started]).max(axis=(1, 2, 3, 4)).min()
    assert abs(noise[started].mean()) < 0.003
    np.testing.assert_array_equal(noise, noise_of(1))
    assert (noise[0] != noise_of(2)[0]).any()


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A finished run with stops, equal to one without."""
    out = tmp_path_factory.mktemp("runs")
    config = tt.Config.from_values(**VALUES | {"rounds": 2, "rewind": "step:2"}, out=str(out / "whole"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "_WRITING_SHARE", 1e9)
        assert stops.assert_stopping_changes_nothing(tt.imp, config, out / "parts", (1, 3, 40)) == 2
    return runs.RunFolder.of(config)


def test_rewinding_takes_the_auxiliary_normalisation_along(searched):
    rewound = storage.read_arrays(searched.rewind)
    own, other = rewound["conv0.bn/moving_mean"], rewound["conv0.bn.auxiliary/moving_mean"]
    assert (own != other).any()
    trained = storage.read_arrays(searched.round(1).weights)
    assert set(trained) == set(rewound)


def test_the_ticket_knows_nothing_of_it(searched):
    ticket = tt.Ticket.load(searched.ticket)
    assert not [name for name in (*ticket.trained, *ticket.rewound) if "auxiliary" in name]
    images = np.random.default_rng(5).integers(0, 256, (7, 8, 8, 1), np.uint8)
    model = ticket.build()
    logits = model(DIGITS.normalise(images.astype(np.float32)), training=False)
    served = tf.saved_model.load(searched.ticket).signatures["serving_default"](tf.constant(images))
    np.testing.assert_allclose(served["logits"], logits, rtol=1e-5, atol=1e-6)
    assert not [v.name for v in tf.saved_model.load(searched.ticket).weights if "auxiliary" in v.name]
    assert not [layer for layer in storage.read_arrays(searched.round(1).mask) if "auxiliary" in layer]


def test_a_ticket_is_retrained_with_it(searched, tmp_path):
    values = VALUES | {"ticket": searched.round(1).folder, "learning_rate": 1e-20, "weight_decay": 0.0}
    result = tt.train(tt.Config.from_values(**values, out=str(tmp_path)))
    weights = storage.read_arrays(os.path.join(result.best.folder, "weights.npz"))
    start = tt.Ticket.load(searched.round(1).folder).rewound
    np.testing.assert_array_equal(weights["conv0.bn.auxiliary/gamma"], start["conv0.bn/gamma"])


def test_networks_without_batch_normalisation_are_refused():
    with pytest.raises(UsageError, match="--adversarial needs batch normalisation, which --model=vit_small"):
        tt.Config.from_values(adversarial=True, model="vit_small")
