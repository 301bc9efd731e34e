"""Pictures that are there twice: which copies are recognised, and that other pictures are not."""

import collections
import io

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from scipy.ndimage import gaussian_filter

from tf_tickets import storage
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


def test_what_was_changed_twice_is_found_too():
    pictures = [scene(seed) for seed in range(20)]
    pictures.append(COPIES["cropped"](pictures[3][:, ::-1]))
    pictures.append(resized(COPIES["cropped"](pictures[5]), 1.4))
    assert [(pair.first, pair.second, pair.kind) for pair in pairs_of(pictures)] in (
        [(3, 20, "mirrored"), (5, 21, "cropped")], [(5, 21, "cropped"), (3, 20, "mirrored")],
    )  # fmt: skip


def test_pictures_that_share_most_of_what_they_show_are_told_from_copies():
    """As X-rays do, or goods in front of one background."""
    background = scene(99).astype(float)
    pictures = [(0.7 * background + 0.3 * scene(seed)).astype(np.uint8) for seed in range(60)]
    assert pairs_of(pictures) == []
    pictures += [saved_again(pictures[4]), COPIES["cropped"](pictures[9]), pictures[6][:, ::-1]]
    assert sorted((pair.first, pair.second, pair.kind) for pair in pairs_of(pictures)) == [
        (4, 60, "re-saved"), (6, 62, "mirrored"), (9, 61, "cropped"),
    ]  # fmt: skip


def test_the_same_shapes_in_other_colours_are_another_picture():
    shirt = scene(0) // 2
    red, blue = (shirt + np.array(colour, np.uint8) for colour in ([120, 0, 0], [0, 0, 120]))
    grey_red, grey_blue = (picture @ [0.299, 0.587, 0.114] for picture in (red, blue))
    assert np.corrcoef(grey_red.ravel(), grey_blue.ravel())[0, 1] > 0.99
    pictures = [scene(seed) for seed in range(1, 20)]
    assert pairs_of([*pictures, red, blue]) == []
    assert len(pairs_of([*pictures, red, saved_again(red)])) == 1


def test_of_pictures_that_are_all_alike_each_has_few_partners_and_all_are_one_group():
    copies = [saved_again(scene(1), quality) for quality in range(50, 96)]
    paired = pairs_of(copies)
    assert near_duplicates.groups(paired) == [list(range(46))] and len(paired) < 46 * 12
    same = [pair for pair in pairs_of([scene(1)] * 40) if pair.kind == "same pixels"]
    assert [(pair.first, pair.second) for pair in same] == [(0, row) for row in range(1, 40)]


def test_pictures_without_details_are_paired_by_the_same_pixels_alone():
    blank = [np.full((50, 50, 3), level, np.uint8) for level in (10, 11, 12, 200, 200)]
    steps = [np.repeat(np.arange(low, low + 4), 24)[None, :, None] + np.zeros((96, 96, 3), int) for low in (100, 120)]
    pictures = [*blank, *(step.astype(np.uint8) for step in steps), *(scene(seed) for seed in range(20))]
    assert [(pair.first, pair.second) for pair in pairs_of(pictures)] == [(3, 4)]


def test_few_pictures_and_none():
    pictures = [scene(seed) for seed in range(2)]
    assert pairs_of(pictures) == [] == pairs_of(pictures[:1])
    assert [pair.kind for pair in pairs_of([pictures[0], saved_again(pictures[0])])] == ["re-saved"]
    twice = [*pictures, *map(saved_again, pictures)]
    assert [(pair.first, pair.second) for pair in sorted(pairs_of(twice), key=lambda p: p.first)] == [(0, 2), (1, 3)]
    empty = np.zeros((0, thumbnailing.SIDE, thumbnailing.SIDE, 3), np.uint8)
    assert near_duplicates.pairs(empty, np.zeros((0, 2), int)) == []


def test_the_order_of_pictures_changes_no_pair():
    pictures = [scene(seed) for seed in range(20)]
    pictures += [COPIES[kind](pictures[row]) for row, kind in enumerate(near_duplicates.KINDS)]
    order = np.random.default_rng(0).permutation(len(pictures))
    straight = {(frozenset((pair.first, pair.second)), pair.kind) for pair in pairs_of(pictures)}
    shuffled = pairs_of([pictures[row] for row in order])
    assert {(frozenset(order[[pair.first, pair.second]].tolist()), pair.kind) for pair in shuffled} == straight
    assert len(straight) == 5


def test_features_find_wider_crops_and_decide_nothing():
    pictures = [scene(seed) for seed in range(20)]
    pictures.append(pictures[5][24:-22, 35:-10])
    assert pairs_of(pictures) == []
    features = np.random.default_rng(0).normal(size=(21, 8)).astype(np.float32)
    features[1], features[20] = features[0], features[5]
    assert [(pair.first, pair.second, pair.kind) for pair in pairs_of(pictures, features)] == [(5, 20, "cropped")]


def test_a_picture_that_shows_another_by_half_is_another_picture():
    half = (scene(0) / 2 + scene(1) / 2).astype(np.uint8)
    assert pairs_of([scene(0), half, *(scene(seed) for seed in range(2, 20))]) == []


def test_groups_join_what_pairs_join():
    joined = [near_duplicates.Pair(*rows, "re-saved", 0.0) for rows in ((3, 5), (5, 9), (1, 2))]
    assert near_duplicates.groups(joined) == [[3, 5, 9], [1, 2]]
    assert near_duplicates.groups([]) == []


def test_the_readme_prints_the_committed_rows():
    folder = ROOT / "results" / "near_duplicates"
    rows, others = (storage.read_csv(str(folder / name)) for name in ("rows.csv", "others.csv"))
    text = (folder / "README.md").read_text()
    sums = collections.defaultdict(lambda: [0, 0, 0, 0])
    for row in rows:
        numbers = [int(row[name]) for name in ("planted", "found", "kind_right", "found_by_signature")]
        key = row["dataset"], row["kind"]
        sums[key] = [total + number for total, number in zip(sums[key], numbers)]
    lines = [f"| {data} | {kind} | {' | '.join(map(str, numbers))} |" for (data, kind), numbers in sums.items()]
    assert "\n".join(lines) in text and {row["seed"] for row in rows} == set("012345")
    assert {(row["dataset"], row["pictures"]) for row in rows} == {("cifar10", "500"), ("folder", "620")}
    for data in ("cifar10", "folder"):
        seen = [(row["seen"], row["seed"]) for row in others if row["dataset"] == data]
        wrong = [seed for answer, seed in seen if answer == "another picture"]
        same = sum(answer == "the same picture" for answer, _ in seen)
        most = max(collections.Counter(wrong).values(), default=0)
        assert f"| {data} | {len(seen)} | {same} | {len(wrong)} | {most} |" in text and same + len(wrong) == len(seen)
        assert most <= 5
