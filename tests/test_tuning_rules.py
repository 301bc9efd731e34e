"""How points are chosen: one standard error towards the simpler, by norms, and who may be stopped early."""

import itertools
import math
import random

import numpy as np
import pytest

from tf_tickets.sweeps import rules
from tf_tickets.sweeps.rules import Fitted


def by_fold(*scores):
    return dict(enumerate(scores))


def test_simpler_is_more_decay_then_a_smaller_rate_then_what_is_listed_first():
    values = [
        {"learning_rate": 0.1, "weight_decay": 1e-4}, {"learning_rate": 0.01, "weight_decay": 1e-4},
        {"learning_rate": 0.1, "weight_decay": 1e-2}, {"learning_rate": 0.1, "weight_decay": 1e-2, "augment": "rand"},
    ]  # fmt: skip
    assert rules.by_simplicity(values) == [2, 3, 1, 0]
    assert rules.by_simplicity([{"augment": "rand"}, {"augment": "base"}]) == [0, 1]


def test_the_standard_error_is_that_of_the_mean():
    scores = [0.4, 0.5, 0.7, 0.6]
    mean, error = rules.estimate(scores)
    assert mean == pytest.approx(0.55) and error == pytest.approx(np.std(scores, ddof=1) / 2)


def test_the_simplest_within_one_standard_error_of_the_best_is_chosen():
    # Mean 0.60, standard error 0.0289; the others' means are 0.58, within it, and 0.57, beyond it.
    scores = [by_fold(0.55, 0.60, 0.65), by_fold(0.58, 0.58, 0.58), by_fold(0.57, 0.57, 0.57)]
    assert rules.choose_by_folds(scores, 3, [2, 1, 0]) == (1, 0)
    assert rules.choose_by_folds(scores, 3, [0, 1, 2]) == (0, 0)
    assert rules.choose_by_folds([by_fold(0.5, 0.5), by_fold(0.5, 0.5)], 2, [1, 0]) == (1, 1)
    thirds = [by_fold(0.2, 0.1), by_fold(2 / 15, 1 / 6)]  # both 0.15, the first with a rounding error
    assert sum(thirds[0].values()) > sum(thirds[1].values()) and rules.choose_by_folds(thirds, 2, [1, 0]) == (1, 1)
    assert rules.choose_by_folds([by_fold(0.9), by_fold(0.5, 0.5)], 2, [0, 1]) == (1, 1), "a point that lacks a fold"


def test_trainings_come_one_fold_of_each_then_the_best_s_then_fold_after_fold():
    assert rules.following([{}, {}], 3) == [(0, 0), (1, 0)]
    assert rules.following([{0: 0.3}, {0: 0.4}], 3) == [(1, 1), (1, 2)]
    assert rules.following([{0: 0.3}, by_fold(0.4, 0.4, 0.4)], 3) == [(0, 1)]
    assert rules.following([by_fold(0.3, 0.3), by_fold(0.4, 0.4, 0.4)], 3) == [(0, 2)]
    assert rules.following([by_fold(0.3, 0.3, 0.3)], 3) == rules.following([], 3) == []


def test_a_point_is_hopeless_when_perfect_folds_could_not_bring_it_near():
    best = by_fold(0.95, 0.96, 0.94)
    assert rules.hopeless([best, by_fold(0.5), by_fold(0.9)], 3) == [1]
    # Without a complete point any may end anywhere.
    assert rules.hopeless([by_fold(0.95, 0.96), by_fold(0.0)], 3) == []
    # One that may become the best with scores far apart may lower what is near enough: (1 + 1 + 0.1) / 3 - 0.3 = 0.4.
    spread = [by_fold(0.7, 0.7, 0.7), by_fold(0.1), by_fold(0.0, 0.25)]
    assert rules.hopeless(spread, 3) == [] and rules.hopeless([spread[0], spread[2]], 3) == [1]


def test_the_lowest_threshold_is_that_of_every_way_the_folds_can_end():
    values = np.linspace(0, 1, 21)
    for done, folds, least in [((), 3, 0.6), ((0.3,), 3, 0.5), ((0.3, 0.9), 4, 0.55), ((0.95,), 2, 0.5), ((), 2, 0.0)]:
        ends = [[*done, *rest] for rest in itertools.product(values, repeat=folds - len(done))]
        lowest = min(m - e for m, e in map(rules.estimate, ends) if m >= least - 1e-9)
        assert rules._lowest_threshold(list(done), folds, least) <= lowest + 1e-9
        assert rules._lowest_threshold(list(done), folds, least) >= lowest - 0.06, "no lower than the grid's own steps"
    assert rules._lowest_threshold([0.1, 0.2], 2, 0.5) == math.inf


@pytest.mark.parametrize("seed", range(300))
def test_stopping_early_never_changes_the_choice(seed):
    draw = random.Random(seed)
    points, folds = draw.randint(1, 6), draw.randint(2, 5)
    levels = [draw.choice([0.1, 0.5, 0.9, 0.99]) for _ in range(points)]
    table = [
        [min(1.0, max(0.0, draw.gauss(level, draw.choice([0.0, 0.02, 0.2])))) for _ in range(folds)] for level in levels
    ]
    order = draw.sample(range(points), points)
    scores = [{} for _ in table]
    while True:
        out = rules.hopeless(scores, folds)
        inside = [index for index in range(points) if index not in out]
        todo = rules.following([scores[index] for index in inside], folds)
        if not todo:
            break
        for place, fold in todo:
            scores[inside[place]][fold] = table[inside[place]][fold]
    whole = [by_fold(*row) for row in table]
    assert rules.choose_by_folds(scores, folds, order) == rules.choose_by_folds(whole, folds, order)


def test_by_norm_the_smallest_of_those_that_fit_else_the_smallest_loss():
    fitted = [Fitted(1.0, 0.3, 40.0), Fitted(0.99, 0.5, 20.0), Fitted(0.98, 0.1, 10.0), None]
    assert rules.choose_by_norm(fitted, [0, 1, 2, 3]) == 1
    assert rules.choose_by_norm([Fitted(0.9, 0.5, 1.0), None, Fitted(0.8, 0.4, 9.0)], [0, 1, 2]) == 2
    assert rules.choose_by_norm([Fitted(1.0, 0.1, 5.0), Fitted(1.0, 0.2, 5.0)], [1, 0]) == 1
