"""The builders under TFDS' own test of builders, on miniatures of the true folders."""

import pathlib
import shutil
import tempfile

import miniatures
import pytest
import tensorflow_datasets as tfds

from tf_tickets.data import builders
from tf_tickets.registry import DATASETS


class _Case(tfds.testing.DatasetBuilderTestCase):
    """What all share: a miniature on disk and in the catalog while the class runs."""

    SKIP_TF1_GRAPH_MODE = True
    SPLITS = {"train": 3 * (miniatures.TRAIN + miniatures.VAL), "test": 3 * miniatures.TEST}

    @classmethod
    def setUpClass(cls):
        """Writes the miniature."""
        cls.patch, name = pytest.MonkeyPatch(), cls.DATASET_CLASS.name
        facts = miniatures.small(cls.patch, name)
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        write = {"cifair10": miniatures.batches, "cifar10_2": miniatures.arrays}.get(name, miniatures.split_files)
        write(pathlib.Path(cls.EXAMPLE_DIR), facts)
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        """Removes it."""
        super().tearDownClass()
        cls.patch.undo()
        shutil.rmtree(cls.EXAMPLE_DIR)


for _name, _class in builders.BUILDERS.items():
    globals()[f"Test{_class.__name__}"] = type(f"Test{_class.__name__}", (_Case,), {"DATASET_CLASS": _class})
del _Case, _name, _class


def test_every_set_that_tfds_lacks_has_a_builder():
    prepared = [name for name, part in DATASETS.items() if part.facts and part.facts.source == "tfds"]
    ours = {name for name in prepared if tfds.builder_cls(name).__module__ == builders.__name__}
    assert ours == set(builders.BUILDERS) == {
        "eurosat_rgb", "eurosat_all", "isic2018", "clamm", "cub", "imagenet50", "cifair10", "cifar10_2",
    }  # fmt: skip
