"""Corruptions that lie over the image: snow, frost, fog and spatter (Hendrycks and Dietterich 2019)."""

import numpy as np
from scipy import ndimage

from tf_tickets.evaluation import filters
from tf_tickets.evaluation.draws import Draws, plasma

# Mean and deviation of the flakes, zoom, threshold, radius and sigma of their smear, share of the image that stays.
SNOW = (
    (0.1, 0.2, 1, 0.6, 8, 3, 0.95), (0.1, 0.2, 1, 0.5, 10, 4, 0.9), (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
    (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85), (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
)  # fmt: skip
# Share of the image, share of the texture.
FROST = ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))
# Amount, decay of the plasma's noise.
FOG = ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))
# Mean and deviation of the liquid, its blur, threshold, strength (water) or blur of the borders (mud), mud or water.
SPATTER = (
    (0.62, 0.1, 0.7, 0.7, 0.5, False), (0.65, 0.1, 0.8, 0.7, 0.5, False), (0.65, 0.3, 1, 0.69, 0.5, False),
    (0.65, 0.1, 0.7, 0.69, 0.6, True), (0.65, 0.1, 0.5, 0.68, 0.6, True),
)  # fmt: skip
_WATER, _MUD = (175, 238, 238), (63, 42, 20)
_ICE, _GLASS = (235, 242, 255), (60, 78, 98)
_EMBOSS = np.array([[-2.0, -1.0, 0.0], [-1.0, 1.0, 1.0], [0.0, 1.0, 2.0]])


def luma(images: np.ndarray) -> np.ndarray:
    """Brightness as ITU-R 601 weighs the channels: float64 [n, height, width, 1]."""
    if images.shape[-1] == 1:
        return images
    red, green, blue = np.moveaxis(images, -1, 0)
    return (0.299 * red + 0.587 * green + 0.114 * blue)[..., np.newaxis]


def _colour(levels, channels):
    """A colour of 0..255 as float64 [channels] in 0..1; of one channel its brightness."""
    colour = np.array(levels) / 255.0
    return colour if channels == 3 else luma(colour)


def snow(images: np.ndarray, constants: tuple, draws: Draws) -> np.ndarray:
    """Brighter, paler images under flakes that fall at an angle, and the same flakes turned round."""
    mean, deviation, zoom, threshold, radius, sigma, share = constants
    flakes = mean + deviation * draws.normal("flakes", *images.shape[1:3])
    flakes = filters.zoom(flakes, zoom)
    flakes = np.clip(np.where(flakes < threshold, 0.0, flakes), 0.0, 1.0)
    flakes = filters.motion(flakes, radius, sigma, draws.between(-135.0, -45.0, "angle"))[..., np.newaxis]
    pale = share * images + (1.0 - share) * np.maximum(images, luma(images) * 1.5 + 0.5)
    return pale + flakes + flakes[:, ::-1, ::-1]


def frost_synthetic(images: np.ndarray, constants: tuple, draws: Draws) -> np.ndarray:
    """Ice over the image; the texture stands in for the published photographs, which are no constants.

    Thin bright crystals run along the contours where a cloudy map passes its middle, in two sizes, over frosted glass
    of uneven thickness: bluish grey where it is thin, white where it is thick.
    """
    keep, amount = constants
    shape = images.shape[1:3]
    coarse, fine, thickness = (plasma(draws, name, shape, decay) for name, decay in (
        ("coarse", 1.6), ("fine", 1.25), ("thickness", 2.0)))  # fmt: skip
    crystals = np.maximum((1.0 - np.abs(2.0 * coarse - 1.0)) ** 4, (1.0 - np.abs(2.0 * fine - 1.0)) ** 3)
    ice = np.clip(0.5 * thickness + 0.7 * crystals, 0.0, 1.0)[..., np.newaxis]
    glass, white = (_colour(colour, images.shape[3]) for colour in (_GLASS, _ICE))
    return keep * images + amount * (glass + ice * (white - glass))


def fog(images: np.ndarray, constants: tuple, draws: Draws) -> np.ndarray:
    """A cloudy map added, and the whole scaled back to the image's range."""
    amount, decay = constants
    brightest = images.max(axis=(1, 2, 3), keepdims=True)
    clouds = plasma(draws, "clouds", images.shape[1:3], decay)[..., np.newaxis]
    return (images + amount * clouds) * brightest / (brightest + amount)


def spatter(images: np.ndarray, constants: tuple, draws: Draws) -> np.ndarray:
    """Drops of water, which shine along their borders, or of mud, which cover."""
    mean, deviation, blur, threshold, strength, mud = constants
    liquid = filters.gaussian(mean + deviation * draws.normal("liquid", *images.shape[1:3]), blur)
    wet = liquid >= threshold
    if mud:
        cover = filters.gaussian(wet.astype(np.float64), strength)
        cover = np.where(cover < 0.8, 0.0, cover)[..., np.newaxis]
        return images * (1.0 - cover) + _colour(_MUD, images.shape[3]) * cover
    shine = np.where(wet, liquid, 0.0) * _relief(wet)
    most = shine.max(axis=(1, 2), keepdims=True)
    shine = strength * shine / np.where(most > 0.0, most, 1.0)
    return images + shine[..., np.newaxis] * _colour(_WATER, images.shape[3])


def _relief(wet):
    """Light on the drops, float64 [n, height, width] in 0..255: an embossed map of the distance to their borders."""
    # The border of a drop are its own pixels beside dry ones.
    dry = np.pad(~wet, ((0, 0), (1, 1), (1, 1)))
    beside = dry[:, :-2, 1:-1] | dry[:, 2:, 1:-1] | dry[:, 1:-1, :-2] | dry[:, 1:-1, 2:]
    border = wet & beside
    # Images lie a thousand pixels apart, and distances end at 20; a last, full border answers where there is none.
    stack = np.concatenate([~border, np.zeros_like(border[:1])])
    distance = np.asarray(ndimage.distance_transform_edt(stack, sampling=(1000.0, 1.0, 1.0)))[:-1]
    levels = np.floor(filters.box(np.minimum(distance, 20.0)) + 1e-9).astype(int)
    relief = np.rint(np.clip(filters.correlate(_equalised(levels), _EMBOSS), 0.0, 255.0))
    return filters.box(relief)


def _equalised(levels):
    """Histogram equalisation of integers [n, height, width] in 0..20, as float64 in 0..255."""
    pixels = levels.shape[1] * levels.shape[2]
    counts = np.stack([(levels == level).sum(axis=(1, 2)) for level in range(21)], axis=1)
    total = counts.cumsum(axis=1)
    first = np.take_along_axis(counts, (counts > 0).argmax(axis=1)[:, np.newaxis], axis=1)
    table = np.rint(np.clip(total - first, 0, None) * 255.0 / np.maximum(pixels - first, 1))
    return np.take_along_axis(table, levels.reshape(len(levels), -1), axis=1).reshape(levels.shape)
