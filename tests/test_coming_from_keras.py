"""docs/coming_from_keras.md: its code runs as it stands and does what the page says."""

import re

import pytest
from conftest import ROOT

from tf_tickets.settings.config import options

PAGE = (ROOT / "docs" / "coming_from_keras.md").read_text()
PRUNED, PICTURES, FOLDERS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_each_task_takes_at_most_twenty_lines_and_flags_are_there():
    assert all(len(code.splitlines()) <= 20 for code in (PRUNED, FOLDERS))
    named = re.findall(r"\b(\w+)=", " ".join(re.findall(r"Config\(([^)]*)\)", PAGE)))
    assert len(named) > 10 and set(named) <= {*options(), "control"}


@pytest.mark.slow
def test_pruned_to_80_per_cent_and_converted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(PRUNED, defined := {})
    run = defined["run"]
    assert run.table["density"].round(3).tolist() == [1.0, 0.2] and run.exported == 1
    assert run.table["test_accuracy"].min() > 0.85
    rows = re.findall(r"^tflite\S* +\S+ +[\d,]+ +([\d,]+)", capsys.readouterr().out, re.MULTILINE)
    dense, pruned, small = (int(gzipped.replace(",", "")) for gzipped in rows)
    assert dense > 3 * pruned and pruned > 2 * small


@pytest.mark.slow
def test_pictures_in_folders_are_told_apart(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(PICTURES, {})
    exec(FOLDERS, defined := {})
    assert defined["run"].table["test_accuracy"].iloc[-1] >= 0.9
    assert list(defined["answer"].index) == ["lying", "standing"] and defined["answer"]["lying"] > 0.5
    assert "This picture is " in capsys.readouterr().out
