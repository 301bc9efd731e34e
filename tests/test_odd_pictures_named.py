"""Pictures that are unlike the others: each kind is named, and nothing is where all are alike."""

import numpy as np
from scipy.ndimage import gaussian_filter
from test_near_duplicates import scene

from tf_tickets.advise import odd_pictures
from tf_tickets.data import thumbnailing


def named(pictures, **known):
    made = np.stack([thumbnailing.thumbnail(picture) for picture in pictures])
    sizes = np.array([picture.shape[:2] for picture in pictures])
    channels = np.array([picture.shape[2] for picture in pictures])
    return [(odd.row, odd.kind) for odd in odd_pictures.odd_pictures(made, sizes, channels, **known)]


def test_each_kind_is_named_and_no_other_picture():
    pictures = [scene(seed) for seed in range(40)]
    assert named(pictures) == []
    pictures += [
        np.full((120, 160, 3), 90, np.uint8),
        scene(50) // 8,
        255 - scene(51) // 8,
        gaussian_filter(scene(52), (6, 6, 0)),
        scene(53, 20, 26),
        scene(54, 60, 300),
        scene(55)[..., :1],
    ]
    assert sorted(named(pictures)) == [
        (40, "blank"), (41, "dark"), (42, "bright"), (43, "blurred"), (44, "odd size"), (45, "odd size"),
        (46, "odd channels"),
    ]  # fmt: skip
    assert named(pictures)[0] == (40, "blank")


def test_what_is_far_from_all_others_by_its_features():
    draws = np.random.default_rng(0)
    labels = np.repeat([0, 1], 30)
    features = draws.normal(size=(60, 16)) + 8 * np.eye(16)[labels]
    features[17] = -8 * np.eye(16)[5]
    pictures = [scene(seed) for seed in range(60)]
    assert named(pictures, features=features, labels=labels) == [(17, "far from all others")]


def test_what_many_pictures_have_in_common_is_not_odd():
    pictures = [scene(seed) // (1 if seed % 8 else 8) for seed in range(40)]
    pictures += [scene(seed, 20, 26) for seed in range(40, 44)]
    assert named(pictures) == []


def test_few_pictures_none_and_all_alike(recwarn):
    assert named([scene(1)]) == named([scene(1), scene(2)]) == []
    alike = np.ones((30, 8), np.float32)
    assert named([scene(1)] * 30, features=alike, labels=np.arange(30) % 2) == []
    far = np.where(np.arange(30)[:, None] == 3, np.eye(8)[0], alike)
    assert named([scene(1)] * 30, features=far) == [(3, "far from all others")]
    empty = np.zeros((0, 64, 64, 3), np.uint8)
    assert odd_pictures.odd_pictures(empty, np.zeros((0, 2), int), np.zeros(0, int)) == []
    assert not recwarn.list
