"""Single picture files, through Pillow: PNG, JPEG, TIFF, WebP and BMP of any depth, turned upright."""

import io
import warnings

import numpy as np

from tf_tickets.errors import UsageError

FORMATS = ("PNG", "JPEG", "MPO", "TIFF", "WEBP", "BMP")
LARGEST = 100_000_000
# Training sees crops of 224 pixels; larger pictures are shrunk once, to a shorter side of this, not in every epoch.
SHORTER_SIDE = 512
_GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L")
_COLOUR = ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV")
# A strip that is longer would be enormous once its short side is as long as the network's.
_LONGEST = 100
_ORIENTATION = 274


def look(path):
    """The size and kind of a picture from its header.

    Args:
      path: of the file.

    Returns:
      (width, height, channels), upright; channels is 1 or 3.

    Raises:
      UsageError: it is no picture that can be used; names the file and the fix.
    """
    with _opened(path) as picture:
        width, height = picture.size
        if picture.getexif().get(_ORIENTATION, 1) >= 5:
            width, height = height, width
        return width, height, 1 if picture.mode in _GREY else 3


def _opened(path):
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow's about size; the limit below is ours
            picture = Image.open(path)
    except UnidentifiedImageError:
        raise UsageError(f"{path} is no picture: remove it, or save it as PNG or JPEG") from None
    except Image.DecompressionBombError:
        raise UsageError(f"{path} is larger than {LARGEST:,} pixels: shrink it") from None
    except Exception as error:  # Pillow raises errors of many types for damaged headers
        raise UsageError(f"{path} cannot be read ({_words(error)}): repair or remove it") from None
    problem = None
    if picture.format not in FORMATS:
        problem = f"is {picture.format}: save it as PNG or JPEG"
    elif getattr(picture, "n_frames", 1) > 1 and picture.format != "MPO":
        problem = f"holds {picture.n_frames} pictures: save one of them as PNG"
    elif picture.width * picture.height > LARGEST:
        problem = f"has {picture.width}x{picture.height} pixels, more than {LARGEST:,}: shrink it"
    elif max(picture.size) > _LONGEST * min(picture.size):
        problem = f"has {picture.width}x{picture.height} pixels, one side over {_LONGEST} times the other: crop it"
    elif picture.mode not in (*_GREY, *_COLOUR):
        problem = f"has pixels of kind {picture.mode}: save it as PNG with 8 or 16 bits"
    if problem:
        picture.close()
        raise UsageError(f"{path} {problem}")
    return picture


def _words(error):
    return " ".join(str(error).split()) or type(error).__name__


def _loaded(path, channels, draft=None):
    """The upright picture as mode L or RGB."""
    from PIL import ImageOps

    with _opened(path) as picture:
        try:
            if draft and picture.format in ("JPEG", "MPO"):
                picture.draft(None, (draft, draft))  # decodes at a half, a quarter or an eighth, never below
            picture.load()
            return _converted(ImageOps.exif_transpose(picture), channels)
        except Exception as error:  # Pillow raises errors of many types for damaged files
            raise UsageError(f"{path} is damaged ({_words(error)}): repair or remove it") from None


def _converted(picture, channels):
    from PIL import Image

    if picture.mode in ("I", "I;16", "I;16B", "I;16L"):
        levels = np.asarray(picture).astype(np.float64)
        picture = Image.fromarray(np.clip(np.round(levels / 257.0), 0, 255).astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        # What shows through is white paper.
        opaque = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), opaque)
    return picture.convert("L" if channels == 1 else "RGB")


def pixels(path, channels):
    """A picture's pixels.

    Args:
      path: of the file.
      channels: 1 or 3.

    Returns:
      uint8 [height, width, channels]; 16 bits are rounded to 8, transparency becomes white.

    Raises:
      UsageError: the file is damaged.
    """
    picture = _loaded(path, channels)
    return np.asarray(picture).reshape(picture.height, picture.width, channels)


def encoded(path, channels, checked=False):
    """A picture as the bytes of an 8-bit PNG or plain JPEG whose shorter side is at most `SHORTER_SIDE`.

    JPEG and PNG that are so already keep their own bytes; nothing is compressed with loss.

    Args:
      path: of the file.
      channels: 1 or 3.
      checked: whether it is known to be whole; decoding it only to see that it can be is then left out.

    Raises:
      UsageError: the file is damaged.
    """
    from PIL import Image

    with _opened(path) as picture:
        plain = (
            picture.format in ("JPEG", "PNG") and picture.mode == ("L" if channels == 1 else "RGB")
            and min(picture.size) <= SHORTER_SIDE and picture.getexif().get(_ORIENTATION, 1) == 1
            and "transparency" not in picture.info
        )  # fmt: skip
    picture = None if plain and checked else _loaded(path, channels, SHORTER_SIDE)
    if plain:
        with open(path, "rb") as file:
            return file.read()
    shorter = min(picture.size)
    if shorter > SHORTER_SIDE:
        size = [max(round(side * SHORTER_SIDE / shorter), 1) for side in picture.size]
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
