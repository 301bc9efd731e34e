"""SIGKILL at random moments: the restarted run ends in the same bits."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
import trees
from conftest import ROOT

KILLS = 4  # `python tests/kill_runs.py FOLDER 10 0` is the longer form


@pytest.mark.slow
def test_kills_change_no_bit(tmp_path):
    script = pathlib.Path(__file__).parent / "kill_runs.py"
    done = subprocess.run(
        [sys.executable, script, tmp_path, str(KILLS), "0"], capture_output=True, text=True, cwd=ROOT, timeout=600,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert len(result["stages"]) == KILLS
    assert result["stages"].count("training epoch") >= KILLS // 2
    for folder in result["killed"]:
        trees.assert_equal(trees.contents(folder), trees.contents(result["whole"]))
