"""What `evaluate` and `analyze` measured travels with report.csv: the same figures are drawn again without the runs."""

import os
import shutil

import pandas
import pytest
from test_page import evaluation_rows, fill, made  # noqa: F401
from test_report import make_run, no_figures  # noqa: F401

from tf_tickets import storage
from tf_tickets.report import command, details, evaluations, tables


def test_the_csv_draws_the_figures_of_the_runs(made, tmp_path):  # noqa: F811
    first, rows = made[0] / "report", tmp_path / "rows"
    rows.mkdir()
    for name in ("report.csv", "evaluations.csv"):
        shutil.copy(first / name, rows)
    text, problems = command.report([str(rows)])
    assert not problems and "evaluations.csv" in text
    assert (rows / "evaluations.csv").read_bytes() == (first / "evaluations.csv").read_bytes()
    ours, theirs = (set(os.listdir(folder / "figures")) for folder in (rows, first))
    # Training curves, weights by layer and CKA of runs that were not analysed are in no CSV.
    assert {name.partition("_")[2] for name in theirs - ours} == {"training.svg", "layers.svg", "cka_dense_ticket.svg"}
    assert any("robustness" in name for name in ours) and any("confusion" in name for name in ours)
    for name in ours:
        assert (rows / "figures" / name).read_bytes() == (first / "figures" / name).read_bytes(), name


def test_training_alone_leaves_no_csv(tmp_path, no_figures):  # noqa: F811
    fill(make_run(tmp_path / "runs", [0.5, 0.6]), [0.5, 0.6], ())
    (tmp_path / "runs" / "evaluations.csv").write_text("of an earlier report")
    assert "evaluations.csv" not in command.report([str(tmp_path / "runs")])[0]
    assert not (tmp_path / "runs" / "evaluations.csv").exists()


def test_a_damaged_csv_is_named_and_kept(tmp_path, no_figures):  # noqa: F811
    fill(make_run(tmp_path / "runs", [0.5, 0.6, 0.7]), [0.5, 0.6, 0.7])
    command.report([str(tmp_path / "runs")], str(tmp_path / "rows"))
    path = tmp_path / "rows" / "evaluations.csv"
    path.write_bytes(path.read_bytes().replace(b"accuracy,0.5,", b"accuracy,half,"))
    damaged = path.read_bytes()
    (problem,) = command.report([str(tmp_path / "rows")])[1]
    assert "evaluations.csv is left out of the page: ValueError" in problem and "'half'" in problem
    assert path.read_bytes() == damaged


def test_rows_of_runs_that_are_not_in_the_table_are_left_out(tmp_path):
    make_run(tmp_path / "runs", [0.5, 0.6])
    frame, _ = tables.collect([str(tmp_path / "runs")])
    run, path = frame["run"].iloc[0], tmp_path / "rows" / "evaluations.csv"
    rows = [row | {"run": name} for name in (run, "other/seed_0") for row in evaluation_rows(1, 0.6)]
    rows += [row | {"run": run} for row in evaluation_rows(7, 0.6)]
    storage.write_csv(str(path), rows, list(rows[0]))
    csv = str(tmp_path / "rows" / "report.csv")
    tables.write_rows(frame, csv)
    found = evaluations.gather([csv], {}, frame, [])
    assert set(found["run"]) == {run} and set(found["round"]) == {1} and len(found) == len(evaluation_rows(1, 0.6))
    # Where the run's folder is there, its own rows count.
    folders = details.sources([str(tmp_path / "runs")], frame, [])
    assert evaluations.gather([str(tmp_path / "runs"), csv], folders, frame, []).empty


def test_layers_and_cka_of_analyses():
    rows = []
    for run, shift in (("a/seed_0", 0.0), ("a/seed_1", 0.1)):
        for index, density in ((0, 1.0), (2, 0.4)):
            facts = {"run": run, "round": index, "density": density, "n": 9}
            for layer in ("second", "first"):
                value = density - shift * index
                rows.append(facts | {"evaluator": "density", "setting": "mask", "metric": f"density:{layer}",
                                     "value": value})  # fmt: skip
            for pair, value in (("x>y", 0.2 + shift), ("x>x", 1.0), ("y>y", 1.0), ("y>x", 0.2 + shift)):
                rows.append(facts | {"evaluator": "similarity", "setting": "round_00,images=9", "metric": f"cka:{pair}",
                                     "value": value})  # fmt: skip
    table = evaluations.densities(pandas.DataFrame(rows))
    assert list(table.index) == ["second", "first"] and list(table.columns) == [0, 2]
    assert table[2].to_list() == pytest.approx([0.3, 0.3]) and table[0].to_list() == [1.0, 1.0]
    matrices = evaluations.similarities(pandas.DataFrame(rows))
    assert [name for name, _ in matrices] == ["cka_round_00_round_00", "cka_round_00_round_02"]
    assert matrices[1][1].loc["x", "y"] == 0.2
    assert evaluations.similarities(pandas.DataFrame(rows).iloc[:2]) == []
    assert evaluations.densities(pandas.DataFrame(rows).iloc[2:6]) is None
