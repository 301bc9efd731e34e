"""What the networks of a run predict on the test set; images on which dense and ticket differ, and sure mistakes."""

import os
from collections.abc import Callable

import numpy as np
from PIL import Image

from tf_tickets import runs, storage
from tf_tickets.data import pipeline
from tf_tickets.data.catalog import DataSet
from tf_tickets.evaluation import calibration

MOST_EXAMPLES, MOST_MISTAKES = 24, 12
# Of a kept picture: 36 of them are a megabyte at most, whatever the network sees.
LARGEST_SIDE = 96


def keep(path: str, logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> None:
    """Writes predictions.npz: uint16 [n] `predictions` and `labels`, float32 [n] `confidences`, in test order.

    Args:
      path: of the file.
      logits: float [n, classes].
      labels: integers [n].
      temperature: of the network's probabilities.

    Confidences are the probabilities of the predicted classes; where a temperature was fitted, those without it are
    `uncalibrated`, float32 [n], and `temperature` is kept beside them.
    """
    before = {} if temperature == 1.0 else {
        "uncalibrated": calibration.confidences(logits).astype(np.float32), "temperature": np.float64(temperature),
    }  # fmt: skip
    storage.write_arrays(path, {
        "predictions": logits.argmax(axis=1).astype(np.uint16), "labels": np.asarray(labels, np.uint16),
        "confidences": calibration.confidences(logits, temperature).astype(np.float32), **before,
    }, compress=True)  # fmt: skip


def are_kept(path: str, temperature: float = 1.0) -> bool:
    """Whether predictions.npz is there with all that this version keeps of a network with this temperature."""
    if not os.path.exists(path):
        return False
    arrays = storage.read_arrays(path)
    return "confidences" in arrays and float(arrays.get("temperature", 1.0)) == temperature


def choose_examples(
    labels: np.ndarray, dense: np.ndarray, ticket: np.ndarray, most: int = MOST_EXAMPLES
) -> tuple[np.ndarray, np.ndarray]:
    """Test images on which exactly one of the two networks is right, spread evenly over the test set.

    Both directions have half the places each, so that the pictures do not make the ticket look better than it is;
    places that one direction leaves empty go to the other.

    Args:
      labels, dense, ticket: integers [n], true and predicted classes.
      most: the number of places.

    Returns:
      (gained, lost): positions, ascending, where only the ticket is right, and where only the dense network is.
    """
    gained = np.flatnonzero((dense != labels) & (ticket == labels))
    lost = np.flatnonzero((dense == labels) & (ticket != labels))
    places = max(most // 2, most - len(lost)), max(most // 2, most - len(gained))
    return _spread(gained, places[0]), _spread(lost, places[1])


def _spread(positions, count):
    if len(positions) <= count:
        return positions
    return positions[(np.arange(count) * len(positions)) // count]


def choose_mistakes(
    labels: np.ndarray, predicted: np.ndarray, confidences: np.ndarray, most: int = MOST_MISTAKES
) -> np.ndarray:
    """Test images on which a network is wrong and surest of it, the surest first.

    Args:
      labels, predicted: integers [n], true and predicted classes.
      confidences: float [n], the probabilities of the predicted classes.
      most: how many at most.

    Returns:
      Positions.
    """
    wrong = np.flatnonzero(predicted != labels)
    return wrong[np.argsort(-confidences[wrong], kind="stable")[:most]]


def write_examples(run: runs.RunFolder | None, test: Callable[[], pipeline.Images], data_set: DataSet) -> None:
    """Writes the run's examples.npz once round 0 and the ticket's round both have predictions; else does nothing.

    Args:
      run: a runs.RunFolder, or None for a ticket folder, which stays as it is.
      test: function -> data.pipeline.Images of the test set.

    The file holds uint8 `images` [m, height, width, channels], as evaluation sees them and at most LARGEST_SIDE a side,
    `positions` in the test set, `labels`, `dense` and `ticket` (classes) [m], `round` of the ticket, `gained`, `lost`
    and `total` (how many test images only the ticket or only the dense network has right, and how many there are), and
    `classes` (names). Of the ticket's surest mistakes it holds `mistaken_images`, `mistaken_positions`,
    `mistaken_labels`, `mistaken_predictions` and `mistaken_confidences`, and `mistakes`, how many there are in all. Of
    the user's own pictures it has `names` and `mistaken_names`.
    """
    exported = None if run is None else run.exported()
    if run is None or exported is None or exported[1] != run.inner:
        return
    index = exported[0]
    files = [run.round(number).predictions for number in (0, index)] if index else []
    # Other channels than a screen shows make no pictures.
    shown = data_set.dtype == "uint8" and data_set.image_shape[-1] in (1, 3)
    if not files or not all(map(os.path.exists, files)) or not shown:
        return
    dense, ticket = (storage.read_arrays(file) for file in files)
    if any("confidences" not in kept for kept in (dense, ticket)) or _is_of(run.examples, index, ticket):
        return
    images = test()
    labels = dense["labels"]
    gained, lost = choose_examples(labels, dense["predictions"], ticket["predictions"])
    chosen = np.concatenate([gained, lost])
    mistaken = choose_mistakes(labels, ticket["predictions"], ticket["confidences"])
    right = dense["predictions"] == labels, ticket["predictions"] == labels
    storage.write_arrays(run.examples, {
        "images": _pictures(images, chosen, data_set), "positions": chosen, "labels": labels[chosen],
        "dense": dense["predictions"][chosen], "ticket": ticket["predictions"][chosen], "round": np.int64(index),
        "gained": np.int64((~right[0] & right[1]).sum()), "lost": np.int64((right[0] & ~right[1]).sum()),
        "total": np.int64(len(labels)), "classes": np.array([str(name) for name in data_set.labels]),
        "mistaken_images": _pictures(images, mistaken, data_set), "mistaken_positions": mistaken,
        "mistaken_labels": labels[mistaken], "mistaken_predictions": ticket["predictions"][mistaken],
        "mistaken_confidences": ticket["confidences"][mistaken], "mistakes": np.int64((~right[1]).sum()),
        **_names(run, len(labels), {"names": chosen, "mistaken_names": mistaken}),
        **({"temperature": ticket["temperature"]} if "temperature" in ticket else {}),
    }, compress=True)  # fmt: skip


def _pictures(images, positions, data_set):
    """Some images as evaluation sees them, uint8 [m, height, width, channels], shrunk where they are large."""
    height, width, channels = data_set.image_shape
    if not len(positions):
        return np.zeros((0, height, width, channels), np.uint8)
    pixels = pipeline.evaluation_pixels(images, positions, data_set).astype(np.uint8)
    if max(height, width) <= LARGEST_SIDE:
        return pixels
    size = [max(round(side * LARGEST_SIDE / max(height, width)), 1) for side in (width, height)]
    pictures = (Image.fromarray(image[..., 0] if channels == 1 else image) for image in pixels)
    shrunk = [np.asarray(picture.resize(size, Image.Resampling.BILINEAR)) for picture in pictures]
    return np.stack(shrunk).reshape(len(positions), size[1], size[0], channels)


def _names(run, total, chosen):
    """The names of own pictures by which a person finds them: {key: names} for a dict from key to positions."""
    listed = [row["id"] for row in storage.read_csv(run.subset) if row["part"] == "test"]
    return {key: np.array(listed, str)[where] for key, where in chosen.items()} if len(listed) == total else {}


def _is_of(path, index, ticket):
    if not os.path.exists(path):
        return False
    there = storage.read_arrays(path)
    same = float(there.get("temperature", 1.0)) == float(ticket.get("temperature", 1.0))
    return same and int(there["round"]) == index and "mistakes" in there  # earlier versions kept none
