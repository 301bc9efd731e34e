"""Corrupted test sets made here, kept as .npy beside the prepared data where a folder for those is there."""

import contextlib
import functools
import hashlib
import io
import os
from collections.abc import Callable

import numpy as np

from tf_tickets import storage
from tf_tickets.data import pipeline, sources
from tf_tickets.data.catalog import DataSet
from tf_tickets.errors import StateError
from tf_tickets.evaluation import corruptions
from tf_tickets.evaluation.published_sets import TestSet
from tf_tickets.settings.places import Place


def corrupted(
    data_set: DataSet, place: Place, test: Callable[[], pipeline.Images], say: Callable[[str], None]
) -> list[TestSet]:
    """The generated test sets of every corruption and severity.

    They are kept in `<data root>/generated_corruptions/<data set>-<digest of code version and test images>`, and made
    anew each time where the data root is not there or cannot be written.

    Args:
      place: where its images are; its data_dir: see `sources.data_root`.
      test: function () -> the clean test split, a data.pipeline.Images.
      say: function that is told once when nothing can be kept.

    Returns:
      List of TestSet, named like gaussian_noise:1.
    """
    # Among the user's own pictures they would be a class.
    root = sources.data_root(None if sources.of(data_set.name).place_flags else place.data_dir)

    @functools.cache
    def folder():
        if not os.access(root, os.W_OK | os.X_OK):
            say(f"corrupted images are not kept: {root} is no folder that can be written")
            return None
        pixels = np.ascontiguousarray(test().pixels)
        digest = hashlib.sha256(f"{corruptions.VERSION} {pixels.shape}\n".encode())
        digest.update(pixels.data)
        return storage.subfolder(
            storage.subfolder(root, "generated_corruptions"), f"{data_set.file_name}-{digest.hexdigest()[:8]}"
        )

    def load(name, severity):
        clean = test()
        pixels = _kept(folder(), name, severity, clean)
        return pipeline.Images(pixels, clean.labels, clean.ids)

    return [
        TestSet(f"{name}:{severity}", functools.partial(load, name, severity))
        for name in corruptions.names(data_set.image_shape[2])
        for severity in corruptions.SEVERITIES
    ]


def _kept(folder, name, severity, clean):
    path = folder and os.path.join(folder, f"{name}_{severity}.npy")
    if path and os.path.exists(path):
        try:
            with storage.open_regular(path, StateError) as file:
                pixels = np.load(file, allow_pickle=False)
            if pixels.dtype == np.uint8 and pixels.shape == clean.pixels.shape:
                return pixels
        except (OSError, ValueError, EOFError):
            pass  # damaged: made anew below
    pixels = corruptions.apply(name, severity, clean.pixels, clean.ids)
    if path:
        file = io.BytesIO()
        np.save(file, pixels)
        with contextlib.suppress(StateError):  # a full disk costs time, not the result
            storage.write_bytes(path, file.getvalue())
    return pixels
