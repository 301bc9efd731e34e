"""Your own images as arrays: in an .npz, or given from Python. No TensorFlow here."""

from __future__ import annotations

import functools
import hashlib
import os
import typing
import zipfile
from collections.abc import Sequence

from tf_tickets import storage
from tf_tickets.columns import aligned
from tf_tickets.data import array_checks, class_names, content_names, copies, own, photographs, resaved, sources
from tf_tickets.data.catalog import DataSet
from tf_tickets.errors import TicketError, UsageError, plain, reason, shown
from tf_tickets.lazy_modules import np
from tf_tickets.registry import DATASETS
from tf_tickets.settings import places
from tf_tickets.settings.places import Place

_NEEDED = ("train_images", "train_labels")
_TEST = ("test_images", "test_labels")
_NAMES = "class_names"
_ASKED = (
    "give the arrays train_images and train_labels, and where there are such test_images, test_labels and class_names"
)


class ImageArrays:
    """Images and labels of the user's own, checked; what `tt.data.from_arrays` returns.

    Attributes:
      classes: names, in label order.
      images: uint8 [n, height, width, channels], the training images first.
      labels: int64 [n].
      train_images: how many of them train; the others test.
    """

    def __init__(
        self, arrays: dict[str, typing.Any], names: dict[str, str], place: str, classes: Sequence[str] | None = None
    ):
        """Checks arrays.

        Args:
          arrays: train_images, train_labels and, where there are such, test_images and test_labels.
          names: what each is called in messages.
          place: what holds them, in messages.
          classes: names in label order; None: text labels are sorted, numbers are their own names.

        Raises:
          UsageError: says what to give instead.
        """
        splits = [_NEEDED, _TEST] if _TEST[0] in arrays else [_NEEDED]
        pixels = [array_checks.images(arrays[images], names[images]) for images, _ in splits]
        given_labels = [
            array_checks.labels(arrays[labels], names[labels], len(images))
            for (_, labels), images in zip(splits, pixels)
        ]
        if len({images.shape[1:] for images in pixels}) > 1:
            train, test = (list(images.shape[1:]) for images in pixels)
            raise UsageError(f"{names['test_images']}: {test}, and the training images are {train}; make them one size")
        where = [names[labels] for _, labels in splits]
        if len({labels.dtype.kind for labels in given_labels}) > 1:
            raise UsageError(f"{where[0]} and {where[1]}: one has text and the other numbers; give both the same kind")
        self.classes = _classes(given_labels[0], classes, where[0], place)
        numbers = [_numbers(labels, self.classes, name) for labels, name in zip(given_labels, where)]
        _check_training(numbers[0], self.classes, where[0])
        self.images, self.labels = np.concatenate(pixels), np.concatenate(numbers)
        self.train_images = len(pixels[0])

    @property
    def settings(self) -> dict[str, str]:
        """The settings that stand for this value."""
        return {"dataset": "arrays", "data_file": content_names.name_of(self, self.pictures.digest)}

    @functools.cached_property
    def pictures(self) -> own.Pictures:
        """The images one by one; without test images a fifth of each class tests, chosen by content."""
        pictures = tuple(self._picture(row) for row in range(len(self.labels)))
        notices, drawn = [], self.train_images == len(pictures)
        if drawn:
            parts = {picture.id: picture for picture in own.with_test_part(pictures, self.classes)}
            pictures = tuple(parts[picture.id] for picture in pictures)
            notices.append("no test images are given: a fifth of each class, chosen by content, is kept for the test")
        notices += [*copies.sentences(pictures), *resaved.notices(pictures, self.classes)]
        height, width, channels = map(int, self.images.shape[1:])
        stem = "small" if max(height, width) <= own.SMALL_SIDE else "full"
        facts = own.facts("arrays", self.classes, pictures, (height, width, channels), source="arrays", stem=stem)
        return own.Pictures(facts, pictures, "given as arrays", tuple(notices), drawn)

    def _picture(self, row):
        part = "train" if row < self.train_images else "test"
        label, image = int(self.labels[row]), self.images[row]
        pixels = hashlib.sha256(b"%d %d %d uint8 " % image.shape + image.tobytes()).hexdigest()
        # Names of classes are in the id. In another order they are another task: their logits stand elsewhere.
        content = hashlib.sha256(f"{pixels} {label}".encode()).hexdigest()
        facts = photographs.facts_of_array(image, content, pixels)
        number = row if part == "train" else row - self.train_images
        return own.Picture(f"{part}/{self.classes[label]}/{number:06d}", label, part, None, facts)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes an .npz for `--dataset=arrays --data_file=PATH`, whose runs are those of this value.

        Raises:
          UsageError: the path does not end in .npz.
          StateError: it cannot be written.
        """
        path = os.fspath(path)
        if not path.endswith(".npz"):
            raise UsageError(f"{path} does not end in .npz: call it {path}.npz")
        parts = (slice(self.train_images), slice(self.train_images, None))
        arrays: dict[str, np.ndarray] = {_NAMES: np.array(self.classes)}
        for (images, labels), rows in zip((_NEEDED, _TEST), parts):
            if len(self.labels[rows]):
                arrays |= {images: self.images[rows], labels: self.labels[rows]}
        storage.write_arrays(path, arrays)

    def __repr__(self) -> str:
        """Counts, size and classes."""
        height, width, channels = self.images.shape[1:]
        train, test = self.train_images, len(self.labels) - self.train_images
        counts = [np.bincount(part, minlength=len(self.classes)) for part in np.split(self.labels, [train])]
        held = f"{test:,} test images" if test else "no test images: a fifth of each class will test"
        colours = {1: "grey", 3: "colour"}.get(channels, f"{channels} channels")
        rows = [["class", "train", "test"]]
        rows += [
            [plain(name), f"{counts[0][label]:,}", f"{counts[1][label]:,}"] for label, name in enumerate(self.classes)
        ]
        left_out = [f"and {len(rows) - 21} more classes"] if len(rows) > 21 else []
        first = f"<ImageArrays: {train:,} training images, {held}; {width}x{height} pixels, {colours}>"
        return "\n".join([first, aligned(rows[:21], "l"), *left_out])


def _classes(labels, classes, name, place):
    """Names of classes, from the training labels where they are not given."""
    text = labels.dtype.kind == "U"
    if classes is None:
        names = sorted(set(labels.tolist())) if text else [str(label) for label in range(int(labels.max()) + 1)]
    else:
        names = [name.decode("utf-8") if isinstance(name, bytes) else name for name in classes]
        odd = [name for name in names if not isinstance(name, str)]
        if isinstance(classes, str) or odd:
            raise UsageError(f"class_names: {shown([*odd, classes][0])} is no list of names; give a list of str")
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UsageError(f"class_names: '{twice}' is there twice; give each class a name of its own")
        if not text and labels.max() >= len(names):
            raise UsageError(
                f"class_names: {len(names)} names, and {name} go up to {labels.max()}; give {labels.max() + 1} names"
            )
    if "" in names:
        raise UsageError(
            f"{name}: row {int(np.argmax(labels == ''))} has an empty label; give one, or leave the image out"
        )
    class_names.check(names, place, "class")
    return tuple(names)


def _numbers(labels, classes, name):
    """Labels as int64 places in the names of the classes."""
    if labels.dtype.kind == "U":
        places = {label: number for number, label in enumerate(classes)}
        odd = next((label for label in labels.tolist() if label not in places), None)
        if odd is not None:
            raise UsageError(f"{name}: '{odd}' is no class of {_some(classes)}; name it in class_names and train on it")
        return np.array([places[label] for label in labels.tolist()], np.int64)
    if labels.max() >= len(classes):
        raise UsageError(
            f"{name}: label {labels.max()}, which no training image has: leave such images out, or train on some"
        )
    return labels


def _some(names):
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _check_training(labels, classes, name):
    """Every class needs training images, and there have to be two."""
    counts = np.bincount(labels, minlength=len(classes))
    if np.count_nonzero(counts) < 2:
        raise UsageError(f"{name}: one class, '{classes[int(np.argmax(counts))]}'; give images of two classes or more")
    if counts.min() > 0:
        return
    lacking = int(np.argmin(counts))
    if lacking == 0 and counts[1:].min() > 0 and classes[0] == "0":
        raise UsageError(f"{name}: from 1 to {labels.max()}, and labels count from 0; subtract 1")
    raise UsageError(
        f"{name}: class {lacking} ('{classes[lacking]}') has no training images; add some, or leave the class out and "
        "number the others without gaps"
    )


def read(path: str) -> ImageArrays:
    """Reads an .npz, without pickle.

    Raises:
      UsageError: it is none, or holds other arrays than `ImageArrays.save` writes.
    """
    place = f"--data_file={path}"
    real = os.path.expanduser(path)
    try:
        with storage.open_regular(real) as file:
            if not zipfile.is_zipfile(file):
                raise UsageError(f"{place} is no .npz: write it with np.savez or .save of tt.data.from_arrays")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                arrays = _read_members(archive, place)
    except TicketError:  # a request to stop, too
        raise
    except OSError as error:
        raise UsageError(f"{place} cannot be read ({reason(error)}): give an .npz; {_ASKED}") from None
    except Exception as error:  # bytes that are no npz end in a dozen kinds, from zlib's to the parser's of headers
        raise UsageError(f"{place} is damaged ({reason(error)}): write it again with np.savez") from None
    classes = arrays.pop(_NAMES, None)
    return ImageArrays(arrays, {name: f"{place}: {name}" for name in (*_NEEDED, *_TEST)}, place, classes)


def _read_members(archive, place):
    there = set(archive.files)
    lacking = [name for name in _NEEDED if name not in there]
    if len(there & set(_TEST)) == 1:
        lacking += [name for name in _TEST if name not in there]
    odd = sorted(there - {*_NEEDED, *_TEST, _NAMES})
    if lacking or odd:
        problem = f"has no {lacking[0]}" if lacking else f"has {odd[0]}, which nothing reads"
        raise UsageError(f"{place} {problem} (it holds {', '.join(sorted(there)) or 'nothing'}): {_ASKED}")
    arrays = {}
    for name in sorted(there):
        try:
            arrays[name] = archive[name]
        except ValueError as error:
            if "allow_pickle" not in str(error):
                raise
            raise UsageError(
                f"{place}: {name} is pickled objects, which are never read; write it as numbers or text, such as "
                "np.stack(list(images)) and labels.astype(str)"
            ) from None
    return arrays


def open_place(place: Place) -> ImageArrays:
    """What `--data_file` holds, or stands for; UsageError where nothing is given, or it cannot be used."""
    path = place.data_file
    if path is None:
        raise UsageError("--dataset=arrays needs --data_file=FILE.npz, with train_images and train_labels")
    if places.is_name(path):
        return content_names.find(path, "data_file")
    try:
        status = os.stat(os.path.expanduser(path))
    except OSError as error:
        raise UsageError(f"--data_file={path} cannot be read ({reason(error)}): give the path of an .npz") from None
    return _read_once(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=1)
def _read_once(path, _modified, _size):
    return read(path)


@DATASETS.register("arrays")
class Arrays(sources.Provider):
    """The arrays of `--data_file`."""

    place_flags = ("data_file",)

    def facts_in(self, place: Place) -> DataSet:
        """Those of the images."""
        return open_place(place).pictures.data_set

    def pictures(self, place: Place) -> own.Pictures:
        """The images, one by one."""
        return open_place(place).pictures

    def load(self, place: Place) -> sources.Source:
        """The images."""
        arrays = open_place(place)
        train, test = (arrays.pictures.columns(part, arrays.images) for part in ("train", "test"))
        return sources.Source(arrays.pictures.data_set, train, test, np.copy, arrays.pictures.notices)
