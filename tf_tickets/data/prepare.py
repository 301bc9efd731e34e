"""`prepare`: makes TFDS' standard folder of a data set from an archive or folder on disk.

Archives are never unpacked to disk: their members are read in memory and checked whole before anything is written.
"""

import collections
import dataclasses
import hashlib
import json
import os
import struct

import numpy as np

from tf_tickets import storage, streams
from tf_tickets.data import archives, arrays, batches, catalog, eurosat, idx, sources, split_files
from tf_tickets.data.archives import Problem
from tf_tickets.errors import TicketError, UsageError, reason

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


def prepare(name, archive, data_dir):
    """Builds TFDS' folder of a data set; `tfds.load(name, data_dir=...)` then reads it.

    Args:
      name: one of `archives.ACCEPTED`.
      archive: what is listed there; unused where the data set is already prepared.
      data_dir: folder of prepared data sets; None: see `sources.data_root`.

    Returns:
      The prepared folder's path.

    Raises:
      UsageError: another name, an archive that is missing, unknown or damaged, or a folder that cannot be written;
        nothing was created.
      StateError: the prepared folder is there but damaged.
    """
    accepted = archives.ACCEPTED.get(name)
    if accepted is None:
        raise UsageError(f"prepare {name}: only {' and '.join(archives.ACCEPTED)} are prepared from an archive")
    folder = sources.prepared_folder(name, data_dir)
    if sources.is_prepared(name, data_dir):
        streams.say(f"{name} is already prepared in {folder}")
        return folder
    if not archive:
        raise UsageError(f"prepare {name} needs --archive=FILE, accepted: {accepted}")
    sources.check_free(data_dir, name)
    try:
        with archives.reading():
            split_generators = _opened(name, archive, sources.data_root(data_dir))
    except (Problem, OSError) as error:
        raise UsageError(f"--archive={archive}: {reason(error)}; accepted: {accepted}") from None
    streams.say(f"preparing {name} in {folder}, half a minute or more ...")
    try:
        sources.build(name, data_dir, split_generators)
    except TicketError:
        raise
    except Exception as error:  # TFDS and TensorFlow raise errors of many types when a disk fails or is full
        raise UsageError(f"{folder} cannot be written: {reason(error)}; choose another --data_dir") from error
    return folder


def _opened(name, archive, root):
    """The function builder -> {split: examples} of an archive, which has been read and checked."""
    data_set = catalog.CATALOG[name]
    if name in ("mnist", "fashion_mnist"):
        splits = idx.read(archive, data_set)
        return lambda builder: {split: _images_and_labels(*splits[split]) for split in splits}
    if name in ("cifair10", "cifar10_2"):
        # So that a problem is found before anything is written.
        (batches if name == "cifair10" else arrays).read(archive, data_set)
        return lambda builder: builder.splits(archive)
    if name not in HASHES and name != "cifar100":
        from tf_tickets.data import builders

        stored = eurosat.pictures(name, root) if eurosat.folder(name, root) else {}
        split_files.read(archive, builders.suffixes(name), data_set, stored)
        return lambda builder: builder.splits(archive, stored)
    splits, coarse_names = _read_archive(name, archive)
    _check_splits(name, splits)
    return _split_generators(name, splits, coarse_names)


def _images_and_labels(images, labels):
    for index, (image, label) in enumerate(zip(images, labels)):
        yield index, {"image": image, "label": int(label)}


def _check_splits(name, splits):
    """Raises Problem unless labels, counts of the classes and, where they are known, hashes are the data set's."""
    data_set = catalog.CATALOG[name]
    wanted = {"train": ("training", data_set.train_counts), "test": ("test", data_set.test_counts)}
    for key, split in splits.items():
        word, counts = wanted[key]
        if split.labels.max() >= data_set.classes or tuple(np.bincount(split.labels)) != counts:
            raise Problem(f"its {word} labels are not those of {name}: the images per class differ")
        if split.coarse_labels is not None and split.coarse_labels.max() >= COARSE_CLASSES:
            raise Problem(f"its {word} coarse labels are not below {COARSE_CLASSES}")
        for kind, array in (("images", split.images), ("labels", split.labels)):
            known = HASHES.get(name, {}).get(f"{word} {kind}")
            if known is not None and hashlib.sha256(np.ascontiguousarray(array)).hexdigest() != known:
                raise Problem(f"its {word} {kind} are not those of {name}: their SHA-256 differs")


def _split_generators(name, splits, coarse_names):
    """A stand-in for the builder's `_split_generators` that yields the arrays in their order, as TFDS' own would."""

    def examples(key):
        split = splits[key]
        for index, (image, label) in enumerate(zip(split.images, split.labels)):
            example = {"id": f"{key}_{index:05d}", "image": image, "label": int(label)}
            if split.coarse_labels is not None:
                example["coarse_label"] = int(split.coarse_labels[index])
            yield index, example

    def split_generators(builder):
        builder.info.features["label"].names = list(catalog.CATALOG[name].labels)
        if coarse_names is not None:
            builder.info.features["coarse_label"].names = list(coarse_names)
        return {key: examples(key) for key in splits}

    return split_generators


def _read_archive(name, archive):
    """Reads the splits, and the coarse names or None, out of a tar archive."""
    layouts = {"cifar10": (_read_binary_10, _read_pictures), "cifar100": (_read_binary_100,)}
    with storage.open_regular(archive, Problem) as file, archives.open_tar(file) as tar:
        members = collections.defaultdict(list)  # a list each, as two of one name are refused when read
        for member in archives.regular_members(tar):
            members[os.path.basename(member.name)].append(member)
        for layout in layouts[name]:
            read = layout(lambda member, size=None, most=None: _read(tar, members, member, size, most), name, members)
            if read is not None:
                return read
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


def _sizes(name):
    data_set = catalog.CATALOG[name]
    return sum(data_set.train_counts), sum(data_set.test_counts)


def _records(data, label_bytes):
    """Splits records of label bytes and 3,072 channel-major bytes into labels [n, label_bytes] and images."""
    table = np.frombuffer(data, np.uint8).reshape(-1, label_bytes + 3 * _PIXELS)
    images = table[:, label_bytes:].reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1)
    return table[:, :label_bytes], np.ascontiguousarray(images)


def _read_binary_10(read, name, members):
    if "data_batch_1.bin" not in members:
        return None
    record, (train, test) = 1 + 3 * _PIXELS, _sizes(name)
    batches = [_records(read(f"data_batch_{i}.bin", train // 5 * record), 1) for i in range(1, 6)]
    labels, images = (np.concatenate(parts) for parts in zip(*batches))
    test_labels, test_images = _records(read("test_batch.bin", test * record), 1)
    return {"train": Split(images, labels[:, 0]), "test": Split(test_images, test_labels[:, 0])}, None


def _read_binary_100(read, name, members):
    if "train.bin" not in members:
        return None
    splits = {}
    for split, count in zip(("train", "test"), _sizes(name)):
        labels, images = _records(read(f"{split}.bin", count * (2 + 3 * _PIXELS)), 2)
        splits[split] = Split(images, labels[:, 1], labels[:, 0])
    names = {kind: read(f"{kind}_label_names.txt", most=SMALL_MEMBER).decode().split() for kind in ("fine", "coarse")}
    if tuple(names["fine"]) != catalog.CATALOG[name].labels or len(set(names["coarse"])) != COARSE_CLASSES:
        raise Problem("holds other label names")
    return splits, names["coarse"]


def _read_pictures(read, name, members):
    if "data_batch_1.png" not in members:
        return None
    train, test = _sizes(name)
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
