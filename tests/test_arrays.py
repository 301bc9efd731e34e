"""Images that are arrays already: in an .npz and from Python, the same runs."""

import os
import pathlib

import command_server
import numpy as np
import pandas
import pytest
from conftest import ROOT
from own_arrays import CLASSES, SMALL, TEST, X, Y, given, refused, written

import tf_tickets as tt
from tf_tickets import runs, storage
from tf_tickets.data import sources
from tf_tickets.errors import UsageError
from tf_tickets.settings.places import Place


def main(*words):
    return command_server.loaded().run(ROOT, words)


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


def test_an_image_in_two_classes_is_said():
    twice = X.copy()
    twice[int(np.flatnonzero(Y == 1)[0])] = twice[int(np.flatnonzero(Y == 0)[0])]
    (said,) = tt.data.from_arrays(twice, Y, test=TEST).pictures.notices
    assert said.startswith("1 images are there in another class too, such as train/") and said.count("train/") == 2
    assert not tt.data.from_arrays(X, Y, test=TEST).pictures.notices


class OnDevice:
    """As an array on a GPU: numpy is refused, with CuPy's words."""

    def __array__(self, *arguments, **named):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")


class TensorOnDevice(OnDevice):
    """As PyTorch's tensor on a GPU, which `cpu` brings back."""

    def detach(self):
        return self

    def cpu(self):
        return X


def test_what_is_on_a_device_is_brought_back_or_refused_with_what_to_write():
    assert tt.data.from_arrays(TensorOnDevice(), Y).pictures.digest == tt.data.from_arrays(X, Y).pictures.digest
    refused(lambda: tt.data.from_arrays(OnDevice(), Y), r"training images: OnDevice is no array .*use `.get\(\)`")


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


def test_a_killed_run_goes_on_with_the_same_bits(run, file, tmp_path):
    config = tt.Config(**SMALL, out=str(tmp_path), dataset="arrays", data_file=file)
    asked = iter([False, True])
    with pytest.raises(tt.errors.StopRequested):
        tt.imp(config, lambda: next(asked, True))
    finished = tt.imp(tt.Config(**SMALL, out=str(tmp_path)), data=given())
    for path in pathlib.Path(run.folder).rglob("ticket/*.npz"):
        assert path.read_bytes() == pathlib.Path(finished.folder, path.relative_to(run.folder)).read_bytes()
    assert storage.read_csv(runs.RunFolder(finished.folder).pictures)


def test_one_network_is_trained_on_given_images(tmp_path):
    data = given()
    run = tt.train(tt.Config(**SMALL | {"rounds": 1}, out=str(tmp_path)), data=data)
    # They are known for as long as the program keeps them.
    assert "arrays-tests-two" in run.folder and tt.evaluate(run)["n"].max() == 6
