"""Any data set of TFDS with an `image` and a `label`, as `tfds:NAME[/CONFIG][:VERSION]`.

What is known of one, its prepared folder says (`tfds_looks`). No TensorFlow here before images are opened, or prepared.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
from collections.abc import Iterator, Mapping

from tf_tickets.data import encoding, lazy, records, sources, tfds_folders, tfds_looks
from tf_tickets.data.catalog import DataSet
from tf_tickets.errors import TicketError, UsageError, reason
from tf_tickets.lazy_modules import np
from tf_tickets.registry import DATASETS
from tf_tickets.settings.places import Place

PREFIX = "tfds"
_PATTERN = f"{PREFIX}:NAME[/CONFIG][:VERSION]"
_PART = r"[A-Za-z0-9_][\w.+-]*"
_NAME = re.compile(rf"{PREFIX}:(?P<name>\w+)(/(?P<config>{_PART}))?(:(?P<version>\d+\.\d+\.\d+))?", re.ASCII)
_VERSION = re.compile(r"\d+\.\d+\.\d+", re.ASCII)


@DATASETS.register_group(PREFIX)
class TfdsGroup(Mapping):
    """A provider for every name that is spelled as one; whether there is such a data set is seen when it is opened."""

    def __iter__(self) -> Iterator[str]:
        """The pattern alone: what there is, TFDS and its folders know."""
        return iter((_PATTERN,))

    def __len__(self) -> int:
        """Of the pattern."""
        return 1

    def __getitem__(self, name: str) -> TfdsSet:
        """The provider of a name; KeyError for what is none."""
        match = _NAME.fullmatch(str(name))
        if match is None:
            raise KeyError(name)
        return TfdsSet(**match.groupdict())


@dataclasses.dataclass(frozen=True)
class TfdsSet(sources.Provider):
    """One of TFDS' data sets; without a version the highest that is prepared, else the one that TFDS prepares."""

    name: str
    config: str | None
    version: str | None

    @property
    def _flag(self):
        return f"--dataset={PREFIX}:{self._spelled}"

    @property
    def _spelled(self):
        """As TFDS and its command line spell it."""
        return self.name + (f"/{self.config}" if self.config else "") + (f":{self.version}" if self.version else "")

    def is_there(self, place: Place) -> bool:
        """Whether its prepared folder is there."""
        return self._prepared(place.data_dir) is not None

    def obtain(self, place: Place) -> None:
        """Lets TFDS download and prepare it where no version of it, or not the one that is named, is there.

        Raises:
          UsageError: TFDS has no such data set, or it cannot be had; nothing is left behind.
        """
        if self.is_there(place):
            return
        data_dir = place.data_dir
        self._check_known(data_dir)
        tfds_folders.check_writable(data_dir, self.name)
        try:
            tfds_folders.check_server(self.name)
            tfds_folders.build(self._spelled, data_dir)
        except TicketError:
            raise
        except Exception as error:  # TFDS and requests raise errors of many types, all of which have the same way out
            if not self.is_there(place):  # another process may have been first
                raise self._not_prepared(data_dir, f"cannot be downloaded ({reason(error)})") from error

    def facts_in(self, place: Place) -> DataSet:
        """Those of its prepared folder; UsageError where there is none, or it is none of images and their classes."""
        return self._looked_at(place.data_dir).data_set

    def notices_in(self, place: Place) -> tuple[str, ...]:
        """Which splits test, and which are not used."""
        return self._looked_at(place.data_dir).notices

    def load(self, place: Place) -> sources.Source:
        """Opens its prepared folder, which is made where there is none; see `obtain`."""
        self.obtain(place)
        prepared = self._looked_at(place.data_dir)
        data_set, folder = prepared.data_set, os.fspath(prepared.builder.data_dir)
        with tfds_looks.reading(folder):
            train = _read(prepared, "train")
            if prepared.test is None:
                rows = _test_rows(train[1])
                test, train = _part(train, rows), _part(train, ~rows)
            else:
                test = _read(prepared, prepared.test)
            if prepared.validation:
                train = _joined(train, _read(prepared, "validation"))
            if problem := sources.count_problem(data_set, train, test):
                raise ValueError(problem)

        def decode(stored):
            with tfds_looks.reading(folder):
                images = records.decode(stored, data_set)
                if data_set.encoded:  # turned upright and shrunk, as pictures of a folder
                    where, channels = f"a picture in {folder}", data_set.image_shape[2]
                    images[:] = [encoding.encoded_again(image, where, channels) for image in images]
                return images

        return sources.Source(data_set, train, test, decode, prepared.notices)

    def _looked_at(self, data_dir):
        prepared = self._prepared(data_dir)
        if prepared is None:
            self._check_known(data_dir)
            raise self._not_prepared(data_dir)
        return tfds_looks.look(*prepared)

    def _prepared(self, data_dir):
        """(path of the prepared folder, the name with its configuration and version), or None."""
        above, name = os.path.join(sources.data_root(data_dir), self.name), f"{PREFIX}:{self.name}"
        versions = _versions(above)
        if self.config or not versions:
            configs = sorted(config for config in _folders(above) if _versions(os.path.join(above, config)))
            config = self.config or self._default_config(configs)
            if config is None or config not in configs:
                return None
            above, name = os.path.join(above, config), f"{name}/{config}"
            versions = _versions(above)
        version = self.version or max(versions, key=_order)
        return (os.path.join(above, version), f"{name}:{version}") if version in versions else None

    def _default_config(self, prepared):
        """TFDS' default configuration; of a data set that TFDS does not know the only one that is prepared."""
        if not prepared:
            return None
        builder_class = _known(self.name)
        if builder_class is not None and builder_class.BUILDER_CONFIGS:
            default = builder_class.default_builder_config
            return default.name if default is not None else builder_class.BUILDER_CONFIGS[0].name
        if len(prepared) > 1:
            names = ", ".join(f"{PREFIX}:{self.name}/{config}" for config in prepared)
            raise UsageError(f"{self._flag} has several configurations: choose one of {names}")
        return prepared[0]

    def _check_known(self, data_dir):
        """UsageError where TFDS has no such data set or configuration."""
        builder_class = _known(self.name)
        if builder_class is None:
            import tensorflow_datasets as tfds

            root = sources.data_root(data_dir)
            prepared = _below(os.path.join(root, self.name), f"{PREFIX}:{self.name}")
            close = difflib.get_close_matches(self.name, tfds.list_builders(with_community_datasets=False), 1)
            hint = f"; did you mean {PREFIX}:{close[0]}?" if close and not prepared else ""
            held = ", ".join(prepared) or "no prepared data set of that name"
            raise UsageError(
                f"{self._flag}: {root} holds {held}, and TFDS has none{hint}; prepare one of your own with `tfds build "
                f"--data_dir={root}`, or import its builder with --plugins=MODULE"
            )
        configs = [config.name for config in builder_class.BUILDER_CONFIGS]
        if self.config and self.config not in configs:
            has = f"has {', '.join(configs)}" if configs else "has none"
            raise UsageError(f"{self._flag}: TFDS' {self.name} has no configuration {self.config}; it {has}")

    def _not_prepared(self, data_dir, problem=""):
        root = sources.data_root(data_dir)
        return UsageError(
            f"{self._flag} is not prepared in {root}" + (f" and {problem}" if problem else "")
            + f": run it, or `tfds build {self._spelled} --data_dir={root}`, once where the network is, or give the "
            "folder of prepared data sets with --data_dir"
        )  # fmt: skip


def _known(name):
    """TFDS' class of the builder of a data set; None where it has none."""
    from tensorflow_datasets.core import registered

    try:
        return tfds_folders.builder_class(name)
    except registered.DatasetNotFoundError:
        return None


def _folders(path):
    try:
        return [entry.name for entry in os.scandir(path) if entry.is_dir()]
    except OSError:
        return []


def _versions(path):
    return [name for name in _folders(path) if _VERSION.fullmatch(name)]


def _below(above, name):
    """The names of what is prepared in the folder of a data set, with configurations and versions."""
    configs = [(os.path.join(above, config), f"{name}/{config}") for config in sorted(_folders(above))]
    return [
        f"{of}:{version}" for path, of in [(above, name), *configs] for version in sorted(_versions(path), key=_order)
    ]


def _order(version):
    return tuple(map(int, version.split(".")))


def _read(prepared, split):
    """As `records.read`; a data set may give several images one id."""
    ids, *columns = records.read(prepared.builder, split, prepared.data_set)
    return records.distinct(ids).tolist(), *columns


def _test_rows(labels):
    """The images of train that test, bool [n], drawn from their order, which is that of their ids."""
    from tf_tickets.data import subsets  # with which numpy comes, for which tables of names do not wait

    rows = np.zeros(len(labels), bool)
    for label in range(int(labels.max()) + 1):
        positions = subsets.class_order(np.flatnonzero(labels == label), "0", label, "test part")
        rows[positions[: tfds_looks.test_count(len(positions))]] = True
    return rows


def _part(columns, rows):
    """Some rows of the columns of a Source."""
    ids, labels, images, held = columns
    return [name for name, chosen in zip(ids, rows) if chosen], labels[rows], images[rows], held[rows]


def _joined(train, validation):
    """The columns of train, then those of validation, which are held out and whose ids say what they are of."""
    (ids, labels, images, held), (held_ids, held_labels, held_images, _) = train, validation
    in_files = isinstance(images, lazy.Records)
    return (
        [*ids, *(f"validation/{name}" for name in held_ids)], np.concatenate([labels, held_labels]),
        images.followed_by(held_images) if in_files else np.concatenate([images, held_images]),
        np.concatenate([held, np.ones(len(held_labels), bool)]),
    )  # fmt: skip
