"""The lock of a run folder across processes and hosts."""

import contextlib
import os
import subprocess
import sys
import time

import pytest

from tf_tickets import errors, locks


@pytest.fixture
def quick(monkeypatch):
    """A lease of half a second, touched ten times in it."""
    monkeypatch.setattr(locks, "_TOUCHED", 0.05)
    monkeypatch.setattr(locks, "_LEASE", 0.5)
    monkeypatch.setattr(locks, "_UNNAMED", 0.5)


@pytest.fixture
def elsewhere(tmp_path):
    """A lock file that a process of another host left, as if it were still there."""
    path = tmp_path / "lock"
    path.write_text("process 7 on faraway since 2026-01-01 00:00:00\nanother-kernel 0123456789abcdef\n")
    return str(path)


def test_the_holder_is_named_and_nothing_is_left_of_it(tmp_path):
    path = str(tmp_path / "lock")
    with locks.hold(path):
        with pytest.raises(errors.LockedError, match=rf"in use by process {os.getpid()} on \S+ since \S+ \S+; wait"):
            with locks.hold(path):
                pass
    assert os.path.getsize(path) == 0
    with locks.hold(path):
        pass


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path, capfd):
    path = str(tmp_path / "lock")
    code = "import os, sys; from tf_tickets import locks\nwith locks.hold(sys.argv[1]): os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code, path]).returncode == -9
    assert os.path.getsize(path) > 0
    began = time.monotonic()
    with locks.hold(path):
        assert time.monotonic() - began < 1.0
    assert capfd.readouterr().err == ""


def test_a_dead_host_s_lock_is_taken_when_its_lease_is_over(elsewhere, quick, capfd):
    began = time.monotonic()
    with locks.hold(elsewhere):
        assert 0.3 < time.monotonic() - began < 5.0
    assert "in use by process 7 on faraway" in capfd.readouterr().err
    with open(elsewhere, "w") as file:
        file.write("process 7 on faraway since then\nanother-kernel 0\n")
    os.utime(elsewhere, (time.time() - 3600,) * 2)
    began = time.monotonic()
    with locks.hold(elsewhere):
        assert time.monotonic() - began < 0.3


def test_a_living_host_s_lock_is_not_taken(elsewhere, monkeypatch):
    monkeypatch.setattr(locks, "_TOUCHED", 0.05)
    code = "import os, sys, time\nwhile True:\n    os.utime(sys.argv[1])\n    time.sleep(0.2)"
    holder = subprocess.Popen([sys.executable, "-c", code, elsewhere])
    try:
        time.sleep(0.5)
        with pytest.raises(errors.LockedError, match="process 7 on faraway"), locks.hold(elsewhere):
            pass
    finally:
        holder.kill()
        holder.wait()


def test_a_holder_whose_lock_was_taken_over_leaves_at_once(tmp_path):
    path = str(tmp_path / "lock")
    code = (
        "import sys, time; from tf_tickets import locks; locks._TOUCHED = 0.05\n"
        "with locks.hold(sys.argv[1]): print(flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    holder.stdout.readline()
    os.remove(path)
    with open(path, "w") as file:
        file.write("process 8 on faraway since now\nkernel token\n")
    _, error = holder.communicate(timeout=30)
    assert holder.returncode == 4 and b"taken over" in error


def test_the_touches_go_on_while_the_lock_is_held(tmp_path, quick):
    path = str(tmp_path / "lock")
    with locks.hold(path):
        before, deadline = os.stat(path).st_mtime_ns, time.monotonic() + 10
        while os.stat(path).st_mtime_ns == before:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_silent_holder_s_file_may_be_deleted(tmp_path, quick):
    path = str(tmp_path / "lock")
    holder = subprocess.Popen(
        [sys.executable, "-c", "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print(flush=True); "
         "input()", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    holder.stdout.readline()
    os.utime(path, (time.time() - 600,) * 2)
    with pytest.raises(errors.LockedError, match="or delete .*lock if that host is gone: silent for 10 minutes"):
        with locks.hold(path):
            pass
    holder.communicate(b"\n")


@pytest.mark.parametrize(("writes", "ending"), [(True, "process 8 on here since now;"), (False, None)])
def test_a_holder_that_has_not_yet_written_its_name_is_waited_for(tmp_path, writes, ending):
    """Between the lock and the name, or between the name's end and the lock's, the file is empty."""
    path = str(tmp_path / "lock")
    code = (
        "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print(flush=True); time.sleep(0.5)\n"
        "if sys.argv[2]: f.write('process 8 on here since now\\nkernel token\\n'); f.flush(); time.sleep(60)"
    )
    refused = pytest.raises(errors.LockedError, match=f"is in use by {ending}") if ending else contextlib.nullcontext()
    with subprocess.Popen([sys.executable, "-c", code, path, "1" * writes], stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        try:
            with refused, locks.hold(path):
                pass
        finally:
            holder.kill()
