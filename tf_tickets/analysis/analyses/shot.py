"""Accuracy on a long tail by how often a class was trained on (Liu et al. 2019, "Open Long-Tailed Recognition")."""

from __future__ import annotations

import functools
import typing

from tf_tickets import storage
from tf_tickets.analysis.analysis import Analysis
from tf_tickets.errors import UsageError
from tf_tickets.evaluation.evaluator import Task
from tf_tickets.lazy_modules import np
from tf_tickets.registry import ANALYSES

if typing.TYPE_CHECKING:
    from tf_tickets.analysis.activations import Loader

MANY, FEW = 100, 20
_WORDS = {"many": "many (> 100)", "medium": "medium (20 to 100)", "few": "few (< 20)"}


@ANALYSES.register("shot")
class Shot(Analysis):
    """Accuracy on classes with many, some and few training images."""

    order = 7
    text = "accuracy on classes with more than 100, 20 to 100, and below 20 training images"
    plain = False

    def tasks(self, loader: Loader, groups: list[list]) -> list[tuple[object, list[Task]]]:
        """Of runs, whose training images are known."""
        subjects = [subject for group in groups for subject in group]
        for subject in subjects:
            if subject.run is None:
                lacking = f"subset.csv, which {subject.folder} lacks"
                raise UsageError(f"--what=shot counts the images of {lacking}; give its run")
        return [
            (
                subject,
                [
                    Task(
                        "shot",
                        "test",
                        "images_of_rarest_class",
                        functools.partial(_measure, loader=loader, run=subject.run),
                    )
                ],
            )
            for subject in subjects
        ]

    def figures(self, name: str, rows: list[dict], title: str) -> dict:
        """Bars by group of classes."""
        return {name: lambda: _bars(rows, title)}


def _measure(network, rows, loader, run):
    labels = [int(row["label"]) for row in storage.read_csv(run.subset) if row["part"] == "train"]
    counts = np.bincount(labels, minlength=network.data_set.classes)
    images = loader.test(network.data_set.name, network.place)
    predicted = network.logits(images).argmax(axis=1)
    metrics = [(f"accuracy_{name}", value, n) for name, value, n in accuracies(predicted, images.labels, counts)]
    sizes = [("images_of_most_frequent_class", counts.max()), ("images_of_rarest_class", counts.min())]
    return metrics + [(name, int(value), len(labels)) for name, value in sizes]


def _bars(rows, title):
    from tf_tickets.plotting.canvas import COLOURS, canvas
    from tf_tickets.plotting.rows import grouped, network

    drawn = canvas(5.6, 3.4)
    axes = drawn.add_subplot(title=title, ylabel="mean accuracy of the classes (%)")
    networks = list(grouped(rows, "round").values())
    for index, of_round in enumerate(networks):
        values = {row["metric"].removeprefix("accuracy_"): 100 * float(row["value"]) for row in of_round}
        shift = (index - (len(networks) - 1) / 2) * 0.8 / len(networks)
        bars = [(place + shift, values[name]) for place, name in enumerate(_WORDS) if name in values]
        axes.bar(
            [place for place, _ in bars], [value for _, value in bars], width=0.75 / len(networks),
            color=COLOURS[index % len(COLOURS)], label=network(of_round),
        )  # fmt: skip
    axes.set_xticks(range(len(_WORDS)), _WORDS.values())
    axes.set_xlabel("training images of the class")
    axes.set_xlim(-0.5, len(_WORDS) - 0.5)
    axes.legend()
    return drawn


def groups(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Which classes are many (above 100 training images), medium (20 to 100) and few (below 20).

    Args:
      counts: int [classes].

    Returns:
      dict from name to a boolean array [classes].
    """
    counts = np.asarray(counts)
    return {"many": counts > MANY, "medium": (counts >= FEW) & (counts <= MANY), "few": counts < FEW}


def accuracies(predicted: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> list[tuple[str, float, int]]:
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
    means = []
    for name, chosen in groups(counts).items():
        chosen = chosen & (sizes > 0)
        if chosen.any():
            means.append((name, float(recall[chosen].mean()), int(sizes[chosen].sum())))
    return means
