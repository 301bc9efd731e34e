"""TFDS' prepared folders: reading, downloading and building them.

TFDS writes into a folder named `incomplete.*` beside the final one and renames it at the end, so a killed download or
preparation never leaves a folder that is later read as complete.
"""

import contextlib
import dataclasses
import functools
import io
import os
import re
import sys
import tempfile
import typing
import zlib
from collections.abc import Callable

from tf_tickets import storage
from tf_tickets.data import catalog, class_names, records, sources
from tf_tickets.errors import StateError, TicketError, UsageError, reason
from tf_tickets.registry import DATASETS
from tf_tickets.settings.places import Place

SECONDS_TO_CONNECT = 10.0


class Prepared(sources.Provider):
    """A data set that TFDS has prepared, or downloads: of `facts` and, for what `prepare` makes, `accepted`."""

    facts: catalog.DataSet

    def is_there(self, place: Place) -> bool:
        """Whether its prepared folder is there."""
        return is_prepared(self.facts.name, place.data_dir)

    def load(self, place: Place) -> sources.Source:
        """Opens the prepared folder, after a download where there is none."""
        name, data_dir = self.facts.name, place.data_dir
        if not is_prepared(name, data_dir):
            download(name, data_dir)
        data_set, train, test = _read_prepared(self.facts, data_dir)
        problem = sources.count_problem(data_set, train, test)
        if problem:
            raise damaged(name, data_dir, problem)
        return sources.Source(data_set, train, test, functools.partial(_decode, data_set, data_dir))

    def opened(self, archive: str, root: str) -> Callable:
        """Reads and checks an archive, before anything is written.

        Args:
          archive: path of what `accepted` says.
          root: folder of prepared data sets.

        Returns:
          A function TFDS builder -> {split: examples}.

        Raises:
          archives.Problem, OSError, UsageError: what is wrong with it.
        """
        raise NotImplementedError


class Built(Prepared):
    """A data set that TFDS lacks: `builders` makes a builder for what has rows, and these are its examples."""

    def rows(self, path: str, root: str | None = None) -> tuple[list[str], dict]:
        """Reads and checks an archive or folder; pictures are only decoded as the rows are used.

        Args:
          path: of what `accepted` says.
          root: folder of prepared data sets, for what is read out of another of them.

        Returns:
          (class names, {split: iterable of (name, label, image as TFDS stores it, whether the split holds it out)}).

        Raises:
          archives.Problem, OSError, UsageError: what is wrong with it.
        """
        raise NotImplementedError

    def opened(self, archive: str, root: str) -> Callable:
        """Its rows."""
        rows = self.rows(archive, root)
        return lambda builder: builder.examples_of(*rows)


class BuiltArrays(Built):
    """A data set that TFDS lacks and that comes as arrays."""

    def read(self, path: str) -> dict:
        """{split: (images, labels)}, uint8 [n, height, width, channels] and int64 [n]; raises as `rows`."""
        raise NotImplementedError

    def rows(self, path: str, root: str | None = None) -> tuple[list[str], dict]:
        """The arrays in their order."""
        return list(self.facts.labels), {
            split: _numbered(split, *columns) for split, columns in self.read(path).items()
        }


def _numbered(split, images, labels):
    for index, (image, label) in enumerate(zip(images, labels)):
        yield f"{split}_{index:05d}", int(label), image, False


def _read_prepared(data_set, data_dir):
    """(DataSet with the labels of the prepared data, training columns, test columns)."""
    try:
        builder = _builder(data_set.name, sources.data_root(data_dir))
        if builder.info.file_format.value != "tfrecord":
            raise ValueError(f"its files are {builder.info.file_format.value}, not tfrecord")
        train, test = (records.read(builder, split, data_set) for split in ("train", "test"))
    except TicketError:
        raise
    except Exception as error:  # a damaged folder makes TFDS, TensorFlow and protobuf raise errors of many types
        raise damaged(data_set.name, data_dir, error) from error
    if data_set.encoded:
        data_set = dataclasses.replace(data_set, labels=tuple(builder.info.features["label"].names))
        class_names.check(
            data_set.labels, os.path.join(prepared_folder(data_set.name, data_dir), "label.labels.txt"), "class"
        )
    return data_set, train, test


def _decode(data_set, data_dir, encoded):
    """Stored images [k] into pixels [k, height, width, channels]."""
    import tensorflow as tf

    try:
        return records.decode(encoded, data_set)
    except (tf.errors.InvalidArgumentError, ValueError, zlib.error) as error:
        raise damaged(data_set.name, data_dir, error) from error


def builder_class(name: str) -> typing.Any:
    """TFDS' builder class of NAME[/CONFIG][:VERSION]; its DatasetNotFoundError where there is none."""
    import tensorflow_datasets as tfds

    from tf_tickets.data import builders  # noqa: F401  registers the data sets that TFDS lacks

    return tfds.builder_cls(_plain(name))  # cifar10_1/v6 is a configuration of cifar10_1


def _plain(name):
    return re.split("[/:]", name)[0]


def _builder(name, root) -> typing.Any:  # TFDS declares that a builder may lack what every one here has
    import tensorflow_datasets as tfds

    builder_class(name)
    return tfds.builder(name, data_dir=root)


def prepared_folder(name: str, data_dir: str | None) -> str:
    """The folder that TFDS reads the data set from, such as `<data_dir>/cifar10/3.0.2`, whether it exists or not."""
    return os.path.join(sources.data_root(data_dir), name, str(builder_class(name).VERSION))


def is_prepared(name: str, data_dir: str | None) -> bool:
    """Whether the prepared folder is there; one without its dataset_info.json, or with more than files, is damaged."""
    path = prepared_folder(name, data_dir)
    odd = [entry.name for entry in os.scandir(path) if not entry.is_file()] if os.path.isdir(path) else []
    if odd:
        raise damaged(name, data_dir, f"{odd[0]} is no regular file")
    if os.path.exists(path) and not os.path.isfile(os.path.join(path, "dataset_info.json")):
        raise damaged(name, data_dir, "dataset_info.json is missing")
    return os.path.exists(path)


def damaged(name: str, data_dir: str | None, problem: BaseException | str) -> StateError:
    """The StateError for a prepared folder that cannot be used, with the fix."""
    path = prepared_folder(name, data_dir)
    return StateError(f"{path} is damaged ({reason(problem)}): delete it, then {_command(name, data_dir)}")


def _command(name, data_dir):
    return f"python -m tf_tickets.main prepare {name} --archive=FILE --data_dir={sources.data_root(data_dir)}"


def _other_way(name, data_dir):
    accepted = DATASETS[name].accepted
    return f", or {_command(name, data_dir)} where FILE is {accepted}" if accepted else ""


def check_writable(data_dir: str | None, name: str) -> None:
    """Raises UsageError unless `sources.data_root` is, or can become, a folder for a data set; creates nothing."""
    root = sources.data_root(data_dir)
    storage.check_writable(root, "--data_dir")
    path = os.path.join(root, name)
    if os.path.islink(path) or (os.path.lexists(path) and not os.path.isdir(path)):
        raise UsageError(f"--data_dir={root} cannot be written: {path} is a link, or no folder; remove it")


def download(name: str, data_dir: str | None) -> None:
    """Lets TFDS download and prepare a data set.

    TFDS waits without a limit for a silent server and retries for minutes without a network, so the server is asked
    first, with a time limit.

    Raises:
      UsageError: the download failed; nothing is left behind, and the message names both ways out.
    """
    check_writable(data_dir, name)
    try:
        check_server(name)
        build(name, data_dir)
    except TicketError:
        raise
    except Exception as error:  # TFDS and requests raise errors of many types, all of which have the same ways out
        raise UsageError(
            f"{name} is not prepared in {sources.data_root(data_dir)} and cannot be downloaded "
            f"({reason(error)}): run once where the network is{_other_way(name, data_dir)}"
        ) from error


def check_server(name: str) -> None:
    """Raises ConnectionError unless the servers of TFDS' downloads answer."""
    import requests

    if builder_class(name).MANUAL_DOWNLOAD_INSTRUCTIONS:
        raise ConnectionError("its owners want to be asked, or offer no single file")
    for url in builder_class(name).url_infos or ():
        try:
            with requests.get(url, stream=True, timeout=SECONDS_TO_CONNECT) as response:
                status = response.status_code
        except requests.RequestException as error:
            raise ConnectionError(f"{url}: {type(error).__name__}") from error
        if status != 200:
            raise ConnectionError(f"{url} answers {status}")


def build(name: str, data_dir: str | None, split_generators: Callable | None = None) -> None:
    """Has TFDS write the prepared folder; after a failure nothing is left of it.

    Args:
      name: a TFDS data set, NAME[/CONFIG][:VERSION].
      data_dir: see `sources.data_root`.
      split_generators: `function(builder) -> {split: examples}` in place of TFDS' download.
    """
    import tensorflow_datasets as tfds

    root = sources.data_root(data_dir)
    missing = [path for path in (os.path.join(root, _plain(name)), root) if not os.path.exists(path)]
    try:
        os.makedirs(root, exist_ok=True)
        builder = _builder(name, root)
        if split_generators is not None:
            tfds.display_progress_bar(False)
            # TFDS calls it with a download manager by keyword or by position.
            builder._split_generators = lambda dl_manager: split_generators(builder)
        output = sys.stderr if split_generators is None else io.StringIO()
        # TFDS' announcements go to standard output, which belongs to the command's result.
        temporary = tempfile.TemporaryDirectory(prefix="incomplete.", dir=root)
        with temporary as downloaded, contextlib.redirect_stdout(output):
            downloads = tfds.download.DownloadConfig(try_download_gcs=False)
            builder.download_and_prepare(download_dir=downloaded, download_config=downloads)
    except OSError:
        if not is_prepared(name, data_dir):  # another process may have been first
            raise
    finally:
        tfds.display_progress_bar(True)
        for path in missing:  # those that hold something stay
            with contextlib.suppress(OSError):
                os.rmdir(path)
