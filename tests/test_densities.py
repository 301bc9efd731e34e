"""Erdos-Renyi-kernel densities by layer: against the published rule in floating point, and what numbers have to be."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_tickets.pruning.densities import erdos_renyi_kernel

SHAPES = {"conv1": (3, 3, 3, 16), "conv2": (3, 3, 16, 64), "depthwise": (3, 3, 64, 1), "head": (64, 10)}


def by_the_paper(shapes, density):
    """Densities as the paper has them: layers above 1 become dense one round after the other, then the rest."""
    dense = set()
    while True:
        wanted = density * sum(map(math.prod, shapes.values())) - sum(math.prod(shapes[name]) for name in dense)
        scale = wanted / sum(sum(shape) for name, shape in shapes.items() if name not in dense)
        raw = {name: sum(shape) / math.prod(shape) for name, shape in shapes.items()}
        over = {name for name in shapes if name not in dense and scale * raw[name] > 1}
        if not over:
            return {name: 1.0 if name in dense else scale * raw[name] for name in shapes}
        dense |= over


@pytest.mark.parametrize("density", [0.5, 0.2, 0.05, 0.01])
def test_the_numbers_are_the_paper_s_within_one(density):
    total = round(density * sum(map(math.prod, SHAPES.values())))
    left = erdos_renyi_kernel(SHAPES, total)
    assert sum(left.values()) == total and list(left) == list(SHAPES)
    expected = by_the_paper(SHAPES, total / sum(map(math.prod, SHAPES.values())))
    for name, shape in SHAPES.items():
        assert abs(left[name] - expected[name] * math.prod(shape)) < 1 + 1e-6


def test_a_layer_that_would_exceed_1_is_dense_by_hand():
    # Sums 2 and 22: 24 weights would give the first 24 x 2/24 = 2, which has one.
    assert erdos_renyi_kernel({"small": (1, 1), "large": (2, 20)}, 24) == {"small": 1, "large": 23}
    # Of one sum, 3 each, what is left over goes to the earlier layer.
    assert erdos_renyi_kernel({"a": (1, 2), "b": (1, 2)}, 3) == {"a": 2, "b": 1}
    assert erdos_renyi_kernel({"a": (4, 4), "b": (4, 4)}, 0) == {"a": 0, "b": 0}


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    shapes=st.lists(st.lists(st.integers(1, 6), min_size=2, max_size=4), min_size=1, max_size=6),
    share=st.floats(0, 1), further=st.floats(0, 1), least=st.integers(0, 9),
)  # fmt: skip
def test_sums_are_exact_and_limits_hold_also_of_what_a_mask_has_left(shapes, share, further, least):
    shapes = {f"layer{i}": tuple(shape) for i, shape in enumerate(shapes)}
    at_most = {name: math.prod(shape) for name, shape in shapes.items()}
    for part in (share, further):
        total = math.floor(part * sum(at_most.values()))
        floors = {name: min(least, number) for name, number in at_most.items()}
        left = erdos_renyi_kernel(shapes, total, least, at_most=at_most)
        assert sum(left.values()) == max(total, sum(floors.values()))
        assert all(floors[name] <= left[name] <= at_most[name] for name in shapes)
        at_most = left


@pytest.mark.parametrize("total", [-1, 100_000])
def test_a_total_that_the_layers_cannot_have_is_refused(total):
    with pytest.raises(ValueError, match=f"total={total} is not between 0 and"):
        erdos_renyi_kernel(SHAPES, total)
