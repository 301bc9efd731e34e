"""How far two masks agree: intersection over union, against the level of chance."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Sequence

from tf_tickets.analysis.analysis import Analysis, label, same_round
from tf_tickets.errors import UsageError
from tf_tickets.evaluation.evaluator import Task
from tf_tickets.lazy_modules import np
from tf_tickets.registry import ANALYSES

if typing.TYPE_CHECKING:
    from tf_tickets.analysis.activations import Loader


@ANALYSES.register("overlap")
class Overlap(Analysis):
    """Overlap of masks between runs at the same, pruned round; rows stand with the earlier run."""

    order = 4
    text = (
        "intersection over union of the masks of several runs, compared with independent random masks of equal density "
        "in each layer"
    )
    of_masks = True
    plain = False

    def problems(self, paths: Sequence[str]) -> Iterator[str]:
        """Fewer than two paths."""
        if len(paths) < 2:
            yield "--what=overlap compares masks: give two paths or more"

    def tasks(self, loader: Loader, groups: list[list]) -> list[tuple[object, list[Task]]]:
        """Of each pair of runs."""
        from tf_tickets.analysis.activations import described

        work = []
        for number, group in enumerate(groups):
            for subject in group:
                counterparts = same_round(subject, groups[number + 1 :]) if subject.ticket.density < 1 else []
                for counterpart in counterparts:
                    if described(counterpart.ticket).kernels() != described(subject.ticket).kernels():
                        names = f"{subject.name} and {counterpart.name}"
                        raise UsageError(f"--what=overlap: {names} are different networks; give others")
                work.append((subject, [_task(subject, counterpart) for counterpart in counterparts]))
        if not any(tasks for _, tasks in work):
            raise UsageError("--what=overlap: no two paths share a pruned round; give runs that do, or add --which=all")
        return work

    def figures(self, name: str, rows: list[dict], title: str) -> dict:
        """By layer, mean over the pairs of runs, beside the chance level."""
        return {name: lambda: _by_layer(rows, title)}


def _task(subject, counterpart):
    def measure(network, rows):
        return compare(subject.ticket.masks, counterpart.ticket.masks)

    return Task("overlap", label(counterpart, subject), "iou", measure)


def _by_layer(rows, title):
    from tf_tickets.plotting.canvas import canvas
    from tf_tickets.plotting.rows import by_layer, grouped, line, network

    pairs = grouped(rows, "round", "setting").values()
    drawn = canvas(2.0 + 0.24 * max(len(by_layer(of_pair, "iou")) for of_pair in pairs), 3.8)
    axes = drawn.add_subplot(title=title, ylabel="intersection over union of masks")
    names = list(dict.fromkeys(name for of_pair in pairs for name in by_layer(of_pair, "iou")))
    for index, of_round in enumerate(grouped(rows, "round").values()):
        count = len(grouped(of_round, "setting"))
        pairs_of = f"{'mean of ' if count > 1 else ''}{count} pair{'s' if count > 1 else ''}"
        line(axes, _means(of_round, "iou"), index, f"{network(of_round)}, {pairs_of}", names=names)
        level = _means(of_round, "iou_chance")
        axes.plot(
            [names.index(layer) for layer in level], list(level.values()), color="#444444", linestyle="--",
            linewidth=1.1, label="chance: independent masks as dense by layer" if index == 0 else None,
        )  # fmt: skip
    axes.set_ylim(bottom=0.0)
    axes.legend()
    return drawn


def _means(rows, metric):
    from tf_tickets.plotting.rows import by_layer, grouped

    pairs = [by_layer(of_pair, metric) for of_pair in grouped(rows, "setting").values()]
    names = dict.fromkeys(name for values in pairs for name in values)
    return {name: float(np.mean([values[name] for values in pairs if name in values])) for name in names}


def intersection_over_union(first: np.ndarray, second: np.ndarray) -> float | None:
    """The share of the weights that either mask keeps which both keep; None where neither keeps any.

    Args:
      first, second: boolean arrays of one shape.
    """
    either = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / either if either else None


def chance(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> float | None:
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
    for mask, second_mask in zip(first, second):
        kept, also = np.count_nonzero(mask), np.count_nonzero(second_mask)
        shared = kept * also / mask.size
        both, either = both + shared, either + kept + also - shared
    return both / either if either else None


def compare(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> list[tuple[str, float, int]]:
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
    metrics = []
    for ending, mask, second_mask, layers in lines:
        value = intersection_over_union(mask, second_mask)
        if value is not None:
            level = chance([first[name] for name in layers], [second[name] for name in layers])
            metrics += [(f"iou{ending}", value, mask.size), (f"iou_chance{ending}", level, mask.size)]
    return metrics
