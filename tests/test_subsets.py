"""Subsets: stratified, nested, drawn by one seed alone, and the same ids for ever."""

import collections

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_tickets.data import subsets
from tf_tickets.errors import UsageError
from tf_tickets.registry import DATASETS
from tf_tickets.settings.config import Config

EVEN = np.arange(2000) * 7 % 10
DIGITS = np.repeat(np.arange(10), DATASETS["digits"].facts.train_counts)[np.arange(1197) * 11 % 1197]


def choose(labels=EVEN, ids=None, **values):
    """A Subset of labels alone."""
    return subsets.choose(Config.from_values(**values).data, labels, ids)


def per_class(positions, labels=EVEN):
    """Images per class."""
    return np.bincount(labels[positions], minlength=10).tolist()


@pytest.mark.parametrize("values", [{"images": 200}, {"fraction": 0.1}, {"per_class": 20}])
def test_each_way_of_asking_gives_the_same_stratified_subset(values):
    found = choose(**values)
    assert found.train.dtype == np.int64 and len(found.validation) == 0
    assert per_class(found.train) == [20] * 10
    assert (np.diff(found.train) > 0).all()
    np.testing.assert_array_equal(found.train, choose(images=200).train)


def test_without_a_size_all_images_are_in_use():
    np.testing.assert_array_equal(choose().train, np.arange(2000))
    np.testing.assert_array_equal(choose(fraction=1.0).train, np.arange(2000))


@pytest.mark.parametrize("labels", [EVEN, DIGITS], ids=["even", "digits"])
def test_a_smaller_subset_lies_inside_a_larger_one(labels):
    larger = set(range(len(labels)))
    for fraction in (0.5, 0.1, 0.02, 0.011):
        smaller = set(choose(labels, fraction=fraction).train.tolist())
        assert len(smaller) == int(fraction * len(labels) + 0.5) and smaller < larger
        larger = smaller


def test_the_subset_seed_alone_draws():
    plain = choose(images=100).train
    for values in ({"seed": 5}, {"order_seed": 5}, {"width": 8}, {"batch_size": 10}):
        np.testing.assert_array_equal(choose(images=100, **values).train, plain)
    other = choose(images=100, subset_seed=1).train
    assert per_class(other) == per_class(plain) and set(other) != set(plain)


def test_frozen_draws_stay():
    """A changed stream would silently give every recorded run other images."""
    assert choose(images=20).train.tolist() == [
        57, 172, 198, 220, 325, 348, 423, 549, 645, 733, 784, 821, 830, 856, 1082, 1264, 1519, 1556, 1811,
        1877,
    ]  # fmt: skip
    assert choose(images=20, subset_seed=7).train.tolist() == [
        29, 34, 65, 189, 406, 457, 541, 582, 661, 1074, 1113, 1150, 1168, 1316, 1323, 1382, 1417, 1418, 1470,
        1715,
    ]  # fmt: skip
    assert choose(DIGITS, per_class=3, validation=0.34).validation.tolist() == [
        38, 196, 220, 410, 465, 618, 711, 866, 915, 1107,
    ]  # fmt: skip
    assert choose(DIGITS, per_class=4, validation="fold:1/4", subset_seed=2).validation.tolist() == [
        137, 222, 303, 345, 386, 643, 836, 903, 1070, 1141,
    ]  # fmt: skip


def test_original_takes_the_first_images_of_each_class():
    found = choose(per_class=3, subset_seed="original").train
    assert found.tolist() == sorted(np.concatenate([np.flatnonzero(EVEN == c)[:3] for c in range(10)]).tolist())
    folds = choose(per_class=4, subset_seed="original", validation="fold:1/2").validation
    assert folds.tolist() == sorted(np.concatenate([np.flatnonzero(EVEN == c)[1:4:2] for c in range(10)]).tolist())


@settings(max_examples=100, deadline=None, derandomize=True)
@given(counts=st.lists(st.integers(1, 60), min_size=1, max_size=8), share=st.floats(0, 1))
def test_counts_sum_exactly_grow_steadily_and_stay_proportional(counts, share):
    total = round(share * sum(counts))
    found = subsets.stratified_counts(counts, total)
    assert sum(found) == total
    assert all(0 <= got <= had for got, had in zip(found, counts))
    if total < sum(counts):
        more = subsets.stratified_counts(counts, total + 1)
        assert all(a <= b for a, b in zip(found, more))
    if len(set(counts)) == 1:
        assert max(found) - min(found) <= 1 and list(found) == sorted(found, reverse=True)


def test_seats_go_to_the_class_furthest_behind_its_share():
    assert subsets.stratified_counts([10, 29], 2) == (1, 1)
    assert subsets.stratified_counts([10, 31], 2) == (0, 2)
    assert subsets.stratified_counts([5, 5, 5], 7) == (3, 2, 2)


@pytest.mark.parametrize("name", [name for name, provider in DATASETS.items() if provider.facts])
def test_counts_differ_from_largest_remainders_by_one_image_at_most(name):
    counts = np.array(DATASETS[name].facts.train_counts)
    for total in (len(counts), 3 * len(counts) + 1, counts.sum() // 10, counts.sum() // 3, counts.sum() - 7):
        exact = total * counts / counts.sum()
        floors = np.floor(exact).astype(int)
        floors[np.argsort(floors - exact, kind="stable")[: total - floors.sum()]] += 1
        assert np.abs(floors - subsets.stratified_counts(counts, total)).max() <= 1


@pytest.mark.parametrize(("values", "message"), [
    ({"images": 2001}, "only 2000"),
    ({"images": 9}, "--images=9 leaves class 9"),
    ({"fraction": 0.004}, "--fraction=0.004 leaves class 8"),
    ({"per_class": 201}, "class 0 .* only 200"),
    ({"imbalance": 0.001}, "--imbalance=0.001 leaves class 7"),
    ({"imbalance": 0.001, "imbalance_profile": "step"}, "--imbalance=0.001 leaves class 5"),
    ({"per_class": 1, "validation": 0.5}, "holds nothing out of 1 images a class"),
    ({"per_class": 2, "validation": "fold:2/3"}, "holds nothing out of 2 images a class"),
])  # fmt: skip
def test_too_few_images_are_refused(values, message):
    with pytest.raises(UsageError, match=message):
        choose(**values)


@pytest.mark.parametrize("labels", [EVEN, DIGITS], ids=["even", "digits"])
def test_a_validation_part_is_disjoint_stratified_and_leaves_the_subset(labels):
    whole, split = choose(labels, per_class=25), choose(labels, per_class=25, validation=0.2)
    assert per_class(split.validation, labels) == [5] * 10 and per_class(split.train, labels) == [20] * 10
    assert sorted([*split.train, *split.validation]) == whole.train.tolist()
    assert choose(labels, per_class=25, validation=0.2, seed=9).validation.tolist() == split.validation.tolist()


def test_a_validation_part_is_no_mere_prefix_of_the_subset():
    split = choose(per_class=25, validation=0.2)
    assert set(split.validation) != set(choose(per_class=5).train)
    assert choose(per_class=25, validation=0.2, subset_seed=1).validation.tolist() != split.validation.tolist()


@pytest.mark.parametrize("size", [10, 13])
def test_folds_partition_the_subset(size):
    whole = choose(per_class=size)
    folds = [choose(per_class=size, validation=f"fold:{index}/5") for index in range(5)]
    assert sorted(np.concatenate([fold.validation for fold in folds]).tolist()) == whole.train.tolist()
    for fold in folds:
        assert sorted([*fold.train, *fold.validation]) == whole.train.tolist()
        assert set(per_class(fold.validation)) <= {size // 5, -(-size // 5)}


def test_validation_counts_leave_both_parts_an_image():
    assert [subsets.validation_count("0.001", n) for n in (1, 2, 10)] == [0, 1, 1]
    assert [subsets.validation_count("0.999", n) for n in (1, 2, 10)] == [0, 1, 9]
    assert [subsets.validation_count("fold:0/3", n) for n in (1, 2, 3, 4)] == [0, 1, 1, 2]
    assert subsets.validation_count(None, 10) == 0


def test_a_long_tail_draws_the_first_of_each_class_s_order():
    for profile in ("exp", "step"):
        data = Config.from_values(imbalance=0.05, imbalance_profile=profile).data
        counts = subsets.long_tail_counts([200] * 10, 0.05, profile)
        assert counts[0] == 200 and counts[-1] == 10 and list(counts) == sorted(counts, reverse=True)
        tail = subsets.choose(data, EVEN).train
        assert per_class(tail) == list(counts)
        rare = choose(per_class=10).train
        assert set(rare[EVEN[rare] == 9]) == set(tail[EVEN[tail] == 9])


def test_a_subset_file_lists_the_images(tmp_path):
    ids = [f"train_{index:05d}" for index in range(2000)]
    path = tmp_path / "ids.txt"
    path.write_text("train_00030\n\n train_00007 \ntrain_01999\n")
    assert choose(ids=ids, subset_file=str(path)).train.tolist() == [7, 30, 1999]
    path.write_text("\n".join(ids[:100]))
    split = choose(ids=ids, subset_file=str(path), validation="fold:0/2")
    assert per_class(split.train) == per_class(split.validation) == [5] * 10


@pytest.mark.parametrize(("content", "message"), [
    (None, "cannot be read: .*No such file"),
    (b"\xff\xfe", "cannot be read"),
    (b"\n \n", "names no image"),
    (b"train_00001\nimage\n", "'image' is no training image; ids look like train_00000"),
    (b"train_00001\ntrain_00002\ntrain_00001\n", "'train_00001' stands there more than once"),
])  # fmt: skip
def test_a_bad_subset_file_is_refused(tmp_path, content, message):
    path = tmp_path / "ids.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        choose(ids=[f"train_{index:05d}" for index in range(2000)], subset_file=str(path))


def test_a_subset_file_too_small_for_its_validation_is_refused(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text("0\n1\n")
    with pytest.raises(UsageError, match="holds nothing out"):
        choose(ids=[str(index) for index in range(2000)], subset_file=str(path), validation=0.5)


def test_class_orders_are_permutations_that_differ_between_classes_and_seeds():
    positions = np.arange(50)
    orders = {tuple(subsets.class_order(positions, seed, label)) for seed in "0123" for label in range(5)}
    assert len(orders) == 20 and all(sorted(order) == list(range(50)) for order in orders)


def test_every_image_is_drawn_about_equally_often():
    drawn = collections.Counter()
    for seed in range(200):
        drawn.update(choose(fraction=0.1, subset_seed=seed).train.tolist())
    # Each of 2000 images is in 200 x 0.1 subsets on average; six standard deviations of the binomial are 25.
    assert len(drawn) == 2000 and max(drawn.values()) < 46


def test_the_official_validation_part_has_to_be_told():
    with pytest.raises(ValueError, match="official"):
        choose(validation="official")
