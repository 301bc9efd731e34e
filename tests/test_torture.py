"""What `torture` does, some of it shortened: kills, faults, the order of system calls, starts, what changes no bit."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT


def torture(name, *arguments):
    """Runs one module of `torture`; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", f"torture.{name}", *map(str, arguments)], capture_output=True, text=True, timeout=900,
        cwd=ROOT / "tests", env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_kills_change_no_bit(tmp_path):
    result = torture("kills", tmp_path, 4, 1)
    assert result["kills"] == 4 and result["unequal"] == []
    assert result["by"]["stage"]["training epoch"] >= 2


@pytest.mark.slow
def test_one_of_eight_starts_runs_and_the_others_name_it(tmp_path):
    assert torture("starts", tmp_path) == {"starts": 8, "ends": {"0": 1, "4": 7}, "wrong": []}


@pytest.mark.slow
def test_what_is_no_setting_changes_no_bit(tmp_path):
    variants = torture("same_bits", tmp_path)["variants"]
    assert len(variants) == 14 and set(variants.values()) == {"equal"}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize(("fault", "step"), [("kill", 131), ("ENOSPC", 170)])
def test_a_fault_at_a_call_is_recovered_from(tmp_path, fault, step):
    result = torture("crash_points", tmp_path, fault, step)
    assert result["calls"]["total"] > 300 and result["points"] >= 3
    assert result["wrong"] == {} and result["ended_untouched"] == 0


@pytest.mark.slow
@pytest.mark.skipif(None in (shutil.which("cc"), shutil.which("strace")), reason="needs a C compiler and strace")
def test_no_final_name_appears_before_its_bytes_are_durable(tmp_path):
    result = torture("durability", tmp_path)
    assert result["renames"] > 20 and result["violations"] == []
    for kind in ("open", "sync", "truncate", "rename", "remove", "make"):
        assert result["strace"][kind] == result["faults"][kind] > 0
