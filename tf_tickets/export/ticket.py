"""`Ticket`: compressed mask, surviving weights trained and rewound, all other variables, settings.

A ticket folder holds a SavedModel beside ticket.npz and ticket.json; a round's folder loads as a ticket too. Loading
reads arrays and JSON alone: nothing in a ticket is executed.
"""

import dataclasses
import functools
import hashlib
import math
import os

import numpy as np

from tf_tickets import runs, storage
from tf_tickets.data import catalog
from tf_tickets.errors import StateError, UsageError, reason
from tf_tickets.models import architecture, names
from tf_tickets.pruning import starts
from tf_tickets.pruning.masks import masked_state
from tf_tickets.registry import DATASETS
from tf_tickets.runtime.files import ARRAYS, DOCUMENT, canonical, hash_of
from tf_tickets.settings import config as configs

LABELS, CARD, IMAGES = "labels.txt", "MODEL_CARD.md", "images.txt"
# Images a call in evaluation; the bits of logits depend on it.
BATCH = 500


@dataclasses.dataclass(frozen=True)
class Ticket:
    """A sparse network and where it came from.

    Attributes:
      masks: dict from layer name to boolean array, Keras layout, in network order.
      trained: the full state after training, removed weights exactly zero.
      rewound: the full state at the rewind point, removed weights exactly zero.
      network: dict with name, classes, image_shape, stem, width.
      data: dict with dataset, labels, mean, deviation, image_shape.
      settings: dict of the settings that made it, seeds included.
      ids_digest: SHA-256 over the ids of the training images.
      round: the round it comes from.
      ids: ids of the training images, as `--subset_file` takes them; None where they are not known.
      pictures: SHA-256 over names, parts and contents of the user's own pictures, test part included; None where they
        are not the user's own, or an earlier version wrote the ticket.
    """

    masks: dict
    trained: dict
    rewound: dict
    network: dict
    data: dict
    settings: dict
    ids_digest: str
    round: int
    ids: tuple | None = None
    pictures: str | None = None

    @classmethod
    def load(cls, folder):
        """Loads a ticket folder or a round's folder.

        Raises:
          UsageError: the folder is neither.
          StateError: a file is damaged or does not have the recorded hash.
        """
        if os.path.exists(os.path.join(folder, DOCUMENT)):
            from tf_tickets.export import verify

            return verify.checked(folder)[0]
        mine = runs.RoundFolder(folder, None)
        run = runs.RunFolder(os.path.dirname(os.path.abspath(folder)))
        if os.path.exists(mine.mask) and os.path.exists(run.config):
            return from_round(run, mine)
        raise UsageError(
            f"{folder} is no ticket: it holds neither {DOCUMENT} nor a round's mask.npz; give such a folder"
        )

    @classmethod
    def from_pytorch(cls, path, config, rewound=None):
        """Imports a pruned PyTorch state: of the paper's release, of open_lth, of torch.nn.utils.prune.

        Args:
          path: .safetensors, .npz or, where torch is installed, .pth, with `weight_orig` and `weight_mask`.
          config: a Config whose data set and network (--model, --width, --stem, --head) are the file's.
          rewound: a file of the rewind point, masked or not; None retrains from the weights in `path`.

        Returns:
          A Ticket of round 0 without known training images; `save` writes it for `train --ticket=DIR`.

        Raises:
          UsageError: a file is missing or damaged, holds no masks, or does not fit the network.
        """
        from tf_tickets.export import from_pytorch

        return from_pytorch.read(path, config, rewound)

    def save(self, folder, metrics=None, test_images=None):
        """Writes a ticket folder: SavedModel, arrays, hashes; an older ticket there is replaced.

        Args:
          folder: its path.
          metrics: dict of numbers measured on the ticket, for its document and model card.
          test_images: how many images `metrics["test_accuracy"]` is of.
        """
        from tf_tickets.export import writer

        check_free(folder)
        return writer.write(self, os.path.abspath(folder), metrics, test_images)

    @property
    def density(self):
        """The fraction of prunable weights kept, in [0, 1]."""
        kept = sum(int(mask.sum()) for mask in self.masks.values())
        return kept / sum(mask.size for mask in self.masks.values())

    @property
    def refits(self):
        """Whether it was trained on what was held out to choose its round, too."""
        return bool(self.settings.get("refit"))

    @property
    def labels(self):
        """Class names, in the order of the logits."""
        return tuple(self.data["labels"])

    @property
    def content_digest(self):
        """SHA-256 over arrays, settings and ids: equal for equal tickets, wherever and whenever they were written."""
        digest = hash_of(to_arrays(self))
        facts = [self.network, self.data, self.settings, self.ids_digest, self.round]
        digest.update(canonical(facts))
        return digest.hexdigest()

    def build(self):
        """A plain Keras network with the trained, masked weights; float32 normalised images in, logits out."""
        from tf_tickets.models import builder, state

        model = builder.build(**self.network | {"image_shape": tuple(self.network["image_shape"])})
        try:
            state.set_state(model, self.trained)
        except ValueError as error:
            raise StateError(f"the ticket's arrays do not fit its network: {reason(error)}; restore it") from None
        return model

    @functools.cached_property
    def model(self):
        """What `build` gives, built once for all who only read it."""
        return self.build()

    @functools.cached_property
    def _compute(self):
        from tf_tickets.backend import tf

        model = self.model
        return tf.function(lambda images: model(images, training=False), reduce_retracing=True, autograph=False)

    def predict(self, images):
        """Class probabilities of stored images.

        Args:
          images: uint8 (13 bands: uint16) [n, height, width, channels], as the data set stores them.

        Returns:
          float32 [n, classes], rows summing to one.
        """
        images = np.asarray(images)
        shape = tuple(self.data["image_shape"])
        dtype, scale = self.data.get("dtype", "uint8"), np.float32(self.data.get("scale", 255.0))
        if images.dtype != np.dtype(dtype) or images.shape[1:] != shape:
            raise UsageError(f"images are {images.dtype}{list(images.shape)}: this ticket takes {dtype} [n, {shape}]")
        mean, deviation = (np.asarray(self.data[name], np.float32) for name in ("mean", "deviation"))
        parts = [np.zeros((0, len(self.labels)), np.float32)]
        for start in range(0, len(images), BATCH):
            pixels = images[start : start + BATCH].astype(np.float32)
            logits = self._compute((pixels / scale - mean) / deviation).numpy()
            powers = np.exp(logits - logits.max(axis=1, keepdims=True))
            parts.append(powers / powers.sum(axis=1, keepdims=True))
        return np.concatenate(parts)


def check_free(folder: str) -> None:
    """UsageError unless a ticket can be written there: nothing is, or a ticket that it replaces."""
    if os.path.lexists(folder) and not os.path.exists(os.path.join(folder, DOCUMENT)):
        raise UsageError(f"{folder} is there and is no ticket; choose another folder")


def training_ids(rows):
    """The training images' ids, from the rows of subset.csv."""
    return tuple(row["id"] for row in rows if row["part"] == "train")


def ids_digest(ids):
    """SHA-256 over image ids, whatever their order."""
    return hashlib.sha256("\n".join(sorted(ids)).encode("utf-8")).hexdigest()


def settings_of(config):
    """The settings that decide the numbers, seeds included; folders and display are left out."""
    values = config.values()
    chosen = {n: values[n] for n, option in configs.options().items() if option.metadata["digest"] and n != "ticket"}
    seeds = {"seed": values["seed"], "order_seed": config.order_seed, "subset_seed": values["subset_seed"]}
    return {**chosen, **seeds}


def from_round(run, mine):
    """Assembles the Ticket of a complete round of a run folder."""
    config = configs.Config.from_flagfile(run.config)
    data_set = data_set_of(run, config)
    described = architecture.from_config(config.network, data_set)
    summary = mine.read_summary()
    arrays = storage.read_arrays(mine.mask)
    masks = {kernel.name: arrays[kernel.name] for kernel in described.prunable(config.pruning.prunable)}
    trained, rewound = (
        masked_state(names.without_auxiliary(storage.read_arrays(path)), masks)
        for path in (mine.weights, starts.state_of(run, summary["round"], config.pruning.rewind))
    )
    ids, settings = training_ids(storage.read_csv(run.subset)), settings_of(config)
    if run.refits:
        settings = settings | {"refit": True}
    return Ticket(
        masks, trained, rewound, network_of(config, described), data_of(data_set), settings,
        ids_digest(ids), summary["round"], ids if all(map(_is_a_line, ids)) else None,
        storage.read_sealed(run.manifest).get("pictures") if data_set.own else None,
    )  # fmt: skip


def measured(run, mine):
    """What was measured in a complete round of a run: (dict of metrics, number of test images)."""
    summary = mine.read_summary()
    metrics = {name: value for name, value in summary.items() if "accuracy" in name or "loss" in name}
    return metrics, data_set_of(run, configs.Config.from_flagfile(run.config)).test_images


def _is_a_line(name):
    """Whether a list of ids can hold it: names of pictures may hold line breaks."""
    return name == name.strip() and len(name.splitlines()) == 1


def data_set_of(run, config):
    """The catalog.DataSet of a run: as the run measured it, else the table's."""
    if not os.path.exists(run.data):
        return DATASETS[config.data.dataset].facts
    facts = storage.read_json(run.data)
    try:
        return catalog.DataSet(**{k: tuple(v) if isinstance(v, list) else v for k, v in facts.items()})
    except TypeError as error:
        raise StateError(f"{run.data} is damaged: {error}; restore it, or delete the run to redo it") from None


def network_of(config, described):
    """The facts of a network that a ticket keeps: what `models.build` takes."""
    return {
        "name": config.network.model, "classes": described.classes, "image_shape": list(described.image_shape),
        "stem": described.stem, "width": described.width, "head": described.head, "kappa": described.kappa,
    }  # fmt: skip


def data_of(data_set):
    """The facts of a data set that a ticket keeps."""
    return {
        "dataset": data_set.name, "labels": list(data_set.labels), "mean": list(data_set.mean),
        "deviation": list(data_set.deviation), "image_shape": list(data_set.image_shape), "dtype": data_set.dtype,
        "scale": data_set.scale, "any_size": data_set.encoded,
    }  # fmt: skip


def to_arrays(ticket):
    """The arrays of ticket.npz: packed masks, surviving weights in flat order, all other variables."""
    found = {}
    for name, mask in ticket.masks.items():
        found[f"mask/{name}"] = np.packbits(mask.ravel())
        found[f"trained/{name}"] = ticket.trained[f"{name}/kernel"][mask]
        found[f"rewound/{name}"] = ticket.rewound[f"{name}/kernel"][mask]
    kernels = {f"{name}/kernel" for name in ticket.masks}
    for prefix, arrays in (("trained_variables", ticket.trained), ("rewound_variables", ticket.rewound)):
        found |= {f"{prefix}/{name}": array for name, array in arrays.items() if name not in kernels}
    return found


def from_document(document, arrays):
    """The inverse of `to_arrays`, with the facts of ticket.json, whose layers and arrays `claims` has checked."""
    try:
        masks, trained, rewound = {}, {}, {}
        for layer in document["layers"]:
            name, shape = layer["layer"], tuple(layer["shape"])
            mask = np.unpackbits(arrays[f"mask/{name}"], count=math.prod(shape)).view(bool).reshape(shape)
            masks[name] = mask
            for part, state in (("trained", trained), ("rewound", rewound)):
                kernel = np.zeros(shape, np.float32)
                kernel[mask] = arrays[f"{part}/{name}"]
                state[f"{name}/kernel"] = kernel
        for prefix, state in (("trained_variables/", trained), ("rewound_variables/", rewound)):
            state |= {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
        return Ticket(
            masks, trained, rewound, document["network"], document["data"], document["settings"],
            document["ids_digest"], document["round"], pictures=document.get("pictures"),
        )  # fmt: skip
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise StateError(f"{ARRAYS} and {DOCUMENT} do not fit each other: {error}; restore the ticket") from None
