"""What tables call the images of a run, and which runs they take for the same recipe."""

import pytest
from conftest import ROOT

import tf_tickets as tt
from tf_tickets import runs, storage
from tf_tickets.errors import UsageError
from tf_tickets.report import naming, tables


def settings(tmp_path, place="digits-vgg11-0123abcd/seed_0", **changes):
    folder = runs.RunFolder(str(tmp_path / place))
    (tmp_path / place).mkdir(parents=True)
    text = tt.Config.from_values(**{"dataset": "digits"} | changes).flagfile()
    (tmp_path / place / "config.cfg").write_text(text)
    return naming.settings(folder)


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


def test_of_an_official_split_and_a_size_both_parts_are_named(tmp_path):
    place = "digits-vgg11-0123abcd/seed_0/refit"
    found = settings(tmp_path, place, per_class=5, validation="official", refit=True)
    assert found["data"] == "5 images a class and the validation part"


def test_rows_of_an_earlier_version_are_the_same_run(tmp_path):
    """The CSV lacks the recipe and calls the data otherwise; the run folder beside it says more."""
    settings(tmp_path, images=70, validation="0.2")
    folder = tmp_path / "digits-vgg11-0123abcd" / "seed_0"
    summary = {"round": 0, "density": 1.0, "weights_left": 10, "weights_total": 10, "epochs": 2, "searched": False,
               "train_loss": 1.0, "test_accuracy": 0.5, "test_balanced_accuracy": 0.5}  # fmt: skip
    summary |= {"test_accuracy_best_epoch": None, "validation_accuracy": None}
    storage.write_json(str(folder / "round_00" / "summary.json"), summary)
    frame, problems = tables.collect([str(tmp_path)])
    assert not problems
    old = str(tmp_path / "old.csv")
    later = ["recipe", "images", "pretrained", "exported"]
    tables.write_table(frame.drop(columns=later).assign(data="70 images"), old)
    alone, _ = tables.collect([old])
    assert [alone[name][0] for name in ("recipe", "pretrained")] == ["unknown"] * 2
    assert alone[["images", "exported"]].isna().all(axis=None)
    for paths in ([old, str(tmp_path)], [str(tmp_path), old]):
        both, problems = tables.collect(paths)
        assert not problems and both.equals(frame)


def test_the_recipe_is_the_settings_without_the_ticket_and_the_seeds(tmp_path):
    one = settings(tmp_path / "1", ticket="a/ticket", control="reinitialize")
    same = settings(tmp_path / "2", ticket="b/ticket", control="reinitialize", seed=1, subset_seed="1")
    other = settings(tmp_path / "3", ticket="a/ticket", control="reinitialize", weight_decay=0.004)
    assert one["recipe"] == same["recipe"] != other["recipe"]
    lists = [settings(tmp_path / f"list{n}", subset_file=f"{n}/images.txt")["recipe"] for n in range(2)]
    assert lists[0] == lists[1]
    files = [settings(tmp_path / f"file{n}", pretrained=f"{n}.npz")["recipe"] for n in range(2)]
    assert files[0] != files[1]


def test_rows_say_how_many_images_which_backbone_and_which_round_is_the_ticket(tmp_path):
    settings(tmp_path, pretrained="there/backbone.npz")
    folder = runs.RunFolder(str(tmp_path / "digits-vgg11-0123abcd" / "seed_0"))
    summary = {"weights_total": 10, "epochs": 2, "searched": False, "train_loss": 1.0, "test_accuracy": 0.5}
    summary |= dict.fromkeys(["test_balanced_accuracy", "test_accuracy_best_epoch", "validation_accuracy"])
    for index, left in enumerate((10, 8)):
        facts = {"round": index, "density": left / 10, "weights_left": left}
        storage.write_json(folder.round(index).summary, summary | facts)
    told = ["images", "pretrained", "exported"]

    def rows():
        frame, problems = tables.collect([str(tmp_path)])
        assert not problems
        tables.write_rows(frame, str(tmp_path / "report.csv"))
        assert tables.read_rows(str(tmp_path / "report.csv")).equals(frame)
        return [[row[name] for name in told] for row in storage.read_csv(str(tmp_path / "report.csv"))]

    assert rows() == [["", "backbone.npz", "0"]] * 2
    storage.write_json(folder.manifest, storage.seal({"training_images": 56, "pretrained": "ab" * 32}))
    storage.write_json(f"{folder.ticket}/ticket.json", {"round": 1, "settings": {}})
    assert rows() == [["56", f"backbone.npz sha256:{'ab' * 32}", exported] for exported in ("0", "1")]
    storage.write_json(f"{folder.ticket}/ticket.json", {"round": 1, "settings": {"refit": True}})
    assert [row[2] for row in rows()] == ["0", "0"]


@pytest.mark.parametrize("name, cell", [("images", "0"), ("images", "many"), ("exported", "2")])
def test_other_numbers_are_no_rows(tmp_path, name, cell):
    published = storage.read_csv(str(ROOT / "results" / "quickstart" / "report.csv"))
    path = str(tmp_path / "report.csv")
    storage.write_csv(path, [{**row, name: cell} for row in published], [*published[0], name])
    with pytest.raises(UsageError, match=f"report.csv, row 1: {name} is '?{cell}"):
        tables.read_rows(path)
