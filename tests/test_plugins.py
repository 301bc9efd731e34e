"""Modules of the user's own: imported when a command names them, never because a file does; held to their source."""

import os
import pathlib
import sys

import pytest
from absl import flags

import tf_tickets as tt
from tf_tickets import plugins, registry, runs, storage
from tf_tickets.errors import StateError, UsageError
from tf_tickets.experiments.imp import imp
from tf_tickets.export.ticket import Ticket
from tf_tickets.report import command as report
from tf_tickets.settings import cli

PARTS = """
import numpy as np
from tf_tickets.registry import CRITERIA

__version__ = "0.1"

@CRITERIA.register("largest")
def largest(weights, masks):
    return {name: -np.abs(array) for name, array in weights.items()}
"""
SETTINGS = {
    "dataset": "digits", "model": "vgg11", "width": 2, "per_class": 4, "epochs": 1, "batch_size": 40, "rounds": 2,
    "rewind": "init", "progress": "none", "tensorboard": False,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with my_parts.py; what is registered and imported in the test is forgotten after it."""
    (tmp_path / "my_parts.py").write_text(PARTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(plugins, "_LOADED", {})
    for table in (part for part in vars(registry).values() if isinstance(part, registry.Registry)):
        monkeypatch.setattr(table, "_parts", dict(table))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def forget():
    """As in another process."""
    plugins._LOADED.clear()
    sys.modules.pop("my_parts", None)
    registry.CRITERIA._parts.pop("largest", None)


def parse(*words):
    return cli.parse(["tf-tickets", *words], flags.FlagValues())


def test_a_command_line_imports_what_it_names_before_other_flags_are_read(folder):
    config = parse("--criterion=largest", "--plugins=my_parts").config
    assert config.pruning.criterion == "largest" and config.run.plugins == "my_parts"
    assert config.digest() != parse().config.digest()
    assert parse("--plugins=my_parts").config.digest() != parse().config.digest()


def test_a_flagfile_on_the_command_line_may_name_it_and_later_flags_win(folder):
    (folder / "recipe.cfg").write_text("--criterion=largest\n--plugins=my_parts\n")
    assert parse("--flagfile=recipe.cfg").config.pruning.criterion == "largest"
    (folder / "broken.py").write_text("1 / 0")
    with pytest.raises(UsageError, match=r"broken cannot be imported: division by zero \(.*broken.py, line 1\)"):
        parse("--flagfile=recipe.cfg", "--plugins=broken")


def test_files_import_nothing(folder):
    (folder / "recipe.cfg").write_text("--criterion=largest\n--plugins=my_parts\n")
    with pytest.raises(
        UsageError, match=r"recipe.cfg, line 2 names the plugin my_parts, .* add --plugins=my_parts to the command"
    ):
        tt.Config.from_flagfile("recipe.cfg")
    with pytest.raises(UsageError, match="add --plugins=my_parts"):
        tt.Config.from_values(plugins="my_parts")
    assert "my_parts" not in sys.modules
    tt.plugins.load("my_parts")
    assert tt.Config.from_flagfile("recipe.cfg").pruning.criterion == "largest"


@pytest.mark.parametrize(("content", "message"), [
    (None, "No module named 'my_parts': it is a file in the working folder"),
    ("x = (", "never closed"), ("import sys; sys.exit(3)", "3 "),
    ("import tf_tickets.registry as r; r.CRITERIA.register('magnitude')(abs)", "'magnitude' is registered twice"),
    ("raise ValueError('a\\nb')", r"a b \(.*my_parts.py, line 1\)"),
])  # fmt: skip
def test_what_cannot_be_imported_is_one_line(folder, content, message):
    if content is None:
        os.remove("my_parts.py")
    else:
        (folder / "my_parts.py").write_text(content)
    with pytest.raises(UsageError, match=f"--plugins=my_parts: my_parts cannot be imported: .*{message}") as refused:
        parse("--plugins=my_parts")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("table", "name"), [
    ("CONTROLS", "random"), ("NETWORKS", "vgg11"), ("DATASETS", "digits"), ("EVALUATORS", "clean"),
    ("ANALYSES", "density"), ("COMMANDS", "imp"), ("STARTS", "init"),
])  # fmt: skip
def test_a_part_of_the_program_is_not_replaced_whatever_was_looked_at_before(folder, command, table, name):
    (folder / "my_parts.py").write_text(
        f"from tf_tickets.registry import {table}\n{table}.register({name!r})(object())\n"
    )
    with pytest.raises(UsageError, match=rf"'{name}' is registered twice \(.*my_parts.py, line 2\)"):
        parse("--plugins=my_parts")


def test_in_a_new_process_neither(folder, command):
    (folder / "my_parts.py").write_text(
        "from tf_tickets.registry import EVALUATORS as e\ne.register('clean')(object())\n"
    )
    done = command(folder, "--plugins=my_parts", "--dry_run")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "--plugins=my_parts: " in done.stderr and "my_parts.py, line 2" in done.stderr


def test_what_has_no_file_is_refused(folder):
    (folder / "empty").mkdir()
    for name in ("sys", "empty"):
        with pytest.raises(UsageError, match=f"--plugins={name}: {name} has no file"):
            parse(f"--plugins={name}")


@pytest.mark.parametrize("text", ["a-b", "a,,b", "a,a", "a.", "../a", "a/b", "a.py:b"])
def test_bad_names_are_refused(folder, text):
    with pytest.raises(UsageError, match="is not a list of modules"):
        parse(f"--plugins={text}")


def test_an_entry_point_of_an_installed_package_is_a_name_too(folder):
    info = folder / "my_package-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[tf_tickets.plugins]\nmine = my_parts\n")
    sys.path.append(str(folder))
    assert parse("--plugins=mine", "--criterion=largest").config.run.plugins == "mine"
    assert plugins.versions("mine")["plugin mine"].startswith("0.1, source ")


def test_the_source_of_a_package_is_all_its_files(folder):
    package = folder / "my_package"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "inner" / "more.py").write_text("a = 1\n")
    plugins.load("my_package")
    before = plugins.versions("my_package")
    (package / "inner" / "more.py").write_text("a = 2\n")
    assert plugins.versions("my_package") != before
    os.rename(package / "inner" / "more.py", package / "inner" / "other.py")
    (package / "inner" / "other.py").write_text("a = 1\n")
    assert plugins.versions("my_package") != before


def test_a_run_is_held_to_the_source_that_it_was_begun_with(folder):
    config = parse(
        "--plugins=my_parts", *(f"--{n}={v}" for n, v in (SETTINGS | {"criterion": "largest"}).items())
    ).config
    run = runs.RunFolder(imp(config).folder)
    weights, mask = storage.read_arrays(run.round(0).weights), storage.read_arrays(run.round(1).mask)
    name = next(iter(mask))
    kept, gone = (abs(weights[f"{name}/kernel"][mask[name] == there]) for there in (True, False))
    assert kept.max() <= gone.min()
    assert storage.read_sealed(run.manifest)["versions"]["plugin my_parts"].startswith("0.1, source ")
    forget()
    for read in (lambda: Ticket.load(run.ticket), lambda: Ticket.load(run.round(1).folder)):
        with pytest.raises(UsageError, match="add --plugins=my_parts"):
            read()
    with pytest.raises(StateError, match="is left out: .*add --plugins=my_parts"):
        report.report([run.folder], str(folder / "report"))
    (folder / "my_parts.py").write_text(PARTS + "\n# another\n")
    plugins.load("my_parts")
    with pytest.raises(UsageError, match=r"begun with plugin my_parts 0.1, source \w+, here it is 0.1, source"):
        imp(config.replace(rounds=3))
    assert Ticket.load(run.ticket).density < 1
    assert imp(config.replace(rounds=3, allow_other_environment=True)).folder == run.folder


def test_recipes_of_the_project_name_none():
    recipes = pathlib.Path(plugins.__file__).parents[1] / "flags"
    assert not [path for path in recipes.glob("*.cfg") if "--plugins" in path.read_text()]
