"""Every prepared data set in its true format, made small: loaded, counted, compared, and trained on."""

import gzip
import io
import lzma
import os
import shutil
import tarfile
import zipfile

import miniatures
import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

import tf_tickets as tt
from tf_tickets import runs, storage
from tf_tickets.data import archives, pipeline, prepare, sources
from tf_tickets.errors import UsageError
from tf_tickets.evaluation import published_sets
from tf_tickets.registry import DATASETS

SPLIT_SETS = tuple(miniatures.STEMS)

ONE_ROUND = {
    "model": "vgg11", "width": 2, "epochs": 2, "batch_size": 4, "rounds": 1, "rewind": "init", "progress": "none",
    "tensorboard": False,
}  # fmt: skip


def prepared(monkeypatch, tmp_path, name):
    """A small split-file set, prepared: (facts, written, data_dir)."""
    changes = {"image_shape": (32, 32, DATASETS[name].facts.image_shape[2])}
    facts = miniatures.small(monkeypatch, name, **({} if "eurosat" in name else changes))
    (tmp_path / "raw").mkdir()
    written = miniatures.split_files(tmp_path / "raw", facts)
    prepare.prepare(name, str(tmp_path / "raw"), str(tmp_path / "data"))
    return facts, written, str(tmp_path / "data")


def trained_once(name, tmp_path):
    """One round on a prepared set."""
    values = ONE_ROUND | {"dataset": name, "data_dir": str(tmp_path / "data"), "out": str(tmp_path / "runs")}
    return tt.imp(tt.Config.from_values(**values))


def decoded(stored, facts):
    """Stored pictures of any size as Pillow reads them."""
    pictures = [np.asarray(Image.open(io.BytesIO(data))) for data in stored]
    return [picture.reshape(*picture.shape[:2], facts.image_shape[2]) for picture in pictures]


@pytest.mark.parametrize("name", SPLIT_SETS)
def test_a_split_file_set_is_loaded_counted_and_trained_on(monkeypatch, tmp_path, name):
    facts, written, data_dir = prepared(monkeypatch, tmp_path, name)
    source = sources.load(name, data_dir)
    assert [i.split(" ", 1)[1] for i in source.ids] == [stem for stem, _, _ in written["train"]]
    assert source.labels.tolist() == [label for _, label, _ in written["train"]]
    assert source.held.sum() == miniatures.VAL * facts.classes
    assert all("_46" in i or not i.startswith("eurosat") for i in np.array(source.ids)[source.held])
    stored, labels = source.test()
    assert labels.tolist() == [label for _, label, _ in written["test"]]
    if name == "cub":
        assert source.data_set.labels == ("001.Bird_0", "002.Bird_1", "003.Bird_2")
    images = decoded(stored, facts) if facts.encoded else stored
    lossless = name in ("clamm", "eurosat_all")
    for found, (_, _, pixels) in zip(images, written["test"], strict=True):
        assert found.shape == pixels.shape and found.dtype == pixels.dtype
        assert np.abs(found.astype(int) - pixels).max() <= (0 if lossless else 6)
    values = ONE_ROUND | {"dataset": name, "data_dir": data_dir, "out": str(tmp_path / "runs")}
    result = tt.imp(tt.Config.from_values(**values, validation="official"))
    rows = storage.read_csv(runs.RunFolder(result.folder).subset)
    assert sum(row["part"] == "validation" for row in rows) == miniatures.VAL * facts.classes
    assert result.table.validation_accuracy.notna().all()
    ticket = tt.Ticket.load(result.best.folder)
    seen = np.zeros((2, *facts.image_shape), facts.dtype)
    assert ticket.predict(seen).shape == (2, facts.classes) and ticket.labels == source.data_set.labels


def test_13_bands_are_measured_on_the_training_images(monkeypatch, tmp_path):
    facts, written, data_dir = prepared(monkeypatch, tmp_path, "eurosat_all")
    values = ONE_ROUND | {"dataset": "eurosat_all", "data_dir": data_dir, "out": str(tmp_path / "runs")}
    result = tt.imp(tt.Config.from_values(**values))
    pixels = np.stack([p for _, _, p in written["train"]]) / 10000.0
    ticket = tt.Ticket.load(os.path.join(result.folder, "ticket"))
    np.testing.assert_allclose(ticket.data["mean"], pixels.mean(axis=(0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(ticket.data["deviation"], pixels.std(axis=(0, 1, 2)), atol=1e-5)
    served = tt.backend.tf.saved_model.load(os.path.join(result.folder, "ticket")).signatures["serving_default"]
    images = np.stack([p for _, _, p in written["test"]])
    np.testing.assert_allclose(
        served(images=tt.backend.tf.constant(images))["probabilities"], ticket.predict(images), atol=1e-5
    )
    with pytest.raises(UsageError, match="'rand' works on grey levels of 8 bits"):
        tt.imp(tt.Config.from_values(**values | {"augment": "crop(8)|rand(2)"}))


def test_pictures_of_any_size_become_crops(monkeypatch, tmp_path):
    facts, written, data_dir = prepared(monkeypatch, tmp_path, "clamm")
    source = sources.load("clamm", data_dir)
    images = pipeline.Images(source.images(np.arange(4)), source.labels[:4], np.arange(4))
    middle = pipeline.evaluation_pixels(images, slice(0, 4), facts)
    for found, (_, _, pixels) in zip(middle, written["train"]):
        scale = 37 / min(pixels.shape[:2])  # 32 x 256 / 224, rounded
        size = [round(side * scale) for side in pixels.shape[1::-1]]
        shrunk = np.asarray(Image.fromarray(pixels[..., 0]).resize(size, Image.Resampling.BILINEAR))
        top, left = (shrunk.shape[0] - 32) // 2, (shrunk.shape[1] - 32) // 2
        assert np.abs(found[..., 0] - shrunk[top : top + 32, left : left + 32]).max() <= 2
    augmenter = tt.augment.augmenter("resized_crop(0.2)|flip", facts.image_shape)
    keys, one_hot = tt.augment.keys(0, 0, 0, np.arange(4)), np.eye(4, dtype=np.float32)
    encoded = tt.backend.tf.constant(images.pixels.tolist())
    whole, _ = augmenter(encoded, one_hot, tt.backend.tf.constant(keys))
    part, _ = augmenter(encoded[2:], one_hot[2:], tt.backend.tf.constant(keys[2:]))
    np.testing.assert_array_equal(whole[2:], part)
    assert whole.shape == (4, 32, 32, 1) and (whole.numpy() != middle).any()


@pytest.mark.parametrize("archive", ["folder", "zip", "tar"])
def test_cifair_s_batches(monkeypatch, tmp_path, archive):
    miniatures.small(monkeypatch, "cifair10")
    facts = DATASETS["cifair10"].facts
    raw = tmp_path / "ciFAIR-10"
    raw.mkdir()
    written, path = miniatures.batches(raw, facts), raw
    if archive == "zip":
        path = tmp_path / "ciFAIR-10.zip"
        with zipfile.ZipFile(path, "w") as file:
            for part in sorted(raw.iterdir()):
                file.write(part, f"ciFAIR-10/{part.name}")
    if archive == "tar":
        path = tmp_path / "ciFAIR-10.tar.gz"
        with tarfile.open(path, "w:gz") as file:
            file.add(raw, "ciFAIR-10")
    prepare.prepare("cifair10", str(path), str(tmp_path / "data"))
    source = sources.load("cifair10", str(tmp_path / "data"))
    np.testing.assert_array_equal(source.images(np.arange(len(source.ids))), written["train"][0])
    np.testing.assert_array_equal(source.labels, written["train"][1])
    for found, expected in zip(source.test(), written["test"]):
        np.testing.assert_array_equal(found, expected)
    assert trained_once("cifair10", tmp_path).rounds == 1


@pytest.mark.parametrize("archive", ["folder", "zip"])
def test_cifar_10_2_s_arrays(monkeypatch, tmp_path, archive):
    facts = miniatures.small(monkeypatch, "cifar10_2")
    raw = tmp_path / "cifar-10.2"
    raw.mkdir()
    written, path = miniatures.arrays(raw, facts), raw
    if archive == "zip":
        path = tmp_path / "cifar-10.2-master.zip"
        with zipfile.ZipFile(path, "w") as file:
            for part in sorted(raw.iterdir()):
                file.write(part, f"cifar-10.2-master/{part.name}")
    prepare.prepare("cifar10_2", str(path), str(tmp_path / "data"))
    source = sources.load("cifar10_2", str(tmp_path / "data"))
    np.testing.assert_array_equal(source.images(np.arange(len(source.ids))), written["train"][0])
    np.testing.assert_array_equal(source.labels, written["train"][1])
    for found, expected in zip(source.test(), written["test"]):
        np.testing.assert_array_equal(found, expected)
    assert trained_once("cifar10_2", tmp_path).rounds == 1
    newer, _ = published_sets.shifted(DATASETS["cifar10"].facts, str(tmp_path / "data"))
    assert {test.setting: len(test.load().labels) for test in newer} == {
        "cifar10.2_test": sum(facts.test_counts), "cifar10.2_train+test": sum(facts.train_counts + facts.test_counts),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["eurosat_rgb", "eurosat_all"])
def test_the_lists_alone_are_enough_beside_tfds_eurosat(monkeypatch, tmp_path, name):
    facts, written, data_dir = prepared(monkeypatch, tmp_path, name)
    whole = sources.load(name, data_dir)
    shutil.rmtree(tmp_path / "raw" / "data")
    other = tmp_path / "other"
    with pytest.raises(UsageError, match=r"picture \S+/\S+_\d+ .* is missing"):
        prepare.prepare(name, str(tmp_path / "raw"), str(other))
    miniatures.tfds_eurosat(other, written, facts)
    prepare.prepare(name, str(tmp_path / "raw"), str(other))
    source = sources.load(name, str(other))
    assert source.ids == whole.ids and source.labels.tolist() == whole.labels.tolist()
    np.testing.assert_array_equal(source.images(np.arange(9)), whole.images(np.arange(9)))
    np.testing.assert_array_equal(source.test()[0], whole.test()[0])


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_idx_files(monkeypatch, tmp_path, name):
    miniatures.small(monkeypatch, name)
    raw = tmp_path / "raw"
    raw.mkdir()
    written = miniatures.idx(raw, DATASETS[name].facts)
    for path in sorted(raw.iterdir())[:2]:  # some packages compress them
        (raw / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    prepare.prepare(name, str(raw), str(tmp_path / "data"))
    source = sources.load(name, str(tmp_path / "data"))
    found = {image.tobytes(): label for image, label in zip(source.images(np.arange(len(source.ids))), source.labels)}
    assert found == {image.tobytes(): label for image, label in zip(*written["train"])}
    assert len(set(source.ids)) == len(source.ids) == sum(DATASETS[name].facts.train_counts)
    again = sources.load(name, str(tmp_path / "data"))
    assert again.ids == source.ids
    assert trained_once(name, tmp_path).rounds == 1


def test_a_debian_package_is_read_without_unpacking(tmp_path):
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as file:
        member = tarfile.TarInfo("./usr/share/dataset/a.gz")
        data = gzip.compress(b"inside")
        member.size = len(data)
        file.addfile(member, io.BytesIO(data))
    parts = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": lzma.compress(inner.getvalue())}
    package = b"!<arch>\n"
    for name, data in parts.items():
        package += f"{name:16s}{0:<12d}{0:<6d}{0:<6d}{100644:<8d}{len(data):<10d}`\n".encode() + data
        package += b"\n" * (len(data) % 2)
    (tmp_path / "x.deb").write_bytes(package)
    assert archives.read(str(tmp_path / "x.deb"), ["a"]) == {"a": b"inside"}


def test_builders_are_tfds_own(monkeypatch, tmp_path):
    facts, written, data_dir = prepared(monkeypatch, tmp_path, "eurosat_rgb")
    loaded = tfds.load("eurosat_rgb", data_dir=data_dir, split="test")
    assert {str(e["id"].numpy().decode()).split(" ", 1)[1] for e in loaded} == {n for n, _, _ in written["test"]}
