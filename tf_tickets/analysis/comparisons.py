"""Analyses of two networks: similarity of layers, overlap of masks, the error between two ends of training."""

import numpy as np

from tf_tickets import storage
from tf_tickets.analysis import overlap, similarity, stability, taps
from tf_tickets.analysis.activations import BATCH, SAMPLE, described
from tf_tickets.data import pipeline
from tf_tickets.errors import StateError, UsageError
from tf_tickets.evaluation.evaluate import Task


def label(other, one):
    """How rows of one network name another: by its round, with the run's name if it is another run."""
    part = f"round_{other.ticket.round:02d}"
    return part if other.name == one.name else f"{other.name}/{part}"


def _same_round(one, groups):
    return [other for group in groups for other in group if other.ticket.round == one.ticket.round]


def similarities(desk, groups):
    """Linear CKA of each network with itself, with its run's first one, and with those of earlier runs at its round.

    Networks of other data sets are not compared: no sample is the same to both.

    Args:
      desk: a desk.Desk.
      groups: for each path, a list of subjects.Subject.

    Returns:
      List of (subject, list of evaluate.Task).
    """
    work = []
    for number, group in enumerate(groups):
        for one in group:
            others = {id(other): other for other in [one, group[0], *_same_round(one, groups[:number])]}.values()
            same = [other for other in others if other.ticket.data == one.ticket.data]
            work.append((one, [_alignment(desk, other, one) for other in same]))
    return work


def _alignment(desk, other, one):
    def measure(network, rows):
        first, second = (taps.compared(described(subject.ticket)) for subject in (other, one))
        found = similarity.cka(desk.directions(other), desk.directions(one))
        count = len(desk.sample(network.data_set.name, network.data_dir))
        metrics = [(f"cka:{a}>{b}", found[i, j], count) for i, a in enumerate(first) for j, b in enumerate(second)]
        shared = [found[first.index(name), second.index(name)] for name in first if name in second]
        return [*metrics, ("cka", float(np.mean(shared)), count)]

    return Task("similarity", f"{label(other, one)},images={SAMPLE},batch={BATCH}", "cka", measure)


def overlaps(desk, groups):
    """Overlap of masks between runs at the same, pruned round; rows stand with the earlier run. As `similarities`."""
    work = []
    for number, group in enumerate(groups):
        for one in group:
            others = _same_round(one, groups[number + 1 :]) if one.ticket.density < 1 else []
            for other in others:
                if described(other.ticket).kernels() != described(one.ticket).kernels():
                    raise UsageError(f"--what=overlap: {one.name} and {other.name} are different networks; give others")
            work.append((one, [_overlapped(one, other) for other in others]))
    if not any(tasks for _, tasks in work):
        raise UsageError("--what=overlap: no two paths share a pruned round; give runs that do, or add --which=all")
    return work


def _overlapped(one, other):
    def measure(network, rows):
        return overlap.compare(one.ticket.masks, other.ticket.masks)

    return Task("overlap", label(other, one), "iou", measure)


def stabilities(desk, groups):
    """The error on the line between two networks from one rewind point; rows stand with the first. As `similarities`.

    Raises:
      UsageError: the networks cannot be joined.
    """
    if len(groups) != 2:
        raise UsageError("--what=stability: the two paths are one folder; give two runs from one rewind point")
    first, second = (group[-1] for group in groups)
    check_pair(first.ticket, second.ticket)

    def measure(network, rows):
        splits = _splits(desk, first, network.data_set.name, network.data_dir)
        return _errors_between(network, second.ticket.trained, splits)

    return [(first, [Task("stability", f"{label(second, first)},points={stability.POINTS}", "barrier_test", measure)])]


def check_pair(first, second):
    """UsageError unless two tickets can be joined by a line: one network, training set, mask and rewind point.

    Args:
      first, second: export.ticket.Tickets.
    """
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


def _splits(desk, subject, name, data_dir):
    """Test images, and the training images where the run's list of them is at hand."""
    found = {"test": desk.test(name, data_dir)}
    if subject.run is not None:
        source, rows = desk.source(name, data_dir), storage.read_csv(subject.run.subset)
        ids = [row["id"] for row in rows if row["part"] == "train"]
        where = {one: position for position, one in enumerate(source.ids)}
        if not set(ids) <= set(where):
            raise StateError(f"{subject.run.subset} names images that {name} does not have; restore it")
        positions = np.array(sorted(where[one] for one in ids))
        found["train"] = pipeline.Images.of(source, positions)
    return found


def _errors_between(network, end, splits):
    from tf_tickets.models import state

    errors = {name: [] for name in splits}
    try:
        for alpha in stability.alphas():
            state.set_state(network.model, stability.interpolated(network.ticket.trained, end, alpha))
            for name, images in splits.items():
                errors[name].append(float((network.logits(images).argmax(axis=1) != images.labels).mean()))
    finally:
        state.set_state(network.model, network.ticket.trained)
    metrics = [
        (f"error_{name}:{alpha:g}", error, len(splits[name]))
        for name, line in errors.items()
        for alpha, error in zip(stability.alphas(), line)
    ]
    return metrics + [(f"barrier_{n}", stability.barrier(line), len(splits[n])) for n, line in errors.items()]
