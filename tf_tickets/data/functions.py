"""Data sets of the user's own that a function gives as arrays, registered with a decorator. No TensorFlow here.

As in:

    from tf_tickets.data import functions

    @functions.register("pets", ("cat", "dog"))
    def pets():
        return {"train": (images, labels), "test": (test_images, test_labels)}
"""

import functools
import hashlib
import typing
from collections.abc import Callable

import numpy as np

from tf_tickets.data import class_names, copies, own, photographs, resaved, sources
from tf_tickets.data.catalog import DataSet
from tf_tickets.errors import UsageError
from tf_tickets.registry import DATASETS
from tf_tickets.settings.places import Place

_CHANGES = {"mean", "deviation", "flip", "vertical_flip", "stem", "crop_padding", "cutout_side"}


def register(name: str, classes: tuple[str, ...], **changes: typing.Any) -> Callable[[Callable], Callable]:
    """A decorator that makes a function the data set `--dataset=name`.

    The function takes nothing and returns a dict of "train", "test" and, where there is one, "validation" to (images,
    labels): uint8 [n, height, width, channels], all of one size, and whole numbers [n] below the number of classes.
    It is called once, when something about the images is wanted. Runs are named after what it returns.

    Args:
      name: of lower-case letters, digits and _.
      classes: their names, in label order.
      changes: facts of catalog.DataSet that are other than of a folder of pictures: `mean` and `deviation` (else
        measured), `flip`, `vertical_flip`, `stem`, `crop_padding` and `cutout_side`.

    Raises:
      ValueError: the name is taken or is no such name, or a fact is none of these.
    """
    if not (name.isascii() and name.replace("_", "a").isalnum() and name == name.lower()):
        raise ValueError(f"{name!r} is no name of a data set: use lower-case letters, digits and _")
    if set(changes) - _CHANGES:
        raise ValueError(f"{sorted(set(changes) - _CHANGES)[0]} is no fact to give: there are {sorted(_CHANGES)}")

    def put(function):
        DATASETS.register(name)(_Function(name, tuple(classes), function, changes))
        return function

    return put


class _Function(sources.Provider):
    """A data set that a function gives."""

    def __init__(self, name, classes, function, changes):
        self._name, self._classes, self._function, self._changes = name, classes, function, changes

    def facts_in(self, place: Place) -> DataSet:
        """Those of the arrays."""
        return self._looked_at[0].data_set

    def pictures(self, place: Place) -> own.Pictures:
        """The arrays' images, one by one."""
        return self._looked_at[0]

    def load(self, place: Place) -> sources.Source:
        """The arrays."""
        pictures, images = self._looked_at
        train, test = (pictures.columns(part, images) for part in ("train", "test"))
        return sources.Source(pictures.data_set, train, test, np.copy, pictures.notices)

    @functools.cached_property
    def _looked_at(self):
        """(own.Pictures, uint8 [n, height, width, channels] of all parts)."""
        class_names.check(self._classes, f"--dataset={self._name}", "class")
        if len(set(self._classes)) < max(len(self._classes), 2):
            raise self._problem("it needs two classes or more, each of another name")
        parts = self._function()
        odd = set(parts) ^ {"train", "test"} if isinstance(parts, dict) else {"a dict"}
        if odd - {"validation"}:
            raise self._problem("its function has to return a dict of train, test and perhaps validation")
        columns = {part: self._checked(part, *parts[part]) for part in own.PARTS if part in parts}
        shapes = {images.shape[1:] for images, _ in columns.values()}
        if len(shapes) > 1:
            raise self._problem(f"its images have different sizes: {' and '.join(map(str, sorted(shapes)))}")
        pictures = tuple(
            self._picture(part, index, image, int(label))
            for part, (images, labels) in columns.items()
            for index, (image, label) in enumerate(zip(images, labels))
        )
        shape = tuple(map(int, shapes.pop()))
        usual = {"stem": "small" if max(shape[:2]) <= own.SMALL_SIDE else "full"}
        data_set = own.facts(self._name, self._classes, pictures, shape, source="function", **usual | self._changes)
        origin = f"given by {self._function.__module__}.{self._function.__qualname__}"
        notices = (*copies.sentences(pictures), *resaved.notices(pictures, self._classes))
        return own.Pictures(data_set, pictures, origin, notices), np.concatenate(
            [images for images, _ in columns.values()]
        )

    def _problem(self, text):
        return UsageError(f"--dataset={self._name}: {text}")

    def _checked(self, part, images, labels):
        images, labels, classes = np.asarray(images), np.asarray(labels), len(self._classes)
        given = (
            f"its {part} images are {images.dtype}{list(images.shape)}, its labels {labels.dtype}{list(labels.shape)}"
        )
        if images.dtype != np.uint8 or images.ndim != 4 or not images.size:
            raise self._problem(f"{given}: images have to be uint8[n, height, width, channels]")
        if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
            raise self._problem(f"{given}: labels have to be one whole number for each image")
        if labels.min() < 0 or labels.max() >= classes:
            raise self._problem(f"its {part} labels are {labels.min()} to {labels.max()}, not 0 to {classes - 1}")
        if part == "train" and len(set(labels.tolist())) < classes:
            lacking = min(set(range(classes)) - set(labels.tolist()))
            raise self._problem(f"class '{self._classes[lacking]}' has no training images: add them, or leave it out")
        return images, labels

    def _picture(self, part, index, image, label):
        digest = hashlib.sha256(image.tobytes()).hexdigest()
        facts = photographs.facts_of_array(image, digest, digest)
        return own.Picture(f"{part}/{self._classes[label]}/{index:06d}", label, part, None, facts)
