"""What is true of a data set: counts, shape, normalisation, augmentation, stem, batch, learning rate.

No TensorFlow here: the plan of a run is made from these facts alone. Those of the program's own data sets stand where
each is registered, which `data/__init__.py` lists. They are the release's, its defects fixed (docs/science.md, Data;
the split-file sets: Brigato et al. 2021, "Tune It or Don't Use It").
"""

from __future__ import annotations

import dataclasses
import functools
import re
import typing

from tf_tickets.lazy_modules import np


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
      source: tfds, tfds_group (any that TFDS has), digits, or, of the user's own pictures, folder, function or arrays.
      validation_counts: images per class that the official split holds out of `train_counts`; None: it has none.
      exact: whether the counts are in label order; otherwise only the counts themselves are known.
    """

    name: str
    labels: tuple
    train_counts: tuple
    test_counts: tuple | int
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
    def own(self) -> bool:
        """Whether the pictures are the user's own, which may change: runs are named after their content."""
        return self.source in ("folder", "function", "arrays")

    @property
    def holds_out(self) -> bool:
        """Whether its validation part is held out unless told otherwise, since its owner does not train on it."""
        return self.own or self.source == "tfds_group"

    @property
    def file_name(self) -> str:
        """Its name as a part of file names."""
        return re.sub("[/:]", "-", self.name)

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.labels)

    @property
    def test_images(self) -> int:
        """The number of test images."""
        return int(np.sum(self.test_counts))

    @property
    def encoded(self) -> bool:
        """Whether images stay encoded, and of any size, until they are used."""
        return self.crop_low is not None

    def cropped_to(self, image_shape: tuple[int, int, int]) -> DataSet:
        """Pictures of any size as crops of another; images of one size stay as they are."""
        return dataclasses.replace(self, image_shape=image_shape) if self.encoded else self

    @property
    def base(self) -> str:
        """The chain that the policy `base` means, such as crop(4)|flip."""
        first = f"crop({self.crop_padding})" if self.crop_low is None else f"resized_crop({self.crop_low:g})"
        return first + ("|flip" if self.flip else "") + ("|vertical_flip" if self.vertical_flip else "")

    def normalise(self, pixels: typing.Any) -> typing.Any:
        """(pixels / scale - mean) / deviation, on float32 [..., channels] of stored pixel values."""
        return self.standardise(pixels / np.float32(self.scale))

    def standardise(self, images: typing.Any) -> typing.Any:
        """(images - mean) / deviation, on float32 [..., channels] in [0, 1]."""
        mean, deviation = (_by_pixel(values, tuple(images.shape[-3:])) for values in (self.mean, self.deviation))
        return (images - mean) / deviation


@functools.lru_cache(maxsize=16)
def _by_pixel(values, shape):
    # One value per pixel and channel: where channels alone are broadcast, three values are the whole inner loop.
    values = np.asarray(values, np.float32)
    return values if None in shape or len(shape) < 3 else np.ascontiguousarray(np.broadcast_to(values, shape))
