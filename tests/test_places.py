"""What lies at a path, and what else two rooms say alike because one may not import the other."""

import hashlib
import os

import pytest

from tf_tickets import errors, runs, storage
from tf_tickets.runtime import files


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "digits-vgg8-00000000" / "seed_0"
    for name in ("config.cfg", "round_00/summary.json", "round_01/mask.npz", "ticket/ticket.json", "round_x/mask.npz"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "ticket.json").write_text("{}")
    return folder


def test_a_path_is_a_run_a_round_a_ticket_or_nothing_of_these(run, tmp_path):
    places = {path: runs.place(str(path)) for path in (run, run / "round_01", run / "ticket", tmp_path / "copy")}
    assert [place.kind for place in places.values()] == ["run", "round", "ticket", "ticket"]
    assert all(place.path == str(path) for path, place in places.items())
    assert [place.run and place.run.folder for place in places.values()] == [str(run)] * 3 + [None]
    assert (places[run / "round_01"].round.folder, places[run / "round_01"].round.index) == (str(run / "round_01"), 1)
    for path in (run / "round_x", run / "config.cfg", run.parent, tmp_path / "missing", tmp_path / "round_00"):
        assert runs.place(str(path)).kind == "other", path


def test_a_place_may_be_named_from_within(run, monkeypatch):
    monkeypatch.chdir(run)
    assert [runs.place(name).kind for name in (".", "round_01/", "ticket")] == ["run", "round", "ticket"]


def test_what_cannot_be_used_is_refused_with_what_can(run):
    assert runs.usable_place(str(run / "round_00")).round.index == 0
    with pytest.raises(errors.UsageError, match="round_01 is not complete: run its command again to finish it"):
        runs.usable_place(str(run / "round_01"))
    with pytest.raises(errors.UsageError, match="round_x is no run, round or ticket folder; give one, such as runs/"):
        runs.usable_place(str(run / "round_x"))


@pytest.mark.parametrize(
    "error, expected",
    [
        (ValueError("two\n  lines\t"), "two lines"),
        (OSError(2, "No such file", "x.npz"), "No such file"),
        (OSError("no number"), "no number"),
        (AssertionError(), "AssertionError"),
        (ValueError("x" * 300), "x" * 300),
        (ValueError("x" * 301), "x" * 300 + "..."),
    ],
)
def test_an_exception_is_one_line_in_the_runtime_as_elsewhere(error, expected):
    assert errors.reason(error) == files.reason(error) == expected


def test_the_runtime_hashes_files_and_names_tickets_as_the_rest_does(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom((1 << 20) + 7))
    assert files.digest(str(path)) == storage.file_digest(str(path)) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert files.DOCUMENT == runs.DOCUMENT
