"""Clean accuracy from logits, weighted by examples."""

import numpy as np

BATCH = 500


def logits_of(compute, images, data_set, batch=BATCH):
    """Logits of a split, batch by batch, the last one short.

    Args:
      compute: function float32 [n, height, width, channels] -> logits [n, classes].
      images: a data.pipeline.Images.
      data_set: a catalog.DataSet, for normalisation.
      batch: images a call.

    Returns:
      float32 [len(images), classes].
    """
    parts = []
    for start in range(0, len(images), batch):
        pixels = images.pixels[start : start + batch].astype(np.float32)
        parts.append(compute(data_set.normalise(pixels)))
    return np.concatenate(parts)


def metrics(logits, labels, classes):
    """Accuracy, balanced accuracy (mean of per-class recall over the classes present) and mean cross-entropy.

    Args:
      logits: float [n, classes].
      labels: int [n].
      classes: their number.

    Returns:
      dict with accuracy, balanced_accuracy (fractions) and loss.
    """
    logits = logits.astype(np.float64)
    correct = logits.argmax(axis=1) == labels
    present = np.bincount(labels, minlength=classes)
    recall = np.bincount(labels, correct, classes)[present > 0] / present[present > 0]
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probability = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return {
        "accuracy": float(correct.mean()),
        "balanced_accuracy": float(recall.mean()),
        "loss": float(-log_probability[np.arange(len(labels)), labels].mean()),
    }
