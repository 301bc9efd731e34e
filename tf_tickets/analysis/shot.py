"""Accuracy on a long tail by how often a class was trained on (Liu et al. 2019, "Open Long-Tailed Recognition")."""

import numpy as np

MANY, FEW = 100, 20


def groups(counts):
    """Which classes are many (above 100 training images), medium (20 to 100) and few (below 20).

    Args:
      counts: int [classes].

    Returns:
      dict from name to a boolean array [classes].
    """
    counts = np.asarray(counts)
    return {"many": counts > MANY, "medium": (counts >= FEW) & (counts <= MANY), "few": counts < FEW}


def accuracies(predicted, labels, counts):
    """The mean of the per-class accuracies in each group.

    Args:
      predicted, labels: int [n], of test images.
      counts: int [classes], training images of each class.

    Returns:
      List of (group, accuracy, n): a fraction, and the group's test images; groups without any are left out.
    """
    right, classes = np.asarray(predicted) == np.asarray(labels), len(counts)
    sizes = np.bincount(labels, minlength=classes)
    recall = np.bincount(labels, right, classes) / np.maximum(sizes, 1)
    found = []
    for name, chosen in groups(counts).items():
        chosen = chosen & (sizes > 0)
        if chosen.any():
            found.append((name, float(recall[chosen].mean()), int(sizes[chosen].sum())))
    return found
