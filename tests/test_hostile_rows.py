"""Cells that a report reads as numbers or texts: what cannot be is named with its file and row."""

import csv
import io
import os

import pytest
from conftest import QUICK

import tf_tickets as tt
from tf_tickets import storage
from tf_tickets.errors import TicketError, plain
from tf_tickets.evaluation import evaluate
from tf_tickets.report import command, evaluations, run_rows, tables

VALUES = (
    "²", "1e308", "-1e308", "nan", "inf", "-1", "", "1_000", "١٢", "9" * 400, "9" * 5000, "1e-320", "0x10", "\x1b[2J",
    "x,images=²", "a\x00b", "true", "1e999", " 1", "$5_$10",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished and evaluated run of two rounds, and the folder of its report."""
    folder = tmp_path_factory.mktemp("rows")
    config = tt.Config.from_values(**QUICK | {"rounds": 2, "epochs": 3, "tensorboard": False}, out=str(folder / "out"))
    made = tt.imp(config).folder
    evaluate.evaluate([made], config)
    command.report([made], str(folder / "report"))
    return made, str(folder / "report")


def with_cell(path, place, column, value):
    """A CSV file's rows with one other cell, as bytes."""
    rows = storage.read_csv(path)
    rows[place % len(rows)][column] = value
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")


def cells(folder, report):
    """(file, column) of everything that a report reads."""
    files = [os.path.join(folder, f"round_01/{name}.csv") for name in ("evaluations", "epochs", "density")]
    files += [os.path.join(report, name) for name in ("report.csv", "evaluations.csv")]
    return [(path, column) for path in files for column in storage.read_csv(path)[0]]


def reported(path, column, value, folder, report, out):
    """Writes the cell, reports, and puts the file back; a line for whoever reads of it, or None."""
    with open(path, "rb") as file:
        before = file.read()
    content = with_cell(path, 3, column, value)
    with open(path, "wb") as file:
        file.write(content)
    try:
        _, problems = command.report([folder if "round_" in path else os.path.join(report, "report.csv")], str(out))
        return "; ".join(problems) or None
    except TicketError as error:
        return str(error)
    finally:
        with open(path, "wb") as file:
            file.write(before)


def check(run, out, chosen):
    """Every chosen (cell, value) is taken, or named in one line."""
    for (path, column), value in chosen:
        said = reported(path, column, value, *run, out)
        if said is not None:
            assert len(plain(said)) < 2000 and os.path.basename(path) in said, (path, column, value, said)


def test_cells_are_taken_or_named(run, tmp_path):
    found = cells(*run)
    numbers = [cell for cell in found if cell[1] in ("value", "n", "train_loss", "density", "round", "weights_left")]
    check(run, tmp_path / "out", [(cell, VALUES[at % 4]) for at, cell in enumerate(numbers[::4])])


@pytest.mark.parametrize("digest", ["9" * 400, "../../outside", "a b"])
def test_a_digest_that_no_file_can_be_named_after_is_named(run, tmp_path, digest):
    report = os.path.join(run[1], "report.csv")
    said = reported(report, "digest", digest, *run, tmp_path / "out")
    assert "report.csv" in said and "digest is" in said and not (tmp_path / "out").exists()


@pytest.mark.slow
def test_all_cells_are_taken_or_named(run, tmp_path):
    draws = [(cell, VALUES[(7 * at + more) % len(VALUES)]) for at, cell in enumerate(cells(*run)) for more in (0, 5)]
    check(run, tmp_path / "out", draws)


def test_a_row_that_cannot_be_is_named(run, tmp_path):
    path = os.path.join(run[1], "report.csv")
    for value in ("²", "1e308", "nan", "9" * 400):
        said = reported(path, "train_loss", value, *run, tmp_path / "out")
        assert "report.csv, row 2: train_loss is" in said and len(said) < 400


def test_titles_count_images_in_plain_digits():
    assert evaluations.title("fgsm,images=1000", "x") == "fgsm, x, 1,000 images"
    assert evaluations.title("x,images=²", "all_²") == "x, all_²"
    assert evaluations.title(f"x,images={'9' * 5000}", "y") == "x, y"


def test_almost_no_density_has_its_digits():
    row = dict.fromkeys(tables.COLUMNS, "x") | {"control": "none", "seed": 0, "order_seed": 0, "round": 1, "epochs": 1}
    row |= {"weights_left": 1, "weights_total": 10**9, "density": 1e-9, "searched": 0, "test_accuracy": 0.5}
    row |= {"images": 1, "exported": 0, "training_multiply_adds": 1.0, "soup_members": 2}
    row |= dict.fromkeys(("train_loss", "test_balanced_accuracy", "test_accuracy_best_epoch", "validation_accuracy"))
    assert run_rows.checked(row, tables.COLUMNS)["density"] == 1e-9
    with pytest.raises(ValueError, match="density is 1e-320"):
        run_rows.checked(row | {"density": 1e-320}, tables.COLUMNS)
