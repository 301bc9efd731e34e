"""Transfer probe: a linear classifier on frozen features (Alain & Bengio 2017; Chen et al. 2020, ticket transfer)."""

from __future__ import annotations

import typing

from tf_tickets.analysis import linear_probe
from tf_tickets.analysis.analysis import Analysis
from tf_tickets.errors import UsageError
from tf_tickets.evaluation.evaluator import Task
from tf_tickets.lazy_modules import np
from tf_tickets.registry import ANALYSES, DATASETS
from tf_tickets.settings.places import Place

if typing.TYPE_CHECKING:
    from tf_tickets.analysis.activations import Loader
    from tf_tickets.data.pipeline import Images


@ANALYSES.register("probe")
class Probes(Analysis):
    """A linear classifier on frozen features, for each data set of `--probe`."""

    order = 3
    text = (
        "a logistic regression on frozen features (for ResNets also on those of each stage), on --probe data sets; "
        "penalty "
        "chosen on held-out training images"
    )
    flags = ("probe", "probe_images")
    plain = False

    def tasks(self, loader: Loader, groups: list[list]) -> list[tuple[object, list[Task]]]:
        """Of each network and data set, whose channels have to become those of the network."""
        chosen, work = loader.config.command.probe, []
        for subject in (subject for group in groups for subject in group):
            own = loader.data_set(subject)
            names = chosen.split(",") if chosen else [own.name]
            for name in names:
                facts = own if name == own.name else DATASETS[name].facts_in(Place())
                channels = [own.image_shape[2], facts.image_shape[2]]
                if channels[0] != channels[1] and 1 not in channels:
                    raise UsageError(
                        f"--probe={name}: images of {channels[1]} channels cannot become those of {own.name}, which "
                        f"have {channels[0]}; choose another data set"
                    )
            work.append((subject, [_task(loader, name) for name in names]))
        return work

    def figures(self, name: str, rows: list[dict], title: str) -> dict:
        """Test accuracy by layer, one panel per data set."""
        return {name: lambda: _by_layer(rows, title)}


def _task(loader, name):
    def measure(network, rows):
        from tf_tickets.analysis.activations import described

        place = loader.place(network, name)
        parts = probe_images(loader, name, place)
        layers, test = described(network.ticket).probed(), parts["test"]
        tensors = [network.model.get_layer(layer).output for layer in layers]
        facts = loader.source(name, place).data_set
        features = {part: _features(network, tensors, images, facts) for part, images in parts.items()}
        metrics = []
        for index, layer in enumerate(layers):
            fitted = linear_probe.fit(*((features[part][index], parts[part].labels) for part in ("train", "held_out")))
            metrics += [
                (f"regularisation:{layer}", fitted.strength, len(parts["train"])),
                (f"held_out_accuracy:{layer}", fitted.held_out_accuracy, len(parts["held_out"])),
                (f"accuracy:{layer}", fitted.accuracy(features["test"][index], test.labels), len(test)),
            ]
        return metrics

    return Task("probe", f"{name},images={loader.config.command.probe_images}", "accuracy:features", measure)


def probe_images(loader: Loader, name: str, place: Place | None = None) -> dict[str, Images]:
    """The images of a probe on a data set.

    Args:
      name, place: of the data set, and where it is.

    Returns:
      dict of data.pipeline.Images: train and held_out, drawn by seed 0 and stratified from the full training set, four
      fifths and one fifth of `--probe_images`; and all of test. The draw has a stream of its own: under that of the
      runs' subsets it would hold all images that a network was trained on, which it separates too well.
    """
    from tf_tickets.data import pipeline, subsets

    source, wanted = loader.source(name, place), loader.config.command.probe_images
    chosen = {"train": [], "held_out": []}
    for order in subsets.stratified(source.labels, wanted, "probe"):
        held = subsets.validation_count("0.2", len(order))
        chosen["held_out"].append(order[:held])
        chosen["train"].append(order[held:])
    drawn = {part: pipeline.Images.of(source, np.sort(np.concatenate(orders))) for part, orders in chosen.items()}
    return drawn | {"test": loader.test(name, place)}


def _features(network, tensors, images, data_set):
    """Per layer float32 [n, channels], averaged over positions; images in the network's shape and normalisation."""
    from tf_tickets.analysis.activations import outputs

    own = network.data_set
    batches = (own.standardise(adapted(pixels, own.image_shape)) for pixels in _in_unit_range(images, data_set))
    pooled = [
        [part.reshape(len(part), -1, part.shape[-1]).mean(axis=1) for part in parts]
        for parts in outputs(network, tensors, batches)
    ]
    return [np.concatenate(column) for column in zip(*pooled)]


def _in_unit_range(images, data_set):
    from tf_tickets.data import pipeline

    for start in range(0, len(images), 100):
        yield pipeline.evaluation_pixels(images, slice(start, start + 100), data_set) / np.float32(data_set.scale)


def _by_layer(rows, title):
    from tf_tickets.plotting.canvas import canvas
    from tf_tickets.plotting.rows import by_layer, grouped, line, network

    panels = grouped(rows, "setting")
    drawn = canvas(1.2 + 3.4 * len(panels), 3.6)
    for number, ((setting,), of_setting) in enumerate(panels.items()):
        axes = drawn.add_subplot(1, len(panels), number + 1, title=setting.split(",")[0])
        for index, of_round in enumerate(grouped(of_setting, "round").values()):
            line(axes, by_layer(of_round, "accuracy"), index, network(of_round), scale=100)
        axes.set_ylabel("accuracy of a linear probe (%)" if number == 0 else "")
        axes.legend()
    drawn.suptitle(title, fontsize=10)
    return drawn


def adapted(pixels: np.ndarray, image_shape: tuple[int, int, int]) -> np.ndarray:
    """Images of one data set in the shape that a network of another takes.

    Grey is repeated over the channels, channels are averaged to grey. Images that fit inside get a border of black on
    all sides; larger ones are shrunk with antialiasing.

    Args:
      pixels: float32 [n, height, width, channels] in [0, 1].
      image_shape: (height, width, channels) wanted.

    Returns:
      float32 [n, *image_shape].

    Raises:
      ValueError: channels that are neither equal nor 1.
    """
    height, width, channels = image_shape
    if pixels.shape[3] != channels:
        if 1 not in (pixels.shape[3], channels):
            raise ValueError(f"images of {pixels.shape[3]} channels cannot become images of {channels}")
        pixels = pixels.mean(axis=3, keepdims=True) if channels == 1 else np.repeat(pixels, channels, axis=3)
    rows, columns = pixels.shape[1:3]
    if rows <= height and columns <= width:
        top, left = (height - rows) // 2, (width - columns) // 2
        border = [(0, 0), (top, height - rows - top), (left, width - columns - left), (0, 0)]
        return np.pad(pixels, border)
    from tf_tickets.backend import tf

    return tf.image.resize(pixels, (height, width), antialias=True).numpy()
