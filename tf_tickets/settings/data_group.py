"""The settings of the images: which, and what is done to them."""

import dataclasses
import re

from tf_tickets.registry import DATASETS
from tf_tickets.settings import checks, policies
from tf_tickets.settings.options import option
from tf_tickets.settings.places import FLAGS, Place


@dataclasses.dataclass(frozen=True)
class Data:
    """Which images, and what is done to them."""

    dataset: str = option(
        "cifar10", "data set; folder: your own pictures in --data_dir; table: the pictures that --labels_file lists; "
        "arrays: the images of --data_file; tfds:NAME[/CONFIG][:VERSION]: any image classification data set of TFDS, "
        "such as tfds:beans",
        choices=DATASETS,
    )  # fmt: skip
    data_dir: str | None = option(
        None, "folder of prepared data sets; unset: TFDS_DATA_DIR, else TFDS' own default; with dataset=folder the "
        "folder that holds one folder of pictures per class, with dataset=table the folder of the files that "
        "--labels_file lists", check=checks.check_folder, digest=False,
    )  # fmt: skip
    data_file: str | None = option(
        None, "with dataset=arrays: .npz of train_images (uint8 [n, height, width, channels]), train_labels, and, if "
        "they exist, test_images, test_labels and class_names", check=checks.check_folder, digest=False,
    )  # fmt: skip
    labels_file: str | None = option(
        None, "with dataset=table: CSV file with the columns file, label and, if it has parts, split: train, "
        "validation or test", check=checks.check_folder, digest=False,
    )  # fmt: skip
    fraction: float | None = option(
        None, "share of each class's training images in use, stratified; unset: all", above=0.0, high=1.0
    )
    per_class: int | None = option(None, "training images in use per class", low=1)
    images: int | None = option(None, "total training images in use, stratified", low=1)
    subset_seed: str = option(
        "0", "seed that draws the subset and the validation split; 'original' takes the first images of each class",
        check=checks.check_subset_seed, digest=False,
    )  # fmt: skip
    subset_file: str | None = option(None, "text file of training image ids in use, one a line")
    validation: str | None = option(
        None,
        "part of the subset held out: a fraction, or fold:I/K; official: the data set's own validation part",
        check=checks.check_validation,
    )
    imbalance: float | None = option(
        None, "long tail: images of the rarest class divided by images of the most frequent class", above=0.0, high=1.0
    )
    imbalance_profile: str = option("exp", "how the long tail falls off", choices=("exp", "step"))
    augment: str | None = option(None, policies.augment_help, check=policies.check)
    batch_size: int = option(100, "images per step over all devices", low=1)

    @property
    def file_name(self) -> str:
        """The data set's name as a part of file names."""
        return re.sub("[/:]", "-", self.dataset)

    @property
    def place(self) -> Place:
        """Where the images are."""
        return Place(**{flag: getattr(self, flag) for flag in FLAGS})
