"""What is true of each data set, in one table: counts, shape, normalisation, base augmentation, stem.

No TensorFlow here: the plan of a run is made from these facts alone.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class DataSet:
    """Facts of one data set.

    Attributes:
      name: the name of `--dataset`, and of the TFDS builder where there is one.
      labels: class names, in label order.
      train_counts, test_counts: images per class.
      image_shape: (height, width, channels) of the stored uint8 images.
      mean, deviation: per channel, of pixels in [0, 1].
      crop_padding: pixels of black on every side before the random crop of `base`.
      flip: whether `base` mirrors left and right.
      cutout_side: the side of the presets' cutout, in pixels.
      stem: the network's stem, small or full.
      source: tfds or digits.
    """

    name: str
    labels: tuple
    train_counts: tuple
    test_counts: tuple
    image_shape: tuple
    mean: tuple
    deviation: tuple
    crop_padding: int
    flip: bool
    cutout_side: int
    stem: str
    source: str

    @property
    def classes(self):
        """The number of classes."""
        return len(self.labels)

    @property
    def base(self):
        """The chain that the policy `base` means, such as crop(4)|flip."""
        return f"crop({self.crop_padding})" + ("|flip" if self.flip else "")

    def normalise(self, pixels):
        """(pixels / 255 - mean) / deviation, on float32 [..., channels] in 0..255."""
        return self.standardise(pixels / np.float32(255.0))

    def standardise(self, images):
        """(images - mean) / deviation, on float32 [..., channels] in [0, 1]."""
        return (images - np.asarray(self.mean, np.float32)) / np.asarray(self.deviation, np.float32)


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

CATALOG = {
    data_set.name: data_set
    for data_set in (
        DataSet(
            "cifar10", _CIFAR10, (5000,) * 10, (1000,) * 10, (32, 32, 3),
            (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010), 4, True, 16, "small", "tfds",
        ),
        DataSet(
            "cifar100", _CIFAR100, (500,) * 100, (100,) * 100, (32, 32, 3),
            (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761), 4, True, 16, "small", "tfds",
        ),
        # scikit-learn's 1,797 digits in their original order: the first 1,197 train, the last 600 (other writers'
        # pages) test. 0..16 is stored as round(value * 255 / 16).
        DataSet(
            "digits", tuple("0123456789"), (119, 120, 117, 121, 119, 123, 120, 118, 118, 122),
            (59, 62, 60, 62, 62, 59, 61, 61, 56, 58), (8, 8, 1), (0.3064,), (0.3753,), 1, False, 4, "small", "digits",
        ),
    )
}  # fmt: skip
