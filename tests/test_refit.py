"""The chosen rounds again on all images of the subset: what a run without a held-out part would have been."""

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
from tf_tickets.analysis.analyze import analyze
from tf_tickets.errors import StateError, UsageError
from tf_tickets.evaluation import networks
from tf_tickets.experiments import plan as plans
from tf_tickets.experiments import plan_text
from tf_tickets.export import formats
from tf_tickets.report import command, naming, tables
from tf_tickets.sweeps.grid import Point
from tf_tickets.sweeps.outcomes import Run

VALUES = TWO_LAYERS | {"tensorboard": False, "choose": "1"}


def configured(out, **changes):
    return tt.Config.from_values(**VALUES | {"out": str(out)} | changes)


@pytest.fixture(scope="module")
def refitted(tmp_path_factory):
    """(Config, Result) of a search of three rounds whose second was chosen and run again on all images."""
    config = configured(tmp_path_factory.mktemp("runs"), refit=True)
    return config, tt.imp(config)


@pytest.fixture
def copy(refitted, tmp_path):
    """(Config, runs.RunFolder) of a copy of it."""
    config, result = refitted
    shutil.copytree(config.run.out, tmp_path / "runs")
    folder = os.path.join(tmp_path / "runs", os.path.relpath(result.folder, config.run.out))
    return config.replace(out=str(tmp_path / "runs")), runs.RunFolder(folder)


def states(folder):
    """Every array of rewind point, masks and weights of two rounds."""
    paths = [folder.rewind, *(getattr(folder.round(index), kind) for index in (0, 1) for kind in ("mask", "weights"))]
    return [storage.read_arrays(path) for path in paths]


def test_it_is_bitwise_the_run_that_holds_nothing_out(refitted, tmp_path):
    refit = runs.RunFolder(refitted[1].folder).refit
    whole = tt.imp(configured(tmp_path, validation=None, rounds=2))
    for mine, other in zip(states(refit), states(runs.RunFolder(whole.folder))):
        assert list(mine) == list(other)
        for name in mine:
            np.testing.assert_array_equal(mine[name], other[name])


def test_its_round_becomes_the_ticket(refitted):
    _, result = refitted
    folder = runs.RunFolder(result.folder)
    assert (result.rounds, result.chosen, result.refits) == (3, 1, True)
    assert result.best.folder == os.path.join(result.folder, "refit", "round_01")
    ticket, rows = tt.Ticket.load(folder.ticket), storage.read_csv(folder.subset)
    assert ticket.round == 1 and ticket.settings["refit"] is True
    assert sorted(ticket.ids) == sorted(row["id"] for row in rows) and len(ticket.ids) == 70
    assert {row["part"] for row in rows} == {"train", "validation"}
    for name, array in storage.read_arrays(result.best.weights).items():
        np.testing.assert_array_equal(ticket.trained[name], array)
    assert not folder.refit.round(2).complete
    assert folder.refit.round(1).read_summary()["validation_accuracy"] is None
    assert "ticket" not in os.listdir(folder.refit.folder)


@pytest.mark.parametrize("refit", [True, False])
def test_asked_again_nothing_is_touched(copy, refit):
    config, folder = copy
    before = trees.tree(pathlib.Path(folder.folder))
    again = tt.imp(config.replace(refit=refit))
    assert (again.chosen, again.refits) == (1, True)
    after = trees.tree(pathlib.Path(folder.folder))
    assert {name for name in before if before[name] != after.get(name)} <= {"lock"} and set(after) == set(before)


def test_stopped_anywhere_it_ends_in_the_same_bits(refitted, tmp_path):
    config = refitted[0].replace(rounds=2, out=str(tmp_path / "whole"))
    # Twice in the search, twice in the refit.
    assert stops.assert_stopping_changes_nothing(tt.imp, config, tmp_path, (3, 9, 9, 9, 1000)) == 4


def test_a_finished_search_gets_its_refit_alone(refitted, tmp_path):
    config = configured(tmp_path)
    first = tt.imp(config)
    folder = runs.RunFolder(first.folder)
    assert not first.refits and tt.Ticket.load(folder.ticket).ids != tt.Ticket.load(folder.refit.ticket)
    before = os.stat(folder.round(2).summary).st_mtime_ns
    second = tt.imp(config.replace(refit=True))
    assert second.refits and second.folder == first.folder and os.stat(folder.round(2).summary).st_mtime_ns == before
    assert tt.Ticket.load(folder.ticket).content_digest == tt.Ticket.load(
        runs.RunFolder(refitted[1].folder).ticket
    ).content_digest  # fmt: skip


def test_another_choice_continues_it_and_replaces_the_ticket(copy):
    config, folder = copy
    before = os.stat(folder.refit.round(1).summary).st_mtime_ns
    later = tt.imp(config.replace(choose="2"))
    assert (later.chosen, later.refits, tt.Ticket.load(folder.ticket).round) == (2, True, 2)
    assert os.stat(folder.refit.round(1).summary).st_mtime_ns == before
    unlike = tt.imp(config.replace(choose="0", refit=False))
    assert (unlike.chosen, unlike.refits) == (0, False) and "refit" not in tt.Ticket.load(folder.ticket).settings


def test_the_ticket_retrained_on_the_same_images_is_its_round(refitted, tmp_path):
    ticket = runs.RunFolder(refitted[1].folder).ticket
    found = tt.train(configured(tmp_path, validation=None, ticket=ticket, rounds=1, choose=None))
    mine, other = (storage.read_arrays(result.best.weights) for result in (found, refitted[1]))
    for name in other:
        np.testing.assert_array_equal(mine[name], other[name])


def test_positions_are_shuffled_from_its_own_rewind_point(refitted, tmp_path):
    ticket = runs.RunFolder(refitted[1].folder).ticket
    config = configured(tmp_path, validation=None, ticket=ticket, rounds=1, choose=None, epochs=3)
    found = tt.train(config.replace(control="random_layerwise"))
    assert tt.Ticket.load(found.best.folder).density == tt.Ticket.load(ticket).density


def test_evaluation_and_report_know_both(copy, tmp_path):
    _, folder = copy
    ours = networks.subjects(folder.folder, "dense_and_ticket")
    assert [one.name for one in ours] == [folder.refit.name] * 2 and folder.refit.name.endswith("/seed_0/refit")
    assert [os.path.relpath(one.folder, folder.folder) for one in ours] == ["refit/round_00", "refit/round_01"]
    frame, problems = tables.collect([folder.folder])
    assert not problems and list(frame["run"].unique()) == [folder.name, folder.refit.name]
    assert list(frame["data"].unique()) == ["70 images, 20 % held out", "70 images"]
    text, problems = command.report([folder.folder], str(tmp_path / "report"))
    assert not problems and text.count("Last round") == 2


def test_a_sweep_does_not_call_the_search_alone_finished(copy):
    config, folder = copy
    command.finish_run(folder, 1)
    run = Run(Point("imp", {}, {}), config, plans.resolve(config), folder, 3, ())
    assert run.finished
    shutil.rmtree(folder.ticket)
    tt.imp(config.replace(choose="2", refit=False))
    again = Run(Point("imp", {}, {}), config.replace(choose="2"), plans.resolve(config), folder, 3, ())
    assert not again.finished


def test_the_plan_says_what_it_costs(refitted, tmp_path):
    text = plan_text.text(plans.resolve(refitted[0].replace(out=str(tmp_path))), "imp")
    assert "refit       rounds 0 to 1 again on all 70 images: 36 steps more" in text
    config = configured(tmp_path, refit=True, choose=None)
    assert "rounds 0 to the chosen one again on all 70 images: at most 52 steps more" in plan_text.text(
        plans.resolve(config), "imp"
    )


def test_asked_for_fewer_rounds_than_there_are_the_later_ones_are_trained_in_full(copy, monkeypatch):
    config, folder = copy
    monkeypatch.setattr("tf_tickets.experiments.imp.choose_round", lambda config, summaries: len(summaries) - 1)
    result = tt.imp(config.replace(rounds=2))
    assert (result.chosen, result.refits) == (2, True)
    summary = folder.refit.round(2).read_summary()
    assert summary["test_accuracy"] is not None and not summary["searched"]


def test_a_round_of_the_search_is_analysed_as_such(copy):
    config, folder = copy
    found = analyze([folder.round(2).folder], config.replace(what="density"))
    assert [one.name for one in found] == [folder.name]
    assert {row["round"] for row in found[0].rows} == {"0", "1", "2"} and {row["run"] for row in found[0].rows} == {
        folder.name
    }


def test_where_its_rounds_were_removed_the_search_is_shown(copy):
    config, folder = copy
    shutil.rmtree(folder.refit.round(1).folder)
    shown = tt.imp(config.replace(refit=False))
    assert (shown.chosen, shown.refits) == (1, False) and tt.Ticket.load(folder.ticket).settings["refit"] is True
    again = tt.imp(config)
    assert again.refits and folder.refit.round(1).complete


def test_while_the_ticket_is_the_search_s_its_folder_has_none(copy):
    config, folder = copy
    tt.imp(config.replace(choose="0", refit=False))
    assert folder.exported() == (0, "") and folder.refit.exported() is None
    with pytest.raises(UsageError, match="has no ticket: run its command again"):
        formats.export(folder.refit.folder, ["ticket"], config)


@pytest.mark.parametrize("round_", [[1], "1", None])
def test_a_document_without_a_round_is_damaged(copy, round_):
    _, folder = copy
    storage.write_json(os.path.join(folder.ticket, "ticket.json"), {"round": round_, "settings": {}})
    with pytest.raises(StateError, match="is no ticket's document"):
        networks.subjects(folder.folder, "all")


def test_the_run_s_own_settings_retrain_its_ticket_on_the_same_images(refitted, tmp_path):
    config, result = refitted
    ticket = runs.RunFolder(result.folder).ticket
    found = tt.train(config.replace(ticket=ticket, out=str(tmp_path)))
    mine, other = (storage.read_arrays(one.best.weights) for one in (found, result))
    for name in other:
        np.testing.assert_array_equal(mine[name], other[name])
    apart = tt.train(config.replace(ticket=ticket, out=str(tmp_path), refit=False, epochs=2))
    assert os.path.dirname(apart.folder) != os.path.dirname(found.folder)
    texts = [naming.settings(runs.RunFolder(one.folder))["data"] for one in (found, apart)]
    assert texts == ["70 images", "70 images, 20 % held out"]


def test_a_sweep_counts_its_steps(copy):
    config, folder = copy
    run = Run(Point("imp", {}, {}), config, plans.resolve(config), folder, 3, ())
    assert run.steps_left == 0
    shutil.rmtree(folder.refit.round(1).folder)
    assert run.steps_left == 16


def test_without_a_held_out_part_it_is_refused(tmp_path):
    with pytest.raises(UsageError, match="--refit needs --validation, such as --validation=0.2"):
        tt.imp(configured(tmp_path, refit=True, validation=None))
    assert os.listdir(tmp_path) == []


def test_listed_images_have_a_held_out_part_too(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text("".join(f"digits_{index:04d}\n" for index in range(100)))
    config = configured(tmp_path / "runs", images=None, subset_file=str(path), rounds=2, refit=True)
    folder = runs.RunFolder(tt.imp(config).folder)
    parts = [row["part"] for row in storage.read_csv(folder.subset)]
    assert len(parts) == 100 and 15 <= parts.count("validation") <= 25
    assert len(storage.read_csv(folder.refit.subset)) == 100
    assert folder.round(0).read_summary()["validation_accuracy"] is not None
