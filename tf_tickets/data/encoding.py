"""Pictures of any size as bytes that TensorFlow decodes, upright and no larger than training has use for."""

from __future__ import annotations

import io

from tf_tickets.data import photographs


def encoded(path: str, channels: int, kept: set | None = None) -> bytes:
    """A picture as the bytes of an 8-bit PNG or plain JPEG whose shorter side is at most `photographs.SHORTER_SIDE`.

    JPEG and PNG that are so already keep their own bytes where TensorFlow's decoder, which is stricter than Pillow's,
    reads them; nothing is compressed with loss.

    Args:
      path: of the file.
      channels: 1 or 3.
      kept: paths that are known to keep their bytes, which are not decoded again to see it; grows.

    Raises:
      UsageError: as `look`.
    """
    kept = set() if kept is None else kept
    with photographs.quiet(), photographs.opened(path) as file:
        if path in kept:
            return file.read()
        if (data := _plain(file, path, channels)) is not None:
            kept.add(path)
            return data
        picture = photographs.convert(photographs.decode(file, path).picture, channels, path)
    return _as_png(picture)


def encoded_again(data: bytes, where: str, channels: int) -> bytes:
    """As `encoded`, of a file's bytes; `where` is what holds them, for messages."""
    file = io.BytesIO(data)
    with photographs.quiet():
        if _plain(file, where, channels) is not None:
            return data
        picture = photographs.convert(photographs.decode(file, where).picture, channels, where)
    return _as_png(picture)


def _plain(file, path, channels):
    """The bytes of a file that keeps them, or None."""
    decoded = photographs.decode(file, path, photographs.SHORTER_SIDE)
    if decoded.is_plain(channels):
        file.seek(0)
        data = file.read()
        if _is_decoded_by_tensorflow(data, (*decoded.size[::-1], channels)):
            return data
    return None


def _as_png(picture):
    """The bytes of a PNG of a picture, shrunk where its shorter side is longer than `photographs.SHORTER_SIDE`."""
    from PIL import Image

    shorter = min(picture.size)
    if shorter > photographs.SHORTER_SIDE:
        size = [max(round(side * photographs.SHORTER_SIDE / shorter), 1) for side in picture.size]
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    # A colour profile is no part of the pixels, and a broken one would be refused again.
    picture.save(buffer, "PNG", compress_level=1, icc_profile=None)
    return buffer.getvalue()


def _is_decoded_by_tensorflow(data, shape):
    from tf_tickets.backend import tf
    from tf_tickets.data import pictures

    try:
        with tf.device("CPU:0"):
            return tuple(pictures.decode(tf.constant(data), shape[2]).shape) == shape
    except (tf.errors.OpError, ValueError):
        return False
