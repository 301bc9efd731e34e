"""What the head of a network sees of images, kept under `--out` for every run that wants the same again.

A block of images is kept in `features/KEY.npz`. The key is the hash of all that its features depend on: the pictures in
their order, their normalisation, the network's weights, its precision, versions and processor. Whoever deletes the
folder loses time and nothing else; a file that is damaged is made anew.
"""

import hashlib
import json
import os
import typing
from collections.abc import Callable

import numpy as np

from tf_tickets import leftovers, storage
from tf_tickets.backend import keras, tf
from tf_tickets.data.pipeline import Images
from tf_tickets.errors import StateError
from tf_tickets.evaluation import accuracy
from tf_tickets.experiments import opening
from tf_tickets.experiments.session import Session
from tf_tickets.export.ticket import data_of, network_of
from tf_tickets.models import inference, state
from tf_tickets.notices import say
from tf_tickets.runtime import files

FOLDER = "features"
# Images of a file; a whole number of batches, so that where blocks end changes no bit.
BLOCK = 4 * accuracy.BATCH


class Features:
    """The features of a session's network, whose weights stay as they are now."""

    def __init__(self, session: Session, stop: Callable[[], bool]):
        """`stop`: asked before each batch."""
        model, config = session.steps.model, session.plan.config
        features = keras.Model(model.input, typing.cast(keras.layers.Layer, model.get_layer("features")).output)
        self._compute = tf.function(
            lambda images: tf.cast(features(images, training=False), tf.float32), reduce_retracing=True, autograph=False
        )
        self._batch = inference.at_once(model)
        self._data_set, self._stop, self._length = session.data_set, stop, session.plan.network.features
        self._folder, self._said = config.run.out, config.run.progress != "none"
        network = network_of(config, session.plan.network)
        backbone = {name: array for name, array in state.get_state(model).items() if not name.startswith("linear/")}
        facts = {name: network[name] for name in network if name not in ("classes", "head", "kappa")}
        data = {name: value for name, value in data_of(session.data_set).items() if name not in ("dataset", "labels")}
        self._facts = json.dumps([
            facts, data, files.digest_of(backbone), config.run.precision, opening.environment(session),
        ], sort_keys=True)  # fmt: skip

    def of(self, images: Images, part: str) -> np.ndarray:
        """The features of a split.

        Args:
          images: the split.
          part: what messages call it.

        Returns:
          float32 [len(images), features].

        Raises:
          StopRequested: `stop()` said so; blocks that are done are kept.
          StateError: the folder cannot be written.
        """
        folder = storage.subfolder(self._folder, FOLDER)
        leftovers.remove_forsaken(folder)
        blocks = []
        for start in range(0, len(images), BLOCK):
            block = images.part(np.arange(start, min(start + BLOCK, len(images))))
            path = os.path.join(folder, f"{self._key(block)}.npz")
            kept = self._kept(path, len(block))
            if kept is None:
                if self._said and len(images) > accuracy.BATCH:
                    say(f"features of {part} images, {start:,} of {len(images):,} done")
                kept = accuracy.logits_of(
                    lambda pixels: self._compute(pixels).numpy(),
                    block,
                    self._data_set,
                    batch=self._batch,
                    stop=self._stop,
                )
                storage.write_arrays(path, {"features": kept, "sha256": _digest(kept)})
            blocks.append(kept)
        return np.concatenate(blocks) if blocks else np.zeros((0, self._length), np.float32)

    def _key(self, block):
        digest = hashlib.sha256(self._facts.encode("utf-8"))
        for start in range(0, len(block), accuracy.BATCH):
            pixels = block.pixels[start : start + accuracy.BATCH]
            for picture in pixels if pixels.dtype == object else [np.ascontiguousarray(pixels).tobytes()]:
                digest.update(len(picture).to_bytes(8, "little") + picture)
        return digest.hexdigest()

    def _kept(self, path, count):
        """The features in a file, or None where they are not there or not whole."""
        if not os.path.lexists(path):
            return None
        try:
            arrays = storage.read_arrays(path)
            features = arrays["features"]
            whole = features.shape == (count, self._length) and features.dtype == np.float32
            if whole and np.array_equal(arrays["sha256"], _digest(features)):
                return features
        except (StateError, KeyError):
            pass
        say(f"{path} is damaged: its features are computed anew")
        return None


def _digest(features):
    return np.frombuffer(hashlib.sha256(np.ascontiguousarray(features).tobytes()).digest(), np.uint8)
