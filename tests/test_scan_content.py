"""What is in the files of a folder of pictures: copies in other bytes, kinds that are no picture, encoding anew."""

import hashlib
import io
import os
import shutil
import struct

import numpy as np
import pytest
from PIL import Image
from small_pictures import classes, looked_at_anew, noise, save, scanned  # noqa: F401
from torture.odd_pictures import exif

from tf_tickets.backend import tf
from tf_tickets.data import encoding, folder, photographs, unlabelled
from tf_tickets.errors import StopRequested, UsageError


def bmp(seed):
    """A BMP of 8x8 pixels whose bytes no library has a say in."""
    data = b"".join(hashlib.sha256(b"%d %d" % (seed, part)).digest() for part in range(6))
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 246, 0, 0, 54, 40, 8, 8, 1, 24, 0, 192, 0, 0, 0, 0) + data


def test_the_digest_is_the_one_that_runs_of_0_2_0_are_named_by(tmp_path):
    for label, name in enumerate("ab"):
        (tmp_path / name / "deep").mkdir(parents=True)
        for index in range(6):
            (tmp_path / name / ("deep" if index % 2 else "") / f"{index}.bmp").write_bytes(bmp(10 * label + index))
    for name, source in (("copy.bmp", "0.bmp"), ("0copy.bmp", "deep/1.bmp")):
        shutil.copy(tmp_path / "a" / source, tmp_path / "a" / name)
    found = scanned(tmp_path)
    assert found.digest == "e663f167a319b0811d17494cff11ab2448ddc6765ab327654a02635a427c0f15"
    assert [picture.id for picture in found.pictures if picture.part == "test"] == ["a/0.bmp", "b/4.bmp"]


def as_other_bytes(path, kind):
    """The path of a file with the same pixels as another in other bytes."""
    new = path.with_name(f"other.{kind.split()[0]}")
    with Image.open(path) as picture:
        if kind == "jpg stripped":
            data = path.read_bytes()
            new.write_bytes(data[:2] + b"\xff\xfe\0\x06abcd" + data[2:])
        elif kind == "png turned":
            picture.transpose(Image.Transpose.ROTATE_90).save(new, exif=exif(6))
        else:
            picture.save(new, lossless=True)
    return new


@pytest.mark.parametrize(("kind", "size"), [
    ("bmp", 12), ("webp", 40), ("tif", 300), ("png turned", 50), ("jpg stripped", 50), ("jpg stripped", 1100),
    ("png", 1100),
])  # fmt: skip
def test_the_same_pixels_in_other_bytes_are_named_and_never_in_two_places(tmp_path, kind, size):
    for part in ("train", "test"):
        classes(tmp_path / part, seed=1000 * len(part))
    smooth = noise(7, 9, 9).resize((size + 10, size))
    first = save(tmp_path / "train" / "a" / ("first.jpg" if size > 1000 or "jpg" in kind else "first.ppm.png"), smooth)
    second = as_other_bytes(first, kind)
    assert photographs.look(str(first)).scaled == (size > 1000)
    found = scanned(tmp_path)
    names = sorted([first.name, second.name])
    assert len(found.pictures) == 13
    assert [
        f"a/{names[1]} has the same pixels as " in n and f"a/{names[0]}, which alone is used" in n
        for n in found.notices
    ] == [True]
    os.rename(second, tmp_path / "train" / "b" / "moved")
    with pytest.raises(UsageError, match="has the same pixels as .*, in another class: remove one"):
        scanned(tmp_path)
    os.rename(tmp_path / "train" / "b" / "moved", tmp_path / "test" / "a" / "moved")
    with pytest.raises(UsageError, match="has the same pixels as .* must not be in .*; remove one"):
        scanned(tmp_path)


def test_other_pictures_of_one_size_are_no_copies(tmp_path):
    classes(tmp_path)
    with Image.open(tmp_path / "a" / "0.png") as picture:
        changed = np.array(picture)
    changed[5, 5, 1] ^= 1
    save(tmp_path / "b" / "near.png", Image.fromarray(changed))
    large = np.array(noise(1, 30, 30).resize((1200, 1200)))
    save(tmp_path / "a" / "large.jpg", Image.fromarray(large), quality=90)
    save(tmp_path / "b" / "large.jpg", Image.fromarray(large), quality=91)
    save(tmp_path / "b" / "large.png", Image.fromarray(large))
    (notice,) = scanned(tmp_path).notices
    assert len(scanned(tmp_path).pictures) == 10 and notice.startswith("3 pictures look like others")


KINDS = {
    "FIFO": (os.mkfifo, "is a FIFO"),
    "device": (lambda path: os.symlink("/dev/zero", path), "is a device"),
    "HEIC": (
        lambda path: path.write_bytes(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(50)),
        "is HEIC: save it as PNG or JPEG",
    ),
    "AVIF": (lambda path: noise(1).save(path, "AVIF"), "is AVIF: save it as PNG or JPEG"),
    "video": (lambda path: path.write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0isomiso2" + bytes(50)), "is a video: save it"),
    "PDF": (lambda path: path.write_bytes(b"%PDF-1.4" + bytes(50)), "is PDF: save it as PNG or JPEG"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_picture_is_named_as_what_it_is(tmp_path, kind):
    make, words = KINDS[kind]
    path = classes(tmp_path) / "a" / "x.jpg"
    make(path)
    with pytest.raises(UsageError, match=f"a/x.jpg {words}") as refused:
        scanned(tmp_path)
    for data in ({"image_shape": [8, 8, 3]}, {"image_shape": [8, 8, 3], "any_size": True}):
        with pytest.raises(UsageError) as caught:
            unlabelled.pixels(str(path), data)
        assert str(caught.value) == str(refused.value)
    if kind in ("FIFO", "device"):
        with pytest.raises(UsageError, match=words):
            unlabelled.pixels(str(path), {"image_shape": [8, 8, 13], "dtype": "uint16"})


def test_what_tensorflow_does_not_decode_is_encoded_anew_with_the_same_pixels(tmp_path):
    whole = io.BytesIO()
    noise(3, 100, 80).save(whole, "PNG")
    (tmp_path / "cut.png").write_bytes(whole.getvalue()[:-12])
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.io.decode_image((tmp_path / "cut.png").read_bytes())
    kept = set()
    data = encoding.encoded(str(tmp_path / "cut.png"), 3, kept)
    np.testing.assert_array_equal(tf.io.decode_image(data), np.asarray(noise(3, 100, 80)))
    assert not kept
    (tmp_path / "whole.png").write_bytes(whole.getvalue())
    assert encoding.encoded(str(tmp_path / "whole.png"), 3, kept) == whole.getvalue()
    assert kept == {str(tmp_path / "whole.png")}


def test_a_picture_that_is_changed_meanwhile_is_named(tmp_path):
    found = scanned(classes(tmp_path))
    save(tmp_path / "a" / "0.png", noise(1, 9, 9))
    with pytest.raises(UsageError, match="a/0.png was changed while it was in use"):
        folder.pixels(found, [str(tmp_path / "a" / "0.png")], set())


def test_a_request_to_stop_is_not_taken_for_damage(tmp_path, monkeypatch):
    path = str(save(tmp_path / "x.png", noise(1)))

    def stopped(*arguments, **options):
        raise StopRequested("stopped on request")

    for name in ("ImageFile.ImageFile.load", "Image.Image.getexif", "Image.open", "Image.Image.convert"):
        with monkeypatch.context() as patches:
            patches.setattr(f"PIL.{name}", stopped)
            with pytest.raises(StopRequested):
                photographs.pixels(path, 1)
