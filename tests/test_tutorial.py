"""docs/tutorial.ipynb, executed from top to bottom, and what a kernel shows while a run goes on."""

import os
import re
import subprocess
import sys

import nbformat
import pytest
from conftest import ROOT

TUTORIAL = ROOT / "docs" / "tutorial.ipynb"
TRAINS = """
import tf_tickets as tt
run = tt.imp(tt.Config(
    dataset="digits", images=60, model="vgg11", width=2, epochs=4, rounds=2, batch_size=20, tensorboard=False
))
"""


def executed(source, folder):
    """A notebook as tests/notebooks.py executes it, in an environment that has not heard of TensorFlow's settings."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    command = [sys.executable, str(ROOT / "tests" / "notebooks.py"), str(source), str(folder / "executed.ipynb")]
    environment |= {"PYTHONPATH": str(ROOT), "MPLCONFIGDIR": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return nbformat.read(folder / "executed.ipynb", as_version=4)


def shown(notebook):
    """Of each code cell, what kinds of outputs it has: names of streams, or types of data."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [[output.get("name") or sorted(output.data) for output in cell.outputs] for cell in cells]


def printed(notebook, start):
    """The text that the cell with this source line in it has printed."""
    (cell,) = (cell for cell in notebook.cells if cell.cell_type == "code" and start in cell.source)
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def test_its_outputs_are_kept_whole_and_name_no_folder():
    notebook = nbformat.read(TUTORIAL, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert TUTORIAL.stat().st_size < 200_000
    outputs = nbformat.writes(nbformat.v4.new_notebook(cells=cells))
    assert not re.search(r'[ "\'(](/|[A-Z]:\\\\)\w', re.sub(r'"image/png": ".*?"', "", outputs))


@pytest.mark.slow
def test_it_runs_from_top_to_bottom(tmp_path):
    kept, notebook = nbformat.read(TUTORIAL, as_version=4), executed(TUTORIAL, tmp_path)
    kinds = shown(notebook)
    assert kinds == shown(kept), "execute it anew: python tests/notebooks.py docs/tutorial.ipynb docs/tutorial.ipynb"
    flat = [kind for outputs in kinds for kind in outputs]
    assert "stderr" not in flat
    assert sum("text/html" in kind for kind in flat) >= 3 and sum("image/png" in kind for kind in flat) >= 4
    assert "<table" in nbformat.writes(notebook)
    assert len(re.findall(r"^round \d with", printed(notebook, "run = tt.imp"), re.MULTILINE)) == 6
    assert printed(notebook, "again = tt.imp") == "" and "round 6" in printed(notebook, "longer = tt.imp")
    answers, labels = re.findall(r"\[[\d ]+\]", printed(notebook, "served ="))
    assert "imported: False" in printed(notebook, "served =")
    assert sum(a == b for a, b in zip(answers.split(), labels.split())) >= 3


@pytest.mark.slow
def test_a_kernel_shows_one_line_for_each_round_and_a_run_shows_its_figure(tmp_path):
    cells = [nbformat.v4.new_code_cell(source) for source in (TRAINS, "run", "run.plot()")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "source.ipynb")
    training, run, plot = executed(tmp_path / "source.ipynb", tmp_path).cells
    lines = [output.data["text/plain"] for output in training.outputs]
    assert [re.match(r"round \d/1  .*  epoch 4/4  ", line) is not None for line in lines] == [True, True], lines
    assert "<svg" in run.outputs[0].data["text/html"] and "image/png" in plot.outputs[0].data
