"""The command that a report of too few pairs gives."""

import types

import pandas
import pytest

from tf_tickets.report import more_pairs, statistics, tables


def command(seeds, subsets):
    rows = pandas.DataFrame({
        "run": [f"r/seed_{seed}" for seed in seeds], "seed": seeds, "subset_seed": subsets, "digest": "0123",
    })  # fmt: skip
    folders = {run: types.SimpleNamespace(folder=f"/out/{run}", config=f"/out/{run}/config.cfg") for run in rows["run"]}
    difference = statistics.paired_difference([0.5] * len(seeds), [0.6] * len(seeds))
    return more_pairs.command(rows, folders, difference)


@pytest.mark.parametrize(("seeds", "subsets", "sweep"), [
    ([0], ["0"], "--sweep=seed+subset_seed=0..5"),
    ([3, 4], ["3", "4"], "--sweep=seed+subset_seed=3..8"),
    ([3], ["0"], "--sweep=seed=3..8"),
])  # fmt: skip
def test_the_command_keeps_the_runs(seeds, subsets, sweep):
    line = command(seeds, subsets)
    assert line == (f"python -m tf_tickets.main sweep --flagfile=/out/r/seed_{seeds[0]}/config.cfg {sweep} --out=/out")


def test_enough_pairs_need_none():
    assert command(range(5), map(str, range(5))) != "" and command(range(6), map(str, range(6))) == ""


def test_a_column_without_cells_is_not_printed():
    assert tables.align({"a": ["1"], "best epoch": iter([""]), "b": iter(["2"])}).split() == ["a", "b", "1", "2"]
