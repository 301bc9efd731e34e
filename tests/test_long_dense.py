"""--rival=long_dense: the dense network that a search is compared with, the verdict, and what is exported."""

import os
import pathlib
import shutil

import numpy as np
import pytest
import stops
import trees
from conftest import TWO_LAYERS

import tf_tickets as tt
from tf_tickets import runs, storage
from tf_tickets.errors import StateError, UsageError
from tf_tickets.evaluation import networks
from tf_tickets.experiments import plan as plans
from tf_tickets.experiments import plan_text, rival
from tf_tickets.report import command, rivals, tables
from tf_tickets.sweeps.grid import Point
from tf_tickets.sweeps.outcomes import Run

VALUES = TWO_LAYERS | {"tensorboard": False}

# Rounds of 5, 4 and 4 epochs of 3 steps.
EPOCHS = 13


def configured(out, **changes):
    return tt.Config.from_values(**VALUES | {"out": str(out)} | changes)


@pytest.fixture(scope="module")
def contested(tmp_path_factory):
    """(Config, Result, the search's files before) of a finished search that was asked for its rival later."""
    config = configured(tmp_path_factory.mktemp("runs"))
    before = trees.contents(tt.imp(config).folder)
    config = config.replace(rival="long_dense")
    return config, tt.imp(config), before


@pytest.fixture
def copy(contested, tmp_path):
    """(Config, runs.RunFolder) of a copy of it."""
    config, result, _ = contested
    shutil.copytree(config.run.out, tmp_path / "runs")
    folder = os.path.join(tmp_path / "runs", os.path.relpath(result.folder, config.run.out))
    return config.replace(out=str(tmp_path / "runs")), runs.RunFolder(folder)


def judged(config, folder, counts):
    """Writes the verdict of some counts on the last round in place of what was computed."""
    identity = rival._identity(plans.resolve(config), folder, 2)
    storage.write_json(folder.rival.verdict, storage.seal(identity | {"outcomes": counts}))


WORSE, BETTER, ALIKE = ([[2, first, second, 1]] * 10 for first, second in ((0, 7), (7, 0), (3, 3)))

# The dense network is right on one image more, which shows nothing.
BEHIND = [[2, 3, 4, 1]] + [[2, 3, 3, 1]] * 9


def test_a_finished_search_gets_its_rival_and_stays_as_it_was(contested):
    _, result, before = contested
    after = trees.contents(result.folder)
    assert {name for name in after if not name.startswith("rival/")} == set(before)
    kept = {
        name: value for name, value in before.items() if not name.startswith("ticket/") and name != "content_digest"
    }
    trees.assert_equal({name: after[name] for name in kept}, kept)
    assert result.verdict.epochs == EPOCHS and (result.verdict.part, result.verdict.difference.images) == (
        "validation", 10
    )  # fmt: skip


def test_it_is_bitwise_the_dense_network_that_train_makes(contested, tmp_path):
    alone = tt.train(configured(tmp_path, rounds=1, epochs=EPOCHS))
    folders = runs.RunFolder(contested[1].folder).rival, runs.RunFolder(alone.folder)
    for first, second in zip(*([each.rewind, each.round(0).weights, each.round(0).epochs] for each in folders)):
        assert storage.file_digest(first) == storage.file_digest(second)
    assert [len(storage.read_csv(each.round(0).epochs)) for each in folders] == [EPOCHS] * 2


def test_the_verdict_counts_what_the_evaluations_counted(contested):
    _, result, _ = contested
    folder, found = runs.RunFolder(result.folder), result.verdict.difference
    kept = [folder.round(result.chosen).read_summary(), folder.rival.round(0).read_summary()]
    assert [found.first, found.second] == [row["validation_accuracy"] for row in kept]


@pytest.mark.parametrize("asked", ["long_dense", "none"])
def test_asked_again_nothing_is_touched(copy, asked, idle):
    config, folder = copy
    before = trees.tree(pathlib.Path(folder.folder))
    idle()
    again = tt.imp(config.replace(rival=asked))
    assert again.verdict is not None and again.verdict.epochs == EPOCHS
    after = trees.tree(pathlib.Path(folder.folder))
    assert {name for name in before if before[name] != after.get(name)} <= {"lock"} and set(after) == set(before)


def test_stopped_anywhere_it_ends_in_the_same_bits(contested, tmp_path):
    # Twice in the rounds, in the rival, and before both are compared.
    config = contested[0].replace(out=str(tmp_path / "whole"))
    assert stops.assert_stopping_changes_nothing(tt.imp, config, tmp_path, (3, 12, 9, 8, 2, 1000)) == 5
    assert os.path.exists(runs.RunFolder(trees.only_run(tmp_path)).rival.verdict)


def test_on_held_out_images_the_better_one_becomes_the_ticket(copy, tmp_path):
    config, folder = copy
    judged(config, folder, WORSE)
    result = tt.imp(config)
    ticket = tt.Ticket.load(folder.ticket)
    assert result.exports_rival and result.best.folder == folder.rival.round(0).folder
    assert (ticket.density, ticket.round, ticket.settings["epochs"]) == (1.0, 0, EPOCHS)
    assert ticket.settings["rival"] == "long_dense"
    for name, array in storage.read_arrays(result.best.weights).items():
        np.testing.assert_array_equal(ticket.trained[name], array)
    assert result.verdict.sentence().startswith("Use the dense network: the ticket of round 2 ")
    frame, problems = tables.collect([folder.folder])
    assert not problems and frame["exported"].tolist() == [0, 0, 0, 1]
    names = [subject.name for subject in networks.subjects(folder.folder, "dense_and_ticket")]
    assert names == [folder.name, folder.rival.name] and folder.rival.name.endswith("/seed_0/rival")
    assert [subject.folder for subject in networks.subjects(folder.folder, "ticket")] == [result.best.folder]
    # --choose decides as ever; without it the verdict that is there does, asked for or not.
    assert not tt.imp(config.replace(choose="2")).exports_rival and tt.Ticket.load(folder.ticket).density < 1
    assert tt.imp(config.replace(rival="none")).exports_rival and tt.Ticket.load(folder.ticket).density == 1


def test_where_nothing_is_shown_the_one_ahead_becomes_the_ticket(copy):
    config, folder = copy
    judged(config, folder, BEHIND)
    result = tt.imp(config)
    assert result.exports_rival and tt.Ticket.load(folder.ticket).density == 1
    sentence = result.verdict.sentence()
    assert sentence.startswith("One run shows nothing between the ticket of round 2") and "-1.0 points" in sentence
    assert sentence.endswith("use the dense network, which is ahead.")


@pytest.mark.parametrize("refit", [False, True])
@pytest.mark.parametrize("method", ["validation", "folds:2"])
def test_a_rival_that_is_exported_is_calibrated(copy, method, refit):
    config, folder = copy
    judged(config, folder, WORSE)
    result = tt.imp(config.replace(calibration=method, refit=refit))
    assert result.exports_rival and result.refits == refit
    fitted = storage.read_sealed(result.best.calibration)
    ticket = tt.Ticket.load(folder.ticket)
    assert ticket.density == 1 and ticket.calibration["temperature"] == fitted["temperature"]
    assert (fitted["method"], fitted["images"]) == (method, 10 if method == "validation" else 70 if refit else 60)
    before = storage.file_digest(folder.ticket + "/ticket.json")
    tt.imp(config.replace(calibration=method, refit=refit))
    assert storage.file_digest(folder.ticket + "/ticket.json") == before


@pytest.mark.parametrize(("counts", "words"), [
    (BETTER, "Use the ticket of round 2 (63.97 % of the weights): it is ahead of the dense network trained as long "
             "(13 epochs): accuracy 90.00 % against 20.00 %, +70.0 points, 100 validation images, 95 % interval [+"),
    (ALIKE, "One run shows nothing between the ticket of round 2 (63.97 % of the weights) and the dense network"),
])  # fmt: skip
def test_else_the_ticket_stays(copy, counts, words, capsys):
    config, folder = copy
    judged(config, folder, counts)
    result = tt.imp(config)
    assert not result.exports_rival and tt.Ticket.load(folder.ticket).round == 2
    assert result.verdict.sentence().startswith(words)
    command.print_run(result)
    printed = capsys.readouterr().out
    assert (
        f"{result.verdict.sentence()}\nticket: {folder.ticket}, round 2\nnext: python -m tf_tickets.main predict"
        in printed
    )
    (row,) = [line for line in printed.splitlines() if line.strip().startswith("dense, trained as long")]
    assert "100.00 %" in row and os.path.exists(folder.rival.table)


def test_test_images_choose_nothing(tmp_path, capsys):
    config = configured(tmp_path, validation=None, rounds=2, rival="long_dense")
    folder = runs.RunFolder(tt.imp(config).folder)
    identity = rival._identity(plans.resolve(config), folder, 1)
    assert identity["part"] == "test"
    storage.write_json(folder.rival.verdict, storage.seal(identity | {"outcomes": WORSE}))
    result = tt.imp(config)
    assert result.verdict.dense_is_ahead and not result.exports_rival and tt.Ticket.load(folder.ticket).round == 1
    command.print_run(result)
    assert "Test images cannot choose a network and judge it too" in capsys.readouterr().out


def test_more_rounds_want_a_longer_rival(copy, capfd):
    config, folder = copy
    judged(config, folder, WORSE)
    assert tt.imp(config).exports_rival
    kept = tt.imp(config.replace(rounds=4, rival="none"))  # what is there is of three rounds, and judges no fourth
    assert kept.verdict is None and tt.Ticket.load(folder.ticket).density < 1
    assert folder.rival.round(0).read_summary()["epochs"] == EPOCHS
    result = tt.imp(config.replace(rounds=4))
    assert result.verdict.epochs == EPOCHS + 4 and folder.rival.round(0).read_summary()["epochs"] == EPOCHS + 4
    assert f"has {EPOCHS} epochs, as the rounds had, which now have {EPOCHS + 4}" in capfd.readouterr().err
    assert os.path.exists(folder.rival.table) is False  # of the rival before


@pytest.mark.parametrize("name", ["verdict.json", "round_00/weights.npz", "config.cfg", "subset.csv"])
def test_what_was_changed_is_named(copy, name):
    config, folder = copy
    with open(folder.rival.path(name), "ab") as file:
        file.write(b"{")
    with pytest.raises(StateError, match=f"rival/{name} (was changed|does not|cannot be read)"):
        tt.imp(config)


def test_another_ticket_s_verdict_is_no_verdict(copy):
    config, folder = copy
    judged(config, folder, WORSE)
    result = tt.imp(config.replace(choose="1"))
    assert result.verdict.round == 1 and storage.read_sealed(folder.rival.verdict)["round"] == 1


def test_a_report_has_it_as_a_rival_of_its_own_name(copy, tmp_path):
    config, folder = copy
    text, problems = command.report([config.run.out], str(tmp_path / "report"))
    assert not problems
    frame, _ = tables.collect([config.run.out])
    assert list(rivals.compared(frame)["name"]) == ["dense, trained as long"]
    assert "dense, trained as long" in text
    again, _ = tables.collect([str(tmp_path / "report" / "report.csv")])
    assert again.equals(frame) and folder.rival.name in set(frame["run"])
    assert (tmp_path / "report" / "report.html").read_text().count("dense, trained as long") >= 1


def test_with_refit_the_better_one_is_trained_again_on_all_images(copy):
    config, folder = copy
    judged(config, folder, WORSE)
    result = tt.imp(config.replace(refit=True))
    assert (result.refits, result.exports_rival) == (True, True)
    assert result.best.folder == folder.refit.rival.round(0).folder and not os.path.exists(folder.refit.config)
    ticket = tt.Ticket.load(folder.ticket)
    assert (ticket.density, len(ticket.ids), ticket.settings["refit"]) == (1.0, 70, True)
    assert folder.exported() == (0, "refit/rival") and folder.refit.rival.exported() == (0, "refit/rival")
    again = tt.imp(config)
    assert (again.refits, again.exports_rival, again.best.folder) == (True, True, result.best.folder)
    judged(config, folder, BETTER)
    result = tt.imp(config.replace(refit=True))
    assert (result.refits, result.exports_rival, result.best.folder) == (True, False, folder.refit.round(2).folder)


def test_where_rounds_are_shortened_it_meets_the_last_one(tmp_path):
    short = {"epochs": 8, "search_epochs": 3, "rounds": 3}
    with pytest.raises(UsageError, match="--choose=validation compares all rounds"):
        configured(tmp_path, **short)
    config = configured(tmp_path, **short, rival="long_dense")
    assert config.choose == "last" and config.digest() == configured(tmp_path, **short, choose="last").digest()
    result = tt.imp(config)
    assert (result.chosen, result.verdict.round, result.verdict.epochs) == (2, 2, 8 + 2 + 7)
    assert rival.planned_epochs(plans.resolve(config)) == 17


def test_a_settled_round_shortens_it(tmp_path):
    config = configured(tmp_path, mask_distance=1.0, mask_patience=1, choose="last", rival="long_dense")
    result = tt.imp(config)
    epochs = sum(row["epochs"] for row in runs.RunFolder(result.folder).summaries())
    assert result.verdict.epochs == epochs < rival.planned_epochs(plans.resolve(config)) == EPOCHS


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(UsageError, match="--rival=long_dense trains as long as all rounds, which --milestones"):
        configured(tmp_path, schedule="steps", milestones="2,3", rival="long_dense")
    with pytest.raises(UsageError, match="--rival=dense is not one of none, long_dense"):
        configured(tmp_path, rival="dense")
    assert configured(tmp_path).digest() == configured(tmp_path, rival="long_dense").digest()


def test_the_plan_says_what_it_adds(tmp_path):
    text = plan_text.text(plans.resolve(configured(tmp_path, rival="long_dense")), "imp")
    added = "13 epochs of the same 60 images: 39 steps more, 50 % of the rounds and it together"
    assert f"rival       a dense network, {added}" in text
    both = plan_text.text(plans.resolve(configured(tmp_path, rival="long_dense", refit=True)), "imp")
    assert "rounds 0 to the chosen one, or the dense network, again on all 70 images: at most 52 steps more" in both
    assert "rival " not in plan_text.text(plans.resolve(configured(tmp_path)), "imp")


def test_a_sweep_does_not_call_the_search_alone_finished(copy):
    config, folder = copy

    def point(**changes):
        changed = config.replace(**changes)
        return Run(Point("imp", {}, {}), changed, plans.resolve(changed), folder, 3, ())

    judged(config, folder, BETTER)
    tt.imp(config)
    command.finish_run(folder, 2)
    assert point().finished and point().steps_left == 0
    shutil.rmtree(folder.rival.folder)
    assert not point().finished and point().steps_left == 39 and point(rival="none").finished


def test_a_finished_run_that_cannot_be_written_is_shown(copy, monkeypatch):
    config, folder = copy
    judged(config, folder, BETTER)
    tt.imp(config)
    monkeypatch.setattr("tf_tickets.experiments.imp.unwritable", lambda *arguments: StateError("cannot be written"))
    assert tt.imp(config).verdict is not None
    shutil.rmtree(folder.rival.folder)
    with pytest.raises(StateError, match="cannot be written"):
        tt.imp(config)
    assert tt.imp(config.replace(rival="none")).verdict is None
