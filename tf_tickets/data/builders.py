"""TFDS builders of the data sets that TFDS lacks. Importing this module registers them.

`tfds.builder("eurosat_rgb", data_dir=...)` then reads what `prepare` built. Pictures are stored as they came, JPEG
and PNG, or without loss: TIFF as PNG, 13 bands as compressed 16-bit numbers.
"""

import os

import numpy as np
import tensorflow_datasets as tfds

from tf_tickets.data.catalog import DataSet
from tf_tickets.registry import DATASETS


class _Builder(tfds.core.GeneratorBasedBuilder):
    """Features that all share: id, label, image, and whether the official split holds the image out."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "As the benchmark has it."}
    pkg_dir_path = None  # no metadata files beside the code

    @property
    def facts(self) -> DataSet:
        """What is true of the data set."""
        return DATASETS[self.name].facts

    def _info(self):
        image = tfds.features.Image(shape=(None, None, self.facts.image_shape[2]))
        if self.facts.dtype == "uint16":
            image = tfds.features.Tensor(shape=self.facts.image_shape, dtype=np.uint16, encoding="zlib")
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{self.facts.name}: {self.facts.classes} classes.",
            features=tfds.features.FeaturesDict({
                "id": tfds.features.Text(), "image": image, "held": np.bool_,
                "label": tfds.features.ClassLabel(num_classes=self.facts.classes),
            }),
            supervised_keys=("image", "label"),
        )  # fmt: skip

    def _split_generators(self, dl_manager):
        return self.examples_of(*DATASETS[self.name].rows(os.fspath(dl_manager.manual_dir)))

    def examples_of(self, names: list[str], splits: dict) -> dict:
        """{split: examples} of what the registered data set gives as its rows, and the names of its classes."""
        self.info.features["label"].names = names  # pyright: ignore[reportIndexIssue, reportOptionalSubscript]  a FeaturesDict
        return {split: self._generate_examples(rows) for split, rows in splits.items()}

    def _generate_examples(self, rows):
        """Yields (key, example) of (name, label, image, held) rows; the original order is kept in the ids."""
        for index, (name, label, image, held) in enumerate(rows):
            yield index, {"id": f"{index:06d} {name}", "label": label, "image": image, "held": held}


def _made(name, provider):
    own = {
        "name": name, "__module__": __name__, "__doc__": type(provider).__doc__,
        "MANUAL_DOWNLOAD_INSTRUCTIONS": f"{provider.accepted}.",
    }  # fmt: skip
    return type(type(provider).__name__, (_Builder,), own)


# By name, of every registered data set that has rows.
BUILDERS = {name: _made(name, provider) for name, provider in DATASETS.items() if hasattr(provider, "rows")}
