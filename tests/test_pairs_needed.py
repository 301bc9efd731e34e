"""How many pairs a claim takes, and what `sweep --dry_run` says of a grid that has fewer."""

import os

import numpy as np
import pytest
from sweeps import resolve

from tf_tickets.report import sentences, statistics, sweeps


def test_so_many_pairs_can_show_a_difference_and_one_fewer_cannot():
    for confidence in (0.9, 0.95, 0.99):
        needed = statistics.pairs_needed(confidence)
        for pairs in (needed - 1, needed):
            dense = np.linspace(0.5, 0.6, pairs)
            found = statistics.paired_difference(dense, dense + 0.1 + 0.001 * dense, confidence)
            assert found.p_value == statistics.smallest_p_value(pairs)
            assert found.shown == (pairs == needed)
    assert statistics.pairs_needed() == sentences.ENOUGH == 6


def said(text, out, *words):
    found = resolve(text, f"--out={out}", *words)
    entries = [
        {"run": run.name, "recipe": run.recipe, "folder": run.folder, "swept": run.point.texts, "rounds": run.rounds,
         "finished": False, "complete": 0, "steps": 1}
        for run in found
    ]  # fmt: skip
    last = sweeps.listing(entries).splitlines()[-1]
    return last.partition("claim, this grid has ")[2] if "are needed for a claim" in last else ""


@pytest.mark.parametrize(("grid", "expected"), [
    ("seed+subset_seed=0..1", "two"),
    ("seed=0", "one"),
    ("seed=0..5", ""),
    ("subset_seed=0..5", ""),
    ("seed=0..2;subset_seed=0..1", ""),
    ("seed=0..2;order_seed=7,8", "three"),  # an order of its own is no pair of its own
    ("images=60,80;seed=0..4", "five for each of two recipes"),
    ("epochs=2,3;command=imp,train;seed=0..1", "two for each of four recipes"),
    ("images=60,80;seed=0..5", ""),
])  # fmt: skip
def test_a_grid_with_too_few_pairs_is_told(grid, expected, tmp_path):
    assert said(grid, tmp_path) == expected


def test_pairs_that_are_there_already_count(tmp_path):
    run = resolve("seed=0", f"--out={tmp_path}")[0]
    for seed in range(6, 10):
        os.makedirs(os.path.join(os.path.dirname(run.folder.folder), f"seed_{seed}-order_3"))
    assert said("seed=0", tmp_path) == "one"
    assert said("seed=0..1", tmp_path) == ""
    assert said("augment=base,none;seed=0..1", tmp_path) == "two for one of two recipes"
