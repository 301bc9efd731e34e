"""Fewer test images for what takes long: a fixed stratified draw, and names that say so."""

import dataclasses
import typing

import numpy as np

from tf_tickets.data import subsets

if typing.TYPE_CHECKING:
    from tf_tickets.data.pipeline import Images
    from tf_tickets.evaluation.published_sets import TestSet


def draw(labels: np.ndarray, wanted: int) -> np.ndarray:
    """Positions of a stratified sample, the same for every network.

    Args:
      labels: int [n].
      wanted: how many images; all, in their order, where there are no more.

    Returns:
      int [min(n, wanted)], rising.
    """
    return np.sort(np.concatenate(subsets.stratified(labels, wanted, "test_images")))


def part(images: "Images", wanted: int) -> "Images":
    """A data.pipeline.Images of `draw`."""
    return images[draw(images.labels, wanted)]


def limited(test_set: "TestSet", wanted: int) -> "TestSet":
    """An evaluation.published_sets.TestSet, whose images are those of the test split in its order, of so many."""
    return dataclasses.replace(test_set, load=lambda: part(test_set.load(), wanted))


def named(evaluator: str, wanted: int | None) -> str:
    """The evaluator's name in rows: on fewer images it is another measurement."""
    return evaluator if wanted is None else f"{evaluator},images={wanted}"
