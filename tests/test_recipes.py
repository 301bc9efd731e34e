"""Every recipe and grid under flags/: its head, its plan without TensorFlow, its hours."""

import functools
import importlib.util
import pathlib
import re

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from safetensors.numpy import save_file
from trees import tree

from tf_tickets import storage
from tf_tickets.experiments import advice, plan, plan_text
from tf_tickets.settings import config

RECIPES = [
    path for path in sorted((ROOT / "flags").glob("*.cfg")) if not path.stem.startswith("my_images")
]  # which need DIR
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
    assert "few images " not in done.stdout
    resolved = config.Config.from_flagfile(ROOT / "flags" / "my_images.cfg", data_dir=str(tmp_path / "pictures"))
    few = config.Config.from_flagfile(ROOT / "flags" / "few.cfg")
    differing = {name for name, value in few.values().items() if resolved.values()[name] != value}
    assert differing == {"dataset", "data_dir", "fraction", "validation"}
    assert (resolved.choose, resolved.choice.choose, resolved.choice.rival) == ("last", None, "long_dense")


def test_the_recipe_for_few_images_is_that_of_the_published_search():
    few, paper = (config.Config.from_flagfile(ROOT / "flags" / f"{name}.cfg") for name in ("few", "cifar10_1pct"))
    searched = {row["run"] for row in storage.read_csv(str(ROOT / "results" / "long_search" / "rows.csv"))}
    assert plan.resolve(few).folder().name in searched and paper.choice.rival == "none"
    text, curve = (ROOT / "flags" / "few.cfg").read_text(), ROOT / "results" / "dense_curve" / "README.md"
    published = re.findall(r"^\| [\d,]+ \| [\d,]+ \| \d \| ([\d.]+) % ", curve.read_text(), re.M)
    assert len(published) == 4 and all(f"{float(accuracy):.1f}" in text for accuracy in published)


@pytest.mark.parametrize(("changes", "named"), [
    ({}, True), ({"per_class": 99}, True), ({"per_class": 100}, False), ({"batch_size": 10}, False),
    ({"batch_size": 11}, True), ({"epochs": 1999}, True), ({"epochs": 2000}, False),
])  # fmt: skip
def test_where_images_and_steps_are_few_the_plan_names_the_recipe(changes, named):
    few = config.Config.from_values(**{"dataset": "cifar10", "per_class": 50} | changes)
    assert (advice.few_images(plan.resolve(few)) is not None) == named
    text = plan_text.text(plan.resolve(few), "imp")
    assert ("flags/few.cfg" in text) == named and text.count("few images ") == named


def test_digits_are_not_sent_to_recipes_for_photographs():
    digits = plan.resolve(config.Config.from_flagfile(ROOT / "flags" / "quickstart.cfg"))
    assert advice.few_images(digits) is None


@pytest.mark.parametrize("changes", [{}, {"validation": "0.25"}, {"per_class": 4, "validation": "0.25"}])
def test_the_table_of_own_pictures_has_the_numbers_of_the_plan_s_first_line(tmp_path, changes):
    for name, shade in (("cats", 10), ("dogs", 200)):
        (tmp_path / name).mkdir(parents=True)
        for index in range(10):
            Image.fromarray(np.full((40, 30, 3), shade + index, np.uint8)).save(tmp_path / name / f"{index}.png")
    wanted = config.Config.from_values(dataset="folder", data_dir=str(tmp_path), **changes)
    planned = plan.resolve(wanted)
    text = plan_text.text(planned, "imp")
    (line,) = (line.split()[1:-1] for line in text.splitlines() if line.startswith("cats "))
    held = [planned.validation_counts[0]] if changes.get("validation") else []
    unused = [8 - planned.train_counts[0] - sum(held)] if "per_class" in changes else []
    assert list(map(int, line)) == [planned.train_counts[0], *held, 2, *unused]


def test_a_run_of_the_same_pictures_under_other_settings_is_named(command, tmp_path):
    for name, shade in (("cats", 10), ("dogs", 200)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for index in range(10):
            pixels = np.full((40, 30, 3), shade + index, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{index}.png")
    words = ("--dataset=folder", "--data_dir=pictures", "--dry_run")
    now = plan.resolve(config.Config.from_values(dataset="folder", data_dir=str(tmp_path / "pictures")))
    digest = dict(now.content)["pictures"]

    def begun(name, pictures):
        sealed = storage.seal({"identity": name, "pictures": pictures})
        storage.write_json(str(tmp_path / "runs" / name / "manifest.json"), sealed)

    begun("folder-resnet18-00000000/seed_0", "another")
    (tmp_path / "runs" / "folder-resnet18-00000002" / "seed_0").mkdir(parents=True)
    (tmp_path / "runs" / "folder-resnet18-00000002" / "seed_0" / "manifest.json").write_text("{")
    line = "runs/folder-resnet18-00000001/seed_0 is a run of the same pictures under other settings"
    flag = "--flagfile=runs/folder-resnet18-00000001/seed_0/config.cfg"
    assert "same pictures" not in command(tmp_path, *words).stdout
    begun("folder-resnet18-00000001/seed_0", digest)
    for asked in (words, ("train", *words)):
        said = command(tmp_path, *asked).stdout
        assert line in said and flag in said and said.count("same pictures") == 1
    begun(now.folder().name.replace("seed_0", "seed_1"), digest)  # other seeds of the same settings are there
    assert "same pictures" not in command(tmp_path, *words).stdout


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


def test_the_paper_s_experiments_cost_what_the_page_says():
    module = paper_plan()
    grids = {path.name: module.of_grid(path) for path in sorted(module.FLAGS.glob("*.sweep"))}
    recipes = {f"{name}.cfg": module.of_recipe(name) for name in module.BESIDE}
    costs = {name: module.row(*runs, 1, module.RATE)[1:] for name, runs in (grids | recipes).items()}
    costs["in all"] = tuple(sum(column) for column in zip(*costs.values()))
    rows = [line.strip("| ").split(" | ") for line in (ROOT / "docs" / "paper.md").read_text().splitlines()]
    printed = {pathlib.Path(row[1].strip("[]()")).name or row[0]: row[2:] for row in rows if len(row) == 5}
    for name, (runs, _, passes, hours) in costs.items():
        assert printed.pop(name) == [str(runs), f"{passes / 1e6:,.1f}", f"{hours:,.2f}"], name
    assert list(printed) == ["recipe or grid"]


def test_a_plan_that_starts_from_a_backbone_is_not_sent_to_the_recipe_from_scratch(tmp_path):
    save_file({"x": np.zeros(1, np.float32)}, str(tmp_path / "backbone.safetensors"))
    few = config.Config.from_values(dataset="cifar10", per_class=50)
    assert advice.few_images(plan.resolve(few)) is not None
    assert advice.few_images(plan.resolve(few.replace(pretrained=str(tmp_path / "backbone.safetensors")))) is None
