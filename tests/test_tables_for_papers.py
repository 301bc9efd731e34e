"""What a report gives for papers: mean and deviation, tables as LaTeX, figures as PDF, and why a cell is empty."""

import os
import re

import numpy as np
import pandas
import pytest
from conftest import ROOT

from tf_tickets import storage
from tf_tickets.report import command, latex, page, pairing, plots, rivals, tables

PUBLISHED = ROOT / "results" / "cifar10_1pct_half_cpu"
NAMES = [
    r"a\b{c}$d$&e#f%g_h^i~j", "[x] * <y> | \"q\" 'r' `s`", "--- ,, ?`", "a\nb\x1b[0m", r"\input{/etc/passwd}",
    r"\end{tabular}", "äöü", "%", "* first", "-5 %", "a - b", "^^41", r"\\", "猫",
]  # fmt: skip


def cells_of(text):
    """The rows of a tabular as lists of cells, read as LaTeX does: an escaped sign parts nothing.

    Every other sign that is a command has to be one of those that `latex` writes.
    """
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    (inside,) = re.fullmatch(r"\\begin\{tabular\}\{lr*\}\n\\toprule\n(.*)\n\\bottomrule\n\\end\{tabular\}\n?", body,
                             re.DOTALL).groups()  # fmt: skip
    rows, cells, cell, at = [], [], "", 0
    commands = r"\\midrule|\\multicolumn\{\d+\}\{l\}|\\\\|\\text[a-z]+\{\}|\\[{}$&#%_,]|\$[-+]\$|\$\\pm\$"
    token = re.compile(commands + r"|[^\\$#^~%]", re.DOTALL)
    while at < len(inside):
        found = token.match(inside, at)
        assert found, f"LaTeX would read a command: {inside[at : at + 30]!r}"
        at, sign = found.end(), found[0]
        if sign == "&":
            cells, cell = [*cells, cell.strip()], ""
        elif sign == "\\\\":
            rows, cells, cell = [*rows, [*cells, cell.strip()]], [], ""
        elif not sign.startswith((r"\midrule", r"\multicolumn")):
            cell += sign
    assert not cell.strip() and not cells
    return rows


def test_names_of_any_signs_are_set_as_they_stand():
    text = latex.table([(name, {"name": [name], "p": ["0.031"]}) for name in NAMES], "x.csv", "a\n\\note")
    rows = cells_of(text)
    assert len(rows) == 1 + 2 * len(NAMES)
    back = {value: sign for sign, value in latex._SIGNS.items()}
    for name, (title,), row in zip(NAMES, rows[1::2], rows[2::2]):
        plain = re.sub("|".join(map(re.escape, back)), lambda found: back[found[0]], row[0]).replace("{}", "")
        expected = name.replace("\n", r"\n").replace("\x1b", r"\x1b").replace("{}", "")
        assert (plain, row[1]) == ("$-$5\\,%" if name == "-5 %" else expected, "0.031")
        assert title.startswith("{") and title.endswith("}")
    assert [line[0] for line in text.splitlines()[:3]] == ["%"] * 3 and "XeLaTeX" in text


@pytest.mark.parametrize(("cell", "set_as"), [
    ("+2.60", "$+$2.60"), ("[-4.92, -0.05]", r"{[}$-$4.92, $-$0.05{]}"),
    ("34.78 ± 1.79 % (12)", r"34.78 $\pm$ 1.79\,\% (12)"), ("-", "--"), ("", ""),
    ("dense-1", "dense-1"), ("a--b", "a-{}-b"),
])  # fmt: skip
def test_numbers_are_set_as_numbers(cell, set_as):
    assert latex._cell(cell) == set_as


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(folder, text) of a report of a published folder with the files for papers."""
    folder = tmp_path_factory.mktemp("papers")
    return folder, command.report([str(PUBLISHED)], str(folder), latex=True, pdf=True)[0]


def test_the_tables_hold_the_numbers_of_their_csv(made):
    folder, _ = made
    rows = cells_of((folder / "rivals.tex").read_text())
    found = rivals.ordered(pandas.read_csv(folder / "rivals.csv"))
    assert rows[0][0] == "against" and [row[0] for row in rows[1:]] == list(found["name"])
    for row, known in zip(rows[1:], found.to_dict("records")):
        assert row[3] == rf"{100 * known['ticket_accuracy']:.2f} $\pm$ {100 * known['ticket_sd']:.2f}\,\%"
        assert row[-1] == ("--" if np.isnan(known["p_holm"]) else f"{known['p_holm']:.3f}")
    pairs = pandas.read_csv(folder / "paired.csv")
    text = (folder / "paired.tex").read_text()
    assert len(cells_of(text)) == 1 + 7 + len(pairs) + 3 + 4  # head, recipes, pairs, dense rounds, recipes of one round
    last = pairs[pairs["digest"] == "ea50d7aa"].iloc[-1]
    assert rf"{100 * last['ticket_accuracy']:.2f} $\pm$ {100 * last['ticket_sd']:.2f}\,\% (12)" in text
    assert r"6.78 $\pm$ 1.21\,\% & 2.60 $\pm$ 0.46\,\% & $-$4.18" in (folder / "evaluations.tex").read_text()


def test_the_deviation_is_that_of_the_pairs():
    frame = tables.collect([str(PUBLISHED / "report.csv")])[0]
    rows = frame[(frame["digest"] == "ea50d7aa") & (frame["round"] == 7)]["test_accuracy"]
    last = pairing.paired(frame).query("digest == 'ea50d7aa'").iloc[-1]
    assert last["ticket_sd"] == pytest.approx(np.std(rows, ddof=1), rel=1e-12) and len(rows) == last["n"] == 12
    alone = pairing.paired(frame[frame["seed"] == 0])
    assert (alone["n"] == 1).all() and alone[["dense_sd", "ticket_sd", "low"]].isna().all(axis=None)
    assert tables.mean_sd(0.375, np.nan) == "37.50 %" and tables.mean_sd(0.375, 0.0004) == "37.50 ± 0.04 %"


def test_every_figure_is_a_pdf_too_which_says_nothing_of_when(made):
    folder, text = made
    drawn = sorted(name[:-4] for name in os.listdir(folder / "figures") if name.endswith(".svg"))
    assert [f"{name}.pdf" for name in drawn] == sorted(n for n in os.listdir(folder / "figures") if n.endswith(".pdf"))
    for name in ["accuracy.pdf", *(f"figures/{name}.pdf" for name in drawn)]:
        data = (folder / name).read_bytes()
        # Journals refuse Type 3 fonts.
        assert data.startswith(b"%PDF-") and b"Date" not in data and b"Matplotlib" not in data and b"/Type3" not in data
    assert "accuracy.svg, accuracy.pdf, report.html" in text and "paired.tex, rivals.tex, evaluations.tex" in text


def test_a_pdf_has_the_same_bytes_again(made, tmp_path):
    frame = pairing.comparable(pairing.pooled(tables.collect([str(PUBLISHED / "report.csv")])[0]))
    title = plots.labels(frame)[0]
    (path,) = plots.accuracy_against_density(frame, str(tmp_path / "again"), title, ("pdf",))
    assert (tmp_path / "again.pdf").read_bytes() == (made[0] / "accuracy.pdf").read_bytes() and path.endswith(".pdf")


def test_a_later_report_names_what_it_leaves_as_it_was(made, monkeypatch):
    folder, text = made
    before = {name: (folder / name).read_bytes() for name in ("paired.tex", "accuracy.pdf")}
    monkeypatch.setattr(plots, "accuracy_against_density", lambda *arguments: None)
    monkeypatch.setattr(page, "write", lambda *arguments, **more: ["report.html"])
    later, _ = command.report([str(PUBLISHED)], str(folder))
    assert "not written anew without --latex and --pdf: paired.tex, rivals.tex, evaluations.tex, accuracy.pdf" in later
    assert all((folder / name).read_bytes() == data for name, data in before.items()) and "anew" not in text


def test_an_empty_correction_says_why(made):
    folder, text = made
    rows = storage.read_csv(str(folder / "rivals.csv"))
    empty = [row for row in rows if not row["p_holm"]]
    assert [(row["name"], row["round"], row["note"]) for row in empty] == [
        ("random pruning", "4", "no p_holm: each rival counts once, this one at round 7")
    ]
    assert all(not row["note"] for row in rows if row["p_holm"])
    sentence = "each counts once: after the sparsest round at which most pairs meet it. A dash marks its other rounds."
    assert sentence in " ".join(text.split()) and sentence in (folder / "report.html").read_text()


def test_one_pair_says_that_it_has_no_interval():
    frame = tables.collect([str(PUBLISHED / "report.csv")])[0]
    few = frame[(frame["seed"] == 0) | (frame["control"] != "random") | (frame["round"] < 7)]
    found = rivals.compared(pairing.pooled(few)).query("name == 'random pruning'")
    reasons = "no interval or sd: one pair; no p_holm: each rival counts once, this one at round 4"
    assert list(found["note"]) == ["", reasons]
    assert rivals.note(found[found["p_holm"].notna()]) == "p, Holm is corrected over the rivals."


@pytest.mark.parametrize("flag", ["latex", "pdf"])
@pytest.mark.parametrize("words", [[], ["sweep", "--sweep=seed=0,1"], ["evaluate", "."]])
def test_the_flags_belong_to_report(command, tmp_path, flag, words):
    done = command(tmp_path, *words, f"--{flag}")
    assert done.returncode == 2 and f"--{flag} belongs to report, not" in done.stderr
    assert len(done.stderr.splitlines()) == 1 and not os.listdir(tmp_path)
