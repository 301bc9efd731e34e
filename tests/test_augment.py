"""Augmentation: the pixels a direct numpy version gives, a pure function of image and key."""

import os
import subprocess
import sys
import zlib

import numpy as np
import pytest
from conftest import QUICK
from scipy import stats

import tf_tickets as tt
from tf_tickets import augment, runs, seeds
from tf_tickets.augment import sampling
from tf_tickets.backend import tf
from tf_tickets.errors import UsageError
from tf_tickets.registry import DATASETS
from tf_tickets.settings import policies

COUNT = 24000
FLIP_SLOT = 64  # the second operation of crop(4)|flip


def pictures(count=40, shape=(12, 10, 3)):
    """Random uint8 images, no two rows alike."""
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def keys(count=40, order_seed=0, round_index=1, epoch=2):
    """The keys of images 0..count-1."""
    return augment.keys(order_seed, round_index, epoch, np.arange(count))


def unit(image_keys, slot):
    """`sampling.uniform` in numpy: 24 bits of a mixed key."""
    bits = seeds.mix(image_keys.view(np.uint64) ^ np.uint64(seeds.fold("slot", slot)))
    return (bits >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)


def crop(images, image_keys, slot, padding):
    """A crop of each image in turn."""
    top = (unit(image_keys, slot) * np.float32(2 * padding + 1)).astype(int)
    left = (unit(image_keys, slot + 1) * np.float32(2 * padding + 1)).astype(int)
    height, width = images.shape[1:3]
    padded = np.pad(images, [(0, 0), (padding, padding), (padding, padding), (0, 0)])
    return np.stack([p[t : t + height, s : s + width] for p, t, s in zip(padded, top, left)])


def flip(images, image_keys, slot):
    """Each image mirrored where its draw says so."""
    return np.stack([p[:, ::-1] if u < 0.5 else p for p, u in zip(images, unit(image_keys, slot))])


def base(images, image_keys, padding=4):
    """crop(padding)|flip in numpy."""
    return flip(crop(images, image_keys, 0, padding), image_keys, FLIP_SLOT)


@pytest.mark.parametrize("shape", [(12, 10, 3), (8, 8, 1)])
def test_operations_equal_a_direct_numpy_version(shape):
    images, image_keys = pictures(shape=shape), keys()
    for policy, expected in [
        ("crop(4)", crop(images, image_keys, 0, 4)), ("crop(1)", crop(images, image_keys, 0, 1)),
        ("crop(0)", images), ("flip", flip(images, image_keys, 0)), ("base", base(images, image_keys)),
        ("crop( 4 ) | flip()", base(images, image_keys)),
        ("flip|crop(2)", crop(flip(images, image_keys, 0), image_keys, FLIP_SLOT, 2)), ("none", images), ("", images),
    ]:  # fmt: skip
        np.testing.assert_array_equal(augment.apply(policy, images, image_keys), expected, err_msg=policy)


def test_crops_and_flips_take_every_value():
    images = np.zeros((400, 9, 9, 1), np.uint8)
    images[:, 4, 4] = 255
    _, rows, columns, _ = np.nonzero(augment.apply("crop(4)", images, keys(400)).numpy())
    assert set(rows) == set(columns) == set(range(9))
    images = np.zeros((400, 1, 2, 1), np.uint8)
    images[:, 0, 0] = 255
    mirrored = augment.apply("flip", images, keys(400)).numpy()[:, 0, 1, 0] == 255
    assert 150 < mirrored.sum() < 250


def test_type_and_shape_stay():
    for dtype in (np.uint8, np.float32):
        found = augment.apply("base", pictures().astype(dtype), keys())
        assert found.dtype == dtype and found.shape == (40, 12, 10, 3)
    exact = augment.apply("base", pictures().astype(np.float32), keys())
    np.testing.assert_array_equal(exact, augment.apply("base", pictures(), keys()).numpy().astype(np.float32))
    fine = pictures().astype(np.float32) + 0.25
    np.testing.assert_array_equal(augment.apply("flip", fine, keys()), flip(fine, keys(), 0))


@pytest.mark.parametrize(("batch", "calls"), [(1, 1), (7, 8), (40, 1), (13, 8)])
def test_the_same_key_gives_the_same_pixels_in_any_batch_and_thread(batch, calls):
    images, image_keys = pictures(), keys()
    expected = augment.apply("base", images, image_keys).numpy()
    batches = tf.data.Dataset.from_tensor_slices((images, image_keys)).batch(batch)
    batches = batches.map(lambda i, k: augment.apply("base", i, k), num_parallel_calls=calls)
    np.testing.assert_array_equal(np.concatenate(list(batches.as_numpy_iterator())), expected)
    order = np.random.default_rng(1).permutation(40)[:batch]
    np.testing.assert_array_equal(augment.apply("base", images[order], image_keys[order]), expected[order])


def test_seed_round_epoch_and_image_each_change_the_draws():
    images = np.repeat(pictures(1), 40, axis=0)
    seen = [
        augment.apply("base", images, keys(40, *where)).numpy()
        for where in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    ]
    for index, one in enumerate(seen):
        assert len(np.unique(one, axis=0)) > 20
        for other in seen[:index]:
            assert (one != other).any(axis=(1, 2, 3)).sum() > 30
    np.testing.assert_array_equal(seen[0], augment.apply("base", images, keys(40, 0, 0, 0)))


def test_draws_equal_the_numpy_formula():
    image_keys = keys(COUNT)
    for slot in (0, 1, FLIP_SLOT):
        expected = unit(image_keys, slot)
        np.testing.assert_array_equal(sampling.uniform(tf.constant(image_keys), slot), expected)
        np.testing.assert_array_equal(
            sampling.integers(tf.constant(image_keys), slot, 9), (expected * np.float32(9)).astype(np.int32)
        )
    scaled = sampling.uniform(tf.constant(image_keys), 0, -30.0, 30.0).numpy()
    assert scaled.min() >= -30.0 and scaled.max() < 30.0 and abs(scaled.mean()) < 1.0


def test_frozen_draws_stay():
    """A changed stream would silently change what every seed means."""
    assert keys(3).tolist() == [-8975849097966144840, 2836463063672554616, 5431930471574111544]
    assert sampling.integers(tf.constant(keys(12)), 0, 1000).numpy().tolist() == [
        149, 652, 909, 65, 383, 658, 504, 763, 807, 954, 647, 255,
    ]  # fmt: skip


def test_draws_are_uniform_and_slots_independent():
    image_keys = tf.constant(keys(COUNT))
    nines = [sampling.integers(image_keys, slot, 9).numpy() for slot in (0, 1)]
    for draws in nines:
        assert stats.chisquare(np.bincount(draws, minlength=9)).pvalue > 1e-4
    assert stats.chisquare(np.bincount(nines[0] * 9 + nines[1], minlength=81)).pvalue > 1e-4
    halves = sampling.uniform(image_keys, FLIP_SLOT).numpy()
    assert stats.chisquare(np.histogram(halves, 64, (0.0, 1.0))[0]).pvalue > 1e-4
    # Neighbouring images and the same image in the next epoch are unrelated.
    later = sampling.integers(tf.constant(keys(COUNT, epoch=3)), 0, 9).numpy()
    for pairs in (nines[0] * 9 + later, nines[0][:-1] * 9 + nines[0][1:]):
        assert stats.chisquare(np.bincount(pairs, minlength=81)).pvalue > 1e-4


def test_base_means_what_the_data_set_allows():
    assert {name: augment.resolve("base", part.facts) for name, part in DATASETS.items() if part.facts} == {
        "cifar10": "crop(4)|flip", "cifar100": "crop(4)|flip", "cifair10": "crop(4)|flip", "cifar10_2": "crop(4)|flip",
        "eurosat_rgb": "crop(8)|flip|vertical_flip", "eurosat_all": "crop(8)|flip|vertical_flip",
        "isic2018": "resized_crop(0.4)|flip|vertical_flip", "clamm": "resized_crop(0.2)",
        "cub": "resized_crop(0.08)|flip", "imagenet50": "resized_crop(0.08)|flip", "mnist": "crop(2)",
        "fashion_mnist": "crop(2)|flip", "digits": "crop(1)",
    }  # fmt: skip
    assert augment.resolve("rand", DATASETS["digits"].facts) == "crop(1)|rand(4)|cutout(4)"
    assert augment.resolve("none", DATASETS["digits"].facts) == ""
    assert augment.resolve("crop(2)|flip", DATASETS["cifar10"].facts) == "crop(2)|flip"


def test_digits_are_never_flipped():
    chain = augment.resolve("base", DATASETS["digits"].facts)
    images, image_keys = pictures(200, (8, 8, 1)), keys(200)
    np.testing.assert_array_equal(augment.apply(chain, images, image_keys), crop(images, image_keys, 0, 1))


@pytest.mark.parametrize(("images", "image_keys", "message"), [
    (pictures()[0], keys(), "not \\[n, height, width, channels\\]"),
    (pictures(), keys()[:, None], "not \\[n, height, width, channels\\]"),
    (pictures().astype(np.int32), keys(), "int32: pass uint8 or float32"),
    (pictures(), keys(1), "40 images and 1 keys"),
])  # fmt: skip
def test_unfit_arrays_are_refused(images, image_keys, message):
    with pytest.raises(UsageError, match=message):
        augment.apply("flip", images, image_keys)


def test_operations_of_a_chain_draw_from_their_own_slots():
    images, image_keys = pictures(), keys()
    chained = augment.apply("crop(4)|flip|crop(1)", images, image_keys)
    np.testing.assert_array_equal(chained, crop(base(images, image_keys), image_keys, 2 * FLIP_SLOT, 1))


POLICIES = ("contrast", "rand", "auto", "custom", "base|blur(0.5)")


@pytest.mark.parametrize(("policy", "channels"), [*((policy, 3) for policy in POLICIES), ("rand", 1)])
def test_presets_give_the_same_pixels_in_any_batch_and_thread_and_others_in_another_epoch(policy, channels):
    images, image_keys = pictures(shape=(16, 16, channels)), keys()
    expected = augment.apply(policy, images, image_keys).numpy()
    assert (expected != images).any(axis=(1, 2, 3)).sum() > 20
    source = tf.data.Dataset.from_tensor_slices((images, image_keys))
    traced = tf.function(
        lambda i, k: augment.apply(policy, i, k),
        input_signature=[tf.TensorSpec([None, 16, 16, channels], tf.uint8), tf.TensorSpec([None], tf.int64)],
        autograph=False,
    )
    for batch, calls in ((1, 1), (7, 8), (40, 1)):
        batches = source.batch(batch).map(traced, num_parallel_calls=calls)
        np.testing.assert_array_equal(np.concatenate(list(batches.as_numpy_iterator())), expected, err_msg=policy)
    later = traced(images, keys(epoch=3)).numpy()
    assert (later != expected).any(axis=(1, 2, 3)).mean() > 0.5


def test_another_process_gives_the_same_pixels():
    images, image_keys = pictures(shape=(16, 16, 3)), keys()
    expected = [zlib.crc32(augment.apply(policy, images, image_keys).numpy().tobytes()) for policy in POLICIES]
    code = (
        "import sys, zlib; sys.path.insert(0, sys.argv[1]); import test_augment as t\n"
        "i, k = t.pictures(shape=(16, 16, 3)), t.keys()\n"
        "print([zlib.crc32(t.augment.apply(p, i, k).numpy().tobytes()) for p in t.POLICIES])"
    )
    threads = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, os.path.dirname(__file__)],
        capture_output=True, text=True, env=os.environ | threads, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == str(expected)


def test_float_images_are_rounded_only_where_levels_are_needed():
    fine = pictures().astype(np.float32) + 0.25
    found = augment.apply("rotate(30)|cutout(4)", fine, keys()).numpy()
    assert found.dtype == np.float32 and (found % 1 == 0.25).mean() > 0.5
    rounded = augment.apply("rand(2)", fine, keys()).numpy()
    np.testing.assert_array_equal(rounded, augment.apply("rand(2)", pictures(), keys()).numpy().astype(np.float32))


@pytest.mark.parametrize("policy", ["rand", "auto", "contrast", "custom", "grey(0.5)", "color(0.5)"])
def test_thirteen_bands_have_no_colours(policy):
    with pytest.raises(UsageError, match="changes colours and these images have 13 channels: use crop"):
        augment.apply(policy, pictures(2, (8, 8, 13)), keys(2))


def test_thirteen_bands_do_everything_else():
    images = pictures(4, (16, 16, 13))
    for name, operation in policies.OPERATIONS.items():
        if operation.colours or operation.mixing:
            continue
        arguments = ",".join("4" if a.type is int else "0.1" for a in operation.arguments)
        found = augment.apply(f"{name}({arguments})" if arguments else name, images, keys(4)).numpy()
        assert found.shape == images.shape and found.dtype == np.uint8, name


def test_labels_are_never_touched_and_mixing_is_refused():
    labels = np.eye(10, dtype=np.float32)[:4]
    for policy in ("none", "rand"):
        _, same = augment.augmenter(policy)(tf.constant(pictures(4)), tf.constant(labels), tf.constant(keys(4)))
        np.testing.assert_array_equal(same, labels)
    with pytest.raises(UsageError, match="mixes images and labels: use augment.mix"):
        augment.apply("base|mixup(0.2)", pictures(4), keys(4))


def test_a_run_trains_with_operations_drawn_tables_and_mixing(tmp_path):
    policy = "base|rand(2)|autoaugment(cifar10)|jitter(0.4,0.4,0.4,0.1,0.8)|mixup(0.2)"
    changes = {"augment": policy, "epochs": 3, "rewind": "init", "tensorboard": False}
    config = tt.Config.from_values(**QUICK | changes, out=str(tmp_path))
    folder = tt.train(config).folder
    assert runs.RunFolder(folder).summaries()[0]["train_loss"] > 0
    assert tt.Config.from_flagfile(runs.RunFolder(folder).config).data.augment == policy
