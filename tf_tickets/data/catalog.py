"""What is true of each data set, in one table: counts, shape, normalisation, augmentation, stem, batch, learning rate.

No TensorFlow here: the plan of a run is made from these facts alone. They are the release's, its defects fixed
(docs/science.md, Data; the split-file sets: Brigato et al. 2021, "Tune It or Don't Use It").
"""

import dataclasses
import functools

import numpy as np


@dataclasses.dataclass(frozen=True)
class DataSet:
    """Facts of one data set.

    Attributes:
      name: the name of `--dataset`, and of the TFDS builder where there is one.
      labels: class names, in label order.
      train_counts: images per class.
      test_counts: images per class, or only their sum.
      image_shape: (height, width, channels) of what the network sees.
      mean, deviation: per channel, of pixels in [0, 1]; None: measured on the training images in use.
      flip, vertical_flip: whether `base` mirrors left and right, top and bottom.
      stem: the network's stem, small or full.
      crop_padding: pixels of black on every side before the random crop of `base`.
      crop_low: in place of `crop_padding`, for pictures of any size: smallest share of the area of the random part that
        `base` resizes to `image_shape`; evaluation sees the middle.
      cutout_side: the side of the presets' cutout, in pixels.
      batch_size, learning_rate: of the release's recipe.
      dtype, scale: of the stored pixels, and the value that counts as 1.0.
      source: tfds, digits or folder.
      validation_counts: images per class that the official split holds out of `train_counts`; None: it has none.
      exact: whether the counts are in label order; otherwise only the counts themselves are known.
    """

    name: str
    labels: tuple
    train_counts: tuple
    test_counts: tuple
    _: dataclasses.KW_ONLY
    image_shape: tuple
    mean: tuple | None
    deviation: tuple | None
    flip: bool
    stem: str
    vertical_flip: bool = False
    crop_padding: int = 4
    crop_low: float | None = None
    cutout_side: int = 16
    batch_size: int = 100
    learning_rate: float = 0.1
    dtype: str = "uint8"
    scale: float = 255.0
    source: str = "tfds"
    exact: bool = True
    validation_counts: tuple | None = None

    @property
    def classes(self):
        """The number of classes."""
        return len(self.labels)

    @property
    def test_images(self):
        """The number of test images."""
        return int(np.sum(self.test_counts))

    @property
    def encoded(self):
        """Whether images stay encoded, and of any size, until they are used."""
        return self.crop_low is not None

    @property
    def base(self):
        """The chain that the policy `base` means, such as crop(4)|flip."""
        first = f"crop({self.crop_padding})" if self.crop_low is None else f"resized_crop({self.crop_low:g})"
        return first + ("|flip" if self.flip else "") + ("|vertical_flip" if self.vertical_flip else "")

    def normalise(self, pixels):
        """(pixels / scale - mean) / deviation, on float32 [..., channels] of stored pixel values."""
        return self.standardise(pixels / np.float32(self.scale))

    def standardise(self, images):
        """(images - mean) / deviation, on float32 [..., channels] in [0, 1]."""
        mean, deviation = (_by_pixel(values, tuple(images.shape[-3:])) for values in (self.mean, self.deviation))
        return (images - mean) / deviation


@functools.lru_cache(maxsize=16)
def _by_pixel(values, shape):
    # One value per pixel and channel: where channels alone are broadcast, three values are the whole inner loop.
    values = np.asarray(values, np.float32)
    return values if None in shape or len(shape) < 3 else np.ascontiguousarray(np.broadcast_to(values, shape))


_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR100 = tuple(
    """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm""".split()
)

_EUROSAT = (
    "AnnualCrop", "Forest", "HerbaceousVegetation", "Highway", "Industrial", "Pasture", "PermanentCrop",
    "Residential", "River", "SeaLake",
)  # fmt: skip
_ISIC = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
_CLAMM = (
    "Caroline", "Cursiva", "Half-Uncial", "Humanistic", "Humanistic_Cursive", "Hybrida", "Praegothica", "Semihybrida",
    "Semitextualis", "Southern_Textualis", "Textualis", "Uncial",
)  # fmt: skip
_FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
# Species and synsets are named by the split files' folders, which `prepare` reads.
_CUB = tuple(f"species_{index:03d}" for index in range(200))
_IMAGENET = tuple(f"synset_{index:04d}" for index in range(1000))

_IMAGENET_PIXELS = {"mean": (0.485, 0.456, 0.406), "deviation": (0.229, 0.224, 0.225)}
_CIFAR10_PIXELS = {"mean": (0.4914, 0.4822, 0.4465), "deviation": (0.2023, 0.1994, 0.2010)}
_SMALL_BATCHES = {"batch_size": 32, "learning_rate": 1e-3}
_LARGE = {"stem": "full", **_SMALL_BATCHES}

CATALOG = {
    data_set.name: data_set
    for data_set in (
        DataSet(
            "cifar10", _CIFAR10, (5000,) * 10, (1000,) * 10, image_shape=(32, 32, 3), **_CIFAR10_PIXELS, flip=True,
            stem="small",
        ),
        DataSet(
            "cifar100", _CIFAR100, (500,) * 100, (100,) * 100, image_shape=(32, 32, 3), mean=(0.5071, 0.4867, 0.4408),
            deviation=(0.2675, 0.2565, 0.2761), flip=True, stem="small",
        ),
        # CIFAR-10 without the test images that nearly repeat training images (Barz & Denzler 2020).
        DataSet(
            "cifair10", _CIFAR10, (5000,) * 10, (1000,) * 10, image_shape=(32, 32, 3), **_CIFAR10_PIXELS, flip=True,
            stem="small",
        ),
        # Newer images of CIFAR-10's classes (Lu et al. 2020).
        DataSet(
            "cifar10_2", _CIFAR10, (1000,) * 10, (200,) * 10, image_shape=(32, 32, 3), **_CIFAR10_PIXELS, flip=True,
            stem="small",
        ),
        DataSet(
            "eurosat_rgb", _EUROSAT, (50,) * 10, (1950,) * 10, image_shape=(64, 64, 3), **_IMAGENET_PIXELS, flip=True,
            vertical_flip=True, stem="small", crop_padding=8, **_SMALL_BATCHES,
            validation_counts=(20,) * 10,
        ),
        # Sentinel-2's 13 bands; 10,000 is a reflectance of 1.
        DataSet(
            "eurosat_all", _EUROSAT, (50,) * 10, (1950,) * 10, image_shape=(64, 64, 13), mean=None, deviation=None,
            flip=True, vertical_flip=True, stem="small", crop_padding=8, dtype="uint16", scale=10000.0,
            **_SMALL_BATCHES,
            validation_counts=(20,) * 10,
        ),
        DataSet(
            "isic2018", _ISIC, (80,) * 7, 1944, image_shape=(224, 224, 3), **_IMAGENET_PIXELS, flip=True,
            vertical_flip=True, crop_low=0.4, **_LARGE,
            validation_counts=(30,) * 7,
        ),
        # Handwriting: a mirror image is another script.
        DataSet(
            "clamm", _CLAMM, (50,) * 12, 1000, image_shape=(224, 224, 1), mean=(0.5,), deviation=(0.5,), flip=False,
            crop_low=0.2, **_LARGE,
            validation_counts=(20,) * 12,
        ),
        DataSet(
            "cub", _CUB, (30,) * 194 + (29,) * 6, 5794, image_shape=(224, 224, 3), **_IMAGENET_PIXELS, flip=True,
            crop_low=0.08, exact=False, **_LARGE,
            validation_counts=(10,) * 194 + (9,) * 6,
        ),
        DataSet(
            "imagenet50", _IMAGENET, (50,) * 1000, (50,) * 1000, image_shape=(224, 224, 3), **_IMAGENET_PIXELS,
            flip=True, crop_low=0.08, **_LARGE,
            validation_counts=(20,) * 1000,
        ),
        DataSet(
            "mnist", tuple("0123456789"), (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
            (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009), image_shape=(28, 28, 1), mean=(0.1307,),
            deviation=(0.3081,), flip=False, stem="small", crop_padding=2, cutout_side=14,
        ),
        DataSet(
            "fashion_mnist", _FASHION, (6000,) * 10, (1000,) * 10, image_shape=(28, 28, 1), mean=(0.2860,),
            deviation=(0.3530,), flip=True, stem="small", crop_padding=2, cutout_side=14,
        ),
        # scikit-learn's 1,797 digits in their original order: the first 1,197 train, the last 600 (other writers'
        # pages) test. 0..16 is stored as round(value * 255 / 16).
        DataSet(
            "digits", tuple("0123456789"), (119, 120, 117, 121, 119, 123, 120, 118, 118, 122),
            (59, 62, 60, 62, 62, 59, 61, 61, 56, 58), image_shape=(8, 8, 1), mean=(0.3064,), deviation=(0.3753,),
            flip=False, stem="small", crop_padding=1, cutout_side=4, source="digits",
        ),
    )
}  # fmt: skip
