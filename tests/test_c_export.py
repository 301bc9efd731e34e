"""`export --format=c,c_int8`: compared where there is a compiler, written where there is none, refused by name."""

import os
import shutil

import numpy as np
import pytest
from conftest import QUICK

import tf_tickets as tt
from tf_tickets.data import sources
from tf_tickets.errors import StateError, UsageError
from tf_tickets.export import formats
from tf_tickets.export.c_source import builds
from tf_tickets.settings import checks

CONFIG = tt.Config.from_values(dataset="digits")
UNCOMPARED = "c and c_int8 not compared: no C compiler makes programs here (CC=no-such-compiler)"
pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


@pytest.fixture(scope="module")
def ticket_folder(tmp_path_factory):
    """The ticket of a finished run on digits; treat as read-only."""
    settings = QUICK | {"images": 300, "width": 4, "epochs": 8, "rounds": 2, "rate": 0.6}
    return tt.imp(tt.Config.from_values(**settings, out=str(tmp_path_factory.mktemp("runs")))).folder + "/ticket"


@pytest.fixture(scope="module")
def exported(ticket_folder, tmp_path_factory):
    """(folder, text) of both formats."""
    folder = tmp_path_factory.mktemp("exported")
    return folder, formats.export(ticket_folder, ["c", "c_int8"], CONFIG, str(folder))


def test_folders_hold_two_files_and_the_table_compares_them(exported):
    folder, text = exported
    assert sorted(os.listdir(folder)) == ["c", "c_int8"]
    for name, most in (("c", 1e-5), ("c_int8", 0.1)):
        assert sorted(os.listdir(folder / name)) == ["ticket.c", "ticket.h"]
        row = next(line.split() for line in text.splitlines() if line.startswith(f"{name} "))
        assert row[1] == f"{name}/" and float(row[4]) <= most and float(row[5]) >= 98.0
        assert int(row[2].replace(",", "")) == sum(path.stat().st_size for path in (folder / name).iterdir())
    assert text.splitlines()[-1] == "compared on 100 test images"


def test_eight_bits_cost_no_point_of_accuracy(exported, ticket_folder):
    images, labels = sources.load("digits").test()
    right = [(tt.Ticket.load(ticket_folder).predict(images).argmax(axis=1) == labels).mean()]
    for name in ("c", "c_int8"):
        with builds.Program(str(exported[0] / name), 10, ["cc"]) as program:
            right.append((program.answers(images)[0].argmax(axis=1) == labels).mean())
    assert right[0] == right[1] and abs(right[2] - right[0]) <= 0.01


def test_without_a_compiler_the_files_are_written_and_not_compared(exported, ticket_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    text = formats.export(ticket_folder, ["c", "c_int8"], CONFIG, str(tmp_path))
    assert UNCOMPARED in text.splitlines() and "%" not in text
    for name in ("c/ticket.c", "c/ticket.h", "c_int8/ticket.c", "c_int8/ticket.h"):
        assert (tmp_path / name).read_bytes() == (exported[0] / name).read_bytes()


def test_what_predicts_something_else_is_not_left(ticket_folder, tmp_path, monkeypatch):
    ticket = tt.Ticket.load(ticket_folder)
    for by in (2e-3, np.nan):
        monkeypatch.setattr(
            builds.Program, "answers", lambda self, images, by=by: (None, ticket.predict(images) + np.float32(by))
        )
        with pytest.raises(StateError, match="is not written: .* differ from the ticket's by .*; leave c out"):
            formats.export(ticket_folder, ["c"], CONFIG, str(tmp_path / "out"))
        assert not list(tmp_path.rglob("ticket.*"))


def test_a_file_that_stands_in_the_way_is_refused(ticket_folder, tmp_path):
    (tmp_path / "c").write_text("mine")
    with pytest.raises(UsageError, match="c is a file, not a folder"):
        formats.export(ticket_folder, ["c"], CONFIG, str(tmp_path))
    assert (tmp_path / "c").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_one_line(ticket_folder):
    with pytest.raises((UsageError, StateError), match="/proc/x"):
        formats.export(ticket_folder, ["c"], CONFIG, "/proc/x")


def test_more_weights_than_compilers_take_are_refused(ticket_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "MOST_IN_C", 10)
    with pytest.raises(UsageError, match="--format=c_int8: its [0-9,]+ weights as text are more than the 10 that"):
        formats.export(ticket_folder, ["c_int8"], CONFIG, str(tmp_path))
    assert not os.listdir(tmp_path)
