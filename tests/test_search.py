"""The cheaper search: rounds that only serve the next mask end early, and change nothing else."""

import os

import numpy as np
import pytest
import stops
from conftest import TWO_LAYERS

import tf_tickets as tt
from tf_tickets import errors, runs, storage
from tf_tickets.experiments import plan, plan_text
from tf_tickets.pruning.settling import Settling
from tf_tickets.report import pairing, tables
from tf_tickets.settings.config import Training
from tf_tickets.training import checkpoints, schedules

SEARCH = TWO_LAYERS | {"validation": None, "eval_every": None, "epochs": 8, "rounds": 4, "search_epochs": 3}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A run whose rounds 1 and 2 take three of eight epochs."""
    return tt.imp(tt.Config.from_values(**SEARCH, out=str(tmp_path_factory.mktemp("searched"))))


@pytest.mark.parametrize("values, message", [
    ({"search_epochs": 8}, "--search_epochs=8 must be below --epochs=8"),
    ({"rewind": "epoch:3"}, "--rewind=epoch:3 must lie before the last epoch of a short round"),
    ({"search_epochs": None, "full_rounds": "0"}, "--full_rounds=0 needs --search_epochs or --mask_distance"),
    ({"mask_patience": 2}, "--mask_patience=2 needs --mask_distance"),
    ({"full_rounds": "0,4"}, "4 is not a round of --rounds=4"),
    ({"full_rounds": "0,1"}, "leaves the last round short"),
    ({"choose": "2"}, "--choose=2 is not trained in full"),
    ({"validation": "0.2"}, "--choose=validation compares all rounds"),
    ({"mask_distance": 0.1, "control": "random"}, "--control=random removes weights that no training settles"),
    ({"accounting": "release", "eval_every": 1}, "--accounting=release trains every round in full"),
])  # fmt: skip
def test_settings_that_contradict_a_search_are_refused(values, message):
    with pytest.raises(errors.UsageError, match=message):
        tt.Config.from_values(**SEARCH | values)


@pytest.mark.parametrize("text", ["", "2,1", "0,last,last", "first", "1,1", "-1"])
def test_full_rounds_is_a_rising_list(text):
    with pytest.raises(errors.UsageError, match="--full_rounds"):
        tt.Config.from_values(**SEARCH, full_rounds=text)


def test_which_rounds_are_in_full():
    def in_full(**values):
        return sorted(tt.Config.from_values(**SEARCH | values).pruning.in_full)

    assert in_full() == [0, 3]
    assert in_full(full_rounds="1,last") == [1, 3]
    assert in_full(full_rounds="last") == [3]
    assert in_full(search_epochs=None) == [0, 1, 2, 3]
    assert in_full(search_epochs=None, mask_distance=0.1) == [0, 3]


def test_a_rewind_step_lies_within_the_short_rounds():
    config = tt.Config.from_values(**SEARCH | {"rewind": "step:13"})
    with pytest.raises(errors.UsageError, match="the last of the round's 12 steps"):
        plan.resolve(config)


@pytest.mark.parametrize("training, found", [
    (Training(epochs=200, schedule="cosine"), [0.1, 0.05, 0.0]),
    (Training(epochs=200, schedule="steps", milestones="100,160"), [0.1, 0.01, 0.001]),
    (Training(epochs=200, schedule="cosine", warmup=20), [0.1 / 5, 0.05868, 0.0]),
])  # fmt: skip
def test_a_shorter_schedule_falls_in_proportion(training, found):
    short = schedules.shortened(training, 50)
    assert short.epochs == 50
    # The full schedule at four times the epoch, but for the steps of warm-up.
    got = [schedules.learning_rate(short, epoch) for epoch in (0, 25, 49)]
    np.testing.assert_allclose(got, found, atol=2e-3)
    if not training.warmup:
        same = [schedules.learning_rate(training, 4 * epoch) for epoch in range(50)]
        assert [schedules.learning_rate(short, epoch) for epoch in range(50)] == same


def test_milestones_of_a_very_short_round_stay_after_the_first_epoch():
    training = Training(epochs=200, schedule="steps", milestones="10,150")
    assert schedules.shortened(training, 4).milestones == "1,3"


def test_the_plan_says_what_a_search_costs():
    resolved = plan.resolve(tt.Config.from_values(**SEARCH))
    assert [resolved.is_searched(index) for index in range(4)] == [False, True, True, False]
    # 70 images in batches of 20: four steps an epoch, rewound to the end of the first.
    assert [resolved.end_step(index) for index in range(4)] == [32, 12, 12, 32]
    assert resolved.steps_of(range(4)) == 32 + 8 + 8 + 28
    text = plan_text.text(resolved, "imp")
    assert "2 of 4 end after 3 epochs" in text
    assert f"{round(100 * 76 / (32 + 3 * 28))} % of those with every round in full" in text
    assert "at most" not in text
    settles = plan.resolve(tt.Config.from_values(**SEARCH, mask_distance=0.1))
    assert "at most 76 steps" in plan_text.text(settles, "imp")


def test_short_rounds_are_another_run_and_so_is_another_number_of_them():
    def name(**values):
        return runs.RunFolder(plan.resolve(tt.Config.from_values(**SEARCH | values)).folder().folder).name

    plain = {name(search_epochs=None), name(search_epochs=None, rounds=5)}
    assert len(plain) == 1  # without a search, more rounds continue the same run
    assert len(plain | {name(), name(rounds=5), name(search_epochs=4), name(full_rounds="last")}) == 5
    assert name() == name(full_rounds="0,last")


def test_short_rounds_end_early_and_full_ones_do_not(searched):
    folder = runs.RunFolder(searched.folder)
    summaries = folder.summaries()
    assert [row["epochs"] for row in summaries] == [8, 2, 2, 7]
    assert [row["searched"] for row in summaries] == [False, True, True, False]
    assert [row["test_accuracy"] is None for row in summaries] == [False, True, True, False]
    assert [row["weights_left"] for row in summaries] == list(plan.resolve(tt.Config.from_values(**SEARCH)).weights)
    rates = [float(row["learning_rate"]) for row in storage.read_csv(folder.round(1).epochs)]
    short = schedules.shortened(Training(epochs=8), 3)
    assert rates == [schedules.learning_rate(short, epoch) for epoch in (1, 2)]
    masks = [storage.read_arrays(folder.round(index).mask) for index in range(4)]
    for before, later in zip(masks, masks[1:]):
        assert all((later[name] <= before[name]).all() for name in before)


def test_a_full_round_of_a_search_is_that_of_a_full_run(searched, tmp_path):
    config = tt.Config.from_values(**SEARCH | {"search_epochs": None, "rounds": 2}, out=str(tmp_path))
    full, mine = (runs.RunFolder(run.folder) for run in (tt.imp(config), searched))
    digest = storage.file_digest
    assert digest(full.round(0).weights) == digest(mine.round(0).weights)
    assert digest(full.round(0).epochs) == digest(mine.round(0).epochs)
    assert digest(full.round(1).mask) == digest(mine.round(1).mask)
    assert digest(full.round(1).weights) != digest(mine.round(1).weights)


def test_tables_compare_full_rounds_only(searched, tmp_path):
    frame = tables.run_table(runs.RunFolder(searched.folder), searched.chosen)
    assert frame["difference_to_dense"].notna().tolist() == [True, False, False, True]
    assert "- 1" in tables.format_table(frame)
    assert "a shortened round" in tables.format_table(frame)
    rows, problems = tables.collect([searched.folder])
    assert not problems
    assert pairing.paired(rows)["round"].tolist() == [3]
    tables.write_rows(rows, str(tmp_path / "report.csv"))
    again = tables.read_rows(str(tmp_path / "report.csv"))
    assert again.equals(rows)


def test_rows_of_earlier_versions_are_rounds_in_full(searched, tmp_path):
    rows, _ = tables.collect([searched.folder])
    old = pairing.comparable(rows).drop(columns="searched")
    tables.write_table(old, str(tmp_path / "old.csv"))
    assert tables.read_rows(str(tmp_path / "old.csv"))["searched"].tolist() == [0, 0]


def test_train_trains_in_full(tmp_path):
    config = tt.Config.from_values(**SEARCH | {"search_epochs": 3, "mask_distance": 0.5}, out=str(tmp_path))
    folder = runs.RunFolder(tt.train(config).folder)
    assert folder.round(0).read_summary()["epochs"] == 8
    plain = config.replace(search_epochs=None, mask_distance=None)
    assert tt.train(plain).folder == folder.folder


def test_distance_counts_the_removed_weights_that_changed():
    def keeping(*kept):
        mask = np.zeros(11, bool)
        mask[list(kept)] = True
        return {"a": mask[:3], "b": mask[3:]}

    masks = [keeping(*range(7)), keeping(*range(7)), keeping(*range(5), 7, 8), keeping(*range(5), 7, 9)]
    left = iter(masks)
    settling = Settling(lambda: next(left), threshold=0.3, patience=2)
    distances = []
    for epoch in range(1, 5):
        settling.after_epoch(epoch, remaining=11)
        distances.append(settling.distance)
    # Eleven weights of which seven stay: two of the four that go are others, then one.
    assert distances == [None, 0.0, 0.5, 0.25]
    assert not settling.settled
    settling.after_epoch(4, remaining=11)  # the same epoch again asks for no mask
    assert settling.distance == 0.25


def test_settled_after_enough_quiet_epochs_also_across_a_checkpoint():
    masks = {"a": np.array([True, False, True, False])}
    settling = Settling(lambda: masks, threshold=0.0, patience=3)
    for epoch in range(1, 5):
        assert not settling.settled
        again = Settling(lambda: masks, threshold=0.0, patience=3)
        again.restore(settling.arrays())
        settling = again
        settling.after_epoch(epoch, remaining=4)
    assert settling.settled
    again.restore(settling.arrays())
    assert again.settled and again.distance == 0.0


SETTLES = {"search_epochs": None, "mask_distance": 0.9, "mask_patience": 2, "full_rounds": "last", "rounds": 3}


def test_a_settled_round_ends_and_resumes_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "_WRITING_SHARE", 1e9)  # a checkpoint after every block of steps
    config = tt.Config.from_values(**SEARCH | SETTLES, out=str(tmp_path / "whole"))
    stops.assert_stopping_changes_nothing(tt.imp, config, tmp_path / "parts", (0, 1, 2, 3, 1, 2, 60))
    folder = plan.resolve(config).folder()
    # Three epochs of a distance each, of which the first has none; the last round runs to its end.
    assert [row["epochs"] for row in folder.summaries()] == [3, 3, 7]
    distances = [row["mask_distance"] for row in storage.read_csv(folder.round(0).epochs)]
    assert distances[0] == "" and all(0.0 <= float(distance) <= 0.9 for distance in distances[1:])


def test_a_settled_round_killed_before_its_summary_trains_no_further(tmp_path):
    config = tt.Config.from_values(**SEARCH | SETTLES, out=str(tmp_path))
    folder = runs.RunFolder(tt.imp(config).folder)
    before = storage.read_csv(folder.round(2).epochs), storage.file_digest(folder.round(2).weights)
    for path in (folder.round(2).summary, folder.round(2).weights, folder.round(2).epochs):
        os.remove(path)
    tt.imp(config)
    assert (storage.read_csv(folder.round(2).epochs), storage.file_digest(folder.round(2).weights)) == before
