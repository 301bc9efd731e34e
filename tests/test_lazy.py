"""Pictures that stay on disk give the bits that pictures in memory give."""

import numpy as np
import pytest
import tensorflow_datasets as tfds
import trees
from PIL import Image

import tf_tickets as tt
from tf_tickets import errors
from tf_tickets.data import folder, lazy, records, sources

VALUES = {
    "dataset": "folder", "model": "vgg11", "width": 2, "epochs": 2, "batch_size": 5, "rounds": 2, "rewind": "init",
    "progress": "none", "tensorboard": False, "eval_every": 1,
}  # fmt: skip


@pytest.fixture(autouse=True)
def looked_at_anew():
    """Pictures are looked at once per process; tests make others."""
    folder.scan.cache_clear()


def pictures(root, sizes, suffix):
    for label, name in enumerate(("cat", "dog")):
        (root / name).mkdir(parents=True)
        for index in range(10):
            size = sizes[index % len(sizes)]
            array = np.random.default_rng(100 * label + index).integers(0, 256, (*size, 3), np.uint8)
            Image.fromarray(array).save(root / name / f"{index}{suffix}")
    return root


@pytest.mark.parametrize(
    ("sizes", "suffix"), [([(12, 12)], ".png"), ([(40, 30), (30, 50)], ".jpg"), ([(40, 30), (600, 700)], ".tif")]
)
def test_a_run_from_disk_has_the_bits_of_one_from_memory(tmp_path, monkeypatch, sizes, suffix):
    root = pictures(tmp_path / "pictures", sizes, suffix)
    values = VALUES | {"data_dir": str(root)} | ({"rounds": 1, "epochs": 1} if len(sizes) > 1 else {})
    whole = trees.contents(tt.imp(tt.Config.from_values(**values, out=str(tmp_path / "memory"))).folder)
    monkeypatch.setattr(lazy, "IN_MEMORY", 0)
    source = sources.load("folder", str(root))
    assert isinstance(source.images(np.arange(3), lazy=True), lazy.Pixels)
    assert isinstance(source.images(np.arange(3)), np.ndarray)
    found = trees.contents(tt.imp(tt.Config.from_values(**values, out=str(tmp_path / "disk"))).folder)
    trees.assert_equal(found, whole)


def test_a_picture_that_goes_missing_is_named(tmp_path, monkeypatch):
    root = pictures(tmp_path / "pictures", [(12, 12)], ".png")
    monkeypatch.setattr(lazy, "IN_MEMORY", 0)
    original = folder.pixels

    def once(pictures, paths, checked):
        if len(paths) == 5:  # the first training batch
            for path in paths:
                open(path, "w").close()
        return original(pictures, paths, checked)

    monkeypatch.setattr(folder, "pixels", once)
    config = tt.Config.from_values(**VALUES, data_dir=str(root), out=str(tmp_path / "runs"))
    with pytest.raises(errors.UsageError, match=r"\.png is no picture|\.png is damaged"):
        tt.imp(config)


def record_file(path, images):
    """A TFRecord file of examples with ids in an order of their own."""
    tf = tt.backend.tf
    with tf.io.TFRecordWriter(str(path)) as writer:
        for index, image in enumerate(images):
            features = {
                "id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"%03d" % (50 - index)])),
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[index % 3])),
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())


class _Builder:
    def __init__(self, *files):
        split = type("Split", (), {"filepaths": files})
        features = {"id": tfds.features.Text(), "image": tfds.features.Image(), "label": tfds.features.ClassLabel()}
        self.info = type("Info", (), {"features": features, "splits": {"train": split}})


def test_images_are_found_in_their_records(tmp_path):
    random = np.random.default_rng(0)
    images = [random.bytes(int(size)) for size in random.integers(1, 400, 40)] + [b"\0" * 200, b"\0" * 70, b""]
    record_file(tmp_path / "a", images[:25])
    record_file(tmp_path / "b", images[25:])
    ids, labels, places, held = records.read(_Builder(tmp_path / "a", tmp_path / "b"), "train", None)
    assert isinstance(places, lazy.Records) and len(places) == len(images)
    first = [*range(25), *range(18)]  # each file numbers its records anew
    order = sorted(range(len(images)), key=lambda index: 50 - first[index])
    assert ids == [f"{50 - first[index]:03d}" for index in order]
    assert list(places.read()) == [images[index] for index in order]
    assert labels.tolist() == [first[index] % 3 for index in order]
    assert not held.any()
    rows = np.array([7, 3, 41])
    assert list(places[rows].read()) == [images[order[row]] for row in rows]
    with open(tmp_path / "b", "r+b") as file:
        file.truncate(100)
    with pytest.raises(errors.StateError, match="b cannot be read"):
        places.read()
