"""config.cfg keeps the first `--rounds` and says so; nothing else of a run knows of that line."""

import os
import shutil

import pytest
from absl import flags
from conftest import QUICK

import tf_tickets as tt
from tf_tickets import runs, storage
from tf_tickets.report import naming
from tf_tickets.settings import cli

NOTE = "# --rounds is what was asked for first; when more were, later, table.csv has them all.\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(Config, runs.RunFolder, text of config.cfg) of one round."""
    config = tt.Config.from_values(
        **QUICK | {"rounds": 1, "epochs": 2, "tensorboard": False, "out": str(tmp_path_factory.mktemp("runs"))}
    )
    folder = runs.RunFolder(tt.imp(config).folder)
    with open(folder.config, encoding="utf-8") as file:
        return config, folder, file.read()


def test_the_note_is_a_comment_of_imp_alone(run):
    config, folder, text = run
    assert text.splitlines(keepends=True)[1] == NOTE and text.count(NOTE) == 1
    assert tt.Config.from_flagfile(folder.config) == config
    assert cli.parse(["tf-tickets", f"--flagfile={folder.config}"], flags.FlagValues()).config == config
    assert naming.command_of(folder) == "imp"
    for command in ("train", "pretrain"):
        assert NOTE not in config.flagfile(command)
    assert config.flagfile("train") == text.replace(NOTE, "").replace("main imp", "main train")


@pytest.mark.parametrize("noted", [True, False], ids=["of this version", "of an earlier one"])
def test_more_rounds_leave_it_as_it_was(run, noted, tmp_path):
    config, folder, text = run
    shutil.copytree(config.run.out, tmp_path / "runs")
    config = config.replace(out=str(tmp_path / "runs"))
    folder = runs.RunFolder(os.path.join(tmp_path, "runs", folder.name))
    if not noted:  # as earlier versions left it: without the line, and sealed so
        storage.write_bytes(folder.config, text.replace(NOTE, "").encode())
        folder.round(0).complete_with(folder.round(0).read_summary(), folder.name)
    with open(folder.config, "rb") as file:
        before = file.read()
    again = tt.imp(config.replace(rounds=2))
    assert (again.folder, again.rounds) == (folder.folder, 2)
    with open(folder.config, "rb") as file:
        assert file.read() == before and b"--rounds=1\n" in before and (NOTE.encode() in before) == noted
    for index in range(2):
        folder.round(index).check(folder.name)
    assert tt.imp(config).rounds == 2
