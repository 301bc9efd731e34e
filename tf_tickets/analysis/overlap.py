"""How far two masks agree: intersection over union, against the level of chance."""

import numpy as np


def intersection_over_union(first, second):
    """The share of the weights that either mask keeps which both keep; None where neither keeps any.

    Args:
      first, second: boolean arrays of one shape.
    """
    either = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / either if either else None


def chance(first, second):
    """The expected overlap of independent uniformly random masks with as many weights in each layer.

    Of a layer of N weights, masks that keep a and b share a b / N on average (hypergeometric), so the expected
    intersection over the expected union is sum(a b / N) / sum(a + b - a b / N); in densities, of one layer,
    p q / (p + q - p q). The mean of the ratio itself differs from it by a term of order 1 / N.

    Args:
      first, second: lists of boolean arrays, one per layer.

    Returns:
      A fraction; None where neither keeps any weight.
    """
    both, either = 0.0, 0.0
    for one, other in zip(first, second):
        kept, also = np.count_nonzero(one), np.count_nonzero(other)
        shared = kept * also / one.size
        both, either = both + shared, either + kept + also - shared
    return both / either if either else None


def compare(first, second):
    """Overlap and chance level, in total and per layer.

    Args:
      first, second: dicts from layer name to mask.

    Returns:
      List of (metric, value, n): `iou` and `iou_chance`, each first in total, then with `:<layer>`; n counts the
      weights. Layers that neither keeps anything of are left out.

    Raises:
      ValueError: other layers or shapes.
    """
    shapes = [{name: mask.shape for name, mask in masks.items()} for masks in (first, second)]
    if shapes[0] != shapes[1]:
        odd = next(name for name in shapes[0] | shapes[1] if shapes[0].get(name) != shapes[1].get(name))
        raise ValueError(f"layer {odd} is {shapes[0].get(odd)} in one and {shapes[1].get(odd)} in the other")
    names = list(first)
    flat = [np.concatenate([masks[name].ravel() for name in names]) for masks in (first, second)]
    lines = [("", *flat, names)] + [(f":{name}", first[name], second[name], [name]) for name in names]
    found = []
    for ending, one, other, layers in lines:
        value = intersection_over_union(one, other)
        if value is not None:
            level = chance([first[name] for name in layers], [second[name] for name in layers])
            found += [(f"iou{ending}", value, one.size), (f"iou_chance{ending}", level, one.size)]
    return found
