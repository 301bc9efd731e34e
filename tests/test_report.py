"""The command `report`: what it says, writes and refuses."""

import filecmp
import os
import subprocess
import sys

import matplotlib
import pytest
from report_runs import make_run, six_runs
from scipy import stats

from tf_tickets import storage
from tf_tickets.analysis.analyses import similarity
from tf_tickets.errors import StateError, UsageError
from tf_tickets.report import command, pairing, plots, tables


class TestCommand:
    def test_report(self, tmp_path, no_figures):
        six_runs(tmp_path / "runs")
        text, problems = command.report([str(tmp_path / "runs")], str(tmp_path / "out"))
        assert not problems and "Last round 2, density 64.00 %: ticket - dense: +3.5 points, 95 % interval" in text
        assert "6 pairs, exact sign-flip p = 0.031." in text and "not allowed" in text
        assert "mean test accuracy ± sd (runs)" in text and "52.50 ± 1.87 % (6)" in text

    def test_a_published_folder_stands_for_its_rows(self, tmp_path, no_figures):
        six_runs(tmp_path / "runs")
        command.report([str(tmp_path / "runs")], str(tmp_path / "published"))
        text, _ = command.report([str(tmp_path / "published")], str(tmp_path / "again"))
        assert "6 pairs" in text
        for name in ("report.csv", "paired.csv"):
            assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "published" / name).read_bytes()
        make_run(tmp_path / "other", [0.5, 0.6], seed=9)
        with pytest.raises(UsageError, match="--out"):
            command.report([str(tmp_path / "published"), str(tmp_path / "other")])

    @pytest.mark.parametrize("column, value", [
        ("searched", 2), ("control", "bogus"), ("weights_total", 0), ("weights_left", -5), ("weights_left", 10**30),
        ("density", 0.3),
    ])  # fmt: skip
    def test_rows_that_cannot_be_are_named(self, tmp_path, no_figures, column, value):
        six_runs(tmp_path / "runs")
        frame = tables.collect([str(tmp_path / "runs")])[0].astype(object)
        frame.loc[1, column] = value
        tables.write_table(frame, str(tmp_path / "rows.csv"))
        with pytest.raises(UsageError, match=r"rows.csv, row 2: \w+ is"):
            command.report([str(tmp_path / "rows.csv")], str(tmp_path / "out"))
        assert not (tmp_path / "out").exists()

    def test_rows_of_shortened_rounds_alone_are_left_out(self, tmp_path, no_figures):
        six_runs(tmp_path / "runs")
        frame = tables.collect([str(tmp_path / "runs")])[0]
        frame.loc[frame["seed"] == 3, "searched"] = 1
        tables.write_table(frame, str(tmp_path / "rows.csv"))
        text, problems = command.report([str(tmp_path / "rows.csv")], str(tmp_path / "out"))
        assert "5 runs" in text and len(problems) == 1 and "trained in full" in problems[0]

    def test_rivals_without_a_common_pair_are_named_and_an_older_table_goes(self, tmp_path, no_figures):
        six_runs(tmp_path / "runs")
        make_run(tmp_path / "random", [0.5, 0.5, 0.5], seed=2, control="random")
        make_run(tmp_path / "apart", [0.5, 0.5, 0.5], seed=9, control="random")
        text, _ = command.report([str(tmp_path / "runs"), str(tmp_path / "random")], str(tmp_path / "out"))
        assert "against its rivals" in text and (tmp_path / "out" / "rivals.csv").exists()
        text, _ = command.report([str(tmp_path / "runs"), str(tmp_path / "apart")], str(tmp_path / "out"))
        assert "in common: random pruning" in text and not (tmp_path / "out" / "rivals.csv").exists()

    def test_the_round_that_the_ticket_is_is_marked(self, tmp_path):
        for seed, chosen in ((0, 1), (1, 2)):
            folder = make_run(tmp_path / "runs", [0.5, 0.6, 0.55], seed)
            os.makedirs(folder.ticket)
            storage.write_json(os.path.join(folder.ticket, "ticket.json"), {"round": chosen, "settings": {}})
        text, _ = command.report([folder.folder], str(tmp_path / "one"))
        assert "  * 2   64.00 %" in text and pairing.MARK_NOTE in text and "* 1" not in text
        assert pairing.MARK_NOTE in (tmp_path / "one" / "report.html").read_text()
        assert "the ticket" in (tmp_path / "one" / "accuracy.svg").read_text()
        text, _ = command.report([str(tmp_path / "runs")], str(tmp_path / "all"))
        assert "* 2" not in text and text.count("1 of 2") == 2

    def test_an_accuracy_on_few_test_images_has_an_interval(self, tmp_path):
        folder = make_run(tmp_path / "runs", [17 / 18])
        storage.write_json(folder.data, {"test_counts": [9, 9]})
        text, _ = command.report([folder.folder], str(tmp_path / "out"))
        low, high = stats.binomtest(17, 18).proportion_ci(0.95, "wilson")
        interval = f"[{100 * low:.1f}, {100 * high:.1f}] over 18"
        assert interval in text and interval in (tmp_path / "out" / "report.html").read_text()
        make_run(tmp_path / "many", [0.5])
        make_run(tmp_path / "many", [0.6], 1)
        text, _ = command.report([str(tmp_path / "many")], str(tmp_path / "out"))
        assert "test images" not in text  # of 10,000 runs differ by more

    def test_data_sets_are_kept_apart(self, tmp_path):
        for dataset in ("cifar10", "digits"):
            make_run(tmp_path / "runs", [0.5, 0.6], dataset=dataset)
            make_run(tmp_path / "runs", [0.5, 0.4], dataset=dataset, control="random")
        (tmp_path / "runs" / "accuracy.png").write_text("of an earlier report")
        text, _ = command.report([str(tmp_path / "runs")])
        names = [f"accuracy-{dataset}.{kind}" for dataset in ("cifar10", "digits") for kind in ("png", "svg")]
        assert set(names) <= set(os.listdir(tmp_path / "runs")) and not (tmp_path / "runs" / "accuracy.png").exists()
        assert text.count("against its rivals") == 2 and ", ".join(names) in text
        page = (tmp_path / "runs" / "report.html").read_text()
        for dataset in ("cifar10", "digits"):
            assert f"All recipes of {dataset}" in page
            assert (tmp_path / "runs" / "figures" / f"rivals-{dataset}.svg").exists()

    def test_csv_redraws_the_same_bytes(self, tmp_path):
        six_runs(tmp_path / "runs")
        make_run(tmp_path / "runs", [0.4, 0.5], control="random", validation=0.3)
        command.report([str(tmp_path / "runs")])
        again = tmp_path / "again"
        command.report([str(tmp_path / "runs" / "report.csv")], str(again))
        same = ["accuracy.png", "accuracy.svg", "paired.csv", "report.csv", "report.parquet", "rivals.csv"]
        assert sorted(os.listdir(again)) == sorted([*same, "figures", "report.html"])
        for name in same:
            assert (again / name).read_bytes() == (tmp_path / "runs" / name).read_bytes(), name

    def test_other_settings_of_matplotlib_change_nothing(self, tmp_path):
        frame = tables.run_table(make_run(tmp_path, [0.5, 0.6]), 1)
        first = plots.accuracy_against_density(frame, str(tmp_path / "first"), "title")
        with matplotlib.rc_context({"font.size": 20, "lines.linewidth": 9}):
            again = plots.accuracy_against_density(frame, str(tmp_path / "again"), "title")
            assert matplotlib.rcParams["font.size"] == 20
        assert all(filecmp.cmp(one, other, shallow=False) for one, other in zip(first, again))

    def test_inputs_are_not_overwritten(self, tmp_path, no_figures):
        make_run(tmp_path / "a", [0.5, 0.6])
        make_run(tmp_path / "b", [0.5, 0.6], seed=1)
        tables.write_rows(tables.collect([str(tmp_path / "a")])[0], str(tmp_path / "a" / "report.csv"))
        with pytest.raises(UsageError, match="--out"):
            command.report([str(tmp_path / "a" / "report.csv"), str(tmp_path / "b")])
        assert len(tables.read_rows(str(tmp_path / "a" / "report.csv"))) == 2

    def test_damaged_runs(self, tmp_path, no_figures):
        folder = make_run(tmp_path, [0.5, 0.6])
        make_run(tmp_path, [0.5, 0.6], seed=1)
        storage.write_bytes(folder.round(0).summary, b"{")
        text, problems = command.report([str(tmp_path)])
        assert len(problems) == 1 and folder.folder in problems[0]
        assert "1 run" in text and "no interval, 1 pair" in text
        with pytest.raises(StateError, match="seed_0"):
            command.report([folder.folder])
        with pytest.raises(UsageError):
            command.report([])

    def test_dense_runs_alone(self, tmp_path, no_figures):
        make_run(tmp_path, [0.5])
        assert "No ticket to compare" in command.report([str(tmp_path)])[0]

    def test_finish_run(self, tmp_path):
        folder = make_run(tmp_path, [0.5, 0.6])
        text = command.finish_run(folder, 1)
        rows = storage.read_csv(folder.table)
        assert (rows[1]["test_accuracy"], rows[1]["chosen"], rows[1]["validation_accuracy"]) == ("0.6", "True", "")
        assert folder.table in text and "* the chosen round" in text
        for suffix in (".png", ".svg"):
            assert folder.path("accuracy") + suffix in text and os.path.exists(folder.path("accuracy") + suffix)


def test_no_tensorflow():
    code = (
        "import sys, tf_tickets.report.command, tf_tickets.report.statistics; "
        "assert not {'tensorflow', 'keras', 'tf_keras', 'matplotlib.pyplot'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=os.path.dirname(os.path.dirname(__file__)))


def test_cka_matrices_are_named_in_words():
    assert similarity.compared_networks("cka_round_00_round_00") == "of the dense network with each other"
    words = "of the dense network (rows) and the ticket of round 7 (columns)"
    assert similarity.compared_networks("cka_round_00_round_07") == words
    assert similarity.compared_networks("cka_other") == "(cka_other)"
