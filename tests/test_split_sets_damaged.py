"""Prepared data sets whose files are damaged or hostile: refused by name, and nothing is executed."""

import os
import pickle

import miniatures
import numpy as np
import pytest
import tifffile
from PIL import Image

from tf_tickets.data import archives, batches, prepare
from tf_tickets.errors import UsageError


@pytest.mark.parametrize(("changes", "message"), [
    ({"labels": np.zeros(9, np.int64)}, "images per class differ"), ({"labels": np.zeros(8, np.int64)}, "8 labels"),
    ({"images": np.zeros((9, 3, 32, 32), np.uint8)}, r"uint8\[9, 3, 32, 32\]"), ({"labels": np.array(9)}, "1 labels"),
    ({"labels": np.full(9, -1)}, "whole numbers"), ({"images": None}, "damaged, or has no"), ("cut", "damaged"),
    ({"labels": np.array([{}] * 9, object)}, "damaged"), ({"images": np.zeros(9, np.uint8)}, r"uint8\[9\]"),
])  # fmt: skip
def test_damaged_arrays_are_refused(monkeypatch, tmp_path, changes, message):
    facts = miniatures.small(monkeypatch, "cifar10_2")
    images, labels = miniatures.arrays(tmp_path, facts)["train"]
    path = tmp_path / "cifar102_train.npz"
    if changes == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        whole = {"images": images, "labels": labels} | changes
        np.savez(path, **{name: array for name, array in whole.items() if array is not None})
    with pytest.raises(UsageError, match=f"cifar102_train.npz .*{message}") as error:
        prepare.prepare("cifar10_2", str(tmp_path), str(tmp_path / "prepared"))
    assert "\n" not in str(error.value) and not (tmp_path / "prepared").exists()


class Hostile:
    """Unpickled freely, it would run a command."""

    def __reduce__(self):
        return os.system, ("touch hacked",)


@pytest.mark.parametrize("content", [{b"data": Hostile()}, Hostile(), [1, 2], {b"data": {1, 2}, b"f": len}])
def test_batches_admit_plain_data_alone(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(archives.Problem, match="plain data|no dictionary"):
        batches.loads(pickle.dumps(content))
    assert not os.listdir(tmp_path)
    assert batches.loads(pickle.dumps({b"a": [1, 2.5, "x", np.arange(3)]}, protocol=2))["a"][:3] == [1, 2.5, "x"]


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def lists(raw, name):
    return raw / "splits" / f"{name}.txt"


def forest(raw):
    return raw / "data" / "imgs" / "Forest" / "Forest_44.jpg"


def fewer(raw):
    for name in ("train", "trainval"):
        change(lists(raw, name), "Forest/Forest_44 1\n", "")


DAMAGES = {
    "list missing": (lambda raw: lists(raw, "val").unlink(), "holds 0 files val.txt"),
    "list twice": (lambda raw: (raw / "test.txt").write_text(""), "holds 2 files test.txt"),
    "not UTF-8": (lambda raw: lists(raw, "test").write_bytes(b"\xff\xfe 0\n"), "test.txt cannot be read"),
    "label off by one": (lambda raw: change(lists(raw, "test"), " 2", " 3"), "line 3: .* from 0 to 2"),
    "no label": (lambda raw: change(lists(raw, "test"), " 2", ""), "line 3: .* is not a name and a label"),
    "name twice": (
        lambda raw: change(lists(raw, "test"), "AnnualCrop_46 0", "AnnualCrop_46 0\nAnnualCrop/AnnualCrop_46 0"),
        "stands there twice",
    ),
    "in both": (
        lambda raw: change(lists(raw, "test"), "AnnualCrop_46", "AnnualCrop_4"), "in trainval.txt and in test.txt",
    ),
    "trainval differs": (
        lambda raw: change(lists(raw, "val"), "Forest_441 1", "Forest_441 0"), "is not train.txt and val.txt",
    ),
    "picture missing": (lambda raw: forest(raw).unlink(), r"picture Forest/Forest_44 .* is missing"),
    "picture twice": (
        lambda raw: miniatures.write_picture(raw / "more/Forest/Forest_44", np.zeros((64, 64, 3), np.uint8), ".jpg"),
        "Forest_44 .* is there 2 times",
    ),
    "fewer": (fewer, "hold 8 train images of eurosat_rgb"),
    "zero bytes": (lambda raw: forest(raw).write_bytes(b""), "Forest_44.jpg is no picture"),
    "truncated": (lambda raw: forest(raw).write_bytes(forest(raw).read_bytes()[:700]), "Forest_44.jpg is no picture"),
    "CMYK": (lambda raw: Image.new("CMYK", (64, 64)).save(forest(raw)), "mode CMYK"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_lists_and_pictures_are_refused_by_name(monkeypatch, tmp_path, damage):
    facts, raw = miniatures.small(monkeypatch, "eurosat_rgb"), tmp_path / "raw"
    raw.mkdir()
    miniatures.split_files(raw, facts)
    harm, message = DAMAGES[damage]
    harm(raw)
    with pytest.raises(UsageError, match=message) as error:
        prepare.prepare("eurosat_rgb", str(raw), str(tmp_path / "prepared"))
    assert "\n" not in str(error.value) and not (tmp_path / "prepared").exists()


@pytest.mark.parametrize(("pixels", "message"), [
    (np.zeros((64, 64, 12), np.uint16), r"uint16\[64, 64, 12\], not"), (np.zeros((64, 64, 13), np.uint8), "uint8"),
    (None, r"float64\[0\]"),
])  # fmt: skip
def test_a_wrong_band_count_is_refused(monkeypatch, tmp_path, pixels, message):
    facts = miniatures.small(monkeypatch, "eurosat_all")
    miniatures.split_files(tmp_path, facts)
    path = tmp_path / "data" / "imgs" / "Forest" / "Forest_44.tif"
    if pixels is None:
        path.write_bytes(b"II*\0nothing")
    else:
        tifffile.imwrite(path, pixels, photometric="minisblack")
    with pytest.raises(UsageError, match=f"Forest_44.tif is .*{message}"):
        prepare.prepare("eurosat_all", str(tmp_path), str(tmp_path / "prepared"))


def test_a_folder_s_name_that_cannot_be_shown_names_no_class(monkeypatch, tmp_path):
    facts = miniatures.small(monkeypatch, "cub")
    stems = {"cub": lambda label, index: f"{label:03d}.Bird\a_{label}/Bird_{label}_{index}"}
    monkeypatch.setattr(miniatures, "STEMS", stems)
    miniatures.split_files(tmp_path / "raw", facts)
    with pytest.raises(UsageError, match=r"trainval.txt: the class '000.Bird\\x07_0' has .*: rename it") as error:
        prepare.prepare("cub", str(tmp_path / "raw"), str(tmp_path / "prepared"))
    assert "\n" not in str(error.value) and not (tmp_path / "prepared").exists()
