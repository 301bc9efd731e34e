"""Fewer test images for what takes long: a fixed stratified draw, and names that say so."""

import dataclasses

import numpy as np

from tf_tickets.data import pipeline, subsets


def draw(labels, wanted):
    """Positions of a stratified sample, the same for every network.

    Args:
      labels: int [n].
      wanted: how many images; all, in their order, where there are no more.

    Returns:
      int [min(n, wanted)], rising.
    """
    labels = np.asarray(labels)
    counts = subsets.stratified_counts(np.bincount(labels), min(wanted, len(labels)))
    chosen = [
        subsets.class_order(np.flatnonzero(labels == label), "0", label, "test_images")[:count]
        for label, count in enumerate(counts)
    ]
    return np.sort(np.concatenate(chosen))


def part(images, wanted):
    """A data.pipeline.Images of `draw`."""
    chosen = draw(images.labels, wanted)
    return pipeline.Images(images.pixels[chosen], images.labels[chosen], images.ids[chosen])


def limited(test_set, wanted):
    """An evaluation.files.TestSet, whose images are those of the test split in its order, of so many."""
    return dataclasses.replace(test_set, load=lambda: part(test_set.load(), wanted))


def named(evaluator, wanted):
    """The evaluator's name in rows: on fewer images it is another measurement."""
    return evaluator if wanted is None else f"{evaluator},images={wanted}"
