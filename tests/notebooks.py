"""Executes a notebook from top to bottom, in a folder of its own, and writes it with its outputs.

    python tests/notebooks.py docs/tutorial.ipynb docs/tutorial.ipynb

What changes from one time to the next, or names the folder, is left out: times, ids, paths.
"""

import os
import sys
import tempfile

import nbformat
from nbclient import NotebookClient


def execute(notebook: nbformat.NotebookNode, folder: str) -> nbformat.NotebookNode:
    """Executes all cells in `folder`, where they leave their files; raises CellExecutionError where one fails."""
    resources = {"metadata": {"path": folder}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", coalesce_streams=True, resources=resources).execute()
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        cell.metadata = nbformat.NotebookNode()
        for output in cell.get("outputs", []):
            output.get("metadata", {}).clear()
    notebook.metadata = nbformat.from_dict({
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    })  # fmt: skip
    return nbformat.reads(nbformat.writes(notebook).replace(folder + os.sep, ""), as_version=4)


def main(source: str, target: str) -> None:
    """Executes the notebook `source` and writes it as `target`."""
    notebook = nbformat.read(source, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        # Nothing of the user's settings, and nothing into them.
        os.environ |= {name: os.path.join(folder, ".jupyter") for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR")}
        nbformat.write(execute(notebook, os.path.realpath(folder)), target)


if __name__ == "__main__":
    main(*sys.argv[1:])
