"""Modules of the user's own: imported when a command names them, never because a file does; held to their source."""

import os
import pathlib
import re
import sys

import pytest
import small_network
from absl import flags

import tf_tickets as tt
from tf_tickets import plugins, registry, runs, storage
from tf_tickets.errors import StateError, UsageError
from tf_tickets.evaluation import evaluate
from tf_tickets.experiments.imp import imp
from tf_tickets.export.ticket import Ticket
from tf_tickets.report import command as report
from tf_tickets.report import sweeps
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
    "dataset": "digits", "model": small_network.NAME, "width": 2,
    "per_class": 4, "epochs": 1, "batch_size": 40, "rounds": 2,
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


WRONG = """
import numpy as np
from tf_tickets.evaluation.evaluator import Evaluator, Task
from tf_tickets.pruning.strategies import IMP, Control
from tf_tickets.registry import CONTROLS, CRITERIA, EVALUATORS

@CRITERIA.register("raises")
def raises(weights, masks):
    return {name: {}[name] for name in weights}

@CRITERIA.register("misnamed")
def misnamed(weights, masks, gradient):
    return weights

@CONTROLS.register("conflicting")
class Conflicting(Control):
    place, title, what = IMP, "conflicting", "conflicting"

    def conflicts(self, config):
        return 1 / 0

@EVALUATORS.register("silent")
class Silent(Evaluator):
    text = "nothing"

    def tasks(self, images):
        return [Task("silent", "test", "nothing", lambda network, rows: None)]

@EVALUATORS.register("lacking")
class Lacking(Evaluator):
    text = "nothing"
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of the program's own parts; treat as read-only."""
    folder = tmp_path_factory.mktemp("trained")
    return imp(tt.Config.from_values(**SETTINGS, out=str(folder))).folder


def evaluated(run, *words):
    return evaluate.evaluate([run], parse("evaluate", run, "--plugins=wrong", *words).config)


@pytest.mark.parametrize(("words", "message"), [
    (["--criterion=raises"], r"criterion 'raises' of --plugins=wrong failed: KeyError: '.*wrong.py, line 9, in raises"),
    (["--criterion=misnamed"], r"criterion 'misnamed' of .* failed: TypeError: misnamed\(\) .*wrong.py, line 11, in "),
    (["--control=conflicting"], r"control 'conflicting' of .* ZeroDivisionError: .*line 20, in Conflicting.conflicts"),
    (["--evaluators=lacking"], r"evaluator 'lacking' of .* NotImplementedError \(.*wrong.py, line \d+, in Lacking\)"),
])  # fmt: skip
def test_what_fails_in_a_plugin_is_one_line(folder, trained, words, message):
    (folder / "wrong.py").write_text(WRONG)
    with pytest.raises((KeyError, TypeError, ZeroDivisionError, NotImplementedError)) as raised:
        if words[0].startswith("--evaluators"):
            evaluated(trained, *words)
        else:
            imp(parse("--plugins=wrong", *(f"--{name}={value}" for name, value in SETTINGS.items()), *words).config)
    said = plugins.failure(raised.value)
    assert re.match(message, said) and "\n" not in said


def test_what_is_measured_is_a_list(folder, trained):
    (folder / "wrong.py").write_text(WRONG)
    with pytest.raises(UsageError, match=r"silent, test: .* has to be a list of \(metric, value, n\), .* not None"):
        evaluated(trained, "--evaluators=silent")


@pytest.mark.parametrize("words", [[], ["--verbosity=1"]])
def test_a_failing_plugin_ends_a_command_in_one_line_and_a_traceback_on_request(folder, command, words):
    (folder / "wrong.py").write_text(WRONG)
    done = command(folder, "--plugins=wrong", "--control=conflicting", *words)
    assert done.returncode == 2 and done.stderr.splitlines()[-1].endswith("; --verbosity=1 shows the traceback")
    assert ("Traceback" in done.stderr) == bool(words)
    assert words or done.stderr.count("\n") == 1


def test_a_defect_of_the_program_stays_one(folder):
    (folder / "wrong.py").write_text(WRONG)
    plugins.load("wrong")
    with pytest.raises(ZeroDivisionError) as raised:
        1 / 0  # noqa: B018
    assert plugins.failure(raised.value) is None


def test_a_part_that_is_registered_by_another_name_now_is_named(folder):
    values = SETTINGS | {"criterion": "largest", "plugins": "my_parts", "rounds": 1}
    plugins.load("my_parts")
    run = runs.RunFolder(imp(tt.Config.from_values(**values)).folder)
    forget()
    (folder / "my_parts.py").write_text(PARTS.replace('"largest"', '"greatest"'))
    plugins.load("my_parts")
    message = "no such criterion is registered: its run named --plugins=my_parts, which registers criterion 'greatest'"
    with pytest.raises(UsageError, match=f"ticket.json has --criterion=largest, and {message}"):
        Ticket.load(run.ticket)
    with pytest.raises(
        UsageError, match="--criterion=largest is not one of magnitude, .*, synflow, greatest, nor of what --plugins"
    ):
        parse("--plugins=my_parts", "--criterion=largest")
    registry.CRITERIA._parts.pop("greatest")


def test_a_report_names_the_sources_that_it_pools(folder):
    values = SETTINGS | {"criterion": "largest", "plugins": "my_parts", "rounds": 1, "out": "runs"}
    for seed in range(3):
        forget()
        (folder / "my_parts.py").write_text(PARTS + f"# {min(seed, 1)}\n")
        plugins.load("my_parts")
        imp(tt.Config.from_values(**values, seed=seed))
    said = r"These runs were made by 2 sources of plugin my_parts: 1 by 0.1, source \w+; 2 by 0.1, source \w+\."
    assert re.search(said, report.report(["runs"], "report")[0])
    assert re.search(said, pathlib.Path("report/report.html").read_text())


def test_a_sweep_says_how_its_runs_are_read(trained, tmp_path):
    entry = {"run": "a", "folder": runs.RunFolder(trained), "swept": {"seed": "0"}, "state": "finished", "rounds": 2,
             "chosen": 1}  # fmt: skip
    out = f"{tmp_path}/all runs"
    assert sweeps.finish(out, [entry]).endswith(f"next: report '{out}'")
    assert sweeps.finish(out, [entry], "my_parts,more").endswith(f"next: report --plugins=my_parts,more '{out}'")


def test_recipes_of_the_project_name_none():
    recipes = pathlib.Path(plugins.__file__).parents[1] / "flags"
    assert not [path for path in recipes.glob("*.cfg") if "--plugins" in path.read_text()]
