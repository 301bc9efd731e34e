"""Statistics, tables, figures and the report of finished runs."""

import filecmp
import os
import subprocess
import sys

import matplotlib
import numpy as np
import pandas
import pytest
from scipy import stats

from tf_tickets import columns, runs, storage
from tf_tickets.analysis.analyses import similarity
from tf_tickets.errors import StateError, UsageError
from tf_tickets.plotting import canvas
from tf_tickets.plotting import rows as plotted
from tf_tickets.report import command, figures_robustness, pairing, plots, sentences, statistics, tables
from tf_tickets.settings.config import Config

TOTAL = 10_000


def make_run(out, accuracies, seed=0, validation=None, best=None, **values):
    """A run folder with one complete round for each accuracy."""
    config = Config.from_values(out=str(out), seed=seed, fraction=0.01, **values)
    folder = runs.RunFolder.of(config)
    storage.write_bytes(folder.config, config.flagfile().encode())
    left = TOTAL
    for index, accuracy in enumerate(accuracies):
        storage.write_json(folder.round(index).summary, {
            "round": index, "density": left / TOTAL, "weights_left": left, "weights_total": TOTAL, "epochs": 200,
            "train_loss": 0.1, "test_accuracy": accuracy, "test_balanced_accuracy": accuracy - 0.01,
            "test_accuracy_best_epoch": best, "epochs_evaluated": 2, "validation_accuracy": validation,
        })  # fmt: skip
        left -= round(0.2 * left)
    return folder


def six_runs(out, **values):
    for seed in range(6):
        make_run(out, [0.5 + 0.01 * seed, 0.52 + 0.01 * seed, 0.53 + 0.012 * seed], seed, **values)


@pytest.fixture
def no_figures(monkeypatch):
    """Leaves the drawing out where a test is about something else."""
    monkeypatch.setattr(plots, "accuracy_against_density", lambda *arguments: None)


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


class TestFigures:
    def test_one_run(self, tmp_path):
        frame = tables.run_table(make_run(tmp_path, [0.5, 0.6, 0.4]), 1)
        (axes,) = plots.figure(frame, "title").axes
        lines = {line.get_label(): line for line in axes.lines}
        assert list(lines["dense"].get_ydata()) == [50.0, 50.0]
        assert list(lines["after pruning"].get_xdata()) == list(frame["density"])
        assert list(lines["after pruning"].get_ydata()) == pytest.approx([50.0, 60.0, 40.0])
        assert lines["chosen round"].get_xydata().tolist() == [[0.8, 60.0]]
        assert axes.get_xscale() == "log" and axes.get_xlim()[0] > 1.0 > 0.64 > axes.get_xlim()[1]
        assert [text.get_text() for text in axes.get_xticklabels()] == ["100 %", "80 %", "64 %"]

    @pytest.mark.parametrize("control", ["none", "small_dense"])
    def test_a_run_of_one_round_ends_with_its_figure(self, tmp_path, control):
        folder = make_run(tmp_path, [0.5], control=control)
        text = command.finish_run(folder, 0)
        assert "figure: " in text and os.path.getsize(folder.path("accuracy") + ".png") > 0

    def test_several_groups(self, tmp_path):
        six_runs(tmp_path)
        six_runs(tmp_path, control="random")
        frame, _ = tables.collect([str(tmp_path)])
        (axes,) = plots.figure(frame, "").axes
        means = [line for line in axes.lines if "mean of 6 runs" in line.get_label()]
        # The control's dense network is the search's, so one dashed line stands for both.
        assert len(axes.lines) == 1 + 2 * (6 + 1) and len(axes.collections) == 2
        assert {line.get_label().split(":")[0] for line in means} == {"magnitude", "random pruning"}
        assert len({line.get_color() for line in means}) == 2
        wanted = 100 * frame.groupby("round")["test_accuracy"].mean()
        assert means[0].get_ydata() == pytest.approx(list(wanted))
        band = axes.collections[0].get_paths()[0].vertices[:, 1]
        spread = statistics.mean_interval(100 * np.array([0.53 + 0.012 * seed for seed in range(6)]))
        assert np.isclose(band, spread.high).any() and np.isclose(band, spread.low).any()

    def test_mean_covers_rounds_that_all_have_reached(self, tmp_path):
        make_run(tmp_path, [0.5, 0.6, 0.7])
        make_run(tmp_path, [0.5, 0.6], seed=1)
        (axes,) = plots.figure(tables.collect([str(tmp_path)])[0], "").axes
        assert [len(line.get_xdata()) for line in axes.lines if "mean" in line.get_label()] == [2]

    def test_two_runs_have_no_band(self, tmp_path):
        for seed in range(2):
            make_run(tmp_path, [0.5, 0.6 + 0.01 * seed], seed=seed)
        (axes,) = plots.figure(tables.collect([str(tmp_path)])[0], "").axes
        assert not axes.collections and "mean of 2 runs" in [line.get_label() for line in axes.lines]

    def test_an_interval_that_fits_is_drawn_whole(self):
        wide, close = statistics.PairedDifference(0.01, -0.02, 0.04, 3, 0.5), (-0.02, 0.03, 8)
        several = statistics.PairedDifference(0.005, *close, 0.5)
        endless = statistics.PairedDifference(0.01, -0.5, 0.52, 2, 0.5)
        for entries, lowest, highest in (
            ([several, wide], -2, 4), ([several, wide, endless], -2, 4), ([wide, endless], -50, 52),
        ):  # fmt: skip
            (axes,) = figures_robustness.forest([("name", entry) for entry in entries]).axes
            low, high = axes.get_xlim()
            assert (low, high) == pytest.approx((lowest, highest), abs=0.07 * (highest - lowest))
            assert low < lowest < highest < high

    def test_names_are_drawn_whole(self):
        names = ["RigL", "random (erk) at initialisation, augment rand, rewind epoch:2, 12.50 % left", "x" * 90]
        entries = [(name, statistics.PairedDifference(0.01, -0.01, 0.02, 6, 0.5)) for name in names]
        drawn = figures_robustness.forest(entries)
        drawn.draw_without_rendering()
        (axes,) = drawn.axes
        texts = [label.get_text() for label in axes.get_yticklabels()]
        assert ["".join(text.split()) for text in texts] == ["".join(name.split()) for name in names]
        assert texts[1].splitlines()[-1].endswith("12.50 % left")
        boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
        assert all(box.x0 >= 0 for box in boxes) and all(a.y0 >= b.y1 for a, b in zip(boxes, boxes[1:]))

    def test_shares_that_were_measured_are_in_per_cent(self):
        rows = [
            {"metric": metric, "setting": "test", "density": density, "value": density / 2}
            for metric in ("accuracy", "length") for density in (1.0, 0.5)
        ]  # fmt: skip
        drawn = plotted.by_density(rows, "mine")
        shares, lengths = drawn.axes
        assert drawn.get_suptitle() == "mine" and shares.get_ylabel() == "accuracy (%)"
        assert list(shares.lines[0].get_ydata()) == [50.0, 25.0] and list(lengths.lines[0].get_ydata()) == [0.5, 0.25]
        assert columns.measured("accuracy", 0.5) == "50.00 %" and columns.measured("length", 0.5) == "0.5"

    @pytest.mark.parametrize("rounds, rate", [(1, 0.8), (5, 0.98), (16, 0.8), (16, 0.99), (20, 0.5), (9, 0.1)])
    def test_tick_labels_have_room(self, rounds, rate):
        densities = pandas.Series([rate**k for k in range(rounds)])
        ticks = canvas._ticks(densities)
        assert min(rounds, 3) <= len(ticks) <= 9 and ticks[0] == pytest.approx(1.0)
        assert (-np.diff(np.log(ticks)) > 0.07 * np.log(1 / densities.min())).all()


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
