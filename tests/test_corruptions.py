"""The generated corruptions: what each does, at its constants, to any image in any batch."""

import colorsys
import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from tf_tickets import seeds
from tf_tickets.evaluation import corruptions, filters, weather
from tf_tickets.evaluation.draws import Draws, plasma

NAMES = corruptions.names()
# At these the mean squared distance to the clean image does not grow with every severity, by the published constants.
NOT_RISING = {"glass_blur", "frost_synthetic", "elastic_transform", "spatter", "saturate"}
# Mean absolute change of a pixel at severities 1 to 5, of 0..255, on the images below.
CHANGES = {
    "gaussian_noise": (8.12, 12.19, 16.23, 18.28, 20.17),
    "shot_noise": (6.13, 8.64, 13.66, 15.75, 19.30),
    "impulse_noise": (1.24, 2.52, 3.69, 6.22, 8.72),
    "defocus_blur": (1.14, 2.95, 4.47, 5.89, 8.24),
    "glass_blur": (14.73, 14.72, 13.35, 19.03, 17.18),
    "motion_blur": (6.79, 10.30, 12.51, 12.57, 14.68),
    "zoom_blur": (8.07, 9.46, 11.22, 12.97, 14.59),
    "snow": (11.43, 25.40, 27.20, 41.67, 55.81),
    "frost_synthetic": (35.53, 54.88, 59.83, 53.80, 52.68),
    "fog": (8.29, 15.88, 20.82, 25.60, 31.12),
    "brightness": (10.15, 20.08, 30.02, 39.94, 58.23),
    "contrast": (7.31, 14.63, 17.56, 20.48, 24.87),
    "elastic_transform": (21.08, 18.20, 16.06, 14.60, 12.84),
    "pixelate": (1.74, 3.29, 4.01, 6.01, 8.13),
    "jpeg_compression": (10.71, 12.77, 13.27, 13.75, 14.36),
    "speckle_noise": (5.68, 9.51, 11.42, 15.16, 18.90),
    "gaussian_blur": (1.09, 4.36, 5.56, 6.56, 8.26),
    "spatter": (1.25, 3.62, 9.37, 2.98, 4.29),
    "saturate": (22.94, 29.49, 15.16, 30.60, 38.04),
}


def smooth_images(count=24, height=32, width=32, channels=3):
    """Images with structure of several sizes, uint8."""
    noise = np.random.default_rng(7).normal(size=(count, height, width, channels))
    parts = [ndimage.gaussian_filter(noise, (0, sigma, sigma, 0), mode="wrap") * sigma for sigma in (0.7, 2.0, 5.0)]
    return np.clip(120 + 55 * sum(parts), 0, 255).astype(np.uint8)


def flat(level, count=40):
    return np.full((count, 32, 32, 3), level, np.uint8)


@pytest.fixture(scope="module")
def images():
    return smooth_images()


def change(name, severity, images):
    """A corruption of images with ids from 0."""
    return corruptions.apply(name, severity, images, np.arange(len(images)))


@pytest.mark.parametrize("name", NAMES)
def test_a_corruption_changes_images_and_grows(name, images):
    changed = [change(name, severity, images) for severity in corruptions.SEVERITIES]
    assert all(one.dtype == np.uint8 and one.shape == images.shape for one in changed)
    distances = [np.mean((one.astype(float) - images) ** 2) for one in changed]
    assert min(distances) > 1.0
    rising = all(after > before for before, after in zip(distances, distances[1:]))
    assert rising == (name not in NOT_RISING)


@pytest.mark.parametrize("name", NAMES)
def test_the_changes_are_what_they_were(name, images):
    changed = [change(name, severity, images) for severity in corruptions.SEVERITIES]
    found = [np.mean(np.abs(one.astype(float) - images)) for one in changed]
    np.testing.assert_allclose(found, CHANGES[name], rtol=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_an_image_s_corruption_does_not_depend_on_its_batch(name, images, monkeypatch):
    ids = np.array([5, 10**9, *range(100, 122)])
    whole = corruptions.apply(name, 4, images, ids)
    parts = [corruptions.apply(name, 4, images[i:j], ids[i:j]) for i, j in ((0, 1), (1, 8), (8, 24))]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    monkeypatch.setattr(corruptions, "BATCH", 7)
    np.testing.assert_array_equal(whole[::-1], corruptions.apply(name, 4, images[::-1], ids[::-1]))


def test_draws_are_the_image_s_own():
    ids = np.array([3, 8])
    found = Draws("fog", 2, ids).uniform("clouds", 4, 5)
    keys = seeds.spread(seeds.fold("corruption", 0, "fog", 2, "clouds"), ids)
    np.testing.assert_array_equal(found.reshape(2, -1), [seeds.uniform(int(key), 20) for key in keys])
    others = [Draws("fog", 3, ids).uniform("clouds", 20), Draws("snow", 2, ids).uniform("clouds", 20),
              Draws("fog", 2, ids).uniform("wind", 20)]  # fmt: skip
    assert all((other != found.reshape(2, -1)).all() for other in others)


@pytest.mark.parametrize("name", [name for name in NAMES if not corruptions.CORRUPTIONS[name].colour])
@pytest.mark.parametrize("shape", [(8, 8, 1), (20, 28, 3)])
def test_other_sizes_and_grey_images(name, shape):
    images = smooth_images(6, *shape)
    changed = change(name, 5, images)
    assert changed.dtype == np.uint8 and changed.shape == images.shape and (changed != images).any()


def test_names_and_means():
    assert len(NAMES) == 19 and sum(one.standard for one in corruptions.CORRUPTIONS.values()) == 15
    assert set(NAMES) - set(corruptions.names(1)) == {"saturate"}
    assert "frost" not in NAMES and all(len(one.constants) == 5 for one in corruptions.CORRUPTIONS.values())


@pytest.mark.parametrize(("images", "name", "severity", "message"), [
    (np.zeros((2, 8, 8, 3), np.float32), "fog", 1, "float32"), (np.zeros((2, 8, 8), np.uint8), "fog", 1, "uint8"),
    (np.zeros((2, 8, 8, 2), np.uint8), "fog", 1, "1 or 3"), (np.zeros((3, 8, 8, 1), np.uint8), "fog", 1, "uint8"),
    (np.zeros((2, 8, 8, 1), np.uint8), "saturate", 1, "saturate"),
    (np.zeros((2, 8, 8, 3), np.uint8), "frost", 1, "frost"),
    (np.zeros((2, 8, 8, 3), np.uint8), "fog", 6, "severities 1 to 5"),
])  # fmt: skip
def test_other_input_is_refused(images, name, severity, message):
    with pytest.raises(ValueError, match=message):
        corruptions.apply(name, severity, images, [0, 1])


@pytest.mark.parametrize(("severity", "deviation"), list(zip(corruptions.SEVERITIES, (0.04, 0.06, 0.08, 0.09, 0.10))))
def test_gaussian_noise_has_its_deviation(severity, deviation):
    found = change("gaussian_noise", severity, flat(128)) / 255.0
    assert found.mean() == pytest.approx(128 / 255, abs=0.001)
    assert found.std() == pytest.approx(deviation, rel=0.01)


@pytest.mark.parametrize(("severity", "photons"), list(zip(corruptions.SEVERITIES, (500, 250, 100, 75, 50))))
@pytest.mark.parametrize("level", [30, 128])
def test_shot_noise_is_poisson(severity, photons, level):
    found = change("shot_noise", severity, flat(level)) / 255.0
    assert found.mean() == pytest.approx(level / 255, rel=0.02)
    # Rounding whole photons to levels moves the variance a little.
    assert found.var() == pytest.approx(level / 255 / photons, rel=0.06)
    counts = Draws("shot_noise", severity, np.arange(40)).poisson("photons", flat(level), photons)
    assert (counts % 1 == 0).all() and counts.mean() == pytest.approx(level / 255 * photons, rel=0.002)
    assert counts.var() == pytest.approx(level / 255 * photons, rel=0.01)
    assert (change("shot_noise", severity, flat(0)) == 0).all()


@pytest.mark.parametrize(("severity", "factor"), list(zip(corruptions.SEVERITIES, (0.06, 0.1, 0.12, 0.16, 0.2))))
def test_speckle_noise_grows_with_the_level(severity, factor):
    for level in (60, 120):
        found = change("speckle_noise", severity, flat(level)) / 255.0
        assert found.std() == pytest.approx(level / 255 * factor, rel=0.015)


@pytest.mark.parametrize(("severity", "amount"), list(zip(corruptions.SEVERITIES, (0.01, 0.02, 0.03, 0.05, 0.07))))
def test_impulse_noise_is_salt_and_pepper(severity, amount):
    found = change("impulse_noise", severity, flat(128))
    assert set(np.unique(found)) == {0, 128, 255}
    assert (found != 128).mean() == pytest.approx(amount, rel=0.05)
    assert (found == 255).sum() == pytest.approx((found == 0).sum(), rel=0.1)


@pytest.mark.parametrize(("severity", "quality"), list(zip(corruptions.SEVERITIES, (80, 65, 58, 50, 40))))
def test_jpeg_is_pillow_s(severity, quality, images):
    for grey in (False, True):
        shown = images[..., 0] if grey else images
        expected = []
        for image in shown:
            file = io.BytesIO()
            Image.fromarray(image).save(file, "JPEG", quality=quality)
            expected.append(np.asarray(Image.open(file)))
        found = change("jpeg_compression", severity, shown[..., np.newaxis] if grey else shown)
        np.testing.assert_array_equal(found.reshape(shown.shape), expected)


@pytest.mark.parametrize(("severity", "side"), list(zip(corruptions.SEVERITIES, (30, 28, 27, 24, 20))))
def test_pixelate_is_pillow_s_box(severity, side, images):
    box = Image.Resampling.BOX
    small = [Image.fromarray(image).resize((side, side), box).resize((32, 32), box) for image in images]
    np.testing.assert_array_equal(change("pixelate", severity, images), [np.asarray(image) for image in small])


def hsv(image, function):
    """An image with its (hue, saturation, value) changed pixel by pixel."""
    changed = [colorsys.hsv_to_rgb(*function(*colorsys.rgb_to_hsv(*pixel))) for pixel in image.reshape(-1, 3) / 255.0]
    return 255.0 * np.array(changed).reshape(image.shape)


@pytest.mark.parametrize("severity", corruptions.SEVERITIES)
def test_brightness_and_saturation_are_those_of_hsv(severity, images):
    chosen = images[:2].copy()
    chosen[0, 0, :3] = [[0, 0, 0], [90, 90, 90], [255, 255, 255]]
    shift = (0.05, 0.1, 0.15, 0.2, 0.3)[severity - 1]
    factor, more = ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2))[severity - 1]
    brighter, richer = change("brightness", severity, chosen), change("saturate", severity, chosen)
    for index, image in enumerate(chosen):
        expected = hsv(image, lambda h, s, v: (h, s, min(v + shift, 1.0)))
        assert np.abs(brighter[index] - expected).max() <= 0.5 + 1e-6
        expected = hsv(image, lambda h, s, v: (h, min(s * factor + more, 1.0), v))
        assert np.abs(richer[index] - expected).max() <= 0.5 + 1e-6


@pytest.mark.parametrize(("severity", "factor"), list(zip(corruptions.SEVERITIES, (0.75, 0.5, 0.4, 0.3, 0.15))))
def test_contrast_draws_towards_the_mean_of_each_channel(severity, factor, images):
    means = images.mean(axis=(1, 2), keepdims=True)
    expected = means + factor * (images - means)
    assert np.abs(change("contrast", severity, images) - expected).max() <= 0.5 + 1e-6


def test_gaussian_blur_is_scipy_s(images):
    for severity, sigma in zip(corruptions.SEVERITIES, (0.4, 0.6, 0.7, 0.8, 1)):
        expected = [ndimage.gaussian_filter(image / 1.0, (sigma, sigma, 0), mode="nearest") for image in images]
        assert np.abs(change("gaussian_blur", severity, images) - np.array(expected)).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("name", ["defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "elastic_transform",
                                  "gaussian_blur", "pixelate", "contrast"])  # fmt: skip
def test_blurs_and_distortions_leave_a_flat_image(name):
    for severity in corruptions.SEVERITIES:
        assert (change(name, severity, flat(77, 3)) == 77).all()


@pytest.mark.parametrize("factor", [1.0, 1.03, 1.05, 1.14, 1.25, 1.75, 2.25])
def test_zoom_samples_scipy_s_grid(factor, images):
    part = int(np.ceil(32 / factor))
    top = (32 - part) // 2
    enlarged = ndimage.zoom(images[0, top : top + part, top : top + part] / 1.0, (factor, factor, 1), order=1)
    trim = (enlarged.shape[0] - 32) // 2
    found = filters.zoom(images[:1] / 1.0, factor)[0]
    np.testing.assert_allclose(found, enlarged[trim : trim + 32, trim : trim + 32], atol=1e-9)


def test_defocus_is_a_disk():
    for constants in corruptions.CORRUPTIONS["defocus_blur"].constants:
        kernel = filters.disk(*constants)
        assert kernel.sum() == pytest.approx(1.0) and (kernel == kernel[::-1]).all() and (kernel == kernel.T).all()
    dot = np.zeros((1, 9, 9, 1))
    dot[0, 4, 4] = 1.0
    spread = filters.correlate(dot, filters.disk(1.5, 0.1))[0, ..., 0]
    np.testing.assert_allclose(spread[3:6, 3:6], np.full((3, 3), 1 / 9), atol=1e-12)


def test_motion_smears_along_the_direction():
    dot = np.zeros((2, 21, 21, 1))
    dot[:, 10, 10] = 1.0
    smeared = filters.motion(dot, 6, 2, np.array([0.0, 90.0]))[..., 0]
    assert np.count_nonzero(smeared[0].any(axis=1)) == 1 and np.count_nonzero(smeared[1].any(axis=0)) == 1
    line = smeared[0, 10, :11][::-1]
    np.testing.assert_allclose(line / line[0], np.exp(-(np.arange(11) ** 2) / 8.0), atol=1e-12)


def test_glass_blur_exchanges_neighbours(images):
    changed = change("glass_blur", 1, images)  # its blur of 0.05 pixels is none
    pixels = [np.sort(one.reshape(24, -1, 3).astype(int) @ [65536, 256, 1], axis=1) for one in (images, changed)]
    np.testing.assert_array_equal(*pixels)
    assert (images != changed).any(axis=3).mean() > 0.5


def test_sampling_at_pixels_gives_the_pixels_and_mirrors_outside():
    image = np.arange(12.0).reshape(1, 3, 4, 1)
    rows, columns = np.meshgrid(np.arange(-2, 5), np.arange(-2, 6), indexing="ij")
    for repeat, mode in ((True, "reflect"), (False, "mirror")):
        found = filters.sample(image, rows[np.newaxis] + 0.25, columns[np.newaxis] + 0.5, repeat)[0, ..., 0]
        expected = ndimage.map_coordinates(image[0, ..., 0], [rows + 0.25, columns + 0.5], order=1, mode=mode)
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_plasma_fills_its_range_and_is_rougher_where_noise_decays_slowly():
    draws = Draws("fog", 1, np.arange(20))
    maps = {decay: plasma(draws, "clouds", (32, 32), decay) for decay in (1.5, 3)}
    for found in maps.values():
        assert (found.min(axis=(1, 2)) == 0).all() and (found.max(axis=(1, 2)) == 1).all()
    rough, calm = (np.abs(np.diff(maps[decay], axis=1)).mean() for decay in (1.5, 3))
    assert rough > 1.5 * calm
    assert plasma(draws, "clouds", (20, 28), 3).shape == (20, 20, 28)


def test_fog_keeps_the_brightest_level():
    found = change("fog", 3, flat(200, 8))
    assert (found.max(axis=(1, 2, 3)) == 200).all() and found.min() >= round(200 * (200 / 255) / (200 / 255 + 0.75)) - 1


def test_snow_falls_white_and_frost_is_ice(images):
    dark = np.zeros((20, 32, 32, 3), np.uint8)
    snow, frost = change("snow", 5, dark), change("frost_synthetic", 5, dark)
    assert (snow[..., 0] == snow[..., 2]).all() and (snow == snow[:, ::-1, ::-1]).all()
    assert (frost[..., 2] >= frost[..., 0]).all() and frost.max() <= round(0.45 * 255)


def test_mud_covers_and_water_shines():
    grey = flat(128, 30)
    water, mud = change("spatter", 2, grey).astype(int), change("spatter", 5, grey).astype(int)
    assert (water >= 128).all() and (water[..., 1] >= water[..., 0]).all() and (water > 128).any()
    assert (mud <= 128).all() and (mud[..., 0] >= mud[..., 2]).all() and mud.min() < 70


def test_equalised_levels_are_pillow_s():
    levels = np.random.default_rng(0).integers(0, 6, (3, 16, 16))
    found = weather._equalised(levels)
    assert (found.min(axis=(1, 2)) == 0).all() and (found.max(axis=(1, 2)) == 255).all()
    for image, equalised in zip(levels, found):
        counts = np.bincount(image.ravel(), minlength=6)
        expected = (counts.cumsum() - counts[0]) * 255.0 / (256 - counts[0])
        np.testing.assert_array_equal(equalised, np.rint(expected)[image])
