"""Folders of small pictures of noise, and the look at one."""

import numpy as np
import pytest
from PIL import Image

from tf_tickets.data import folder


@pytest.fixture(autouse=True)
def looked_at_anew():
    """Pictures are looked at once per process; tests change them."""
    folder.scan.cache_clear()


def noise(seed, height=12, width=12):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def save(path, picture, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)
    return path


def classes(root, count=3, seed=0):
    """Two classes of small pictures below a folder."""
    for label, name in enumerate("ab"):
        for index in range(count):
            save(root / name / f"{index}.png", noise(seed + 100 * label + index))
    return root


def scanned(root):
    folder.scan.cache_clear()
    return folder.scan(str(root))
