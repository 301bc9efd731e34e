"""The library as a Python program or a notebook uses it."""

import dataclasses
import inspect
import os
import pathlib

import numpy as np
import pytest
from conftest import QUICK
from matplotlib.figure import Figure
from PIL import Image

import tf_tickets as tt
from tf_tickets import runs, storage
from tf_tickets.errors import UsageError
from tf_tickets.settings.groups import Training

SMALL = QUICK | {"epochs": 3, "rounds": 2, "validation": None, "tensorboard": False}


class Diary(tt.Observer):
    """Writes down what it is told."""

    def __init__(self):
        self.told = []

    def round_begins(self, index, density):
        """A round."""
        self.told.append((index, round(density, 3)))

    def epoch_ends(self, row):
        """An epoch."""
        self.told.append(row["epoch"])


@pytest.fixture(scope="module")
def diary():
    return Diary()


@pytest.fixture(scope="module")
def run(tmp_path_factory, diary):
    return tt.imp(tt.Config(**SMALL, out=str(tmp_path_factory.mktemp("runs"))), observers=[diary])


def test_settings_are_given_by_name():
    config = tt.Config(dataset="digits", epochs=7)
    assert config == tt.Config.from_values(dataset="digits", epochs=7)
    assert (config.data.dataset, config.training.epochs, tt.Config().training) == ("digits", 7, Training())
    assert tt.Config(training=Training(epochs=5), momentum=0.5).training == Training(epochs=5, momentum=0.5)
    with pytest.raises(UsageError, match="--epoch is no flag; did you mean --epochs"):
        tt.Config(epoch=7)
    with pytest.raises(UsageError, match="--epochs=0 "):
        tt.Config(epochs=0)
    with pytest.raises(UsageError, match=r"Config\(data=\) takes a Data, not a int; .* tt.imp\(config, data="):
        tt.Config(data=3)


def test_all_that_is_public_is_there_and_listed():
    names = [name for name in dir(tt) if name != "__version__"]
    assert {"Config", "Observer", "Ticket", "imp", "train", "pretrain", "evaluate", "report", "export", "predict"} <= {
        *names
    }
    assert all(getattr(tt, name) is not None for name in names)
    stub = pathlib.Path(tt.__file__).with_suffix(".pyi").read_text()
    assert [name for name in names if f" as {name}\n" not in stub] == []


def test_observers_are_told_of_every_round_and_only_inside(run, diary):
    assert diary.told == [(0, 1.0), 1, 2, 3, (1, 0.8), 2, 3]
    before = list(diary.told)
    tt.imp(tt.Config(**SMALL | {"rounds": 1, "seed": 1}, out=str(pathlib.Path(run.folder).parents[1])))
    assert diary.told == before


def test_a_run_shows_itself(run):
    assert os.fspath(run) == run.folder
    shown = repr(run)
    assert shown.startswith(f"<Run: {run.folder}>") and "80.00 %" in shown and "* the chosen round" in shown
    page = run._repr_html_()
    assert "80.00 %" in page and page.count("<svg") == 1 and "<?xml" not in page
    assert page == run._repr_html_() and isinstance(run.plot(), Figure)
    assert run.plot()._repr_png_().startswith(b"\x89PNG")  # pyplot, which would show it in a notebook, is not used
    assert list(run.table["round"]) == [0, 1]


def test_its_ticket_is_the_exported_one(run):
    assert run.ticket.round == 1 and run.ticket.content_digest == tt.Ticket.load(run.best.folder).content_digest
    assert "density 80.0" in repr(run.ticket)


def test_the_command_line_finds_the_same_run(run, command, tmp_path):
    words = [f"--{name}={value}" for name, value in SMALL.items() if value is not None and name != "tensorboard"]
    planned = command(tmp_path, *words, "--notensorboard", f"--out={pathlib.Path(run.folder).parents[1]}", "--dry_run")
    assert planned.returncode == 0, planned.stderr
    config = tt.Config(**SMALL, out=str(pathlib.Path(run.folder).parents[1]))
    assert runs.RunFolder.of(config).folder == run.folder


def test_measurements_are_a_frame_of_numbers(run):
    frame = tt.evaluate(run, which="all")
    accuracy = frame[(frame["metric"] == "accuracy") & (frame["evaluator"] == "clean")].set_index("round")["value"]
    assert sorted(map(int, accuracy.index)) == [0, 1]
    assert np.allclose(sorted(accuracy), sorted(run.table["test_accuracy"]))
    assert set(frame["n"]) <= set(range(601)) and frame["density"].dtype == float
    with pytest.raises(UsageError, match="--evaluators=nothing"):
        tt.evaluate(run, evaluators="nothing")


def test_a_report_is_a_page_and_its_tables(run, tmp_path):
    made = tt.report(run, out=tmp_path / "report")
    assert os.fspath(made) == made.page and os.path.getsize(made.page) > 10_000
    assert "digits" in repr(made)
    assert made.problems == () and "report.html" in made._repr_html_()
    assert made.text == run.report(tmp_path / "again").text.replace(str(tmp_path / "again"), str(tmp_path / "report"))
    assert list(inspect.signature(tt.report).parameters) == ["places", "out", "latex", "pdf"]


def test_exports_are_written_and_compared(run, tmp_path):
    table = tt.export(run, ["runtime"], out=tmp_path / "files")
    assert "100.00 %" in table and (tmp_path / "files" / "runtime.npz").is_file()


def test_predictions_are_a_frame_by_class(run, tmp_path):
    images = np.random.default_rng(0).integers(0, 17, (3, 8, 8, 1), np.uint8)
    frame = tt.predict(run, images)
    np.testing.assert_array_equal(frame.to_numpy(), run.ticket.predict(images))
    assert list(frame.columns) == list(run.ticket.labels)
    for index, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{index}.png")
    named = tt.predict(run.ticket, [tmp_path])
    assert [os.path.basename(name) for name in named.index] == ["0.png", "1.png", "2.png"]
    np.testing.assert_array_equal(named.to_numpy(), frame.to_numpy())
    (tmp_path / "3.png").write_text("no picture")
    with pytest.raises(UsageError, match="3.png"):
        tt.predict(run, [tmp_path])


def test_one_network_is_trained_alike(run, tmp_path):
    again = tt.train(tt.Config(**SMALL | {"rounds": 1}, ticket=run.best.folder, out=str(tmp_path)))
    np.testing.assert_array_equal(
        storage.read_arrays(again.best.weights)["linear/kernel"],
        storage.read_arrays(run.best.weights)["linear/kernel"],
    )


def test_one_path_stands_for_a_list_of_it_and_no_settings_are_refused(run, tmp_path):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "0.png")
    listed = tt.predict(run, [tmp_path / "0.png"])
    for path in (tmp_path / "0.png", str(tmp_path / "0.png")):
        np.testing.assert_array_equal(tt.predict(run, path).to_numpy(), listed.to_numpy())
    assert tt.export(run, "runtime", out=tmp_path / "files").splitlines()[1].startswith("runtime")
    with pytest.raises(UsageError, match="str is no Config"):
        tt.imp("digits")


def test_a_run_says_which_network_its_ticket_is_where_the_table_does_not(run, monkeypatch, tmp_path):
    assert "ticket" not in repr(run).lower()
    values = SMALL | {"rival": "long_dense", "validation": "0.3", "refit": True, "out": str(tmp_path)}
    judged = tt.imp(tt.Config(**values))
    assert judged.verdict.sentence() in repr(judged) and "trained again on all images" in repr(judged)
    dense = dataclasses.replace(judged, exports_rival=True)
    assert "The ticket is the dense network trained as long." in repr(dense)


def test_a_compiled_step_that_would_have_other_bits_each_time_is_refused(tmp_path):
    with pytest.raises(UsageError, match="--jit: TensorFlow compiles no gradient of max-pooling"):
        tt.imp(tt.Config(**SMALL, jit=True, out=str(tmp_path)))
