"""Where the images of a data set come from: what is registered for it, and the images, opened, in original order."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tf_tickets.data import catalog, class_folders
from tf_tickets.data import lazy as lazily
from tf_tickets.data.own import Pictures
from tf_tickets.errors import UsageError
from tf_tickets.lazy_modules import np
from tf_tickets.registry import DATASETS
from tf_tickets.settings.data_group import Data
from tf_tickets.settings.places import FLAGS, Place


class Provider:
    """A data set as it is registered: it answers all that is asked of it.

    Attributes:
      facts: its catalog.DataSet; None where its pictures have to be looked at first.
      place_flags: the settings that say where the user's own images are, without which nothing is known of them.
      adds_validation: how it gets a validation part, in words.
      accepted: what `prepare --archive` makes it from, in words; None: from nothing.
    """

    facts: catalog.DataSet | None = None
    place_flags: tuple[str, ...] = ()
    adds_validation: str = "use a fraction, such as --validation=0.2"
    accepted: str | None = None

    @property
    def dtype(self) -> str:
        """The type of the stored pixels."""
        return "uint8" if self.facts is None else self.facts.dtype

    def facts_in(self, place: Place) -> catalog.DataSet:
        """Its facts; UsageError where they are made from pictures that cannot be used."""
        if self.facts is None:
            raise NotImplementedError
        return self.facts

    def pictures(self, place: Place) -> Pictures | None:
        """The user's own pictures, looked at; None of others. Raises as `facts_in`."""
        return None

    def is_there(self, place: Place) -> bool:
        """Whether `load` needs no download; StateError where what is there is damaged."""
        return True

    def obtain(self, place: Place) -> None:
        """Gets what `facts_in` looks at where it is not there and can be had; of others `load` does so."""

    def notices_in(self, place: Place) -> tuple[str, ...]:
        """Sentences for the user about its parts, for a plan."""
        return ()

    def load(self, place: Place) -> Source:
        """Opens it; see `sources.load`."""
        raise NotImplementedError


class Source:
    """The images of one data set in original order; they stay encoded until they are asked for.

    Attributes:
      data_set: catalog.DataSet; its labels are those that the prepared data name.
      ids: list of n str, the training images' ids.
      labels: int64 [n], the training images' labels.
      held: bool [n], the training images that the official split holds out for validation.
      test_ids, test_labels: list of m str, int64 [m].
      notices: sentences for the user, about what is left out.
    """

    def __init__(self, data_set, train, test, decode, notices=()):
        """`train` and `test` are (ids, labels, stored images, held); `decode` turns stored images into pixels."""
        self.data_set = data_set
        self.ids, self.labels, self._stored, self.held = train
        self.test_ids, self.test_labels, self._test_stored, _ = test
        self._decode, self.notices = decode, notices

    def images(self, positions: Sequence[int] | np.ndarray, lazy: bool = False) -> np.ndarray | lazily.Pixels:
        """The pixels of chosen training images.

        Args:
          positions: integers [k] in [0, n), in any order.
          lazy: give a lazy.Pixels, which reads on indexing, of more than `lazy.IN_MEMORY` bytes.

        Returns:
          [k, height, width, channels] of the data set's dtype, in the order of `positions`; of pictures of any size
          their PNG or JPEG bytes, object [k].

        Raises:
          StateError, UsageError: the prepared data, or the user's pictures, are damaged.
        """
        return self._given(self._stored[np.asarray(positions, np.int64)], lazy)

    def test(
        self, positions: slice | np.ndarray = slice(None), lazy: bool = False
    ) -> tuple[np.ndarray | lazily.Pixels, np.ndarray]:
        """Test images as `images` gives them, and their int64 labels: all in original order, or some positions'."""
        return self._given(self._test_stored[positions], lazy), self.test_labels[positions]

    def release(self) -> None:
        """Lets go of the stored images, of which few may be in use; ids and labels stay, `images` and `test` end."""
        del self._stored, self._test_stored

    def _given(self, stored, lazy):
        if not lazy or lazily.size_of(stored, self.data_set) <= lazily.IN_MEMORY:
            return self._decode(stored)
        return lazily.Pixels(stored, self._decode, self.data_set)


def of(name: str) -> Provider:
    """What is registered under the name of a data set; UsageError where nothing is."""
    try:
        return DATASETS[name]
    except KeyError as error:
        raise UsageError(f"{error.args[0]}; import the module that registers it: --plugins=MODULE") from None


def load(name: str, place: Place | str | None = None) -> Source:
    """Opens a data set; TFDS downloads and prepares it where it is not there yet and a network is.

    Reading starts TensorFlow: logical devices must be configured before.

    Args:
      name: of a registered data set.
      place: where it is; a path is that of `--data_dir`, the folder of prepared data sets or of the user's pictures;
        unused for digits and functions.

    Raises:
      UsageError: the data set is not prepared and cannot be downloaded; the message names both ways out.
      StateError: the prepared folder is damaged, or holds other images than its facts say.
    """
    return of(name).load(place if isinstance(place, Place) else Place(data_dir=place))


def count_problem(data_set: catalog.DataSet, train: tuple, test: tuple) -> str | None:
    """How the columns of a Source, whose first are ids and labels, differ from the counts of a DataSet, in words."""
    for (ids, labels, *_), counts in ((train, data_set.train_counts), (test, data_set.test_counts)):
        if not _fits(labels, counts, data_set) or len(set(ids)) != len(ids):
            return f"{len(ids)} images, not the {np.sum(counts)} of the catalog, or other images per class"
    return None


def _fits(labels, counts, data_set):
    given = tuple(np.bincount(labels, minlength=data_set.classes))
    if isinstance(counts, int):
        return len(given) == data_set.classes and sum(given) == counts
    return given == counts if data_set.exact else sorted(given) == sorted(counts)


def facts_of(data: Data, dry_run: bool = False) -> catalog.DataSet:
    """The facts of a config.Data: those registered, of what is prepared, or of the user's own pictures.

    Args:
      data: the settings.
      dry_run: whether nothing may be downloaded.

    Raises:
      UsageError: own pictures that cannot be used, a folder that is missing, or a folder of pictures without
        `--dataset=folder`, or a file that is not of this data set; a data set of TFDS that is not there and cannot be
        had, or has no images with classes.
    """
    provider = of(data.dataset)
    if data.data_dir and "data_dir" not in provider.place_flags:
        _check_no_pictures(data)
    _check_files(data)
    if not dry_run:
        provider.obtain(data.place)
    return provider.facts_in(data.place)


def _check_files(data):
    """A file given with another data set would be passed over."""
    for flag in FLAGS:
        if flag != "data_dir" and getattr(data, flag) is not None and flag not in of(data.dataset).place_flags:
            name = next(name for name, provider in DATASETS.items() if flag in provider.place_flags)
            raise UsageError(
                f"{data.place.shown((flag,))} belongs to --dataset={name}, not {data.dataset}: leave one out"
            )


def _check_no_pictures(data):
    """Own pictures given with another data set would be passed over, and that one planned and paid for."""
    if os.path.isdir(data.data_dir) and not os.path.exists(os.path.join(data.data_dir, data.dataset)):
        if names := class_folders.resembling(data.data_dir):
            more = ", ..." if len(names) > 3 else ""
            raise UsageError(
                f"--data_dir={data.data_dir} holds pictures ({', '.join(names[:3])}{more}), and no prepared "
                f"{data.dataset}: add --dataset=folder"
            )


def data_root(data_dir: str | None) -> str:
    """The folder of all prepared data sets: `data_dir`, else TFDS_DATA_DIR, else TFDS' own default."""
    default = os.path.join("~", "tensorflow_datasets")
    return os.path.expanduser(data_dir or os.environ.get("TFDS_DATA_DIR") or default)
