"""A folder of pictures is looked at whole before anything starts: parts, clutter, the dry run."""

import os
import shutil
import subprocess

import pytest
from small_pictures import classes, looked_at_anew, noise, save, scanned  # noqa: F401
from torture.odd_pictures import exif

import tf_tickets as tt
from tf_tickets import stopping, storage
from tf_tickets.data import class_folders, folder, sources, unlabelled
from tf_tickets.errors import StopRequested, UsageError
from tf_tickets.experiments import opening, plan, plan_pictures, plan_text


@pytest.mark.parametrize("names", [
    ("Training", "Testing"), ("TRAIN", "test", "Val"), ("training", "TESTING", "Valid"), ("Train", "validation"),
])  # fmt: skip
def test_parts_in_any_case_are_parts(tmp_path, names):
    for number, name in enumerate(names):
        classes(tmp_path / name, seed=1000 * number)
    found = scanned(tmp_path)
    assert found.data_set.labels == ("a", "b")
    kinds = {"test": "test", "testing": "test", "val": "validation", "valid": "validation", "validation": "validation"}
    for picture in found.pictures:
        wanted = kinds.get(picture.id.split("/")[0].lower(), "train")
        assert picture.part == wanted or (wanted == "train" and "test" not in map(str.lower, names))


def test_parts_that_are_said_twice_or_without_train_are_refused(tmp_path):
    classes(tmp_path / "Train")
    classes(tmp_path / "training", seed=50)
    with pytest.raises(UsageError, match="holds Train and training, which all mean train/: join them"):
        scanned(tmp_path)
    shutil.rmtree(tmp_path / "training")
    os.rename(tmp_path / "Train", tmp_path / "Testing")
    with pytest.raises(UsageError, match="Testing is a part of the pictures, and there is no train/"):
        scanned(tmp_path)
    classes(tmp_path / "cats", seed=50)
    with pytest.raises(UsageError, match="Testing is a part of the pictures, and there is no train/"):
        scanned(tmp_path)


CLUTTER = (
    "@eaDir/0.png/SYNOPHOTO_THUMB_M.jpg",
    ".thumbnails/0.png",
    "__MACOSX/._0.png",
    "#recycle/x.png",
    "$RECYCLE.BIN/x.png",
    "@Recycle/x.png",
    "lost+found/x.png",
    "System Volume Information/x",
    "Thumbs.db",
    "desktop.ini",
    ".DS_Store",
    "._0.png",
    "Icon\r",
    "0.png:Zone.Identifier",
    "0.png.json",
    "0.aae",
    "0.XMP",
    "0.THM",
)


def test_what_systems_and_programs_leave_is_no_picture(tmp_path):
    before = scanned(classes(tmp_path / "x"))
    for number, name in enumerate(CLUTTER):
        for place in (tmp_path / "x", tmp_path / "x" / "a", tmp_path / "x" / "b" / "deep"):
            save(place / name, noise(900 + number), format="PNG")
    after = scanned(tmp_path / "x")
    assert after.digest == before.digest and after.pictures == before.pictures
    (notice,) = after.notices
    assert notice.startswith("left out, as no pictures: ") and "3 @eaDir" in notice and "3 *.json" in notice
    assert unlabelled.files(str(tmp_path / "x"), []) == sorted(p.path for p in before.pictures)


def test_pictures_that_are_named_like_clutter_are_used(tmp_path):
    classes(tmp_path)
    names = ("Icon.png", "json.png", "eaDir.png", "thumbs.db.png", "x.json.jpg", "recycle/x.png")
    for number, name in enumerate(names):
        save(tmp_path / "a" / name, noise(500 + number))
    assert len(scanned(tmp_path).pictures) == 12
    inner = tmp_path / "a" / "recycle" / "x.png"
    assert scanned(tmp_path).notices == (
        f"1 picture in folders inside of class folders, such as {inner}: used, each of its class folder",
    )


def test_what_is_left_out_is_counted_also_beside_the_class_folders(tmp_path):
    for part in ("train", "test"):
        classes(tmp_path / part, seed=1000 * (part == "test"))
    (tmp_path / ".DS_Store").write_bytes(b"x")
    assert scanned(tmp_path).notices == ("left out, as no pictures: 1 hidden file",)
    (tmp_path / "train" / ".DS_Store").write_bytes(b"x")
    assert scanned(tmp_path).notices == ("left out, as no pictures: 2 hidden files",)


def test_pictures_beside_the_class_folders_are_counted_aloud(tmp_path):
    classes(tmp_path)
    save(tmp_path / "loose.JPG", noise(9), format="JPEG")
    (tmp_path / "README.md").write_text("mine")
    assert scanned(tmp_path).notices == (f"{tmp_path}: 1 picture outside of the class folders is not used",)


def test_all_that_cannot_be_used_is_counted_and_the_dry_run_lists_it(tmp_path, command):
    classes(tmp_path / "x")
    for number in range(7):
        (tmp_path / "x" / "a" / f"bad {number}.png").write_bytes(b"nothing")
    done = command(tmp_path, "--dataset=folder", "--data_dir=x", "--dry_run", "--out=runs")
    line = "x/a/bad {}.png is no picture: remove it, or save it as PNG or JPEG"
    assert done.returncode == 2 and done.stdout.splitlines() == [line.format(number) for number in range(7)]
    assert done.stderr.splitlines() == [
        "tf-tickets: --data_dir=x: 7 files or folders cannot be used, which --dry_run lists: "
        + "; ".join(map(line.format, range(5))) + "; and 2 more"
    ]  # fmt: skip


def test_an_empty_class_folder_is_named_beside_files_that_are_no_pictures(tmp_path):
    root = tmp_path / "pictures"
    classes(root)
    (root / "empty").mkdir()
    (root / "a" / "note.txt").write_text("a note")
    with pytest.raises(folder.Unusable) as caught:
        folder.scan(str(root))
    assert caught.value.problems == (
        f"{root}/empty holds no picture; put some there, or remove the folder",
        f"{root}/a/note.txt is no picture: remove it, or save it as PNG or JPEG",
    )


@pytest.mark.parametrize("place", ["", "train", "deep"])
def test_own_pictures_without_the_data_set_are_not_taken_for_cifar10(tmp_path, command, place):
    root = tmp_path / "pictures"
    classes(root / place if place != "deep" else root)
    if place == "deep":
        for name in "ab":
            os.renames(root / name, root / f"class {name}" / "holiday")
    with pytest.raises(UsageError, match=r"holds pictures \(.*\), and no prepared cifar10: add --dataset=folder"):
        plan.resolve(tt.Config.from_values(data_dir=str(root)))
    for name in ("digits", "mnist"):
        with pytest.raises(UsageError, match=f"and no prepared {name}: add --dataset=folder"):
            plan.resolve(tt.Config.from_values(dataset=name, data_dir=str(root)))
    if not place:
        done = command(tmp_path, "--data_dir=pictures", "--dry_run")
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and "add --dataset=folder" in done.stderr
    (root / "cifar10").mkdir()
    assert sources.facts_of(tt.Config.from_values(data_dir=str(root)).data).name == "cifar10"


def test_prepared_and_empty_folders_are_no_pictures(tmp_path):
    for name in ("cifar100/3.0.2/x.tfrecord", "downloads/manual/x.jpg", "eurosat/rgb/2.0.0/features.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    assert class_folders.resembling(str(tmp_path)) == () == class_folders.resembling(str(tmp_path / "gone"))
    save(tmp_path / "y" / "1.png", noise(1))
    save(tmp_path / "y" / "2.png", noise(2))
    assert class_folders.resembling(str(tmp_path / "y")) == ("1.png", "2.png")


def test_the_dry_run_says_counts_sizes_and_copies(tmp_path):
    classes(tmp_path / "x")
    save(tmp_path / "x" / "b" / "large.jpg", noise(5, 200, 300))
    save(tmp_path / "x" / "b" / "turned.jpg", noise(6, 100, 400), exif=exif(6))
    shutil.copy(tmp_path / "x" / "a" / "0.png", tmp_path / "x" / "a" / "9.png")
    text = plan_pictures.text(folder.scan(str(tmp_path / "x"))).splitlines()
    assert text[0] == f"pictures    8 in {tmp_path}/x, each decoded and found whole: 12x12 to 300x200 pixels, colour"
    assert [line.split() for line in text[2:5]] == [
        ["class", "train", "test", "pixels"], ["a", "2", "1", "12x12"], ["b", "4", "1", "12x12", "to", "300x200"],
    ]  # fmt: skip
    assert text[-1].endswith(
        "9.png is the same picture as " + str(tmp_path / "x" / "a" / "0.png") + ", which alone is used"
    )


def test_the_dry_run_counts_a_validation_part_where_there_is_one(tmp_path):
    for part in ("train", "validation", "test"):
        classes(tmp_path / "x" / part, seed=1000 * len(part))
    lines = [line.split() for line in plan_pictures.text(folder.scan(str(tmp_path / "x"))).splitlines()]
    assert lines[2] == ["class", "train", "validation", "test", "pixels"] and lines[3][:4] == ["a", "3", "3", "3"]


def test_minutes_come_from_this_machine_and_such_pictures_alone(tmp_path):
    classes(tmp_path / "x")
    config = tt.Config.from_values(dataset="folder", data_dir=str(tmp_path / "x"), out=str(tmp_path / "runs"))
    planned = plan.resolve(config)
    run = planned.folder()
    storage.write_bytes(run.config, config.flagfile().encode())
    storage.write_json(os.path.join(run.folder, "round_00", "timing.json"), {"images_per_second": 50.0})
    for processor, shape, rate in (("another", [12, 12, 3], None), (opening.processor(), [224, 224, 3], None),
                                   (opening.processor(), [12, 12, 3], 50.0)):  # fmt: skip
        storage.write_json(run.manifest, {"processor": processor})
        storage.write_json(run.data, {"image_shape": shape})
        assert plan_text.recorded_rate(planned) == rate


def test_predict_sees_what_training_sees(tmp_path):
    classes(tmp_path)
    for name in ("x.jfif", "X.JPE", "no suffix", "deep/Y.TIFF"):
        save(tmp_path / "a" / name, noise(len(name) + 700), format="TIFF" if "TIFF" in name else "JPEG")
    trained = {picture.path for picture in scanned(tmp_path).pictures}
    problems = []
    assert set(unlabelled.files(str(tmp_path), problems)) == trained and not problems and len(trained) == 10
    os.symlink(tmp_path / "b", tmp_path / "a" / "link")
    assert set(unlabelled.files(str(tmp_path), problems)) == trained
    assert problems == [f"{tmp_path}/a/link is a link to a folder: put the pictures there instead"]


def test_folders_nest_deeper_than_functions_may(tmp_path):
    classes(tmp_path)
    here = os.open(tmp_path / "a", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    try:
        assert len(scanned(tmp_path).pictures) == 6
    finally:
        subprocess.run(["rm", "-r", tmp_path / "a"], check=True)  # Python's own removal recurses


def test_the_look_hears_a_stop(tmp_path, monkeypatch):
    classes(tmp_path)
    monkeypatch.setattr(stopping, "_requests", [0.0])
    with pytest.raises(StopRequested):
        scanned(tmp_path)
