"""Where the images come from: TFDS' prepared folders, or scikit-learn's digits, in their original order.

TFDS writes into a folder named `incomplete.*` beside the final one and renames it at the end, so a killed download or
preparation never leaves a folder that is later read as complete.
"""

import contextlib
import dataclasses
import functools
import io
import os
import sys
import tempfile
import zlib

import numpy as np

from tf_tickets import storage
from tf_tickets.data import archives, catalog, folder, records
from tf_tickets.data import lazy as lazily
from tf_tickets.errors import StateError, TicketError, UsageError, reason

SECONDS_TO_CONNECT = 10.0


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

    def images(self, positions, lazy=False):
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

    def test(self, positions=slice(None), lazy=False):
        """Test images as `images` gives them, and their int64 labels: all in original order, or some positions'."""
        return self._given(self._test_stored[positions], lazy), self.test_labels[positions]

    def release(self):
        """Lets go of the stored images, of which few may be in use; ids and labels stay, `images` and `test` end."""
        self._stored = self._test_stored = None

    def _given(self, stored, lazy):
        if not lazy or lazily.size_of(stored, self.data_set) <= lazily.IN_MEMORY:
            return self._decode(stored)
        return lazily.Pixels(stored, self._decode, self.data_set)


def load(name, data_dir=None):
    """Opens a data set; TFDS downloads and prepares it where it is not there yet and a network is.

    Reading starts TensorFlow: logical devices must be configured before.

    Args:
      name: a name in `catalog.CATALOG`, or folder.
      data_dir: folder of prepared data sets; None: see `data_root`. Of `folder`, the user's pictures; unused for
        digits.

    Returns:
      A Source.

    Raises:
      UsageError: the data set is not prepared and cannot be downloaded; the message names both ways out.
      StateError: the prepared folder is damaged, or holds other images than the catalog says.
    """
    if name == "folder":
        pictures = folder.scan(data_dir)
        decode = functools.partial(folder.pixels, pictures, checked=set())
        parts = (folder.columns(pictures, part) for part in ("train", "test"))
        return Source(pictures.data_set, *parts, decode, pictures.notices)
    data_set = catalog.CATALOG[name]
    if data_set.source == "digits":
        where, (train, test, decode) = "scikit-learn's digits", _read_digits()
    else:
        if not is_prepared(name, data_dir):
            download(name, data_dir)
        where = prepared_folder(name, data_dir)
        data_set, train, test = _read_prepared(data_set, data_dir)
        decode = functools.partial(_decode, data_set, data_dir)
    for (ids, labels, _, _), counts in ((train, data_set.train_counts), (test, data_set.test_counts)):
        if not _fits(labels, counts, data_set) or len(set(ids)) != len(ids):
            problem = f"{len(ids)} images, not the {np.sum(counts)} of the catalog, or other images per class"
            raise damaged(name, data_dir, problem) if data_set.source == "tfds" else StateError(f"{where}: {problem}")
    return Source(data_set, train, test, decode)


def _fits(labels, counts, data_set):
    found = tuple(np.bincount(labels, minlength=data_set.classes))
    if isinstance(counts, int):
        return len(found) == data_set.classes and sum(found) == counts
    return found == counts if data_set.exact else sorted(found) == sorted(counts)


def _read_digits():
    """Scikit-learn's digits as (train, test, decode): 0..16 becomes 0..255, and nothing is left to decode."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255.0 / 16.0)).astype(np.uint8)[..., np.newaxis]
    labels, ids = digits.target.astype(np.int64), [f"digits_{i:04d}" for i in range(len(images))]
    split = sum(catalog.CATALOG["digits"].train_counts)
    held = np.zeros(len(ids), bool)
    columns = ids, labels, images, held
    train, test = (tuple(column[rows] for column in columns) for rows in (slice(split), slice(split, None)))
    return train, test, np.copy


def _read_prepared(data_set, data_dir):
    """(DataSet with the labels of the prepared data, training columns, test columns)."""
    try:
        builder = _builder(data_set.name, data_root(data_dir))
        if builder.info.file_format.value != "tfrecord":
            raise ValueError(f"its files are {builder.info.file_format.value}, not tfrecord")
        train, test = (records.read(builder, split, data_set) for split in ("train", "test"))
    except TicketError:
        raise
    except Exception as error:  # a damaged folder makes TFDS, TensorFlow and protobuf raise errors of many types
        raise damaged(data_set.name, data_dir, error) from error
    if data_set.encoded:
        data_set = dataclasses.replace(data_set, labels=tuple(builder.info.features["label"].names))
    return data_set, train, test


def _decode(data_set, data_dir, encoded):
    """Stored images [k] into pixels [k, height, width, channels]."""
    import tensorflow as tf

    try:
        return records.decode(encoded, data_set)
    except (tf.errors.InvalidArgumentError, ValueError, zlib.error) as error:
        raise damaged(data_set.name, data_dir, error) from error


def _builder_class(name):
    import tensorflow_datasets as tfds

    from tf_tickets.data import builders  # noqa: F401  registers the data sets that TFDS lacks

    return tfds.builder_cls(name.partition("/")[0])  # cifar10_1/v6 is a configuration of cifar10_1


def _builder(name, root):
    import tensorflow_datasets as tfds

    _builder_class(name)
    return tfds.builder(name, data_dir=root)


def data_root(data_dir):
    """The folder of all prepared data sets: `data_dir`, else TFDS_DATA_DIR, else TFDS' own default."""
    default = os.path.join("~", "tensorflow_datasets")
    return os.path.expanduser(data_dir or os.environ.get("TFDS_DATA_DIR") or default)


def prepared_folder(name, data_dir):
    """The folder that TFDS reads the data set from, such as `<data_dir>/cifar10/3.0.2`, whether it exists or not."""
    return os.path.join(data_root(data_dir), name, str(_builder_class(name).VERSION))


def is_prepared(name, data_dir):
    """Whether the prepared folder is there; one without its dataset_info.json, or with more than files, is damaged."""
    path = prepared_folder(name, data_dir)
    odd = [entry.name for entry in os.scandir(path) if not entry.is_file()] if os.path.isdir(path) else []
    if odd:
        raise damaged(name, data_dir, f"{odd[0]} is no regular file")
    if os.path.exists(path) and not os.path.isfile(os.path.join(path, "dataset_info.json")):
        raise damaged(name, data_dir, "dataset_info.json is missing")
    return os.path.exists(path)


def damaged(name, data_dir, problem):
    """The StateError for a prepared folder that cannot be used, with the fix."""
    path = prepared_folder(name, data_dir)
    return StateError(f"{path} is damaged ({reason(problem)}): delete it, then {_command(name, data_dir)}")


def _command(name, data_dir):
    return f"python -m tf_tickets.main prepare {name} --archive=FILE --data_dir={data_root(data_dir)}"


def check_free(data_dir, name):
    """UsageError unless a data set can be prepared below `data_root`; creates nothing."""
    root = data_root(data_dir)
    storage.check_writable(root, "--data_dir")
    path = os.path.join(root, name)
    if os.path.islink(path) or (os.path.lexists(path) and not os.path.isdir(path)):
        raise UsageError(f"--data_dir={root} cannot be written: {path} is a link, or no folder; remove it")


def download(name, data_dir):
    """Lets TFDS download and prepare a data set.

    TFDS waits without a limit for a silent server and retries for minutes without a network, so the server is asked
    first, with a time limit.

    Raises:
      UsageError: the download failed; nothing is left behind, and the message names both ways out.
    """
    check_free(data_dir, name)
    try:
        _check_server(name)
        build(name, data_dir)
    except TicketError:
        raise
    except Exception as error:  # TFDS and requests raise errors of many types, all of which have the same ways out
        raise UsageError(
            f"{name} is not prepared in {data_root(data_dir)} and cannot be downloaded ({reason(error)}): run once "
            f"where the network is, or {_command(name, data_dir)} where FILE is {archives.ACCEPTED[name]}"
        ) from error


def _check_server(name):
    """Raises ConnectionError unless the server of TFDS' download answers."""
    import requests

    if _builder_class(name).__module__ == "tf_tickets.data.builders":
        raise ConnectionError("its owners want to be asked, or offer no single file")
    for url in _builder_class(name).url_infos:
        try:
            with requests.get(url, stream=True, timeout=SECONDS_TO_CONNECT) as response:
                status = response.status_code
        except requests.RequestException as error:
            raise ConnectionError(f"{url}: {type(error).__name__}") from error
        if status != 200:
            raise ConnectionError(f"{url} answers {status}")


def build(name, data_dir, split_generators=None):
    """Has TFDS write the prepared folder; after a failure nothing is left of it.

    Args:
      name: a TFDS data set.
      data_dir: see `data_root`.
      split_generators: `function(builder) -> {split: examples}` in place of TFDS' download.
    """
    import tensorflow_datasets as tfds

    root = data_root(data_dir)
    missing = [path for path in (os.path.join(root, name), root) if not os.path.exists(path)]
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
