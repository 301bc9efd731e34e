"""Sources give ids, labels and pixels in the original order, and say in one line what is wrong with a folder."""

import dataclasses
import io
import os
import shutil

import numpy as np
import pytest

from tf_tickets.backend import tf
from tf_tickets.data import sources, tfds_folders
from tf_tickets.errors import StateError, UsageError
from tf_tickets.registry import DATASETS

pytest.importorskip("tensorflow_datasets")

LABELS = {"train": np.arange(30, dtype=np.int64) * 7 % 10, "test": np.arange(20, dtype=np.int64) * 3 % 10}
IMAGES = {
    split: np.random.default_rng(len(labels)).integers(0, 256, (len(labels), 32, 32, 3), dtype=np.uint8)
    for split, labels in LABELS.items()
}


def _tiny_catalog(monkeypatch, train=3):
    tiny = dataclasses.replace(DATASETS["cifar10"].facts, train_counts=(train,) * 10, test_counts=(2,) * 10)
    monkeypatch.setattr(DATASETS["cifar10"], "facts", tiny)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A prepared folder with three training and two test images a class; treat as read-only."""
    data_dir = str(tmp_path_factory.mktemp("data"))

    def examples(split):
        for index, (image, label) in enumerate(zip(IMAGES[split], LABELS[split])):
            yield index, {"id": f"{split}_{index:05d}", "image": image, "label": int(label)}

    tfds_folders.build("cifar10", data_dir, lambda builder: {split: examples(split) for split in LABELS})
    return data_dir


@pytest.fixture
def copy(prepared, tmp_path):
    """A copy of the prepared folder that a test may damage: (data_dir, folder of the version)."""
    data_dir = tmp_path / "copy"
    shutil.copytree(prepared, data_dir)
    return str(data_dir), data_dir / "cifar10" / "3.0.2"


def test_prepared_folder_is_read_in_original_order(prepared, monkeypatch):
    _tiny_catalog(monkeypatch)
    source = sources.load("cifar10", prepared)
    assert source.data_set is DATASETS["cifar10"].facts
    assert source.ids == [f"train_{i:05d}" for i in range(30)]
    assert source.labels.dtype == np.int64
    np.testing.assert_array_equal(source.labels, LABELS["train"])
    images, labels = source.test()
    assert images.dtype == np.uint8 and labels.dtype == np.int64
    np.testing.assert_array_equal(images, IMAGES["test"])
    np.testing.assert_array_equal(labels, LABELS["test"])


def test_chosen_images_come_in_the_asked_order(prepared, monkeypatch):
    _tiny_catalog(monkeypatch)
    source = sources.load("cifar10", prepared)
    positions = np.array([29, 0, 7, 7])
    chosen = source.images(positions)
    assert chosen.dtype == np.uint8
    np.testing.assert_array_equal(chosen, IMAGES["train"][positions])
    assert source.images([]).shape == (0, 32, 32, 3)


def test_data_dir_defaults_to_the_environment_then_to_home(prepared, monkeypatch):
    _tiny_catalog(monkeypatch)
    monkeypatch.setenv("TFDS_DATA_DIR", prepared)
    assert len(sources.load("cifar10").ids) == 30
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", "/somewhere")
    assert sources.data_root(None) == "/somewhere/tensorflow_datasets"
    assert sources.data_root("~/data") == "/somewhere/data"


def test_other_counts_than_the_catalogs_are_refused(prepared, monkeypatch):
    _tiny_catalog(monkeypatch, train=4)
    with pytest.raises(StateError, match="30 images, not the 40") as caught:
        sources.load("cifar10", prepared)
    assert os.path.join(prepared, "cifar10", "3.0.2") in str(caught.value)


def _truncate(folder):
    path = next(folder.glob("*train.tfrecord*"))
    path.write_bytes(path.read_bytes()[:-100])


def _flip(folder):
    path = next(folder.glob("*test.tfrecord*"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        _truncate,
        _flip,
        lambda folder: next(folder.glob("*train.tfrecord*")).unlink(),
        lambda folder: next(folder.glob("*train.tfrecord*")).write_bytes(b""),
        lambda folder: (folder / "dataset_info.json").unlink(),
        lambda folder: (folder / "dataset_info.json").write_text("{"),
        lambda folder: (folder / "dataset_info.json").write_text("{}"),
    ],
    ids=["truncated", "flipped", "file missing", "file empty", "info missing", "info damaged", "info empty"],
)
def test_damaged_folders_are_named_with_the_fix(copy, damage, monkeypatch):
    _tiny_catalog(monkeypatch)
    data_dir, folder = copy
    damage(folder)
    with pytest.raises(StateError) as caught:
        sources.load("cifar10", data_dir)
    message = str(caught.value)
    assert message.startswith(f"{folder} is damaged (") and "\n" not in message
    assert f"delete it, then python -m tf_tickets.main prepare cifar10 --archive=FILE --data_dir={data_dir}" in message


def test_a_picture_of_another_size_is_damage(prepared, monkeypatch):
    _tiny_catalog(monkeypatch)
    other = dataclasses.replace(DATASETS["cifar10"].facts, image_shape=(16, 16, 3))
    monkeypatch.setattr(DATASETS["cifar10"], "facts", other)
    with pytest.raises(StateError, match="is damaged"):
        sources.load("cifar10", prepared).images([0])


def test_without_a_network_both_ways_out_are_named_and_nothing_is_left(tmp_path, monkeypatch, capfd):
    import requests

    def unreachable(*_, **options):
        assert options["timeout"] <= 10.0
        raise requests.ConnectionError("no such host")

    monkeypatch.setattr(requests, "get", unreachable)
    data_dir = tmp_path / "deep" / "data"
    with pytest.raises(UsageError) as caught:
        sources.load("cifar10", str(data_dir))
    message = str(caught.value)
    assert f"cifar10 is not prepared in {data_dir}" in message and "run once where the network is" in message
    assert f"python -m tf_tickets.main prepare cifar10 --archive=FILE --data_dir={data_dir}" in message
    assert DATASETS["cifar10"].accepted in message and "ConnectionError" in message and "\n" not in message
    assert not (tmp_path / "deep").exists()
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("status", [404, 503])
def test_an_answer_that_is_no_download_is_named(tmp_path, monkeypatch, status):
    import requests

    response = requests.Response()
    response.status_code, response.raw = status, io.BytesIO()
    monkeypatch.setattr(requests, "get", lambda *_, **options: response)
    with pytest.raises(UsageError, match=f"answers {status}"):
        sources.load("cifar10", str(tmp_path / "data"))


def test_a_download_that_breaks_off_leaves_nothing(tmp_path, monkeypatch):
    from tensorflow_datasets.core.download import downloader

    def broken(*_, **options):
        raise OSError("connection lost\nhalf way")

    monkeypatch.setattr(tfds_folders, "check_server", lambda name: None)
    monkeypatch.setattr(downloader, "_open_with_requests", broken)
    with pytest.raises(UsageError, match="connection lost half way"):
        sources.load("cifar10", str(tmp_path / "data"))
    assert not (tmp_path / "data").exists()


def test_digits_split_and_scale():
    source = sources.load("digits", "/unused")
    images, labels = source.test()
    assert source.ids[0] == "digits_0000" and source.ids[-1] == "digits_1196"
    assert source.labels.shape == (1197,) and source.labels.dtype == np.int64 and labels.shape == (600,)
    assert images.shape == (600, 8, 8, 1) and images.dtype == np.uint8
    from sklearn.datasets import load_digits

    values = load_digits().images
    expected = np.array([round(v * 255 / 16) for v in range(17)], np.uint8)
    np.testing.assert_array_equal(source.images([5, 2])[..., 0], expected[values[[5, 2]].astype(int)])
    np.testing.assert_array_equal(images[..., 0], expected[values[1197:].astype(int)])
    pixels = source.images(range(1197)) / 255.0
    data_set = source.data_set
    assert (round(pixels.mean(), 4), round(pixels.std(), 4)) == (data_set.mean[0], data_set.deviation[0])


@pytest.mark.parametrize("shape", [(5, 8, 9, 3), (8, 9, 3), (4, 3)])
def test_normalising_is_the_same_bits_by_channel(shape):
    facts = DATASETS["cifar10"].facts
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.float32)
    mean, deviation = np.float32(facts.mean), np.float32(facts.deviation)
    expected = (pixels / np.float32(255.0) - mean) / deviation
    np.testing.assert_array_equal(facts.normalise(pixels), expected)


def test_images_of_unknown_size_are_normalised_too():
    facts = DATASETS["cifar10"].facts
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3)).astype(np.float32)
    unknown = tf.function(facts.normalise, input_signature=[tf.TensorSpec([None, None, None, 3])])
    np.testing.assert_allclose(unknown(pixels), facts.normalise(pixels), rtol=1e-5, atol=1e-6)
