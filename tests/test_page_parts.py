"""Parts of a report's page, each by itself: evaluations, sentences and small pictures."""

import numpy as np
import pandas
import pytest
from page_runs import CLASSES, fill
from report_runs import make_run

from tf_tickets.report import (
    details,
    evaluation_rows,
    evaluations,
    sentences,
    statistics,
    tables,
    thumbnails,
)


def gathered(folder, frame, problems):
    paths = [str(folder)]
    return evaluation_rows.gather(paths, details.sources(paths, frame, problems), frame, problems)


class TestEvaluations:
    @pytest.fixture
    def rows(self, tmp_path):
        for seed in range(3):
            accuracies = [0.5, 0.55 + seed / 100, 0.6 + seed / 100]
            # The last run's ticket is round 1: the others' was looked at in round 2.
            fill(make_run(tmp_path, accuracies, seed), accuracies, (0, 1 if seed == 2 else 2))
        frame = tables.collect([str(tmp_path)])[0]
        problems = []
        found = gathered(tmp_path, frame, problems)
        assert not problems
        return found

    def test_the_evaluated_round_is_compared(self, rows):
        both = evaluations.compared(rows)
        clean = both[(both["evaluator"] == "clean") & (both["metric"] == "accuracy")]
        assert list(clean["round"]) == [2, 2, 1] and list(clean["ticket"]) == pytest.approx([0.6, 0.61, 0.57])
        found = {entry["title"]: entry for entry in evaluations.measures(both)}
        peer = statistics.paired_difference([0.125] * 3, np.array([0.6, 0.61, 0.57]) / 4)
        assert found["FGSM, eps 0.0314"]["difference"].mean == pytest.approx(peer.mean)
        assert found["FGSM, eps 0.0314"]["difference"].n == 3

    def test_severities(self, rows):
        table = evaluations.by_severity(evaluations.compared(rows))["generated-corruptions"]
        assert list(table.index) == ["fog", "contrast"] and list(table.columns) == [1, 2, 3, 4, 5]
        # Dense loses 0.02 s; the tickets lose 0.06 s, 0.06 s and 0.04 s.
        assert table.loc["fog", 5] == pytest.approx(100 * (np.mean([0.1, 0.11, 0.07]) - 0.02 * 5 * (2 + 2 + 1) / 3))

    def test_confusion_with_signs_in_names(self, rows):
        dense, ticket = evaluations.confusions(rows, evaluations.compared(rows))
        assert list(dense.index) == CLASSES and list(dense.sum(axis=1)) == pytest.approx([1, 1, 1])
        assert dense.loc["a>b", "a>b"] == pytest.approx(0.5) and dense.loc["a>b", "cat"] == pytest.approx(0.5)
        assert ticket.loc["cat", "cat"] == pytest.approx(np.mean([0.5, 0.51, 0.47]))

    def test_training_alone_evaluates_nothing(self, tmp_path):
        fill(make_run(tmp_path, [0.5, 0.6]), [0.5, 0.6], ())
        frame = tables.collect([str(tmp_path)])[0]
        rows = gathered(tmp_path, frame, [])
        assert len(rows) == 2 and evaluations.compared(rows).empty


class TestSentences:
    def test_worse_and_not_shown(self):
        worse = statistics.PairedDifference(-0.021, -0.034, -0.008, 6, 0.03125)
        text = sentences.headline(0.107, 0.4, 0.379, worse)
        assert text.startswith("At 10.7 % of the weights the ticket is 2.1 points worse than its dense network: 37.9 %")
        none = sentences.headline(0.004, 0.4, 0.401, statistics.PairedDifference(0.001, -0.002, 0.004, 8, 0.5))
        assert "At 0.4 % of the weights no difference" in none and "+0.1 points" in none and "cannot" not in none
        few = sentences.headline(0.5, 0.4, 0.5, statistics.PairedDifference(0.1, 0.09, 0.11, 5, 0.0625))
        cannot = "Five pairs cannot show one, whatever the numbers: that takes at least six."
        assert "no difference" in few and few.endswith(cannot)

    def test_holm_by_hand(self):
        # 0.01 x 3, 0.02 x 2, 0.04 x 1; never below the one before.
        assert list(statistics.holm([0.04, 0.01, 0.02])) == pytest.approx([0.04, 0.03, 0.04])
        assert list(statistics.holm([0.6, 0.9])) == [1.0, 1.0] and len(statistics.holm([])) == 0

    def test_rounds_together(self):
        pairs = pandas.DataFrame({"p_value": [2 / 64, 2 / 64], "n": [6, 6]})
        corrected, text = sentences.over_rounds(pairs)
        assert corrected == [4 / 64, 4 / 64]
        assert "leaves none below 0.05; with six pairs none could be" in text and "0.062 after" in text
        assert "leaves 2 below 0.05." in sentences.over_rounds(pairs.assign(p_value=0.001, n=12))[1]
        assert "looking at all two rounds leaves" in text
        assert "looking at one round leaves" in sentences.over_rounds(pairs[:1])[1]


@pytest.mark.parametrize("shape", [(8, 8, 1), (8, 8, 3), (200, 100, 3), (8, 8, 2)])
def test_thumbnails(shape):
    address = thumbnails.data_address(np.zeros(shape, np.uint8))
    assert address.startswith("data:image/png;base64,") and len(address) < 2000
