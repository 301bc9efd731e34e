"""Pictures without labels, for prediction: files of any size as a ticket's network takes them."""

import collections
import os

import numpy as np

from tf_tickets import storage
from tf_tickets.backend import tf
from tf_tickets.data import encoding, listing, photographs, pictures
from tf_tickets.errors import TicketError, UsageError, reason


def files(path: str, problems: list) -> list[str]:
    """The picture files that a path stands for.

    Args:
      path: of a file, or of a folder, of which all files at any depth are meant, by name, those that systems and
        programs leave beside pictures excepted.
      problems: a line for each folder below that cannot be read, or is a link; grows.

    Returns:
      List of paths.

    Raises:
      UsageError: a folder without any, or one that cannot be read.
    """
    if not os.path.isdir(path):
        return [path]
    before = len(problems)
    paths = listing.files(path, problems, collections.Counter())
    if not paths and len(problems) == before:
        raise UsageError(f"{path} holds no picture; give a folder that does")
    return paths


def pixels(path: str, data: dict) -> np.ndarray:
    """One picture as the network takes it.

    A picture of the network's size keeps its pixels. Of a network of crops (`any_size`) it is what evaluation sees:
    the shorter side resized to 256 for a crop of 224, then the middle. Else the picture is resized to cover the
    network's size, and its middle taken.

    Args:
      path: of the file.
      data: a Ticket's facts of its data set.

    Returns:
      The stored type [height, width, channels].

    Raises:
      UsageError: the file is no such picture.
    """
    shape = tuple(data["image_shape"])
    if data.get("dtype", "uint8") == "uint16":
        return _bands(path, shape)
    if data.get("any_size"):
        encoded = tf.constant([encoding.encoded(path, shape[2])])
        return pictures.centre_crops(shape)(encoded).numpy()[0]
    picture = photographs.pixels(path, shape[2])
    return picture if picture.shape == shape else _covering(picture, shape)


def _covering(picture, shape):
    size = np.array(picture.shape[:2])
    wanted = np.array(shape[:2])
    height, width = np.maximum(np.round(size * (wanted / size).max()).astype(int), wanted)
    resized = pictures.resize(tf.constant(picture), height, width).numpy()
    top, left = (height - shape[0]) // 2, (width - shape[1]) // 2
    return resized[top : top + shape[0], left : left + shape[1]]


def _bands(path, shape):
    import tifffile

    try:
        with storage.open_regular(path) as file:
            bands = tifffile.imread(file)
    except TicketError:  # also a request to stop
        raise
    except Exception as error:  # tifffile raises errors of many types for damaged files
        raise UsageError(f"{path} is no TIFF that can be read ({reason(error)})") from None
    if bands.shape != shape or bands.dtype != np.uint16:
        raise UsageError(f"{path} is {bands.dtype}{list(bands.shape)}: this ticket takes uint16{list(shape)}")
    return bands
