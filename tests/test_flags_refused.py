"""Bad flags and flagfiles are refused in one line before anything heavy is loaded."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT
from trees import fill, tree

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
