"""What `evaluate` and `analyze` measured travels with report.csv: the same figures are drawn again without the runs."""

import os
import shutil

import pandas
import pytest
import trees
from page_runs import fill, measured_rows
from report_runs import make_run
from test_page import made  # noqa: F401

from tf_tickets import runs, storage
from tf_tickets.analysis.analyses import similarity
from tf_tickets.errors import UsageError
from tf_tickets.plotting import maps
from tf_tickets.registry import ANALYSES
from tf_tickets.report import command, plots, tables


def test_the_csv_draws_the_figures_of_the_runs(made, tmp_path):  # noqa: F811
    first, rows = made[0] / "report", tmp_path / "rows"
    rows.mkdir()
    for name in ("report.csv", "evaluations.csv"):
        shutil.copy(first / name, rows)
    text, problems = command.report([str(rows)])
    assert not problems and "evaluations.csv" in text
    assert (rows / "evaluations.csv").read_bytes() == (first / "evaluations.csv").read_bytes()
    ours, theirs = (set(os.listdir(folder / "figures")) for folder in (rows, first))
    # Training curves, and weights by layer of runs that were not analysed, are in no CSV.
    assert {name.partition("_")[2] for name in theirs - ours} == {"training.svg", "layers.svg"}
    assert any("robustness" in name for name in ours) and any("confusion" in name for name in ours)
    for name in ours:
        assert (rows / "figures" / name).read_bytes() == (first / "figures" / name).read_bytes(), name


def test_training_alone_leaves_no_csv(tmp_path, no_figures):
    fill(make_run(tmp_path / "runs", [0.5, 0.6]), [0.5, 0.6], ())
    (tmp_path / "runs" / "evaluations.csv").write_text("of an earlier report")
    assert "evaluations.csv" not in command.report([str(tmp_path / "runs")])[0]
    assert not (tmp_path / "runs" / "evaluations.csv").exists()


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """The folder above one run whose rounds 0 and 2 were evaluated, `runs`, and the report on it, `rows`."""
    place = tmp_path_factory.mktemp("reported")
    fill(make_run(place / "runs", [0.5, 0.6, 0.7]), [0.5, 0.6, 0.7])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "accuracy_against_density", lambda *arguments: None)
        command.report([str(place / "runs")], str(place / "rows"))
    return place


@pytest.fixture
def published(reported, tmp_path, no_figures):
    """Copies of the folder of the report and of the run's, to be changed."""
    for name in ("runs", "rows"):
        shutil.copytree(reported / name, tmp_path / name)
    return tmp_path / "rows", runs.RunFolder(trees.only_run(tmp_path / "runs"))


@pytest.mark.parametrize("before, after, named", [
    (b"accuracy,0.5,", b"accuracy,half,", "'half'"), (b"accuracy,0.5,", b"accuracy,5.0,", "accuracy is 5.0"),
    (b"accuracy,0.5,", b"accuracy,inf,", "accuracy is inf"), (b"accuracy,0.5,", b"accuracy,-0.5,", "accuracy is -0.5"),
    (b"accuracy,0.5,100", b"accuracy,0.5," + b"9" * 400, "n is 9"),
    (b"accuracy,0.5,100", b"accuracy,0.5,-1", "n is -1"),
    (b"cat>cat,20.0,50", b"cat>cat,20.0,0", "n is 0"), (b"run,round", b"\xef\xbb\xbfrun,round", "row 1 lacks run"),
    (b"metric,value", b"metric,worth", "row 1 lacks value"), (b"cat>cat", b"\xff", "cannot be read"),
])  # fmt: skip
def test_a_damaged_csv_is_named_and_kept(published, tmp_path, before, after, named):
    folder, _ = published
    path, report = folder / "evaluations.csv", (folder / "report.csv").read_bytes()
    assert before in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(before, after, 1))
    damaged = path.read_bytes()
    with pytest.raises(UsageError, match=r"evaluations.csv is damaged and would be replaced: restore it, or name"):
        command.report([str(folder)])
    assert path.read_bytes() == damaged and (folder / "report.csv").read_bytes() == report
    (problem,) = command.report([str(folder)], str(tmp_path / "out"))[1]
    assert "evaluations.csv is left out of the page: " in problem and named in problem
    assert not (tmp_path / "out" / "evaluations.csv").exists() and path.read_bytes() == damaged


@pytest.mark.parametrize("setting", ["eps=1.2.3", "fog:" + "9" * 40])
def test_odd_settings_are_rows_like_others(published, tmp_path, setting):
    path = published[0] / "evaluations.csv"
    path.write_bytes(path.read_bytes().replace(b"eps=0.03137", setting.encode()))
    assert command.report([str(published[0])], str(tmp_path / "out"))[1] == []
    assert setting in (tmp_path / "out" / "evaluations.csv").read_text()


def test_what_is_measured_twice_counts_once(published, tmp_path):
    folder, run = published
    path, one = folder / "evaluations.csv", tmp_path / "out" / "evaluations.csv"
    rows = path.read_bytes()
    for paths in ([folder, folder / ".." / "rows"], [run.folder, folder], [folder, run.folder]):
        assert command.report([str(path) for path in paths], str(tmp_path / "out"))[1] == []
        assert sorted(one.read_bytes().splitlines()) == sorted(rows.splitlines())
    head, first, *rest = rows.splitlines()
    path.write_bytes(b"\n".join([head, first, *rest, first]))
    assert command.report([str(folder)], str(tmp_path / "out"))[1] == [] and one.read_bytes() == rows
    path.write_bytes(rows.replace(b"accuracy,0.5,", b"accuracy,0.25,", 1))
    (problem,) = command.report([run.folder, str(folder)], str(tmp_path / "out"))[1]
    assert "1 of its rows have other values in an earlier file" in problem and one.read_bytes() == rows


def test_a_run_s_folder_does_not_hide_what_the_csv_has_beyond_it(published, tmp_path):
    folder, run = published
    rows = (folder / "evaluations.csv").read_bytes()
    for index, accuracy in ((0, 0.5), (2, 0.7)):  # what training leaves
        (row, *_) = measured_rows(index, accuracy)
        storage.write_csv(run.round(index).evaluations, [row], list(row))
    text, problems = command.report([run.folder, str(folder)], str(folder))
    assert not problems and sorted((folder / "evaluations.csv").read_bytes().splitlines()) == sorted(rows.splitlines())


def test_rows_of_rounds_that_are_not_in_the_table_are_named_and_kept(published, tmp_path):
    folder, _ = published
    path = folder / "evaluations.csv"
    frame = tables.read_rows(str(folder / "report.csv"))
    tables.write_rows(frame[frame["round"] < 2], str(folder / "report.csv"))
    lost, rows = sum(line.split(b",")[1] == b"2" for line in path.read_bytes().splitlines()), path.read_bytes()
    (problem,) = command.report([str(folder)], str(tmp_path / "out"))[1]
    assert f"left out in part: {lost} of its rows are of rounds that no report.csv" in problem
    with pytest.raises(UsageError, match=f"would lose {lost} rows of runs that are not reported"):
        command.report([str(folder)])
    assert path.read_bytes() == rows


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
    frame = pandas.DataFrame(rows)
    (shown,) = ANALYSES["density"].page(frame[frame["evaluator"] == "density"])
    assert shown.name == "layers" and "mean over runs" in shown.caption
    long = frame[frame["evaluator"] == "density"].assign(layer=lambda rows: rows["metric"].str.slice(len("density:")))
    table = maps.mean_by_round(long)
    assert list(table.index) == ["second", "first"] and list(table.columns) == [0, 2]
    assert table[2].to_list() == pytest.approx([0.3, 0.3]) and table[0].to_list() == [1.0, 1.0]
    assert ANALYSES["density"].page(frame[frame["evaluator"] == "similarity"]) == []
    compared = [row for row in rows if row["evaluator"] == "similarity" and row["run"] == "a/seed_0"]
    matrices = similarity.matrices(compared)
    assert [name for name, *_ in matrices] == ["cka_round_00_round_00", "cka_round_00_round_02"]
    assert matrices[1][2].loc["x", "y"] == 0.2
    shown = ANALYSES["similarity"].page(frame[frame["evaluator"] == "similarity"])
    assert [figure.name for figure in shown] == [name for name, *_ in matrices]
    assert "the dense network (rows) and the ticket of round 2 (columns)" in shown[1].caption


def test_damaged_rows_of_similarity_are_named(published, tmp_path):
    path, run = published[0] / "evaluations.csv", tables.read_rows(str(published[0] / "report.csv"))["run"].iloc[0]
    row = f"{run},0,1.0,similarity,round_00,cka:stem,0.5,100\n"
    path.write_bytes(path.read_bytes().rstrip(b"\r\n") + b"\n" + row.encode())
    (problem,) = command.report([str(published[0])], str(tmp_path / "out"))[1]
    assert "what evaluations.csv has of similarity is left out of the page" in problem
