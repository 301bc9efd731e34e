"""Images as arrays, small and random, that several modules of tests give."""

import numpy as np
import pytest
import small_network

import tf_tickets as tt
from tf_tickets.errors import UsageError

SMALL = {
    "model": small_network.NAME, "width": 2, "epochs": 2, "rounds": 2, "rewind": "init", "batch_size": 8,
    "progress": "none", "tensorboard": False,
}  # fmt: skip
CLASSES = ("cat", "dog")


def images(seed, count=20, shape=(8, 8, 3)):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


X, Y = images(0), np.arange(20) % 2
TEST = images(1, 6), np.arange(6) % 2


def given():
    return tt.data.from_arrays(X, Y, test=TEST, class_names=CLASSES)


def written(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def refused(call, message):
    with pytest.raises(UsageError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)
