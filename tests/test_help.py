"""`--help` and `--helpfull`: commands, groups, flags, values and recipes, and examples that parse."""

import re
import shlex

import pytest
from absl import flags
from conftest import ROOT
from trees import tree

from tf_tickets.errors import UsageError
from tf_tickets.registry import COMMANDS
from tf_tickets.settings import cli, commands, config, help_texts, help_words


def test_help_is_one_screen_with_every_command_and_group(command, tmp_path):
    done = command(tmp_path, "--help")
    assert done.returncode == 0 and done.stderr == "" and tree(tmp_path) == {}
    lines = done.stdout.splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 120
    for name in (*COMMANDS, *config.GROUPS, "evaluators", "analyses"):
        assert any(line.startswith(f"  {name} ") for line in lines), name


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_lists_what_it_reads_and_examples_that_parse(name, tmp_path, monkeypatch):
    text = help_texts.text(name)
    listed = [line.split()[0][2:] for line in text.splitlines() if re.match(r"  --\w+  \(default: ", line)]
    assert sorted(listed) == sorted(commands.heeded(name)) and len(set(listed)) == len(listed)
    examples = [line for line in text.splitlines() if line.startswith("  python -m tf_tickets.main ")]
    assert len(examples) >= 2
    monkeypatch.chdir(ROOT)
    for example in examples:
        words = re.sub(
            r"(?<![-\w])(runs|pictures|owl)[\w/*.]*(?= |$)", str(tmp_path), example.replace("=runs/", "= runs/")
        )
        words = shlex.split(words.replace("= ", "="))[2:]
        assert cli.parse(words, flags.FlagValues()).command == name == words[1]


def test_help_of_a_group_a_flag_and_of_nothing(command, tmp_path):
    assert "--milestones" in help_texts.text("training") and "--seed" not in help_texts.text("training")
    assert help_texts.text("rate").startswith("  --rate  (default: 0.2)\n")
    assert "pgd " in help_texts.text("evaluators")
    every = help_texts.text("update_every")
    assert f"{config.options()['update_every'].metadata['low']} or more" in every and "rigl" in every and "set" in every
    assert "export writes beside the ticket" in help_texts.text("out")
    done = command(tmp_path, "--help=evalute")
    assert done.returncode == 2 and done.stderr == "tf-tickets: --help=evalute: did you mean --help=evaluate?\n"


@pytest.mark.parametrize(("word", "said"), [
    ("erk", "erk is a value of --scope\n  --scope  (default: global)"), ("fgsm", "fgsm is a value of --evaluators"),
    ("rigl", "      rigl  train without --ticket"), ("cutmix", "cutmix is a value of --augment"),
    ("resume", "give the same command again"), ("Fine-tuning", "--pretrained=FILE"), ("few.cfg", "Small pictures"),
])  # fmt: skip
def test_help_of_a_value_a_subject_and_a_recipe(word, said):
    assert said in help_texts.text(word)


@pytest.mark.parametrize(("word", "said"), [
    ("rigel", "did you mean --help=rigl?"), ("checkpoints", "did you mean --help=checkpoint?"),
    ("erdos", "the help of --scope has the word"), ("xyzzy", "nothing has that name; give a command"),
    ("none", "nothing has that name"), ("--", "give a command, a group, a flag or a value"),
])  # fmt: skip
def test_help_of_an_unknown_word_names_near_things_alone(word, said):
    with pytest.raises(UsageError) as refused:
        help_texts.text(word)
    assert said in str(refused.value)


def test_the_pages_that_help_names_are_there():
    assert all((ROOT / "docs" / page).is_file() for *_, page in help_words._SUBJECTS)


def test_no_message_holds_the_help_of_a_command():
    summaries = [command.summary for command in COMMANDS.values()]
    for name, command in COMMANDS.items():
        paths = command.paths or commands.Paths()
        said = [*paths.problems(name, []), *paths.problems(name, ["nowhere", "nowhere"])]
        assert not any(summary in problem for summary in summaries for problem in said), said


def test_helpfull_lists_every_command_and_flag_with_default_and_sentence(command, tmp_path):
    done = command(tmp_path, "--width=16", "--helpfull")
    assert done.returncode == 0 and done.stderr == "" and tree(tmp_path) == {}
    lines = [line.strip() for line in done.stdout.splitlines()]
    for name, option in config.options().items():
        default = {None: "unset", True: "true", False: "false"}.get(
            option.default if option.type is bool or option.default is None else "", option.default
        )
        position = lines.index(f"--{name}  (default: {default})")
        assert lines[position + 1].startswith(option.help)
    assert all(any(line.split()[:1] == [name] for line in lines) for name in COMMANDS)


def test_the_table_of_flags_is_the_settings_own():
    page = ROOT / "docs" / "reference" / "flags.md"
    assert cli.flags_table() in page.read_text(), f"put the text of cli.flags_table() into {page}"


def test_help_lists_every_recipe_with_what_it_says_of_itself():
    text = help_texts.text("recipes")
    for path in (ROOT / "flags").iterdir():
        (line,) = (line for line in text.splitlines() if line.split()[:1] == [path.name])
        assert line.split(maxsplit=1)[1][:30] in path.read_text()
    assert max(map(len, text.splitlines()[:-1])) <= 120


def test_help_of_the_control_has_a_line_for_each(command, tmp_path):
    lines = command(tmp_path, "--help=control").stdout.splitlines()
    for name in config.options()["control"].choices:
        assert any(line.split()[:1] == [name] for line in lines[2:]), name
    assert any("rigl" in line and "train without --ticket" in line for line in lines)
    assert all(name not in config.options()["control"].help for name in ("reinitialize", "gradual"))


@pytest.mark.parametrize(
    ("command_name", "paths"), [("predict", " PATH ..."), ("advise", " [PATH ...]"), ("train", "")]
)
def test_the_usage_of_a_command_says_whether_it_takes_paths(command_name, paths):
    assert help_texts.text(command_name).startswith(
        f"usage: python -m tf_tickets.main {command_name}{paths} [--flagfile"
    )
