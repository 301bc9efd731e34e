"""Pictures that were saved again or resized are named, by the plan and by runs, and used."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from test_near_duplicates import resized, saved_again, scene

import tf_tickets as tt
from tf_tickets.data import folder, functions, resaved

CLASSES = ("eel", "owl")


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **({"quality": 95} if path.suffix == ".jpg" else {}))


@pytest.fixture
def pictures(tmp_path):
    """Twelve pictures in two classes and two parts, none of which is like another."""
    for seed in range(12):
        part = "test" if seed > 7 else "train"
        save(tmp_path / "pictures" / part / CLASSES[seed % 2] / f"{seed:02d}.jpg", scene(seed))
    return tmp_path / "pictures"


def test_pictures_that_are_alike_in_nothing_are_not_named(pictures):
    assert folder.scan(str(pictures)).notices == ()


def test_a_picture_of_the_test_that_was_saved_again_is_named_with_both_files_classes_and_parts(pictures):
    save(pictures / "test" / "owl" / "again.png", saved_again(scene(2)))
    (notice,) = folder.scan(str(pictures)).notices
    assert notice == (
        "1 picture looks like another, saved again or resized (1 in another part, so that accuracies may say too "
        f"much): {pictures}/train/eel/02.jpg (eel, train) and {pictures}/test/owl/again.png (owl, test); used as they "
        "are: remove one where they are the same"
    )
    assert len(folder.scan(str(pictures)).pictures) == 13


def test_all_kinds_of_saving_again_are_named_those_across_parts_first_and_at_most_five(pictures):
    for seed in range(6):
        save(pictures / "train" / CLASSES[seed % 2] / f"again {seed}.jpg", saved_again(scene(seed), 70))
    save(pictures / "test" / "owl" / "larger.png", resized(scene(7), 1.5))
    save(pictures / "test" / "eel" / "smaller.jpg", resized(scene(6), 0.6))
    looked_at = folder.scan(str(pictures))
    (notice,) = looked_at.notices
    assert notice.startswith("8 pictures look like others, saved again or resized (2 in another part")
    assert notice.index("larger.png (owl, test)") < notice.index("again 0.jpg (eel, train)")
    assert notice.index("smaller.jpg (eel, test)") < notice.index("again 0.jpg (eel, train)")
    assert "; and 3 more; used as they are:" in notice and "again 5" not in notice


def test_the_same_pixels_have_their_own_words_and_other_edits_are_not_named(pictures):
    save(pictures / "train" / "eel" / "same.png", scene(0)[:, ::-1])
    save(pictures / "train" / "eel" / "same again.png", scene(0)[:, ::-1])
    save(pictures / "train" / "owl" / "blank.png", np.full((90, 90, 3), 200, np.uint8))
    save(pictures / "train" / "owl" / "blank again.png", np.full((80, 80, 3), 201, np.uint8))
    colours = scene(3)[..., ::-1] // 2 + np.array([120, 0, 0], np.uint8)
    save(pictures / "train" / "owl" / "other colours.png", colours)
    (notice,) = folder.scan(str(pictures)).notices
    assert "has the same pixels as" in notice or "is the same picture as" in notice
    assert "saved again" not in notice


def test_the_command_line_names_them_without_tensorflow(pictures, tmp_path, command):
    save(pictures / "test" / "owl" / "again.jpg", saved_again(scene(2)))
    rows = [f"{path.relative_to(pictures)},{path.parent.name},{path.parts[-3]}" for path in pictures.rglob("*.*")]
    (tmp_path / "rows.csv").write_text("\n".join(["file,label,split", *rows]) + "\n")
    for words in (["--dataset=folder"], ["--dataset=table", f"--labels_file={tmp_path / 'rows.csv'}"]):
        done = command(tmp_path, "imp", "--dry_run", f"--data_dir={pictures}", "--per_class=4", *words)
        assert done.returncode == 0, done.stderr
        assert "1 picture looks like another, saved again or resized" in done.stdout
        assert "02.jpg (eel, train)" in done.stdout and "again.jpg (owl, test)" in done.stdout


def arrays():
    images = np.stack([scene(seed, 32, 32) for seed in range(20)])
    copies = np.stack([saved_again(images[seed], 75) for seed in range(3)])
    return (images, np.arange(20) % 2), (copies, np.arange(3) % 2)


def test_arrays_from_python_are_looked_through(tmp_path):
    train, test = arrays()
    data = tt.data.from_arrays(*train, test=test)
    (notice,) = data.pictures.notices
    assert notice.startswith("3 pictures look like others, saved again or resized (3 in another part")
    assert "train/0/000000 (0, train) and test/0/000000 (0, test)" in notice


def test_data_sets_of_functions_are_looked_through():
    train, test = arrays()
    given = functions._Function("pets", CLASSES, lambda: {"train": train, "test": test}, {})
    (notice,) = given.pictures(None).notices
    assert "3 in another part" in notice


def test_handwritten_digits_of_one_class_are_no_copies():
    digits = load_digits()
    data = tt.data.from_arrays((digits.images * 255 / 16).astype(np.uint8), digits.target)
    assert [notice for notice in data.pictures.notices if "look" in notice] == []


def test_the_order_of_pictures_and_their_number_change_no_pair(pictures):
    save(pictures / "test" / "owl" / "again.png", saved_again(scene(2)))
    looked_at = folder.scan(str(pictures)).pictures
    forwards, backwards = (resaved.pairs(order) for order in (looked_at, looked_at[::-1]))
    assert [{picture.id for picture in pair} for pair in forwards] == [{p.id for p in pair} for pair in backwards]
    assert resaved.pairs([]) == [] == resaved.pairs(looked_at[:1])
