"""What is no data set of TFDS with images and classes, is damaged, or is not there, and what is said of each."""

import os
import shutil

import numpy as np
import pytest
import tfds_sets
from tfds_sets import SMALL, config_of, facts, run

import tf_tickets as tt
from tf_tickets.backend import tf
from tf_tickets.data import record_labels, sources, tfds_folders, tfds_looks
from tf_tickets.errors import StateError, UsageError
from tf_tickets.experiments import plan

tfds = pytest.importorskip("tensorflow_datasets")


@pytest.fixture(autouse=True)
def looked_at_anew():
    """Prepared folders are looked at once per process; tests make others."""
    tfds_looks.look.cache_clear()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The three kinds; treat as read-only."""
    data_dir = tmp_path_factory.mktemp("data")
    tfds_sets.three_kinds(data_dir)
    return str(data_dir)


ONE = tfds_sets.arrays(2)
TEXTS = [(key, {"label": example["label"], "text": "a"}) for key, example in ONE]
BOXES = [(key, {"image": example["image"], "bbox": tfds.features.BBox(0.0, 0.0, 1.0, 1.0)}) for key, example in ONE]


def _with(label=None, image=None):
    """Examples with another label or image each."""
    return [
        (key, example | ({} if label is None else {"label": label}) | ({} if image is None else {"image": image}))
        for key, example in ONE
    ]


@pytest.mark.parametrize(("splits", "features", "message"), [
    ({"train": TEXTS}, {"image": False, "text": tfds.features.Text()},
     "has no feature 'image', but label, text: only images are classified here"),
    ({"train": BOXES}, {"image": SMALL, "label": False, "bbox": tfds.features.BBoxFeature()},
     "has no feature 'label', but bbox, image: multi-label, regression and detection are not what this program does"),
    ({"train": _with(label=[0, 1])},
     {"image": SMALL, "label": tfds.features.Sequence(tfds.features.ClassLabel(num_classes=3))},
     "its feature 'label' is Sequence of ClassLabel, not ClassLabel: multi-label, regression and detection"),
    ({"train": _with(label=0.5)}, {"image": SMALL, "label": tfds.features.Scalar(np.float32)},
     "its feature 'label' is Scalar, not ClassLabel: multi-label, regression"),
    ({"train": _with(image=np.zeros((16, 16, 4), np.uint8))}, {"image": tfds.features.Image(shape=(16, 16, 4))},
     "its feature 'image' is uint8 of 4 channels: uint8 of 1 or 3 channels is taken"),
    ({"train": _with(image=np.zeros((16, 16, 1), np.uint16))},
     {"image": tfds.features.Image(shape=(16, 16, 1), dtype=np.uint16)}, "its feature 'image' is uint16 of 1 channels"),
    ({"train": _with(image=np.zeros((4, 4, 1), np.float32))},
     {"image": tfds.features.Tensor(shape=(4, 4, 1), dtype=np.float32)}, "its feature 'image' is Tensor, not Image"),
    ({"test": ONE}, {"image": SMALL}, "it has no split train, but test: there is nothing to train on"),
    ({"train": _with(label=-1)}, {"image": SMALL}, "its split train has images without labels"),
    ({"train": ONE[:4], "test": ONE}, {"image": SMALL}, "class 'owl' has 0 training images: at least 1 is needed"),
    ({"train": ONE[:5]}, {"image": SMALL}, "class 'owl' has 1 training images: at least 2 are needed"),
    ({"train": ONE}, {"image": SMALL, "label": tfds.features.ClassLabel(names=["a", "b", "a\u200bc"])}, "rename it"),
])  # fmt: skip
def test_what_is_no_set_of_images_and_classes_is_refused_by_its_feature(splits, features, message, tmp_path):
    tfds_sets.build(tmp_path, "refused", splits, **features)
    with pytest.raises(UsageError) as caught:
        facts("refused", tmp_path)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).startswith("--dataset=tfds:refused")


def test_the_labels_are_read_as_tensorflow_reads_them(tmp_path):
    def feature(numbers):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=numbers))

    labels, ends = [0, 1, 127, 128, 300, -1, 2**40], set()
    with tf.io.TFRecordWriter(str(tmp_path / "records")) as writer:
        for label in labels:
            parts = {"label": feature([label]), "labels": feature([5, 6]), "a": feature([]),
                     "score": tf.train.Feature(float_list=tf.train.FloatList(value=[0.5]))}  # fmt: skip
            writer.write(tf.train.Example(features=tf.train.Features(feature=parts)).SerializeToString())
            writer.flush()
            ends.add((tmp_path / "records").stat().st_size)
    assert record_labels.read(str(tmp_path / "records")).tolist() == labels
    data = (tmp_path / "records").read_bytes()
    for size in set(range(1, len(data), 7)) - ends:
        (tmp_path / "cut").write_bytes(data[:size])
        with pytest.raises(ValueError, match="ends within a record"):
            record_labels.read(str(tmp_path / "cut"))
    (tmp_path / "noise").write_bytes(np.random.default_rng(0).bytes(500))
    with pytest.raises(ValueError):
        record_labels.read(str(tmp_path / "noise"))


@pytest.mark.parametrize("damage", ["gone", "cut", "flipped", "no metadata"])
def test_a_damaged_folder_is_named_with_what_to_do(damage, prepared, tmp_path):
    shutil.copytree(os.path.join(prepared, "small"), tmp_path / "small")
    folder = tmp_path / "small" / "1.0.0"
    path = folder / "small-train.tfrecord-00000-of-00001"
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "no metadata":
        (folder / "dataset_info.json").unlink()
    elif damage == "cut":
        path.write_bytes(data[:-5])
    else:
        data[data.index(b"IDAT") + 20] ^= 1
        path.write_bytes(data)
    with pytest.raises(StateError, match="1.0.0 is damaged .*: delete it, then prepare it again"):
        sources.load("tfds:small", str(tmp_path)).images(range(36))


@pytest.mark.parametrize(("name", "message"), [
    ("tfds:beans", r"is not prepared in .* and cannot be downloaded \(no network\): .*`tfds build beans --data_dir="),
    ("tfds:beans:0.1.0", "`tfds build beans:0.1.0 --data_dir="),
    ("tfds:bean", "holds no prepared data set of that name, and TFDS has none; did you mean tfds:beans"),
    ("tfds:eurosat/RGB", "TFDS' eurosat has no configuration RGB; it has rgb, all"),
    ("tfds:imagenet2012", "its owners want to be asked"),
])  # fmt: skip
def test_without_a_network_the_line_says_what_to_prepare(name, message, tmp_path, monkeypatch):
    import requests

    def unreachable(*arguments, **named):
        raise requests.ConnectionError

    monkeypatch.setattr(requests, "get", unreachable)
    message = message.replace("no network", "https?://.*: ConnectionError")
    with pytest.raises(UsageError, match=message):
        tt.imp(config_of(name, str(tmp_path / "data"), tmp_path / "runs"))
    assert not list(tmp_path.iterdir())


def test_tfds_prepares_what_it_can_have_but_not_for_a_dry_run(tmp_path, monkeypatch, capsys):
    asked = []

    def build(name, data_dir):
        asked.append(name)
        tfds_sets.build(data_dir, "beans", {"train": tfds_sets.pictures(4), "test": tfds_sets.pictures(2, 9)})

    monkeypatch.setattr(tfds_folders, "check_server", lambda name: None)
    monkeypatch.setattr(tfds_folders, "build", build)
    config = config_of("tfds:beans", str(tmp_path / "data"), tmp_path / "runs")
    with pytest.raises(UsageError, match="is not prepared in"):
        plan.resolve(config.replace(dry_run=True))
    words = ("sweep", "--sweep=seed=0,1", "--dataset=tfds:beans", f"--data_dir={tmp_path / 'data'}", "--dry_run")
    with pytest.raises(UsageError, match="is not prepared in"):
        run(*words, f"--out={tmp_path / 'runs'}")
    assert not asked and not (tmp_path / "data").exists()
    assert plan.resolve(config).data_set.train_counts == (4, 4, 4) and asked == ["beans"]
    plan.resolve(config)
    assert asked == ["beans"]


@pytest.mark.parametrize(
    "name", ["tfds:", "tfds:../x", "tfds:a/..", "tfds:a:1", "tfds:a/b/c", "tfds:community:a", "tfds"]
)
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(UsageError, match=r"tfds:NAME"):
        tt.Config.from_values(dataset=name)
