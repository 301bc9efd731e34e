"""Planted entries: nothing is written through links or waited for, and killed writers leave nothing for ever."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pytest
from conftest import ROOT
from test_torture import torture

from tf_tickets import errors, leftovers, locks, runs, storage
from tf_tickets.errors import StateError, UsageError

FAILURES = ("hangs", "deaf", "tracebacks", "other ends", "not one line", "outside")


@pytest.mark.slow
def test_no_planted_entry_hangs_a_command_or_leads_it_outside(tmp_path):
    result = torture("planted", tmp_path, 520, 0)
    assert result["entries"] >= 500 and min(result["kinds"].values()) >= 80 and len(result["paths"]) == 11
    assert result["failures"] == {} and set(result["statuses"]) == {"0", "2", "3"}


def test_a_twentieth_of_the_planted_entries(tmp_path):
    result = torture("planted", tmp_path, 26, 1, "continuing", "predict", "prepare", "prepare pictures", "verify")
    assert result["entries"] >= 26 and len(result["kinds"]) == 5
    assert result["failures"] == {} and {"0", "3"} <= set(result["statuses"]) <= {"0", "2", "3"}


@pytest.fixture
def outside(tmp_path):
    """A file and a folder that nothing may change; `inside` is beside them."""
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "canary").write_text("alive")
    yield tmp_path / "outside"
    assert os.listdir(tmp_path / "outside") == ["canary"]
    assert (tmp_path / "outside" / "canary").read_text() == "alive"


def test_writing_replaces_a_link_and_passes_one_beside_it(outside):
    path = outside.parent / "inside" / "table.csv"
    path.symlink_to(outside / "canary")
    (outside.parent / "inside" / "table.csv.writing").symlink_to(outside / "canary")
    storage.write_bytes(str(path), b"new")
    assert path.read_bytes() == b"new" and not path.is_symlink()


def test_names_of_what_is_being_written_are_never_the_same():
    names = {storage.temporary_name("a") for _ in range(100)}
    assert len(names) == 100 and all(name.startswith("a.") and name.endswith(".writing") for name in names)


def test_a_lock_is_a_file_of_its_own(outside):
    for place, kind in (("link", "link"), ("fifo", "FIFO"), ("folder", "folder")):
        path = outside.parent / "inside" / place
        {"link": lambda path: path.symlink_to(outside / "canary"), "fifo": os.mkfifo, "folder": os.mkdir}[place](path)
        with pytest.raises(StateError, match=f"{place} is a {kind}"), locks.hold(str(path)):
            pass


def test_a_lock_whose_name_was_taken_is_lost(tmp_path):
    path = str(tmp_path / "lock")
    code = (
        "import sys, time; from tf_tickets import locks; locks._TOUCHED = 0.05\n"
        "with locks.hold(sys.argv[1]): print(flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    holder.stdout.readline()
    os.remove(path)
    os.mkfifo(path)
    assert b"taken over" in holder.communicate(timeout=60)[1] and holder.returncode == 4


def test_a_run_folder_is_rid_of_what_killed_processes_were_writing(outside):
    folder = outside.parent / "inside"
    (folder / "round_00").mkdir()
    left = [folder / "round_00" / "mask.npz.0123456789abcdef.writing", folder / "table.csv.writing"]
    for path in left:
        path.write_text("half")
    (folder / "ticket.0123456789abcdef.writing" / "variables").mkdir(parents=True)
    (folder / "ticket.writing").symlink_to(outside)
    (folder / "weights.npz").symlink_to(outside / "canary")  # as tools for large files keep them
    with runs.RunFolder(str(folder)).locked():
        assert sorted(path.name for path in folder.rglob("*")) == ["lock", "round_00", "weights.npz"]


@pytest.mark.parametrize("name", ["figures", "round_00", "tensorboard", "ticket", "refit"])
def test_a_run_folder_has_no_links_to_folders(outside, name):
    (outside.parent / "inside" / name).symlink_to(outside)
    with pytest.raises(StateError, match=f"{name} is a link"), runs.RunFolder(str(outside.parent / "inside")).locked():
        pass


def test_what_is_written_in_place_is_no_link_to_a_file_either(outside):
    (events := outside.parent / "inside" / "tensorboard" / "rounds").mkdir(parents=True)
    (events / "events").symlink_to(outside / "canary")
    with pytest.raises(StateError, match="events is a link"), runs.RunFolder(str(outside.parent / "inside")).locked():
        pass


def test_the_user_s_own_folder_may_be_a_link_but_not_those_below(outside, tiny):
    (outside.parent / "out").symlink_to(outside.parent / "inside")
    run = runs.RunFolder.of(tiny(out=str(outside.parent / "out")))
    with run.locked():
        assert pathlib.Path(run.folder, "lock").is_file()
    above = pathlib.Path(run.folder).parent
    os.rename(above, outside.parent / "moved")
    above.symlink_to(outside)
    with pytest.raises(StateError, match="is a link, and nothing is written through links"), run.locked():
        pass


def test_what_is_forsaken_beside_a_report_goes_and_the_user_s_own_stays(tmp_path):
    old = time.time() - 7200
    names = ["a.csv.0123456789abcdef.writing", "b.csv.0123456789abcdef.writing", "mine.writing", "letters.txt"]
    for name in names:
        (tmp_path / name).write_text("x")
        if not name.startswith("b"):
            os.utime(tmp_path / name, (old, old))
    leftovers.remove_forsaken(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == names[1:2] + ["letters.txt", "mine.writing"]


def test_only_regular_files_and_links_to_them_are_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("file").write_text("content")
    os.symlink("file", "link")
    os.mkfifo("fifo")
    os.symlink("/dev/zero", "device")
    os.mkdir("folder")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
    for name in ("file", "link"):
        with storage.open_regular(name) as file:
            assert file.read() == b"content"
    for name, kind in (("fifo", "FIFO"), ("device", "device"), ("folder", "folder"), ("socket", "socket")):
        with pytest.raises(UsageError, match=f"{name} is a {kind}, not a regular file"):
            storage.open_regular(name)
        with pytest.raises(StateError, match=f"{name} is a {kind}"):
            storage.read_arrays(name)
    with pytest.raises(FileNotFoundError):
        storage.open_regular("nothing")


def test_a_log_is_added_to_and_never_through_a_link(outside):
    path = str(outside.parent / "inside" / "log")
    for _ in range(2):
        with os.fdopen(storage.open_own(path, os.O_WRONLY | os.O_APPEND), "ab") as file:
            file.write(b"line\n")
    assert pathlib.Path(path).read_text() == "line\n" * 2
    os.remove(path)
    os.symlink(outside / "canary", path)
    with pytest.raises(errors.StateError, match="log is a link"):
        storage.open_own(path, os.O_WRONLY | os.O_APPEND)


def test_a_command_at_a_fifo_answers_at_once(tmp_path):
    """Before, it waited for a writer, and heard no signal."""
    os.mkfifo(tmp_path / "ids")
    process = subprocess.Popen(
        [sys.executable, "-m", "tf_tickets.main", "--dataset=digits", f"--subset_file={tmp_path / 'ids'}", "--dry_run"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        _, error = process.communicate(timeout=60)
    finally:
        process.send_signal(signal.SIGKILL)
    assert process.returncode == 2 and error.count("\n") == 1 and "ids is a FIFO" in error
