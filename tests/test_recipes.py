"""Every recipe and grid under flags/: its head, its plan without TensorFlow, its hours."""

import functools
import importlib.util
import re

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from trees import tree

from tf_tickets.experiments import plan
from tf_tickets.settings import config

RECIPES = [path for path in sorted((ROOT / "flags").glob("*.cfg")) if path.stem != "my_images"]  # which needs DIR
GRIDS = sorted((ROOT / "flags").glob("*.sweep"))


@pytest.mark.parametrize("recipe", RECIPES, ids=[recipe.stem for recipe in RECIPES])
def test_dry_run_prints_a_recipe_s_plan_without_tensorflow_and_creates_nothing(command, tmp_path, recipe):
    done = command(tmp_path, f"--flagfile={recipe}", "--dry_run", "--logtostderr", "imp")
    assert (done.returncode, done.stderr) == (0, "")
    resolved = plan.resolve(config.Config.from_flagfile(recipe))
    assert f"{resolved.weights[-1]:,d}" in done.stdout and f"{resolved.train_images} training images" in done.stdout
    assert tree(tmp_path) == {}


def test_the_practitioner_s_recipe_plans_a_folder_of_pictures(command, tmp_path):
    for name, shade in (("cats", 10), ("dogs", 200)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for index in range(10):
            pixels = np.full((40, 30, 3), shade + index, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{index}.png")
    before = tree(tmp_path)
    done = command(tmp_path, f"--flagfile={ROOT}/flags/my_images.cfg", "--data_dir=pictures", "--dry_run")
    assert (done.returncode, done.stderr) == (0, "")
    assert "12 training images" in done.stdout and tree(tmp_path) == before


@pytest.mark.parametrize("path", [*sorted((ROOT / "flags").glob("*.cfg")), *GRIDS], ids=lambda path: path.name)
def test_a_recipe_s_head_has_its_command_and_what_it_takes(path):
    lines = path.read_text().splitlines()
    head = [line.removeprefix("#").strip() for line in lines if line.startswith("#")]
    assert head == [line.removeprefix("#").strip() for line in lines[: len(head)]]
    assert head[0].startswith("python -m tf_tickets.main ") and f"flags/{path.name}" in head[0]
    text = " ".join(head[1:])
    assert "Hardware: " in text
    on_gpu = "Hardware: one GPU" in text or "Hardware: GPUs" in text
    assert not on_gpu or re.search(r"expected (\d[\d.]*) hours", text), "state the hours of benchmarks/paper_plan.py"


@pytest.mark.parametrize("grid", GRIDS, ids=[grid.stem for grid in GRIDS])
def test_dry_run_lists_a_grid_s_runs_without_tensorflow_and_creates_nothing(command, tmp_path, grid):
    first = grid.read_text().splitlines()[0].split()
    assert first[:5] == ["#", "python", "-m", "tf_tickets.main", "sweep"] and first[6] == f"--sweep=flags/{grid.name}"
    words = [word.replace("=flags/", f"={ROOT}/flags/").replace("=FILE", "=backbone.npz") for word in first[5:]]
    np.savez(tmp_path / "backbone.npz", weight=np.zeros(3))
    before = tree(tmp_path)
    done = command(tmp_path, "sweep", *words, "--dry_run")
    assert (done.returncode, done.stderr) == (0, "")
    assert "new" in done.stdout and tree(tmp_path) == before


@functools.cache
def paper_plan():
    spec = importlib.util.spec_from_file_location("paper_plan", ROOT / "benchmarks" / "paper_plan.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Of imp and train; the head of `pretrain` counts what a plan does not.
STATED = [
    path for path in [*RECIPES, *GRIDS]
    if "expected " in path.read_text() and path.stem != "cifar10_pretrain"
]  # fmt: skip


@pytest.mark.parametrize("path", STATED, ids=lambda path: path.name)
def test_the_hours_in_a_head_are_the_plan_s(path):
    module = paper_plan()
    found = module.of_grid(path) if path.suffix == ".sweep" else module.of_recipe(path.stem)
    hours = module.row(*found, seeds=1, rate=module.RATE)[-1]
    (stated,) = re.findall(r"expected (\d[\d.]*) hours", path.read_text())
    assert float(stated) == pytest.approx(hours, rel=0.06)
