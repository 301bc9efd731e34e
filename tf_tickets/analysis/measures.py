"""Analyses of one network: densities by layer, transfer probe, activity, accuracy by how often a class was seen."""

import functools

import numpy as np

from tf_tickets import storage
from tf_tickets.analysis import activity, probe, shot
from tf_tickets.analysis.activations import SAMPLE, activations, described, outputs
from tf_tickets.data import pipeline, subsets
from tf_tickets.errors import UsageError
from tf_tickets.evaluation import networks
from tf_tickets.evaluation.evaluate import Task
from tf_tickets.registry import DATASETS


def densities(desk, groups):
    """Density and weights left of every layer, in every complete round of the runs.

    Args:
      desk: a desk.Desk.
      groups: for each path, a list of subjects.Subject.

    Returns:
      List of (subject, list of evaluate.Task).
    """
    firsts = {one.run.folder if one.run else one.folder: one for one, *_ in groups}
    every = [networks.of_run(one.run, "all") if one.run else [one] for one in firsts.values()]
    return [(one, [Task("density", "mask", "kept", _densities)]) for group in every for one in group]


def _densities(network, rows):
    found, kept, total = [], 0, 0
    for name, mask in network.ticket.masks.items():
        left = int(np.count_nonzero(mask))
        found += [(f"density:{name}", left / mask.size, mask.size), (f"kept:{name}", left, mask.size)]
        kept, total = kept + left, total + mask.size
    return [*found, ("kept", kept, total)]


def probes(desk, groups):
    """A linear classifier on frozen features, for each data set of `--probe`. As `densities`.

    Raises:
      UsageError: a data set's channels cannot become those of the network.
    """
    chosen = desk.config.command.probe
    work = []
    for one in (one for group in groups for one in group):
        own = desk.data_set(one)
        names = chosen.split(",") if chosen else [own.name]
        for name in names:
            channels = [own.image_shape[2], (own if name == own.name else DATASETS[name].facts_in(None)).image_shape[2]]
            if channels[0] != channels[1] and 1 not in channels:
                raise UsageError(
                    f"--probe={name}: images of {channels[1]} channels cannot become those of {own.name}, which have "
                    f"{channels[0]}; choose another data set"
                )
        work.append((one, [_probed(desk, name) for name in names]))
    return work


def _probed(desk, name):
    def measure(network, rows):
        data_dir = desk.data_dir(network, name)
        parts = probe_images(desk, name, data_dir)
        layers = described(network.ticket).probed()
        tensors = [network.model.get_layer(layer).output for layer in layers]
        facts = desk.source(name, data_dir).data_set
        found = {part: _features(network, tensors, images, facts) for part, images in parts.items()}
        metrics = []
        for index, layer in enumerate(layers):
            fitted = probe.fit(*((found[part][index], parts[part].labels) for part in ("train", "held_out")))
            metrics += [
                (f"regularisation:{layer}", fitted.strength, len(parts["train"])),
                (f"held_out_accuracy:{layer}", fitted.held_out_accuracy, len(parts["held_out"])),
                (f"accuracy:{layer}", fitted.accuracy(found["test"][index], parts["test"].labels), len(parts["test"])),
            ]
        return metrics

    return Task("probe", f"{name},images={desk.config.command.probe_images}", "accuracy:features", measure)


def probe_images(desk, name, data_dir=None):
    """The images of a probe on a data set.

    Args:
      desk: a desk.Desk.
      name, data_dir: of the data set, and where it is; see data.sources.data_root.

    Returns:
      dict of data.pipeline.Images: train and held_out, drawn by seed 0 and stratified from the full training set, four
      fifths and one fifth of `--probe_images`; and all of test. The draw has a stream of its own: under that of the
      runs' subsets it would hold all images that a network was trained on, which it separates too well.
    """
    source, wanted = desk.source(name, data_dir), desk.config.command.probe_images
    chosen = {"train": [], "held_out": []}
    for order in subsets.stratified(source.labels, wanted, "probe"):
        held = subsets.validation_count("0.2", len(order))
        chosen["held_out"].append(order[:held])
        chosen["train"].append(order[held:])
    drawn = {part: pipeline.Images.of(source, np.sort(np.concatenate(orders))) for part, orders in chosen.items()}
    return drawn | {"test": desk.test(name, data_dir)}


def _features(network, tensors, images, data_set):
    """Per layer float32 [n, channels], averaged over positions; images in the network's shape and normalisation."""
    own = network.data_set
    batches = (own.standardise(probe.adapted(pixels, own.image_shape)) for pixels in _in_unit_range(images, data_set))
    found = [
        [part.reshape(len(part), -1, part.shape[-1]).mean(axis=1) for part in parts]
        for parts in outputs(network, tensors, batches)
    ]
    return [np.concatenate(column) for column in zip(*found)]


def _in_unit_range(images, data_set):
    for start in range(0, len(images), 100):
        yield pipeline.evaluation_pixels(images, slice(start, start + 100), data_set) / np.float32(data_set.scale)


def activities(desk, groups):
    """Dead and silent channels, multiply-adds, norms of residual against shortcut. As `densities`."""
    measure = functools.partial(_activity, desk=desk)
    task = Task("activity", f"images={SAMPLE}", "dead_channels", measure)
    return [(one, [task]) for group in groups for one in group]


def _activity(network, rows, desk):
    from tf_tickets.backend import keras

    model, facts = network.model, described(network.ticket)
    kernels = facts.kernels()
    shapes = {kernel.name: tuple(model.get_layer(kernel.name).output.shape[1:]) for kernel in kernels}
    metrics = activity.layer_metrics(kernels, network.ticket.masks, shapes)
    rectified = [layer for layer in model.layers if isinstance(layer, keras.layers.ReLU)]
    sums = [layer for layer in model.layers if isinstance(layer, keras.layers.Add)]
    tensors = [layer.output for layer in rectified] + [part for layer in sums for part in layer.input]
    images = desk.sample(network.data_set.name, network.data_dir)
    silent, ratios = [activity.Silent() for _ in rectified], [[] for _ in sums]
    swapped = facts.shortcut_first
    for found in activations(network, tensors, images) if tensors else ():
        pairs = iter(found[len(rectified) :])
        for counter, part in zip(silent, found):
            counter.add(part)
        for line, residual, shortcut in zip(ratios, pairs, pairs):
            line.append(activity.norm_ratios(*((shortcut, residual) if swapped else (residual, shortcut))))
    counts = [counter.count for counter in silent]
    if counts:
        metrics.append(("silent_channels", *(sum(column) for column in zip(*counts))))
    metrics += [(f"silent_channels:{layer.name}", *count) for layer, count in zip(rectified, counts)]
    return metrics + [
        (f"residual_to_shortcut:{layer.name}", float(np.concatenate(line).mean()), len(images))
        for layer, line in zip(sums, ratios)
    ]


def shots(desk, groups):
    """Accuracy on classes with many, some and few training images. As `densities`.

    Raises:
      UsageError: a ticket folder outside its run, whose training images are not known.
    """
    for one in (one for group in groups for one in group):
        if one.run is None:
            raise UsageError(f"--what=shot counts the images of subset.csv, which {one.folder} lacks; give its run")
    return [
        (one, [Task("shot", "test", "images_of_rarest_class", functools.partial(_shot, desk=desk, run=one.run))])
        for group in groups
        for one in group
    ]


def _shot(network, rows, desk, run):
    labels = [int(row["label"]) for row in storage.read_csv(run.subset) if row["part"] == "train"]
    counts = np.bincount(labels, minlength=network.data_set.classes)
    images = desk.test(network.data_set.name, network.data_dir)
    predicted = network.logits(images).argmax(axis=1)
    found = [(f"accuracy_{name}", value, n) for name, value, n in shot.accuracies(predicted, images.labels, counts)]
    sizes = [("images_of_most_frequent_class", counts.max()), ("images_of_rarest_class", counts.min())]
    return found + [(name, int(value), len(labels)) for name, value in sizes]
