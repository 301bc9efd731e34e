"""`Ticket`: compressed mask, surviving weights trained and rewound, all other variables, settings.

Here are the value and what it is in arrays and JSON. `loading` reads tickets, `verify` checks and `writer` writes them;
the package's `__init__` gives the class its methods `load`, `from_pytorch` and `save`.
"""

import dataclasses
import functools
import hashlib
import math
import os
import typing
from collections.abc import Iterable

import numpy as np

from tf_tickets import own_networks, runs
from tf_tickets.data.catalog import DataSet
from tf_tickets.errors import StateError, UsageError, reason
from tf_tickets.models import inference
from tf_tickets.models.description import Network
from tf_tickets.registry import NETWORKS
from tf_tickets.runtime.facts import probabilities
from tf_tickets.runtime.files import ARRAYS, DOCUMENT, canonical, hash_of
from tf_tickets.settings.config import Config, options

if typing.TYPE_CHECKING:
    from tf_tickets.backend import keras

LABELS, CARD, IMAGES = "labels.txt", "MODEL_CARD.md", "images.txt"


@dataclasses.dataclass(frozen=True, repr=False)
class Ticket:
    """A sparse network and where it came from.

    Attributes:
      masks: dict from layer name to boolean array, Keras layout, in network order.
      trained: the full state after training, removed weights exactly zero.
      rewound: the full state at the rewind point, removed weights exactly zero.
      network: dict with name, classes, image_shape, stem, width, head, kappa and, where images are enlarged inside,
        image_size; of a network of the user's own its architecture.
      data: dict with dataset, labels, mean, deviation, image_shape.
      settings: dict of the settings that made it, seeds included.
      ids_digest: SHA-256 over the ids of the training images.
      round: the round it comes from.
      ids: ids of the training images, as `--subset_file` takes them; None where they are not known.
      pictures: SHA-256 over names, parts and contents of the user's own pictures, test part included; None where they
        are not the user's own, or an earlier version wrote the ticket.
      calibration: dict with temperature, method (validation or folds:K), images and the mean negative log-likelihood
        on them before and after, as `evaluation.calibration.fitted` gives it; None where nothing was fitted.
      folder: the folder from which it was loaded; None for one that was made otherwise.
    """

    masks: dict
    trained: dict
    rewound: dict
    network: dict
    _: dataclasses.KW_ONLY
    data: dict
    settings: dict
    ids_digest: str
    round: int
    ids: tuple | None = None
    pictures: str | None = None
    calibration: dict | None = None
    folder: str | None = None

    def __repr__(self):
        """One line, without the arrays."""
        network = f"{self.network['name']} of width {self.network['width']} on {self.data['dataset']}"
        temperature = "" if self.calibration is None else f", temperature {self.temperature:.4g}"
        folder = "" if self.folder is None else f", {self.folder}"
        return f"<Ticket: {network}, density {100 * self.density:.2f} %, round {self.round}{temperature}{folder}>"

    @property
    def density(self) -> float:
        """The fraction of prunable weights kept, in [0, 1]."""
        kept = sum(int(mask.sum()) for mask in self.masks.values())
        return kept / sum(mask.size for mask in self.masks.values())

    @property
    def members(self) -> "tuple[Ticket, ...]":
        """The tickets whose probabilities are averaged: of a single network itself."""
        return (self,)

    @property
    def round_name(self) -> str:
        """What stands for its round in rows."""
        return str(self.round)

    @property
    def temperature(self) -> float:
        """What logits are divided by before they become probabilities; 1 where nothing was fitted."""
        return 1.0 if self.calibration is None else self.calibration["temperature"]

    @property
    def refits(self) -> bool:
        """Whether it was trained on what was held out to choose its round, too."""
        return bool(self.settings.get("refit"))

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of the logits."""
        return tuple(self.data["labels"])

    @property
    def content_digest(self) -> str:
        """SHA-256 over all that the ticket is: equal for equal tickets, wherever and whenever they were written."""
        digest = hash_of(to_arrays(self))
        facts = [self.network, self.data, self.settings, self.ids_digest, self.round]
        digest.update(canonical(facts if self.calibration is None else [*facts, self.calibration]))
        return digest.hexdigest()

    @property
    def retrained_digest(self) -> str:
        """The content digest of what a retraining takes of it, which is everything but the calibration."""
        return dataclasses.replace(self, calibration=None).content_digest

    def build(self) -> "keras.Model":
        """A plain Keras network with the trained, masked weights; float32 normalised images in, logits out."""
        from tf_tickets.models import builder, state

        model = builder.build(**self.network | {"image_shape": tuple(self.network["image_shape"])})
        try:
            state.set_state(model, self.trained)
        except ValueError as error:
            raise StateError(f"the ticket's arrays do not fit its network: {reason(error)}; restore it") from None
        return model

    def with_features(self) -> "keras.Model":
        """The same network as `model`: images -> [logits, what the head sees]."""
        return with_features(self.model)

    @functools.cached_property
    def model(self) -> "keras.Model":
        """What `build` gives, built once for all who only read it."""
        return self.build()

    @functools.cached_property
    def _compute(self):
        from tf_tickets.backend import tf

        model = self.model
        return tf.function(lambda images: model(images, training=False), reduce_retracing=True, autograph=False)

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Class probabilities of stored images.

        Args:
          images: uint8 (13 bands: uint16) [n, height, width, channels], as the data set stores them.

        Returns:
          float32 [n, classes], rows summing to one.

        Raises:
          UsageError: images of another type or shape.
          StateError: the weights are so large that the answer is no number.
        """
        images = np.asarray(images)
        shape = tuple(self.data["image_shape"])
        dtype, scale = self.data.get("dtype", "uint8"), np.float32(self.data.get("scale", 255.0))
        if images.dtype != np.dtype(dtype) or images.shape[1:] != shape:
            sides = ", ".join(map(str, shape))
            raise UsageError(f"images are {images.dtype} {list(images.shape)}: this ticket takes {dtype} [n, {sides}]")
        mean, deviation = (np.asarray(self.data[name], np.float32) for name in ("mean", "deviation"))
        parts = [np.zeros((0, len(self.labels)), np.float32)]
        batch = inference.at_once(self.model)
        for start in range(0, len(images), batch):
            pixels = images[start : start + batch].astype(np.float32)
            logits = self._compute((pixels / scale - mean) / deviation).numpy()
            if not np.isfinite(logits).all():
                raise StateError(f"{self!r} gives no finite numbers: its weights are too large for float32; restore it")
            parts.append(probabilities(logits, self.temperature))
        return np.concatenate(parts)


def with_features(model: "keras.Model") -> "keras.Model":
    """A network of `models.build` as one of images -> [logits, what the head sees]."""
    from tf_tickets.backend import keras

    return keras.Model(model.input, [model.output, model.get_layer("features").output])


def check_free(folder: str) -> None:
    """UsageError unless a ticket can be written there: nothing is, or a ticket that it replaces."""
    if os.path.lexists(folder) and runs.place(folder).kind != "ticket":
        raise UsageError(f"{folder} is there and is no ticket; choose another folder")


def training_ids(rows: list[dict]) -> tuple[str, ...]:
    """The training images' ids, from the rows of subset.csv."""
    return tuple(row["id"] for row in rows if row["part"] == "train")


def ids_digest(ids: Iterable[str]) -> str:
    """SHA-256 over image ids, whatever their order."""
    return hashlib.sha256("\n".join(sorted(ids)).encode("utf-8")).hexdigest()


def settings_of(config: Config) -> dict:
    """The settings that decide the numbers, seeds included; folders and display are left out."""
    values = config.values()
    chosen = {n: values[n] for n, option in options().items() if option.metadata["digest"] and n != "ticket"}
    seeds = {"seed": values["seed"], "order_seed": config.order_seed, "subset_seed": values["subset_seed"]}
    return {**chosen, **seeds}


def network_of(config: Config, described: Network) -> dict:
    """The facts of a network that a ticket keeps: what `models.build` takes."""
    return {
        "name": config.network.model, "classes": described.classes, "image_shape": list(described.given_shape),
        "stem": described.stem, "width": described.width, "head": described.head, "kappa": described.kappa,
        **({"image_size": described.image_size} if described.enlarged_from else {}),
        **({"architecture": own_networks.of(described.model)} if NETWORKS[described.model].own else {}),
    }  # fmt: skip


def data_of(data_set: DataSet) -> dict:
    """The facts of a data set that a ticket keeps."""
    return {
        "dataset": data_set.name, "labels": list(data_set.labels), "mean": list(data_set.mean),
        "deviation": list(data_set.deviation), "image_shape": list(data_set.image_shape), "dtype": data_set.dtype,
        "scale": data_set.scale, "any_size": data_set.encoded,
    }  # fmt: skip


def to_arrays(ticket: Ticket) -> dict[str, np.ndarray]:
    """The arrays of ticket.npz: packed masks, surviving weights in flat order, all other variables."""
    arrays = {}
    for name, mask in ticket.masks.items():
        arrays[f"mask/{name}"] = np.packbits(mask.ravel())
        arrays[f"trained/{name}"] = ticket.trained[f"{name}/kernel"][mask]
        arrays[f"rewound/{name}"] = ticket.rewound[f"{name}/kernel"][mask]
    kernels = {f"{name}/kernel" for name in ticket.masks}
    for prefix, state in (("trained_variables", ticket.trained), ("rewound_variables", ticket.rewound)):
        arrays |= {f"{prefix}/{name}": array for name, array in state.items() if name not in kernels}
    return arrays


def from_document(document: dict, arrays: dict[str, np.ndarray]) -> Ticket:
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
            masks, trained, rewound, document["network"], data=document["data"], settings=document["settings"],
            ids_digest=document["ids_digest"], round=document["round"], pictures=document.get("pictures"),
            calibration=document.get("calibration"),
        )  # fmt: skip
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise StateError(f"{ARRAYS} and {DOCUMENT} do not fit each other: {error}; restore the ticket") from None
