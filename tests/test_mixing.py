"""MixUp and CutMix: images and labels share one lambda, partners come from the batch."""

import numpy as np
import pytest

from tf_tickets import augment
from tf_tickets.errors import UsageError

COUNT = 64


def batch(dtype=np.uint8):
    """Images filled with their own number times three, one-hot labels, keys."""
    images = np.broadcast_to(np.arange(COUNT)[:, None, None, None] * 3, (COUNT, 12, 12, 3)).astype(dtype)
    return images, np.eye(COUNT, dtype=np.float32), augment.keys(0, 0, 0, np.arange(COUNT))


def test_mixup_blends_images_and_labels_alike():
    images, labels, keys = batch(np.float32)
    mixed, soft = (part.numpy() for part in augment.mix("mixup(1)", images, labels, keys))
    assert mixed.dtype == np.float32 and mixed.shape == images.shape
    np.testing.assert_allclose(soft.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(mixed[:, 0, 0, 0], soft @ (3.0 * np.arange(COUNT)), rtol=1e-4, atol=1e-3)
    share = soft[np.arange(COUNT), np.arange(COUNT)]
    assert share.min() >= 0.5 and share.max() < 1.0 and share.std() > 0.05
    assert ((soft > 0).sum(axis=1) == 2).all()


def test_cutmix_labels_follow_the_area_that_was_replaced():
    images, labels, keys = batch()
    mixed, soft = (part.numpy() for part in augment.mix("cutmix(1)", images, labels, keys))
    assert mixed.dtype == np.uint8
    kept = (mixed == images).all(axis=3).mean(axis=(1, 2))
    np.testing.assert_allclose(soft[np.arange(COUNT), np.arange(COUNT)], kept, atol=1e-6)
    for index in range(COUNT):
        values = set(np.unique(mixed[index]))
        partner = set(np.flatnonzero(soft[index])) - {index}
        assert values <= {3 * index, *(3 * p for p in partner)}
    assert 0.2 < kept.mean() < 0.8


@pytest.mark.parametrize("policy", ["mixup(0.2)", "cutmix(1)"])
def test_the_same_batch_in_another_order_mixes_the_same(policy):
    images, labels, keys = batch()
    expected, expected_soft = augment.mix(policy, images, labels, keys)
    order = np.random.default_rng(0).permutation(COUNT)
    found, soft = augment.mix(policy, images[order], labels[order], keys[order])
    np.testing.assert_array_equal(found, expected.numpy()[order])
    np.testing.assert_array_equal(soft, expected_soft.numpy()[order])


def test_a_single_image_is_its_own_partner():
    images, labels, keys = batch()
    mixed, soft = augment.mix("crop(0)|mixup(1)", images[:1], labels[:1], keys[:1])
    np.testing.assert_array_equal(mixed, images[:1])
    np.testing.assert_array_equal(soft, labels[:1])


def test_a_chain_augments_before_it_mixes():
    images, labels, keys = batch()
    plain = augment.apply("invert", images, keys)
    chained, soft = augment.mix("invert|mixup(1)", images, labels, keys)
    moved = augment.apply("none", plain, keys)
    share = soft.numpy()[np.arange(COUNT), np.arange(COUNT)]
    partner = np.argmax(soft.numpy() * (1 - np.eye(COUNT)), axis=1)
    expected = share * moved.numpy()[:, 0, 0, 0] + (1 - share) * moved.numpy()[partner, 0, 0, 0]
    np.testing.assert_allclose(chained.numpy()[:, 0, 0, 0], expected, atol=0.51)


@pytest.mark.parametrize(("policy", "labels", "message"), [
    ("base", np.eye(COUNT, dtype=np.float32), "mixes nothing: end it with mixup"),
    ("mixup(1)|flip", np.eye(COUNT, dtype=np.float32), "not the last of the chain"),
    ("mixup(1)", np.arange(COUNT), "are not one-hot"),
    ("mixup(1)", np.eye(3, dtype=np.float32), "are not one-hot"),
])  # fmt: skip
def test_what_cannot_be_mixed_is_refused(policy, labels, message):
    images, _, keys = batch()
    with pytest.raises(UsageError, match=message):
        augment.mix(policy, images, labels, keys)
