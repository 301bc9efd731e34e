"""A pretrained transformer sees small images at the size that its backbone knows."""

import numpy as np
import pytest

import tf_tickets as tt
from tf_tickets.backend import tf
from tf_tickets.models import architecture, state
from tf_tickets.registry import DATASETS


def built(side, stem):
    return tt.models.build("vit_small", classes=3, image_shape=(side, side, 3), stem=stem, width=64)


def test_small_images_give_the_logits_of_their_enlargement():
    large, small = built(224, "full"), built(32, "full")
    for name, array in state.get_state(large).items():
        assert state.variables(small)[name].shape == array.shape, name
    state.set_state(small, state.get_state(large))
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    enlarged = tf.image.resize(images, (224, 224), "bilinear")
    np.testing.assert_allclose(small(images), large(enlarged), atol=1e-5)
    assert np.abs(small(images)).max() > 1e-3


@pytest.mark.parametrize("model, pretrained, stem, patch", [
    ("vit_small", None, "small", 8), ("vit_small", "backbone.npz", "full", 32),
    ("resnet18", "backbone.npz", "small", None),
])  # fmt: skip
def test_the_automatic_stem_is_full_where_it_is_pretrained(model, pretrained, stem, patch):
    config = tt.Config.from_values(dataset="cifar10", model=model, pretrained=pretrained)
    found = architecture.from_config(config.network, DATASETS["cifar10"].facts)
    assert found.stem == stem and getattr(found, "patch", None) == patch


def test_counts_follow_the_size_that_is_cut():
    common = {"classes": 10, "stem": "full", "width": 384}
    resized = architecture.describe("vit_small", image_shape=(32, 32, 3), **common)
    large = architecture.describe("vit_small", image_shape=(224, 224, 3), **common)
    assert (resized.tokens, resized.patch) == (50, 32)
    assert resized.trainable_parameters() == large.trainable_parameters()
    assert built(32, "full").count_params() == architecture.describe(
        "vit_small", image_shape=(32, 32, 3), classes=3, stem="full", width=64
    ).trainable_parameters()  # fmt: skip


@pytest.mark.parametrize("stem", ["small", "full"])
def test_large_images_are_not_resized(stem):
    found = architecture.describe("vit_small", image_shape=(224, 224, 3), classes=10, stem=stem, width=384)
    assert not found.resizes and found.patch == 32
