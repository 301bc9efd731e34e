"""What `advise` says of pictures, on features that are given."""

import dataclasses

import lite0_package
import numpy as np
import pytest
from advised import all_folds_again, collection_of, executed, few_folds, findings_of, looked_at_anew, pictures  # noqa: F401
from conftest import ROOT

import tf_tickets as tt
from tf_tickets.advise import methods, recommendations


def titles(result, config=None):
    given = config or tt.Config(dataset="folder", data_dir="my pictures")
    return [step.title for step in recommendations.recommendations(result, given)]


def test_a_mirrored_copy_counts_once_and_a_copy_in_the_test_part_is_a_leak():
    pixels, labels = pictures(30), [row % 3 for row in range(30)]
    pixels[3] = pixels[0][:, ::-1]
    pixels[29] = pixels[2]
    result = findings_of(collection_of(pixels, labels, ["train"] * 24 + ["test"] * 6, apart=True))
    assert {(pair.first, pair.second, pair.kind) for pair in result.pairs} == {
        (0, 3, "mirrored"),
        (2, 29, "same pixels"),
    }
    assert [(pair.first, pair.second) for pair in result.leaks] == [(2, 29)] and result.contradictions == []
    assert list(result.rows) == [row for row in range(24) if row != 3] and result.repeats == 1
    assert result.tested is not None and result.tested.low <= result.tested.value <= result.tested.high
    assert "2 pairs" not in titles(result)[0] and "two pairs" in titles(result)[0]


def test_a_copy_in_another_class_is_a_contradiction():
    pixels = pictures(30)
    pixels[4] = pixels[0]
    result = findings_of(collection_of(pixels, [row % 3 for row in range(30)]))
    assert [(pair.first, pair.second) for pair in result.contradictions] == [(0, 4)]


def test_pictures_that_stand_in_two_classes_are_left_out_of_what_is_expected():
    pixels = pictures(60)
    pixels[4] = pixels[0]
    result = findings_of(collection_of(pixels, [row % 3 for row in range(60)]))
    assert not {0, 4} & set(result.rows) and len(result.rows) == 58 and "58 pictures" in result.pictures
    pixels[1::3], pixels[2::3] = pixels[0::3], pixels[0::3]
    with pytest.raises(tt.errors.UsageError, match="copies of others, such as .* no two classes have pictures"):
        findings_of(collection_of(pixels, [row % 3 for row in range(60)]))


def test_a_class_that_is_never_recognised_is_not_hidden_by_a_large_one():
    labels = [0] * 45 + [1] * 3
    given = collection_of(pictures(48), labels, spread=100.0)
    result = findings_of(given)
    assert result.estimate.accuracy.value > 0.8 and result.guesses and result.suspects == []
    (step,) = [step for step in recommendations.recommendations(result, tt.Config()) if "before any" in step.title]
    assert "dog (3)" in " ".join(step.reasons) and step.title.startswith("Take more pictures")


def test_what_cannot_be_scored_is_not_counted():
    result = findings_of(collection_of(pictures(21), [0] * 10 + [1] * 10 + [2], spread=0.1))
    assert result.pictures == "20 pictures in two classes" and result.unscored == ["hen"]


def test_wrong_labels_are_named_by_their_rows(all_folds):
    labels = np.array([row % 3 for row in range(60)])
    right = collection_of(pictures(60), labels, spread=0.1)
    wrong = labels.copy()
    wrong[[7, 20]] = (labels[[7, 20]] + 1) % 3
    result = findings_of(dataclasses.replace(right, labels=wrong))
    assert {suspect.row for suspect in result.suspects[:2]} == {7, 20}
    assert all(suspect.suggested == labels[suspect.row] for suspect in result.suspects[:2])
    assert "whose label may be wrong" in titles(result)[0]


def test_features_that_tell_nothing_apart_call_for_other_pictures_and_no_training():
    result = findings_of(collection_of(pictures(60), [row % 3 for row in range(60)], spread=100.0))
    assert titles(result)[-1] == "Take other pictures before any training"
    assert not any("network" in title or "ticket" in title for title in titles(result))


@pytest.mark.parametrize("spread", [0.05, 0.6])
def test_a_probe_that_has_nearly_all_right_is_left_as_it_is(all_folds, spread):
    result = findings_of(collection_of(pictures(150), [row % 3 for row in range(150)], spread=spread))
    network = [title for title in titles(result) if "probe" in title or "network" in title]
    assert network == [
        "Use the linear probe as it is" if result.estimate.accuracy.low >= 0.95 else "Fine-tune the pretrained network"
    ]
    assert (result.estimate.accuracy.low >= 0.95) == (spread == 0.05)


@pytest.mark.parametrize("outside", [True, False])
def test_every_command_it_names_is_one_that_the_program_takes(outside, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    lite0_package.install(tmp_path)
    result = findings_of(collection_of(pictures(60), [row % 3 for row in range(60)], spread=0.6), outside)
    steps = recommendations.recommendations(result, tt.Config(dataset="digits", per_class=20, subset_seed="3"))
    commands = [line.partition("  #")[0] for step in steps for line in step.commands]
    for line in commands:
        if line.startswith("python -m tf_tickets.main"):
            words = line.split()[3:]
            assert "--per_class=20" in words and "--subset_seed=3" in words and "--dataset=digits" in words
            if "advise" not in words:
                words = [word.replace("--flagfile=", f"--flagfile={ROOT}/flags/") for word in words]
                assert executed(*words, "--dry_run") == (0, "")
    assert len(commands) >= 3


def test_published_numbers_are_those_of_the_results():
    text = (ROOT / "results/backbones/README.md").read_text()
    gain, low, high = methods.FINE_TUNING
    assert f"{gain} points ahead of the probe, 95 % interval [+{low}, +{high}], in all six pairs" in text
    table = [line.split("|")[3].strip() for line in text.splitlines() if line.startswith(("| probe |", "| dense |"))]
    assert [f"{methods.PROBE}", f"{methods.FINE_TUNED}"] == [f"{float(cell.rstrip(' %')):.1f}" for cell in table]
    (tried,) = [line for line in text.splitlines() if line.startswith("| learning_rate:2 |")]
    dense, first, second = (float(cell.strip(" %")) for cell in tried.split("|")[2:5])
    assert (round(dense - first, 1), round(dense - second, 1)) == (methods.PRETRAINED_LOSS, methods.SPARSER_LOSS)
    search = (ROOT / "results/long_search/README.md").read_text()
    assert f"by {methods.TICKET_LOSS} points on average" in search and f"| {methods.TICKET} % |" in search
    curve = (ROOT / "results/dense_curve/README.md").read_text()
    (alone,) = [line.split("|")[4].strip(" %") for line in curve.splitlines() if line.startswith("| 1,000 |")]
    assert f"{float(alone):.1f}" == f"{methods.ALONE}"
