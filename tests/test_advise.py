"""`advise` on whole folders: its page and rows, wrong words, odd folders, and a stop."""

import csv
import os

import numpy as np
import pytest
import small_network
from advised import CLASSES, collection_of, executed, few_folds, findings_of, looked_at_anew, pictures  # noqa: F401
from PIL import Image
from safetensors.numpy import save_file
from test_parity import torch_state

import tf_tickets as tt
from tf_tickets.advise import backbones, recommendations
from tf_tickets.advise.collection import Images
from tf_tickets.data import folder, pipeline
from tf_tickets.models import state


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
    assert status == 2 and "7 files or folders cannot be used" in error
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
