"""The data sets that come as pictures and the lists of Brigato et al. 2021 (`split_files`)."""

from __future__ import annotations

import os

from tf_tickets.data import eurosat, split_files
from tf_tickets.data.catalog import DataSet
from tf_tickets.data.tfds_folders import Built
from tf_tickets.errors import TicketError, UsageError
from tf_tickets.lazy_modules import np
from tf_tickets.registry import DATASETS

_IMAGENET_PIXELS = {"mean": (0.485, 0.456, 0.406), "deviation": (0.229, 0.224, 0.225)}
_SMALL_BATCHES = {"batch_size": 32, "learning_rate": 1e-3}
_LARGE = {"stem": "full", **_SMALL_BATCHES}
_EUROSAT = (
    "AnnualCrop", "Forest", "HerbaceousVegetation", "Highway", "Industrial", "Pasture", "PermanentCrop",
    "Residential", "River", "SeaLake",
)  # fmt: skip
_ISIC = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
_CLAMM = (
    "Caroline", "Cursiva", "Half-Uncial", "Humanistic", "Humanistic_Cursive", "Hybrida", "Praegothica", "Semihybrida",
    "Semitextualis", "Southern_Textualis", "Textualis", "Uncial",
)  # fmt: skip
# Species and synsets are named by their pictures' folders.
_CUB = tuple(f"species_{index:03d}" for index in range(200))
_IMAGENET = tuple(f"synset_{index:04d}" for index in range(1000))
_ACCEPTED = "a folder with the pictures ({}) and the DEIC benchmark's trainval.txt, train.txt, val.txt and test.txt"


class SplitFiles(Built):
    """A data set in the split-file layout.

    Attributes:
      suffixes: of its picture files, lower case.
      named_by_folders: whether its classes, which `facts` only numbers, are called like their pictures' folders.
    """

    suffixes: tuple[str, ...] = (".jpg", ".jpeg")
    named_by_folders = False
    accepted = _ACCEPTED.format("JPEG")

    def stored(self, root: str | None) -> dict:
        """Pictures by path, as TFDS stores them, that another of the prepared data sets holds."""
        return {}

    def rows(self, path: str, root: str | None = None) -> tuple[list[str], dict]:
        """The pictures in the lists' order."""
        stored = self.stored(root)
        listed = split_files.read(path, self.suffixes, self.facts, stored)
        names = split_files.folder_names(path, listed["train"], self.facts.classes) if self.named_by_folders else None

        def image(file):
            return stored[file] if file in stored else self.image(os.path.join(path, file))

        return names or list(self.facts.labels), {
            split: ((entry.name, entry.label, image(entry.path), entry.held) for entry in entries)
            for split, entries in listed.items()
        }

    def image(self, path: str) -> str | np.ndarray:
        """A picture as TFDS stores it: the path of a JPEG, whose bytes are kept, or pixels; UsageError of others."""
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


class _Eurosat(SplitFiles):
    """EuroSAT (Helber et al. 2019), 50 images per class; `configuration` is that of TFDS' own eurosat."""

    configuration: str

    def stored(self, root: str | None) -> dict:
        """The pictures of TFDS' own eurosat, where it is prepared."""
        where = None if root is None else eurosat.folder(self.configuration, root)
        return {} if where is None else eurosat.pictures(self.configuration, where)


@DATASETS.register("eurosat_rgb")
class EurosatRgb(_Eurosat):
    """True colour."""

    facts = DataSet(
        "eurosat_rgb", _EUROSAT, (50,) * 10, (1950,) * 10, image_shape=(64, 64, 3), **_IMAGENET_PIXELS, flip=True,
        vertical_flip=True, stem="small", crop_padding=8, **_SMALL_BATCHES, validation_counts=(20,) * 10,
    )  # fmt: skip
    accepted = f"{_ACCEPTED.format('JPEG')}, or the lists alone where TFDS' eurosat/rgb is prepared"
    configuration = "rgb"


@DATASETS.register("eurosat_all")
class EurosatAll(_Eurosat):
    """Sentinel-2's 13 bands, 16-bit TIFF; 10,000 is a reflectance of 1."""

    facts = DataSet(
        "eurosat_all", _EUROSAT, (50,) * 10, (1950,) * 10,
        image_shape=(64, 64, 13), mean=None, deviation=None, flip=True,
        vertical_flip=True, stem="small", crop_padding=8, dtype="uint16", scale=10000.0, **_SMALL_BATCHES,
        validation_counts=(20,) * 10,
    )  # fmt: skip
    accepted = f"{_ACCEPTED.format('TIFF')}, or the lists alone where TFDS' eurosat/all is prepared"
    configuration = "all"
    suffixes = (".tif", ".tiff")

    def image(self, path: str) -> np.ndarray:
        """The bands, uint16."""
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


@DATASETS.register("isic2018")
class Isic2018(SplitFiles):
    """ISIC 2018, task 3 (Codella et al. 2019), 80 images per class."""

    facts = DataSet(
        "isic2018", _ISIC, (80,) * 7, 1944,
        image_shape=(224, 224, 3), **_IMAGENET_PIXELS, flip=True, vertical_flip=True,
        crop_low=0.4, **_LARGE, validation_counts=(30,) * 7,
    )  # fmt: skip


@DATASETS.register("clamm")
class Clamm(SplitFiles):
    """Classification of Latin Medieval Manuscripts (Cloppet et al. 2016), grey TIFF, 50 images per class."""

    # Handwriting: a mirror image is another script.
    facts = DataSet(
        "clamm", _CLAMM, (50,) * 12, 1000,
        image_shape=(224, 224, 1), mean=(0.5,), deviation=(0.5,), flip=False, crop_low=0.2,
        **_LARGE, validation_counts=(20,) * 12,
    )  # fmt: skip
    accepted = _ACCEPTED.format("TIFF")
    suffixes = (".tif", ".tiff")

    def image(self, path: str) -> np.ndarray:
        """The grey levels, uint8 [height, width, 1]."""
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


@DATASETS.register("cub")
class Cub(SplitFiles):
    """Caltech-UCSD Birds 200-2011 (Wah et al. 2011)."""

    facts = DataSet(
        "cub", _CUB, (30,) * 194 + (29,) * 6, 5794,
        image_shape=(224, 224, 3), **_IMAGENET_PIXELS, flip=True, crop_low=0.08,
        exact=False, **_LARGE, validation_counts=(10,) * 194 + (9,) * 6,
    )  # fmt: skip
    named_by_folders = True


@DATASETS.register("imagenet50")
class Imagenet50(SplitFiles):
    """ImageNet (Deng et al. 2009) with 50 training images per class; its validation images test."""

    facts = DataSet(
        "imagenet50", _IMAGENET, (50,) * 1000, (50,) * 1000, image_shape=(224, 224, 3), **_IMAGENET_PIXELS, flip=True,
        crop_low=0.08, **_LARGE, validation_counts=(20,) * 1000,
    )  # fmt: skip
    named_by_folders = True
