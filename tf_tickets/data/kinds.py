"""What a file is that cannot be used as a picture, in words."""

import typing

from tf_tickets.errors import TicketError

if typing.TYPE_CHECKING:
    from PIL.TiffImagePlugin import TiffImageFile

_UNKNOWN = "no picture: remove it, or save it as PNG or JPEG"
_OTHER = "{}: save it as PNG or JPEG"
# The brands of ISO media files, of which bytes 4 to 8 are "ftyp"; others are videos.
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"), b"crx ": "a camera's raw file",
}  # fmt: skip
_STARTS = {
    b"%PDF": "PDF", b"\xff\x0a": "JPEG XL", b"\0\0\0\x0cJXL ": "JPEG XL", b"PK\x03\x04": "a zip archive",
    b"FUJIFILM": "a camera's raw file", b"IIRO": "a camera's raw file", b"<svg": "SVG",
}  # fmt: skip
_PHOTOMETRIC, _BITS, _SAMPLE_FORMAT, _SUBFILE, _DNG_VERSION = 262, 258, 339, 254, 50706


def name(file: typing.IO[bytes]) -> str:
    """What follows `is` in the sentence about a file that Pillow does not read as one of our formats.

    Args:
      file: open for reading bytes.
    """
    file.seek(0)
    start = file.read(512)
    if start[4:8] == b"ftyp":
        brands = [start[8:12], *(start[place : place + 4] for place in range(16, len(start) - 3, 4))]
        return _OTHER.format(next((_BRANDS[brand] for brand in brands[:8] if brand in _BRANDS), "a video"))
    for sign, kind in _STARTS.items():
        if start.startswith(sign):
            return _OTHER.format(kind)
    if b"<svg" in start:
        return _OTHER.format("SVG")
    kind = _pillows_name(file)
    return _OTHER.format(kind) if kind else _UNKNOWN


def _pillows_name(file):
    """The format of a picture of which Pillow reads the header, or None."""
    from PIL import Image

    file.seek(0)
    try:
        with Image.open(file) as picture:
            return picture.format
    except TicketError:  # a request to stop
        raise
    except Exception:  # Pillow raises errors of many types for what is no picture
        return None


def tiff_problem(picture: "TiffImageFile") -> str | None:
    """Why an opened TIFF cannot be used, or None.

    Pillow gives values of 9 to 32 bits as if they had 16, signed ones as if they had no sign, 16 bits that count from
    white to black as if from black to white, and of a camera's raw file a small preview.
    """
    tags = picture.tag_v2
    bits, formats = (_all(tags.get(number, 1)) for number in (_BITS, _SAMPLE_FORMAT))
    if _DNG_VERSION in tags or tags.get(_SUBFILE, 0) & 1:
        return "is a camera's raw file, or a preview: save it as PNG or JPEG"
    if not bits <= {1, 2, 4, 8, 16}:
        return f"has values of {max(bits)} bits: save it as PNG with 8 or 16 bits"
    if not formats <= {1, 4}:
        kind = {2: "signed", 3: "floating-point"}.get(max(formats - {1, 4}), "complex")
        return f"has {kind} values: save it as PNG with 8 or 16 bits"
    if picture.mode.startswith("I") and tags.get(_PHOTOMETRIC) == 0:
        return "counts from white to black in 16 bits: save it as PNG"
    return None


def _all(value):
    return set(value) if isinstance(value, tuple) else {value}
