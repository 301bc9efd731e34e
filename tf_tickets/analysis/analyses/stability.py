"""Linear interpolation between two networks trained from one rewind point (Frankle et al. 2020).

All variables are interpolated, the moving mean and variance of batch normalisation too: they are not measured again
at the points between.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Sequence

from tf_tickets import storage
from tf_tickets.analysis.analysis import Analysis, label
from tf_tickets.errors import StateError, UsageError
from tf_tickets.evaluation.evaluator import Task
from tf_tickets.lazy_modules import np
from tf_tickets.registry import ANALYSES

if typing.TYPE_CHECKING:
    from tf_tickets.analysis.activations import Loader
    from tf_tickets.data.pipeline import Images
    from tf_tickets.evaluation.networks import Network
    from tf_tickets.export.ticket import Ticket

POINTS = 11


@ANALYSES.register("stability")
class Stability(Analysis):
    """The error on the line between two networks from one rewind point; rows stand with the first."""

    order = 5
    text = (
        "error on the line between two runs from one rewind point (train --ticket=DIR --order_seed=1 and =2), and its "
        "barrier; "
        "normalisation statistics are interpolated too"
    )
    plain = False

    def problems(self, paths: Sequence[str]) -> Iterator[str]:
        """Another number of paths than two."""
        if len(paths) != 2:
            compared = "--what=stability compares two runs from one rewind point"
            yield f"{compared}: give two paths, not {len(paths)}"

    def tasks(self, loader: Loader, groups: list[list]) -> list[tuple[object, list[Task]]]:
        """Of the last network of each of two paths, which have to be joinable."""
        if len(groups) != 2:
            raise UsageError("--what=stability: the two paths are one folder; give two runs from one rewind point")
        first, second = (group[-1] for group in groups)
        check_pair(first.ticket, second.ticket)

        def measure(network, rows):
            splits = _splits(loader, first, network.data_set.name, network.place)
            return errors_between(network, second.ticket.trained, splits)

        return [(first, [Task("stability", f"{label(second, first)},points={POINTS}", "barrier_test", measure)])]

    def figures(self, name: str, rows: list[dict], title: str) -> dict:
        """The error on the line, one colour per pair."""
        return {name: lambda: _lines(rows, title)}


def check_pair(first: Ticket, second: Ticket) -> None:
    """UsageError unless two tickets can be joined by a line: one network, training set, mask and rewind point."""
    for name, same in (
        ("networks", first.network == second.network),
        ("training images", first.ids_digest == second.ids_digest and first.data == second.data),
        ("masks", _equal(first.masks, second.masks)),
        ("rewind points", _equal(first.rewound, second.rewound)),
    ):
        if not same:
            raise UsageError(
                f"--what=stability: the two paths have different {name}; train both from one ticket: "
                "train --ticket=DIR --order_seed=0, then --order_seed=1"
            )


def _equal(first, second):
    return set(first) == set(second) and all(np.array_equal(array, second[name]) for name, array in first.items())


def _splits(loader, subject, name, place):
    """Test images, and the training images where the run's list of them is at hand."""
    from tf_tickets.data import pipeline

    splits = {"test": loader.test(name, place)}
    if subject.run is not None:
        source, rows = loader.source(name, place), storage.read_csv(subject.run.subset)
        ids = [row["id"] for row in rows if row["part"] == "train"]
        where = {image: position for position, image in enumerate(source.ids)}
        if not set(ids) <= set(where):
            raise StateError(f"{subject.run.subset} names images that {name} does not have; restore it")
        positions = np.array(sorted(where[image] for image in ids))
        splits["train"] = pipeline.Images.of(source, positions)
    return splits


def errors_between(
    network: Network, end: dict[str, np.ndarray], splits: dict[str, Images]
) -> list[tuple[str, float, int]]:
    """The metrics of the line from a networks.Network to the variables `end`, on splits of images by name."""
    from tf_tickets.models import state

    errors = {name: [] for name in splits}
    try:
        for alpha in alphas():
            state.set_state(network.model, interpolated(network.ticket.trained, end, alpha))
            for name, images in splits.items():
                errors[name].append(float((network.logits(images).argmax(axis=1) != images.labels).mean()))
    finally:
        state.set_state(network.model, network.ticket.trained)
    metrics = [
        (f"error_{name}:{alpha:g}", error, len(splits[name]))
        for name, line in errors.items()
        for alpha, error in zip(alphas(), line)
    ]
    return metrics + [(f"barrier_{n}", barrier(line), len(splits[n])) for n, line in errors.items()]


def _lines(rows, title):
    from tf_tickets.plotting.canvas import COLOURS, MARKERS, canvas
    from tf_tickets.plotting.rows import by_layer, grouped

    drawn = canvas(5.6, 3.6)
    axes = drawn.add_subplot(title=title, xlabel="share of the second network's weights", ylabel="error (%)")
    for index, ((_, setting), of_pair) in enumerate(grouped(rows, "round", "setting").items()):
        for part, style in (("test", "-"), ("train", "--")):
            errors = by_layer(of_pair, f"error_{part}")
            highest = [float(row["value"]) for row in of_pair if row["metric"] == f"barrier_{part}"]
            if errors:
                axes.plot(
                    [float(alpha) for alpha in errors], [100 * error for error in errors.values()], linestyle=style,
                    color=COLOURS[index % len(COLOURS)], marker=MARKERS[index % len(MARKERS)], markersize=4,
                    label=f"{part}, barrier {100 * highest[0]:.1f} points, to {setting.split(',')[0]}",
                )  # fmt: skip
    axes.set_ylim(bottom=0.0)
    axes.legend()
    return drawn


def alphas(points: int = POINTS) -> list[float]:
    """Where the line is looked at: `points` fractions from 0 to 1, both ends included."""
    return [round(float(alpha), 6) for alpha in np.linspace(0.0, 1.0, points)]


def interpolated(first: dict[str, np.ndarray], second: dict[str, np.ndarray], alpha: float) -> dict[str, np.ndarray]:
    """(1 - alpha) first + alpha second, variable by variable.

    Args:
      first, second: states, dicts of float arrays.
      alpha: in [0, 1]; the ends are the states themselves, bit for bit.
    """
    if alpha in (0, 1):
        return dict(second if alpha else first)
    low, high = np.float32(1.0 - alpha), np.float32(alpha)
    return {name: low * array + high * second[name] for name, array in first.items()}


def barrier(errors: Sequence[float] | np.ndarray) -> float:
    """How far the error rises on the way: the largest on the line minus the mean of its ends, in the errors' unit.

    Frankle et al. 2020 call networks stable where it is about 0 (below 0.02). Never negative.

    Args:
      errors: [points], from alpha 0 to alpha 1.
    """
    errors = np.asarray(errors, np.float64)
    return float(errors.max() - (errors[0] + errors[-1]) / 2.0)
