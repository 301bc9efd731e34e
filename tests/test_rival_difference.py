"""The difference of two networks on the same images: its interval, and what it covers."""

import numpy as np
import pytest

from tf_tickets.evaluation import paired


class TestDifference:
    def test_the_published_interval(self):
        # Newcombe 1998, table II: 36, 12, 2 and 0 of 50 pairs, method 10.
        found = paired.difference([[36, 12, 2, 0]])
        assert (found.mean, found.low, found.high) == pytest.approx((0.2, 0.0569, 0.3404), abs=5e-5)
        assert found.shown and not found.balanced and found.images == 50

    def test_the_ends(self):
        same, all_of_them = paired.difference([[5, 0, 0, 5]]), paired.difference([[0, 20, 0, 0]])
        assert same.low < 0 < same.high and not same.shown
        assert all_of_them.low > 0.7 and all_of_them.high == pytest.approx(1.0)
        turned = paired.difference([[36, 2, 12, 0]])
        assert (turned.low, turned.high) == pytest.approx((-0.3404, -0.0569), abs=5e-5)

    def test_uneven_classes_count_alike(self):
        counts = [[90, 0, 10, 0], [0, 5, 0, 5], [0, 0, 0, 0]]
        found = paired.difference(counts)
        assert found.balanced and found.images == 110
        assert (found.first, found.second) == pytest.approx(((0.9 + 0.5) / 2, (1.0 + 0.0) / 2))
        even = paired.difference([[9, 0, 1, 0], [0, 5, 0, 5]])
        assert not even.balanced and even.mean == pytest.approx((14 - 10) / 20)

    def test_outcomes_are_counted_by_class(self):
        labels = np.array([0, 0, 1, 1, 2, 2])
        first, second = np.array([0, 0, 1, 0, 0, 2]), np.array([0, 1, 0, 0, 0, 2])
        assert paired.outcomes(labels, first, second, 4) == [[1, 1, 0, 0], [0, 1, 0, 1], [1, 0, 0, 1], [0, 0, 0, 0]]

    @pytest.mark.parametrize("uneven", [False, True])
    def test_it_covers_what_it_says(self, uneven):
        random = np.random.RandomState(0)
        sizes, chances = [30, 12 if uneven else 30, 20 if uneven else 30], np.array([[0.5, 0.2, 0.1, 0.2]] * 3)
        covered = []
        for _ in range(400):
            counts = [random.multinomial(n, row).tolist() for n, row in zip(sizes, chances)]
            found = paired.difference(counts)
            covered.append(found.low <= 0.1 <= found.high)
        assert 0.93 <= np.mean(covered) <= 0.99
