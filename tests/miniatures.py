"""Data sets of the true folder and file format, made small: what the tests of the real loaders read."""

import dataclasses
import pathlib
import pickle
import struct

import numpy as np
import tifffile
from PIL import Image

from tf_tickets.registry import DATASETS

TRAIN, VAL, TEST = 2, 1, 2


# Names as the DEIC lists write them: with folders, without suffix, one the beginning of another.
def _land(label, index):
    name = DATASETS["eurosat_rgb"].facts.labels[label]
    return f"{name}/{name}_{(4, 44, 441, 46, 5)[index]}"


STEMS = {
    "eurosat_rgb": _land, "eurosat_all": _land,
    "isic2018": lambda c, i: f"ISIC_{24 * c + i:07d}",
    "clamm": lambda c, i: f"IRHT_P_{100 * c + i:06d}",
    "cub": lambda c, i: f"{c + 1:03d}.Bird_{c}/Bird_{c}_{i:04d}_{i}",
    "imagenet50": lambda c, i: f"n{c:08d}/n{c:08d}_{i}",
}  # fmt: skip


def small(monkeypatch, name, classes=3, **changes):
    """Puts a data set of few classes and images into the catalog; returns its facts."""
    facts = DATASETS[name].facts
    held = (VAL,) * classes if facts.validation_counts else None
    tests = TEST * classes if isinstance(facts.test_counts, int) else (TEST,) * classes
    made = dataclasses.replace(
        facts, labels=facts.labels[:classes], train_counts=(TRAIN + VAL,) * classes, test_counts=tests,
        validation_counts=held, **changes,
    )  # fmt: skip
    monkeypatch.setattr(DATASETS[name], "facts", made)
    return made


def picture(facts, label, index):
    """The pixels of one image, different for each."""
    generator = np.random.default_rng(1000 * label + index)
    shape = facts.image_shape
    if facts.encoded:
        shape = (20 + label, 30 + index, shape[2])
    if facts.dtype == "uint16":
        return generator.integers(0, 12000, shape, np.uint16)
    # Smooth, so that JPEG keeps it nearly.
    rows = np.linspace(0, 40, shape[0])[:, None, None] + np.linspace(0, 30, shape[1])[None, :, None]
    return (rows + generator.integers(20, 180, shape[2])).astype(np.uint8)


def write_picture(path, pixels, suffix):
    """Writes pixels as the set's own kind of file."""
    path = pathlib.Path(f"{path}{suffix}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix == ".tif" and pixels.shape[2] == 13:
        tifffile.imwrite(path, pixels, photometric="minisblack", planarconfig="contig")
    elif pixels.shape[2] == 1:
        Image.fromarray(pixels[..., 0]).save(path)
    else:
        Image.fromarray(pixels).save(path, **({"quality": 95} if suffix == ".jpg" else {}))
    return path


def split_files(folder, facts):
    """Writes the lists and pictures; returns {"train": [(name, label, pixels)], "test": [...]}."""
    suffix = ".tif" if facts.name in ("clamm", "eurosat_all") else ".jpg"
    lists, found = {name: [] for name in ("train", "val", "trainval", "test")}, {"train": [], "test": []}
    parts = ["train"] * TRAIN + ["val"] * VAL + ["test"] * TEST
    for index, part in enumerate(parts):
        for label in range(facts.classes):
            name, pixels = STEMS[facts.name](label, index), picture(facts, label, index)
            write_picture(folder / "data" / "imgs" / name, pixels, suffix)
            lists[part].append(f"{name} {label}")
            found["test" if part == "test" else "train"].append((name, label, pixels))
    lists["trainval"] = lists["train"] + lists["val"]
    (folder / "splits").mkdir()
    for name, lines in lists.items():
        (folder / "splits" / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return found


def batches(folder, facts):
    """Writes ciFAIR's python batches; returns {"train": (images, labels), "test": ...}."""
    generator = np.random.default_rng(0)
    counts = {"train": sum(facts.train_counts), "test": sum(facts.test_counts)}
    found = {}
    for split, count in counts.items():
        images = generator.integers(0, 256, (count, *facts.image_shape), np.uint8)
        found[split] = images, np.arange(count) % facts.classes
    parts = np.array_split(np.arange(counts["train"]), 5)
    rows = {f"data_batch_{i}": ("train", part) for i, part in enumerate(parts, 1)}
    rows["test_batch"] = ("test", np.arange(counts["test"]))
    for name, (split, chosen) in rows.items():
        images, labels = (column[chosen] for column in found[split])
        flat = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        content = {b"data": flat, b"labels": labels.tolist(), b"batch_label": b"part"}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    return found


def arrays(folder, facts):
    """Writes CIFAR-10.2's npz files; returns {"train": (images, labels), "test": ...}."""
    generator, found = np.random.default_rng(0), {}
    for split, counts in (("train", facts.train_counts), ("test", facts.test_counts)):
        images = generator.integers(0, 256, (sum(counts), *facts.image_shape), np.uint8)
        found[split] = images, np.repeat(np.arange(facts.classes), counts)[generator.permutation(sum(counts))]
        np.savez(folder / f"cifar102_{split}.npz", images=images, labels=found[split][1])
    return found


def tfds_eurosat(root, written, facts):
    """Has TFDS' own eurosat builder prepare what `split_files` wrote, from the layout of the published archive."""
    import tensorflow_datasets as tfds

    kind, suffix = ("rgb", ".jpg") if facts.name == "eurosat_rgb" else ("all", ".tif")
    builder = tfds.builder(f"eurosat/{kind}", data_dir=str(root))
    unpacked = root / "unpacked"
    for name, _, pixels in written["train"] + written["test"]:
        write_picture(unpacked / builder.builder_config.subdir / name, pixels, suffix)
    examples = builder._generate_examples(str(unpacked / builder.builder_config.subdir), kind)
    builder._split_generators = lambda dl_manager: {"train": examples}
    tfds.display_progress_bar(False)
    builder.download_and_prepare()
    tfds.display_progress_bar(True)


def idx(folder, facts):
    """Writes the four idx files; returns {"train": (images, labels), "test": ...}."""
    generator, found = np.random.default_rng(0), {}
    names = {"train": "train", "test": "t10k"}
    for split, counts in (("train", facts.train_counts), ("test", facts.test_counts)):
        images = generator.integers(0, 256, (sum(counts), *facts.image_shape), np.uint8)
        labels = np.repeat(np.arange(facts.classes), counts)[generator.permutation(sum(counts))]
        head = struct.pack(">BBBBIII", 0, 0, 8, 3, *images.shape[:3])
        (folder / f"{names[split]}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        head = struct.pack(">BBBBI", 0, 0, 8, 1, len(labels))
        (folder / f"{names[split]}-labels-idx1-ubyte").write_bytes(head + labels.astype(np.uint8).tobytes())
        found[split] = images, labels
    return found
