"""`analyze`: rows and figures of whole runs; refusals."""

import dataclasses
import os
import pathlib
import shutil

import numpy as np
import pytest
from absl import flags
from conftest import QUICK

import tf_tickets as tt
from tf_tickets import errors, runs, storage
from tf_tickets.analysis import linear_probe
from tf_tickets.analysis.activations import Loader
from tf_tickets.analysis.analyses import stability
from tf_tickets.analysis.analyze import analyze
from tf_tickets.data import pipeline, sources
from tf_tickets.evaluation import networks
from tf_tickets.experiments.train import train
from tf_tickets.report import analyses
from tf_tickets.settings import cli

EVERY = "density,similarity,probe,activity,shot"
RNG = np.random.default_rng(5)


def settings(what, **changes):
    return tt.Config.from_values(what=what, probe_images=300, **changes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two finished runs that differ in the seed, and two from the first one's ticket; read-only."""
    values = QUICK | {"out": str(tmp_path_factory.mktemp("runs")), "rounds": 2, "tensorboard": False, "rate": 0.5}
    found = [tt.imp(tt.Config.from_values(**values, seed=seed, choose="last")).folder for seed in (0, 1)]
    ticket = f"{found[0]}/ticket"
    return found + [train(tt.Config.from_values(**values, ticket=ticket, order_seed=n)).folder for n in (1, 2)]


@pytest.fixture
def copies(trained, tmp_path):
    """Copies of the four runs that a test may add rows to."""
    return [shutil.copytree(one, tmp_path / str(number) / os.path.basename(one)) for number, one in enumerate(trained)]


def values(rows, evaluator, index=None, setting=None):
    return {
        row["metric"]: float(row["value"])
        for row in rows
        if row["evaluator"] == evaluator and (index is None or row["round"] == str(index))
        and (setting is None or row["setting"].startswith(setting))
    }  # fmt: skip


def test_rows_and_files_of_whole_runs_are_made_once(copies, idle):
    run, other = (runs.RunFolder(str(one)) for one in copies[:2])
    before = storage.read_csv(run.round(1).evaluations)
    found = analyze([run.folder], settings(EVERY))
    assert len(found) == 1 and found[0].folder == run.path("analysis")
    rows = found[0].rows
    assert storage.read_csv(run.round(1).evaluations)[: len(before)] == before
    check_density(run, rows)
    check_similarity(rows)
    check_probe(rows)
    check_activity_and_shot(run, rows)
    text = analyses.finish(found, EVERY.split(","))
    files = [line.removeprefix("wrote ") for line in text.splitlines() if line.startswith("wrote ")]
    assert len(files) == len(set(files)) == 2 + 2 + 3 * 3 + 3 * 3 and all(os.path.getsize(path) for path in files)
    table = storage.read_csv(run.path("analysis/cka_round_00_round_01.csv"))
    assert [row["layer"] for row in table] == list(table[0])[1:]
    bytes_now = pathlib.Path(run.round(1).evaluations).read_bytes()
    idle()
    assert analyze([run.folder, run.folder], settings(EVERY))[0].rows == rows
    assert pathlib.Path(run.round(1).evaluations).read_bytes() == bytes_now
    with pytest.raises(AssertionError, match="computed again"):
        analyze([other.folder], settings("similarity"))


def check_density(run, rows):
    for index in range(2):
        listed = {row["layer"]: float(row["density"]) for row in storage.read_csv(run.round(index).density)}
        mine = values(rows, "density", index)
        assert {name: mine[f"density:{name}"] for name in listed} == listed
        assert mine["kept"] == storage.read_json(run.round(index).summary)["weights_left"]


def check_similarity(rows):
    itself, dense = values(rows, "similarity", 1, "round_01,"), values(rows, "similarity", 1, "round_00,")
    layers = {name.split(">")[1] for name in itself if ">" in name}
    assert len(layers) == 9 and len(itself) == len(dense) == 82
    assert all(itself[f"cka:{name}>{name}"] == pytest.approx(1.0) for name in layers)
    assert itself["cka"] == pytest.approx(1.0)
    assert 0.1 < dense["cka"] < 0.99 and max(dense.values()) <= 1.0 + 1e-9


def check_probe(rows):
    for index in (0, 1):
        mine = values(rows, "probe", index, "digits,images=300")
        assert mine["accuracy:features"] > 0.2 and mine["regularisation:features"] in linear_probe.STRENGTHS


def check_activity_and_shot(run, rows):
    dense, ticket = (values(rows, "activity", index) for index in (0, 1))
    assert dense["multiply_adds"] == dense["multiply_adds_dense"] == ticket["multiply_adds_dense"]
    assert 0 < ticket["multiply_adds"] < dense["multiply_adds"] and dense["dead_channels"] == 0
    # Seven images a class: all is few.
    few = values(rows, "shot", 1)["accuracy_few"]
    assert few == pytest.approx(storage.read_json(run.round(1).summary)["test_balanced_accuracy"], abs=0.02)


def test_test_images_have_no_say_in_the_probe(copies, monkeypatch):
    folder = runs.RunFolder(str(copies[0])).round(1).folder
    first = analyze([folder], settings("probe"))[0].rows
    honest = sources.Source.test

    def shuffled(self, *given, **named):
        pixels, labels = honest(self, *given, **named)
        return pixels, (labels + 1) % 10

    monkeypatch.setattr(sources.Source, "test", shuffled)
    os.remove(f"{folder}/evaluations.csv")
    again = values(analyze([folder], settings("probe"))[0].rows, "probe")
    before = values(first, "probe")
    assert again["accuracy:features"] < 0.2 < before["accuracy:features"]
    for metric in ("held_out_accuracy:features", "regularisation:features"):
        assert again[metric] == before[metric]


def test_masks_of_two_seeds_overlap(copies):
    found = analyze([str(one) for one in copies[:2]], settings("overlap"))
    mine = values(found[0].rows, "overlap", 1)
    assert found[1].rows == [] and set(row["round"] for row in found[0].rows) == {"1"}
    masks = [tt.Ticket.load(str(one / "round_01")).masks for one in map(pathlib.Path, copies[:2])]
    both = sum(int((mask & masks[1][name]).sum()) for name, mask in masks[0].items())
    either = sum(int((mask | masks[1][name]).sum()) for name, mask in masks[0].items())
    assert mine["iou"] == pytest.approx(both / either) and 0.2 < mine["iou_chance"] < 0.8
    assert "overlap.png" in analyses.finish(found, ["overlap"])
    with pytest.raises(errors.UsageError, match="share a pruned round"):
        analyze([f"{copies[0]}/round_00", f"{copies[1]}/round_00"], settings("overlap"))


def test_two_runs_from_one_rewind_point_are_joined(copies):
    first, second = copies[2:]
    found = analyze([str(first), str(second)], settings("stability"))
    rows = values(found[0].rows, "stability")
    for part in ("test", "train"):
        line = [rows[f"error_{part}:{alpha:g}"] for alpha in stability.alphas()]
        assert rows[f"barrier_{part}"] == pytest.approx(max(line) - (line[0] + line[-1]) / 2)
    for alpha, folder in ((0, first), (1, second)):
        accuracy = storage.read_json(f"{folder}/round_00/summary.json")["test_accuracy"]
        assert rows[f"error_test:{alpha}"] == pytest.approx(1 - accuracy, abs=2 / 600)
    assert found[1].rows == [] and "stability.svg" in analyses.finish(found, ["stability"])


def test_a_network_and_itself_have_no_barrier(trained):
    pixels, labels = sources.load("digits").test()
    images = pipeline.Images(pixels[:100], np.asarray(labels[:100]), np.arange(100))
    loader = Loader(settings("stability"))
    network = loader.network(networks.subjects(trained[2], "ticket")[0])
    found = {m: value for m, value, _ in stability.errors_between(network, network.ticket.trained, {"test": images})}
    assert found["barrier_test"] == pytest.approx(0.0, abs=1e-12) and len(found) == 12


def test_runs_of_two_seeds_cannot_be_joined(trained):
    with pytest.raises(errors.UsageError, match="different masks"):
        analyze(trained[:2], settings("stability"))


def test_pairs_are_told_apart_by_what_differs(trained):
    ticket = tt.Ticket.load(f"{trained[2]}/ticket")
    stability.check_pair(ticket, dataclasses.replace(ticket, trained={}))
    masks = {name: ~mask for name, mask in ticket.masks.items()}
    for change, word in (
        ({"masks": masks}, "masks"), ({"ids_digest": "other"}, "training images"), ({"rewound": {}}, "rewind points"),
        ({"network": {}}, "networks"),
    ):  # fmt: skip
        with pytest.raises(errors.UsageError, match=f"different {word}"):
            stability.check_pair(ticket, dataclasses.replace(ticket, **change))


def test_what_cannot_be_analysed_is_refused_and_nothing_changes(copies, tmp_path):
    before = {path: path.stat().st_mtime for path in tmp_path.rglob("*.csv")}
    ticket = shutil.copytree(f"{copies[0]}/ticket", tmp_path / "alone")
    for paths, what, words in (
        ([str(tmp_path)], "density", "no run, round or ticket folder"), ([str(ticket)], "density,shot", "subset.csv"),
        ([copies[2], copies[2]], "stability", "one folder"),
    ):  # fmt: skip
        with pytest.raises(errors.UsageError, match=words):
            analyze([str(path) for path in paths], settings(what))
    run = runs.RunFolder(str(copies[0]))
    with run.locked(), pytest.raises(errors.LockedError):
        analyze([run.folder], settings("density"))
    assert {path: path.stat().st_mtime for path in tmp_path.rglob("*.csv") if path in before} == before


def test_a_ticket_folder_is_analysed_beside_itself(copies, tmp_path):
    ticket = shutil.copytree(f"{copies[0]}/ticket", tmp_path / "alone")
    found = analyze([str(ticket)], settings("density"))
    assert found[0].folder == f"{ticket}.analysis" and found[0].rows == storage.read_csv(f"{ticket}.evaluations.csv")
    assert f"{ticket}.analysis/density.png" in analyses.finish(found, ["density"])


@pytest.mark.parametrize(("words", "expected"), [
    (["--what=density"], ["needs run, round or ticket folders"]), (["--what=density", "none"], ["none does not exist"]),
    (["--what=augment", "."], ["takes no path"]), (["--what=augment,density", "."], ["augment,density", "alone"]),
    (["--what=density,density", "."], ["at most once"]), (["--what=densities", "."], ["density, similarity"]),
    (["--what=overlap", "."], ["two paths"]), (["--what=stability", ".", ".", "."], ["two paths, not 3"]),
    (["--what=density", ".", "--probe=mnist"], ["--probe belongs to --what=probe"]),
    (["--what=probe", ".", "--probe=mnist,folder"], ["--probe=mnist,folder", "cifar10"]),
    (["--what=density", ".", "--restarts=2"], ["--restarts belongs to evaluate"]),
    (["."], ["analyze needs --what"]),
])  # fmt: skip
def test_flags_that_do_not_belong_are_refused(words, expected):
    with pytest.raises(errors.UsageError) as caught:
        cli.parse(["tf-tickets", "analyze", *words], flags.FlagValues())
    assert all(part in str(caught.value) for part in expected)
    assert len(str(caught.value).splitlines()) == 1
