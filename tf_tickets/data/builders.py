"""TFDS builders of the data sets that TFDS lacks. Importing this module registers them.

`tfds.builder("eurosat_rgb", data_dir=...)` then reads what `prepare` built. Pictures are stored as they came, JPEG
and PNG, or without loss: TIFF as PNG, 13 bands as compressed 16-bit numbers.
"""

import collections
import os

import numpy as np
import tensorflow_datasets as tfds

from tf_tickets.data import catalog, split_files
from tf_tickets.errors import TicketError, UsageError

_JPEG, _TIFF = (".jpg", ".jpeg"), (".tif", ".tiff")


class _Builder(tfds.core.GeneratorBasedBuilder):
    """Features that all share: id, label, image, and whether the official split holds the image out."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "As the benchmark has it."}
    pkg_dir_path = None  # no metadata files beside the code

    @property
    def facts(self):
        """The catalog.DataSet."""
        return catalog.CATALOG[self.name]

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

    def _generate_examples(self, rows):
        """Yields (key, example) of (name, label, image, held) rows; the original order is kept in the ids."""
        for index, (name, label, image, held) in enumerate(rows):
            yield index, {"id": f"{index:06d} {name}", "label": label, "image": image, "held": held}


class _SplitFiles(_Builder):
    """A data set in the split-file layout; see `split_files`."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = "A folder with the pictures and the DEIC benchmark's lists, anywhere below it."
    SUFFIXES = _JPEG

    def _split_generators(self, dl_manager):
        return self.splits(dl_manager.manual_dir)

    def splits(self, folder, stored=None):
        """{split: examples} of a folder; `stored` holds the pictures by path where the folder has none."""
        stored = stored or {}
        listed = split_files.read(os.fspath(folder), self.SUFFIXES, self.facts, stored)

        def image(path):
            return stored[path] if path in stored else self._image(os.path.join(folder, path))

        self.info.features["label"].names = self._class_names(listed["train"])
        return {
            split: self._generate_examples((e.name, e.label, image(e.path), e.held) for e in entries)
            for split, entries in listed.items()
        }

    def _class_names(self, entries):
        """The table's; birds and synsets, of which it has numbers alone, are called like their pictures' folders."""
        folders = collections.defaultdict(set)
        for entry in entries:
            folders[entry.label].add(os.path.dirname(entry.name))
        names = ["".join(sorted(folders[label])) for label in range(self.facts.classes)]
        own = self.name in ("cub", "imagenet50") and all(names) and len(set(names)) == len(names)
        return names if own else list(self.facts.labels)

    def _image(self, path):
        from PIL import Image

        try:
            with Image.open(path) as picture:
                picture.load()
                kind, mode = picture.format, picture.mode
        except TicketError:
            raise
        except Exception as error:  # Pillow raises errors of many types for damaged files
            raise UsageError(f"{path} is no picture that can be read: {error}") from None
        wanted = {1: ("L",), 3: ("RGB", "L")}[self.facts.image_shape[2]]
        if kind != "JPEG" or mode not in wanted:
            raise UsageError(f"{path} is {kind} of mode {mode}, not JPEG of mode {' or '.join(wanted)}")
        return path


class EurosatRgb(_SplitFiles):
    """EuroSAT's true-colour JPEGs (Helber et al. 2019), 50 images per class."""


class EurosatAll(_SplitFiles):
    """EuroSAT's 13 bands, 16-bit TIFF."""

    SUFFIXES = _TIFF

    def _image(self, path):
        import tifffile

        try:
            pixels = tifffile.imread(path)
        except TicketError:
            raise
        except Exception as error:  # tifffile raises errors of many types for damaged files
            raise UsageError(f"{path} is no TIFF that can be read: {error}") from None
        if pixels.shape != self.facts.image_shape or pixels.dtype != np.uint16:
            raise UsageError(
                f"{path} is {pixels.dtype}{list(pixels.shape)}, not uint16{list(self.facts.image_shape)}: 13 bands"
            )
        return pixels


class Isic2018(_SplitFiles):
    """ISIC 2018, task 3 (Codella et al. 2019), 80 images per class."""


class Clamm(_SplitFiles):
    """Classification of Latin Medieval Manuscripts (Cloppet et al. 2016), grey TIFF, 50 images per class."""

    SUFFIXES = _TIFF

    def _image(self, path):
        from PIL import Image

        try:
            with Image.open(path) as picture:
                mode, pixels = picture.mode, np.asarray(picture)
        except TicketError:
            raise
        except Exception as error:  # Pillow raises errors of many types for damaged files
            raise UsageError(f"{path} is no TIFF that can be read: {error}") from None
        if mode not in ("L", "1"):
            raise UsageError(f"{path} has mode {mode}, not one grey channel of 8 bits")
        return (pixels.astype(np.uint8) * (255 if mode == "1" else 1))[..., np.newaxis]


class Cub(_SplitFiles):
    """Caltech-UCSD Birds 200-2011 (Wah et al. 2011)."""


class Imagenet50(_SplitFiles):
    """ImageNet with 50 training images per class; its validation images test."""


class _Arrays(_Builder):
    """A data set that comes as arrays."""

    def _split_generators(self, dl_manager):
        return self.splits(dl_manager.manual_dir)

    def splits(self, path):
        """{split: examples} of an archive or folder."""
        self.info.features["label"].names = list(self.facts.labels)
        return {
            split: self._generate_examples(
                (f"{split}_{i:05d}", int(label), image, False) for i, (image, label) in enumerate(zip(*columns))
            )
            for split, columns in self.arrays(path).items()
        }


class Cifair10(_Arrays):
    """ciFAIR-10 (Barz & Denzler 2020), from its python batches; see `batches`."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = "ciFAIR-10.zip, or the folder or tar archive of its python batches."

    def arrays(self, path):
        """{split: (images, labels)}."""
        from tf_tickets.data import batches

        return batches.read(os.fspath(path), self.facts)


class Cifar102(_Arrays):
    """CIFAR-10.2 (Lu et al. 2020), 12,000 newer images of CIFAR-10's classes; see `arrays`."""

    name = "cifar10_2"
    MANUAL_DOWNLOAD_INSTRUCTIONS = "The folder of cifar102_train.npz and cifar102_test.npz."

    def arrays(self, path):
        """{split: (images, labels)}."""
        from tf_tickets.data import arrays

        return arrays.read(os.fspath(path), self.facts)


def suffixes(name):
    """The suffixes of a split-file set's pictures, lower case."""
    return tfds.builder_cls(name).SUFFIXES
