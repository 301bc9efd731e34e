"""Augmentation of large images: the pixels that tables, masks and decoding in every epoch would give, for less work."""

import dataclasses
import io
import zlib

import numpy as np
import pytest
from PIL import Image

import tf_tickets as tt
from tf_tickets import augment, backend
from tf_tickets.augment import colour, geometry, levels, operations, sampling
from tf_tickets.backend import tf
from tf_tickets.data import pictures, pipeline
from tf_tickets.registry import DATASETS

SHAPES = [(1, (224, 224, 3)), (5, (160, 160, 3)), (7, (33, 20, 1)), (3, (16, 17, 13))]
LEVELS = np.arange(256)


@pytest.fixture(scope="module", autouse=True)
def deterministic():
    """As runs are."""
    backend.start(tt.Config.from_values().run)


def random_images(count, shape):
    """Uint8 noise of few and many levels, one flat image and one with a flat channel among them."""
    draws = np.random.default_rng(count)
    images = draws.integers(0, 256, (count, *shape), np.uint8)
    images[1::3] = images[1::3] // 5 + 90
    images[2::3] = 77
    images[0, ..., 0] = 200 if shape[2] > 1 else images[0, ..., 0]
    return images


def values(count, low, high):
    """One float32 an image, both bounds among them."""
    between = np.random.default_rng(count).uniform(low, high, count).astype(np.float32)
    return np.concatenate([np.array([high, low], np.float32), between])[:count]


def looked_up(images, tables):
    """Each level replaced by its entry of a table, [n, 256] or [n, channels, 256], fractions cut off."""
    tables = np.asarray(tables)
    tables = np.broadcast_to(tables if tables.ndim == 3 else tables[:, None], (len(images), images.shape[3], 256))
    each = [[table[image[..., c]] for c, table in enumerate(t)] for image, t in zip(images, tables)]
    return np.moveaxis(np.array(each), 1, -1).astype(np.uint8)


@pytest.mark.parametrize(("count", "shape"), SHAPES)
def test_formulas_of_levels_have_the_pixels_of_tables(count, shape):
    images = random_images(count, shape)
    level = LEVELS.astype(np.float32)
    for low, high in ((0.0, 256.0), (254.5, 255.5)):
        threshold = values(count, low, high)
        table = np.where(level < threshold[:, None], level, 255 - level)
        np.testing.assert_array_equal(levels.solarize(images, tf.constant(threshold)), looked_up(images, table))
    bits = values(count, 1.0, 8.0)
    step = 1 << (8 - bits.astype(int))[:, None]
    np.testing.assert_array_equal(
        levels.posterize(images, tf.constant(bits)), looked_up(images, LEVELS // step * step)
    )  # fmt: skip
    factor = values(count, 0.0, 2.0)
    table = np.clip(level * factor[:, None], 0, 255)
    np.testing.assert_array_equal(levels.brightness(images, tf.constant(factor)), looked_up(images, table))
    mean = np.floor(np.asarray(levels.luma(images)).mean(axis=(1, 2)) + 0.5).astype(np.float32)[:, None]
    table = np.clip(mean + factor[:, None] * (level - mean), 0, 255)
    np.testing.assert_array_equal(levels.contrast(images, tf.constant(factor)), looked_up(images, table))


@pytest.mark.parametrize(("count", "shape"), SHAPES)
def test_stretched_and_equalised_levels_have_the_pixels_of_tables(count, shape):
    images = random_images(count, shape)
    low, high = (bound(axis=(1, 2)).astype(int)[..., None] for bound in (images.min, images.max))
    table = np.where(high > low, np.clip((LEVELS - low) * 255 // np.maximum(high - low, 1), 0, 255), LEVELS)
    np.testing.assert_array_equal(levels.autocontrast(images), looked_up(images, table))
    histogram = np.array([[np.bincount(i[..., c].ravel(), minlength=256) for c in range(shape[2])] for i in images])
    last = np.take_along_axis(histogram, high, axis=2)
    step = (shape[0] * shape[1] - last) // 255
    below = np.cumsum(histogram, axis=2) - histogram
    table = np.where(step > 0, np.minimum((below + step // 2) // np.maximum(step, 1), 255), LEVELS)
    np.testing.assert_array_equal(levels.equalize(images), looked_up(images, table))


def test_every_quotient_of_levels_is_cut_off_as_whole_numbers_are():
    """Images of one row with all levels between two bounds."""
    for low in (0, 1, 100):
        for high in range(low + 1, 256, 7):
            row = np.arange(low, high + 1, dtype=np.uint8)[None, None, :, None]
            expected = (row.astype(int) - low) * 255 // (high - low)
            np.testing.assert_array_equal(levels.autocontrast(tf.constant(row)), expected)


@pytest.mark.parametrize(("count", "shape"), SHAPES)
def test_sharpness_has_the_bits_of_keras_cv_s(count, shape):
    images, factor = random_images(count, shape), values(count, 0.0, 2.0)
    layer = colour._layer("RandomSharpness", 0.5, value_range=(0, 255))
    sharp = layer.augment_images(tf.cast(images, tf.float32), transformations=1.0 - factor[:, None, None, None])
    expected = tf.cast(tf.clip_by_value(sharp, 0.0, 255.0), tf.uint8)
    np.testing.assert_array_equal(colour.sharpness(tf.constant(images), tf.constant(factor)), expected)


@pytest.mark.parametrize(("count", "shape"), SHAPES)
def test_moves_read_the_nearest_pixel_or_the_fill(count, shape):
    images, height, width = random_images(count, shape), *shape[:2]
    draws = np.random.default_rng(0)
    matrix = np.array([1, 0, 0, 0, 1, 0]) + draws.uniform(-0.4, 0.4, (count, 6)) * [1, 1, width, 1, 1, height]
    matrix = matrix.astype(np.float32)
    x, y = (np.arange(size, dtype=np.float32) + np.float32(0.5) for size in (width, height))
    a, b, c, d, e, f = matrix.T[:, :, None, None]
    column, row = np.floor((a * x + c) + b * y[:, None]), np.floor((e * y[:, None] + f) + d * x)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    assert 0 < inside.mean() < 1
    for fill in (np.float32(128.0), np.arange(count, dtype=np.float32) + 3):
        read = np.stack([i[r, k] for i, r, k in zip(
            images, np.clip(row, 0, height - 1).astype(int), np.clip(column, 0, width - 1).astype(int)
        )])  # fmt: skip
        expected = np.where(inside[..., None], read, np.reshape(fill, (-1, 1, 1, 1)))
        for kind in (np.uint8, np.float32):
            moved = geometry.affine(tf.constant(images.astype(kind)), tf.constant(matrix), tf.constant(fill))
            np.testing.assert_array_equal(moved, expected.astype(kind))


# Of the code before formulas took the places of tables: {(batch, side): CRC-32 of what each chain gives}.
FROZEN_CHAINS = (
    "flip|vertical_flip|cutout(40)", "rotate(30)|shear_x(0.3)|translate_y(0.3)",
    "solarize|posterize(2)|brightness(0.9)", "autocontrast|contrast(0.9)|equalize", "blur(0.5)|cutout(7)",
)  # fmt: skip
FROZEN = {
    (1, 224): [1579443732, 3779890109, 4154056862, 2899227780, 989993277],
    (10, 32): [2955495305, 2574562633, 1416303143, 1551332663, 674840522],
    (9, 160): [3841656869, 1984570623, 3029493158, 1092943921, 2064064800],
}


@pytest.mark.parametrize(("count", "side"), FROZEN)
def test_frozen_pixels_stay(count, side):
    images = np.random.default_rng(side).integers(0, 256, (count, side, side, 3), np.uint8)
    images[::2] = images[::2] // 3 + 40
    keys = augment.keys(0, 1, 2, np.arange(count))
    pixels = [augment.apply(chain, images, keys).numpy() for chain in FROZEN_CHAINS]
    assert [zlib.crc32(augmented.tobytes()) for augmented in pixels] == FROZEN[count, side]


def test_an_operation_sees_the_images_that_drew_it_alone(monkeypatch):
    images, original, seen = random_images(6, (8, 8, 3)), operations.operate, {}

    def operate(name, part, value, **settings):
        seen[name] = len(part)
        return original(name, part, value, **settings)

    monkeypatch.setattr(operations, "operate", operate)
    names = ["identity", "equalize", "sharpness"]
    operations.operate_each(tf.constant(images), tf.constant([1, 1, 2, 1, 0, 2]), tf.zeros([6]), names)
    assert seen == {"identity": 1, "equalize": 3, "sharpness": 2}


def test_mirrors_turn_the_images_that_drew_them_alone(monkeypatch):
    original, seen = tf.reverse, []
    monkeypatch.setattr(tf, "reverse", lambda part, axis: seen.append(len(part)) or original(part, axis))
    keys = tf.constant(augment.keys(0, 0, 0, np.arange(20)))
    chosen = (sampling.uniform(keys, 0).numpy() < 0.5).sum()
    augment.apply("flip", random_images(20, (8, 8, 3)), keys)
    assert seen == [chosen] and 0 < chosen < 20


def encoded(kind, channels, count=6):
    """Pictures of different sizes, PNG or JPEG bytes, object [n]."""
    files = np.empty(count, object)
    for number in range(count):
        draws = np.random.default_rng(number)
        size = draws.integers(20, 260, 2)
        picture = Image.fromarray(draws.integers(0, 256, (9, 9, 3), np.uint8)).resize(size)
        buffer = io.BytesIO()
        picture.convert("L" if channels == 1 else "RGB").save(buffer, kind)
        files[number] = buffer.getvalue()
    return files


@pytest.mark.parametrize(("kind", "channels"), [("JPEG", 3), ("PNG", 1)])
@pytest.mark.parametrize("policy", ["resized_crop(0.08)|flip", "flip", "resized_crop(0.3)|solarize|mixup(1)"])
def test_pictures_decoded_once_have_the_bits_of_those_decoded_each_time(kind, channels, policy):
    files, shape = encoded(kind, channels), (48, 40, channels)
    augmenter = augment.augmenter(policy, shape)
    rows, one_hot = np.array([4, 0, 5, 1]), tf.one_hot([0, 1, 2, 0], 3)
    keys = tf.constant(augment.keys(1, 2, 3, rows))
    decoded = pictures.Decoded.of(files, channels)
    assert decoded is not None
    for first, second in zip(
        augmenter(decoded[rows], one_hot, keys), augmenter(tf.constant(files[rows].tolist()), one_hot, keys)
    ):
        np.testing.assert_array_equal(first, second)


def test_more_than_the_bound_is_not_kept(monkeypatch):
    files = encoded("JPEG", 3)
    size = sum(3 * np.prod(Image.open(io.BytesIO(data)).size) for data in files)
    monkeypatch.setattr(pictures, "KEPT", size)
    assert pictures.Decoded.of(files, 3) is not None
    monkeypatch.setattr(pictures, "KEPT", size - 1)
    monkeypatch.setattr(pictures, "decode", None)  # nothing is decoded to see it
    assert pictures.Decoded.of(files, 3) is None


def batches(files, channels):
    """The images of two epochs, in order."""
    count, facts = len(files), dataclasses.replace(DATASETS["cifar10"].facts, image_shape=(32, 32, 3))
    load = pipeline.supervised(facts, augment.augmenter("resized_crop(0.08)|flip|rand(2)", (32, 32, 3)))
    images = pipeline.Images(files, np.arange(count) % 2, np.arange(count))
    made = pipeline.TrainingBatches(
        images, load=load, batch_size=4, order_seed=0, devices=backend.start(tt.Config.from_values().run),
        channels=channels,
    )  # fmt: skip
    return np.concatenate([pixels for _, pixels, _ in made.iterate(0, 0, 2)])


def test_training_decodes_pictures_that_it_keeps_once(monkeypatch):
    files = encoded("JPEG", 3)
    expected = batches(files, None)
    decoded = pictures.Decoded.of(files, 3)
    monkeypatch.setattr(pictures.Decoded, "of", lambda *_: decoded)
    monkeypatch.setattr(pictures, "decode", None)
    np.testing.assert_array_equal(batches(files, 3), expected)
