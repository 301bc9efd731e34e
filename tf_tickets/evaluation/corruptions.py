"""The 19 corruptions of Hendrycks and Dietterich (2019), at the constants published for CIFAR's 32 x 32 images.

The paper is "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations". What comes out
here is not CIFAR-10-C: the draws are others, frost is a synthesised texture (`frost_synthetic`), glass blur exchanges
pixels, spatter finds its drops' borders without Canny's method, and values are rounded to the nearest of 0..255. Its
results are named `generated-corruptions`. Constants in pixels stay those for 32 x 32 at other sizes; those of
elastic_transform are fractions of the shorter side.
"""

import dataclasses
import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from tf_tickets.evaluation import filters, weather
from tf_tickets.evaluation.draws import Draws

VERSION = 1
SEVERITIES = (1, 2, 3, 4, 5)
BATCH = 500


@dataclasses.dataclass(frozen=True)
class Corruption:
    """One kind of corruption.

    Attributes:
      function: (float64 images [n, h, w, c] in 0..1, constant, Draws) -> float64 images; clipped afterwards.
      constants: one per severity.
      standard: whether it is one of the 15 of the standard mean; the other four were meant for validation.
      colour: whether it changes nothing in images of one channel.
    """

    function: Callable
    constants: tuple
    standard: bool = True
    colour: bool = False


def names(channels: int = 3) -> tuple[str, ...]:
    """The names of the corruptions that change images of so many channels, standard ones first."""
    return tuple(name for name, corruption in CORRUPTIONS.items() if channels == 3 or not corruption.colour)


def apply(name: str, severity: int, images: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Corrupts images.

    Args:
      name: a name in `CORRUPTIONS`.
      severity: 1 to 5.
      images: uint8 [n, height, width, channels], one or three channels.
      ids: integers [n]; an image's corruption depends on name, severity, id and its pixels alone.

    Returns:
      uint8 [n, height, width, channels].

    Raises:
      ValueError: another name, severity, type or shape.
    """
    images = np.asarray(images)
    channels = images.shape[3] if images.ndim == 4 else 0
    if images.dtype != np.uint8 or channels not in (1, 3) or len(ids) != len(images):
        raise ValueError(f"{images.dtype}{list(images.shape)} is not uint8 [{len(ids)}, height, width, 1 or 3]")
    if name not in names(channels) or severity not in SEVERITIES:
        known = f"names are {', '.join(names(channels))}, severities 1 to 5"
        raise ValueError(f"{name} at severity {severity} is no corruption of {channels} channels: {known}")
    corruption, corrupted = CORRUPTIONS[name], np.empty_like(images)
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        draws = Draws(name, severity, np.asarray(ids)[part])
        changed = corruption.function(images[part] / 255.0, corruption.constants[severity - 1], draws)
        corrupted[part] = _bytes(changed)
    return corrupted


def _bytes(images):
    return np.rint(np.clip(images, 0.0, 1.0) * 255.0).astype(np.uint8)


def _gaussian_noise(images, deviation, draws):
    return images + deviation * draws.normal("noise", *images.shape[1:])


def _shot_noise(images, photons, draws):
    return draws.poisson("photons", _bytes(images), photons) / photons


def _impulse_noise(images, amount, draws):
    hit = draws.uniform("where", *images.shape[1:]) < amount
    return np.where(hit, draws.uniform("salt", *images.shape[1:]) < 0.5, images)


def _speckle_noise(images, deviation, draws):
    return images + images * deviation * draws.normal("noise", *images.shape[1:])


def _defocus_blur(images, constants, draws):
    return filters.correlate(images, filters.disk(*constants))


def _glass_blur(images, constants, draws):
    sigma, reach, iterations = constants
    images = np.array(filters.gaussian(images, sigma))
    height, width = images.shape[1:3]
    which = np.arange(len(images))
    for iteration in range(iterations):
        moves = draws.between(-reach, reach, f"moves {iteration}", height, width, 2)
        moves = np.floor(moves).astype(int)
        # From the last pixel to the first, one after the other: each exchange sees those before it.
        for row in range(height - reach, reach, -1):
            for column in range(width - reach, reach, -1):
                rows, columns = row + moves[:, row, column, 0], column + moves[:, row, column, 1]
                here = images[:, row, column].copy()
                images[:, row, column] = images[which, rows, columns]
                images[which, rows, columns] = here
    return filters.gaussian(images, sigma)


def _motion_blur(images, constants, draws):
    return filters.motion(images, *constants, degrees=draws.between(-45.0, 45.0, "angle"))


def _zoom_blur(images, end, draws):
    factors = np.arange(1.0, end, 0.01)
    return (images + sum(filters.zoom(images, factor) for factor in factors)) / (len(factors) + 1)


def _gaussian_blur(images, sigma, draws):
    return filters.gaussian(images, sigma)


def _brightness(images, shift, draws):
    value = images.max(axis=3, keepdims=True)
    # At equal hue and saturation all channels are in proportion to the value; black becomes grey.
    black = value == 0
    scale = np.clip(value + shift, 0.0, 1.0) / np.where(black, 1.0, value)
    return np.where(black, scale, images * scale)


def _saturate(images, constants, draws):
    factor, shift = constants
    value = images.max(axis=3, keepdims=True)
    below = value - images
    chroma = below.max(axis=3, keepdims=True)
    saturation = chroma / np.where(value == 0, 1.0, value)
    wanted = np.clip(saturation * factor + shift, 0.0, 1.0)
    # Grey has no hue, which the HSV formulas read as red.
    red = np.array([0.0, 1.0, 1.0])
    scaled = np.where(chroma == 0, value * red, below / np.where(chroma == 0, 1.0, chroma) * value)
    return value - scaled * wanted


def _contrast(images, factor, draws):
    # Sums of whole numbers are exact, so the mean does not depend on the order of adding.
    means = np.rint(images * 255.0).sum(axis=(1, 2), keepdims=True) / (255.0 * images.shape[1] * images.shape[2])
    return (images - means) * factor + means


def _elastic_transform(images, constants, draws):
    reach, sigma, corner = (constant * min(images.shape[1:3]) for constant in constants)
    height, width = images.shape[1:3]
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=2).astype(np.float64)
    centre, side = np.array([width // 2, height // 2]), min(height, width) // 3
    before = centre + side * np.array([[1, 1], [1, -1], [-1, -1]])
    after = before + draws.between(-corner, corner, "corners", 3, 2)
    # The three corners `after`, (x, y), show what was at `before`.
    known = np.concatenate([after, np.ones((draws.count, 3, 1))], axis=2)
    maps = np.linalg.solve(known, np.broadcast_to(before.astype(np.float64), after.shape))
    place = sum(maps[:, i, np.newaxis, np.newaxis] * grid[np.newaxis, ..., i : i + 1] for i in range(2))
    place = place + maps[:, 2, np.newaxis, np.newaxis]
    images = filters.sample(images, place[..., 1], place[..., 0], repeat=False)
    if not reach:
        return images
    right, down = (
        reach * filters.gaussian(draws.between(-1.0, 1.0, name, height, width), sigma, "reflect", 3.0)
        for name in ("right", "down")
    )
    return filters.sample(images, grid[..., 1] + down, grid[..., 0] + right, repeat=True)


def _pixelate(images, share, draws):
    def coarse(image):
        small = image.resize([max(int(side * share), 1) for side in image.size], Image.Resampling.BOX)
        return small.resize(image.size, Image.Resampling.BOX)

    return _by_pillow(images, coarse)


def _jpeg_compression(images, quality, draws):
    def compressed(image):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return _by_pillow(images, compressed)


def _by_pillow(images, change):
    """Applies a function of Pillow images, which have no batches."""
    squeezed = _bytes(images)[..., 0] if images.shape[3] == 1 else _bytes(images)
    changed = np.stack([np.asarray(change(Image.fromarray(image))) for image in squeezed])
    return changed.reshape(images.shape) / 255.0


CORRUPTIONS = {
    "gaussian_noise": Corruption(_gaussian_noise, (0.04, 0.06, 0.08, 0.09, 0.10)),
    "shot_noise": Corruption(_shot_noise, (500, 250, 100, 75, 50)),
    "impulse_noise": Corruption(_impulse_noise, (0.01, 0.02, 0.03, 0.05, 0.07)),
    "defocus_blur": Corruption(_defocus_blur, ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))),
    "glass_blur": Corruption(_glass_blur, ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2))),
    "motion_blur": Corruption(_motion_blur, ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))),
    "zoom_blur": Corruption(_zoom_blur, (1.06, 1.11, 1.16, 1.21, 1.26)),
    "snow": Corruption(weather.snow, weather.SNOW),
    "frost_synthetic": Corruption(weather.frost_synthetic, weather.FROST),
    "fog": Corruption(weather.fog, weather.FOG),
    "brightness": Corruption(_brightness, (0.05, 0.1, 0.15, 0.2, 0.3)),
    "contrast": Corruption(_contrast, (0.75, 0.5, 0.4, 0.3, 0.15)),
    "elastic_transform": Corruption(
        _elastic_transform,
        ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)),
    ),
    "pixelate": Corruption(_pixelate, (0.95, 0.9, 0.85, 0.75, 0.65)),
    "jpeg_compression": Corruption(_jpeg_compression, (80, 65, 58, 50, 40)),
    "speckle_noise": Corruption(_speckle_noise, (0.06, 0.1, 0.12, 0.16, 0.2), standard=False),
    "gaussian_blur": Corruption(_gaussian_blur, (0.4, 0.6, 0.7, 0.8, 1), standard=False),
    "spatter": Corruption(weather.spatter, weather.SPATTER, standard=False),
    "saturate": Corruption(
        _saturate, ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)), standard=False, colour=True
    ),
}
