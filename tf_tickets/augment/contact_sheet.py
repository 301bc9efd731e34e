"""What every augmentation does to eight images, on one sheet."""

import io
import os
import warnings

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tf_tickets import augment, storage
from tf_tickets.data import pipeline, sources
from tf_tickets.data.sources import facts_of
from tf_tickets.registry import OPERATIONS
from tf_tickets.settings import policies
from tf_tickets.settings.config import Config

COLUMNS = 8
_GAP = 2


def contact_sheet(config: Config) -> str:
    """Writes `augmentations.png` into `config.run.out`.

    Args:
      config: a Config; its data set gives the images, its order_seed the draws.

    Returns:
      The figure's path.
    """
    storage.check_writable(config.run.out)
    data_set = facts_of(config.data)
    images, labels = _examples(sources.load(data_set.name, config.data.place), data_set)
    keys = augment.keys(config.order_seed, 0, 0, np.arange(len(images)))
    rows = [("original", images)]
    # A row whose operation the images rule out (colours on 13 bands) is left out.
    examples = [example for operation in OPERATIONS.values() for example in operation.examples]
    for policy in (*examples, *(preset for preset in policies.PRESETS if preset not in ("none", "auto(cifar10)"))):
        chain = augment.resolve(policy, data_set)
        if policies.check_channels(policies.parse(chain), images.shape[3]) is None:
            one_hot = np.eye(len(images), dtype=np.float32)
            rows.append((policy, np.asarray(augment.augmenter(chain)(images, one_hot, keys)[0])))
    path = os.path.join(os.path.abspath(config.run.out), "augmentations.png")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    storage.write_bytes(path, drawn(rows, [data_set.labels[label] for label in labels]))
    return path


def _examples(source, data_set):
    """The first image of each of eight classes, spread over the classes: uint8 [8, h, w, c] and labels."""
    labels = np.asarray(source.labels)
    classes = np.linspace(0, labels.max(), COLUMNS).round().astype(int)
    positions = np.array([np.flatnonzero(labels == label)[0] for label in classes])
    chosen = pipeline.Images.of(source, positions)
    pixels = pipeline.evaluation_pixels(chosen, slice(None), data_set) * np.float32(255.0 / data_set.scale)
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8), chosen.labels


def drawn(rows: list[tuple[str, np.ndarray]], names: list[str]) -> bytes:
    """Draws lines of images.

    Args:
      rows: list of (text beside the line, uint8 [columns, height, width, channels]).
      names: one text over each column.

    Returns:
      The figure's PNG bytes.
    """
    height, width, channels = rows[0][1].shape[1:]
    sheet = np.full((len(rows) * (height + _GAP), len(names) * (width + _GAP), 3), 255, np.uint8)
    for line, (_, images) in enumerate(rows):
        for column, image in enumerate(images):
            shown = image if channels == 3 else np.repeat(image[..., :1], 3, axis=2)
            top, left = line * (height + _GAP), column * (width + _GAP)
            sheet[top : top + height, left : left + width] = shown
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"font.size": 8.0, "text.parse_math": False})  # names may hold dollars
        figure = Figure(figsize=(2.64 + 0.62 * len(names), 0.62 * len(rows) + 0.4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.imshow(sheet, interpolation="nearest")
        axes.set_yticks([line * (height + _GAP) + height / 2 for line in range(len(rows))], [name for name, _ in rows])
        axes.set_xticks([column * (width + _GAP) + width / 2 for column in range(len(names))], names)
        axes.tick_params(length=0, labeltop=True, labelbottom=False)
        axes.spines[:].set_visible(False)
        data = io.BytesIO()
        figure.savefig(data, format="png", dpi=150, metadata={"Software": None})
    return data.getvalue()
