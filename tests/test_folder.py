"""Your own pictures: every usual kind of file is used as a person would expect, everything else refused by name."""

import os
import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image

import tf_tickets as tt
from tf_tickets import runs, storage
from tf_tickets.data import encoding, folder, photographs, sources
from tf_tickets.errors import UsageError

ONE_ROUND = {
    "dataset": "folder", "model": "vgg11", "width": 2, "epochs": 2, "batch_size": 4, "rounds": 2, "rewind": "init",
    "progress": "none", "tensorboard": False,
}  # fmt: skip


@pytest.fixture(autouse=True)
def looked_at_anew():
    """Pictures are looked at once per process; tests change them."""
    folder.scan.cache_clear()


def pixels(seed, shape=(12, 12, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array).save(path, **options)
    return path


@pytest.fixture
def pictures(tmp_path):
    """Two classes of five small PNGs; returns the folder."""
    root = tmp_path / "pictures"
    for label, name in enumerate(("cat", "dog")):
        for index in range(5):
            save(root / name / f"{index}.png", pixels(10 * label + index))
    return root


def facts_of(root):
    return folder.scan(str(root)).data_set


def test_small_pictures_of_one_size_are_used_as_they_are(pictures):
    facts = facts_of(pictures)
    assert (facts.labels, facts.image_shape, facts.stem) == (("cat", "dog"), (12, 12, 3), "small")
    assert facts.base == "crop(1)|flip"
    assert facts.train_counts == (4, 4) and facts.test_counts == (1, 1)
    source = sources.load("folder", str(pictures))
    for name, image in zip(source.ids, source.images(np.arange(8))):
        np.testing.assert_array_equal(image, np.asarray(Image.open(pictures / name)))


def test_the_test_part_depends_on_contents_alone(pictures):
    before = {p.sha256 for p in folder.scan(str(pictures)).pictures if p.part == "test"}
    for index in range(5):
        os.rename(pictures / "cat" / f"{index}.png", pictures / "cat" / f"renamed {9 - index}.png")
    folder.scan.cache_clear()
    assert {p.sha256 for p in folder.scan(str(pictures)).pictures if p.part == "test"} == before


def test_larger_pictures_are_seen_through_crops(pictures):
    save(pictures / "cat" / "large.jpg", pixels(77, (300, 200, 3)))
    facts = facts_of(pictures)
    assert (facts.image_shape, facts.stem, facts.base) == ((224, 224, 3), "full", "resized_crop(0.08)|flip")


@pytest.mark.parametrize("parts", [("train", "test"), ("train", "validation", "test"), ("train", "val")])
def test_parts_are_taken_from_folders(tmp_path, parts):
    for number, part in enumerate(parts):
        for label, name in enumerate(("a", "b")):
            for index in range(4):
                save(tmp_path / "x" / part / name / f"{index}.png", pixels(100 * number + 10 * label + index))
    values = ONE_ROUND | {"data_dir": str(tmp_path / "x"), "out": str(tmp_path / "runs")}
    result = tt.imp(tt.Config.from_values(**values))
    rows = storage.read_csv(runs.RunFolder(result.folder).subset)
    held = "validation" in parts or "val" in parts
    counted = {part: sum(row["part"] == part for row in rows) for part in ("train", "validation", "test")}
    tests = 8 if "test" in parts else 2
    assert counted == {"train": 8 if tests == 8 else 6, "validation": 8 * held, "test": tests}
    assert result.table.validation_accuracy.notna().all() == held
    written = tt.Config.from_flagfile(runs.RunFolder(result.folder).config)
    assert written.data.validation == ("official" if held else None)
    again = tt.imp(tt.Config.from_values(**values))
    assert again.folder == result.folder


def test_names_measures_and_size_go_into_the_ticket_and_contents_into_the_digest(pictures, tmp_path):
    values = ONE_ROUND | {"data_dir": str(pictures), "out": str(tmp_path / "runs")}
    result = tt.imp(tt.Config.from_values(**values))
    ticket = tt.Ticket.load(os.path.join(result.folder, "ticket"))
    assert ticket.labels == ("cat", "dog")
    names = [r["id"] for r in storage.read_csv(runs.RunFolder(result.folder).subset) if r["part"] == "train"]
    used = np.stack([np.asarray(Image.open(pictures / name)) for name in names]) / 255.0
    np.testing.assert_allclose(ticket.data["mean"], used.mean(axis=(0, 1, 2)), atol=2e-6)
    np.testing.assert_allclose(ticket.data["deviation"], used.std(axis=(0, 1, 2)), atol=2e-6)
    served = tt.backend.tf.saved_model.load(os.path.join(result.folder, "ticket")).signatures["serving_default"]
    image = pixels(3)[None]
    answer = served(images=tt.backend.tf.constant(image))["probabilities"]
    np.testing.assert_allclose(answer, ticket.predict(image), atol=1e-5)
    save(pictures / "cat" / "0.png", pixels(999))
    folder.scan.cache_clear()
    assert tt.imp(tt.Config.from_values(**values)).folder != result.folder


KINDS = {
    "jpeg": lambda p: save(p / "x.jpg", pixels(500), quality=95),
    "webp": lambda p: save(p / "x.webp", pixels(500), lossless=True),
    "bmp": lambda p: save(p / "x.bmp", pixels(500)),
    "tiff": lambda p: save(p / "x.tif", pixels(500)),
    "palette": lambda p: Image.fromarray(pixels(500)).convert("P").save(p / "x.png"),
    "CMYK": lambda p: Image.fromarray(pixels(500)).convert("CMYK").save(p / "x.jpg"),
    "hidden file": lambda p: [save(p / "x.png", pixels(500)), (p / ".DS_Store").write_bytes(b"x")],
    "upper case": lambda p: save(p / "X.PNG", pixels(500)),
    "deeper": lambda p: save(p / "holiday" / "x.png", pixels(500)),
    "copy in its class": lambda p: (p / "copy.png").write_bytes((p / "0.png").read_bytes()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_usual_files_are_used(pictures, kind):
    KINDS[kind](pictures / "cat")
    facts = facts_of(pictures)
    assert sum(facts.train_counts) + facts.test_images == (10 if kind == "copy in its class" else 11)
    assert facts.image_shape == (12, 12, 3)
    source = sources.load("folder", str(pictures))
    assert source.images(np.arange(len(source.ids))).shape[1:] == (12, 12, 3)


def test_depth_alpha_and_orientation(tmp_path):
    deep = np.arange(144, dtype=np.uint16).reshape(12, 12) * 450
    Image.fromarray(deep).save(tmp_path / "deep.png")
    found = photographs.pixels(str(tmp_path / "deep.png"), 1)
    np.testing.assert_array_equal(found[..., 0], np.round(deep / 257.0))
    clear = np.dstack([pixels(1), np.zeros((12, 12), np.uint8)])
    Image.fromarray(clear).save(tmp_path / "clear.png")
    assert (photographs.pixels(str(tmp_path / "clear.png"), 3) == 255).all()
    upright = pixels(2, (8, 12, 3))
    exif = Image.Exif()
    exif[274] = 6  # the camera was turned: rows are columns
    Image.fromarray(np.rot90(upright)).save(tmp_path / "turned.png", exif=exif)
    facts = photographs.look(str(tmp_path / "turned.png"))
    assert (facts.width, facts.height, facts.channels) == (12, 8, 3)
    np.testing.assert_array_equal(photographs.pixels(str(tmp_path / "turned.png"), 3), upright)
    grey = save(tmp_path / "grey.png", pixels(3, (12, 12, 1)))
    np.testing.assert_array_equal(photographs.pixels(str(grey), 3), np.repeat(pixels(3, (12, 12, 1)), 3, axis=2))


def test_large_photographs_are_shrunk_once_and_plain_files_kept(tmp_path):
    import io

    large = save(tmp_path / "large.png", pixels(1, (700, 1100, 3)))
    found = Image.open(io.BytesIO(encoding.encoded(str(large), 3)))
    assert found.size == (805, 512) and found.format == "PNG"
    plain = save(tmp_path / "plain.jpg", pixels(1, (100, 80, 3)))
    assert encoding.encoded(str(plain), 3) == plain.read_bytes()


def damage(kind):
    return {
        "not an image": lambda p: (p / "notes.txt").write_text("cats"),
        "zero bytes": lambda p: (p / "x.png").write_bytes(b""),
        "animated": lambda p: Image.fromarray(pixels(1)).save(
            p / "x.webp", save_all=True, append_images=[Image.fromarray(pixels(2))], duration=100, lossless=True
        ),
        "gif": lambda p: Image.fromarray(pixels(1)).save(p / "x.gif"),
        "pages": lambda p: tifffile.imwrite(p / "x.tif", np.stack([pixels(1), pixels(2)]), photometric="rgb"),
        "13 bands": lambda p: tifffile.imwrite(p / "x.tif", pixels(1, (12, 12, 13)), photometric="minisblack"),
        "huge": lambda p: Image.new("1", (20000, 6000)).save(p / "x.png"),
        "float": lambda p: Image.fromarray(np.zeros((12, 12), np.float32)).save(p / "x.tif"),
        "link to folder": lambda p: os.symlink(p, p / "loop"),
        "link in a circle": lambda p: os.symlink(p / "b.png", p / "b.png"),
        "link to nothing": lambda p: os.symlink(p / "gone", p / "b.png"),
        "name not UTF-8": lambda p: open(os.fsencode(p) + b"/\xff.png", "wb").close(),
        "in both classes": lambda p: (p / "copy.png").write_bytes((p.parent / "dog" / "0.png").read_bytes()),
        "empty class": lambda p: (p.parent / "empty").mkdir(),
        "one picture": lambda p: save(p.parent / "eel" / "x.png", pixels(5)),
        "one class": lambda p: shutil.rmtree(p.parent / "dog"),
    }[kind]


MESSAGES = {
    "not an image": r"notes.txt is no picture: remove it", "zero bytes": "x.png is no picture",
    "animated": "x.webp holds 2 pictures", "gif": "x.gif is GIF: save it as PNG", "pages": "x.tif holds 2 pictures",
    "13 bands": "x.tif (is no picture|holds 12 pictures)",
    "huge": "x.png (has 20000x6000|is larger)", "float": "x.tif has pixels of kind F",
    "link to folder": "loop is a link to a folder", "link in a circle": "b.png cannot be read",
    "link to nothing": "b.png cannot be read", "name not UTF-8": "holds a name that is not UTF-8",
    "in both classes": "is the same picture as .*, in another class", "empty class": "empty holds no picture",
    "one picture": "class 'eel' has one picture", "one class": "holds 1 class folder,",
}  # fmt: skip


@pytest.mark.parametrize("kind", MESSAGES)
def test_what_cannot_be_used_is_refused_by_name_and_nothing_is_touched(pictures, tmp_path, kind):
    damage(kind)(pictures / "cat")
    values = ONE_ROUND | {"data_dir": str(pictures), "out": str(tmp_path / "runs")}
    with pytest.raises(UsageError, match=MESSAGES[kind]) as error:
        tt.imp(tt.Config.from_values(**values))
    assert "\n" not in str(error.value) and not (tmp_path / "runs").exists()


def test_a_picture_cut_short_is_refused_when_it_is_decoded(pictures, tmp_path):
    save(pictures / "cat" / "x.jpg", pixels(1, (200, 200, 3)))
    path = pictures / "cat" / "x.jpg"
    path.write_bytes(path.read_bytes()[:2000])
    values = ONE_ROUND | {"data_dir": str(pictures), "out": str(tmp_path / "runs")}
    with pytest.raises(UsageError, match=r"x.jpg is damaged \(.*truncated.*\): repair or remove it"):
        tt.imp(tt.Config.from_values(**values))
    assert not (tmp_path / "runs").exists()


def test_a_picture_in_train_and_test_is_refused(tmp_path):
    for part in ("train", "test"):
        for label, name in enumerate(("a", "b")):
            for index in range(3):
                save(tmp_path / part / name / f"{index}.png", pixels(50 * len(part) + 10 * label + index))
    (tmp_path / "test" / "a" / "leak.png").write_bytes((tmp_path / "train" / "a" / "1.png").read_bytes())
    with pytest.raises(UsageError, match="1.png is the same picture as .*leak.png: what is in test.* not be in train"):
        folder.scan(str(tmp_path))
    (tmp_path / "test" / "a" / "leak.png").unlink()
    save(tmp_path / "test" / "c" / "0.png", pixels(500))
    with pytest.raises(UsageError, match="class 'c' has no training pictures"):
        folder.scan(str(tmp_path))
    os.rename(tmp_path / "test" / "c", tmp_path / "extra")
    with pytest.raises(UsageError, match="extra stands beside train/"):
        folder.scan(str(tmp_path))


def test_fewer_pictures_than_asked_for_and_no_folder(pictures, tmp_path):
    values = ONE_ROUND | {"data_dir": str(pictures), "out": str(tmp_path / "runs")}
    with pytest.raises(UsageError, match="--per_class=5: class 0 of folder has only 4 images"):
        tt.imp(tt.Config.from_values(**values | {"per_class": 5}))
    for wrong, message in ((None, "needs --data_dir=DIR"), (str(pictures / "cat" / "0.png"), "is no folder")):
        with pytest.raises(UsageError, match=message):
            tt.imp(tt.Config.from_values(**values | {"data_dir": wrong}))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_folder_is_refused(pictures):
    os.chmod(pictures / "cat", 0)
    try:
        with pytest.raises(UsageError, match="cat cannot be read: Permission denied"):
            folder.scan(str(pictures))
    finally:
        os.chmod(pictures / "cat", 0o700)
