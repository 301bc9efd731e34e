"""The runtime of NumPy and SciPy computes what Keras does, dense, sparse or compiled, for many images and few."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_tickets import NETWORKS, Stored, built, document_of, random_ticket

from tf_tickets import runtime
from tf_tickets.export import keras_program
from tf_tickets.models import builder

SLOW = ("harmonic_resnet50", "full_conv_resnet50", "vgg16")

METHODS = ("dense", "sparse", "compiled")


@pytest.mark.parametrize("which", [
    pytest.param(i, id=f"{name}-{stem}-{head}", marks=[pytest.mark.slow] if name in SLOW else [])
    for i, (name, _, stem, head) in enumerate(NETWORKS)
])  # fmt: skip
@settings(max_examples=2, deadline=None)
@given(st.data())
def test_logits_are_the_network_s(which, data):
    density = data.draw(st.sampled_from([0.0, 0.003, 0.05, 0.3, 1.0]))
    ticket = random_ticket(*NETWORKS[which], density, data.draw(st.integers(0, 1000)))
    network = runtime.Network(document_of(ticket, which), Stored(ticket), compiled=True)
    count = data.draw(st.sampled_from([1, 2, 7]))
    images = np.random.default_rng(count).integers(0, 256, (count, *ticket.data["image_shape"]), np.uint8)
    normalised = (images.astype(np.float32) / np.float32(255) - np.float32(0.4)) / np.float32(0.3)
    expected = built(*NETWORKS[which])[2](normalised, training=False).numpy()
    for method in (None, *METHODS):
        network.use(method)
        found = network.logits(images)
        assert found.shape == expected.shape and found.dtype == np.float32
        # Where large terms cancel, what float32 rounds away of the largest logit is all that a small one has.
        rounding = 1e-6 * np.abs(expected).max(axis=1, keepdims=True)
        assert (np.abs(found - expected) <= 1e-4 * np.maximum(1.0, np.abs(expected)) + rounding).all()
    powers = np.exp(expected - expected.max(axis=1, keepdims=True))
    np.testing.assert_allclose(network.predict(images), powers / powers.sum(axis=1, keepdims=True), atol=1e-4)


def test_many_images_are_the_same_as_one_by_one(monkeypatch):
    ticket = random_ticket(*NETWORKS[0], 0.1, 0)
    images = np.random.default_rng(0).integers(0, 256, (11, 16, 16, 3), np.uint8)
    network = runtime.Network(document_of(ticket, 0), Stored(ticket))
    alone = np.concatenate([network.logits(image[np.newaxis]) for image in images])
    monkeypatch.setattr(runtime.network, "_UNFOLDED_BYTES", 4 * network._largest)
    for method in (None, "dense", "sparse"):
        network.use(method)
        np.testing.assert_allclose(network.logits(images), alone, atol=1e-4)
    assert network.logits(images[:0]).shape == (0, 10)


def test_timing_decides_between_dense_and_sparse(monkeypatch):
    ticket = random_ticket(*NETWORKS[0], 0.3, 5)
    network = runtime.Network(document_of(ticket, 0), Stored(ticket))
    slow = iter([2.0, 1.0] * 100)
    monkeypatch.setattr(runtime.network, "_seconds", lambda *given: next(slow))
    assert {m for n, m in network.method().items() if ticket.masks[n].mean() > 0.1} == {"sparse"}
    assert network.method() == network.method()
    network.use("dense")
    assert set(network.method().values()) == {"dense"}
    with pytest.raises(ValueError, match="'fast' is none of dense, sparse"):
        network.use("fast")


def test_a_transformer_has_no_program():
    model = builder.build("vit_small", classes=10, image_shape=(16, 16, 3), width=64)
    assert keras_program.of(model) is None
