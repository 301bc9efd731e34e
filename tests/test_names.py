"""Names that people gave, in every output; more of them in `torture.names`."""

import json
import pathlib
import subprocess
import sys

import matplotlib
import pytest
from conftest import ROOT
from torture import names

from tf_tickets import columns
from tf_tickets.data import class_names
from tf_tickets.errors import UsageError
from tf_tickets.export import card
from tf_tickets.plotting import canvas, maps
from tf_tickets.report import html, tables


@pytest.mark.parametrize("kind", names.REFUSED)
def test_what_cannot_be_shown_is_refused_before_anything_starts(tmp_path, kind):
    assert names.refusal(tmp_path / "pictures", names.REFUSED[kind]) is None


@pytest.mark.parametrize("group", names.TAKEN)
def test_what_can_be_shown_is_taken(group):
    class_names.check(group, "--data_dir=pictures")


def test_names_come_out_as_they_are(tmp_path):
    """One group through training and every command; the others are among the slow tests."""
    assert names.journey(tmp_path, (*names.TAKEN[0][:2], "<i>", "中文", "a long name, and `more`")) == []


@pytest.mark.slow
def test_all_names_come_out_as_they_are(tmp_path):
    words = [sys.executable, "-m", "torture.names", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT / "tests", capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["wrong"] == {} and found["names"] >= 100


def test_two_pairs_of_classes_may_not_have_one_name():
    class_names.check(["a", "a>b", "c"], "x")
    with pytest.raises(UsageError, match=r"x: 'a>b>a' is two pairs"):
        class_names.check(["a", "a>b", "b>a"], "x")


@pytest.mark.parametrize("text, width", [("abc", 3), ("中文", 4), ("e\u0301", 1), ("עברית", 5), ("👍", 2)])
def test_columns_of_a_terminal(text, width):
    assert columns.width(text) == width
    rows = columns.aligned([[text, "n", text], ["plain", "100", "plain"]], "lr").split("\n")
    assert rows[0].startswith(f"{text}{' ' * (5 - width)}    n  ") and rows[0].endswith(f" {text}"[width == 5 :])
    assert rows[1] == "plain  100  plain" and columns.width(rows[0]) == len(rows[1])
    lines = tables.align({"name": [text, "plain"], "n": ["1", "2"]}).split("\n")
    assert {columns.width(line) for line in lines} == {8}


@pytest.mark.parametrize("text, shown", [
    ("plain", "`plain`"), ("a`b", "``a`b``"), ("``", "``` `` ```"), (" a", "`  a `"), ("<b>|*_", "`<b>|*_`"),
])  # fmt: skip
def test_markdown_shows_a_name_as_code(text, shown):
    assert card.code(text) == shown


def test_figures_show_dollars_and_scripts_that_the_font_lacks(tmp_path, recwarn):
    def draw():
        drawn = canvas.canvas(2.0, 2.0)
        drawn.add_subplot(title="$5 and $10", xlabel=label)
        return drawn

    for label, text in (("plain", False), ("中文", True)):
        _, svg = canvas.write(draw, str(tmp_path / "a"))
        assert (f">{label}</text>" in pathlib.Path(svg).read_text("utf-8")) == text
    assert "text.parse_math" in canvas.LOOK and matplotlib.rcParams["text.parse_math"] and not recwarn.list


def test_names_are_cut_where_they_still_differ():
    assert maps.shortened(["airplane", "automobile"]) == ["airplane", "automobile"]
    assert maps.shortened(["x" * 30, "y"]) == ["x" * 20 + "…", "y"]
    same = ["x" * 30 + "a", "x" * 30 + "b"]
    assert maps.shortened(same) == ["x" * 10 + "…" + "x" * 9 + end for end in "ab"]
    middle = ["x" * 20 + end + "x" * 20 for end in "ab"]
    assert maps.shortened(middle) == middle


def test_pages_hold_no_controls():
    assert html.escape("a\x1b[31m<\ud800\n") == "a\\x1b[31m&lt;\\ud800\n"
