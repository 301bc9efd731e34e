"""`predict` gives files the probabilities of evaluation; tickets that were tampered with are refused everywhere."""

import csv
import dataclasses
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import QUICK, ROOT
from PIL import Image

import tf_tickets as tt
from tf_tickets import registry, runs, runtime, storage
from tf_tickets.data import sources, unlabelled
from tf_tickets.errors import StateError, UsageError
from tf_tickets.evaluation.networks import subjects
from tf_tickets.export import card, exported_files, loading, predict, verify
from tf_tickets.export.ticket import Ticket, canonical
from tf_tickets.pruning import control
from tf_tickets.runtime import files
from tf_tickets.settings import config

COUNT = 7


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A finished run on digits; treat as read-only."""
    return tt.imp(tt.Config.from_values(**QUICK, out=str(tmp_path_factory.mktemp("runs")))).folder


@pytest.fixture
def pictures(tmp_path):
    """The first test images as PNG files below tmp_path/pictures; returns (their paths, pixels)."""
    images = sources.load("digits").test()[0][:COUNT]
    paths = []
    for index, image in enumerate(images):
        path = tmp_path / "pictures" / ("deep/er" if index % 2 else "") / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(path)
        paths.append(str(path))
    (tmp_path / "pictures" / "notes.txt").write_text("no picture")
    (tmp_path / "pictures" / ".hidden.png").write_text("no picture")
    return paths, images


def answers(folder, *paths, **settings):
    text, problems = predict.predict(folder, paths, config.Command(**settings))
    return text, problems


def test_files_have_the_probabilities_of_evaluation(run_folder, pictures, tmp_path, monkeypatch):
    paths, images = pictures
    ticket = Ticket.load(f"{run_folder}/ticket")
    expected = ticket.predict(images)
    monkeypatch.setattr(predict, "BATCH", 3)  # several batches, the last one short
    text, problems = answers(run_folder, str(tmp_path / "pictures"), format="json", top_k=3)
    found = json.loads(text)
    assert len(problems) == 1 and "notes.txt is no picture" in problems[0]
    assert sorted(one["file"] for one in found) == sorted(paths)
    for one in found:
        row = expected[paths.index(one["file"])]
        order = np.argsort(-row, kind="stable")[:3]
        assert [p["label"] for p in one["predictions"]] == [ticket.labels[i] for i in order]
        np.testing.assert_allclose([p["probability"] for p in one["predictions"]], row[order], atol=1e-6)


def test_table_json_and_csv_say_the_same(run_folder, pictures):
    paths, _ = pictures
    found = json.loads(answers(run_folder, *paths[:2], format="json", top_k=2)[0])
    rows = list(csv.DictReader(io.StringIO(answers(run_folder, *paths[:2], format="csv", top_k=2)[0])))
    assert [(r["file"], int(r["rank"]), r["label"], float(r["probability"])) for r in rows] == [
        (one["file"], rank, p["label"], p["probability"])
        for one in found for rank, p in enumerate(one["predictions"], 1)
    ]  # fmt: skip
    head, *lines = answers(run_folder, *paths[:2], top_k=2)[0].splitlines()
    assert head.split() == ["file", "label", "probability", "label", "probability"] and len(lines) == 2
    for line, one in zip(lines, found):
        best = one["predictions"][0]
        assert line.split()[:3] == [one["file"], best["label"], f"{100 * best['probability']:.2f}"]
    assert len(json.loads(answers(run_folder, paths[0], format="json", top_k=99)[0])[0]["predictions"]) == 10


@pytest.mark.parametrize("folder", ["", "ticket", "round_01"])
def test_runs_rounds_and_tickets_predict(run_folder, pictures, folder):
    path = os.path.join(run_folder, folder)
    assert json.loads(answers(path, pictures[0][0], format="json")[0])[0]["file"] == pictures[0][0]


def test_what_is_no_picture_is_named_and_the_rest_answered(run_folder, pictures, tmp_path):
    paths, _ = pictures
    (tmp_path / "odd.png").write_bytes(b"no picture")
    (tmp_path / "empty").mkdir()
    text, problems = answers(run_folder, str(tmp_path / "odd.png"), paths[0], str(tmp_path / "empty"), format="json")
    assert len(json.loads(text)) == 1
    assert [problem.split(" ")[0] for problem in problems] == [f"{tmp_path}/odd.png", f"{tmp_path}/empty"]
    with pytest.raises(UsageError, match="odd.png is no picture"):
        answers(run_folder, str(tmp_path / "odd.png"))


FACTS = {"image_shape": [8, 8, 1], "dtype": "uint8"}


def test_names_that_are_no_text_and_long_strips(run_folder, pictures, tmp_path):
    odd = os.path.join(os.fsencode(tmp_path), b"pictures", b"a\nb \x1b[31m \xff.png")
    shutil.copy(pictures[0][0], odd)
    Image.new("1", (1, 40_000)).save(tmp_path / "strip.png")
    Image.new("1", (4, 4)).save(tmp_path / "n\no.gif")
    done = command("predict", run_folder, *(str(tmp_path / name) for name in ("pictures", "strip.png", "n\no.gif")))
    out, error = done.stdout.decode(), done.stderr.decode()
    mine = [line for line in error.splitlines() if line.startswith("tf-tickets: ")]
    assert done.returncode == 2 and len(mine) == 3 and "notes.txt is no picture" in mine[0]
    assert "1x40000 pixels" in mine[1] and r"n\no.gif is GIF" in mine[2]
    assert len(out.splitlines()) == 2 + COUNT and "\x1b" not in out


def test_pictures_of_any_size_and_kind_become_the_network_s(tmp_path):
    exact = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    Image.fromarray(exact).save(tmp_path / "exact.png")
    np.testing.assert_array_equal(unlabelled.pixels(str(tmp_path / "exact.png"), FACTS)[..., 0], exact)
    wide = np.full((40, 90, 3), 10, np.uint8)
    wide[:, 30:60] = (200, 200, 200)
    Image.fromarray(wide).save(tmp_path / "wide.jpg", quality=100)
    found = unlabelled.pixels(str(tmp_path / "wide.jpg"), FACTS)
    assert found.shape == (8, 8, 1) and abs(int(found[4, 4, 0]) - 200) <= 2 and found[4, 0, 0] < 60
    Image.fromarray(exact[:3, :2]).save(tmp_path / "tiny.png")
    assert unlabelled.pixels(str(tmp_path / "tiny.png"), FACTS).shape == (8, 8, 1)
    with pytest.raises(UsageError, match="is no TIFF"):
        unlabelled.pixels(str(tmp_path / "tiny.png"), FACTS | {"dtype": "uint16"})


def command(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "tf_tickets.main", *words], cwd=ROOT, capture_output=True, **options
    )  # fmt: skip


def test_the_program_reads_standard_input(run_folder, pictures):
    paths, images = pictures
    data = pathlib.Path(paths[2]).read_bytes()
    done = command("predict", run_folder, "-", "--format=json", input=data)
    assert done.returncode == 0
    found = json.loads(done.stdout)[0]["predictions"][0]["probability"]
    assert found == pytest.approx(Ticket.load(f"{run_folder}/ticket").predict(images[2:3]).max(), abs=1e-6)


def test_the_card_says_what_was_measured(run_folder):
    text = pathlib.Path(run_folder, "ticket", "MODEL_CARD.md").read_text()
    document = storage.read_json(f"{run_folder}/ticket/ticket.json")
    accuracy = document["metrics"]["test_accuracy"]
    # Wilson's interval: the shares from which the one found is 1.96 standard deviations away.
    row = rf"\| test accuracy \| {100 * accuracy:.2f} % \| \[(.+), (.+)\] over 600 images"
    for bound in (float(number) / 100 for number in re.search(row, text).groups()):
        deviations = abs(accuracy - bound) / (bound * (1 - bound) / 600) ** 0.5
        assert deviations == pytest.approx(1.96, abs=0.01)
    assert f"{document['weights_left']:,} of {document['weights_total']:,} prunable weights" in text
    assert "width 2" in text and "runtime.load(" in text and "MODEL_CARD.md" in document["files"]


@pytest.mark.parametrize(("changes", "said"), [
    ({}, "sparse image classifier found by iterative magnitude pruning: "),
    ({"criterion": "taylor"}, "sparse image classifier found by iterative taylor pruning: "),
    ({"control": "random"}, "made by random pruning, round by round"),
    ({"control": "random_layerwise"}, "with the mask of a ticket whose positions were drawn anew"),
    ({"control": "reinitialize"}, "with the mask of a ticket, trained from fresh weights"),
    ({"control": "small_dense"}, "as wide as leaves it no more weights than a ticket"),
    ({"control": "one_shot"}, "pruned once, by magnitude, after a dense training, and trained again"),
    ({"control": "one_shot", "criterion": "snip"}, "pruned by snip before it was trained"),
    ({"control": "gradual"}, "pruned gradually, by magnitude, on the way through one training"),
    ({"control": "rigl"}, "by RigL: on the way weights were dropped by magnitude and grown by gradient"),
    ({"control": "set"}, "by SET: on the way weights were dropped by magnitude and grown at random"),
])  # fmt: skip
def test_the_card_says_how_the_network_was_made(run_folder, changes, said):
    ticket = Ticket.load(f"{run_folder}/ticket")
    text = card.text(dataclasses.replace(ticket, settings=ticket.settings | changes), {}, None)
    assert said in text and ("iterative" in text) == (changes.get("control") is None)
    assert (f"It is round {ticket.round} of its search" in text) == (changes.get("control") in (None, "random"))


def test_every_control_has_a_sentence_of_its_own_and_one_of_the_user_s_has_its_title(run_folder, monkeypatch):
    sentences = [part.made for part in registry.CONTROLS.values()]
    assert all(sentences) and len(set(sentences)) == len(sentences)
    ticket = Ticket.load(f"{run_folder}/ticket")
    given = dataclasses.replace(ticket, round=0)
    assert "A sparse image classifier with a mask that was given" in card.text(given, {}, None)
    dense = dataclasses.replace(given, masks={name: mask | True for name, mask in ticket.masks.items()})
    assert "A dense image classifier without any pruning: all its " in card.text(dense, {}, None)

    class Own(control.Control):
        place, title, what = control.IMP, "{mine}", "something else"

    monkeypatch.setitem(registry.CONTROLS._parts, "own", Own())
    own = dataclasses.replace(ticket, settings=ticket.settings | {"control": "own"})
    assert "made as a control, {mine}: something else" in card.text(own, {}, None)


def copied(run_folder, tmp_path):
    return shutil.copytree(f"{run_folder}/ticket", tmp_path / "ticket")


def train_with(folder, tmp_path):
    settings = {name: value for name, value in QUICK.items() if name != "rounds"}
    return tt.train(tt.Config.from_values(**settings | {"rewind": "epoch:2"}, ticket=folder, out=str(tmp_path / "out")))


USERS = {
    "Ticket.load": lambda folder, tmp_path: Ticket.load(folder),
    "predict": lambda folder, tmp_path: answers(folder, str(tmp_path)),
    "train --ticket": train_with,
}


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("name", [
    "ticket.json", "ticket.npz", "saved_model.pb", "labels.txt", "images.txt", "MODEL_CARD.md", "more",
])  # fmt: skip
def test_a_changed_file_is_refused_by_all_who_read_tickets(run_folder, tmp_path, user, name):
    folder = copied(run_folder, tmp_path)
    path = folder / name
    data = path.read_bytes() if path.exists() else b""
    path.write_bytes(data[:-9] + b"x" + data[-8:])
    with pytest.raises(StateError, match=name.replace(".", r"\.")) as caught:
        USERS[user](str(folder), tmp_path)
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


@pytest.mark.parametrize("count", [500])
def test_verify_finds_every_flipped_bit(run_folder, tmp_path, count):
    """Bits drawn over all bytes of all files, ticket.json and the SavedModel among them, and one in each file."""
    folder = copied(run_folder, tmp_path)
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    ends = np.cumsum([path.stat().st_size for path in paths])
    draws = np.random.default_rng(count)
    for bit in [*(8 * ends - 1), *draws.integers(0, 8 * ends[-1], count)]:
        file = int(np.searchsorted(ends, bit // 8, side="right"))
        data = bytearray(paths[file].read_bytes())
        place = int(bit // 8 - (ends[file - 1] if file else 0))
        data[place] ^= 1 << int(bit % 8)
        whole = paths[file].read_bytes()
        paths[file].write_bytes(data)
        with pytest.raises(StateError) as caught:
            verify.verify(str(folder))
        assert str(paths[file]) in str(caught.value) and "\n" not in str(caught.value)
        paths[file].write_bytes(whole)
    verify.verify(str(folder))


@pytest.mark.parametrize("user", USERS)
def test_what_is_no_ticket_is_refused(tmp_path, user):
    with pytest.raises(UsageError, match="no ticket"):
        USERS[user](str(tmp_path), tmp_path)


@pytest.mark.parametrize(("reader", "level"), [
    (verify.verify, 0), (loading.load, 0), (runtime.load, 0), (verify.verify, 1), (loading.load, 2), (runtime.load, 2),
    (runs.usable_place, 1), (runs.usable_place, 2), (lambda path: subjects(path, "all"), 2),
])  # fmt: skip
def test_where_a_ticket_lies_below_what_was_given_its_path_is_named(tmp_path, reader, level):
    run = tmp_path / "runs" / "recipe" / "seed_0"
    (run / "ticket").mkdir(parents=True)
    (run / "ticket" / "ticket.json").write_text("{}")
    above = [run, *run.parents][level]
    with pytest.raises((UsageError, runtime.NotATicket)) as refused:
        reader(str(above))
    assert str(refused.value).endswith(f"; give its ticket, {run / 'ticket'}")
    (run.parent / "seed_1" / "ticket").mkdir(parents=True)
    (run.parent / "seed_1" / "ticket" / "ticket.json").write_text("{}")
    if level:
        with pytest.raises(
            (UsageError, runtime.NotATicket), match="give one of its 2 tickets, such as .*seed_0/ticket"
        ):
            reader(str(above))


def test_of_a_file_of_a_ticket_the_folder_is_named(run_folder):
    ticket = os.path.join(run_folder, "ticket")
    with pytest.raises(UsageError, match=f"give the folder, {ticket}$"):
        exported_files.verify(os.path.join(ticket, "ticket.json"))


MADE_UP = {
    "another network": lambda d: d["network"].update(name="resnet18"),
    "a wider one": lambda d: d["network"].update(width=3),
    "an argument that is none": lambda d: d["network"].update(command="touch hacked"),
    "a count": lambda d: d.update(weights_left=1),
    "no count": lambda d: d.pop("weights_left"),
    "a shape": lambda d: d["layers"][0].update(shape=[1 << 20, 1 << 20]),
    "labels": lambda d: d["data"].update(labels=["a", "b"]),
    "a mean": lambda d: d["data"].update(mean="0"),
    "a setting": lambda d: d["settings"].update(seed=99),
    "layers of nothing": lambda d: d.update(layers=None),
    "a version": lambda d: d.update(format=99),
    "a width that is no whole number": lambda d: d["network"].update(width=2.0),
    "two dimensions": lambda d: d["network"].update(image_shape=[8, 8]),
    "a number beyond all": lambda d: d["data"].update(mean=[10**400]),
    "a deviation of nothing": lambda d: d["data"].update(deviation=[0.0]),
    "a mean too many": lambda d: d["data"].update(mean=[0.5, 0.5]),
    "a scale of nothing": lambda d: d["data"].update(scale=0),
    "a type": lambda d: d["data"].update(dtype="x"),
    "labels that are text": lambda d: d["data"].update(labels="0123456789"),
    "a label of two lines": lambda d: d["data"]["labels"].__setitem__(0, "a\nb"),
    "a label twice": lambda d: d["data"]["labels"].__setitem__(0, "1"),
    "a file elsewhere": lambda d: d["files"].update({"/etc/passwd": files.digest("/etc/passwd")}),
    "a file above": lambda d: d["files"].update({"../x": "0"}),
}


@pytest.mark.parametrize("attack", MADE_UP)
def test_a_document_that_was_made_up_is_refused(run_folder, tmp_path, attack):
    folder = copied(run_folder, tmp_path)
    document = storage.read_json(str(folder / "ticket.json"))
    MADE_UP[attack](document)
    document.pop("self_sha256")
    document["self_sha256"] = files.hashlib.sha256(canonical(document)).hexdigest()
    (folder / "ticket.json").write_bytes(storage.json_bytes(document))
    with pytest.raises(StateError) as caught:
        Ticket.load(str(folder))
    assert "\n" not in str(caught.value)


def test_a_mask_is_retrained_on_own_pictures_with_a_new_head(run_folder, tmp_path):
    """Three classes of 8x8 pictures in place of ten digits."""
    pixels, labels = sources.load("digits").images(np.arange(400)), sources.load("digits").labels[:400]
    for label in range(3):
        folder = tmp_path / "pictures" / f"class_{label}"
        folder.mkdir(parents=True)
        for index in np.flatnonzero(labels == label)[:10]:
            Image.fromarray(pixels[index, ..., 0]).save(folder / f"{index}.png")
    settings = QUICK | {"dataset": "folder", "data_dir": str(tmp_path / "pictures"), "out": str(tmp_path / "runs")}
    for name in ("images", "rounds"):
        settings.pop(name)
    made = tt.train(tt.Config.from_values(**settings | {"rewind": "epoch:1"}, ticket=f"{run_folder}/ticket"))
    new, old = Ticket.load(f"{made.folder}/ticket"), Ticket.load(f"{run_folder}/ticket")
    assert new.labels == ("class_0", "class_1", "class_2")
    for name, mask in old.masks.items():
        np.testing.assert_array_equal(new.masks[name], mask)
        assert not new.trained[f"{name}/kernel"][~mask].any()
    assert new.trained["linear/kernel"].shape[1] == 3
    text, _ = answers(f"{made.folder}/ticket", str(tmp_path / "pictures"), format="json")
    assert {p["label"] for one in json.loads(text) for p in one["predictions"]} <= set(new.labels)
