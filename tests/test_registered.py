"""Evaluators, analyses and commands that register themselves: what there is, and what a module of the user's adds."""

import os
import shutil

import pytest
from absl import flags
from conftest import QUICK, ROOT

import tf_tickets as tt
from tf_tickets import errors, main, runs, storage
from tf_tickets.analysis.analysis import Analysis
from tf_tickets.evaluation.evaluator import Evaluator, Task
from tf_tickets.registry import ANALYSES, COMMANDS, EVALUATORS, Registry
from tf_tickets.report import command
from tf_tickets.settings import cli, help_texts
from tf_tickets.settings.commands import Command


class Agreement(Evaluator):
    """How often two predictions of one image agree, which is always."""

    text = "agreement of a network with itself"
    flags = ("test_images",)

    def tasks(self, images):
        def measure(network, rows):
            test = images.load()
            once, twice = (network.logits(test).argmax(axis=1) for _ in range(2))
            return [("agreement", float((once == twice).mean()), len(test))]

        return [Task("agreement", "twice", None, measure)]


class Count(Analysis):
    """How many layers have masks."""

    text = "layers with masks"
    of_masks = True

    def problems(self, paths):
        if len(paths) != 1:
            yield f"--what=count looks at one path, not {len(paths)}"

    def tasks(self, loader, groups):
        def measure(network, rows):
            return [("layers", len(network.ticket.masks), 1)]

        return [(subject, [Task("count", "masks", "layers", measure)]) for group in groups for subject in group]


@pytest.fixture
def registered(monkeypatch):
    """A table's own parts, and one more for the time of a test."""

    def add(table, name, part):
        assert name not in table
        monkeypatch.setattr(table, "_parts", {**table._parts})
        table.register(name)(part)

    return add


@pytest.fixture
def toys(registered):
    registered(EVALUATORS, "agreement", Agreement)
    registered(ANALYSES, "count", Count)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run of two rounds on digits; treat as read-only."""
    values = QUICK | {"rounds": 2, "choose": "last", "tensorboard": False}
    return tt.imp(tt.Config.from_values(**values, out=str(tmp_path_factory.mktemp("runs")))).folder


@pytest.fixture
def run(trained, tmp_path):
    parent = os.path.basename(os.path.dirname(trained))
    return runs.RunFolder(shutil.copytree(trained, tmp_path / "runs" / parent / "seed_0"))


def parsed(*words):
    return cli.parse(["tf-tickets", *map(str, words)], flags.FlagValues())


def test_a_registered_evaluator_is_checked_run_and_reported(toys, run, capsys, tmp_path):
    request = parsed("evaluate", run.folder, "--evaluators=clean,agreement", "--test_images=50")
    assert main.main(request) == 0
    assert "agreement" in capsys.readouterr().out
    rows = [row for row in storage.read_csv(run.round(1).evaluations) if row["evaluator"] == "agreement"]
    assert [(row["setting"], row["metric"], row["value"]) for row in rows] == [("twice", "agreement", "1.0")]
    assert "agreement  " in help_texts.full() and "pgd, agreement" in help_texts.full()
    with pytest.raises(errors.UsageError, match="--evaluators=corruptions or fgsm or pgd or agreement, not clean"):
        parsed("evaluate", run.folder, "--test_images=50")


def test_a_registered_analysis_is_checked_run_and_reported(toys, run, capsys):
    assert main.main(parsed("analyze", run.folder, "--what=count")) == 0
    written = capsys.readouterr().out
    assert "analysis/count.csv" in written and "analysis/count.svg" in written and os.path.exists(
        run.path("analysis/count.png"))  # fmt: skip
    layers = len(tt.Ticket.load(run.ticket).masks)
    assert {row["value"] for row in storage.read_csv(run.path("analysis/count.csv"))} == {str(layers)}
    with pytest.raises(errors.UsageError, match="--what=count looks at one path, not 2"):
        parsed("analyze", run.folder, run.folder, "--what=density,count")
    with pytest.raises(errors.UsageError, match="shot, count, each at most once, nor augment or corruptions alone"):
        parsed("analyze", run.folder, "--what=counts")


def page(run, out):
    text, problems = command.report([run.folder], str(out))
    assert not problems
    return (out / "report.html").read_text(), text


def test_the_page_shows_what_it_knows_nothing_of(registered, run, tmp_path):
    for index, value in ((0, 0.5), (1, 0.25)):
        rows = storage.read_csv(run.round(index).evaluations)
        facts = {name: rows[0][name] for name in ("run", "round", "density")}
        other = {"evaluator": "foreign,images=9", "setting": "here", "metric": "oddness", "value": value, "n": 9}
        storage.write_csv(run.round(index).evaluations, [*rows, facts | other], list(rows[0]))
    without, _ = page(run, tmp_path / "without")
    assert "Other measurements" in without and "oddness" in without and "foreign,images=9 against density" in without
    registered(EVALUATORS, "foreign", type("Foreign", (Evaluator,), {"text": "oddness"}))
    assert page(run, tmp_path / "with")[0] == without
    shutil.rmtree(tmp_path / "with")
    EVALUATORS["foreign"].plain = False
    assert "Other measurements" not in page(run, tmp_path / "with")[0]


def test_a_registered_command_takes_its_own_paths_and_flags(registered, tmp_path):
    class Again(Command):
        summary = "something else"
        flags = ("top_k",)

        def run(self, request):
            return request.config.command.top_k

    registered(COMMANDS, "again", Again)
    assert main.main(parsed("again", "--top_k=7")) == 7 and "again     something else" in help_texts.full()
    with pytest.raises(errors.UsageError, match="'word' is a stray word"):
        parsed("again", "word")
    with pytest.raises(errors.UsageError, match="--top_k belongs to again and predict, not imp"):
        parsed("--top_k=7")


@pytest.mark.parametrize(("words", "message"), [
    (["report", ".", "--dry_run"], "--dry_run belongs to advise, imp, pretrain, sweep, train and tune, not report"),
    (["export", ".", "--top_k=2"], "--top_k belongs to predict, not export"),
    (["imp", "--format=json"], "--format belongs to export and predict, not imp"),
    (["export", ".", "--format=json"], "--format=json: export takes ticket, runtime, tflite"),
    (["export", ".", "x"], "'x' is a stray word: export takes one path"),
    (["predict", "."], "predict needs a ticket, or a file of export, and pictures, such as: predict runs"),
    (["prepare"], "prepare needs a data set, such as: prepare cifar10"),
    (["verify", ".", "--strategy=multi_worker"], "--strategy=multi_worker belongs to imp and train, not verify"),
    (["--attack_eps=0.1"], "--attack_eps belongs to --adversarial, which is not set"),
])  # fmt: skip
def test_what_does_not_belong_to_a_command_is_refused(words, message):
    with pytest.raises(errors.UsageError) as caught:
        parsed(*words)
    assert str(caught.value).startswith(message)


def test_the_pages_say_of_each_what_the_help_says():
    pages = (ROOT / "docs" / "robustness.md", ROOT / "docs" / "looking_inside.md")
    text = "".join(page.read_text() for page in pages).replace("`", "")
    for name, part in [*EVALUATORS.items(), *((name, part) for name, part in ANALYSES.items() if part.sheet is None)]:
        assert f"| {name} | {part.text} |" in text, name


def test_a_package_s_modules_are_all_of_the_table_and_a_name_is_taken_once(tmp_path, monkeypatch):
    package = tmp_path / "toy_parts"
    package.mkdir()
    (tmp_path / "toy_table.py").write_text(
        "from tf_tickets.registry import Registry\nTOYS = Registry('toy', 'toy_parts', each_module=True)\n"
    )
    (package / "__init__.py").write_text("")
    for name, order in (("a", 2), ("b", 1)):
        (package / f"{name}.py").write_text(
            f"from toy_table import TOYS\n@TOYS.register('{name}')\nclass Part:\n    order = {order}\n"
        )
    monkeypatch.syspath_prepend(tmp_path)
    import toy_table

    assert list(toy_table.TOYS) == ["b", "a"]
    with pytest.raises(ValueError, match="toy 'a' is registered twice"):
        toy_table.TOYS.register("a")(object())
    assert isinstance(toy_table.TOYS, Registry)
