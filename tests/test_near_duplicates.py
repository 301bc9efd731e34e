"""Pictures that are there twice: which copies are recognised, and that other pictures are not."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from tf_tickets.advise import near_duplicates
from tf_tickets.data import thumbnailing


def scene(seed, height=120, width=160):
    """A picture with details of all sizes, as photographs have them: uint8 [height, width, 3]."""
    draws = np.random.default_rng(seed)
    layers = [
        gaussian_filter(draws.normal(size=(height, width, 3)), (size, size, 0)) * size**2 for size in (2, 4, 8, 16)
    ]
    total = np.sum(layers, axis=0)
    return np.clip(128 + 50 * total / total.std(), 0, 255).astype(np.uint8)


def saved_again(pixels, quality=60):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def resized(pixels, factor):
    height, width = (round(side * factor) for side in pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).resize((width, height)))


COPIES = {
    "same pixels": np.copy,
    "re-saved": saved_again,
    "resized": lambda pixels: resized(pixels, 0.6),
    "mirrored": lambda pixels: saved_again(pixels[:, ::-1]),
    "cropped": lambda pixels: saved_again(pixels[5:-12, 15:-2]),
}


def pairs_of(pictures, features=None):
    made = np.stack([thumbnailing.thumbnail(picture) for picture in pictures])
    return near_duplicates.pairs(made, np.array([picture.shape[:2] for picture in pictures]), features)


@pytest.mark.parametrize("kind", near_duplicates.KINDS)
def test_a_copy_of_each_kind_is_paired_with_its_picture_alone(kind):
    pictures = [scene(seed) for seed in range(30)]
    pictures += [COPIES[kind](pictures[4]), COPIES[kind](pictures[7])]
    paired = pairs_of(pictures)
    assert sorted((pair.first, pair.second, pair.kind) for pair in paired) == [(4, 30, kind), (7, 31, kind)]
    assert [pair.distance for pair in paired] == sorted(pair.distance for pair in paired)
    assert max(pair.distance for pair in paired) < 0.1


def test_groups_join_what_pairs_join():
    joined = [near_duplicates.Pair(*rows, "re-saved", 0.0) for rows in ((3, 5), (5, 9), (1, 2))]
    assert near_duplicates.groups(joined) == [[3, 5, 9], [1, 2]]
    assert near_duplicates.groups([]) == []
