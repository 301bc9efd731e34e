"""Tables of a report: rows of runs, their pairs, and damage that is named."""

import os

import numpy as np
import pytest
from report_runs import make_run, six_runs

from tf_tickets import storage
from tf_tickets.errors import UsageError
from tf_tickets.report import pairing, statistics, tables


class TestTables:
    def test_run_table(self, tmp_path):
        folder = make_run(tmp_path, [0.5, 0.525, 0.49])
        frame = tables.run_table(folder, chosen=2)
        assert list(frame["weights_left"]) == [10_000, 8_000, 6_400] and list(frame["chosen"]) == [False, False, True]
        assert list(frame["difference_to_dense"]) == pytest.approx([0.0, 2.5, -1.0])
        assert frame["test_accuracy_best_epoch"].isna().all()
        with pytest.raises(ValueError, match="chosen=3"):
            tables.run_table(folder, chosen=3)

    def test_format_table(self, tmp_path):
        lines = tables.format_table(tables.run_table(make_run(tmp_path, [0.5, 0.525]), 1)).splitlines()
        titles = "round density weights left test, last epoch balanced to dense, points"
        assert " ".join(lines[0].split()) == titles
        assert " ".join(lines[1].split()) == "0 100.00 % 10,000 50.00 % 49.00 % +0.00"
        assert " ".join(lines[2].split()) == "* 1 80.00 % 8,000 52.50 % 51.50 % +2.50"
        assert len(lines[1]) == len(lines[2]) == len(lines[0])
        text = tables.format_table(tables.run_table(make_run(tmp_path, [0.5], seed=1, validation=0.4, best=0.6)))
        assert "validation" in text and "40.00 %" in text and "60.00 %" in text and "*" not in text

    def test_collect_and_pair(self, tmp_path):
        six_runs(tmp_path)
        frame, problems = tables.collect([str(tmp_path)])
        assert not problems and len(frame) == 18 and list(frame.columns) == list(tables.COLUMNS)
        assert frame["run"][0].endswith("/seed_0") and frame["run"][0].split("/")[0].endswith(frame["digest"][0])
        first, last = pairing.paired(frame).to_dict("records")
        seeds = np.arange(6)
        peer = statistics.paired_difference(0.5 + 0.01 * seeds, 0.53 + 0.012 * seeds)
        assert (first["round"], first["n"], first["density"], round(first["difference"], 9)) == (1, 6, 0.8, 2.0)
        assert last["low"] == pytest.approx(100 * peer.low) and last["p_value"] == peer.p_value == 2 / 64

    def test_order_seeds_are_no_further_pairs(self, tmp_path):
        make_run(tmp_path, [0.5, 0.6])
        make_run(tmp_path, [0.5, 0.8], order_seed=7)
        make_run(tmp_path, [0.5, 0.5], subset_seed="1")
        (row,) = pairing.paired(tables.collect([str(tmp_path)])[0]).to_dict("records")
        assert row["n"] == 2 and row["ticket_accuracy"] == pytest.approx(0.6)

    def test_a_run_given_twice_counts_once(self, tmp_path):
        folder = make_run(tmp_path / "a", [0.5, 0.6])
        once = tables.collect([str(tmp_path)])[0]
        assert tables.collect([str(tmp_path), folder.folder])[0].equals(once)
        make_run(tmp_path / "b", [0.5, 0.7])
        frame, problems = tables.collect([folder.folder, str(tmp_path / "b")])
        assert frame.equals(once) and len(problems) == 1 and str(tmp_path / "b") in problems[0]

    @pytest.mark.parametrize("text", ["{", "[]", '{"round": 0}', "\udc80"])
    def test_damaged_summary_is_named(self, tmp_path, text):
        damaged, _ = make_run(tmp_path, [0.5, 0.6]), make_run(tmp_path, [0.5, 0.6], seed=1)
        storage.write_bytes(damaged.round(1).summary, text.encode("utf-8", "surrogateescape"))
        frame, problems = tables.collect([str(tmp_path)])
        assert set(frame["seed"]) == {1}
        assert len(problems) == 1 and damaged.round(1).summary in problems[0]

    def test_other_damage_is_named(self, tmp_path):
        config, percents, none, good = (make_run(tmp_path, [0.5, 0.6], seed=s) for s in range(4))
        with open(config.config, "a") as file:
            file.write("--no_such_flag=1\n")
        summary = storage.read_json(percents.round(0).summary)
        storage.write_json(percents.round(0).summary, {**summary, "test_accuracy": 50.0})
        os.remove(none.round(0).summary)
        frame, problems = tables.collect([str(tmp_path)])
        assert set(frame["seed"]) == {3} and len(problems) == 3
        assert "no_such_flag" in problems[0] and "50.0" in problems[1] and "no complete round" in problems[2]

    def test_paths_without_runs(self, tmp_path):
        (tmp_path / "empty").mkdir()
        (tmp_path / "other.csv").write_text("a,b\n1,2\n")
        for name in ("empty", "missing", "missing.csv", "other.csv"):
            with pytest.raises(UsageError, match=name):
                tables.collect([str(tmp_path / name)])

    def test_rows_read_back(self, tmp_path):
        make_run(tmp_path, [1 / 3, 0.6], best=0.7, subset_seed="original")
        make_run(tmp_path, [0.1, 0.2], seed=1, validation=0.3, augment="none")
        frame, _ = tables.collect([str(tmp_path)])
        frame.loc[frame["seed"] == 1, "digest"] = "12345678"
        path = str(tmp_path / "rows.csv")
        tables.write_rows(frame, path)
        assert (tables.read_rows(path).dtypes == frame.dtypes).all()
        assert tables.read_rows(path).equals(frame) and tables.collect([path])[0].equals(frame)
        text = (tmp_path / "rows.csv").read_text()
        assert str(tmp_path) not in text and "nan" not in text.lower()
        (tmp_path / "rows.csv").write_text(text.replace("0.6,", "sixty,"))
        with pytest.raises(UsageError, match=r"row \d: test_accuracy is 'sixty'"):
            tables.read_rows(path)
