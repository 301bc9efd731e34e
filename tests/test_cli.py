"""Bad flags and flagfiles are refused in one line before anything heavy is loaded; good ones mean what they say."""

import json
import os
import re
import shlex
import subprocess
import sys

import pytest
from absl import flags
from conftest import ROOT
from trees import tree

from tf_tickets.errors import UsageError
from tf_tickets.registry import COMMANDS
from tf_tickets.settings import cli, commands, config, help_texts, help_words
from tf_tickets.sweeps import grid

# kind -> [(files, words, what the message must hold)]; {folder} stands for the folder in which the command runs.
BAD = {
    "unknown name": [
        ({}, ["--widht=16"], ["--widht", "--width"]),
        ({}, ["--dryrun", "--seed=1"], ["--dryrun", "--dry_run"]),
        ({}, ["--zzz"], ["--zzz", "--help"]),
        ({"a.cfg": "\n--epoch=3\n"}, ["--flagfile=a.cfg"], ["--epoch", "--epochs", "a.cfg, line 2"]),
        ({"a.cfg": "--nodeterminstic\n"}, ["--flagfile=a.cfg"], ["--nodeterminstic", "a.cfg, line 1"]),
    ],
    "wrong type": [
        ({}, ["--width=wide"], ["--width=wide", "whole number"]),
        ({}, ["--rate=1/0"], ["--rate=1/0", "number"]),
        ({}, ["--seed=1_000"], ["--seed=1_000", "whole number"]),
        ({}, ["--jit=maybe"], ["--jit=maybe", "true or false"]),
        ({"a.cfg": "--epochs=2.5\n"}, ["--flagfile=a.cfg"], ["--epochs=2.5", "whole number", "a.cfg, line 1"]),
    ],
    "out of range": [
        ({}, ["--rate=1"], ["--rate=1", "above 0.999"]),
        ({}, ["--fraction=0"], ["--fraction=0", "not above 0"]),
        ({}, ["--learning_rate=inf"], ["--learning_rate=inf", "finite"]),
        ({}, ["--seed", "-1"], ["--seed=-1", "below 0"]),
        ({"a.cfg": "--width=0\n"}, ["--flagfile=a.cfg"], ["--width=0", "below 1", "a.cfg, line 1"]),
        ({}, ["--images=50001"], ["--images=50001", "50000"]),
        ({}, ["--fraction=0.0001"], ["--fraction=0.0001", "class 5", "more"]),
        ({}, ["--dataset=digits", "--per_class=118"], ["--per_class=118", "117"]),
        ({}, ["--imbalance=0.0001"], ["--imbalance=0.0001", "larger"]),
        ({}, ["--min_per_layer=2000"], ["--min_per_layer=2000", "1728"]),
    ],
    "not a choice": [
        ({}, ["--model=resnet20"], ["--model=resnet20", "resnet18, resnet34"]),
        ({}, ["--dataset=cifar"], ["--dataset=cifar", "did you mean cifar10?"]),
        ({}, ["--rewind=epoch"], ["--rewind=epoch", "epoch:K"]),
        ({}, ["--rewind=init:"], ["--rewind=init:", "init"]),
        ({}, ["--choose=best"], ["--choose=best", "validation, last"]),
        ({}, ["--choose=+3"], ["--choose=+3", "number of a round"]),
        ({}, ["--validation=1.5"], ["--validation=1.5", "fold:I/K"]),
        ({}, ["--validation=fold:5/5"], ["--validation=fold:5/5", "I < K"]),
        ({}, ["--subset_seed=first"], ["--subset_seed=first", "original"]),
        ({}, ["--milestones=100,50"], ["--milestones=100,50", "rising"]),
        ({}, ["--strategy=cpu:1"], ["--strategy=cpu:1", "N >= 2"]),
        ({}, ["--profile_steps=9:3"], ["--profile_steps=9:3", "FIRST < LAST"]),
        ({"a.cfg": "--optimizer=sdg\n"}, ["--flagfile=a.cfg"], ["--optimizer=sdg", "did you mean sgd?", "line 1"]),
    ],
    "conflict": [
        ({}, ["--images=100", "--per_class=5"], ["--per_class", "--images", "keep one"]),
        ({"a.cfg": "--fraction=0.1\n"}, ["--flagfile=a.cfg", "--imbalance=0.1"], ["--imbalance", "--fraction"]),
        ({}, ["--imbalance_profile=step"], ["--imbalance_profile=step", "needs --imbalance"]),
        ({}, ["--schedule=steps"], ["--schedule=steps", "--milestones="]),
        ({}, ["--milestones=3"], ["--milestones", "--schedule=steps"]),
        ({}, ["--epochs=2"], ["--rewind=epoch:2", "--epochs=2"]),
        ({}, ["--per_class=1", "--rewind=step:20", "--epochs=20"], ["--rewind=step:20", "20 steps"]),
        ({}, ["--warmup=200"], ["--warmup=200", "--epochs=200"]),
        ({}, ["--choose=16"], ["--choose=16", "--rounds=16"]),
        ({}, ["--choose=validation"], ["--choose=validation", "--validation=0.2"]),
        ({}, ["--jit", "--strategy=cpu:2"], ["--jit", "--strategy=cpu:2"]),
        ({}, ["--control=random", "--scope=layer"], ["--control=random", "--scope=layer"]),
        ({}, ["--optimizer=adam", "--momentum=0.5"], ["--momentum", "adam"]),
        ({}, ["--finetune_learning_rate=0.1"], ["--finetune_learning_rate", "--rewind=finetune"]),
        ({}, ["--subset_seed=original", "--validation=0.2"], ["--subset_seed=original", "fold:I/K"]),
        ({}, ["--per_class=1", "--validation=0.2"], ["--validation=0.2", "more images"]),
        ({}, ["--per_class=3", "--validation=fold:4/5"], ["--validation=fold:4/5", "more images"]),
        ({}, ["--ticket=."], ["--ticket", "train --ticket=DIR"]),
        ({}, ["train", "--control=random"], ["--control=random", "imp"]),
        ({}, ["--control=one_shot"], ["--control=one_shot", "train without --ticket", "imp"]),
        ({}, ["train", "--control=small_dense"], ["--control=small_dense", "train --ticket=DIR"]),
        ({}, ["analyze"], ["analyze", "--what=augment"]),
        ({}, ["--what=augment"], ["--what", "analyze", "imp"]),
        ({}, ["--archive=a.tar"], ["--archive", "prepare"]),
        ({}, ["prepare", "cifar10"], ["prepare", "--archive=FILE"]),
    ],
    "missing file": [
        ({}, ["--flagfile=none.cfg"], ["none.cfg", "No such file"]),
        ({"a.cfg": "# nothing\n--flagfile=none.cfg\n"}, ["--flagfile=a.cfg"], ["none.cfg", "a.cfg, line 2"]),
        ({}, ["--subset_file=none.txt"], ["--subset_file=none.txt", "No such file"]),
        ({}, ["train", "--ticket=none"], ["--ticket=none", "ticket or round folder"]),
        ({}, ["report", "none"], ["none does not exist; report needs run folders", "report --help has"]),
    ],
    "undashed line": [
        ({"a.cfg": "width=16\n"}, ["--flagfile=a.cfg"], ["'width=16'", "--name=value", "a.cfg, line 1"]),
        ({"a.cfg": "\n-width=16\n"}, ["--flagfile=a.cfg"], ["'-width=16'", "--name=value", "a.cfg, line 2"]),
        ({"a.cfg": "--\n"}, ["--flagfile=a.cfg"], ["'--'", "--name=value", "a.cfg, line 1"]),
    ],
    "stray word": [
        ({}, ["tran"], ["'tran'", "did you mean train?"]),
        ({}, ["--jit", "false"], ["'false'", "flags begin with --"]),
        ({}, ["imp", "train"], ["'train'", "stray"]),
        ({"pictures/cat/0.png": ""}, ["pictures"], ["'pictures'", "given as --dataset=folder --data_dir=pictures"]),
        ({"pictures/cat/0.png": ""}, ["train", "pictures"], ["given as train --dataset=folder --data_dir=pictures"]),
        ({"run/config.cfg": ""}, ["imp", "run"], ["a run goes on", "--flagfile=run/config.cfg"]),
        ({"my run/ticket.json": ""}, ["train", "my run"], ["--ticket='my run'"]),
        ({"a.cfg": ""}, ["train", "a.cfg"], ["--flagfile=a.cfg"]),
        ({"a.npz": ""}, ["a.npz"], ["--data_file=a.npz"]),
        ({}, ["--", "--width=16"], ["'--width=16'", "stray"]),
        ({}, ["two\nlines"], ["two\\nlines", "stray"]),
        ({}, ["prepare", "cifar10", "x.tar"], ["'x.tar'", "--archive=FILE"]),
        ({"a.cfg": "train\n"}, ["--flagfile=a.cfg"], ["'train'", "a.cfg, line 1"]),
        ({"a.cfg": "--width 16\n"}, ["--flagfile=a.cfg"], ["'--width 16'", "--width=VALUE", "a.cfg, line 1"]),
        ({"a.cfg": "--width = 16\n"}, ["--flagfile=a.cfg"], ["'--width = 16'", "--width=VALUE"]),
        ({"a.cfg": "-- =5\n"}, ["--flagfile=a.cfg"], ["'-- =5'", "=VALUE", "a.cfg, line 1"]),
    ],
    "circle": [
        ({"a.cfg": "--flagfile=a.cfg\n"}, ["--flagfile=a.cfg"], ["circle", "a.cfg -> a.cfg"]),
        (
            {"a.cfg": "--flagfile=b/b.cfg\n", "b/b.cfg": "--seed=1\n--flagfile=../a.cfg\n"},
            ["--flagfile=a.cfg"], ["circle: a.cfg -> b.cfg -> a.cfg", "b.cfg, line 2"],
        ),
    ],
    "outside": [
        ({"b.cfg": "", "a/a.cfg": "--flagfile=../b.cfg\n"}, ["--flagfile=a/a.cfg"], ["../b.cfg", "keep nested"]),
        ({"b.cfg": "", "a/a.cfg": "--flagfile={folder}/b.cfg\n"}, ["--flagfile=a/a.cfg"], ["outside", "a.cfg, line 1"]),
    ],
    "out in the way": [
        ({"runs": "a file"}, [], ["--out=runs", "is a file", "another --out"]),
        ({"file": "a file"}, ["--out=file/runs"], ["--out=file/runs", "is a file", "another --out"]),
    ],
    "missing value": [
        ({}, ["--width"], ["--width", "--width=VALUE"]),
        ({}, ["--width", "--seed=1"], ["--width", "--width=VALUE"]),
        ({}, ["--out="], ["--out=", "empty"]),
        ({}, ["--flagfile"], ["--flagfile", "=FILE"]),
        ({"a.cfg": "--seed\n"}, ["--flagfile=a.cfg"], ["--seed", "--seed=VALUE", "a.cfg, line 1"]),
        ({"a.cfg": "--flagfile=\n"}, ["--flagfile=a.cfg"], ["--flagfile=FILE", "a.cfg, line 1"]),
        ({}, ["report"], ["report needs run folders", "such as: report runs"]),
    ],
    "no flagfile": [
        ({"a/x": ""}, ["--flagfile=a"], ["flagfile a", "regular file"]),
        ({}, [f"--flagfile={os.devnull}"], [os.devnull, "regular file"]),
        ({"a.cfg": b"--out=\xe4\n"}, ["--flagfile=a.cfg"], ["a.cfg", "UTF-8"]),
        ({"a.cfg": b"\x00\x01"}, ["--flagfile=a.cfg"], ["a.cfg", "not text"]),
        ({"a.cfg": "#" * (2 << 20)}, ["--flagfile=a.cfg"], ["a.cfg", "larger"]),
        ({}, ["--nojit=true"], ["--nojit", "--jit=true"]),
    ],
    "text that no flagfile line carries": [
        ({}, ["--out= runs"], ["--out= runs", "space"]),
        ({}, ["--out=a\nb"], ["--out=a\\nb", "line break"]),
        ({}, ["--out=a\u2028b"], ["--out=a\\u2028b", "line break"]),
        ({}, ["--data_dir=a\udce4"], ["--data_dir=a\\udce4", "UTF-8"]),
    ],
}  # fmt: skip
CASES = [(f"{kind} {number}", *case) for kind, cases in BAD.items() for number, case in enumerate(cases)]

DRIVER = """
import json, os, sys
from absl import flags
from tf_tickets.settings import cli
from tf_tickets.errors import TicketError
from tf_tickets.experiments import plan

found = []
for folder, words in json.load(sys.stdin):
    os.chdir(folder)
    try:
        config = cli.parse(["tf-tickets", *words], flags.FlagValues()).config
        plan.resolve(config)
        plan.check_writable(config)
        found.append([0, ""])
    except TicketError as error:
        found.append([error.exit_status, str(error)])
assert "tensorflow" not in sys.modules
json.dump(found, sys.stdout)
"""


def fill(folder, files):
    """Writes a case's files."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = content if isinstance(content, bytes) else content.replace("{folder}", str(folder)).encode()
        path.write_bytes(content)


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Exit status, message and whether the tree is unchanged, for all bad cases from one process."""
    folders = [tmp_path_factory.mktemp("case") for _ in CASES]
    for folder, (_, files, _, _) in zip(folders, CASES):
        fill(folder, files)
    before = [tree(folder) for folder in folders]
    done = subprocess.run(
        [sys.executable, "-c", DRIVER], env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, check=True,
        input=json.dumps([[str(folder), words] for folder, (_, _, words, _) in zip(folders, CASES)]),
        stdout=subprocess.PIPE,
    )  # fmt: skip
    same = [tree(folder) == old for folder, old in zip(folders, before)]
    return {case[0]: (*answer, kept) for case, answer, kept in zip(CASES, json.loads(done.stdout), same)}


def parse(*words):
    """A command line parsed in this process."""
    return cli.parse(["tf-tickets", *words], flags.FlagValues())


@pytest.mark.parametrize(("name", "expected"), [(case[0], case[3]) for case in CASES], ids=[c[0] for c in CASES])
def test_bad_input_is_refused_in_one_line_that_names_value_and_remedy(answers, name, expected):
    status, message, unchanged = answers[name]
    assert status == 2, message
    assert len(message.splitlines()) == 1 and message.isprintable()
    for fragment in expected:
        assert fragment in message
    assert unchanged


@pytest.mark.parametrize(
    ("files", "words", "expected"),
    [
        BAD["unknown name"][0], BAD["conflict"][1], BAD["stray word"][4], BAD["out in the way"][1],
        ({}, ["--nov"], ["nov"]), ({}, ["--verbosity=loud"], ["verbosity"]),
    ],
)  # fmt: skip
def test_the_program_prints_one_line_and_exits_with_2(command, tmp_path, files, words, expected):
    fill(tmp_path, files)
    before = tree(tmp_path)
    # The plan is what names an unusable --out before a run starts.
    done = command(tmp_path, *words, "--dry_run")
    assert done.returncode == 2
    assert done.stdout == "" and done.stderr.startswith("tf-tickets: ") and done.stderr.count("\n") == 1
    assert all(fragment in done.stderr for fragment in expected)
    assert tree(tmp_path) == before


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


def test_flags_that_a_command_does_not_read_are_named_but_not_those_of_a_flagfile(tmp_path, capsys):
    (tmp_path / "a.cfg").write_text("--epochs=7\n--dataset=digits\n")
    words = ["tf-tickets", "evaluate", str(tmp_path), f"--flagfile={tmp_path / 'a.cfg'}", "--progress=none", "--jit"]
    cli.parse(words, flags.FlagValues())
    assert capsys.readouterr().err == ""
    cli.parse([*words, "--rounds=3", "--epochs=3"], flags.FlagValues())
    said = capsys.readouterr().err
    assert said == (
        "tf-tickets: evaluate does not read --rounds and --epochs; evaluate --help lists the flags that it reads\n"
    )


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


def test_a_flag_s_value_may_stand_after_a_space(tmp_path):
    (tmp_path / "a.cfg").write_text("--width=8\n")
    request = parse("--flagfile", str(tmp_path / "a.cfg"), "train", "--seed", "3", "-epochs", "9")
    assert (request.command, request.paths) == ("train", ())
    assert (request.config.network.width, request.config.run.seed, request.config.training.epochs) == (8, 3, 9)
    assert request.names == {"width", "seed", "epochs"} and request.given("seed") and not request.given("rounds")


def test_switches_take_no_following_word(tmp_path):
    for words, wanted in [(["--jit"], True), (["--nojit"], False), (["--jit=true"], True), (["--jit=0"], False)]:
        request = parse(*words, "train")
        assert request.command == "train" and request.config.run.jit is wanted
    (tmp_path / "a.cfg").write_text("--jit\n--nodeterministic\n")
    run = parse(f"--flagfile={tmp_path / 'a.cfg'}").config.run
    assert run.jit and not run.deterministic


def test_later_flags_win_over_earlier_ones_and_over_flagfiles(tmp_path):
    (tmp_path / "a.cfg").write_text("--width=8\n--width=9\n--jit\n")
    flagfile = f"--flagfile={tmp_path / 'a.cfg'}"
    assert parse("--width=1", flagfile).config.network.width == 9
    last = parse(flagfile, "--width=1", "--width=2", "--nojit").config
    assert (last.network.width, last.run.jit) == (2, False)


def test_a_typed_flag_that_a_later_flagfile_overrules_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path, {"a.cfg": "--flagfile=b.cfg\n--width=9\n", "b.cfg": "--width=8\n--epochs=7\n"})
    assert parse("--width=1", "--epochs=7", "--flagfile=a.cfg").config.network.width == 9
    said = "--width=1 is overruled by --width=9 (a.cfg, line 2), since of two the later one counts"
    assert capsys.readouterr().err == f"tf-tickets: {said}: put --width after --flagfile to keep it\n"
    parse("--width=9", "--flagfile=a.cfg")
    parse("--flagfile=a.cfg", "--width=1")
    parse("--width=1", "--flagfile=a.cfg", "--width=2")
    assert capsys.readouterr().err == ""


def test_nested_flagfiles_are_relative_to_the_file_that_names_them(tmp_path, monkeypatch):
    fill(tmp_path / "flags", {
        "top.cfg": "--width=8\n--flagfile=more/inner.cfg\n--seed=5\n", "base.cfg": "--epochs=7\n--width=4\n",
        "more/inner.cfg": "--seed=4\n--flagfile=../base.cfg\n",
    })  # fmt: skip
    elsewhere = tmp_path / "else"
    elsewhere.mkdir()
    (elsewhere / "link.cfg").symlink_to("../flags/top.cfg")
    for folder, name in [(tmp_path, "flags/top.cfg"), (elsewhere, "../flags/top.cfg"), (elsewhere, "link.cfg")]:
        monkeypatch.chdir(folder)
        found = parse(f"--flagfile={name}").config
        assert (found.network.width, found.training.epochs, found.run.seed) == (4, 7, 5)
        assert found == config.Config.from_flagfile(name)


def test_a_nested_link_does_not_lead_outside(tmp_path):
    fill(tmp_path, {"secret": "--seed=4\n", "flags/top.cfg": "--flagfile=link.cfg\n"})
    (tmp_path / "flags" / "link.cfg").symlink_to("../secret")
    with pytest.raises(UsageError, match="outside"):
        parse(f"--flagfile={tmp_path / 'flags' / 'top.cfg'}")


def test_a_hash_begins_a_comment_only_at_the_start_of_a_line(tmp_path):
    (tmp_path / "a.cfg").write_bytes(b"\xef\xbb\xbf# Windows' mark and line ends\r\n\r\n  --out=a#b\r\n")
    assert parse(f"--flagfile={tmp_path / 'a.cfg'}").config.run.out == "a#b"


def test_prepare_takes_its_data_set_as_a_word():
    request = parse("prepare", "cifar100", "--archive=x.tar")
    assert (request.command, request.paths, request.config.data.dataset) == ("prepare", ("cifar100",), "cifar100")


def test_the_values_also_stand_in_absl_s_flags():
    values = flags.FlagValues()
    request = cli.parse(["tf-tickets", "--width=8", "--rate=0.5", "--jit"], values)
    assert {name: values[name].value for name in config.options()} == request.config.values()


def test_a_recipe_is_found_by_name_unless_a_file_of_that_name_is_there(tmp_path, monkeypatch):
    fill(tmp_path, {
        "own.cfg": "--flagfile=quickstart.cfg\n--seed=5\n", "below/own.cfg": "--flagfile=flags/few.cfg\n--seed=6\n",
        "below/few.cfg": "--epochs=7\n",
    })  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for name in ("quickstart.cfg", "flags/quickstart.cfg", "own.cfg"):
        assert parse(f"--flagfile={name}").config.data.dataset == "digits"
        assert config.Config.from_flagfile(name).training.epochs == 40
    assert parse("--flagfile=below/own.cfg").config.training.epochs == 500
    assert parse("--flagfile=cifar10_1pct_rand_cpu.cfg").config.network.width == 16  # which nests two others
    fill(tmp_path, {"quickstart.cfg": "--epochs=3\n", "flags/few.cfg": "--epochs=4\n"})
    assert parse("--flagfile=quickstart.cfg").config.training.epochs == 3
    assert parse("--flagfile=flags/few.cfg").config.training.epochs == 4
    (tmp_path / "cub.cfg").symlink_to("nowhere")
    for name in ("cub.cfg", "elsewhere/cub.cfg", str(tmp_path / "clamm.cfg")):
        with pytest.raises(UsageError, match="cannot be read: No such file or directory$"):
            parse(f"--flagfile={name}")


@pytest.mark.parametrize(("words", "near"), [
    (["--flagfile=quikstart.cfg"], "did you mean quickstart.cfg?"), (["--flagfile=flags/fe.cfg"], "few.cfg?"),
    (["--flagfile=own.cfg"], "did you mean quickstart.cfg? (own.cfg, line 1)"),
    (["sweep", "--sweep=flags/rival.sweep"], "did you mean rivals.sweep"), (["--flagfile=zzz"], "--help=recipes"),
])  # fmt: skip
def test_a_name_that_is_nowhere_is_answered_with_near_ones_and_the_folder(tmp_path, monkeypatch, words, near):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path, {"own.cfg": "--flagfile=quickstar.cfg\n"})
    with pytest.raises(UsageError) as caught:
        request = parse(*words)
        grid.points(request.config.command.sweep)
    assert near in str(caught.value) and str(ROOT / "flags") in str(caught.value)


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
