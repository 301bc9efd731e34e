"""What the networks of a run predict on the test set, and a few images on which dense and ticket differ."""

import os

import numpy as np

from tf_tickets import storage

MOST_EXAMPLES = 24


def keep(path, logits, labels):
    """Writes predictions.npz: uint16 [n] `predictions` and `labels`, in the order of the test set.

    Args:
      path: of the file.
      logits: float [n, classes].
      labels: integers [n].
    """
    predicted = logits.argmax(axis=1).astype(np.uint16)
    storage.write_arrays(path, {"predictions": predicted, "labels": np.asarray(labels, np.uint16)}, compress=True)


def choose_examples(labels, dense, ticket, most=MOST_EXAMPLES):
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
    return tuple(_spread(positions, count) for positions, count in zip((gained, lost), places))


def _spread(positions, count):
    if len(positions) <= count:
        return positions
    return positions[(np.arange(count) * len(positions)) // count]


def write_examples(run, test, classes):
    """Writes the run's examples.npz once round 0 and the ticket's round both have predictions; else does nothing.

    Args:
      run: a runs.RunFolder, or None for a ticket folder, which stays as it is.
      test: function -> data.pipeline.Images of the test set.
      classes: the names of the classes.

    The file holds uint8 `images` [m, height, width, channels], `positions` in the test set, `labels`, `dense` and
    `ticket` (classes) [m], `round` of the ticket, `gained`, `lost` and `total` (how many test images only the ticket
    or only the dense network has right, and how many there are), and `classes` (names).
    """
    exported = run.exported() if run is not None else None
    if exported is None or exported[1] != run.refits:
        return
    index = exported[0]
    files = [run.round(number).predictions for number in (0, index)] if index else []
    if not files or not all(map(os.path.exists, files)) or _is_of(run.examples, index):
        return
    images = test()
    # Pictures of many sizes, or of other channels than a screen shows, make no thumbnails.
    if not isinstance(images.pixels, np.ndarray) or images.pixels.dtype != np.uint8 or images.pixels.shape[-1] > 3:
        return
    dense, ticket = (storage.read_arrays(file) for file in files)
    labels = dense["labels"]
    gained, lost = choose_examples(labels, dense["predictions"], ticket["predictions"])
    chosen = np.concatenate([gained, lost])
    right = dense["predictions"] == labels, ticket["predictions"] == labels
    storage.write_arrays(run.examples, {
        "images": images.pixels[chosen], "positions": chosen, "labels": labels[chosen],
        "dense": dense["predictions"][chosen], "ticket": ticket["predictions"][chosen], "round": np.int64(index),
        "gained": np.int64((~right[0] & right[1]).sum()), "lost": np.int64((right[0] & ~right[1]).sum()),
        "total": np.int64(len(labels)), "classes": np.array([str(name) for name in classes]),
    }, compress=True)  # fmt: skip


def _is_of(path, index):
    return os.path.exists(path) and int(storage.read_arrays(path)["round"]) == index
