"""How often a probe will be right, how many more pictures would help, which labels look wrong: from features alone."""

import numpy as np
import pytest

from tf_tickets import seeds
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
            function(*clouds(5), stop=lambda: True)


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


def test_a_point_without_an_error_does_not_take_all_the_weight():
    """120 images of six classes: 94 % at 5 of each, 98 % at 10, all right at 20."""
    right = np.ones((2, 3, 120), bool)
    right[:, 0, :7], right[:, 1, :2] = False, False
    sizes = np.array([5.0, 10, 16])
    accuracies = learning_curve._resampled(right, 5, 0)
    assert (accuracies.std(axis=0) > 0.002).all()
    curve = learning_curve.Curve(
        (learning_curve.Point(5, 0.94, 0.9, 0.97),) * 3, 20.0,
        learning_curve.power_laws(sizes, accuracies, seeds.uniform(1, learning_curve.RESAMPLES)),
    )  # fmt: skip
    assert 0.9 < curve.predicted(5).accuracy < 0.98 and curve.more(20).high > 0.001, (
        curve.predicted(5),
        curve.more(20),
    )


def test_small_counts_add_no_variance_to_middling_accuracies():
    shares = np.array([0.0, 0.15, 0.5, 0.82, 1.0])
    shift, variance = learning_curve._of_small_counts(shares, 60)
    assert np.array_equal(variance > 0, [True, False, False, False, True]) and not shift[1:4].any()
    assert variance[-1] == pytest.approx(0.5 * 60.5 / (61**2 * 62)) and shift[-1] == pytest.approx(-0.5 / 61)


def test_a_curve_is_followed_four_times_as_far_and_never_from_two_points():
    curve = learning_curve.Curve(
        (learning_curve.Point(5, 0.6, 0.5, 0.7),) * 3, 10.0, np.array([[0.9, 0.5, 0.5], [0.9, 0.4, 0.5]])
    )
    assert curve.predicted(40).accuracy == pytest.approx(0.9 - 0.45 * 40**-0.5) and curve.predicted(41) is None
    assert curve.more(30).gain == pytest.approx(0.45 * (10**-0.5 - 40**-0.5)) and curve.more(31) is None
    assert learning_curve.Curve(curve.points[:2], 10.0, curve.fits).more(5) is None


def test_a_gain_that_is_hardly_known_is_none():
    point = learning_curve.Point(5, 0.6, 0.5, 0.7)
    fits = np.array([[0.9, 0.0, 0.5], [0.9, 2.0, 0.5]])
    assert learning_curve.Curve((point,) * 3, 10.0, fits).more(20) is None
    assert learning_curve.Curve((point,) * 3, 10.0, fits / [1, 4, 1]).more(20) is not None


def test_a_power_law_is_recovered():
    sizes, rows = np.array([5.0, 10, 20, 35, 50, 100, 200]), 400
    draws = np.random.default_rng(0)
    shared, own = draws.normal(0, 0.02, (rows, 1)), draws.normal(0, 0.002, (rows, len(sizes)))
    fits = learning_curve.power_laws(sizes, 0.85 - 0.6 * sizes**-0.7 + shared + own, draws.random(rows))
    a, b, c = np.median(fits, axis=0)
    assert abs(a - 0.85) < 0.01 and abs(b - 0.6) < 0.08 and abs(c - 0.7) < 0.08
    assert fits[:, 0].max() <= 1 and fits[:, 1].min() >= 0


def test_falling_accuracies_gain_nothing():
    draws = np.random.default_rng(0)
    accuracies = 0.7 - 0.02 * np.arange(4) + draws.normal(0, 0.003, (50, 4))
    fits = learning_curve.power_laws(np.array([5.0, 10, 20, 40]), accuracies, seeds.uniform(1, 50))
    assert np.all(fits[:, 1] == 0)


@pytest.mark.parametrize(
    "right, images, low, high",  # as tables of Wilson's interval have them
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (8, 10, 0.4902, 0.9433), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_s_interval(right, images, low, high):
    assert estimates.wilson(right, images) == pytest.approx((right / images, low, high), abs=5e-5)


def test_the_corrected_variance_of_cross_validation():
    """Nadeau and Bengio: (1 / J + test / train) s^2, with s^2 = p (1 - p) / (n / 10) of ten parts drawn three times."""
    assert held_out.inflation(10, 3) == pytest.approx((1 / 30 + 1 / 9) * 10)


def test_what_is_estimated_of_given_probabilities():
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2])
    said = np.array([[0, 0, 0, 1, 1, 1, 1, 1, 0], [0, 0, 1, 1, 1, 1, 1, 1, 0]])
    probabilities = np.eye(3)[said] * 0.7 + 0.1
    found = estimates.estimate(estimates.OutOfFold(probabilities, np.zeros((2, 9), int), 3, np.ones((2, 9))), labels)
    factor = held_out.inflation(3, 2)
    assert found.accuracy == estimates.wilson(6.5 / factor, 8 / factor)
    assert found.accuracy.value == 6.5 / 8 and found.balanced_accuracy.value == (2.5 / 4 + 1) / 2
    assert [part.accuracy and part.accuracy.value for part in found.classes] == [2.5 / 4, 1.0, None]
    assert found.classes[0].confused_with == ((1, 1.5 / 4),) and found.classes[1].confused_with == ()
    assert found.confusions.tolist() == [[2.5, 1.5, 0], [0, 4, 0], [1, 0, 0]]
    # Of 9 images 7 are right, then 6, each said with 0.8.
    assert found.calibration_error == pytest.approx((abs(7 / 9 - 0.8) + abs(6 / 9 - 0.8)) / 2)


def test_square_and_add():
    part = estimates.Interval(0.5, 0.2, 0.9)
    assert estimates.mean_interval([part, part]) == pytest.approx((0.5, 0.5 - 0.3 / 2**0.5, 0.5 + 0.4 / 2**0.5))


@pytest.mark.parametrize("sizes", [[1, 1], [1, 1, 1, 1], [2, 1], [3, 3], [1, 40], [0, 3, 0, 4], [2] * 15])
def test_tiny_classes_have_an_answer(sizes):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    features = np.eye(len(sizes))[labels] + np.random.default_rng(0).normal(0, 0.1, (len(labels), len(sizes)))
    out = estimates.out_of_fold(features, labels, range(len(labels)), 0)
    found, curve = estimates.estimate(out, labels), learning_curve.learning_curve(features, labels, range(len(labels)))
    assert {part.label: part.images for part in found.classes} == {k: n for k, n in enumerate(sizes) if n}
    assert (found.accuracy is None) == (max(sizes) < 2) == (not curve.points)
    assert len(curve.points) > 2 or curve.more(5) is None
    assert all(point.low < point.high <= 1 for point in curve.points)
    assert wrong_labels.suspects(out.probabilities.mean(axis=0), labels) == []


def test_what_is_large_is_fitted_less():
    images = held_out.Images(np.zeros((6000, 1280)), np.arange(6000) % 200, np.arange(6000))
    assert held_out.effort(images, 10, 5) == (5, 1, (1e-3, 1e-2, 1e-1))
    small = images.rows(np.arange(500))._replace(labels=np.arange(500) % 10)
    assert held_out.effort(small, 10, 5)[:2] == (10, 5) and len(held_out.effort(small, 10, 5).strengths) == 7


def test_probes_are_fitted_to_so_many_of_each_class_in_its_share(monkeypatch):
    fitted = []
    monkeypatch.setattr(held_out, "MOST_IMAGES", 30)
    monkeypatch.setattr(
        held_out, "predictions", lambda train, rest, *_: fitted.append(np.bincount(train.labels)) or rest[:, 0].mean()
    )
    images, _ = held_out.images_of(np.zeros((100, 2)), np.repeat([0, 1], [80, 20]), range(100))
    part = held_out.parts(images, 5, "x")
    held_out.cross_predictions(images, part, (1.0,), lambda: False, "x")
    held_out.cross_predictions(images, part, (1.0,), lambda: False, "x", per_class=7)
    assert [row.tolist() for row in fitted] == [[24, 6]] * 5 + [[7, 6]] * 5


def test_the_penalty_of_a_part_is_chosen_without_it():
    """Two parts, two penalties: each part is likeliest under one of them, so each is predicted with the other."""
    labels, part = np.array([0, 0, 1, 1]), np.array([[0, 1, 0, 1]])
    own = np.where(part[0] == np.arange(2)[:, None], 0.9, 0.6)
    probabilities = np.zeros((2, 1, 4, 2))
    probabilities[:, 0, np.arange(4), labels] = own
    kept, place = held_out.chosen(probabilities, labels, part)
    assert place.tolist() == [[1, 0, 1, 0]] and kept[0, np.arange(4), labels].tolist() == [0.6] * 4


def test_confident_learning_counts_images_that_reach_another_class_s_threshold():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.05, 0.95], [0.1, 0.9], [0.4, 0.6], [0.3, 0.7], [0.48, 0.52]])
    labels = np.array([0, 0, 0, 1, 1, 1, 0])  # thresholds 0.558 and 0.733: the last image reaches none
    assert wrong_labels.confident_errors(probabilities, labels) == 1
    assert wrong_labels.suspects(probabilities, labels) == [(2, 0, 1, 0.05, 0.95)]
