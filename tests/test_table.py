"""Picture files that a table lists: the checks and the path of a folder of pictures, from a CSV file or a DataFrame."""

import os
import pathlib

import numpy as np
import pandas
import pytest
from PIL import Image
from test_arrays import SMALL, main, refused

import tf_tickets as tt
from tf_tickets.data import folder, sources
from tf_tickets.settings.places import Place


def save(path, seed, shape=(12, 12, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8)).save(path)


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """Ten pictures of two classes in one folder, the current one above it; returns [(file, label)]."""
    monkeypatch.chdir(tmp_path)
    listed = [(f"{'ab'[i % 2]}/{i}.png", ("cat", "dog")[i % 2]) for i in range(10)]
    for number, (file, _) in enumerate(listed):
        save(tmp_path / "pictures" / file, number)
    return listed


def write(rows, header="file,label", name="labels.csv"):
    text = "\n".join([header, *(",".join(row) for row in rows)]) + "\n"
    pathlib.Path(name).write_text(text, encoding="utf-8")
    return Place(data_dir="pictures", labels_file=name)


def plan(command, *words):
    return command(os.getcwd(), "--dataset=table", "--data_dir=pictures", "--labels_file=labels.csv", "--model=vgg11",
                   "--width=2", "--dry_run", *words)  # fmt: skip


def frame(rows):
    return pandas.DataFrame({"file": [file for file, _ in rows], "kind": [label for _, label in rows]})


def test_the_files_of_a_table_become_a_data_set(rows, command):
    source = sources.load("table", write(rows))
    facts = source.data_set
    assert (facts.labels, facts.image_shape, facts.own) == (("cat", "dog"), (12, 12, 3), True)
    assert (facts.train_counts, facts.test_counts) == ((4, 4), (1, 1))
    for name, image in zip(source.ids, source.images(np.arange(8))):
        assert name.split("/", 1) in [[label, file] for file, label in rows]
        np.testing.assert_array_equal(image, np.asarray(Image.open(f"pictures/{name.split('/', 1)[1]}")))
    assert "no row is of the split test: a fifth of each class" in source.notices[0]
    done = plan(command)
    assert done.returncode == 0 and "table: 8 training images, 4 per class; 2 test images" in done.stdout, done.stderr


def test_the_pixels_are_those_of_the_same_folder(rows):
    table = sources.load("table", write([*rows]))
    for file, label in rows:
        target = pathlib.Path("classes", label, file)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(pathlib.Path("pictures", file).read_bytes())
    of_folder = sources.load("folder", "classes")
    assert table.ids == of_folder.ids and table.test_ids == of_folder.test_ids
    np.testing.assert_array_equal(table.images(np.arange(8)), of_folder.images(np.arange(8)))


def test_splits_are_heeded_whatever_their_case(rows):
    splits = ["train"] * 6 + ["Test", "TEST", "val", "validation"]
    facts = sources.load(
        "table", write([(*row, split) for row, split in zip(rows, splits)], "file,label,split")
    ).data_set
    assert (facts.train_counts, facts.validation_counts, facts.test_counts) == ((4, 4), (1, 1), (1, 1))


def test_spreadsheets_files_are_read(rows):
    place = write(rows)
    first = sources.of("table").pictures(place).digest
    text = pathlib.Path("labels.csv").read_text()
    pathlib.Path("excel.csv").write_bytes(
        b"\xef\xbb\xbf" + text.replace("file,label", "File, Label").replace("\n", "\r\n").encode() + b"\r\n\r\n"
    )
    assert sources.of("table").pictures(Place(data_dir="pictures", labels_file="excel.csv")).digest == first


def test_photographs_of_any_size_go_through_crops(rows):
    save(pathlib.Path("pictures/a/0.png"), 99, (130, 150, 3))
    source = sources.load("table", write(rows))
    assert source.data_set.image_shape == (224, 224, 3) and source.data_set.encoded
    assert len(source.images([0])[0]) > 100


def test_a_label_is_in_the_name_of_a_run(rows):
    digests = {sources.of("table").pictures(write(rows)).digest}
    changed = [(rows[0][0], "dog"), *rows[1:]]
    digests.add(sources.of("table").pictures(write(changed, name="other.csv")).digest)
    digests.add(sources.of("table").pictures(write(rows[::-1], name="turned.csv")).digest)
    assert len(digests) == 2


WRONG = {
    "missing file": ([("a/none.png", "cat")], "labels.csv, row 12: pictures/a/none.png is not there"),
    "twice": ([("a/./0.png", "cat")], "row 12: a/./0.png is in row 2 too: leave one out"),
    "no file": ([("", "cat")], "row 12: has no file: name one, or leave the row out"),
    "outside": ([("../x.png", "cat")], "row 12: ../x.png is not below pictures: give paths that start from"),
    "absolute": ([("/x.png", "cat")], "row 12: /x.png is not below pictures"),
    "cells": ([("a/0.png", "cat", "x")], "row 12: more cells than columns: put names with commas into quotes"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_rows_that_cannot_be_used_are_named(rows, command, case):
    more, message = WRONG[case]
    write([*rows, *more])
    done = plan(command)
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_a_picture_that_no_row_lists_is_named(rows, command):
    write(rows[:-1])
    pathlib.Path("pictures/notes.txt").write_text("no picture")
    done = plan(command)
    assert done.returncode == 2 and "pictures/b/9.png is in no row of --labels_file=labels.csv: add one" in done.stderr


def test_all_that_is_wrong_is_listed_by_the_plan(rows, command):
    write([*rows[:-1], ("a/none.png", "cat"), ("b/none.png", "")])
    pathlib.Path("pictures/a/0.png").write_bytes(b"no picture")
    done = plan(command)
    assert (
        done.returncode == 2
        and "--labels_file=labels.csv: 4 files or folders cannot be used, which --dry_run lists" in done.stderr
    )
    assert len(done.stdout.splitlines()) == 4


@pytest.mark.parametrize(("header", "change", "message"), [
    ("file,label", lambda rows: [(rows[0][0], ""), *rows[1:]], "row 2: a/0.png has no label: give one, or leave the"),
    ("file,label", lambda rows: [(file, "cat") for file, _ in rows], "training pictures of 1 classes, at least 2 are"),
    ("file,label,split", lambda rows: [(*row, "dev") for row in rows], "row 2: a/0.png has the split 'dev'"),
    ("file,label,split", lambda rows: [(*rows[0], "train"), *((*row, "") for row in rows[1:])], "has the split ''"),
    ("file,label,split", lambda rows: [(*row, "test") for row in rows], "class 'cat' has no training pictures"),
    ("path,label", lambda rows: rows, "has no column file (its first line is 'path,label')"),
    ("file;label", lambda rows: rows, "has no column file"),
    ("file,label,weight", lambda rows: [(*row, "1") for row in rows], "has the column 'weight', which nothing reads"),
    ("file,file,label", lambda rows: [(row[0], *row) for row in rows], "has a column twice"),
    ("file,label", lambda rows: [], "has no rows: give the columns file, label"),
    ("file,label", lambda rows: [(file, label + "\x07") for file, label in rows], "rename it"),
])  # fmt: skip
def test_a_table_that_cannot_be_used_is_refused(rows, command, header, change, message):
    write(change(rows), header)
    done = plan(command)
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_the_same_picture_in_two_classes_or_parts_is_refused(rows, command):
    pathlib.Path("pictures/b/1.png").write_bytes(pathlib.Path("pictures/a/0.png").read_bytes())
    write(rows)
    assert "in another class: remove one" in plan(command).stderr
    pathlib.Path("pictures/a/2.png").write_bytes(pathlib.Path("pictures/a/0.png").read_bytes())
    save(pathlib.Path("pictures/b/1.png"), 1)
    write([(*row, "test" if number in (1, 2) else "train") for number, row in enumerate(rows)], "file,label,split")
    done = plan(command)
    assert done.returncode == 2 and "what is in train must not be in test; remove one" in done.stderr, done.stderr


@pytest.mark.parametrize(("words", "message"), [
    (["--dataset=table", "--data_dir=pictures"], "--dataset=table needs --labels_file=FILE.csv, which"),
    (["--dataset=table", "--labels_file=labels.csv"], "--dataset=table needs --data_dir=DIR, which holds"),
    (["--dataset=table", "--data_dir=pictures", "--labels_file=no.csv"], "--labels_file=no.csv cannot be read"),
    (["--dataset=table", "--data_dir=none", "--labels_file=labels.csv"], "--data_dir=none is no folder; give the one"),
    (["--dataset=folder", "--data_dir=pictures", "--labels_file=labels.csv"], "belongs to --dataset=table, not folder"),
    (["--dataset=table", "--data_dir=pictures", "--labels_file=latin.csv"], "is not UTF-8 text: save it as CSV"),
    (["--dataset=table", "--data_dir=pictures", "--labels_file=labels.csv", "--validation=official"],
     "no validation part; give rows the split validation"),
])  # fmt: skip
def test_flags_that_cannot_be_used_are_refused(rows, command, words, message):
    write(rows)
    pathlib.Path("latin.csv").write_bytes("file,label\na/0.png,k\xe4fer\n".encode("latin-1"))
    done = command(os.getcwd(), *words, "--model=vgg11", "--dry_run")
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_a_frame_lists_what_its_saved_table_lists(rows):
    data = tt.data.from_dataframe(frame(rows), label="kind", root="pictures")
    shown = repr(data).splitlines()
    assert shown[0] == f"<PictureTable: 10 pictures in {os.path.abspath('pictures')}>"
    assert shown[1].split() == ["class", "pictures"] and shown[2].split() == ["cat", "5"]
    data.save("saved.csv")
    place = Place(data_dir="pictures", labels_file="saved.csv")
    assert sources.of("table").pictures(place).digest == data.pictures.digest
    # Absolute paths, those of another folder, and a part of the pictures alone.
    absolute = frame(rows).assign(file=[os.path.abspath(f"pictures/{file}") for file, _ in rows])
    assert tt.data.from_dataframe(absolute, label="kind").pictures.digest == data.pictures.digest
    current = frame(rows).assign(file=[f"pictures/{file}" for file, _ in rows])
    assert len(tt.data.from_dataframe(current[:8], label="kind").pictures.pictures) == 8


def test_splits_of_a_frame(rows):
    splits = ["train"] * 8 + ["test"] * 2
    data = tt.data.from_dataframe(frame(rows).assign(part=splits), label="kind", split="part", root="pictures")
    assert data.pictures.data_set.test_counts == (1, 1)
    data.save("saved.csv")
    assert pathlib.Path("saved.csv").read_text().splitlines()[:2] == ["file,label,split", "a/0.png,cat,train"]
    named = tt.data.from_dataframe(frame(rows).assign(split=splits), label="kind", root="pictures")
    assert named.pictures.digest == data.pictures.digest
    apart = tt.data.from_dataframe(frame(rows).assign(split=splits), label="kind", split=None, root="pictures")
    assert apart.pictures.digest != data.pictures.digest


@pytest.mark.parametrize(("change", "arguments", "message"), [
    (lambda made: made, {"path": "image"}, "path='image' is no column of the frame, which has file, kind; name one"),
    (lambda made: made, {"label": "class"}, "label='class' is no column"),
    (lambda made: made, {"split": "part"}, "split='part' is no column"),
    (lambda made: made.kind, {}, "frame: a Series is no DataFrame"),
    (lambda made: made[:0], {}, "frame: it has no rows"),
    (lambda made: made.assign(kind=np.arange(10) / 3), {}, "column 'kind': float64 is no kind of class"),
    (lambda made: made.assign(kind=[["cat", "dog"]] * 10), {}, "multi-label and detection are not supported"),
    (lambda made: made.assign(kind=[None, *made.kind[1:]]), {}, "the frame, row 0: a/0.png has no label"),
    (lambda made: made.assign(file=[None, *made.file[1:]]), {}, "the frame, row 0: has no file"),
    (lambda made: made.assign(file="a/0.png"), {}, "a/0.png is in row 0 too"),
])  # fmt: skip
def test_a_frame_that_cannot_be_used_is_refused(rows, change, arguments, message):
    made = change(frame(rows))
    refused(lambda: tt.data.from_dataframe(made, **{"label": "kind", "root": "pictures"} | arguments).pictures, message)


def test_a_run_from_a_frame_and_from_its_table_are_the_same(rows, tmp_path):
    data = tt.data.from_dataframe(frame(rows), label="kind", root="pictures")
    run = tt.imp(tt.Config(**SMALL, out=str(tmp_path / "runs")), data=data)
    data.save("labels.csv")
    words = [f"--{name}={value}" for name, value in SMALL.items() if name != "tensorboard"]
    place = [f"--data_dir={tmp_path}/pictures", f"--labels_file={tmp_path}/labels.csv"]
    done = main("--notensorboard", "--dataset=table", *place, f"--out={tmp_path / 'other'}", *words)
    assert done.returncode == 0, done.stderr
    theirs = pathlib.Path(str(run.folder).replace(str(tmp_path / "runs"), str(tmp_path / "other")))
    paths = [path.relative_to(run.folder) for path in pathlib.Path(run.folder).rglob("*.npz")]
    assert paths and all(pathlib.Path(run.folder, path).read_bytes() == (theirs / path).read_bytes() for path in paths)
    done = main("evaluate", run.folder)
    assert (
        done.returncode == 2
        and 'write them there with .save("images.csv") and add --labels_file=images.csv' in done.stderr
    )
    done = main("evaluate", run.folder, *place)
    assert done.returncode == 0, done.stderr
    # A run of the table finds its pictures itself, and refuses them once they are others.
    assert main("evaluate", theirs, "--evaluators=clean").returncode == 0
    save(tmp_path / "pictures/a/0.png", 77)
    done = main("evaluate", theirs, "--evaluators=fgsm")
    assert done.returncode == 2 and "cat/a/0.png has another content; restore them" in done.stderr, done.stderr
    folder.scan.cache_clear()
