"""Masks: exact counts, nesting, ties, floors and controls, against a slow direct sort."""

import fractions

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_tickets.pruning import masks

SHAPES = {"conv1": (3, 3, 3, 4), "conv2": (1, 1, 4, 8), "conv3": (3, 3, 1, 2)}


def drawn(seed=0, shapes=SHAPES):
    """Normal weights of a small network."""
    generator = np.random.default_rng(seed)
    return {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def slowly(weights, old, amount, least=0):
    """What `global_magnitude` should keep, by Python's own sort of (|w|, layer, flat index)."""
    rows = [
        (abs(float(value)), layer, index)
        for layer, name in enumerate(weights)
        for index, (value, kept) in enumerate(zip(weights[name].ravel(), old[name].ravel()))
        if kept
    ]
    protected = set()
    for layer in range(len(weights)):
        mine = sorted(row for row in rows if row[1] == layer)
        protected |= set(mine[max(len(mine) - least, 0) :])
    gone = {row[1:] for row in [row for row in sorted(rows) if row not in protected][:amount]}
    return {
        name: np.array([
            bool(kept) and (layer, index) not in gone for index, kept in enumerate(old[name].ravel())
        ], bool).reshape(old[name].shape)
        for layer, name in enumerate(weights)
    }  # fmt: skip


def assert_same(found, expected):
    """Equal layers in equal order, equal masks."""
    assert list(found) == list(expected)
    for name in found:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@st.composite
def networks(draw):
    """Small layers whose weights often tie, and masks of them."""
    shapes = draw(st.lists(st.sampled_from([(1,), (4,), (2, 3), (3, 3, 1, 2)]), min_size=1, max_size=4))
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))
    weights = {f"layer{i}": generator.integers(-3, 4, s).astype(np.float32) for i, s in enumerate(shapes)}
    old = {name: generator.random(array.shape) < 0.8 for name, array in weights.items()}
    return weights, old


RATES = st.sampled_from([0.05, 0.1, 0.2, 0.25, 0.5, 0.75, 0.999])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(network=networks(), rate=RATES, least=st.integers(0, 3))
def test_the_ranking_equals_a_direct_sort(network, rate, least):
    weights, old = network
    amount = masks.removed_count(masks.count(old), rate)
    assert_same(masks.global_magnitude(weights, old, rate, least), slowly(weights, old, amount, least))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(network=networks(), rate=RATES, least=st.integers(0, 3))
def test_scope_layer_equals_a_direct_sort_in_each_layer(network, rate, least):
    weights, old = network
    expected = {}
    for name in weights:
        alone = {name: weights[name]}, {name: old[name]}
        expected |= slowly(*alone, masks.removed_count(int(old[name].sum()), rate), least)
    assert_same(masks.layer_magnitude(weights, old, rate, least), expected)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(network=networks(), rate=RATES, least=st.integers(0, 3), seed=st.integers(0, 9))
def test_new_masks_are_subsets_with_exact_counts_and_inputs_stay(network, rate, least, seed):
    weights, old = network
    copies = {name: mask.copy() for name, mask in old.items()}
    free = sum(max(int(mask.sum()) - least, 0) for mask in old.values())
    expected = masks.count(old) - min(masks.removed_count(masks.count(old), rate), free)
    for found in (
        masks.global_magnitude(weights, old, rate, least),
        masks.random_removal(weights, old, rate, least, seed=seed, round_index=1),
    ):
        assert masks.count(found) == expected
        for name, mask in found.items():
            assert mask.dtype == bool and mask.shape == old[name].shape
            assert not (mask & ~old[name]).any()
            assert mask.sum() >= min(least, old[name].sum())
    assert_same(old, copies)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(remaining=st.integers(0, 10**7), eighths=st.integers(1, 7))
def test_counts_round_half_to_even(remaining, eighths):
    # Eighths are exact in binary, so halves really occur.
    assert masks.removed_count(remaining, eighths / 8) == round(fractions.Fraction(eighths, 8) * remaining)


def test_halves_go_to_the_even_count():
    assert [masks.removed_count(n, 0.5) for n in (1, 3, 5, 7)] == [0, 2, 2, 4]
    assert [masks.removed_count(n, 0.25) for n in (2, 6, 10)] == [0, 2, 2]


def test_rounds_remove_exactly_the_counts_on_paper_and_nest():
    for prune in (masks.global_magnitude, masks.layer_magnitude):
        groups = [108, 32, 18] if prune is masks.layer_magnitude else [158]
        expected = np.sum([masks.remaining_counts(n, 0.2, 12) for n in groups], axis=0)
        found, counts = masks.dense(drawn()), []
        for round_index in range(12):
            counts.append(masks.count(found))
            old, found = found, prune(drawn(round_index), found, 0.2)
            assert all((old[name] | ~found[name]).all() for name in found)
        assert counts == list(expected)


def test_a_removed_weight_is_never_ranked_again():
    weights = {"a": np.array([0.0, 9.0, 1.0, 2.0], np.float32)}
    old = {"a": np.array([True, False, True, True])}
    found = masks.global_magnitude(weights, old, 1 / 3)
    assert found["a"].tolist() == [False, False, True, True]
    broken = {"a": np.array([0.0, np.nan, 1.0, 2.0], np.float32)}
    assert_same(masks.global_magnitude(broken, old, 1 / 3), found)


def test_signs_do_not_count_and_no_masks_means_dense():
    weights = drawn()
    flipped = {name: -array for name, array in weights.items()}
    assert_same(masks.global_magnitude(flipped), masks.global_magnitude(weights, masks.dense(weights), 0.2))


def test_ties_go_by_layer_order_then_flat_index():
    weights = {"z": np.full((2, 2), -1.0), "a": np.full((2, 3), 1.0)}
    found = masks.global_magnitude(weights, rate=0.5)
    assert found["z"].ravel().tolist() == [False] * 4
    assert found["a"].ravel().tolist() == [False, *[True] * 5]
    swapped = masks.global_magnitude({name: weights[name] for name in "az"}, rate=0.5)
    assert masks.count({"a": swapped["a"]}) == 1 and swapped["z"].all()
    columns = {"z": np.asfortranarray(weights["z"]), "a": np.asfortranarray(weights["a"])}
    assert_same(masks.global_magnitude(columns, rate=0.5), found)


def test_min_per_layer_keeps_the_largest_weights_of_each_layer():
    weights = {"small": np.arange(1.0, 6.0) / 100, "large": np.arange(1.0, 16.0)}
    assert masks.empty_layers(masks.global_magnitude(weights, rate=0.3)) == ["small"]
    assert masks.global_magnitude(weights, rate=0.3, min_per_layer=2)["small"].tolist() == [False] * 3 + [True] * 2
    stuck = masks.global_magnitude(weights, rate=0.999, min_per_layer=4)
    assert [int(mask.sum()) for mask in stuck.values()] == [4, 4]
    assert masks.count(masks.global_magnitude(weights, stuck, 0.5, 4)) == 8
    assert masks.remaining_counts(20, 0.999, 3, floor=8) == [20, 8, 8]


def test_empty_layers_are_named_and_densities_listed():
    weights = {"small": np.arange(1.0, 5.0) / 100, "large": np.arange(1.0, 17.0).reshape(2, 8)}
    found = masks.global_magnitude(weights, rate=0.2)
    assert masks.empty_layers(found) == ["small"]
    assert masks.density(found) == 0.8
    assert masks.density_rows(found) == [
        {"layer": "small", "shape": "4", "kept": 0, "total": 4, "density": 0.0},
        {"layer": "large", "shape": "2x8", "kept": 16, "total": 16, "density": 1.0},
    ]
    assert masks.empty_layers(masks.layer_magnitude(weights, rate=0.2)) == []


def test_random_masks_have_the_same_counts_and_differ_between_seeds_and_rounds():
    weights = drawn()

    def run(seed):
        rows = [masks.dense(weights)]
        for round_index in range(1, 6):
            rows.append(masks.random_removal(weights, rows[-1], 0.2, seed=seed, round_index=round_index))
        return rows

    rows = run(1)
    assert [masks.count(row) for row in rows] == masks.remaining_counts(masks.count(rows[0]), 0.2, 6)
    for old, new in zip(rows, rows[1:]):
        assert all((old[name] | ~new[name]).all() for name in new)
    assert_same(run(1)[-1], rows[-1])
    for other in (
        run(2)[1],
        masks.random_removal(weights, rows[0], 0.2, seed=1, round_index=2),
        masks.global_magnitude(weights, rows[0], 0.2),
    ):
        assert any((other[name] != rows[1][name]).any() for name in other)


def test_random_masks_take_every_layer_s_share():
    weights = {"a": np.zeros(40000), "b": np.full(10000, 9.0)}
    found = masks.random_removal(weights, masks.dense(weights), 0.5, seed=0, round_index=1)
    # Five standard deviations of a hypergeometric draw: sqrt(25000 * 0.8 * 0.2 / 2) is 45.
    assert abs(int(found["a"].sum()) - 20000) < 225
    assert masks.count(found) == 25000


@pytest.mark.parametrize("prune", [masks.global_magnitude, masks.layer_magnitude])
@pytest.mark.parametrize(("change", "message"), [
    (lambda w, m: m.pop("conv2"), "different layers: conv2"),
    (lambda w, m: m.update(conv1=m.pop("conv1")), "different layers: their order"),
    (lambda w, m: m.update(conv1=m["conv1"][..., :2]), "mask of conv1 is bool"),
    (lambda w, m: m.update(conv1=m["conv1"].astype(np.float32)), "mask of conv1 is float32"),
    (lambda w, m: w["conv3"].__setitem__((0, 0, 0, 0), np.nan), "conv3 holds weights that are not finite"),
    (lambda w, m: w["conv3"].__setitem__((0, 0, 0, 0), -np.inf), "conv3 holds weights that are not finite"),
])  # fmt: skip
def test_masks_that_do_not_fit_and_broken_weights_are_refused(prune, change, message):
    weights, old = drawn(), masks.dense(drawn())
    change(weights, old)
    with pytest.raises(ValueError, match=message):
        prune(weights, old, 0.2)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.2, 20, float("nan")])
def test_a_rate_outside_0_to_1_is_refused(rate):
    with pytest.raises(ValueError, match="not in"):
        masks.global_magnitude(drawn(), rate=rate)


def test_resnet18_s_eleven_million_weights_are_pruned_exactly():
    generator = np.random.default_rng(0)
    weights = {f"layer{i}": generator.standard_normal(1_100_000, np.float32) for i in range(10)}
    found = masks.global_magnitude(weights, rate=0.2)
    assert masks.count(found) == 8_800_000
    largest_gone = max(np.abs(weights[name][~mask]).max() for name, mask in found.items())
    assert largest_gone <= min(np.abs(weights[name][mask]).min() for name, mask in found.items())


@settings(max_examples=100, deadline=None, derandomize=True)
@given(network=networks(), rate=RATES, least=st.integers(0, 3))
def test_scope_erk_removes_as_many_ranked_in_each_layer(network, rate, least):
    weights, old = network
    scores = {name: np.abs(array) for name, array in weights.items()}
    found = masks.SCOPES["erk"](scores, old, rate, least)
    assert masks.count(found) == masks.count(masks.SCOPES["global"](scores, old, rate, least))
    expected = {}
    for name in weights:
        gone = int(old[name].sum() - found[name].sum())
        expected |= slowly({name: weights[name]}, {name: old[name]}, gone)
        assert found[name].sum() >= min(least, old[name].sum())
    assert_same(found, expected)


def test_scope_erk_keeps_numbers_in_proportion_to_the_sums_of_shapes():
    found = masks.SCOPES["erk"]({"wide": np.ones((3, 3, 10, 20)), "narrow": np.ones((4, 14))}, None, amount=1802)
    assert [int(mask.sum()) for mask in found.values()] == [36, 18] and masks.count(found) == 1856 - 1802
