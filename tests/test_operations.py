"""Operations against Pillow's own results, and against their definitions."""

import numpy as np
import pytest

from tf_tickets import backend
from tf_tickets import seeds as keys
from tf_tickets.augment import autoaugment, colour, custom, geometry, levels, operations, sampling
from tf_tickets.backend import tf
from tf_tickets.settings.config import Config

SNAKE = {"shearX": "shear_x", "shearY": "shear_y", "translateX": "translate_x", "translateY": "translate_y"}
POINT = {
    "identity", "autocontrast", "equalize", "invert", "solarize", "posterize", "color", "contrast", "brightness",
    "sharpness",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def deterministic():
    """As runs are: TensorFlow's deterministic mode, in which keras-cv's layers cannot be made without help."""
    backend.start(Config.from_values().run)


def operate(name, images, value, **settings):
    """One operation with one value for all images, as signed integers."""
    values = tf.fill([len(images)], np.float32(value))
    return operations.operate(name, tf.constant(images), values, **settings).numpy().astype(int)


def assert_like_pillow(name, found, expected, note):
    """Point operations to one grey level; geometric ones to 4 on average away from the border, nearly all to one."""
    difference = np.abs(found - expected.astype(int))
    if name in POINT:
        assert difference.max() <= 1, note
    else:
        assert difference[:, 4:-4, 4:-4].mean() < 4, note
        assert (difference <= 1).mean() > 0.995, note


def test_operations_of_rand_equal_pillow(fixture_arrays):
    fixture = fixture_arrays("rand_ops.npz")
    images = fixture.pop("x")
    assert {note.split("/")[0] for note in fixture} == {name for name, _, _ in operations.RAND}
    for note, expected in fixture.items():
        name, value = note.split("/")
        assert_like_pillow(name, operate(name, images, float(value)), expected, note)


def test_operations_of_auto_equal_pillow_at_every_level_and_sign(fixture_arrays):
    fixture = fixture_arrays("augment_ops.npz")
    images = fixture.pop("x")
    names = set()
    for note, expected in fixture.items():
        name, level, sign = note.split("/")
        name = SNAKE.get(name, name)
        names.add(name)
        value = autoaugment.value(name, int(level.removeprefix("level")), {"pos": 1, "neg": -1}[sign])
        found = operate(name, images, value, fill=geometry.GREY, bicubic_shear=True)
        assert_like_pillow(name, found, expected, note)
    assert names | {"identity"} == set(operations.AUTO)


def test_every_image_gets_its_own_operation_and_value(fixture_arrays):
    images = np.resize(fixture_arrays("rand_ops.npz")["x"], (28, 32, 32, 3))
    names = [name for name, _, _ in operations.RAND]
    rng = np.random.default_rng(0)
    choice = rng.permutation(28).astype(np.int32) % 14
    value = np.array([rng.uniform(operations.RAND[c][1], operations.RAND[c][2]) for c in choice], np.float32)
    found = operations.operate_each(tf.constant(images), tf.constant(choice), tf.constant(value), names).numpy()
    for index in range(28):
        expected = operate(names[choice[index]], images[index : index + 1], value[index])[0]
        np.testing.assert_array_equal(found[index], expected, err_msg=names[choice[index]])


def test_the_tables_and_levels_are_the_published_ones(fixture_json):
    published = fixture_json("autoaugment_policies.json")
    for name, subs in published["policies"].items():
        assert [[(SNAKE.get(o, o), p, level) for o, p, level in sub] for sub in subs] == [
            list(sub) for sub in autoaugment.TABLES[name]
        ]
    for name, magnitudes in published["level_to_magnitude"].items():
        name = SNAKE.get(name, name)
        np.testing.assert_allclose([autoaugment.magnitude(name, level) for level in range(10)], magnitudes, atol=1e-12)


def test_flat_images_stay_flat():
    images = np.full((2, 8, 8, 3), 77, np.uint8)
    for name in ("autocontrast", "equalize"):
        np.testing.assert_array_equal(operate(name, images, 0.0), images)
    np.testing.assert_array_equal(operate("contrast", images, 0.1), images)
    np.testing.assert_array_equal(colour.blur(tf.constant(images), tf.constant([0.01, 3.0])), images)


def test_cutout_squares_are_clipped_at_all_four_edges_and_hold_the_mean():
    images = np.random.default_rng(0).integers(0, 256, (4000, 10, 12, 3), dtype=np.uint8)
    keys = tf.range(4000, dtype=tf.int64) * 7919
    found = operations.cutout(tf.constant(images), keys, 0, 4).numpy()
    mean = np.floor(images.reshape(4000, -1).mean(axis=1) + 0.5).astype(np.uint8)
    square = (found == mean[:, None, None, None]).all(axis=3)
    np.testing.assert_array_equal(found[~square], images[~square])
    rows, columns = square.any(axis=2).sum(axis=1), square.any(axis=1).sum(axis=1)
    assert set(rows) == {2, 3, 4} and set(columns) == {2, 3, 4}  # centre 0: rows -2..1; last centre: 2 before, itself
    assert square[:, 0].any() and square[:, -1].any() and square[:, :, 0].any() and square[:, :, -1].any()
    one = operations.cutout(tf.constant(images[..., :1]), keys, 0, 4)
    assert one.shape == (4000, 10, 12, 1)


def test_blur_weighs_neighbours_as_a_gaussian():
    images = np.zeros((1, 17, 17, 1), np.uint8)
    images[0, 8, 8] = 255
    found = colour.blur(tf.constant(images), tf.constant([1.0])).numpy()[0, :, :, 0]
    weight = np.exp(-0.5 * np.arange(-8, 9) ** 2)
    weight /= weight.sum()
    np.testing.assert_allclose(found, 255 * weight[:, None] * weight[None, :], atol=0.6)


def test_hue_goes_round_and_grey_has_none():
    red = np.tile(np.array([200, 40, 40], np.uint8), (1, 4, 4, 1))
    np.testing.assert_array_equal(operate("hue", red, 1 / 3)[0, 0, 0], [40, 200, 40])
    np.testing.assert_array_equal(operate("hue", red, -1 / 3)[0, 0, 0], [40, 40, 200])
    flat = np.full((1, 4, 4, 3), 99, np.uint8)
    np.testing.assert_array_equal(operate("hue", flat, 0.3), flat)


def test_linear_rounds_and_clips():
    images = tf.constant(np.array([0, 100, 250], np.uint8).reshape(1, 3, 1, 1))
    found = levels.linear(images, tf.constant([[1.5]]), 0.0).numpy().ravel()
    np.testing.assert_array_equal(found, [0, 150, 255])


@pytest.mark.parametrize("name", ["rotate", "shear_x", "translate_y", "sharpness", "equalize", "hue", "color"])
def test_an_empty_group_is_no_fault(name):
    images = tf.zeros([0, 8, 8, 3], tf.uint8)
    assert operations.operate(name, images, tf.zeros([0])).shape == (0, 8, 8, 3)


def test_the_upright_list_is_the_release_s_but_for_the_mirrors():
    """Each image is the list's of itself, or of one of its mirror images, whichever the first two draws say."""
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
    ids = keys.image_keys(0, 0, 0, np.arange(40))
    whole, upright = (np.asarray(function(images, ids, 0)) for function in (custom.custom, custom.upright))
    sideways, over = (np.asarray(sampling.uniform(ids, slot)) < share for slot, share in ((0, 0.5), (1, 0.2)))
    turned = np.where(sideways[:, None, None, None], images[:, :, ::-1], images)
    turned = np.where(over[:, None, None, None], turned[:, ::-1], turned)
    np.testing.assert_array_equal(whole, np.asarray(custom.upright(turned, ids, 0)))
    same = ~sideways & ~over
    np.testing.assert_array_equal(whole[same], upright[same])
    assert 5 < same.sum() < 35 and (whole[sideways] != upright[sideways]).any()
