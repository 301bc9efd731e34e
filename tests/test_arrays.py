"""Images that are arrays already: in an .npz and from Python, the same runs; what cannot be used is refused."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pandas
import pytest
from conftest import ROOT

import tf_tickets as tt
from tf_tickets import runs, storage
from tf_tickets.data import image_arrays, sources
from tf_tickets.errors import UsageError
from tf_tickets.settings.places import Place

SMALL = {
    "model": "vgg11", "width": 2, "epochs": 2, "rounds": 2, "rewind": "init", "batch_size": 8, "progress": "none",
    "tensorboard": False,
}  # fmt: skip
CLASSES = ("cat", "dog")


def images(seed, count=20, shape=(8, 8, 3)):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


X, Y = images(0), np.arange(20) % 2
TEST = images(1, 6), np.arange(6) % 2


def given():
    return tt.data.from_arrays(X, Y, test=TEST, class_names=CLASSES)


def written(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def main(*words):
    return subprocess.run(
        [sys.executable, "-m", "tf_tickets.main", *map(str, words)], capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("arrays") / "x.npz"
    given().save(path)
    return str(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tt.imp(tt.Config(**SMALL, out=str(tmp_path_factory.mktemp("runs"))), data=given())


def test_arrays_become_a_data_set_of_the_images_as_they_are(file):
    source = sources.load("arrays", Place(data_file=file))
    facts = source.data_set
    assert (facts.labels, facts.image_shape, facts.stem, facts.own) == (CLASSES, (8, 8, 3), "small", True)
    assert (facts.train_counts, facts.test_counts) == ((10, 10), (3, 3))
    np.testing.assert_array_equal(source.images(np.arange(20)), X)
    np.testing.assert_array_equal(source.test()[0], TEST[0])
    assert source.labels.tolist() == Y.tolist() and source.test()[1].tolist() == TEST[1].tolist()
    assert source.ids[1] == "train/dog/000001" and source.test_ids[0] == "test/cat/000000"


def test_without_test_arrays_a_fifth_of_each_class_tests_and_that_is_said(tmp_path):
    data = tt.data.from_arrays(X, Y)
    assert data.pictures.data_set.test_counts == (2, 2) and data.pictures.data_set.train_counts == (8, 8)
    assert "a fifth of each class" in data.pictures.notices[0] and "a fifth of each class will test" in repr(data)
    path = written(tmp_path / "x.npz", train_images=X, train_labels=Y)
    source = sources.load("arrays", Place(data_file=path))
    assert source.notices == data.pictures.notices
    held = {name: image.tobytes() for name, image in zip(source.test_ids, source.test()[0])}
    order = np.arange(len(X))[::-1]
    turned = sources.load(
        "arrays", Place(data_file=written(tmp_path / "y.npz", train_images=X[order], train_labels=Y[order]))
    )
    # Content chooses, not the order.
    assert {image.tobytes() for image in turned.test()[0]} == set(held.values())
    done = main(
        "--dataset=arrays", f"--data_file={path}", "--model=vgg11", "--width=2", f"--out={tmp_path / 'r'}", "--dry_run"
    )
    assert done.returncode == 0 and "a fifth of each class" in done.stdout and "16 training images" in done.stdout


def test_the_plan_needs_no_tensorflow(command, file, tmp_path):
    done = command(tmp_path, "--dataset=arrays", f"--data_file={file}", "--model=vgg11", "--width=2", "--dry_run")
    assert done.returncode == 0, done.stderr
    assert "data        arrays: 20 training images, 10 per class; 6 test images" in done.stdout
    assert "26 given as arrays: 8x8 pixels, colour" in done.stdout


def tensor(array):
    from tf_tickets.backend import tf

    return tf.constant(array)


def torch_tensor(array):
    return pytest.importorskip("torch").from_numpy(np.array(array))


@pytest.mark.parametrize("x", [
    X.astype(np.int64), X.tolist(), list(X), X.astype(np.uint16), tensor(X), pytest.param("torch", id="torch"),
])  # fmt: skip
def test_images_are_taken_where_that_is_safe(x):
    x = torch_tensor(X) if isinstance(x, str) else x
    assert tt.data.from_arrays(x, Y).pictures.digest == tt.data.from_arrays(X, Y).pictures.digest


@pytest.mark.parametrize("y", [
    Y.astype(np.uint8), Y.tolist(), Y[:, None], np.eye(2)[Y], np.eye(2, dtype=bool)[Y], Y.astype(bool), tensor(Y),
    np.array(CLASSES)[Y], np.array(CLASSES)[Y].tolist(), np.array(CLASSES).astype("S")[Y], pandas.Series(Y),
    pandas.Series(np.array(CLASSES)[Y]), np.array(CLASSES, object)[Y], np.array(Y.tolist(), object),
    pandas.Series(np.array(CLASSES)[Y]).astype("category"),
])  # fmt: skip
def test_labels_are_taken_where_that_is_safe(y):
    data = tt.data.from_arrays(X, y, class_names=CLASSES)
    assert data.pictures.digest == tt.data.from_arrays(X, Y, class_names=CLASSES).pictures.digest


def test_grey_images_need_no_channels_and_numbers_name_themselves():
    data = tt.data.from_arrays(X[..., 0], Y)
    assert data.pictures.data_set.image_shape == (8, 8, 1) and data.classes == ("0", "1")
    assert tt.data.from_arrays(X, np.array(["b", "a"] * 10)).classes == ("a", "b")


def test_a_value_shows_what_it_is():
    first, *rows = repr(given()).splitlines()
    assert first == "<ImageArrays: 20 training images, 6 test images; 8x8 pixels, colour>"
    assert [row.split() for row in rows] == [["class", "train", "test"], ["cat", "10", "3"], ["dog", "10", "3"]]


def test_everything_that_makes_the_content_is_in_the_name():
    def digest(x=X, y=Y, test=TEST, class_names=CLASSES):
        return tt.data.from_arrays(x, y, test=test, class_names=class_names).pictures.digest

    changed = X.copy()
    changed[3, 0, 0, 0] ^= 1
    order = [1, 0, *range(2, 20)]
    digests = [
        digest(), digest(x=changed), digest(x=X[order]), digest(y=1 - Y), digest(test=(TEST[0][::-1], TEST[1])),
        digest(class_names=("cat", "fox")),
        digest(y=1 - Y, test=(TEST[0], 1 - TEST[1]), class_names=CLASSES[::-1]),
        digest(test=None),
        digest(x=X.reshape(20, 4, 16, 3), test=(TEST[0].reshape(6, 4, 16, 3), TEST[1])),
    ]  # fmt: skip
    assert len(set(digests)) == len(digests)
    assert digest(x=X.copy()) == digests[0]


def test_later_changes_of_the_program_s_arrays_change_nothing():
    mutable = X.copy()
    data = tt.data.from_arrays(mutable, Y)
    mutable[:] = 7
    assert data.pictures.digest == tt.data.from_arrays(X, Y).pictures.digest


def test_a_test_image_that_trains_is_said():
    data = tt.data.from_arrays(X, Y, test=(X[:2], Y[:2]))
    assert data.pictures.notices == (
        "2 of the test images, such as test/0/000000, are training images too: the test says too much",
    )


def all_bytes(folder):
    """{path: bytes} of what a run computed, without what says where and when."""
    kept = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if path.is_file() and path.name not in ("config.cfg", "lock", ".lock") and path.suffix != ".md":
            kept[str(path.relative_to(folder))] = path.read_bytes()
    return kept


def test_a_run_from_python_and_from_the_command_line_are_the_same_run(run, file, tmp_path):
    words = [f"--{name}={value}" for name, value in SMALL.items() if name != "tensorboard"]
    done = main("--notensorboard", "--dataset=arrays", f"--data_file={file}", f"--out={tmp_path}", *words)
    assert done.returncode == 0, done.stderr
    ours = runs.RunFolder(run.folder)
    theirs = runs.RunFolder(str(tmp_path / ours.name))
    assert os.path.isdir(theirs.folder)
    for name in ("pictures.csv", "subset.csv", "data.json"):
        assert pathlib.Path(ours.folder, name).read_bytes() == pathlib.Path(theirs.folder, name).read_bytes()
    arrays = [path.relative_to(ours.folder) for path in pathlib.Path(ours.folder).rglob("*.npz")]
    assert len(arrays) >= 4
    for path in arrays:
        assert pathlib.Path(ours.folder, path).read_bytes() == pathlib.Path(theirs.folder, path).read_bytes(), path
    # It is complete for either.
    assert tt.imp(tt.Config(**SMALL, out=str(tmp_path)), data=given()).folder == theirs.folder


def test_what_takes_a_run_takes_its_data(run, file, tmp_path):
    rows = tt.evaluate(run, data=given())
    assert rows["n"].max() == 6
    assert tt.evaluate(run, data_file=file).equals(rows)
    text = tt.export(run, ["runtime"], out=tmp_path / "e", data=given())
    assert "runtime" in text and "noise" not in text
    assert tt.predict(run, TEST[0]).columns.tolist() == list(CLASSES)
    page = pathlib.Path(tt.report(run, out=tmp_path / "report").page).read_text()
    assert "arrays" in page and "python:" not in page


def test_a_later_command_says_how_images_from_python_are_given(run, file):
    for words in (["evaluate", run.folder], [f"--flagfile={run.folder}/config.cfg", "--progress=none"]):
        done = main(*words, *(["--evaluators=fgsm"] if words[0] == "evaluate" else []))
        assert done.returncode == 2 and done.stderr.count("tf-tickets: ") == 1, done.stderr
        assert (
            'were given from Python: give data= again, or write them there with .save("images.npz") and add '
            in done.stderr
        )
        assert "--data_file=images.npz" in done.stderr
    done = main("evaluate", run.folder, f"--data_file={file}")
    assert done.returncode == 0, done.stderr
    done = main(f"--flagfile={run.folder}/config.cfg", "--progress=none", f"--data_file={file}")
    assert done.returncode == 0, done.stderr


def test_changed_arrays_are_another_run_and_refused_for_this_one(run, tmp_path):
    changed = X.copy()
    changed[0, 0, 0, 0] ^= 1
    data = tt.data.from_arrays(changed, Y, test=TEST, class_names=CLASSES)
    with pytest.raises(
        UsageError, match="data= does not hold the pictures of .* as they were: train/cat/000000 has another"
    ):
        tt.evaluate(run, data=data)
    path = tmp_path / "x.npz"
    data.save(path)
    done = main("evaluate", run.folder, f"--data_file={path}", "--evaluators=fgsm")
    assert done.returncode == 2 and "has another content; restore them" in done.stderr
    with pytest.raises(UsageError, match="8, 8, 1"):
        tt.evaluate(run, data=tt.data.from_arrays(X[..., :1], Y))


def test_a_file_that_changes_between_two_calls_is_read_again(tmp_path):
    path = tmp_path / "x.npz"
    first = sources.facts_of(tt.Config(dataset="arrays", data_file=given().save(path) or str(path)).data)
    tt.data.from_arrays(X[:12], Y[:12]).save(path)
    assert sources.facts_of(tt.Config(dataset="arrays", data_file=str(path)).data) != first


# What is wrong, and what the line says of it and of the way out.
WRONG_IMAGES = {
    "float in [0, 1]": (X / 255, r"float64 from 0 to 1; multiply by 255 and cast: \(images \* 255\)"),
    "float to 255": (X.astype(np.float32), r"float32 from 0 to 255; cast: images\.round\(\)\.astype\('uint8'\)"),
    "normalised": (X / 127.5 - 1, "is normalised; give the pixels before that"),
    "NaN": (np.where(X == X[0, 0, 0, 0], np.nan, X), "with NaN or infinity; repair"),
    "0 and 1": ((X > 127).astype(np.uint8), "no value above 1, and white is 255; multiply by 255, before the cast"),
    "bool": (X > 127, r"bool is no kind of pixel; write images\.astype\('uint8'\) \* 255"),
    "16 bits": (X.astype(np.uint16) * 257, r"from 0 to 255; scale it to those; of 16 bits write \(images // 257"),
    "negative": (X.astype(int) - 5, "goes from -5 to 250, and pixels from 0 to 255"),
    "channels first": (np.transpose(X, (0, 3, 1, 2)), r"np\.transpose\(images, \(0, 2, 3, 1\)\)"),
    "flat": (X.reshape(20, -1), r"flat images; give them back their sides, such as \.reshape\(-1, 28, 28\)"),
    "five axes": (X[None], r"is not \[n, height, width, channels\]"),
    "none": (X[:0], "holds no image"),
    "channels": (np.zeros((20, 8, 8, 40), np.uint8), "40 channels"),
    "objects": (np.array([X[0], X[1], None], object), "different sizes|array of objects"),
    "different sizes": ([X[0], X[1][:5]], r"different sizes, such as \[5, 8, 3\] and \[8, 8, 3\]; resize them to one"),
    "generator": ((image for image in X), r"a generator is no array; collect it first, such as np\.stack"),
    "function": (lambda: X, "a generator is no array"),
    "path": ("x.npz", "is no array; for a file of arrays use --dataset=arrays --data_file=FILE.npz"),
    "None": (None, "nothing is given; give a numpy array"),
    "dict": ({"image": X}, "a dict is no array; give one array of all images"),
    "text": (np.array(["a"] * 20), "shape|no kind of pixel"),
}  # fmt: skip
WRONG_LABELS = {
    "length": (Y[:-1], "19 labels for 20 images; give one label for each image"),
    "float": (Y.astype(float), r"float64 is no kind of label; cast: labels\.astype\('int64'\)"),
    "regression": (Y + 0.5, "holds 0.5: regression is not supported; give one class per image"),
    "negative": (Y - 1, "row 0 is -1; labels count from 0: leave such images out"),
    "NaN": (np.where(Y == 0, np.nan, Y), "row 0 is nan; give it a class, or leave the image out"),
    "None": (np.array([None, *Y[1:]], object), "row 0 has no label; give one, or leave the image out"),
    "from 1": (Y + 1, "from 1 to 2, and labels count from 0; subtract 1"),
    "empty class": (Y * 2, r"class 1 \('1'\) has no training images; add some, or leave the class out"),
    "one class": (Y * 0, "one class, '0'; give images of two classes or more"),
    "multi-label": (np.ones((20, 3), int), "image 0 has several classes: multi-label is not supported"),
    "no class": (np.zeros((20, 3), int), "image 0 has no class; give one class per image"),
    "probabilities": (np.full((20, 4), 0.25), r"probabilities of classes are not supported; write labels\.argmax"),
    "boxes": (np.full((20, 4), 7.5), "boxes of detection and regression are not supported"),
    "boxes of images": (np.zeros((20, 5, 4)), "detection and segmentation are not supported"),
    "lists of boxes": ([{"box": [0, 0, 1, 1]}] * 20, "multi-label and detection are not supported"),
    "ragged": ([[0], [0, 1]] * 10, "labels"),
    "empty text": (["", "dog"] * 10, "row 0 has an empty label"),
    "dates": (np.array(["2020-01-01"] * 20, "datetime64[D]"), "is no kind of label; give whole numbers or text"),
}  # fmt: skip


def refused(call, message):
    with pytest.raises(UsageError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("case", WRONG_IMAGES)
def test_images_that_cannot_be_used_are_refused_with_what_to_write(case):
    value, message = WRONG_IMAGES[case]
    refused(lambda: tt.data.from_arrays(value, Y), f"^training images: .*({message})")


@pytest.mark.parametrize("case", WRONG_LABELS)
def test_labels_that_cannot_be_used_are_refused_with_what_to_write(case):
    value, message = WRONG_LABELS[case]
    refused(lambda: tt.data.from_arrays(X, value), message)


@pytest.mark.parametrize(("changes", "message"), [
    ({"test": (TEST[0], TEST[1] + 1)}, "test labels: label 2, which no training image has: leave such images out"),
    ({"test": (TEST[0], ["cat"] * 6)}, "one has text and the other numbers; give both the same kind"),
    ({"test": (TEST[0][:, :4], TEST[1])}, r"test images: \[4, 8, 3\], and the training images are \[8, 8, 3\]"),
    ({"test": (TEST[0] / 255, TEST[1])}, "test images: float64 from 0 to 1"),
    ({"test": TEST[0]}, r"test: a ndarray is no pair; give \(x_test, y_test\)"),
    ({"class_names": ["cat"]}, "class_names: 1 names, and training labels go up to 1; give 2 names"),
    ({"class_names": ["cat", "dog", "fox"]}, r"class 2 \('fox'\) has no training images"),
    ({"class_names": ["cat", "cat"]}, "class_names: 'cat' is there twice"),
    ({"class_names": ["cat", 3]}, "class_names: 3 is no list of names"),
    ({"class_names": "ab"}, "class_names: ab is no list of names"),
    ({"class_names": [b"cat", None]}, "class_names: None is no list of names; give a list of str"),
    ({"class_names": ["cat", "a\nb"]}, "rename it"),
])  # fmt: skip
def test_other_arguments_that_cannot_be_used_are_refused(changes, message):
    refused(lambda: tt.data.from_arrays(X, Y, **changes), message)


def test_text_labels_have_to_be_named():
    text = np.array(CLASSES)[Y]
    refused(lambda: tt.data.from_arrays(X, text, class_names=["cat", "fox"]), "'dog' is no class of cat, fox; name it")
    refused(
        lambda: tt.data.from_arrays(X, text, test=(TEST[0], ["fox"] * 6)), "test labels: 'fox' is no class of cat, dog"
    )


@pytest.mark.parametrize(("arrays", "message"), [
    ({"x": X, "y": Y}, "has no train_images (it holds x, y): give the arrays train_images and train_labels"),
    ({"train_images": X, "train_labels": Y, "test_images": X}, "has no test_labels"),
    ({"train_images": X, "train_labels": Y, "labels": Y}, "has labels, which nothing reads"),
    ({"train_images": X, "train_labels": np.array([{}] * 20)}, "train_labels is pickled objects, which are never read"),
    ({"train_images": X / 255, "train_labels": Y}, "train_images: float64 from 0 to 1; multiply by 255"),
    ({"train_images": X, "train_labels": Y + 1}, "train_labels: from 1 to 2"),
    ({"train_images": X, "train_labels": Y, "class_names": np.array(["a"])}, "class_names: 1 names"),
])  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused(command, tmp_path, arrays, message):
    path = written(tmp_path / "x.npz", **arrays)
    done = command(tmp_path, "--dataset=arrays", f"--data_file={path}", "--model=vgg11", "--dry_run")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"--data_file={path}" in done.stderr or "class_names" in message
    assert message in done.stderr


@pytest.mark.parametrize(("words", "message"), [
    (["--dataset=arrays"], "--dataset=arrays needs --data_file=FILE.npz"),
    (["--dataset=arrays", "--data_file=none.npz"], "--data_file=none.npz cannot be read (No such file"),
    (["--dataset=arrays", "--data_file=text.npz"], "--data_file=text.npz is no .npz: write it with np.savez"),
    (["--dataset=arrays", "--data_file=."], ". is a folder, not a regular file; put one in its place"),
    (["--dataset=arrays", "--data_file=cut.npz"], "--data_file=cut.npz is"),
    (["--dataset=digits", "--data_file=x.npz"], "--data_file=x.npz belongs to --dataset=arrays, not digits"),
    (["--data_file=x.npz"], "--data_file=x.npz belongs to --dataset=arrays, not cifar10"),
    (["--dataset=arrays", "--data_file=x.npz", "--per_class=50"], "--per_class=50"),
    (["--dataset=arrays", "--data_file=python:0"], "the images were given from Python: give data= again"),
    (["--dataset=arrays", "--data_file=x.npz", "--validation=official"], "no validation part; use a fraction"),
])  # fmt: skip
def test_flags_that_cannot_be_used_are_refused(command, tmp_path, words, message):
    given().save(tmp_path / "x.npz")
    (tmp_path / "text.npz").write_text("no")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "x.npz").read_bytes()[:3000])
    done = command(tmp_path, *words, "--model=vgg11", "--dry_run")
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_what_is_no_data_is_refused(tmp_path):
    config = tt.Config(**SMALL, out=str(tmp_path))
    refused(lambda: tt.imp(config, data=(X, Y)), r"data: tuple is no data; give tt.data.from_arrays\(images, labels\)")
    refused(
        lambda: tt.train(config.replace(dataset="digits"), data=given()), "data= and dataset=digits exclude each other"
    )
    refused(lambda: given().save(tmp_path / "x.npy"), "does not end in .npz")
    assert not list(tmp_path.iterdir())
    (tmp_path / "text").write_text("no folder")
    with pytest.raises(tt.errors.StateError, match="cannot be written"):
        given().save(tmp_path / "text" / "x.npz")


def test_members_cut_short_are_damage(tmp_path):
    given().save(tmp_path / "x.npz")
    data = bytearray((tmp_path / "x.npz").read_bytes())
    data[200:400] = bytes(200)
    (tmp_path / "x.npz").write_bytes(data)
    refused(lambda: image_arrays.read(str(tmp_path / "x.npz")), "is damaged .*: write it again with np.savez")


def test_a_killed_run_goes_on_with_the_same_bits(run, file, tmp_path):
    config = tt.Config(**SMALL, out=str(tmp_path), dataset="arrays", data_file=file)
    asked = iter([False, True])
    with pytest.raises(tt.errors.StopRequested):
        tt.imp(config, lambda: next(asked, True))
    finished = tt.imp(tt.Config(**SMALL, out=str(tmp_path)), data=given())
    for path in pathlib.Path(run.folder).rglob("ticket/*.npz"):
        assert path.read_bytes() == pathlib.Path(finished.folder, path.relative_to(run.folder)).read_bytes()
    assert storage.read_csv(runs.RunFolder(finished.folder).pictures)


def dataset(x=X, y=Y):
    from tf_tickets.backend import tf

    return tf.data.Dataset.from_tensor_slices((x, y))


def unshaped(elements):
    from tf_tickets.backend import tf

    specs = (tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((), tf.int64))
    return tf.data.Dataset.from_generator(lambda: iter(elements), output_signature=specs)


def test_a_tf_data_set_is_taken_batched_or_not():
    expected = given().pictures.digest
    test = dataset(*TEST)
    names = np.array(CLASSES)
    for train in (
        dataset(), dataset().batch(7), dataset().batch(5, drop_remainder=True), dataset(y=np.eye(2)[Y]),
        dataset(y=np.eye(2)[Y]).batch(7), dataset(y=Y[:, None]), unshaped(zip(X, Y)), dataset().repeat(1).prefetch(2),
    ):  # fmt: skip
        data = tt.data.from_dataset(train, test=test.batch(4), class_names=CLASSES)
        assert data.pictures.digest == expected
    assert tt.data.from_dataset(dataset(y=names[Y]), test=dataset(TEST[0], names[TEST[1]])).pictures.digest == expected
    grey = tt.data.from_arrays(X[..., 0], Y).pictures.digest
    for train in (dataset(X[..., 0]), dataset(X[..., 0]).batch(7), dataset(X[..., :1]).batch(7)):
        assert tt.data.from_dataset(train).pictures.digest == grey


@pytest.mark.parametrize(("make", "message"), [
    (lambda: dataset().repeat(), r"the data set never ends; leave out \.repeat\(\), or write \.take\(n\)"),
    (lambda: dataset().map(lambda x, y: {"image": x, "label": y}), r"dicts of image, label; write dataset\.map"),
    (lambda: dataset().batch(2).batch(2), r"batched twice; write \.unbatch\(\) once"),
    (lambda: dataset().map(lambda x, y: x), r"no pairs of \(image, label\); write dataset\.map"),
    (lambda: dataset().map(lambda x, y: (x, y, y)), r"no pairs of \(image, label\)"),
    (lambda: dataset().take(0), "holds nothing; give one with images"),
    (lambda: unshaped([(X[0], 0), (X[1][:5], 1)]), r"different sizes, such as \[5, 8, 3\] and \[8, 8, 3\]; resize"),
    (lambda: dataset(X / 255), "float64 from 0 to 1; multiply by 255"),
    (lambda: (X, Y), "a tuple is no tf.data.Dataset; for arrays use tt.data.from_arrays"),
])  # fmt: skip
def test_a_tf_data_set_that_cannot_be_used_is_refused(make, message):
    refused(lambda: tt.data.from_dataset(make()), message)


def test_a_tf_data_set_is_no_array():
    refused(lambda: tt.data.from_arrays(dataset(), Y), "a tf.data.Dataset is no array; give it to tt.data.from_dataset")


def test_one_network_is_trained_on_given_images(tmp_path):
    data = given()
    run = tt.train(tt.Config(**SMALL | {"rounds": 1}, out=str(tmp_path)), data=data)
    # They are known for as long as the program keeps them.
    assert "arrays-vgg11" in run.folder and tt.evaluate(run)["n"].max() == 6
