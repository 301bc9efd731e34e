"""Small data sets of TFDS, defined here and prepared by TFDS itself."""

import io
import warnings

import numpy as np
import tensorflow_datasets as tfds
from absl import flags
from conftest import QUICK
from PIL import Image

import tf_tickets as tt
from tf_tickets import main
from tf_tickets.registry import DATASETS
from tf_tickets.settings import cli
from tf_tickets.settings.places import Place

CLASSES = ("cat", "dog", "owl")


def photograph(label, index, form="JPEG"):
    """Bytes of a picture of its own size, brighter the higher its label."""
    rng = np.random.default_rng(100 * label + index)
    shape = (40 + 3 * index % 20, 36 + 5 * label, 3)
    pixels = np.clip(rng.integers(0, 60, shape) + 80 * label, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def build(
    data_dir, name, splits, *, image=None, label=None, configs=(), version="1.0.0", shards=None, **features
):  # fmt: skip
    """Has TFDS prepare a data set.

    Args:
      data_dir: where.
      name: of the builder, in lower case.
      splits: {split: list of examples}; an example is (key, dict of features).
      image, label: features in place of pictures of any size and of `CLASSES`; False: none.
      configs: names of configurations, all of which are prepared.
      version: of the data set.
      shards: files of each split; None: as TFDS chooses.
      features: further ones.
    """
    image = tfds.features.Image(shape=(None, None, 3)) if image is None else image
    label = tfds.features.ClassLabel(names=CLASSES) if label is None else label
    own = {"image": image, "label": label} | features

    def info(self):
        given = {key: feature for key, feature in own.items() if feature is not False}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(given))

    members = {
        "name": name, "VERSION": tfds.core.Version(version), "pkg_dir_path": None, "_info": info,
        "BUILDER_CONFIGS": [tfds.core.BuilderConfig(name=config) for config in configs],
        "_split_generators": lambda self, dl_manager: {split: iter(examples) for split, examples in splits.items()},
        "_generate_examples": lambda self: None, "__module__": __name__,
    }  # fmt: skip
    with tfds.core.registered.skip_registration(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        builder_class = type(name, (tfds.core.GeneratorBasedBuilder,), members)
        for config in configs or (None,):
            builder_class(data_dir=str(data_dir), config=config).download_and_prepare(
                download_config=tfds.download.DownloadConfig(num_shards=shards)
            )


def pictures(count, first=0, form="JPEG", **more):
    """Examples of pictures of any size, so many a class."""
    return [
        (f"{label}_{index}", {"image": io.BytesIO(photograph(label, index, form)), "label": label} | more)
        for label in range(len(CLASSES))
        for index in range(first, first + count)
    ]


def arrays(count, first=0, shape=(16, 16, 1), **more):
    """Examples of images of one size, so many a class."""
    examples = []
    for label in range(len(CLASSES)):
        for index in range(first, first + count):
            rng = np.random.default_rng(1000 * label + index)
            image = (rng.integers(0, 60, shape) + 80 * label).astype(np.uint8)
            examples.append((f"{label}_{index}", {"image": image, "label": label} | more))
    return examples


def three_kinds(data_dir):
    """`small`: one size, train and test; `photos`: any size, train and validation; `whole`: any size, train alone."""
    build(data_dir, "small", {"train": arrays(12), "test": arrays(5, 50)},
          image=tfds.features.Image(shape=(16, 16, 1)))  # fmt: skip
    build(data_dir, "photos", {"train": pictures(8), "validation": pictures(4, 50)})
    build(data_dir, "whole", {"train": pictures(10)})


# What every run here has beside its data set.
VALUES = QUICK | {
    "images": None, "validation": None, "batch_size": 8, "epochs": 2, "rounds": 2, "eval_every": 1,
    "tensorboard": False,
}  # fmt: skip
SMALL = tfds.features.Image(shape=(16, 16, 1))


def run(*words):
    """One command line in this process; its exit status."""
    return main.main(cli.parse(["tf-tickets", *words], flags.FlagValues()))


def config_of(name, data_dir, out, **changes):
    """A tiny run; of pictures of any size on small crops."""
    size = {} if "small" in name else {"image_size": 32}
    return tt.Config.from_values(**VALUES | {"dataset": name, "data_dir": data_dir} | size | changes, out=str(out))


def facts(name, data_dir):
    return DATASETS[f"tfds:{name}"].facts_in(Place(data_dir=str(data_dir)))
