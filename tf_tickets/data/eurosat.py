"""TFDS' own `eurosat` as the pictures of `eurosat_rgb` and `eurosat_all`: the DEIC lists alone are then enough."""

from __future__ import annotations

import glob
import os

from tf_tickets.errors import StateError, reason
from tf_tickets.lazy_modules import np


def folder(configuration: str, root: str) -> str | None:
    """The folder that TFDS prepared eurosat in, or None.

    Args:
      configuration: `rgb` or `all`.
      root: folder of prepared data sets.
    """
    where = os.path.join(root, "eurosat", configuration)
    versions = sorted(glob.glob(os.path.join(glob.escape(where), "*", "dataset_info.json")))
    return os.path.dirname(versions[-1]) if versions else None


def pictures(configuration: str, where: str) -> dict:
    """Reads the pictures.

    Args:
      configuration: see `folder`.
      where: what `folder` gives.

    Returns:
      dict from a path such as `Forest/Forest_44.jpg` to what TFDS stores: the JPEG bytes as they were published, or
      uint16 [64, 64, 13], whose whole numbers TFDS keeps as float32.

    Raises:
      StateError: the prepared folder is damaged.
    """
    import tensorflow_datasets as tfds

    by_path = {}
    try:
        builder = tfds.builder_from_directory(where)
        skip = {"image": tfds.decode.SkipDecoding()} if configuration == "rgb" else None
        for example in tfds.as_numpy(builder.as_dataset(split="train", decoders=skip)):  # pyright: ignore[reportCallIssue]  decorated
            file = example["filename"].decode("utf-8")
            path = f"{file.rpartition('_')[0]}/{file}"
            by_path[path] = example["image"] if configuration == "rgb" else _whole(example["sentinel2"], path)
    except StateError:
        raise
    except Exception as error:  # a damaged folder makes TFDS, TensorFlow and protobuf raise errors of many types
        raise StateError(
            f"{where} is damaged ({reason(error)}): delete it and let TFDS prepare eurosat again"
        ) from error
    return by_path


def _whole(values, path):
    numbers = values.astype(np.uint16)
    if not np.array_equal(numbers, values):
        raise StateError(f"TFDS' eurosat/all holds other numbers than 16-bit ones in {path}: prepare it again")
    return numbers
