"""What tables call the images of a run, and which runs they take for the same recipe."""

import pytest

import tf_tickets as tt
from tf_tickets import runs
from tf_tickets.report import tables


def settings(tmp_path, place="digits-vgg11-0123abcd/seed_0", **changes):
    folder = runs.RunFolder(str(tmp_path / place))
    (tmp_path / place).mkdir(parents=True)
    text = tt.Config.from_values(**{"dataset": "digits"} | changes).flagfile()
    (tmp_path / place / "config.cfg").write_text(text)
    return tables.settings(folder)


@pytest.mark.parametrize("changes, text", [
    ({}, "all images"),
    ({"fraction": 0.01}, "1 % of the images"),
    ({"fraction": 0.01, "validation": "0.2"}, "1 % of the images, 20 % held out"),
    ({"images": 70, "validation": "fold:1/5"}, "70 images, fold 1 of 5 held out"),
    ({"per_class": 5, "validation": "official"}, "5 images a class, the validation part held out"),
    ({"imbalance": 0.1}, "all images, long tail 0.1"),
    ({"imbalance": 0.1, "imbalance_profile": "step"}, "all images, long tail 0.1 in one step"),
    ({"subset_file": "lists/mine.txt"}, "images of mine.txt"),
    ({"dataset": "folder", "data_dir": "pictures/cats", "per_class": 3}, "3 images a class in cats"),
    ({"data_dir": "prepared"}, "all images"),
])  # fmt: skip
def test_the_words_differ_where_the_images_do(tmp_path, changes, text):
    assert settings(tmp_path, **changes)["data"] == text


def test_a_refit_trains_on_what_was_held_out_and_is_a_recipe_of_its_own(tmp_path):
    search = settings(tmp_path, images=70, validation="0.2", refit=True)
    refit = settings(tmp_path, "digits-vgg11-0123abcd/seed_0/refit", images=70, validation="0.2", refit=True)
    assert refit["data"] == "70 images" and refit["run"] == f"{search['run']}/refit"
    assert (search["digest"], refit["digest"]) == ("0123abcd", "0123abcd-refit")


def test_the_recipe_is_the_settings_without_the_ticket_and_the_seeds(tmp_path):
    one = settings(tmp_path / "1", ticket="a/ticket", control="reinitialize")
    same = settings(tmp_path / "2", ticket="b/ticket", control="reinitialize", seed=1, subset_seed="1")
    other = settings(tmp_path / "3", ticket="a/ticket", control="reinitialize", weight_decay=0.004)
    assert one["recipe"] == same["recipe"] != other["recipe"]
