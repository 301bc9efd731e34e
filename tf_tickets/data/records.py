"""TFDS' record files: their columns, and the places of their images, of which a run at low-data size wants few."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import typing
import zlib
from collections.abc import Iterable

from tf_tickets.data import lazy
from tf_tickets.data.catalog import DataSet
from tf_tickets.lazy_modules import np

_AT_ONCE = 1000
# Records, which may hold large pictures.
_FEW_AT_ONCE = 50
_HEAD = 64
_PNG = b"\x89PNG"


def read(builder: typing.Any, split: str, data_set: DataSet) -> tuple:
    """Reads one split of a prepared tfds builder.

    Args:
      builder: the tfds.core.DatasetBuilder.
      split: its name.

    Returns:
      (ids, labels, encoded images, held): a list of str, int64 [n], lazy.Records and bool [n], sorted by id: the
      original order. TFDS keeps no ids of MNIST and its like: there an id is the SHA-256 of the pixels, and the
      images are object [n]; of pictures of any size it is that of the bytes, or of the pixels of a PNG, which
      encoders compress differently.
    """
    import tensorflow as tf

    kinds = {"id": tf.string, "label": tf.int64, "image": tf.string, "held": tf.int64}
    known = {key: kind for key, kind in kinds.items() if key in builder.info.features}
    if "id" in known and not _is_text(builder.info.features["id"]):
        del known["id"]
    features = {key: tf.io.FixedLenFeature([], kind) for key, kind in known.items()}
    files = [os.fspath(path) for path in builder.info.splits[split].filepaths]
    if "id" in known or data_set.encoded:
        columns, images = _indexed(files, features)
        ids = np.array([name.decode("utf-8") for name in columns["id"]])
    else:
        records = tf.data.TFRecordDataset(files).batch(_AT_ONCE)
        parts = list(records.map(lambda batch: tf.io.parse_example(batch, features)).as_numpy_iterator())
        columns = {key: np.concatenate([part[key] for part in parts]) for key in known}
        images = columns["image"]
        ids = _hashed(images, data_set)
    labels = columns["label"]
    held = columns.get("held", np.zeros(len(labels))).astype(bool)
    order = np.argsort(ids, kind="stable")
    return ids[order].tolist(), labels[order], images[order], held[order]


def _indexed(files, features):
    """What `files` hold beside the images, in columns, and the images' places in them: one pass, a few at a time."""
    import tensorflow as tf

    places, parts = [], []
    for number, path in enumerate(files):
        # A record is its length in eight bytes, their checksum in four, its bytes, and the bytes' checksum in four.
        start = 12
        batches = tf.data.TFRecordDataset(path).batch(_FEW_AT_ONCE)
        for serialized, parsed in batches.map(lambda batch: (batch, tf.io.parse_example(batch, features))):
            parsed = {key: column.numpy() for key, column in parsed.items()}
            images = parsed.pop("image")
            if "id" not in parsed:
                parsed["id"] = np.array([_content(image) for image in images], object)
            for record, image in zip(serialized.numpy(), images):
                places.append((number, start + _position(record, image), len(image)))
                start += len(record) + 16
            parts.append(parsed)
    columns = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    return columns, lazy.Records(files, np.array(places, np.int64))


def _position(record, image):
    """Where a record holds its image: protocol buffers keep bytes as they are, after their length."""
    first = record.find(image[:_HEAD])
    while record[first : first + len(image)] != image:
        first = record.index(image[:_HEAD], first + 1)
    return first


def _is_text(feature):
    return feature.shape == () and feature.tf_dtype.name == "string"


def _hashed(images, data_set):
    return distinct([_digest(image.tobytes()) for image in decode(images, data_set)])


def _content(image):
    """The id of an encoded picture, as bytes."""
    from PIL import Image

    if image.startswith(_PNG):
        with Image.open(io.BytesIO(image)) as picture:
            image = b"%s %d %d " % (picture.mode.encode(), *picture.size) + picture.tobytes()
    return _digest(image).encode()


def _digest(data):
    return hashlib.sha256(data).hexdigest()[:24]


def distinct(ids: Iterable[str]) -> np.ndarray:
    """Ids of which copies are numbered from the second on, str [n]."""
    seen, numbered = {}, []
    for name in ids:
        seen[name] = seen.get(name, 0) + 1
        numbered.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return np.array(numbered)


def decode(encoded: np.ndarray | lazy.Records, data_set: DataSet) -> np.ndarray:
    """The stored images of a data set as pixels.

    Args:
      encoded: object [k] or lazy.Records, as in the records.

    Returns:
      uint8 or uint16 [k, height, width, channels]; pictures of any size stay as they are.

    Raises:
      ValueError, tf.errors.InvalidArgumentError, zlib.error: an image is damaged or of another shape.
    """
    import tensorflow as tf

    encoded = encoded.read() if isinstance(encoded, lazy.Records) else encoded
    if data_set.encoded:
        return np.asarray(encoded, object)
    images = np.empty((len(encoded), *data_set.image_shape), data_set.dtype)
    if data_set.dtype == "uint16":
        for index, data in enumerate(encoded):
            images[index] = np.frombuffer(zlib.decompress(data), "<u2").reshape(data_set.image_shape)
        return images
    with tf.device("CPU:0"):
        for start in range(0, len(encoded), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            images[part] = _decoder(data_set.image_shape)(tf.constant(encoded[part])).numpy()
    return images


@functools.cache
def _decoder(shape):
    """A compiled function from PNG or JPEG bytes [k] to uint8 [k, height, width, channels]."""
    import tensorflow as tf

    def decode_one(image):
        return tf.ensure_shape(tf.io.decode_image(image, channels=shape[-1], expand_animations=False), shape)

    return tf.function(
        lambda images: tf.map_fn(decode_one, images, fn_output_signature=tf.uint8, parallel_iterations=32),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
