"""Paired differences of a report: intervals, exact p, and the sentence on them."""

import numpy as np
import pytest
from scipy import stats

from tf_tickets.report import pairing, sentences, statistics, tables


class TestStatistics:
    def test_interval_by_hand(self):
        # Mean 2, deviation 1, t(0.975, 2) = 4.302653 over sqrt(3).
        found = statistics.mean_interval([1.0, 2.0, 3.0])
        assert found.mean == 2.0
        assert found.high - 2.0 == pytest.approx(4.302652729749464 / 3**0.5, rel=1e-9)

    def test_two_pairs_that_agree_have_no_interval(self):
        for sides in (([0.42, 0.41], [0.39, 0.38]), ([0.5, 0.5], [0.5, 0.5])):
            result = statistics.paired_difference(*sides)
            assert (result.low, result.high, result.n, result.shown) == (None, None, 2, False)
            assert "points, no interval since both pairs agree, 2 pairs" in result.sentence()
            assert "no interval since both pairs agree, two pairs" in sentences.headline(0.1, 0.4, 0.4, result)
            assert tables.interval(pairing.bounds(result)) == "none: both agree"
        assert statistics.mean_interval([0.3, 0.3]).low is None and statistics.mean_interval([0.3, 0.3]).sd == 0.0
        assert statistics.paired_difference([0.1, 0.1], [0.2, 0.2001]).low is not None
        assert statistics.paired_difference([0.1] * 3, [0.2] * 3).low is not None
        assert tables.interval(pairing.bounds(statistics.paired_difference([0.1], [0.2]))) == ""

    def test_exact_p_by_hand(self):
        # 1 + 2 + 3 = 6 is reached only with all signs alike: 2 of 8 flips.
        assert statistics.paired_difference([0, 0, 0], [1, 2, 3]).p_value == 0.25
        # Sums of +-1 +-2 -+3 with |sum| >= 0: all.
        assert statistics.paired_difference([0, 0, 0], [1, 2, -3]).p_value == 1.0
        # All alike or one of the six against the rest: 2 (1 + 6) of 64.
        assert statistics.paired_difference([0.0] * 6, [0.1] * 5 + [-0.1]).p_value == 14 / 64

    @pytest.mark.parametrize("n", [2, 6, 10])
    def test_agrees_with_scipy(self, n):
        random = np.random.RandomState(n)
        dense = random.randint(5000, 5500, n) / 10_000
        ticket = dense + random.randint(-20, 80, n) / 10_000
        found = statistics.paired_difference(dense, ticket, 0.9)
        interval = stats.ttest_rel(ticket, dense).confidence_interval(0.9)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
        peer = stats.permutation_test(
            (ticket, dense), lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples",
            n_resamples=np.inf,
        )  # fmt: skip
        assert found.p_value == pytest.approx(peer.pvalue, abs=1e-12)

    def test_many_pairs_are_sampled_the_same_each_time(self):
        ticket = np.random.RandomState(1).normal(0.05, 0.1, 20)
        first, second = (statistics.paired_difference(np.zeros(20), ticket) for _ in range(2))
        assert first == second and not first.exact and "exact" not in first.sentence()
        assert first.p_value == pytest.approx(stats.ttest_1samp(ticket, 0).pvalue, abs=0.01)

    def test_sentence(self):
        found = statistics.PairedDifference(0.021, 0.008, 0.034, 6, 0.03125)
        assert found.sentence() == (
            "ticket - dense: +2.1 points, 95 % interval [+0.8, +3.4], 6 pairs, exact sign-flip p = 0.031"
        )
        around_zero = statistics.PairedDifference(0.001, -0.002, 0.004, 6, 0.5)
        assert around_zero.sentence().endswith("p = 0.500; no difference shown")

    def test_few_pairs_show_nothing(self):
        five = statistics.paired_difference([0.5] * 5, [0.6, 0.61, 0.6, 0.59, 0.6])
        assert five.low > 0 and five.sentence().endswith("no difference shown")
        one = statistics.paired_difference([0.5], [0.6])
        assert (one.low, one.high, one.p_value) == (None, None, 1.0)
        assert "no interval, 1 pair," in one.sentence() and one.sentence().endswith("no difference shown")

    @pytest.mark.parametrize("dense, ticket", [([], []), ([1.0], [1.0, 2.0]), ([1.0], [float("nan")])])
    def test_refuses_what_is_no_pair(self, dense, ticket):
        with pytest.raises(ValueError):
            statistics.paired_difference(dense, ticket)
