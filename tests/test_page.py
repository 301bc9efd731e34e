"""The page of a report: its numbers are those of the rows, it stands alone, and missing parts leave no trace."""

import html.parser
import os
import re

import numpy as np
import pandas
import pytest
from test_report import make_run, no_figures, six_runs  # noqa: F401

from tf_tickets import storage
from tf_tickets.report import (
    command,
    details,
    evaluation_rows,
    evaluations,
    page,
    sentences,
    statistics,
    tables,
    thumbnails,
)

CLASSES = ["cat", "a>b", "<img src=x onerror=alert(1)>"]
COLUMNS = ("run", "round", "density", "evaluator", "setting", "metric", "value", "n")
LAYERS = ("first", "second", "<b>")


def measured_rows(index, clean):
    """The rows that `evaluate` leaves for one round, around an accuracy on clean images."""
    measured = [("clean", "test", "accuracy", clean), ("clean", "test", "calibration_error", 0.1 + clean / 10)]
    measured += [("fgsm", "eps=0.03137", "accuracy", clean / 4), ("shift", "cifar10.1_v6", "accuracy", clean - 0.1)]
    for kind, loss in (("fog", 0.02), ("contrast", 0.03)):
        measured += [
            ("generated-corruptions", f"{kind}:{level}", "accuracy", clean - loss * level * (1 + index))
            for level in range(1, 6)
        ]
    measured.append(("generated-corruptions", "standard_2", "accuracy", clean - 0.09 * (1 + index)))
    rows = [(*one, 100) for one in measured]
    for number, true in enumerate(CLASSES):
        share = clean - 0.1 + number / 10
        rows += [("clean", "test", f"accuracy:{true}", share, 50)]
        rows += [("clean", "test", f"confusion:{true}>{true}", 50 * share, 50)]
        rows += [("clean", "test", f"confusion:{true}>{CLASSES[number - 1]}", 50 - 50 * share, 50)]
    return [dict(zip(COLUMNS, ("a/b", index, 0.5, *row))) for row in rows]


def fill(folder, accuracies, evaluated=(0, 2)):
    """Puts what a run leaves beside its summaries into a folder of `make_run`."""
    for index, accuracy in enumerate(accuracies):
        mine, density = folder.round(index), 0.8**index
        storage.write_csv(
            mine.density,
            [{"layer": name, "shape": "3x3", "kept": 9, "total": 9, "density": density} for name in LAYERS],
            ("layer", "shape", "kept", "total", "density"),
        )
        epochs = [
            {"epoch": e, "train_loss": 2.0 / e, "test_accuracy": accuracy if e % 2 else None} for e in range(1, 8)
        ]
        storage.write_csv(mine.epochs, epochs, ("epoch", "train_loss", "test_accuracy"))
        rows = measured_rows(index, accuracy) if index in evaluated else measured_rows(index, accuracy)[:1]
        storage.write_csv(mine.evaluations, rows, COLUMNS)
    storage.write_json(folder.manifest, {"devices": "CPU:0", "versions": {"tensorflow": "2.21.0"}})
    return folder


def add_rows(folder, measured):
    """Adds (evaluator, setting, metric, value, n) to the rows of a round's folder."""
    rows = [dict(zip(COLUMNS, ("a/b", folder.index, 0.5, *row))) for row in measured]
    storage.write_csv(folder.evaluations, storage.read_csv(folder.evaluations) + rows, COLUMNS)


def fill_extras(folder):
    """A CKA matrix and examples."""
    names = [name.rstrip(">") for name in LAYERS]
    values = {f"cka:{a}>{b}": value for a in names for b, value in zip(names, (1.0, 0.5, 0.25))}
    add_rows(folder.round(2), [("similarity", "round_00,images=100", *item, 100) for item in values.items()])
    images = np.arange(3 * 8 * 8 * 3, dtype=np.uint8).reshape(3, 8, 8, 3)
    storage.write_arrays(folder.examples, {
        "images": images, "positions": np.array([3, 5, 8]), "labels": np.array([0, 1, 2], np.uint16),
        "dense": np.array([1, 0, 2], np.uint16), "ticket": np.array([0, 1, 0], np.uint16), "round": np.int64(2),
        "gained": np.int64(20), "lost": np.int64(11), "total": np.int64(100), "classes": np.array(CLASSES),
    })  # fmt: skip


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


def test_missing_parts_leave_no_trace(tmp_path, no_figures):  # noqa: F811
    six_runs(tmp_path)
    command.report([str(tmp_path)])
    text = (tmp_path / "report.html").read_text()
    for part in ("Robustness", "Classes", "Images that dense", "Inside the networks", "Training</h", "Left out"):
        assert part not in text
    assert text.count("<figure>") == 1 and '<div class="figures"></div>' not in text


def test_a_table_of_an_earlier_report_makes_a_page(tmp_path, no_figures):  # noqa: F811
    six_runs(tmp_path / "runs")
    make_run(tmp_path / "runs", [0.5, 0.6], control="random")
    command.report([str(tmp_path / "runs")])
    text, problems = command.report([str(tmp_path / "runs" / "report.csv")], str(tmp_path / "again"))
    page_text = Outline((tmp_path / "again" / "report.html").read_text()).text
    assert not problems and "All recipes" in page_text and "Settings, versions" not in page_text
    assert "One pair cannot show one, whatever the numbers: that takes at least six." in page_text


def test_damaged_details_are_named(tmp_path, no_figures):  # noqa: F811
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


def test_without_pyarrow_it_says_so(tmp_path, no_figures, monkeypatch):  # noqa: F811
    def missing(*arguments, **words):
        raise ImportError

    make_run(tmp_path, [0.5, 0.6])
    monkeypatch.setattr(pandas.DataFrame, "to_parquet", missing)
    text = command.report([str(tmp_path)])[0]
    assert "report.parquet is left out" in text and not os.path.exists(tmp_path / "report.parquet")


def test_recipes_are_told_apart_by_their_settings(tmp_path, no_figures, monkeypatch):  # noqa: F811
    monkeypatch.setattr(page, "MOST_OPEN", 1)
    for width in (8, 16, 64):
        make_run(tmp_path, [0.5, 0.6], width=width)
    command.report([str(tmp_path)])
    text = Outline((tmp_path / "report.html").read_text()).text
    assert "--width=8. At" in text and "--width=16. At" in text and "2 more recipes" in text


def test_many_recipes_are_named_but_not_all_drawn(tmp_path, no_figures, monkeypatch):  # noqa: F811
    monkeypatch.setattr(page, "MOST_FIGURES", 4)
    for augment in ("none", "base", "rand"):
        make_run(tmp_path, [0.5, 0.6], augment=augment)
    command.report([str(tmp_path)])
    text = Outline((tmp_path / "report.html").read_text()).text
    assert "Two more recipes without a section" in text and text.count("Settings, versions") == 1
    assert text.count("no difference between the ticket and its dense network is shown") == 4


def test_recipes_without_a_ticket_share_a_line(tmp_path, no_figures):  # noqa: F811
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


def gathered(folder, frame, problems):
    paths = [str(folder)]
    return evaluation_rows.gather(paths, details.sources(paths, frame, problems), frame, problems)


class TestEvaluations:
    @pytest.fixture
    def rows(self, tmp_path):
        for seed in range(3):
            accuracies = [0.5, 0.55 + seed / 100, 0.6 + seed / 100]
            # The last run's ticket is round 1: the others' was looked at in round 2.
            fill(make_run(tmp_path, accuracies, seed), accuracies, (0, 1 if seed == 2 else 2))
        frame = tables.collect([str(tmp_path)])[0]
        problems = []
        found = gathered(tmp_path, frame, problems)
        assert not problems
        return found

    def test_the_evaluated_round_is_compared(self, rows):
        both = evaluations.compared(rows)
        clean = both[(both["evaluator"] == "clean") & (both["metric"] == "accuracy")]
        assert list(clean["round"]) == [2, 2, 1] and list(clean["ticket"]) == pytest.approx([0.6, 0.61, 0.57])
        found = {entry["title"]: entry for entry in evaluations.measures(both)}
        peer = statistics.paired_difference([0.125] * 3, np.array([0.6, 0.61, 0.57]) / 4)
        assert found["FGSM, eps 0.0314"]["difference"].mean == pytest.approx(peer.mean)
        assert found["FGSM, eps 0.0314"]["difference"].n == 3

    def test_severities(self, rows):
        table = evaluations.by_severity(evaluations.compared(rows))["generated-corruptions"]
        assert list(table.index) == ["fog", "contrast"] and list(table.columns) == [1, 2, 3, 4, 5]
        # Dense loses 0.02 s; the tickets lose 0.06 s, 0.06 s and 0.04 s.
        assert table.loc["fog", 5] == pytest.approx(100 * (np.mean([0.1, 0.11, 0.07]) - 0.02 * 5 * (2 + 2 + 1) / 3))

    def test_confusion_with_signs_in_names(self, rows):
        dense, ticket = evaluations.confusions(rows, evaluations.compared(rows))
        assert list(dense.index) == CLASSES and list(dense.sum(axis=1)) == pytest.approx([1, 1, 1])
        assert dense.loc["a>b", "a>b"] == pytest.approx(0.5) and dense.loc["a>b", "cat"] == pytest.approx(0.5)
        assert ticket.loc["cat", "cat"] == pytest.approx(np.mean([0.5, 0.51, 0.47]))

    def test_training_alone_evaluates_nothing(self, tmp_path):
        fill(make_run(tmp_path, [0.5, 0.6]), [0.5, 0.6], ())
        frame = tables.collect([str(tmp_path)])[0]
        rows = gathered(tmp_path, frame, [])
        assert len(rows) == 2 and evaluations.compared(rows).empty


class TestSentences:
    def test_worse_and_not_shown(self):
        worse = statistics.PairedDifference(-0.021, -0.034, -0.008, 6, 0.03125)
        text = sentences.headline(0.107, 0.4, 0.379, worse)
        assert text.startswith("At 10.7 % of the weights the ticket is 2.1 points worse than its dense network: 37.9 %")
        none = sentences.headline(0.004, 0.4, 0.401, statistics.PairedDifference(0.001, -0.002, 0.004, 8, 0.5))
        assert "At 0.4 % of the weights no difference" in none and "+0.1 points" in none and "cannot" not in none
        few = sentences.headline(0.5, 0.4, 0.5, statistics.PairedDifference(0.1, 0.09, 0.11, 5, 0.0625))
        cannot = "Five pairs cannot show one, whatever the numbers: that takes at least six."
        assert "no difference" in few and few.endswith(cannot)

    def test_holm_by_hand(self):
        # 0.01 x 3, 0.02 x 2, 0.04 x 1; never below the one before.
        assert list(statistics.holm([0.04, 0.01, 0.02])) == pytest.approx([0.04, 0.03, 0.04])
        assert list(statistics.holm([0.6, 0.9])) == [1.0, 1.0] and len(statistics.holm([])) == 0

    def test_rounds_together(self):
        pairs = pandas.DataFrame({"p_value": [2 / 64, 2 / 64], "n": [6, 6]})
        corrected, text = sentences.over_rounds(pairs)
        assert corrected == [4 / 64, 4 / 64]
        assert "leaves none below 0.05; with six pairs none could be" in text and "0.062 after" in text
        assert "leaves 2 below 0.05." in sentences.over_rounds(pairs.assign(p_value=0.001, n=12))[1]
        assert "looking at all two rounds leaves" in text
        assert "looking at one round leaves" in sentences.over_rounds(pairs[:1])[1]


@pytest.mark.parametrize("shape", [(8, 8, 1), (8, 8, 3), (200, 100, 3), (8, 8, 2)])
def test_thumbnails(shape):
    address = thumbnails.data_address(np.zeros(shape, np.uint8))
    assert address.startswith("data:image/png;base64,") and len(address) < 2000
