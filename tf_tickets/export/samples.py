"""The images on which exported files are calibrated and compared: of the run and the test set, or noise."""

import dataclasses
import functools
import os

import numpy as np

from tf_tickets import runs, storage
from tf_tickets.data import sources
from tf_tickets.errors import UsageError
from tf_tickets.export import origin
from tf_tickets.export.ticket import Ticket, ids_digest, training_ids
from tf_tickets.registry import DATASETS
from tf_tickets.settings.places import Place

_CALIBRATED, _COMPARED = 200, 100
# How the kind of images begins that are of no data set.
NOISE = "images of noise"
_NOT_GIVEN = {
    "data_dir": "the folder of its pictures", "data_file": "the file of its images",
    "labels_file": "the table of its pictures",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Sample:
    """A few images [n, height, width, channels] of the data set's stored type, and what they are, in words.

    Attributes:
      calibration, calibration_kind: what the ranges of 8-bit activations are read from.
      compared, compared_kind: what files and ticket both predict: other images, on which those ranges are a guess.
      trained_on: whether those to calibrate on are the ticket's training images.
    """

    calibration: np.ndarray
    calibration_kind: str
    compared: np.ndarray
    compared_kind: str
    trained_on: bool = False


def missing(ticket: Ticket, run: runs.RunFolder | None, place: Place) -> str | None:
    """Why a ticket's images cannot be had, in words; None where they can be. Computes nothing, starts no TensorFlow.

    Args:
      run: the runs.RunFolder it lies in, or None.
      place: where its images are, as origin.place finds it.

    Raises:
      UsageError: `place` holds other pictures than the ticket's.
      StateError: the prepared data are damaged.
    """
    name = ticket.data["dataset"]
    provider = DATASETS.get(name)
    if provider is None:
        return f"{name} is not prepared"
    lacking = [flag for flag in provider.place_flags if getattr(place, flag) is None]
    if lacking:
        return f"{_NOT_GIVEN[lacking[0]]} is not given"
    pictures = provider.pictures(place)
    if pictures is None:
        return None if provider.is_there(place) else f"{name} is not prepared"
    _fitting(ticket, pictures.data_set, place)
    origin.check_pictures(ticket, run, place)
    return None


def _fitting(ticket, data_set, place):
    """The data set as the ticket takes it; UsageError where it cannot."""
    shape = ticket.data["image_shape"]
    if shape[2] == data_set.image_shape[2]:
        data_set = data_set.cropped_to(tuple(shape))
    if list(data_set.image_shape) != list(shape) or data_set.classes != len(ticket.labels):
        raise UsageError(
            f"the pictures in {origin.shown(ticket, place)} have {data_set.classes} classes of "
            f"{list(data_set.image_shape)}, the ticket {len(ticket.labels)} of {list(shape)}: give its own"
        )
    return data_set


def of(ticket: Ticket, run: runs.RunFolder | None, place: Place) -> Sample:
    """Images for a ticket: test images to compare on, training images of its run or more test images to calibrate on.

    Where the data set is not there, all are noise.

    Args:
      run: the runs.RunFolder it lies in, or None.
      place: where its images are, as origin.place finds it.

    Raises:
      UsageError: `place` holds other pictures than the ticket's.
      StateError: the prepared data are damaged.
    """
    lacking = missing(ticket, run, place)
    if lacking:
        return _noise(ticket, lacking)
    source = sources.load(ticket.data["dataset"], place)
    data_set = _fitting(ticket, source.data_set, place)
    everywhere = np.arange(len(source.test_labels))
    compared = _spread(everywhere, _COMPARED)
    training = _training(ticket, run, source.ids)
    if len(training):
        calibration, kind = source.images(_spread(training, _CALIBRATED)), "training images of the run"
    else:
        uncompared = np.setdiff1d(everywhere, compared)
        calibration, kind = (
            source.test(_spread(uncompared if len(uncompared) else compared, _CALIBRATED))[0],
            "test images",
        )
    pixels = functools.partial(_pixels, data_set=data_set, dtype=ticket.data.get("dtype", "uint8"))
    return Sample(pixels(calibration), kind, pixels(source.test(compared)[0]), "test images", len(training) > 0)


def _spread(positions, most):
    """At most `most` of them, evenly spread: lists of pictures are sorted by class."""
    count = min(len(positions), most)
    return positions[np.arange(count) * len(positions) // max(count, 1)]


def _pixels(stored, data_set, dtype):
    from tf_tickets.data import pipeline  # TensorFlow, which `missing` does without

    images = pipeline.Images(stored, np.zeros(len(stored), np.int64), np.arange(len(stored)))
    return pipeline.evaluation_pixels(images, slice(None), data_set).astype(dtype)


def _training(ticket, run, ids):
    """Positions of the ticket's training images; none where they are not known, or one of them is not there."""
    training = ticket.ids
    if training is None and run is not None and os.path.isfile(run.subset):  # a ticket of an earlier version
        training = training_ids(storage.read_csv(run.subset))
    where = {name: position for position, name in enumerate(ids)}
    if training is None or ids_digest(training) != ticket.ids_digest or not set(training) <= set(where):
        return np.zeros(0, np.int64)
    return np.array([where[name] for name in training], np.int64)


def _noise(ticket, lacking):
    dtype, most = ticket.data.get("dtype", "uint8"), int(ticket.data.get("scale", 255.0))
    shape = (_COMPARED, *ticket.data["image_shape"])
    images = np.random.default_rng(0).integers(0, most, shape, dtype, endpoint=True)
    kind = f"{NOISE}, since {lacking} ({origin.wanted(ticket)})"
    return Sample(images, kind, images, kind)
