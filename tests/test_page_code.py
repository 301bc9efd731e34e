"""The Python blocks of the pages, executed from top to bottom; test_snippets.py checks what they name and call.

The blocks of a page go on from one another: they share a namespace and a working folder. `PREPARED` makes what a page
takes for granted, arrays and pictures of the reader's own or a finished run. A block whose first line names a file is
written to that file and imported. The notebook is executed by test_tutorial.py.
"""

import importlib
import pathlib
import re
import sys

import numpy as np
import pandas
import pytest
import snippets
import tensorflow as tf
from conftest import QUICK, ROOT
from PIL import Image

import tf_tickets as tt
from tf_tickets.models import own_layers

PATTERNS = ("*.md", "docs/**/*.md", "results/**/*.md")
# What the pages write where the reader has names of his own, and what stands there in the working folder.
PLACES = {"runs/.../ticket": "ticket"}
# Pages whose blocks another test executes, with what they say of the outcome.
ELSEWHERE = {
    "docs/coming_from_keras.md": "test_coming_from_keras.py", "docs/extending.md": "test_extending.py",
}  # fmt: skip


def python_blocks(page):
    """The blocks of Python of a page, in order."""
    return [block for block in snippets.blocks((ROOT / page).read_text(encoding="utf-8")) if snippets.is_python(block)]


PAGES = sorted(
    page
    for pattern in PATTERNS
    for page in {path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern)}
    if python_blocks(page)
)


def nothing():
    """The page needs nothing."""
    return {}


def augmented():
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    keys = tt.augment.keys(order_seed=0, round_index=0, epoch=0, ids=np.arange(8))
    return {"tt": tt, "images": images, "ids": np.arange(8), "one_hot": np.eye(8, dtype=np.float32), "keys": keys}


def own_arrays():
    """Pictures of cats and dogs as arrays, as tf.data and as a table of files."""
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 256, (32, 8, 8, 3), np.uint8), np.arange(32) % 2
    train, test = (
        tf.data.Dataset.from_tensor_slices((pixels[part], labels[part])) for part in np.split(np.arange(32), 2)
    )
    pathlib.Path("pictures").mkdir()
    for number, array in enumerate(pixels):
        Image.fromarray(array).save(f"pictures/{number}.png")
    kinds = ["cat" if label == 0 else "dog" for label in labels]
    frame = pandas.DataFrame({"file": [f"{number}.png" for number in range(32)], "kind": kinds})
    return {
        "tt": tt, "x_train": pixels[:16], "y_train": labels[:16], "x_test": pixels[16:], "y_test": labels[16:],
        "train": train, "test": test, "frame": frame,
    }  # fmt: skip


def picture():
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)).save("picture.png")
    return {}


def ticket():
    """A ticket of 32 x 32 colour pictures, its ONNX file, and images for it."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (40, 32, 32, 3), np.uint8), np.arange(40) % 2
    data = tt.data.from_arrays(images, labels, class_names=["cat", "dog"])
    few = {name: value for name, value in QUICK.items() if name not in ("dataset", "images", "validation")}
    run = tt.imp(tt.Config(**few | {"rounds": 1, "rewind": "init", "epochs": 1}), data=data)
    run.ticket.save("ticket")
    tt.export(run, ["onnx"], data=data, out="ticket.export")
    return {"images": images[:3]}


PREPARED = {
    "docs/augmentation.md": augmented, "docs/own_networks.md": nothing, "docs/own_pictures.md": own_arrays,
    "docs/python.md": picture, "docs/tickets_on_devices.md": ticket, "results/tickets/MODEL_CARD.md": ticket,
}  # fmt: skip
# What the page's settings are here: those of the page would train for many minutes.
SMALLER = {"docs/own_pictures.md": ("rounds=8, epochs=30", "rounds=2, epochs=3, width=2")}


def execute(page, defined):
    """Executes the blocks of a page in the working folder; an error names the page and the block's line."""
    text, smaller = (ROOT / page).read_text(encoding="utf-8"), SMALLER.get(page)
    assert smaller is None or smaller[0] in text, f"{page} has other settings than SMALLER says"
    for block in python_blocks(page):
        code = block.text.replace(*smaller) if smaller else block.text
        for written, place in PLACES.items():
            code = code.replace(written, place)
        if (name := snippets.named_file(block)) is not None:
            pathlib.Path(name).write_text(code, encoding="utf-8")
            importlib.import_module(name.removesuffix(".py"))
        else:
            exec(compile("\n" * block.line + code, str(ROOT / page), "exec"), defined)
    return defined


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder that modules are imported from; none of them stays, nor a layer that one registers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(own_layers, "_REGISTERED", dict(own_layers._REGISTERED))
    yield tmp_path
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_every_page_with_python_is_executed():
    assert sorted([*PREPARED, *ELSEWHERE]) == PAGES
    for page, test in ELSEWHERE.items():
        assert f'"{pathlib.Path(page).name}"' in (ROOT / "tests" / test).read_text()


@pytest.mark.slow
@pytest.mark.parametrize("page", PREPARED)
def test_the_python_of_a_page_runs(page, here):
    CHECKED.get(page, lambda defined: None)(execute(page, PREPARED[page]()))


def arrays_are_one_run(defined):
    assert len(defined["run"].table) == 2 and pathlib.Path("x.npz").exists()


def searched(defined):
    assert len(defined["run"].table) == 3


def reported(defined):
    assert len(defined["run"].table) == 4 and pathlib.Path("report/report.html").exists()


def served(defined):
    assert len(defined["chosen"]) == 3 and len(defined["labels"]) == 2


CHECKED = {
    "docs/own_pictures.md": arrays_are_one_run, "docs/python.md": reported, "docs/tickets_on_devices.md": served,
    "docs/own_networks.md": searched,
}  # fmt: skip


def test_a_block_that_fails_is_named(here, monkeypatch):
    page = here / "page.md"
    page.write_text(
        "# Page\n\n```python\n# own_module.py\nvalue = 1\n```\n\n```python\nimport own_module\n1 / 0\n```\n"
    )
    with pytest.raises(ZeroDivisionError) as raised:
        execute(str(page), {})
    (line,) = [entry for entry in raised.traceback if str(entry.path) == str(page)]
    assert line.lineno + 1 == 10 and re.search("own_module", "".join(sys.modules))
