"""The page of a report: its numbers are those of the rows, it stands alone, and missing parts leave no trace."""

import html.parser
import os
import re

import numpy as np
import pandas
import pytest
from page_runs import CLASSES, add_rows, fill, fill_extras
from report_runs import make_run, six_runs

from tf_tickets import storage
from tf_tickets.report import (
    command,
    page,
    sentences,
    statistics,
    tables,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Six whole runs and the report on them; treat as read-only."""
    out = tmp_path_factory.mktemp("page")
    for seed in range(6):
        accuracies = [0.5 + 0.01 * seed, 0.52 + 0.01 * seed, 0.53 + 0.012 * seed]
        folder = fill(make_run(out / "runs", accuracies, seed), accuracies)
    fill_extras(folder)
    text, problems = command.report([str(out / "runs")], str(out / "report"))
    assert not problems
    return out, (out / "report" / "report.html").read_text()


class Outline(html.parser.HTMLParser):
    """Tags with their attributes, and the text outside of them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_the_headline_is_the_statistics_of_the_rows(made):
    out, text = made
    seeds = np.arange(6)
    found = statistics.paired_difference(0.5 + 0.01 * seeds, 0.53 + 0.012 * seeds)
    words = (
        f"At 64.0 % of the weights the ticket is {100 * found.mean:.1f} points better than its dense network: "
        f"56.0 % against 52.5 %, 95 % interval [{100 * found.low:+.1f}, {100 * found.high:+.1f}], six pairs, exact "
        "sign-flip p = 0.031."
    )
    assert words in Outline(text).text and "fixed before the runs" in text
    frame = tables.collect([str(out / "runs")])[0]
    read = tables.read_rows(out / "report" / "report.csv")
    assert pandas.read_parquet(out / "report" / "report.parquet").equals(read) and read.equals(frame)
    assert len(frame) == 18 and "All 18 rows" in text


def test_every_part_is_there_with_its_numbers(made):
    text = Outline(made[1]).text
    for part in ("Accuracy against density", "Robustness", "Classes", "Images that dense", "Inside the networks",
                 "Training", "Settings, versions, seeds"):  # fmt: skip
        assert part in text, part
    assert "generated corruptions, mean of 2" in text and "FGSM, eps 0.0314" in text and "shift, cifar10.1_v6" in text
    assert "the ticket alone has 20 right and the dense network alone 11" in text
    assert "--fraction=0.01" in text and "tensorflow: 2.21.0" in text
    assert "python -m tf_tickets.main imp --dataset=cifar10 --model=resnet18 --fraction=0.01" in text.replace(
        "--fraction=0.01 --model=resnet18", "--model=resnet18 --fraction=0.01"
    )


def test_nothing_is_loaded_and_nothing_escapes(made):
    out, text = made
    outline = Outline(text)
    assert "http" not in text and "@import" not in text and "<script" not in text
    for tag, attributes in outline.tags:
        assert tag not in ("script", "iframe", "object", "embed") and not any(n.startswith("on") for n in attributes)
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:")), (tag, attributes)
    assert CLASSES[2] in outline.text and "<img src=x" not in text and ("b", {}) in outline.tags
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert str(out) not in text


def test_a_phone_reads_it(made):
    outline = Outline(made[1])
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in outline.tags
    drawings = [attributes for tag, attributes in outline.tags if tag == "svg"]
    assert drawings and all("viewbox" in one and one["aria-label"] and "width" not in one for one in drawings)
    assert made[1].count("<table") == made[1].count('class="box"')
    assert "prefers-color-scheme:dark" in made[1] and "var(--ink)" in made[1]


def test_every_figure_is_a_file_too(made):
    out, text = made
    files = sorted(os.listdir(out / "report" / "figures"))
    assert len(files) == text.count("<figure>") == text.count("<figcaption>") >= 9
    assert all((out / "report" / "figures" / name).read_bytes().startswith(b"<?xml") for name in files)
    kinds = {re.sub(r"^[0-9a-f]{8}_|\.svg$", "", name) for name in files}
    assert {"accuracy", "robustness", "classes", "layers", "training", "cka_round_00_round_02"} <= kinds


def test_the_same_runs_make_the_same_bytes(made):
    out, _ = made
    command.report([str(out / "runs")], str(out / "again"))
    for path in sorted((out / "report").rglob("*.*")):
        other = out / "again" / path.relative_to(out / "report")
        assert other.read_bytes() == path.read_bytes(), path.name


def test_missing_parts_leave_no_trace(tmp_path, no_figures):
    six_runs(tmp_path)
    command.report([str(tmp_path)])
    text = (tmp_path / "report.html").read_text()
    for part in ("Robustness", "Classes", "Images that dense", "Inside the networks", "Training</h", "Left out"):
        assert part not in text
    assert text.count("<figure>") == 1 and '<div class="figures"></div>' not in text


def test_a_table_of_an_earlier_report_makes_a_page(tmp_path, no_figures):
    six_runs(tmp_path / "runs")
    make_run(tmp_path / "runs", [0.5, 0.6], control="random")
    command.report([str(tmp_path / "runs")])
    text, problems = command.report([str(tmp_path / "runs" / "report.csv")], str(tmp_path / "again"))
    page_text = Outline((tmp_path / "again" / "report.html").read_text()).text
    assert not problems and "All recipes" in page_text and "Settings, versions" not in page_text
    assert "One pair cannot show one, whatever the numbers: that takes at least six." in page_text


def test_damaged_details_are_named(tmp_path, no_figures):
    accuracies = [0.5, 0.6, 0.7]
    folder = fill(make_run(tmp_path, accuracies), accuracies)
    fill_extras(folder)
    storage.write_bytes(folder.round(1).density, b"layer,density\nfirst,much\n")
    storage.write_bytes(folder.round(2).epochs, b"\xff")
    storage.write_bytes(folder.round(0).evaluations, b"evaluator\nclean\n")
    storage.write_bytes(folder.examples, b"PK")
    storage.write_bytes(folder.manifest, b"{")
    add_rows(folder.round(2), [("similarity", "round_02,images=100", "cka:stem", 0.5, 100)])
    problems = command.report([str(tmp_path)])[1]
    broken = ("density.csv", "epochs.csv", "round_00/evaluations.csv", "examples.npz", "manifest.json", "of similarity")
    for name in broken:
        assert len([line for line in problems if name in line and "left out" in line]) == 1, name
    assert len(problems) == len(broken) and "Left out" in (tmp_path / "report.html").read_text()


def test_without_pyarrow_it_says_so(tmp_path, no_figures, monkeypatch):
    def missing(*arguments, **words):
        raise ImportError

    make_run(tmp_path, [0.5, 0.6])
    monkeypatch.setattr(pandas.DataFrame, "to_parquet", missing)
    text = command.report([str(tmp_path)])[0]
    assert "report.parquet is left out" in text and not os.path.exists(tmp_path / "report.parquet")


def test_recipes_are_told_apart_by_their_settings(tmp_path, no_figures, monkeypatch):
    monkeypatch.setattr(page, "MOST_OPEN", 1)
    for width in (8, 16, 64):
        make_run(tmp_path, [0.5, 0.6], width=width)
    command.report([str(tmp_path)])
    text = Outline((tmp_path / "report.html").read_text()).text
    assert "--width=8. At" in text and "--width=16. At" in text and "2 more recipes" in text


def test_many_recipes_are_named_but_not_all_drawn(tmp_path, no_figures, monkeypatch):
    monkeypatch.setattr(page, "MOST_FIGURES", 4)
    for augment in ("none", "base", "rand"):
        make_run(tmp_path, [0.5, 0.6], augment=augment)
    command.report([str(tmp_path)])
    text = Outline((tmp_path / "report.html").read_text()).text
    assert "Two more recipes without a section" in text and text.count("Settings, versions") == 1
    assert text.count("no difference between the ticket and its dense network is shown") == 4


def test_recipes_without_a_ticket_share_a_line(tmp_path, no_figures):
    make_run(tmp_path, [0.5, 0.6])
    make_run(tmp_path, [0.5], augment="none")
    text, one = "without a ticket to compare with a dense network of its own", sentences.NO_TICKET
    command.report([str(tmp_path)])
    assert text not in (shown := Outline((tmp_path / "report.html").read_text()).text) and shown.count(one) == 2
    for epochs in (10, 20):
        make_run(tmp_path, [0.4], augment="none", epochs=epochs)
    command.report([str(tmp_path)])
    written = (tmp_path / "report.html").read_text()
    shown = Outline(written).text
    opening = written[: written.index("Each sentence compares")]
    assert f"Three recipes {text}: " in shown and one not in opening and opening.count('class="claim"') == 1
    assert opening.count('href="#recipe-') == 4
