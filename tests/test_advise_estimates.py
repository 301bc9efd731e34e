"""How often a probe will be right, how many more pictures would help, which labels look wrong: from features alone."""

import numpy as np
import pytest

from tf_tickets.advise import estimates, held_out, learning_curve, wrong_labels
from tf_tickets.errors import StopRequested


@pytest.fixture(autouse=True)
def few_repeats(monkeypatch):
    monkeypatch.setattr(estimates, "REPEATS", 2)
    monkeypatch.setattr(learning_curve, "REPEATS", 2)


def clouds(per_class, *, classes=3, features=6, apart=1.5, seed=0):
    """(features, labels, ids) of classes that overlap; rows of the classes are mixed."""
    draws = np.random.default_rng(seed)
    labels = draws.permutation(np.repeat(np.arange(classes), per_class))
    centres = np.random.default_rng(1000).normal(size=(classes, features)) * apart
    return (
        (centres[labels] + draws.normal(size=(len(labels), features))).astype(np.float32),
        labels,
        [f"{row}.jpg" for row in range(len(labels))],
    )


def test_the_order_of_rows_decides_nothing():
    features, labels, ids = clouds(12)
    order = np.random.default_rng(1).permutation(len(labels))
    plain, mixed = (
        estimates.out_of_fold(features[rows], labels[rows], [ids[row] for row in rows], 3)
        for rows in (np.arange(len(labels)), order)
    )
    assert np.array_equal(plain.probabilities[:, order], mixed.probabilities)
    curves = [
        learning_curve.learning_curve(features[rows], labels[rows], [ids[row] for row in rows], 3)
        for rows in (np.arange(len(labels)), order)
    ]
    assert curves[0].points == curves[1].points and np.array_equal(curves[0].fits, curves[1].fits)


def test_an_image_is_predicted_by_probes_that_have_not_seen_it():
    """With labels that have nothing to do with the features, none is known better than by chance."""
    features, labels, ids = clouds(30, apart=0.0, features=200)
    out = estimates.out_of_fold(features, labels, ids, 0)
    assert out.probabilities.shape == (estimates.REPEATS, 90, 3)
    assert np.allclose(out.probabilities.sum(axis=2), 1.0)
    assert abs(estimates.estimate(out, labels).accuracy.value - 1 / 3) < 0.12


def test_a_stop_is_heeded():
    for function in (estimates.out_of_fold, learning_curve.learning_curve):
        with pytest.raises(StopRequested):
            function(*clouds(5), 0, lambda: True)


@pytest.mark.parametrize(
    "change",
    [
        lambda x, y, i: (x[:-1], y, i),
        lambda x, y, i: (x, y, i[:-1] + i[:1]),
        lambda x, y, i: (x * np.nan, y, i),
        lambda x, y, i: (x, y * 0, i),
    ],
)
def test_what_cannot_be_fitted_is_refused(change):
    with pytest.raises(ValueError):
        estimates.out_of_fold(*change(*clouds(4)), 0)


def test_parts_are_even_whatever_the_sizes_of_classes():
    images, _ = held_out.images_of(np.zeros((14, 1)), np.repeat(range(10), [5] + [1] * 9), range(14))
    sizes = np.bincount(held_out.parts(images, 5, "x"), minlength=5)
    assert sizes.max() - sizes.min() <= 1


def test_the_planted_labels_come_first():
    features, labels, ids = clouds(40, apart=5.0)
    wrong = labels.copy()
    planted = np.arange(0, 120, 20)
    wrong[planted] = (labels[planted] + 1) % 3
    listed = wrong_labels.suspects(estimates.out_of_fold(features, wrong, ids, 0).probabilities.mean(axis=0), wrong)
    assert len(listed) >= 5 and {suspect.row for suspect in listed[:6]} <= set(planted.tolist())
    for suspect in listed[:6]:
        assert (suspect.given, suspect.suggested) == (wrong[suspect.row], labels[suspect.row])
        assert suspect.probability_suggested > suspect.probability_given


def test_more_pictures_help_where_they_do():
    curve = learning_curve.learning_curve(*clouds(50, apart=0.5, features=40), 0)
    accuracies = [point.accuracy for point in curve.points]
    assert [point.per_class for point in curve.points] == [5, 10, 20, 40] and accuracies[0] < accuracies[-1]
    gain = curve.more(50)
    assert gain.low <= gain.gain <= gain.high and gain.gain > 0
    assert curve.more(1000) is None
