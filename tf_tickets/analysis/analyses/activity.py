"""What of a sparse network still works: dead and silent channels, multiply-adds, residual against shortcut norms."""

from __future__ import annotations

import functools
import typing
from collections.abc import Sequence

from tf_tickets.analysis.analysis import Analysis
from tf_tickets.evaluation.evaluator import Task
from tf_tickets.lazy_modules import np
from tf_tickets.models.costs import multiply_adds, output_shapes
from tf_tickets.registry import ANALYSES

if typing.TYPE_CHECKING:
    from tf_tickets.analysis.activations import Loader
    from tf_tickets.models.description import Kernel

_PANELS = (
    ("dead_channels", "dead channels"), ("silent_channels", "channels that never fire"),
    ("multiply_adds", "multiply-adds of an image"), ("residual_to_shortcut", "norm of residual / shortcut"),
)  # fmt: skip


@ANALYSES.register("activity")
class Activity(Analysis):
    """Dead and silent channels, multiply-adds, norms of residual against shortcut."""

    order = 6
    text = (
        "dead and silent channels, multiply-adds, dense and sparse, norm of the residual branch relative to the "
        "shortcut"
    )
    plain = False

    def tasks(self, loader: Loader, groups: list[list]) -> list[tuple[object, list[Task]]]:
        """Of each network, on a fixed sample."""
        from tf_tickets.analysis.activations import SAMPLE

        task = Task("activity", f"images={SAMPLE}", "dead_channels", functools.partial(_measure, loader=loader))
        return [(subject, [task]) for group in groups for subject in group]

    def figures(self, name: str, rows: list[dict], title: str) -> dict:
        """A panel for each metric, by layer."""
        return {name: lambda: _panels(rows, title)}


def _measure(network, rows, loader):
    from tf_tickets.analysis.activations import activations, described
    from tf_tickets.backend import keras

    model, facts = network.model, described(network.ticket)
    kernels = facts.kernels()
    shapes = output_shapes(model, kernels)
    metrics = layer_metrics(kernels, network.ticket.masks, shapes)
    rectified = [layer for layer in model.layers if isinstance(layer, keras.layers.ReLU)]
    sums = [layer for layer in model.layers if isinstance(layer, keras.layers.Add)]
    tensors = [layer.output for layer in rectified] + [part for layer in sums for part in layer.input]
    images = loader.sample(network.data_set.name, network.place)
    silent, ratios = [Silent() for _ in rectified], [[] for _ in sums]
    swapped = facts.shortcut_first
    for outputs in activations(network, tensors, images) if tensors else ():
        pairs = iter(outputs[len(rectified) :])
        for counter, part in zip(silent, outputs):
            counter.add(part)
        for line, residual, shortcut in zip(ratios, pairs, pairs):
            line.append(norm_ratios(*((shortcut, residual) if swapped else (residual, shortcut))))
    counts = [counter.count for counter in silent]
    if counts:
        metrics.append(("silent_channels", sum(count[0] for count in counts), sum(count[1] for count in counts)))
    metrics += [(f"silent_channels:{layer.name}", *count) for layer, count in zip(rectified, counts)]
    return metrics + [
        (f"residual_to_shortcut:{layer.name}", float(np.concatenate(line).mean()), len(images))
        for layer, line in zip(sums, ratios)
    ]


def _panels(rows, title):
    from tf_tickets.plotting.canvas import canvas
    from tf_tickets.plotting.rows import by_layer, grouped, line, network

    networks = list(grouped(rows, "round").values())
    panels = [panel for panel in _PANELS if by_layer(networks[0], panel[0])]
    drawn = canvas(9.0, 0.6 + 3.2 * ((len(panels) + 1) // 2))
    for number, (metric, words) in enumerate(panels):
        axes = drawn.add_subplot((len(panels) + 1) // 2, 2, number + 1, ylabel=words)
        for index, of_round in enumerate(networks):
            line(axes, by_layer(of_round, metric), index, network(of_round))
        axes.set_ylim(0.0, max(axes.get_ylim()[1], 1.0))
        axes.tick_params(axis="x", labelsize=6.5)
        if number == 0:
            axes.legend()
    drawn.suptitle(title, fontsize=10)
    return drawn


def dead_channels(mask: np.ndarray, kind: str = "plain") -> int:
    """Output channels whose kernel has no weight left.

    Args:
      mask: boolean, Keras layout: [height, width, in, out], depthwise [h, w, channels, filters], dense [in, out].
      kind: that of the models.description.Kernel; of a depthwise one every channel has a kernel of its own.

    Returns:
      Their number.
    """
    outputs = (2, 3) if kind == "depthwise" else (mask.ndim - 1,)
    alive = mask.any(axis=tuple(place for place in range(mask.ndim) if place not in outputs))
    return int(np.count_nonzero(~alive))


def layer_metrics(
    kernels: Sequence[Kernel], masks: dict[str, np.ndarray], output_shapes: dict[str, tuple]
) -> list[tuple[str, float, int]]:
    """Dead channels and multiply-adds, per layer and in total.

    Args:
      masks: dict from name to mask; a kernel without one is dense.
      output_shapes: dict from name to the shape of one image's output.

    Returns:
      List of (metric, value, n): `multiply_adds` and `multiply_adds_dense` (n: weights of the kernel),
      `dead_channels` (n: channels; of kernels with a mask), totals first, then with `:<layer>`.
    """
    layers, totals = [], {}

    def add(metric, name, value, n):
        layers.append((f"{metric}:{name}", value, n))
        before = totals.get(metric, (0, 0))
        totals[metric] = before[0] + value, before[1] + n

    for kernel in kernels:
        mask, shape = masks.get(kernel.name), output_shapes[kernel.name]
        kept = kernel.size if mask is None else int(np.count_nonzero(mask))
        add("multiply_adds", kernel.name, multiply_adds(kept, shape), kernel.size)
        add("multiply_adds_dense", kernel.name, multiply_adds(kernel.size, shape), kernel.size)
        if mask is not None:
            add("dead_channels", kernel.name, dead_channels(mask, kernel.kind), kernel.outputs)
    return [(metric, *total) for metric, total in totals.items()] + layers


class Silent:
    """Counts the channels of a rectified layer that never fire on a sample, batch by batch."""

    def __init__(self):
        self._peaks: np.ndarray = np.array([])

    def add(self, outputs: np.ndarray) -> None:
        """Looks at one batch, float [n, ..., channels]."""
        peaks = outputs.reshape(-1, outputs.shape[-1]).max(axis=0)
        self._peaks = np.maximum(self._peaks, peaks) if self._peaks.size else peaks

    @property
    def count(self) -> tuple[int, int]:
        """(silent channels, channels)."""
        return int(np.count_nonzero(self._peaks <= 0)), len(self._peaks)


def norm_ratios(residual: np.ndarray, shortcut: np.ndarray) -> np.ndarray:
    """Length of the residual branch over that of the shortcut, image by image.

    Args:
      residual, shortcut: float [n, ...], what a block adds up.

    Returns:
      float64 [n].
    """
    lengths = [np.linalg.norm(part.reshape(len(part), -1).astype(np.float64), axis=1) for part in (residual, shortcut)]
    return lengths[0] / np.maximum(lengths[1], 1e-12)
