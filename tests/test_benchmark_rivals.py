"""benchmarks/rivals.py: which rows of a report stand in results/rivals, and which of two stays."""

import importlib.util

import pandas
import pytest
from conftest import ROOT


@pytest.fixture
def rivals():
    spec = importlib.util.spec_from_file_location("benchmark_rivals", ROOT / "benchmarks" / "rivals.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rounds_of(run, control, densities, accuracies, epochs, criterion="magnitude", scope="global"):
    return [
        {"run": run, "seed": 0, "control": control, "criterion": criterion, "scope": scope, "round": index,
         "density": density, "epochs": epoch, "images": 500, "train_loss": 1.0, "test_accuracy": accuracy}
        for index, (density, accuracy, epoch) in enumerate(zip(densities, accuracies, epochs, strict=True))
    ]  # fmt: skip


def test_the_last_round_of_each_method_and_the_dense_network_once(rivals):
    rows = rounds_of("a", None, [1.0, 0.5, 0.25], [0.4, 0.45, 0.5], [100, 98, 98])
    rows += rounds_of("b", "one_shot", [1.0, 0.25], [0.39, 0.3], [100, 98])
    rows += rounds_of("c", "one_shot", [0.25], [0.35], [100], "random", "erk")
    rows += rounds_of("d", "rigl", [0.25], [0.36], [100]) + rounds_of("e", None, [1.0], [0.55], [394])
    measured = rivals.measured(pandas.DataFrame(rows)).set_index("method")
    assert measured["test_accuracy"].to_dict() == {
        "dense": 0.4, "search, magnitude": 0.5, "one_shot, magnitude": 0.3, "one_shot, random, erk": 0.35, "rigl": 0.36,
        "dense, 394 epochs": 0.55,
    }  # fmt: skip
    assert measured["steps_in_all"].to_dict() == {
        "dense": 5000, "search, magnitude": 14800, "one_shot, magnitude": 9900, "one_shot, random, erk": 5000,
        "rigl": 5000, "dense, 394 epochs": 19700,
    }  # fmt: skip


def test_a_row_that_is_there_stays(rivals):
    before = rivals.measured(pandas.DataFrame(rounds_of("a", "rigl", [0.2500001], [0.36], [100])))
    again = rivals.measured(pandas.DataFrame(rounds_of("b", "rigl", [0.25], [0.5], [100])))
    assert rivals.merged(before, again)["test_accuracy"].to_list() == [0.36]
