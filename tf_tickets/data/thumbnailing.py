"""Pictures made small and of one shape, so that they can be compared with each other. No TensorFlow here."""

from __future__ import annotations

import functools
import typing

from tf_tickets.lazy_modules import np

if typing.TYPE_CHECKING:
    from PIL import Image

SIDE = 64
SIGNATURE_SIDE = 16
# Pictures that tell how alike those of a data set are.
SAMPLE = 1000
# Of red, green and blue, ITU-R BT.601.
_LUMA = (0.299, 0.587, 0.114)
# Levels from 0 to 255: what varies less is the noise of a lossy format.
_FLAT = 1.0


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """A picture without its proportions.

    Args:
      pixels: uint8 [height, width, channels], as `image` takes them.

    Returns:
      uint8 [SIDE, SIDE, 3].
    """
    return np.asarray(_small(image(pixels), SIDE))


def image(pixels: np.ndarray) -> Image.Image:
    """In mode RGB, of uint8 [height, width, channels]: of more channels than three the first three, of fewer all."""
    from PIL import Image

    count = pixels.shape[-1]
    return Image.fromarray(np.ascontiguousarray(pixels[..., [0, 1, 2] if count > 2 else [0, 0, count - 1]]))


def signature(picture: Image.Image) -> bytes:
    """What is kept of each picture, in mode RGB: its brightness in 16 x 16 pixels, and its mean colour."""
    colours = _small(picture, SIGNATURE_SIDE)
    return colours.convert("L").tobytes() + colours.resize((1, 1)).tobytes()


def _small(picture, side):
    from PIL.Image import Resampling

    return picture.resize((side, side), Resampling.BILINEAR, reducing_gap=3.0)


def luma(thumbnails: np.ndarray) -> np.ndarray:
    """The brightness of uint8 [n, SIDE, SIDE, 3], float32 [n, SIDE, SIDE], from 0 to 255."""
    grey = np.empty(thumbnails.shape[:-1], np.float32)
    for start in range(0, len(grey), SAMPLE):
        grey[start : start + SAMPLE] = thumbnails[start : start + SAMPLE].astype(np.float32) @ np.array(
            _LUMA, np.float32
        )
    return grey


@functools.cache
def window(first: float, last: float, count: int) -> np.ndarray:
    """The matrix, float32 [count, SIDE], that averages one axis of a thumbnail over equal pieces of a window.

    Args:
      first, last: shares of the axis that are cut off at its start and at its end.
      count: pieces.
    """
    edges = np.linspace(first * SIDE, (1 - last) * SIDE, count + 1)
    places = np.arange(SIDE)
    overlap = np.minimum(edges[1:, None], places + 1) - np.maximum(edges[:-1, None], places)
    overlap = np.maximum(overlap, 0)
    return (overlap / overlap.sum(axis=1, keepdims=True)).astype(np.float32)


@functools.cache
def _blur(count, deviation):
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(np.eye(count), deviation, axis=0, mode="nearest").astype(np.float32)


def details(pictures: np.ndarray, deviation: float) -> np.ndarray:
    """What is left of small pictures once they are blurred and the blurred ones are taken away, of length 1.

    The product of two such vectors is the normalised correlation of the two pictures' details: 1 of equal ones, and
    about 0 of pictures that have nothing to do with each other, whatever they share in brightness and contrast.

    Args:
      pictures: float32 [..., side, side].
      deviation: of the Gaussian, in pixels.

    Returns:
      float32 [..., side * side]; zeros of a picture without details.
    """
    side = pictures.shape[-1]
    blur = _blur(side, deviation)
    band = (pictures - blur @ pictures @ blur.T).reshape(*pictures.shape[:-2], side * side)
    length = np.linalg.norm(band, axis=-1, keepdims=True)
    return np.where(length > _FLAT * side, band / np.maximum(length, _FLAT), 0).astype(np.float32)


def chance_level(sample: np.ndarray, count: int) -> float:
    """The correlation that less than half a pair of unlike pictures reaches by chance, from 0 to 1.

    As an a-contrario method (Desolneux, Moisan and Morel 2000) it expects less than one false pair of a data set,
    however alike its pictures are. Of the correlations of all pairs of a sample, after Fisher's transformation, the
    median and the third quartile tell a normal distribution; tails of photographs are twice as long.

    Args:
      sample: details of some pictures, float32 [k, values], as `details` makes them.
      count: pictures of the data set.
    """
    from scipy import stats

    if len(sample) < 3:
        return 0.0
    correlations = (sample @ sample.T)[np.triu_indices(len(sample), 1)]
    middle, high = np.quantile(np.arctanh(np.clip(correlations, -0.9999, 0.9999)), (0.5, 0.75))
    deviations = stats.norm.isf(0.5 / (count * (count - 1) / 2))
    return float(np.tanh(middle + 2 * deviations * (high - middle) / stats.norm.ppf(0.75)))
