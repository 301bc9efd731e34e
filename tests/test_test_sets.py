"""The sets that `evaluate` tests on beside the plain one: official files, TFDS' sets, generated corruptions."""

import dataclasses
import io
import os
import types

import numpy as np
import pytest

import tf_tickets as tt
from tf_tickets import errors
from tf_tickets.data import pipeline, tfds_folders
from tf_tickets.evaluation import corruptions, evaluate, generated, published_sets, subsample
from tf_tickets.registry import ANALYSES, DATASETS
from tf_tickets.report import evaluations
from tf_tickets.settings.places import Place

TINY = dataclasses.replace(DATASETS["cifar10"].facts, test_counts=(2,) * 10)
RNG = np.random.default_rng(3)
PIXELS = RNG.integers(0, 256, (100, 32, 32, 3), dtype=np.uint8)
LABELS = np.tile(np.arange(10), 10)


def settings(**changes):
    return tt.Config.from_values(**{"attack_steps": 2, "restarts": 2} | changes)


def official(folder, names=published_sets.ALL, images=PIXELS, labels=LABELS):
    """Writes the layout of CIFAR-10-C in miniature: twenty test images."""
    folder.mkdir(parents=True)
    np.save(folder / "labels.npy", labels.astype(np.uint8))
    for shift, name in enumerate(names):
        np.save(folder / f"{name}.npy", images + np.uint8(shift))


def perfect(data_dir, sets):
    """A network that answers every image of the sets by its label, but those of severity 5 by 0."""
    known = {}
    for one in sets:
        images = one.load()
        for pixels, label in zip(images.pixels, images.labels):
            known[pixels.tobytes()] = 0 if one.setting.endswith(":5") else label

    class Network:
        ticket = types.SimpleNamespace(temperature=1.0)

        def logits(self, images):
            return 50.0 * np.eye(10, dtype=np.float32)[[known[pixels.tobytes()] for pixels in images.pixels]]

    return Network()


def test_the_official_files_are_read_as_they_lie(tmp_path, capsys):
    official(tmp_path / "CIFAR-10-C")
    sets = published_sets.corrupted(TINY, str(tmp_path))
    assert [one.setting for one in sets][:6] == [*(f"gaussian_noise:{s}" for s in range(1, 6)), "shot_noise:1"]
    images = sets[6].load()
    np.testing.assert_array_equal(images.pixels, PIXELS[20:40] + np.uint8(1))
    np.testing.assert_array_equal(images.labels, LABELS[:20])
    tasks = evaluate.tasks_for(TINY, Place(str(tmp_path)), settings(evaluators="corruptions", data_dir=str(tmp_path)))
    assert {task.evaluator for task in tasks} == {"cifar10_c"} and len(tasks) == 95 + 2
    network, rows = perfect(str(tmp_path), sets), []
    for task in tasks:
        found = task.measure(network, rows)
        rows += [{"evaluator": task.evaluator, "setting": task.setting, "metric": metric, "value": value, "n": n}
                 for metric, value, n in found]  # fmt: skip
    value = {(row["setting"], row["metric"]): (row["value"], row["n"]) for row in rows}
    assert value["fog:4", "accuracy"] == (1.0, 20) and value["fog:5", "accuracy"] == (0.1, 20)
    assert value["standard_15", "accuracy"] == (pytest.approx(0.82), 1500)
    assert value["all_19", "accuracy"] == (pytest.approx(0.82), 1900)
    assert value["all_19", "calibration_error"] == (pytest.approx(0.18), 1900)
    fewer, chosen = subsample.limited(sets[6], 10).load(), subsample.draw(LABELS[:20], 10)
    np.testing.assert_array_equal(fewer.pixels, images.pixels[chosen])
    np.testing.assert_array_equal(np.sort(fewer.labels), np.arange(10))
    assert capsys.readouterr().err == ""


def test_fifteen_official_files_give_no_mean_of_nineteen(tmp_path, capsys):
    official(tmp_path / "CIFAR-10-C", published_sets.STANDARD)
    tasks = evaluate.tasks_for(TINY, Place(str(tmp_path)), settings(evaluators="corruptions", data_dir=str(tmp_path)))
    assert len(tasks) == 75 + 1 and tasks[-1].setting == "standard_15"
    assert "no mean all_19, since gaussian_blur, saturate, spatter, speckle_noise" in capsys.readouterr().err


def test_damaged_official_files_are_named(tmp_path):
    official(tmp_path / "a" / "CIFAR-10-C", ("fog",), PIXELS[:-1])
    official(tmp_path / "b" / "CIFAR-10-C", ("fog",))
    path = tmp_path / "b" / "CIFAR-10-C" / "fog.npy"
    path.write_bytes(path.read_bytes()[:-100])
    official(tmp_path / "c" / "CIFAR-10-C", ("fog",), PIXELS.astype(np.float32))
    official(tmp_path / "d" / "CIFAR-10-C", ("fog",), labels=LABELS + 1)
    for name, message in zip("abcd", ("99 images", "damaged", "float32", "labels are not")):
        with pytest.raises(errors.StateError, match=message) as caught:
            published_sets.corrupted(TINY, str(tmp_path / name))[0].load()
        assert "fog.npy" in str(caught.value)
    (tmp_path / "d" / "CIFAR-10-C" / "labels.npy").unlink()
    with pytest.raises(errors.StateError, match="no labels.npy"):
        published_sets.corrupted(TINY, str(tmp_path / "d"))


def test_tfds_corrupted_sets_are_found(tmp_path):
    def examples():
        return ((i, {"image": PIXELS[i], "label": int(LABELS[i])}) for i in range(20))

    for name in ("elastic_2", "fog_1"):
        tfds_folders.build(f"cifar10_corrupted/{name}", str(tmp_path), lambda builder: {"test": examples()})
    sets = {one.setting: one for one in published_sets.corrupted(TINY, str(tmp_path))}
    assert set(sets) == {"elastic_transform:2", "fog:1"}
    images = sets["elastic_transform:2"].load()
    expected = {image.tobytes(): label for image, label in zip(PIXELS[:20], LABELS)}
    assert len(images) == 20 and all(expected[p.tobytes()] == y for p, y in zip(images.pixels, images.labels))


def test_newer_test_sets(tmp_path):
    assert [len(part) for part in published_sets.shifted(TINY, str(tmp_path))] == [0, 2]
    np.save(tmp_path / "cifar10.1_v6_data.npy", PIXELS[:30])
    np.save(tmp_path / "cifar10.1_v6_labels.npy", LABELS[:30].astype(np.int32))
    found, missing = published_sets.shifted(TINY, str(tmp_path))
    assert [one.setting for one in found] == ["cifar10.1_v6"]
    assert "cifar102_train.npz and cifar102_test.npz" in missing[0]
    folder = tmp_path / "CIFAR-10.2"
    folder.mkdir()
    np.savez(folder / "cifar102_test.npz", images=PIXELS[:20], labels=LABELS[:20])
    found, missing = published_sets.shifted(TINY, str(tmp_path))
    assert [one.setting for one in found] == ["cifar10.1_v6", "cifar10.2_test"] and "cifar102_train.npz" in missing[0]
    np.savez(folder / "cifar102_train.npz", images=PIXELS[20:], labels=LABELS[20:])
    found, missing = published_sets.shifted(TINY, str(tmp_path))
    assert [one.setting for one in found] == ["cifar10.1_v6", "cifar10.2_test", "cifar10.2_train+test"] and not missing
    first, test, both = (one.load() for one in found)
    np.testing.assert_array_equal(first.pixels, PIXELS[:30])
    np.testing.assert_array_equal(test.pixels, PIXELS[:20])
    assert len(both) == 100 and first.labels.dtype == np.int64
    assert sorted(p.tobytes() for p in both.pixels) == sorted(p.tobytes() for p in PIXELS)
    (folder / "cifar102_test.npz").write_bytes((folder / "cifar102_test.npz").read_bytes()[:-200])
    with pytest.raises(errors.StateError, match="cifar102_test.npz is damaged"):
        found[1].load()


def test_tfds_cifar10_1_is_found(tmp_path):
    examples = ((index, {"image": PIXELS[index], "label": 3}) for index in range(5))
    tfds_folders.build("cifar10_1/v6", str(tmp_path), lambda builder: {"test": examples})
    found, missing = published_sets.shifted(TINY, str(tmp_path))
    assert [one.setting for one in found] == ["cifar10.1_v6"] and len(missing) == 1
    assert len(found[0].load()) == 5 and (found[0].load().labels == 3).all()


def test_missing_sets_are_an_error_only_when_nothing_else_is_asked(tmp_path, capsys):
    with pytest.raises(errors.UsageError, match=r"cifar10\.1_v6_data\.npy.*cifar102_test\.npz"):
        evaluate.tasks_for(TINY, Place(str(tmp_path)), settings(evaluators="shift", data_dir=str(tmp_path)))
    tasks = evaluate.tasks_for(TINY, Place(str(tmp_path)), settings(evaluators="clean,shift", data_dir=str(tmp_path)))
    assert [task.evaluator for task in tasks] == ["clean"]
    assert capsys.readouterr().err.count("\n") == 2


def test_generated_sets_are_kept_and_made_anew_when_damaged(tmp_path, monkeypatch, capsys):
    clean = pipeline.Images(PIXELS[:20], LABELS[:20], np.arange(20))

    def load(setting):
        sets = generated.corrupted(TINY, Place(str(tmp_path)), lambda: clean, print)
        return next(one for one in sets if one.setting == setting).load()

    expected = corruptions.apply("fog", 2, clean.pixels, clean.ids)
    np.testing.assert_array_equal(load("fog:2").pixels, expected)
    (path,) = tmp_path.glob("generated_corruptions/cifar10-*/*")
    assert path.name == "fog_2.npy"
    kept = path.read_bytes()
    np.testing.assert_array_equal(np.load(io.BytesIO(kept)), expected)
    for damaged in (kept[:-10], b"", kept.replace(b"|u1", b"|i1")):
        path.write_bytes(damaged)
        np.testing.assert_array_equal(load("fog:2").pixels, expected)
        assert path.read_bytes() == kept
    monkeypatch.setattr(corruptions, "apply", None)
    np.testing.assert_array_equal(load("fog:2").pixels, expected)
    monkeypatch.undo()
    monkeypatch.setattr(corruptions, "VERSION", corruptions.VERSION + 1)
    load("fog:2")
    assert len(list(tmp_path.glob("generated_corruptions/*"))) == 2
    assert capsys.readouterr().out == ""


def test_nothing_is_kept_without_a_data_folder(tmp_path, capsys):
    clean = pipeline.Images(PIXELS[:20], LABELS[:20], np.arange(20))
    sets = generated.corrupted(TINY, Place(str(tmp_path / "none")), lambda: clean, print)
    for one in sets[:2]:
        one.load()
    assert list(tmp_path.iterdir()) == [] and capsys.readouterr().out.count("not kept") == 1


def test_the_sheet_of_corruptions(tmp_path):
    path = ANALYSES["corruptions"].sheet(tt.Config.from_values(dataset="digits", out=str(tmp_path / "sheet")))
    assert path == str(tmp_path / "sheet" / "corruptions.png") and os.path.getsize(path) > 10_000


def test_fewer_test_images_are_a_measurement_of_their_own(tmp_path):
    labels = np.repeat(np.arange(3), [50, 30, 20])
    chosen = subsample.draw(labels, 10)
    assert np.bincount(labels[chosen]).tolist() == [5, 3, 2] and (np.diff(chosen) > 0).all()
    assert set(chosen) < set(subsample.draw(labels, 20)) and len(subsample.draw(labels, 500)) == 100
    tasks = evaluate.tasks_for(
        TINY, Place(str(tmp_path)), settings(evaluators="clean,corruptions,fgsm", data_dir=str(tmp_path), test_images=7)
    )
    assert {task.evaluator for task in tasks} == {"clean", "generated-corruptions,images=7", "fgsm,images=7"}
    assert evaluations.title("fgsm,images=1000", "eps=0.0314") == "FGSM, eps 0.0314, 1,000 images"
