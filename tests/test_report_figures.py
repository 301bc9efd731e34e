"""Figures of a report: what is drawn, and that names and intervals are drawn whole."""

import os

import numpy as np
import pandas
import pytest
from report_runs import make_run, six_runs

from tf_tickets import columns
from tf_tickets.plotting import canvas
from tf_tickets.plotting import rows as plotted
from tf_tickets.report import command, figures_robustness, plots, statistics, tables


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
