"""Published rows: they redraw the tables, and the ledger starts the same runs. The pages' numbers: test_numbers.py."""

import functools
import re
import shlex

import pandas
import pytest
from absl import flags
from conftest import ROOT
from quoted_searches import PUBLISHED, frame

from tf_tickets import storage
from tf_tickets.experiments import plan, train
from tf_tickets.report import command, plots, tables
from tf_tickets.settings import cli


@functools.cache
def ledger():
    return storage.read_csv(str(ROOT / "results" / "ledger.csv"))


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_committed_rows_redraw_the_tables(name, tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "accuracy_against_density", lambda *arguments: None)
    published = ROOT / "results" / name
    command.report([str(published / "report.csv")], str(tmp_path))
    made = {"report.csv": tables.COLUMNS, "paired.csv": None}
    optional = ("rivals.csv", "rewinds.csv", "evaluations.csv")
    assert [(tmp_path / file).exists() for file in optional] == [(published / file).exists() for file in optional]
    made |= {file: None for file in optional if (published / file).exists()}
    for file in made:
        ours, theirs = (pandas.read_csv(folder / file) for folder in (tmp_path, published))
        shared = [column for column in ours if column in theirs]  # older rows lack later columns
        pandas.testing.assert_frame_equal(ours[shared], theirs[shared])


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_ledger_has_every_run_and_its_numbers(name):
    last = frame(name).groupby("run", sort=False).tail(1)
    rows = {row["run"]: row for row in ledger() if row["results"] == name}
    assert list(rows) == list(last["run"])
    for row in last.to_dict("records"):
        noted = rows[row["run"]]
        assert (int(noted["round"]), float(noted["density"])) == (row["round"], row["density"])
        assert float(noted["test_accuracy"]) == row["test_accuracy"]
        assert re.fullmatch(r"[0-9a-f]{7,}", noted["commit"])


@pytest.mark.parametrize("row", ledger(), ids=lambda row: f"{row['results']}-{row['run']}")
def test_a_ledger_s_command_starts_the_same_run(row, monkeypatch):
    monkeypatch.chdir(ROOT)
    words = shlex.split(row["command"])
    assert words[:3] == ["python", "-m", "tf_tickets.main"]
    (ticket,) = [word.partition("=")[2] for word in words if word.startswith("--ticket=")] or [None]
    # A ticket has to be there, and its content is part of the digest: without it the recipe alone can be checked.
    known = [word for word in words[3:] if not (ticket and word.startswith(("--ticket=", "--control=")))]
    request = cli.parse(["tf-tickets", *known, "--dry_run"], flags.FlagValues())
    alone = request.command == "train"
    folder = (train.prepare(request.config)[2] if alone else plan.resolve(request.config).folder()).folder
    if ticket:
        searched = {other["run"] for other in ledger() if "--ticket" not in other["command"]}
        source = re.fullmatch(r".*?/([^/]+/[^/]+)/(ticket|round_\d\d)", ticket)
        assert source and source[1] in searched, "the ticket's own run is in the ledger"
        assert folder.split("/")[-1] == row["run"].split("/")[-1]
    else:
        assert folder.endswith(f"/{row['run']}")
