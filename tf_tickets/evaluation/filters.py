"""Blurs and resampling of whole batches, image by image the same in any batch."""

import numpy as np
from scipy import ndimage


def gaussian(images: np.ndarray, sigma: float, mode: str = "nearest", truncate: float = 4.0) -> np.ndarray:
    """Gaussian blur of height and width: float64 [n, height, width, ...], `sigma` in pixels, 0 for none."""
    sigmas = (0.0, sigma, sigma) + (0.0,) * (images.ndim - 3)
    return ndimage.gaussian_filter(images, sigmas, mode=mode, truncate=truncate) if sigma else images


def box(images: np.ndarray) -> np.ndarray:
    """Mean of 3 x 3 pixels: float64 [n, height, width, ...]; the borders mirror without repeating."""
    return correlate(images, np.full((3, 3), 1.0 / 9.0))


def correlate(images: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Correlation with a kernel of odd sides; the borders mirror without repeating the outermost pixel."""
    rows, columns = kernel.shape[0] // 2, kernel.shape[1] // 2
    height, width = images.shape[1:3]
    ends = [(0, 0), (rows, rows), (columns, columns)] + [(0, 0)] * (images.ndim - 3)
    padded, total = np.pad(images, ends, mode="reflect"), np.zeros_like(images)
    for row, column in np.argwhere(kernel):
        total += kernel[row, column] * padded[:, row : row + height, column : column + width]
    return total


def disk(radius: float, sigma: float) -> np.ndarray:
    """A disk of `radius` pixels, at least its centre, smoothed by a 3 x 3 Gaussian; sums to 1, odd sides."""
    reach = int(radius) + 1
    line = np.arange(-reach, reach + 1)
    inside = (line[:, np.newaxis] ** 2 + line**2 <= radius**2).astype(np.float64)
    weights = np.exp(-np.array([1.0, 0.0, 1.0]) / (2.0 * sigma**2))
    smooth = ndimage.correlate(inside / inside.sum(), np.outer(weights, weights) / weights.sum() ** 2, mode="constant")
    return smooth


def motion(images: np.ndarray, radius: float, sigma: float, degrees: np.ndarray) -> np.ndarray:
    """One-sided Gaussian smear along a direction of each image's own, in whole pixels; the borders repeat.

    Args:
      images: float64 [n, height, width, ...].
      radius: the smear reaches 2 ceil(radius) pixels.
      sigma: of its weights, in pixels.
      degrees: float64 [n], 0 along the rows.
    """
    distances = np.arange(2 * int(np.ceil(radius)) + 1)
    weights = np.exp(-(distances**2) / (2.0 * sigma**2))
    angles, smeared = np.deg2rad(degrees), np.zeros_like(images)
    height, width = images.shape[1:3]
    which = np.arange(len(images))[:, np.newaxis, np.newaxis]
    for distance, weight in zip(distances, weights / weights.sum()):
        down, right = (np.ceil(distance * part - 0.5).astype(int) for part in (np.sin(angles), np.cos(angles)))
        rows = np.clip(np.arange(height) + down[:, np.newaxis], 0, height - 1)
        columns = np.clip(np.arange(width) + right[:, np.newaxis], 0, width - 1)
        smeared += weight * images[which, rows[:, :, np.newaxis], columns[:, np.newaxis, :]]
    return smeared


def zoom(images: np.ndarray, factor: float) -> np.ndarray:
    """The middle of each image enlarged to its full size, linearly, on the grid that scipy.ndimage.zoom samples."""
    for axis in (1, 2):
        images = _zoomed(images, factor, axis)
    return images


def _zoomed(images, factor, axis):
    size = images.shape[axis]
    part = int(np.ceil(size / factor))
    enlarged = max(round(part * factor), 1)
    positions = (enlarged - size) // 2 + np.arange(size)
    positions = (size - part) // 2 + positions * ((part - 1) / max(enlarged - 1, 1))
    low = np.floor(positions).astype(int)
    share = (positions - low).reshape([-1 if a == axis else 1 for a in range(images.ndim)])
    high = np.minimum(low + 1, size - 1)
    return images.take(low, axis) * (1.0 - share) + images.take(high, axis) * share


def sample(images: np.ndarray, rows: np.ndarray, columns: np.ndarray, repeat: bool) -> np.ndarray:
    """Pixels between pixels, linearly.

    Args:
      images: float64 [n, height, width, channels].
      rows, columns: float64 [n, height, width], where to read.
      repeat: whether the mirror at the border repeats the outermost pixel.

    Returns:
      float64 [n, height, width, channels].
    """
    which = np.arange(len(images))[:, np.newaxis, np.newaxis]
    top, left = np.floor(rows), np.floor(columns)
    down, right = (rows - top)[..., np.newaxis], (columns - left)[..., np.newaxis]
    pixels = 0.0
    for row, row_share in ((top, 1.0 - down), (top + 1, down)):
        for column, column_share in ((left, 1.0 - right), (left + 1, right)):
            place = _mirrored(row, images.shape[1], repeat), _mirrored(column, images.shape[2], repeat)
            pixels = pixels + row_share * column_share * images[which, place[0], place[1]]
    return pixels


def _mirrored(positions, size, repeat):
    period = 2 * size if repeat else max(2 * size - 2, 1)
    inside = positions.astype(int) % period
    return np.minimum(inside, period - (1 if repeat else 0) - inside)
