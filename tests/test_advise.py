"""`advise`: what it says of pictures, on features that are given and on whole folders."""

import csv
import dataclasses
import os

import lite0_package
import numpy as np
import pytest
import small_network
from absl import flags
from conftest import ROOT
from PIL import Image
from safetensors.numpy import save_file
from test_parity import torch_state

import tf_tickets as tt
from tf_tickets import main
from tf_tickets.advise import backbones, findings, held_out, methods, recommendations
from tf_tickets.advise.collection import Collection, Images
from tf_tickets.advise.stages import Stages
from tf_tickets.data import folder, pipeline, thumbnailing
from tf_tickets.models import state
from tf_tickets.registry import DATASETS
from tf_tickets.settings import cli

CLASSES = ("cat", "dog", "hen")
QUIET = Stages("none", ["copies", "accuracy", "curve"])


@pytest.fixture(autouse=True)
def looked_at_anew():
    """Folders are looked at once per process."""
    folder.scan.cache_clear()


EFFORT = {name: getattr(held_out, name) for name in ("_REPEATED", "_SLOW")}


@pytest.fixture(autouse=True)
def few_folds(monkeypatch):
    """The folds, repeats and penalties of many pictures, a tenth of the probes; test_advise_estimates has all."""
    for name in EFFORT:
        monkeypatch.setattr(held_out, name, 0)


@pytest.fixture
def all_folds(few_folds, monkeypatch):
    """As many as the pictures of a test have without it, where intervals or suspects hang on them."""
    for name, work in EFFORT.items():
        monkeypatch.setattr(held_out, name, work)


def collection_of(pixels, labels, parts=None, *, apart=False, spread=0.3):
    """A Collection of uint8 [n, side, side, 3] whose features tell the classes apart."""
    labels = np.array(labels)
    draws = np.random.default_rng(0)
    features = np.eye(len(CLASSES))[labels] + draws.normal(0, spread, (len(labels), len(CLASSES)))
    parts = tuple(parts or ["train"] * len(labels))
    data_set = dataclasses.replace(DATASETS["digits"].facts, labels=CLASSES, image_shape=pixels.shape[1:])
    images = Images([pipeline.Images(pixels, labels, np.arange(len(labels)))], 255.0)
    return Collection(
        data_set, tuple(f"{CLASSES[label]}/{row}.png" for row, label in enumerate(labels)), labels, parts,
        (None,) * len(labels), np.array([part != "test" or not apart for part in parts]),
        features.astype(np.float32), np.stack([thumbnailing.thumbnail(picture) for picture in images.each()]),
        np.full((len(labels), 2), pixels.shape[1]), np.full(len(labels), 3), images, (),
    )  # fmt: skip


def pictures(count, seed=0):
    """Unlike pictures, each coarse noise."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(each).resize((32, 32), Image.Resampling.BICUBIC)) for each in coarse])


def findings_of(collection, outside=True):
    backbone = backbones.Backbone(tt.Config(dataset="digits"), None, "a test's network", outside)
    return findings.compute(collection, backbone, 0, stages=QUIET, stop=lambda: False)


def executed(*words):
    """(exit status, what is said of an error) of a command in this process."""
    try:
        return main.main(cli.parse(["tf-tickets", *map(str, words)], flags.FlagValues())), ""
    except tt.errors.TicketError as error:
        return error.exit_status, str(error)


def titles(result, config=None):
    given = config or tt.Config(dataset="folder", data_dir="my pictures")
    return [step.title for step in recommendations.recommendations(result, given)]


def test_a_mirrored_copy_counts_once_and_a_copy_in_the_test_part_is_a_leak():
    pixels, labels = pictures(30), [row % 3 for row in range(30)]
    pixels[3] = pixels[0][:, ::-1]
    pixels[29] = pixels[2]
    result = findings_of(collection_of(pixels, labels, ["train"] * 24 + ["test"] * 6, apart=True))
    assert {(pair.first, pair.second, pair.kind) for pair in result.pairs} == {
        (0, 3, "mirrored"),
        (2, 29, "same pixels"),
    }
    assert [(pair.first, pair.second) for pair in result.leaks] == [(2, 29)] and result.contradictions == []
    assert list(result.rows) == [row for row in range(24) if row != 3] and result.repeats == 1
    assert result.tested is not None and result.tested.low <= result.tested.value <= result.tested.high
    assert "2 pairs" not in titles(result)[0] and "two pairs" in titles(result)[0]


def test_a_copy_in_another_class_is_a_contradiction():
    pixels = pictures(30)
    pixels[4] = pixels[0]
    result = findings_of(collection_of(pixels, [row % 3 for row in range(30)]))
    assert [(pair.first, pair.second) for pair in result.contradictions] == [(0, 4)]


def test_pictures_that_stand_in_two_classes_are_left_out_of_what_is_expected():
    pixels = pictures(60)
    pixels[4] = pixels[0]
    result = findings_of(collection_of(pixels, [row % 3 for row in range(60)]))
    assert not {0, 4} & set(result.rows) and len(result.rows) == 58 and "58 pictures" in result.pictures
    pixels[1::3], pixels[2::3] = pixels[0::3], pixels[0::3]
    with pytest.raises(tt.errors.UsageError, match="copies of others, such as .* no two classes have pictures"):
        findings_of(collection_of(pixels, [row % 3 for row in range(60)]))


def test_a_class_that_is_never_recognised_is_not_hidden_by_a_large_one():
    labels = [0] * 45 + [1] * 3
    given = collection_of(pictures(48), labels, spread=100.0)
    result = findings_of(given)
    assert result.estimate.accuracy.value > 0.8 and result.guesses and result.suspects == []
    (step,) = [step for step in recommendations.recommendations(result, tt.Config()) if "before any" in step.title]
    assert "dog (3)" in " ".join(step.reasons) and step.title.startswith("Take more pictures")


def test_what_cannot_be_scored_is_not_counted():
    result = findings_of(collection_of(pictures(21), [0] * 10 + [1] * 10 + [2], spread=0.1))
    assert result.pictures == "20 pictures in two classes" and result.unscored == ["hen"]


def test_wrong_labels_are_named_by_their_rows(all_folds):
    labels = np.array([row % 3 for row in range(60)])
    right = collection_of(pictures(60), labels, spread=0.1)
    wrong = labels.copy()
    wrong[[7, 20]] = (labels[[7, 20]] + 1) % 3
    result = findings_of(dataclasses.replace(right, labels=wrong))
    assert {suspect.row for suspect in result.suspects[:2]} == {7, 20}
    assert all(suspect.suggested == labels[suspect.row] for suspect in result.suspects[:2])
    assert "whose label may be wrong" in titles(result)[0]


def test_features_that_tell_nothing_apart_call_for_other_pictures_and_no_training():
    result = findings_of(collection_of(pictures(60), [row % 3 for row in range(60)], spread=100.0))
    assert titles(result)[-1] == "Take other pictures before any training"
    assert not any("network" in title or "ticket" in title for title in titles(result))


@pytest.mark.parametrize("spread", [0.05, 0.6])
def test_a_probe_that_has_nearly_all_right_is_left_as_it_is(all_folds, spread):
    result = findings_of(collection_of(pictures(150), [row % 3 for row in range(150)], spread=spread))
    network = [title for title in titles(result) if "probe" in title or "network" in title]
    assert network == [
        "Use the linear probe as it is" if result.estimate.accuracy.low >= 0.95 else "Fine-tune the pretrained network"
    ]
    assert (result.estimate.accuracy.low >= 0.95) == (spread == 0.05)


@pytest.mark.parametrize("outside", [True, False])
def test_every_command_it_names_is_one_that_the_program_takes(outside, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    lite0_package.install(tmp_path)
    result = findings_of(collection_of(pictures(60), [row % 3 for row in range(60)], spread=0.6), outside)
    steps = recommendations.recommendations(result, tt.Config(dataset="digits", per_class=20, subset_seed="3"))
    commands = [line.partition("  #")[0] for step in steps for line in step.commands]
    for line in commands:
        if line.startswith("python -m tf_tickets.main"):
            words = line.split()[3:]
            assert "--per_class=20" in words and "--subset_seed=3" in words and "--dataset=digits" in words
            if "advise" not in words:
                words = [word.replace("--flagfile=", f"--flagfile={ROOT}/flags/") for word in words]
                assert executed(*words, "--dry_run") == (0, "")
    assert len(commands) >= 3


def test_published_numbers_are_those_of_the_results():
    text = (ROOT / "results/backbones/README.md").read_text()
    gain, low, high = methods.FINE_TUNING
    assert f"{gain} points ahead of the probe, 95 % interval [+{low}, +{high}], in all six pairs" in text
    table = [line.split("|")[3].strip() for line in text.splitlines() if line.startswith(("| probe |", "| dense |"))]
    assert [f"{methods.PROBE}", f"{methods.FINE_TUNED}"] == [f"{float(cell.rstrip(' %')):.1f}" for cell in table]
    (tried,) = [line for line in text.splitlines() if line.startswith("| learning_rate:2 |")]
    dense, first, second = (float(cell.strip(" %")) for cell in tried.split("|")[2:5])
    assert (round(dense - first, 1), round(dense - second, 1)) == (methods.PRETRAINED_LOSS, methods.SPARSER_LOSS)
    search = (ROOT / "results/long_search/README.md").read_text()
    assert f"by {methods.TICKET_LOSS} points on average" in search and f"| {methods.TICKET} % |" in search
    curve = (ROOT / "results/dense_curve/README.md").read_text()
    (alone,) = [line.split("|")[4].strip(" %") for line in curve.splitlines() if line.startswith("| 1,000 |")]
    assert f"{float(alone):.1f}" == f"{methods.ALONE}"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The file of a small network's weights."""
    model = tt.models.build("vgg11", classes=3, image_shape=(32, 32, 3), stem="small", width=8, seed=1)
    path = str(tmp_path_factory.mktemp("weights") / "backbone.safetensors")
    arrays = {name: np.ascontiguousarray(array) for name, array in torch_state(state.get_state(model)).items()}
    save_file({name: array for name, array in arrays.items() if not name.startswith("linear")}, path)
    return path


def fill(root, counts, *, tint=True):
    """Folders of pictures, each class of another colour."""
    for label, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for index, picture in enumerate(pictures(count, seed=label) if count else ()):
            coloured = (picture // 2 + np.eye(3, dtype=np.uint8)[label % 3] * 90).astype(np.uint8) if tint else picture
            Image.fromarray(coloured).save(root / name / f"{index}.png")
    return root


def network(weights):
    return [f"--pretrained={weights}", "--model=vgg11", "--width=8", "--progress=none"]


def test_a_folder_s_page_and_rows_are_the_same_in_python_and_are_kept(tmp_path, weights, capsys):
    root = fill(tmp_path / "pictures", dict.fromkeys(CLASSES, 12))
    words = ["advise", str(root), *network(weights), f"--out={tmp_path / 'out'}"]
    assert executed(*words) == (0, "")
    printed = capsys.readouterr().out
    (written,) = [path for path in (tmp_path / "out").iterdir() if path.name.startswith("advise-folder-")]
    assert f"page: {written / 'advice.html'}" in printed and "1. " in printed
    assert sorted(path.name for path in written.iterdir()) == [
        "accuracy.csv", "advice.html", "classes.csv", "confusions.csv", "figures", "learning_curve.csv",
        "near_duplicates.csv", "odd_pictures.csv", "predictions.csv", "suspected_labels.csv",
    ]  # fmt: skip
    before = {path: path.read_bytes() for path in written.rglob("*") if path.is_file()}
    page = (written / "advice.html").read_text()
    assert "http" not in page.replace("http://www.w3.org", "") and '<h2 id="steps">What to do</h2>' in page
    again = tt.advise(root, pretrained=weights, model="vgg11", width=8, progress="none", out=str(tmp_path / "out"))
    assert os.fspath(again) == str(written / "advice.html") and again.text in printed
    changed = {path.name for path, data in before.items() if path.read_bytes() != data}
    assert changed == {"advice.html"}  # the command line is another
    # A test part that was not given as one is not kept from the folds.
    assert len(again.findings.rows) + again.findings.repeats == 36 and again.findings.tested is None
    with open(written / "accuracy.csv", newline="") as file:
        (accuracy, *_) = csv.DictReader(file)
    assert float(accuracy["value"]) == again.findings.estimate.accuracy.value


def test_a_test_part_that_was_given_is_kept_from_the_folds(tmp_path, weights):
    for part, count in (("train", 8), ("test", 3)):
        fill(tmp_path / part, dict.fromkeys(CLASSES, count))
    for label, name in enumerate(
        CLASSES
    ):  # the seeds draw the same pictures again: leaks, but for one picture that is only tested
        os.remove(tmp_path / "test" / name / "0.png")
        Image.fromarray(pictures(1, seed=99 + label)[0]).save(tmp_path / "test" / name / "other.png")
        for index in (1, 2):  # re-saved, so that they are refused neither as the same bytes nor as the same pixels
            path = tmp_path / "test" / name / f"{index}.png"
            Image.open(path).save(path.with_suffix(".jpg"), quality=90)
            os.remove(path)
    result = tt.advise(tmp_path, pretrained=weights, model="vgg11", width=8, progress="none", out=str(tmp_path / "out"))
    assert len(result.findings.leaks) == 6 and result.findings.tested is not None
    assert len(result.findings.rows) == 24


def test_without_weights_a_small_network_learns_from_the_pictures_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(backbones, "_unfit", lambda data_set: "a pretrained one is better")  # as if none were installed
    monkeypatch.setattr(backbones, "_OWN_PASSES", 60)
    monkeypatch.setattr(backbones, "_OWN", {"model": small_network.NAME, "width": 2})
    monkeypatch.setattr(backbones, "_FEWEST_EPOCHS", 3)
    root = fill(tmp_path / "pictures", dict.fromkeys(CLASSES, 6))
    assert executed("advise", root, f"--out={tmp_path / 'out'}", "--progress=none") == (0, "")
    printed = capsys.readouterr().out
    assert "without their labels" in printed and "Start from a pretrained network, unless you may not" in printed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["advise", "a", "b"], "takes one folder of pictures"),
        (["advise", "nowhere"], "nowhere does not exist"),
        (["advise"], "advise needs the folder of your pictures"),
        (["advise", "{root}", "--dataset=cifar10"], "--dataset=cifar10 names other pictures"),
        (["advise", "{root}", "--data_dir=elsewhere"], "--data_dir=elsewhere names other pictures"),
        (["advise", "{root}", "--pretrained=gone.npz"], "--pretrained=gone.npz is no file"),
        (["advise", "{root}", "--out={root}/cat/0.png"], "--out="),
    ],
)
def test_wrong_words_are_one_line(tmp_path, words, said):
    root = fill(tmp_path / "pictures", {"cat": 3, "dog": 3})
    before = sorted(root.rglob("*"))
    status, error = executed(*(word.format(root=root) for word in words))
    assert status == 2 and said in error and "\n" not in error
    assert sorted(root.rglob("*")) == before


ODD_FOLDERS = {
    "one picture a class": dict.fromkeys(CLASSES, 1),
    "one class": {"cat": 8},
    "two of two classes": {"cat": 2, "dog": 2},
    "one class of one": {"cat": 9, "dog": 1},
    "empty class": {"cat": 5, "dog": 0},
    "long tail": {"cat": 40, "dog": 3, "hen": 2},
    "no class": {},
}


def test_a_dry_run_touches_nothing_and_lists_all_that_cannot_be_used(tmp_path, weights, capsys):
    root = fill(tmp_path / "pictures", {"cat": 3, "dog": 3})
    words = ["advise", root, *network(weights), f"--out={tmp_path / 'out'}", "--dry_run"]
    assert executed(*words) == (0, "")
    printed = capsys.readouterr().out
    assert "vgg11" in printed and "cat" in printed and not (tmp_path / "out").exists()
    for index in range(7):
        (root / "cat" / f"broken{index}.jpg").write_bytes(b"no picture")
    folder.scan.cache_clear()
    status, error = executed(*words)
    assert status == 2 and "7 files cannot be used" in error
    assert capsys.readouterr().out.count("broken") == 7


def test_python_is_asked_for_pictures_too():
    with pytest.raises(tt.errors.UsageError, match="advise needs pictures: a folder, data=..., or dataset=NAME"):
        tt.advise()


def test_commands_for_images_from_python_name_a_file_to_write():
    result = findings_of(collection_of(pictures(60), [row % 3 for row in range(60)], spread=0.6))
    given = tt.Config(dataset="arrays", data_file="python:0123456789abcdef")
    steps = recommendations.recommendations(result, given)
    assert all("python:" not in line for step in steps for line in step.commands)
    assert any("data.save('pictures.npz')" in reason for step in steps for reason in step.reasons)


@pytest.mark.parametrize("name", ODD_FOLDERS)
def test_tiny_folders_get_an_answer_or_a_line(tmp_path, weights, name, capsys):
    root = tmp_path / "pictures"
    root.mkdir()
    fill(root, ODD_FOLDERS[name])
    status, error = executed("advise", root, *network(weights), f"--out={tmp_path / 'out'}")
    printed = capsys.readouterr().out
    assert "What to do:\n1. " in printed if status == 0 else status == 2 and error and "\n" not in error


def test_all_pictures_alike_or_blank_get_an_answer(tmp_path, weights, capsys):
    root = tmp_path / "pictures"
    for label, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        for index in range(4):  # no two have the same pixels
            Image.fromarray(np.full((32, 32, 3), 4 * index + label, np.uint8)).save(root / name / f"{index}.png")
    assert executed("advise", root, *network(weights), f"--out={tmp_path / 'out'}") == (0, "")
    assert "What to do:\n1. " in capsys.readouterr().out
    assert "blank" in (next((tmp_path / "out").glob("advise-*")) / "odd_pictures.csv").read_text()


def test_a_stop_request_keeps_the_features(tmp_path, weights):
    root = fill(tmp_path / "pictures", dict.fromkeys(CLASSES, 5))
    asked = []

    def stop():
        kept = tmp_path / "out" / "features"
        asked.append(kept.is_dir() and any(kept.iterdir()))
        return asked[-1]

    with pytest.raises(tt.errors.StopRequested):
        tt.advise(root, stop, pretrained=weights, model="vgg11", width=8, progress="none", out=str(tmp_path / "out"))
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "features").iterdir()}
    tt.advise(root, pretrained=weights, model="vgg11", width=8, progress="none", out=str(tmp_path / "out"))
    assert kept and all(path.stat().st_mtime_ns == time for path, time in kept.items())


def test_pixels_of_other_depths_and_bytes_are_made_visible():
    grey = pipeline.Images(np.full((1, 4, 4, 1), 65535, np.uint16), np.zeros(1, int), np.arange(1))
    many = pipeline.Images(np.zeros((2, 4, 4, 13), np.uint8), np.zeros(2, int), np.arange(2))
    images = Images([grey, many], 65535.0)
    assert [picture.shape for picture in images.each()] == [(4, 4, 1), (4, 4, 3), (4, 4, 3)]
    assert images.pixels(0).max() == 255 and len(images) == 3
