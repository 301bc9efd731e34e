"""Single picture files, through Pillow: PNG, JPEG, TIFF, WebP and BMP of 8 or 16 bits, turned upright.

Every reader decodes a file by the same function, so that what one of them takes all take, and what one refuses all
refuse, in the same words.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import typing
import warnings
from collections.abc import Iterator

from tf_tickets import storage
from tf_tickets.data import kinds, thumbnailing
from tf_tickets.errors import TicketError, UsageError, reason
from tf_tickets.lazy_modules import np

if typing.TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "MPO", "TIFF", "WEBP", "BMP")
LARGEST = 100_000_000
# Training sees crops of 224 pixels; larger pictures are shrunk once, to a shorter side of this, not in every epoch.
SHORTER_SIDE = 512
_GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L")
_COLOUR = ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV")
# A strip that is longer would be enormous once its short side is as long as the network's.
_LONGEST = 100
_ORIENTATION = 274
_AT_ONCE = 1 << 20


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of a picture file that was decoded.

    Attributes:
      width, height: upright, in pixels.
      channels: 1 or 3.
      sha256: of the file's bytes.
      pixels: SHA-256 of the upright pixels as RGB of 8 bits, or, where `scaled`, of the smaller picture that a JPEG
        decoder makes of the same file for less work.
      scaled: whether `pixels` are of that smaller picture.
      signature: what thumbnailing.signature keeps of it.
    """

    width: int
    height: int
    channels: int
    sha256: str
    pixels: str
    scaled: bool
    signature: bytes = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Decoded:
    """An upright picture in the mode of its file, perhaps `scaled`; its file's format, whole size, EXIF orientation."""

    picture: Image.Image
    format: str | None
    size: tuple
    orientation: object

    @property
    def scaled(self) -> bool:
        """Whether a JPEG decoder made it smaller."""
        return sorted(self.picture.size) != sorted(self.size)

    @property
    def channels(self) -> int:
        """1 or 3."""
        return 1 if self.picture.mode in _GREY else 3

    def is_plain(self, channels: int) -> bool:
        """Whether the file is a small PNG or JPEG of 1 or 3 channels, upright and opaque: bytes for TensorFlow."""
        return (
            self.format in ("JPEG", "PNG") and self.picture.mode == ("L" if channels == 1 else "RGB")
            and min(self.size) <= SHORTER_SIDE and self.orientation == 1 and "transparency" not in self.picture.info
        )  # fmt: skip


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Pillow warns of sizes, of odd EXIF and of palettes; what matters of that is refused here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def look(path: str) -> Facts:
    """Decodes a picture file once, JPEG at the scale at which training decodes it.

    Not under `quiet`, which is for one thread: callers are.

    Args:
      path: of the file.

    Raises:
      UsageError: it is no picture that can be used; names the file and the fix.
    """
    with opened(path) as file:
        digest = hashlib.sha256()
        while part := file.read(_AT_ONCE):
            digest.update(part)
        decoded = decode(file, path, SHORTER_SIDE)
        width, height = _upright(decoded)
        picture = convert(decoded.picture, 3, path)
        pixels, signature = _pixel_digest(picture), thumbnailing.signature(picture)
        return Facts(width, height, decoded.channels, digest.hexdigest(), pixels, decoded.scaled, signature)


def facts_of_array(image: np.ndarray, sha256: str, pixels: str) -> Facts:
    """The Facts of uint8 [height, width, channels], whose two hashes are known."""
    height, width, channels = map(int, image.shape)
    return Facts(width, height, channels, sha256, pixels, False, thumbnailing.signature(thumbnailing.image(image)))


def pixel_digest(path: str) -> str:
    """SHA-256 of a file's upright pixels as RGB of 8 bits, none left out; raises as `look` does."""
    with opened(path) as file:
        return _pixel_digest(convert(decode(file, path).picture, 3, path))


def _pixel_digest(picture):
    digest = hashlib.sha256(b"%d %d " % picture.size)
    rows = max(_AT_ONCE // (3 * picture.width), 1)
    for top in range(0, picture.height, rows):  # a copy of all bytes would double the memory of a large picture
        digest.update(picture.crop((0, top, picture.width, min(top + rows, picture.height))).tobytes())
    return digest.hexdigest()


def _upright(decoded):
    width, height = decoded.size
    return (height, width) if decoded.orientation in (5, 6, 7, 8) else (width, height)


@contextlib.contextmanager
def opened(path: str) -> Iterator[typing.BinaryIO]:
    """A regular file, open for reading; UsageError, also where reading it fails."""
    try:
        with storage.open_regular(path) as file:
            yield file
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({reason(error)}): repair or remove it") from None


def decode(file: typing.BinaryIO, path: str, draft: int = 0) -> Decoded:
    """Decodes the picture of an open file.

    Args:
      file: open for reading bytes.
      path: its name.
      draft: side below which no JPEG's shorter side is decoded; 0: at full size.

    Returns:
      A Decoded.

    Raises:
      UsageError: as `look`.
    """
    from PIL import Image, UnidentifiedImageError

    file.seek(0)
    try:
        picture = Image.open(file, formats=[name for name in FORMATS if name != "MPO"])
        problem = _problem(picture)
        if problem is None:
            size, drafted = picture.size, draft and picture.format in ("JPEG", "MPO")
            if drafted:
                picture.draft(None, (draft, draft))  # decodes at a half, a quarter or an eighth, never below
            picture.load()
            # Only a loaded PNG knows all of its EXIF; a loaded TIFF is upright, and says so.
            orientation = _orientation(picture)
            turn = _turns().get(orientation)
            upright = picture if turn is None else picture.transpose(turn)
            return Decoded(upright, picture.format, size if drafted else picture.size, orientation)
    except TicketError:  # a request to stop
        raise
    except UnidentifiedImageError:
        problem = f"is {kinds.name(file)}"
    except Image.DecompressionBombError:
        problem = f"is larger than {LARGEST:,} pixels: shrink it"
    except Exception as error:  # Pillow raises errors of many types for damaged files
        problem = f"is damaged ({reason(error)}): repair or remove it"
    raise UsageError(f"{path} {problem}")


def _problem(picture):
    """Why a picture whose header is read cannot be used, or None."""
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != "MPO":
        return f"holds {frames} pictures: save one of them as PNG"
    if picture.width * picture.height > LARGEST:
        return f"has {picture.width}x{picture.height} pixels, more than {LARGEST:,}: shrink it"
    if max(picture.size) > _LONGEST * min(picture.size):
        return f"has {picture.width}x{picture.height} pixels, one side over {_LONGEST} times the other: crop it"
    if picture.mode not in (*_GREY, *_COLOUR):
        return f"has pixels of kind {picture.mode}: save it as PNG with 8 or 16 bits"
    return kinds.tiff_problem(picture) if picture.format == "TIFF" else None


def _orientation(picture):
    """The EXIF orientation as the file has it; of EXIF that cannot be read, or names none, 1: as it is stored."""
    try:
        return picture.getexif().get(_ORIENTATION, 1)
    except TicketError:
        raise
    except Exception:  # Pillow raises errors of many types for malformed EXIF
        return 1


def _turns():
    from PIL.Image import Transpose as Turn

    return {
        2: Turn.FLIP_LEFT_RIGHT, 3: Turn.ROTATE_180, 4: Turn.FLIP_TOP_BOTTOM, 5: Turn.TRANSPOSE, 6: Turn.ROTATE_270,
        7: Turn.TRANSVERSE, 8: Turn.ROTATE_90,
    }  # fmt: skip


def convert(picture: Image.Image, channels: int, path: str) -> Image.Image:
    """In mode L or RGB: 16 bits rounded to 8, transparency white; UsageError where the file is damaged."""
    from PIL import Image

    try:
        if picture.mode in ("I", "I;16", "I;16B", "I;16L"):
            levels = np.asarray(picture).astype(np.float64)
            picture = Image.fromarray(np.clip(np.round(levels / 257.0), 0, 255).astype(np.uint8))
        if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
            # What shows through is white paper.
            opaque = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), opaque)
        return picture.convert("L" if channels == 1 else "RGB")
    except TicketError:
        raise
    except Exception as error:  # such as a palette that its transparency does not fit
        problem = reason(error)
        raise UsageError(f"{path} is damaged ({problem}): repair or remove it") from None


def pixels(path: str, channels: int) -> np.ndarray:
    """A picture's pixels.

    Args:
      path: of the file.
      channels: 1 or 3.

    Returns:
      uint8 [height, width, channels]; 16 bits are rounded to 8, transparency becomes white.

    Raises:
      UsageError: as `look`.
    """
    with quiet(), opened(path) as file:
        picture = convert(decode(file, path).picture, channels, path)
    return np.asarray(picture).reshape(picture.height, picture.width, channels)
