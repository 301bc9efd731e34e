"""Any data set of TFDS with images and classes: what is known of it, how it is drawn, and whole runs of it."""

import dataclasses
import io
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import stops
import tfds_sets
import trees
from conftest import ROOT
from tfds_sets import CLASSES, SMALL, config_of, facts, run

import tf_tickets as tt
from tf_tickets import storage
from tf_tickets.data import sources, subsets, tfds_folders, tfds_looks
from tf_tickets.errors import UsageError
from tf_tickets.experiments import plan
from tf_tickets.registry import DATASETS
from tf_tickets.settings.data_group import Data
from tf_tickets.settings.places import Place

tfds = pytest.importorskip("tensorflow_datasets")


@pytest.fixture(autouse=True)
def looked_at_anew():
    """Prepared folders are looked at once per process; tests make others."""
    tfds_looks.look.cache_clear()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The three kinds; treat as read-only."""
    data_dir = tmp_path_factory.mktemp("data")
    tfds_sets.three_kinds(data_dir)
    return str(data_dir)


@pytest.mark.parametrize("name", ["small", "photos", "whole"])
def test_a_run_of_each_kind_is_stopped_goes_on_with_the_same_bits_and_is_used(name, prepared, tmp_path, capsys):
    config = config_of(f"tfds:{name}", prepared, tmp_path / "whole")
    assert stops.assert_stopping_changes_nothing(tt.imp, config, tmp_path / "parts", after=(1, 2, 40)) >= 2
    folder = trees.only_run(tmp_path / "whole")
    assert os.path.basename(os.path.dirname(folder)).startswith(f"tfds-{name}-1.0.0-vgg11-")
    ticket = tt.Ticket.load(os.path.join(folder, "ticket"))
    assert ticket.data["dataset"] == f"tfds:{name}:1.0.0" and tuple(ticket.labels) == CLASSES
    accuracy = storage.read_json(os.path.join(folder, "round_01", "summary.json"))["test_accuracy"]
    assert run("evaluate", folder) == 0
    rows = storage.read_csv(os.path.join(folder, "round_01", "evaluations.csv"))
    measured = [row["value"] for row in rows if row["metric"] == "accuracy"]
    assert [float(value) for value in measured] == [pytest.approx(accuracy)]
    (tmp_path / "owl.jpg").write_bytes(tfds_sets.photograph(2, 77))
    if name != "small":
        capsys.readouterr()
        assert run("predict", os.path.join(folder, "ticket"), str(tmp_path / "owl.jpg")) == 0
        told = capsys.readouterr().out
        assert any(label in told for label in CLASSES)
    assert run("report", str(tmp_path / "whole")) == 0
    assert f"tfds:{name}:1.0.0" in (tmp_path / "whole" / "report.html").read_text()


def test_a_plan_needs_no_tensorflow(prepared, tmp_path):
    code = (
        "import sys; from tf_tickets import main; from tf_tickets.settings import cli; from absl import flags\n"
        "words = ['tf-tickets', 'imp', '--dataset=tfds:whole', '--dry_run', *sys.argv[1:]]\n"
        "main.main(cli.parse(words, flags.FlagValues())); assert 'tensorflow' not in sys.modules"
    )
    words = [sys.executable, "-c", code, f"--data_dir={prepared}", f"--out={tmp_path / 'runs'}"]
    ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "tfds:whole:1.0.0: 24 training images, 8 per class; 6 test images" in ran.stdout
    assert "has no split test or validation: it is tested on 6 images of its split train" in ran.stdout
    assert not (tmp_path / "runs").exists()


def test_the_facts_are_those_of_the_prepared_folder(prepared):
    small, photos = facts("small", prepared), facts("photos:1.0.0", prepared)
    assert (small.name, small.labels, small.image_shape) == ("tfds:small:1.0.0", CLASSES, (16, 16, 1))
    assert (small.train_counts, small.test_counts, small.validation_counts) == ((12,) * 3, (5,) * 3, None)
    assert (small.encoded, small.stem, small.base) == (False, "small", "crop(2)|flip")
    assert (photos.image_shape, photos.stem, photos.base) == ((224, 224, 3), "full", "resized_crop(0.08)|flip")
    assert (photos.train_counts, photos.test_counts) == ((8,) * 3, (4,) * 3)


def test_images_are_those_that_tfds_gives(prepared):
    source = sources.load("tfds:small", prepared)
    wanted = {
        (int(example["label"]), example["image"].tobytes())
        for example in tfds.builder("small", data_dir=prepared).as_dataset(split="train").as_numpy_iterator()
    }
    pixels = source.images(range(36))
    assert {(int(label), image.tobytes()) for label, image in zip(source.labels, pixels)} == wanted
    source = sources.load("tfds:photos", prepared)
    stored = source.images(range(24))
    assert set(stored) == {example["image"].getvalue() for _, example in tfds_sets.pictures(8)}


def test_photographs_are_what_they_are_in_a_folder(tmp_path):
    from PIL import Image

    turned, large = Image.Exif(), np.random.default_rng(3).integers(0, 256, (700, 900, 3), np.uint8)
    turned[274] = 6  # stored lying on its side
    for label, name in enumerate(CLASSES):
        (tmp_path / "folder" / name).mkdir(parents=True)
        pixels = np.asarray(Image.open(io.BytesIO(tfds_sets.photograph(label, 5))))
        Image.fromarray(pixels).save(tmp_path / "folder" / name / "turned.jpg", exif=turned)
        Image.fromarray(large // (label + 1)).save(tmp_path / "folder" / name / "large.png")
        (tmp_path / "folder" / name / "plain.jpg").write_bytes(tfds_sets.photograph(label, 6))
    examples = [
        (path.stem + path.parent.name, {"image": str(path), "label": CLASSES.index(path.parent.name)})
        for path in sorted((tmp_path / "folder").rglob("*.*"))
    ]
    tfds_sets.build(tmp_path, "raw", {"train": examples, "test": examples})
    stored = sources.load("tfds:raw", str(tmp_path)).images(range(9))
    of_folder = sources.load("folder", str(tmp_path / "folder"))
    assert set(stored) >= {*of_folder.images(range(6)), *of_folder.test()[0]} and len(set(stored)) == 9
    sizes = sorted(Image.open(io.BytesIO(data)).size for data in stored)
    assert sizes[-3:] == [(658, 512)] * 3
    (tmp_path / "folder" / "cat" / "plain.jpg").write_bytes(tfds_sets.photograph(0, 6)[:-300])
    tfds_sets.build(tmp_path, "cut", {"train": examples, "test": examples})
    with pytest.raises(UsageError, match=r"a picture in .*cut/1.0.0 is damaged"):
        sources.load("tfds:cut", str(tmp_path)).images(range(9))


def test_the_test_part_of_train_is_a_fifth_of_each_class_and_always_the_same(prepared):
    source = sources.load("tfds:whole", prepared)
    again = sources.load("tfds:whole:1.0.0", prepared)
    assert np.bincount(source.test_labels).tolist() == [2, 2, 2] and np.bincount(source.labels).tolist() == [8, 8, 8]
    assert not set(source.ids) & set(source.test_ids) and source.test_ids == again.test_ids
    assert source.notices == DATASETS["tfds:whole"].notices_in(Place(data_dir=prepared))


def test_validation_beside_test_is_held_out_unless_told_otherwise(tmp_path):
    splits = {"train": tfds_sets.arrays(6), "validation": tfds_sets.arrays(2, 20), "test": tfds_sets.arrays(3, 40)}
    tfds_sets.build(tmp_path, "held", splits, image=SMALL)
    data_set = facts("held", tmp_path)
    assert (data_set.train_counts, data_set.validation_counts, data_set.test_counts) == ((8,) * 3, (2,) * 3, (3,) * 3)
    planned = plan.resolve(config_of("tfds:held", str(tmp_path), tmp_path / "runs"))
    assert planned.config.data.validation == "official"
    assert (planned.train_images, planned.validation_images) == (18, 6)
    other = plan.resolve(config_of("tfds:held", str(tmp_path), tmp_path / "runs", validation="0.25"))
    assert (other.train_images, other.validation_images) == (18, 6) and other.config.data.validation == "0.25"
    source = sources.load("tfds:held", str(tmp_path))
    assert np.flatnonzero(source.held).tolist() == list(range(18, 24))
    assert all(name.startswith("validation/") for name in source.ids[18:]) and source.notices == ()
    chosen = subsets.choose(Data(validation="official"), source.labels, source.ids, source.held)
    assert {source.images([row]).tobytes() for row in chosen.validation} == {
        example["image"].tobytes() for _, example in splits["validation"]
    }


def test_splits_without_labels_and_others_are_passed_over_aloud(tmp_path):
    unlabelled = [(key, example | {"label": -1}) for key, example in tfds_sets.arrays(2, 60)]
    splits = {"train": tfds_sets.arrays(6), "validation": tfds_sets.arrays(2, 20), "test": unlabelled,
              "extra": tfds_sets.arrays(1, 80)}  # fmt: skip
    tfds_sets.build(tmp_path, "odd", splits, image=SMALL)
    data_set = facts("odd", tmp_path)
    assert (data_set.train_counts, data_set.test_counts, data_set.validation_counts) == ((6,) * 3, (2,) * 3, None)
    first, second = sources.load("tfds:odd", str(tmp_path)).notices
    assert first == "tfds:odd:1.0.0 has no split test with labels: it is tested on its split validation"
    assert second.startswith("tfds:odd:1.0.0: not used of its splits: ")
    assert "test (without labels)" in second and "extra" in second


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "arrays"])
def test_ids_do_not_depend_on_shards_nor_order(kind, tmp_path, monkeypatch):
    examples = tfds_sets.arrays(6) if kind == "arrays" else tfds_sets.pictures(6, form=kind)
    image = SMALL if kind == "arrays" else None
    tfds_sets.build(tmp_path / "one", "toy", {"train": examples}, image=image)
    renamed = [(f"other {index}", example) for index, (_, example) in enumerate(reversed(examples))]
    for _, example in renamed if kind != "arrays" else ():
        example["image"].seek(0)
    tfds_sets.build(tmp_path / "three", "toy", {"train": renamed}, image=image, shards=3)
    assert len(list((tmp_path / "three" / "toy" / "1.0.0").glob("toy-train*"))) == 3
    one, three = (sources.load("tfds:toy", str(tmp_path / name)) for name in ("one", "three"))
    assert one.ids == three.ids and one.test_ids == three.test_ids
    np.testing.assert_array_equal(one.labels, three.labels)
    assert list(map(bytes, one.images(range(12)))) == list(map(bytes, three.images(range(12))))


def test_copies_of_an_image_and_of_an_id_are_told_apart(tmp_path):
    twice = [(f"{part}{key}", example) for part in "ab" for key, example in tfds_sets.arrays(3)]
    tfds_sets.build(tmp_path, "copies", {"train": twice, "test": tfds_sets.arrays(1, 30)}, image=SMALL)
    ids = sources.load("tfds:copies", str(tmp_path)).ids
    assert len(set(ids)) == 18 and sum(name.endswith("-2") for name in ids) == 9
    named = [(key, example | {"id": f"picture {index // 2}"}) for index, (key, example) in enumerate(twice)]
    tfds_sets.build(tmp_path, "named", {"train": named}, image=SMALL, id=tfds.features.Text())
    source = sources.load("tfds:named", str(tmp_path))
    assert {*source.ids, *source.test_ids} == {f"picture {n}{end}" for n in range(9) for end in ("", "-2")}


def test_the_highest_prepared_version_is_used_and_another_one_is_another_run(tmp_path):
    for version in ("2.0.0", "10.0.0"):
        tfds_sets.build(tmp_path, "toy", {"train": tfds_sets.arrays(6)}, image=SMALL, version=version)
    folders = {
        name: plan.resolve(config_of(f"tfds:{name}", str(tmp_path), tmp_path / "runs", image_size=None)).folder().folder
        for name in ("toy", "toy:10.0.0", "toy:2.0.0")
    }
    assert folders["toy"] == folders["toy:10.0.0"] != folders["toy:2.0.0"]
    assert "/tfds-toy-2.0.0-vgg11-" in folders["toy:2.0.0"]
    digests = {folder.split("/seed_")[0][-8:] for folder in folders.values()}
    assert len(digests) == 2
    with pytest.raises(
        UsageError, match="toy:3.0.0: .* holds tfds:toy:2.0.0, tfds:toy:10.0.0, and TFDS has none; prepare"
    ):
        facts("toy:3.0.0", tmp_path)


def test_a_configuration_is_named_where_there_are_several(tmp_path):
    tfds_sets.build(tmp_path, "toy", {"train": tfds_sets.arrays(6)}, image=SMALL, configs=("plain", "large-2"))
    with pytest.raises(UsageError, match="several configurations: choose one of tfds:toy/large-2, tfds:toy/plain"):
        facts("toy", tmp_path)
    assert facts("toy/large-2", tmp_path).name == "tfds:toy/large-2:1.0.0"
    planned = plan.resolve(config_of("tfds:toy/plain", str(tmp_path), tmp_path / "runs", image_size=None))
    assert "/tfds-toy-plain-1.0.0-vgg11-" in planned.folder().folder
    shutil.rmtree(tmp_path / "toy" / "plain")
    assert facts("toy", tmp_path).name == "tfds:toy/large-2:1.0.0"


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_a_registered_set_gives_the_same_images_by_both_names(name, tmp_path, monkeypatch):
    known = DATASETS[name].facts
    splits = {
        split: [
            (
                index,
                {"image": image, "label": index * 7 % 10}
                | ({"id": f"{split}_{index:05d}"} if name == "cifar10" else {}),
            )
            for index, image in enumerate(
                np.random.default_rng(count).integers(0, 256, (count, *known.image_shape), dtype=np.uint8)
            )
        ]
        for split, count in (("train", 60), ("test", 20))
    }

    def generators(builder):
        builder.info.features["label"].names = known.labels
        return {split: iter(examples) for split, examples in splits.items()}

    tfds_folders.build(name, str(tmp_path), generators)
    small = dataclasses.replace(known, train_counts=(6,) * 10, test_counts=(2,) * 10)
    monkeypatch.setattr(DATASETS[name], "facts", small)
    registered, any_set = (sources.load(given, str(tmp_path)) for given in (name, f"tfds:{name}"))
    assert any_set.data_set.name == f"tfds:{name}:{tfds.builder_cls(name).VERSION}"
    assert any_set.data_set.labels == registered.data_set.labels
    assert any_set.ids == registered.ids and any_set.test_ids == registered.test_ids
    np.testing.assert_array_equal(any_set.labels, registered.labels)
    drawn = [
        subsets.choose(Data(per_class=2, validation="0.5"), source.labels, source.ids)
        for source in (registered, any_set)
    ]
    for part in ("train", "validation"):
        rows = [getattr(subset, part) for subset in drawn]
        np.testing.assert_array_equal(*rows)
        np.testing.assert_array_equal(registered.images(rows[0]), any_set.images(rows[1]))
    np.testing.assert_array_equal(registered.test()[0], any_set.test()[0])


def test_corruptions_are_kept_under_a_name_that_is_one_folder(prepared, tmp_path):
    shutil.copytree(os.path.join(prepared, "small"), tmp_path / "small")
    folder = tt.imp(config_of("tfds:small", str(tmp_path), tmp_path / "runs", rounds=1)).folder
    words = ("--evaluators=corruptions", f"--data_dir={tmp_path}", "--which=ticket")
    assert run("evaluate", folder, *words) == 0
    (kept,) = (tmp_path / "generated_corruptions").iterdir()
    assert kept.name.startswith("tfds-small-1.0.0-")
