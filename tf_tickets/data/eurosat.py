"""TFDS' own `eurosat` as the pictures of `eurosat_rgb` and `eurosat_all`: the DEIC lists alone are then enough."""

import glob
import os

import numpy as np

from tf_tickets.errors import StateError, reason

CONFIGURATIONS = {"eurosat_rgb": "rgb", "eurosat_all": "all"}


def folder(name, root):
    """The folder that TFDS prepared `eurosat/rgb` or `eurosat/all` in, or None.

    Args:
      name: `eurosat_rgb` or `eurosat_all`; another has none.
      root: folder of prepared data sets.
    """
    where = os.path.join(root, "eurosat", CONFIGURATIONS.get(name, ""))
    found = sorted(glob.glob(os.path.join(glob.escape(where), "*", "dataset_info.json")))
    return os.path.dirname(found[-1]) if name in CONFIGURATIONS and found else None


def pictures(name, root):
    """Reads the pictures.

    Args:
      name, root: see `folder`, which must not be None.

    Returns:
      dict from a path such as `Forest/Forest_44.jpg` to what TFDS stores: the JPEG bytes as they were published, or
      uint16 [64, 64, 13], whose whole numbers TFDS keeps as float32.

    Raises:
      StateError: the prepared folder is damaged.
    """
    import tensorflow_datasets as tfds

    kind, found = CONFIGURATIONS[name], {}
    where = folder(name, root)
    try:
        builder = tfds.builder_from_directory(where)
        skip = {"image": tfds.decode.SkipDecoding()} if kind == "rgb" else None
        for example in tfds.as_numpy(builder.as_dataset(split="train", decoders=skip)):
            file = example["filename"].decode("utf-8")
            path = f"{file.rpartition('_')[0]}/{file}"
            found[path] = example["image"] if kind == "rgb" else _whole(example["sentinel2"], path)
    except StateError:
        raise
    except Exception as error:  # a damaged folder makes TFDS, TensorFlow and protobuf raise errors of many types
        raise StateError(
            f"{where} is damaged ({reason(error)}): delete it and let TFDS prepare eurosat again"
        ) from error
    return found


def _whole(values, path):
    numbers = values.astype(np.uint16)
    if not np.array_equal(numbers, values):
        raise StateError(f"TFDS' eurosat/all holds other numbers than 16-bit ones in {path}: prepare it again")
    return numbers
