"""Archives become TFDS folders with every pixel, label and id in its place; damaged archives change nothing."""

import dataclasses
import hashlib
import io
import json
import os
import tarfile

import numpy as np
import pytest

from tf_tickets.data import archives, cifar, prepare, sources, tfds_folders
from tf_tickets.errors import StateError, UsageError
from tf_tickets.registry import DATASETS

tf = pytest.importorskip("tensorflow")
tfds = pytest.importorskip("tensorflow_datasets")

COARSE = [f"kind_{i}" for i in range(20)]


def _digest(array):
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()


@dataclasses.dataclass
class Tiny:
    """A data set with few random images a class: (images, labels) by split."""

    splits: dict
    coarse: dict

    @classmethod
    def of(cls, name, train, test):
        """`train` and `test` images a class."""
        generator, classes = np.random.default_rng(7), DATASETS[name].facts.classes
        splits, coarse = {}, {}
        for split, count in (("train", train), ("test", test)):
            labels = generator.permutation(np.repeat(np.arange(classes), count)).astype(np.uint8)
            images = generator.integers(0, 256, (len(labels), 32, 32, 3), dtype=np.uint8)
            splits[split], coarse[split] = (images, labels), (labels % 20).astype(np.uint8)
        return cls(splits, coarse)

    def records(self, split, part=slice(None), with_coarse=False):
        """The bytes of an official binary file."""
        images, labels = self.splits[split]
        heads = [self.coarse[split], labels] if with_coarse else [labels]
        columns = [head[:, None] for head in heads] + [images.transpose(0, 3, 1, 2).reshape(len(images), -1)]
        return np.concatenate(columns, axis=1)[part].tobytes()


def _write(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return str(path)


def _binary(tiny):
    members = {"cifar-10-batches-bin/batches.meta.txt": b"airplane\n"}
    for i in range(5):
        members[f"cifar-10-batches-bin/data_batch_{i + 1}.bin"] = tiny.records("train", slice(10 * i, 10 * i + 10))
    members["cifar-10-batches-bin/test_batch.bin"] = tiny.records("test")
    return members


def _png(images):
    return tf.io.encode_png(images.reshape(len(images), 1024, 3)).numpy()


def _pictures(tiny):
    images, labels = tiny.splits["train"]
    test_images, test_labels = tiny.splits["test"]
    members = {f"package/data_batch_{i + 1}.png": _png(images[10 * i : 10 * i + 10]) for i in range(5)}
    members["package/test_batch.png"] = _png(test_images)
    members["package/train_lables.json"] = json.dumps(labels.tolist()).encode()
    members["package/test_lables.json"] = json.dumps(test_labels.tolist()).encode()
    return members


def _binary_100(tiny):
    members = {f"cifar-100-binary/{split}.bin": tiny.records(split, with_coarse=True) for split in ("train", "test")}
    members["cifar-100-binary/fine_label_names.txt"] = "\n".join(DATASETS["cifar100"].facts.labels).encode()
    members["cifar-100-binary/coarse_label_names.txt"] = ("\n".join(COARSE) + "\n").encode()
    return members


def _expect(monkeypatch, name, tiny, train, test):
    classes = DATASETS[name].facts.classes
    counts = {"train_counts": (train,) * classes, "test_counts": (test,) * classes}
    monkeypatch.setattr(DATASETS[name], "facts", dataclasses.replace(DATASETS[name].facts, **counts))
    hashes = {}
    for split, word in (("train", "training"), ("test", "test")):
        images, labels = tiny.splits[split]
        hashes |= {f"{word} images": _digest(images), f"{word} labels": _digest(labels)}
    if name in cifar.HASHES:
        monkeypatch.setitem(cifar.HASHES, name, hashes)


@pytest.fixture
def tiny(monkeypatch):
    """CIFAR-10 with five training images and one test image a class, expected by the code under test."""
    tiny = Tiny.of("cifar10", 5, 1)
    _expect(monkeypatch, "cifar10", tiny, 5, 1)
    return tiny


def _assert_plain_load(name, data_dir, tiny):
    for split, (images, labels) in tiny.splits.items():
        rows = list(tfds.as_numpy(tfds.load(name, data_dir=data_dir, split=split, download=False)))
        rows.sort(key=lambda row: row["id"])
        assert [row["id"].decode() for row in rows] == [f"{split}_{i:05d}" for i in range(len(labels))]
        np.testing.assert_array_equal(np.stack([row["image"] for row in rows]), images)
        np.testing.assert_array_equal([row["label"] for row in rows], labels)
        if "coarse_label" in rows[0]:
            np.testing.assert_array_equal([row["coarse_label"] for row in rows], tiny.coarse[split])


@pytest.mark.parametrize("members", [_binary, _pictures], ids=["binary", "pictures"])
def test_cifar10_archive_reads_back_through_plain_tfds(tiny, members, tmp_path, capsys):
    archive, data_dir = _write(tmp_path / "archive", members(tiny)), str(tmp_path / "new" / "data")
    folder = prepare.prepare("cifar10", archive, data_dir)
    _assert_plain_load("cifar10", data_dir, tiny)
    assert folder == os.path.join(data_dir, "cifar10", "3.0.2")
    assert os.listdir(data_dir) == ["cifar10"] and os.listdir(os.path.dirname(folder)) == ["3.0.2"]
    names = tfds.builder("cifar10", data_dir=data_dir).info.features["label"].names
    assert tuple(names) == DATASETS["cifar10"].facts.labels
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1

    assert prepare.prepare("cifar10", None, data_dir) == folder
    assert "already prepared" in capsys.readouterr().err
    source = sources.load("cifar10", data_dir)
    np.testing.assert_array_equal(source.images(range(50)), tiny.splits["train"][0])


def test_cifar100_archive_reads_back_with_coarse_labels(monkeypatch, tmp_path):
    tiny = Tiny.of("cifar100", 2, 1)
    _expect(monkeypatch, "cifar100", tiny, 2, 1)
    archive = _write(tmp_path / "archive", _binary_100(tiny))
    prepare.prepare("cifar100", archive, str(tmp_path / "data"))
    _assert_plain_load("cifar100", str(tmp_path / "data"), tiny)
    features = tfds.builder("cifar100", data_dir=str(tmp_path / "data")).info.features
    assert tuple(features["label"].names) == DATASETS["cifar100"].facts.labels
    assert features["coarse_label"].names == COARSE


def _edit(name, change):
    """A damage: the member whose name ends so becomes `change(data)`, or goes away if that is None."""

    def damage(members):
        (key,) = [member for member in members if member.endswith(name)]
        data = change(members.pop(key))
        return members if data is None else members | {key: data}

    return damage


def _flip_last(data):
    return data[:-1] + bytes([data[-1] ^ 1])


DAMAGES_10 = {
    "missing member": (_binary, _edit("data_batch_3.bin", lambda data: None), "data_batch_3.bin"),
    "short member": (_binary, _edit("test_batch.bin", lambda data: data[:-1]), "test_batch.bin"),
    "twice": (_binary, lambda members: members | {"other/test_batch.bin": b""}, "2 files test_batch.bin"),
    "one bit of an image": (_binary, _edit("test_batch.bin", _flip_last), "SHA-256"),
    "one label": (_binary, _edit("data_batch_1.bin", lambda data: bytes([(data[0] + 1) % 10]) + data[1:]), "per class"),
    "label too large": (_binary, _edit("data_batch_1.bin", lambda data: b"\xff" + data[1:]), "labels"),
    "nothing known": (_binary, lambda members: {"readme.txt": b"hello"}, "none of the known files"),
    "labels missing": (_pictures, _edit("train_lables.json", lambda data: None), "train_lables.json"),
    "labels short": (_pictures, _edit("train_lables.json", lambda data: b"[1]"), "list of 50"),
    "labels of text": (_pictures, _edit("test_lables.json", lambda data: json.dumps(["a"] * 10).encode()), "labels"),
    "no json": (_pictures, _edit("test_lables.json", lambda data: b"["), "test"),
    "picture cut": (_pictures, _edit("data_batch_2.png", lambda data: data[: len(data) // 2]), "picture"),
    "no picture": (_pictures, _edit("data_batch_2.png", lambda data: b"GIF89a"), "picture"),
    "huge picture": (
        _pictures,
        _edit("test_batch.png", lambda data: data[:16] + b"\x7f\xff\xff\xff\x7f\xff\xff\xff" + data[24:]),
        "1024x10",
    ),
}


def _assert_refused(name, archive, tmp_path, part):
    data_dir = tmp_path / "data"
    with pytest.raises(UsageError) as caught:
        prepare.prepare(name, archive, str(data_dir))
    message = str(caught.value)
    assert part in message and archive in message and "-binary.tar.gz" in message
    assert "\n" not in message and not data_dir.exists()


@pytest.mark.parametrize("case", DAMAGES_10)
def test_damaged_cifar10_archives_are_refused_and_create_nothing(tiny, case, tmp_path):
    members, damage, part = DAMAGES_10[case]
    if case == "no json":
        part = "accepted"
    _assert_refused("cifar10", _write(tmp_path / "archive", damage(members(tiny))), tmp_path, part)


@pytest.mark.parametrize(
    "name, change, part",
    [
        ("train.bin", lambda data: b"\x20" + data[1:], "coarse"),
        ("train.bin", lambda data: data[:1] + bytes([data[1] ^ 1]) + data[2:], "per class"),
        ("train.bin", lambda data: data[3074:], "bytes"),
        ("fine_label_names.txt", lambda data: data.replace(b"apple", b"pear"), "label names"),
        ("coarse_label_names.txt", lambda data: b"one\n", "label names"),
    ],
)
def test_damaged_cifar100_archives_are_refused(monkeypatch, tmp_path, name, change, part):
    tiny = Tiny.of("cifar100", 2, 1)
    _expect(monkeypatch, "cifar100", tiny, 2, 1)
    archive = _write(tmp_path / "archive", _edit(name, change)(_binary_100(tiny)))
    _assert_refused("cifar100", archive, tmp_path, part)


def test_truncated_archives_are_refused(tiny, tmp_path):
    whole = (tmp_path / "whole").with_suffix(".tgz")
    _write(whole, _binary(tiny))
    data = whole.read_bytes()
    for length in (0, 10, len(data) // 2, len(data) - 1):
        archive = tmp_path / f"first_{length}"
        archive.write_bytes(data[:length])
        _assert_refused("cifar10", str(archive), tmp_path, "accepted")


def test_a_flipped_byte_of_the_compressed_archive_is_refused(tiny, tmp_path):
    _write(tmp_path / "whole", _binary(tiny))
    data = bytearray((tmp_path / "whole").read_bytes())
    data[-6] ^= 1  # gzip's own checksum, behind everything that tar reads
    (tmp_path / "flipped").write_bytes(data)
    _assert_refused("cifar10", str(tmp_path / "flipped"), tmp_path, "accepted")


def test_links_are_no_members_and_large_members_are_refused(tiny, tmp_path, monkeypatch):
    members = _binary(tiny)
    members.pop("cifar-10-batches-bin/test_batch.bin")
    with tarfile.open(_write(tmp_path / "linked", members, "w"), "a") as tar:
        link = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    _assert_refused("cifar10", str(tmp_path / "linked"), tmp_path, "0 files test_batch.bin")

    monkeypatch.setattr(archives, "LARGEST_MEMBER", 10_000)
    _assert_refused("cifar10", _write(tmp_path / "large", _binary(tiny)), tmp_path, "of 30,730 bytes")


def test_missing_archive_folder_and_other_names(tmp_path):
    _assert_refused("cifar10", str(tmp_path / "nowhere.tgz"), tmp_path, "No such file")
    _assert_refused("cifar10", str(tmp_path), tmp_path, "is a folder")
    for name, archive, part in (("digits", "x", "cifar10 and cifar100"), ("cifar10", None, "--archive=FILE")):
        with pytest.raises(UsageError, match=part):
            prepare.prepare(name, archive, str(tmp_path / "data"))
    assert not (tmp_path / "data").exists()


def test_unwritable_folder_is_a_usage_error(tiny, tmp_path):
    archive = _write(tmp_path / "archive", _binary(tiny))
    (tmp_path / "file").write_text("not a folder")
    for data_dir in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(
            UsageError, match=f"--data_dir={data_dir}: .*file is a file, not a folder; choose another --data_dir"
        ):
            prepare.prepare("cifar10", archive, str(data_dir))


def test_a_failure_while_writing_leaves_nothing(tiny, tmp_path, monkeypatch):
    archive = _write(tmp_path / "archive", _binary(tiny))

    def generators(data_set, splits, coarse_names):
        def failing():
            yield 0, {"id": "train_00000", "image": splits["train"].images[0], "label": 0}
            raise OSError(28, "No space left on device")

        return lambda builder: {"train": failing(), "test": failing()}

    monkeypatch.setattr(cifar, "_split_generators", generators)
    with pytest.raises(UsageError, match="No space left"):
        prepare.prepare("cifar10", archive, str(tmp_path / "data"))
    assert not (tmp_path / "data").exists()


def test_a_half_made_folder_is_not_taken_for_prepared(tiny, tmp_path):
    archive, data_dir = _write(tmp_path / "archive", _binary(tiny)), tmp_path / "data"
    (data_dir / "cifar10" / "incomplete.ABCDEF_3.0.2").mkdir(parents=True)
    assert not tfds_folders.is_prepared("cifar10", str(data_dir))
    prepare.prepare("cifar10", archive, str(data_dir))
    _assert_plain_load("cifar10", str(data_dir), tiny)

    (data_dir / "cifar10" / "3.0.2" / "dataset_info.json").unlink()
    with pytest.raises(StateError, match="dataset_info.json is missing"):
        prepare.prepare("cifar10", archive, str(data_dir))


def test_a_data_set_is_not_prepared_through_a_link(tiny, tmp_path):
    archive = _write(tmp_path / "archive", _binary(tiny))
    for folder in ("elsewhere", "linked", "taken"):
        (tmp_path / folder).mkdir()
    (tmp_path / "linked" / "cifar10").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "taken" / "cifar10")
    for data_dir in (tmp_path / "linked", tmp_path / "taken"):
        with pytest.raises(UsageError, match="cifar10 is a link, or no folder; remove it"):
            prepare.prepare("cifar10", archive, str(data_dir))
    assert os.listdir(tmp_path / "elsewhere") == []
