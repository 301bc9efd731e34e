"""Asked again in other words: a run continues, nothing is taken back, a ticket is retrained as it was trained."""

import os
import shutil

import numpy as np
import pytest
from conftest import TWO_LAYERS

import tf_tickets as tt
from tf_tickets import main, runs, storage
from tf_tickets.errors import UsageError
from tf_tickets.evaluation import networks
from tf_tickets.runs import EVALUATION_COLUMNS

TINY = TWO_LAYERS | {"tensorboard": False, "rounds": 3}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(Config, runs.RunFolder) of three rounds."""
    config = tt.Config.from_values(**TINY, out=str(tmp_path_factory.mktemp("runs")))
    return config, runs.RunFolder(tt.imp(config).folder)


def copied(finished, tmp_path):
    config, folder = finished
    out = str(tmp_path / "runs")
    shutil.copytree(config.run.out, out)
    return config.replace(out=out), runs.RunFolder(os.path.join(out, os.path.relpath(folder.folder, config.run.out)))


def test_fewer_rounds_take_nothing_back(finished):
    config, folder = finished
    again = tt.imp(config.replace(rounds=2))
    assert (again.rounds, again.chosen, len(again.table)) == (3, 2, 3)
    assert tt.Ticket.load(folder.ticket).round == 2


@pytest.mark.parametrize(
    ("rounds", "said"),
    [(3, "3 of 3 rounds of {} are there\n"), (5, "3 of 5 rounds of {} are there; it goes on with round 3\n")],
)
def test_a_dry_run_says_what_is_there(finished, rounds, said):
    config, folder = finished
    assert f"begun       {said.format(folder.folder)}" in main.plan_text("imp", config.replace(rounds=rounds))
    assert "begun" not in main.plan_text("imp", config.replace(seed=5))


def test_a_default_written_out_continues_the_same_run(finished, tmp_path):
    config, folder = copied(finished, tmp_path)
    more = tt.imp(config.replace(rounds=4, augment="base"))
    assert more.folder == folder.folder and more.rounds == 4


def test_another_setting_in_the_run_s_own_file_is_found(finished, tmp_path):
    config, folder = copied(finished, tmp_path)
    with open(folder.config) as file:
        text = file.read()
    with open(folder.config, "w") as file:
        file.write(f"{text}--augment=none\n")
    for index in range(3):  # a complete round has the file's hash
        shutil.rmtree(folder.round(index).folder)
    with pytest.raises(tt.errors.StateError, match="has --augment=none, the run --augment=base"):
        tt.imp(config.replace(rounds=4))


def test_other_images_in_the_same_subset_file_are_another_run(finished, tmp_path):
    ids = [row["id"] for row in storage.read_csv(finished[1].subset)]
    path, found = tmp_path / "ids.txt", set()
    for chosen in (ids[:30], ids[30:60], ids[:30]):
        path.write_text("\n".join(chosen))
        config = tt.Config.from_values(dataset="digits", subset_file=str(path), out=str(tmp_path))
        found.add(runs.RunFolder.of(config).folder)
    assert len(found) == 2


@pytest.mark.parametrize("rewind", ["trained", "learning_rate:1", "finetune:1"])
def test_a_ticket_is_retrained_like_its_round_however_it_was_rewound(rewind, tmp_path):
    config = tt.Config.from_values(**TINY | {"rewind": rewind}, out=str(tmp_path))
    folder = runs.RunFolder(tt.imp(config).folder)
    again = runs.RunFolder(tt.train(config.replace(ticket=folder.round(2).folder)).folder)
    found, original = (storage.read_arrays(one.weights) for one in (again.round(0), folder.round(2)))
    np.testing.assert_equal(found, original)
    rows = [storage.read_csv(one.epochs) for one in (again.round(0), folder.round(2))]
    assert [row["learning_rate"] for row in rows[0]] == [row["learning_rate"] for row in rows[1]]


def test_another_head_is_another_network(finished, tmp_path):
    config, folder = finished
    retrained = tt.train(config.replace(ticket=folder.round(2).folder, head="cosine", out=str(tmp_path)))
    rows = storage.read_csv(runs.RunFolder(retrained.folder).round(0).epochs)
    assert len(rows) == config.training.epochs


def test_positions_are_not_shuffled_onto_weights_that_are_gone(finished, tmp_path):
    config, folder = finished
    retrained = tt.train(config.replace(ticket=folder.round(2).folder, out=str(tmp_path)))
    masked = os.path.join(retrained.folder, "ticket")
    with pytest.raises(UsageError, match=r"rewind.npz has them at zero"):
        tt.train(config.replace(ticket=masked, control="random_layerwise", out=str(tmp_path)))


@pytest.mark.parametrize("run, control", [
    (tt.imp, "gradual"), (tt.imp, "one_shot"), (tt.imp, "reinitialize"), (tt.train, "random"),
    (tt.train, "random_layerwise"),
])  # fmt: skip
def test_a_control_runs_where_it_belongs(run, control, tmp_path):
    with pytest.raises(UsageError, match=f"--control={control} belongs to"):
        run(tt.Config.from_values(**TINY, control=control, out=str(tmp_path / "none")))
    assert not (tmp_path / "none").exists()


def test_rows_of_a_ticket_that_was_replaced_are_not_the_new_one_s(finished, tmp_path):
    _, folder = copied(finished, tmp_path)
    (one,) = networks.subjects(folder.ticket, "ticket")
    row = dict.fromkeys(EVALUATION_COLUMNS, "1")
    storage.write_csv(one.file, [row | {"round": "1"}, row | {"round": "2", "value": "7"}], EVALUATION_COLUMNS)
    assert [found["value"] for found in one.rows()] == ["7"]


def test_a_fixed_round_does_not_hinder_a_retraining(finished, tmp_path):
    config, folder = finished
    assert tt.train(config.replace(choose="2", ticket=folder.round(1).folder, out=str(tmp_path))).chosen == 0
