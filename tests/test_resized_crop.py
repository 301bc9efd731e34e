"""Random resized crops: torchvision's boxes and Pillow's bilinear pixels."""

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from tf_tickets import augment
from tf_tickets.augment import resized
from tf_tickets.backend import tf

ALARM = 1e-4


def image_keys(count):
    return tf.constant(augment.keys(0, 1, 2, np.arange(count)))


def boxes(count, height, width, low):
    return np.stack([part.numpy() for part in resized.boxes(image_keys(count), 0, height, width, low=low)], 1)


def test_boxes_have_torchvision_s_shares_ratios_and_places():
    top, left, tall, wide = boxes(20000, 1000, 1200, 0.08).T.astype(float)
    assert top.min() >= 0 and left.min() >= 0 and (top + tall).max() <= 1000 and (left + wide).max() <= 1200
    share, ratio = tall * wide / 1.2e6, wide / tall
    assert 0.0795 < share.min() and share.max() <= 1.0 and 0.745 < ratio.min() and ratio.max() < 1.34
    # Below this share every ratio fits, so no try is ever drawn again there.
    small = share[share < 0.625]
    assert stats.kstest(small, stats.uniform(0.08, 0.625 - 0.08).cdf).pvalue > ALARM
    logarithm = np.log(ratio[share < 0.625])
    assert stats.kstest(logarithm, stats.uniform(np.log(0.75), 2 * np.log(4 / 3)).cdf).pvalue > ALARM
    # A place on the grid, moved by less than a cell, is uniform.
    jitter = np.random.default_rng(0).random(20000)
    for start, room in ((top, 1001 - tall), (left, 1201 - wide)):
        assert stats.kstest((start + jitter) / room, "uniform").pvalue > ALARM


def test_a_thin_image_gives_its_largest_middle_box():
    found = boxes(50, 10, 100, 0.9)
    np.testing.assert_array_equal(found, [[0, 43, 10, 13]] * 50)


def test_a_share_of_one_keeps_square_images_nearly_whole():
    found = boxes(200, 32, 32, 1.0)
    assert (found == [0, 0, 32, 32]).all(axis=1).mean() > 0.05 and (found[:, 2:] >= 28).all()


@pytest.mark.parametrize(("channels", "height"), [(1, 32), (3, 32), (3, 24)])
def test_pixels_equal_pillow_s_bilinear_crop(channels, height):
    images = np.random.default_rng(1).integers(0, 256, (40, height, 32, channels), np.uint8)
    found = resized.resized_crop(tf.constant(images), image_keys(40), 0, 0.08).numpy()
    for image, mine, (top, left, tall, wide) in zip(images, found, boxes(40, height, 32, 0.08)):
        picture = Image.fromarray(image if channels == 3 else image[..., 0])
        picture = picture.crop((left, top, left + wide, top + tall)).resize((32, height), Image.Resampling.BILINEAR)
        expected = np.asarray(picture, int).reshape(mine.shape)
        assert np.abs(mine.astype(int) - expected).max() <= 1
        # Weights are exact where the side is a power of two; Pillow's are whole numbers over 2^22.
        assert (mine != expected).mean() < (0.001 if height == 32 else 0.2)


def test_it_stands_in_a_chain_and_in_simclr_s_views():
    images = np.random.default_rng(1).integers(0, 256, (4, 32, 32, 3), np.uint8)
    keys = augment.keys(0, 0, 0, np.arange(4))
    whole = augment.apply("simclr", images, keys).numpy()
    np.testing.assert_array_equal(augment.apply("simclr", images[2:], keys[2:]), whole[2:])
    floats = augment.apply("resized_crop(0.2)|flip", images.astype(np.float32), keys)
    assert floats.dtype == tf.float32
    np.testing.assert_array_equal(floats, augment.apply("resized_crop(0.2)|flip", images, keys))
