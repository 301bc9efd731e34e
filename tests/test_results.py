"""Published numbers: READMEs print the committed rows, these redraw the tables, the ledger starts the same runs."""

import functools
import json
import re
import shlex

import numpy as np
import pandas
import pytest
from absl import flags
from conftest import ROOT
from scipy import stats

from tf_tickets import storage
from tf_tickets.experiments import plan, train
from tf_tickets.report import command, evaluation_rows, pairing, plots, rewinds, rivals, statistics, tables
from tf_tickets.settings import cli

PUBLISHED = sorted(path.parent.name for path in (ROOT / "results").glob("*/report.csv"))
REWINDS = [name for name in PUBLISHED if (ROOT / "results" / name / "rewinds.csv").exists()]
# Dense networks alone, over the number of their steps.
CURVES = [name for name in PUBLISHED if not storage.read_csv(str(ROOT / "results" / name / "paired.csv"))]
SEARCHES = [name for name in PUBLISHED if name != "quickstart" and name not in [*REWINDS, *CURVES]]
# Fewer than six pairs show nothing, and have no sentence in docs/paper.md.
CLAIMS = [n for n in SEARCHES if int(storage.read_csv(str(ROOT / "results" / n / "paired.csv"))[-1]["n"]) >= 6]


@functools.cache
def frame(name):
    """The committed rows of results/NAME."""
    found, problems = tables.collect([str(ROOT / "results" / name / "report.csv")])
    assert not problems
    return found


@functools.cache
def ledger():
    return storage.read_csv(str(ROOT / "results" / "ledger.csv"))


def tabled(text):
    """(round, density, accuracy, difference, interval, p) of each row of a table by round, as text."""
    return re.findall(r"^\| (\d+) \| ([\d.]+) % \| ([\d.]+) % \| (\S*) \| (.*?) \| (\S*) \|$", text, re.M)


def assert_rows(rows, name):
    digest = frame(name)["digest"].iloc[0]
    mine = frame(name)[frame(name)["digest"] == digest]
    paired = pairing.paired(mine).set_index("round")
    means = mine.groupby("round")[["test_accuracy", "density"]].mean()
    assert [int(row[0]) for row in rows] == list(means.index)
    for number, density, accuracy, difference, interval, p_value in rows:
        index = int(number)
        assert accuracy == f"{100 * means['test_accuracy'][index]:.2f}"
        assert density == f"{100 * means['density'][index]:.2f}"
        if index:
            row = paired.loc[index]
            assert difference == f"{row['difference']:+.2f}"
            assert interval == (f"[{row['low']:+.2f}, {row['high']:+.2f}]" if row["n"] > 1 else "")
            assert p_value == statistics.probability(row["p_value"])


def test_the_readme_prints_the_committed_table():
    assert_rows(tabled((ROOT / "README.md").read_text()), "quickstart")


def test_the_readme_says_how_far_each_ticket_of_the_quickstart_is_ahead():
    ahead = []
    for _, rounds in frame("quickstart").groupby("run", sort=False):
        best = rounds[rounds["validation_accuracy"] == rounds["validation_accuracy"].max()].iloc[
            -1
        ]  # of equals the sparsest
        ahead.append(f"{100 * (best['test_accuracy'] - rounds['test_accuracy'].iloc[0]):+.1f}")
    text = " ".join((ROOT / "README.md").read_text().split())
    assert f"(over the six pairs {', '.join(ahead[:-1])} and {ahead[-1]} points over dense)" in text


@pytest.mark.parametrize("name", SEARCHES)
def test_a_result_s_readme_prints_the_committed_table(name):
    assert_rows(tabled((ROOT / "results" / name / "README.md").read_text()), name)


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_s_readme_prints_the_committed_rows(name):
    published, rows = (ROOT / "results" / name / "README.md").read_text(), frame(name)
    for epochs, group in rows.groupby("epochs"):
        each = [f"{100 * accuracy:.2f}" for accuracy in group["test_accuracy"]]
        cells = (
            f"{epochs:,}", f"{50 * epochs:,}", str(len(group)), f"{100 * group['test_accuracy'].mean():.2f} %",
            ", ".join(each), f"{group['train_loss'].mean():.3f}",
        )  # fmt: skip
        assert f"| {' | '.join(cells)} |" in published
    assert len(re.findall(r"^\| [\d,]+ \|", published, re.M)) == rows["epochs"].nunique()


def test_the_trials_readme_prints_the_committed_rows():
    folder = ROOT / "results" / "trials"
    published, rows = (folder / "README.md").read_text(), pandas.read_csv(folder / "rows.csv")
    dense = frame("dense_curve")
    baseline = dense[dense["epochs"] == 200].set_index("seed")["test_accuracy"]
    np.testing.assert_allclose(rows["baseline"], baseline.loc[rows["pair"]].to_numpy(), atol=1e-6)
    np.testing.assert_allclose(rows["difference"], rows["test_accuracy"] - rows["baseline"], atol=1e-6)
    for idea, group in rows.groupby("idea"):
        accuracies, differences = (
            ", ".join(f"{100 * value:{sign}.2f}" for value in group[column])
            for column, sign in (("test_accuracy", ""), ("difference", "+"))
        )
        cells = f"{len(group)} | {accuracies} | {differences} | {100 * group['difference'].mean():+.2f} |"
        assert re.search(rf"^\| {idea} \| [^|]+ \| {re.escape(cells)}$", published, re.M), idea
    assert len(re.findall(r"^\| [a-z]\w* \| ", published, re.M)) == 1 + rows["idea"].nunique()


@pytest.mark.parametrize("name", CLAIMS)
def test_the_page_s_sentences_have_the_committed_numbers(name):
    """`35.7 % dense, 40.0 % with 0.8 % of the weights left, +4.3 points, [+2.3, +6.3], p = 0.031: [results/NAME]`."""
    text = " ".join((ROOT / "docs" / "paper.md").read_text().split())
    pattern = (
        r"([\d.]+) % dense, ([\d.]+) % with ([\d.]+) % of the weights left, (\S+) points, (?:95 % interval )?"
        rf"\[(\S+), (\S+)\], p = ([\d.]+): \[results/{name}\]"
    )
    (printed,) = re.findall(pattern, text)
    row = pairing.paired(frame(name)[frame(name)["digest"] == frame(name)["digest"].iloc[0]]).iloc[-1]
    assert printed == (
        f"{100 * row['dense_accuracy']:.1f}", f"{100 * row['ticket_accuracy']:.1f}", f"{100 * row['density']:.1f}",
        f"{row['difference']:+.1f}", f"{row['low']:+.1f}", f"{row['high']:+.1f}",
        statistics.probability(row["p_value"]),
    )  # fmt: skip


def test_the_page_s_rivals_have_the_committed_numbers():
    found = rivals.compared(pairing.pooled(frame("cifar10_1pct_half_cpu")))
    last = found[found["p_holm"].notna()].set_index("name")
    text = " ".join((ROOT / "docs" / "paper.md").read_text().split())
    for name, pattern in {
        "random pruning": r"random pruning is ([\d.]+) points below the ticket, \[(\S+), (\S+)\]",
        "pruned at once": r"pruning at once ([\d.]+), \[(\S+), (\S+)\]",
    }.items():
        row = last.loc[name]
        (printed,) = re.findall(pattern, text)
        assert printed == (f"{row['difference']:.1f}", f"{row['low']:+.1f}", f"{row['high']:+.1f}")
    (better, than_random) = re.findall(r"is ([\d.]+) points better than the dense network and ([\d.]+) better", text)[0]
    assert than_random == f"{last.loc['random pruning', 'difference']:.1f}"
    whole = frame("cifar10_1pct_half_cpu")
    mine = pairing.paired(whole[whole["digest"] == found["digest"].iloc[0]]).iloc[-1]
    assert better == f"{mine['difference']:.1f}"
    (long, ticket) = re.findall(r"that reaches ([\d.]+) %, the ticket ([\d.]+) %", text)[0]
    row = last.loc["dense, 240 epochs"]
    assert (long, ticket) == tuple(f"{100 * row[of]:.1f}" for of in ("rival_accuracy", "ticket_accuracy"))
    fair = rivals.compared(frame("cifar10_1pct_half_decay_cpu")).set_index("name").loc["dense, 240 epochs"]
    (behind,) = re.findall(r"the ticket is behind in all six pairs, by ([\d.]+) points in the mean", text)
    assert fair["n"] == 6 and fair["p_value"] == 2 / 2**6 and behind == f"{-fair['difference']:.1f}"


@pytest.mark.parametrize("name", [name for name in PUBLISHED if (ROOT / "results" / name / "rivals.csv").exists()])
def test_a_result_s_readme_prints_the_committed_rivals(name):
    published = (ROOT / "results" / name / "README.md").read_text()
    for row in zip(*rivals.cells(rivals.compared(pairing.pooled(frame(name)))).values()):
        assert f"| {' | '.join(row)} |" in published


@pytest.mark.parametrize(("words", "evaluator", "setting", "metric"), [
    ("accuracy, mean of 19 corruptions", "generated-corruptions,images=1000", "all_19", "accuracy"),
    ("accuracy under FGSM", "fgsm,images=1000", "eps=0.03137", "accuracy"),
    ("calibration error", "clean", "test", "calibration_error"),
])  # fmt: skip
def test_a_result_s_readme_prints_what_was_measured_of_its_networks(words, evaluator, setting, metric):
    folder = ROOT / "results" / "cifar10_1pct_half_cpu"
    rows = pandas.read_csv(folder / "evaluations.csv")
    rows = rows[(rows["evaluator"] == evaluator) & (rows["setting"] == setting) & (rows["metric"] == metric)]
    found = rows.pivot(index="run", columns="round", values="value").dropna()[[0, 7]]
    difference = statistics.paired_difference(*found.to_numpy().T)
    middle, low, high = (f"{100 * part:+.2f}" for part in (difference.mean, difference.low, difference.high))
    cells = [f"{100 * found[index].mean():.2f} %" for index in (0, 7)]
    cells += [middle, f"[{low}, {high}]", str(difference.n), statistics.probability(difference.p_value)]
    assert f"| {words} | {' | '.join(cells)} |" in (folder / "README.md").read_text()


@pytest.mark.parametrize("name", REWINDS)
def test_a_result_s_readme_prints_the_committed_rewind_points(name):
    path = ROOT / "results" / name / "report.csv"
    found = rewinds.compared(frame(name), evaluation_rows.gather([str(path)], {}, frame(name), []))
    published = (path.parent / "README.md").read_text()
    assert rewinds.heading(found) in " ".join(published.split())
    for row in zip(*rewinds.cells(found).values()):
        assert f"| {' | '.join(row)} |" in published


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


@pytest.mark.parametrize("name", ["trainer", "trainer_small"])
def test_the_trainer_s_table_is_that_of_its_rows(name):
    folder = ROOT / "results" / "benchmarks"
    found = json.loads((folder / f"{name}.json").read_text())
    ours, theirs = ([100 * found[side][seed] for seed in sorted(found[side])] for side in ("tf_tickets", "PyTorch"))
    assert sorted(found["tf_tickets"]) == sorted(found["PyTorch"]) == ["0", "1", "2", "3", "4", "5"]
    cells = [f"{np.mean(side):.2f} % ({min(side):.2f} to {max(side):.2f})" for side in (ours, theirs)]
    interval = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    cells.append(f"{np.mean(ours) - np.mean(theirs):+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]")
    line = f"width {found['width']}, {100 * found['fraction']:.0f} % of the images | {' | '.join(cells)} |"
    assert line in (folder / "README.md").read_text()


def test_the_steps_table_is_that_of_its_rows():
    folder = ROOT / "results" / "benchmarks"
    found, text = json.loads((folder / "steps.json").read_text()), (folder / "README.md").read_text()
    assert len(found["width_64"]["ratios"]) == 8
    for name in found["width_64"]["ratios"]:
        cells = [found[width]["ratios"][name] for width in ("width_16", "width_64")]
        cells = ["{:.2f} [{:.2f}, {:.2f}]".format(cell["median"], *cell["quartiles"]) for cell in cells]
        assert f"| {name} | {' | '.join(cells)} |" in text


def test_the_cost_of_testing_and_the_memory_are_those_of_their_rows():
    folder = ROOT / "results" / "benchmarks"
    testing, text = json.loads((folder / "testing.json").read_text()), (folder / "README.md").read_text()
    usual, each = (testing["seconds"][side] for side in ("as by default", "a test after each epoch"))
    for epochs in ("4", "12"):
        assert f"| {epochs} | {usual[epochs][0]:.1f} s | {each[epochs][0]:.1f} s |" in text
    ((usual,), (each,)) = testing["seconds_of_200"]
    assert f"| 200, from these | {usual:,.0f} s | {each:,.0f} s |" in text
    assert each / usual == testing["ratio"] and f"that is {testing['ratio']:.1f} times as long" in text
    rows = json.loads((folder / "overheads.json").read_text())["rows"]
    ours = rows["peak memory up to here, MiB: ticket"]["value"]
    plain = rows["plain TensorFlow, MiB: the work of two rounds"]["value"]
    assert f"| {ours:,.0f} MiB | {ours / plain:.2f} of the same work" in text and f"take {plain:,.0f}:" in text


def test_the_ensembles_readme_prints_the_committed_rows():
    folder = ROOT / "results" / "ensembles"
    rows, text = storage.read_csv(str(folder / "rows.csv")), (folder / "README.md").read_text()
    for members in {row["members"] for row in rows}:
        accuracy, error = (
            [100 * float(row["value"]) for row in rows if (row["members"], row["metric"]) == (members, metric)]
            for metric in ("accuracy", "calibration_error")
        )
        each, errors = (", ".join(f"{v:.{places}f}" for v in values) for values, places in ((accuracy, 2), (error, 1)))
        mean = sum(accuracy) / len(accuracy)
        assert f"| {members} | {len(accuracy)} | {mean:.2f} % | {each} | {errors} % |" in text


def test_the_distillation_readme_prints_the_committed_rows():
    folder = ROOT / "results" / "distillation"
    rows, text = storage.read_csv(str(folder / "rows.csv")), (folder / "README.md").read_text()
    lines = [
        f"| {row['what']} | {row['round']} | {100 * float(row['density']):.2f} % | {row['epochs']} | "
        f"{100 * float(row['test_accuracy']):.2f} % |"
        for row in rows
    ]
    assert "\n".join(lines) in text and {row["pair"] for row in rows} == {"0"}
    usual = {
        row["round"]: 100 * float(row["test_accuracy"])
        for row in storage.read_csv(str(ROOT / "results" / "long_search" / "rows.csv"))
        if row["seed"] == "0"
    }
    assert "{}, {}, {} and {} %".format(*(f"{usual[str(index)]:.2f}" for index in range(4))) in text
    taught = {row["round"]: 100 * float(row["test_accuracy"]) for row in rows if row["what"].startswith("search")}
    gains = [f"{taught[index] - usual[index]:.1f}" for index in "0123"]
    assert "worth {},\n{}, {} and {} points".format(*gains) in text


def test_the_wrong_labels_readme_prints_the_committed_rows():
    folder = ROOT / "results" / "wrong_labels"
    rows, text = storage.read_csv(str(folder / "rows.csv")), (folder / "README.md").read_text()
    lines = [
        f"| {row['pair']} | {row['what']} | {100 * float(row['density']):.2f} % | {row['epochs']} | "
        f"{100 * float(row['test_accuracy']):.2f} % |"
        for row in rows
    ]
    assert "\n".join(lines) in text and len(rows) == 6 * len({row["pair"] for row in rows})


def test_the_rivals_readme_prints_the_committed_rows():
    folder = ROOT / "results" / "rivals"
    rows, text = storage.read_csv(str(folder / "rows.csv")), (folder / "README.md").read_text()
    lines = [
        f"| {row['pair']} | {row['method']} | {100 * float(row['density']):.2f} % | {int(row['steps_in_all']):,} | "
        f"{100 * float(row['test_accuracy']):.2f} % |"
        for row in rows
    ]
    assert "\n".join(lines) in text
    pairs = {"0": "pair 0", "0 1": "pairs 0 and 1", "0 1 2": "all three"}
    assert f"so far: {pairs[' '.join(sorted({row['pair'] for row in rows}))]}." in text


def test_the_tickets_readme_prints_the_committed_ways_to_eight_bits():
    folder = ROOT / "results" / "tickets"
    rows, text = storage.read_json(str(folder / "eight_bits.json"))["rows"], (folder / "README.md").read_text()
    cells = {
        (row["way"], row["ticket"]): f"{100 * row['accuracy']:.2f} % ({100 * row['same_label']:.1f} %)" for row in rows
    }
    tickets = list(dict.fromkeys(row["ticket"] for row in rows))
    for way in dict.fromkeys(row["way"] for row in rows):
        assert f"| `{way}` | {' | '.join(cells.get((way, ticket), '') for ticket in tickets)} |" in text
    accuracies = {(row["way"], row["ticket"]): row["accuracy"] for row in rows}
    assert all(accuracies["float32", name] - accuracies["depthwise_8", name] < 0.01 for name in tickets)


def test_the_page_of_tickets_prints_the_committed_times():
    text = " ".join((ROOT / "docs" / "tickets_on_devices.md").read_text().split())
    rows = {
        row["width"]: row["engines"]
        for row in json.loads((ROOT / "results/tickets/c_file.json").read_text())["tickets"]
    }
    for width, weights in ((64, "3.5 %"), (32, "0.8 %")):
        times = [rows[width][engine]["ms"] for engine in ("c gcc", "onnx", "saved_model")]
        cells = [f"{value:.1f}" if value > 1 else f"{value:.2f}" for value in times]
        first = rows[width]["c gcc"]
        cells += [f"{first['start_ms']:.1f}", f"{first['peak_mib']:.0f} MiB"]
        assert f"| ResNet-18 of width {width}, {weights} of its weights | {' | '.join(cells)} |" in text
    engines = json.loads((ROOT / "results/tickets/tickets.json").read_text())[0]["engines"]
    runtime, compiled, saved = (engines[name] for name in ("runtime", "runtime_compiled", "saved_model"))
    assert f"take {runtime['start']:.1f} s and {runtime['memory']:.0f} MiB, through" in text
    assert f"TensorFlow {saved['start']:.1f} s and {saved['memory']:.0f} MiB." in text
    times = [f"{engine['ms_1']:.1f} ms" for engine in (runtime, compiled, saved)]
    assert "One image then takes {}, compiled {}, the SavedModel {};".format(*times) in text


def test_the_first_screen_has_the_committed_rows(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import first_figure

    assert first_figure.table() in (ROOT / "README.md").read_text()
    six = next(row for row in first_figure.series() if row["what"] == "dense, 1,000 epochs")["accuracies"]
    assert len(six) == 6 and first_figure.interval(six)[0] > 62.0


def test_the_backbones_readme_prints_the_committed_rows():
    folder = ROOT / "results" / "backbones"
    rows, text = storage.read_csv(str(folder / "rows.csv")), (folder / "README.md").read_text()
    for name, control in {"probe": "probe", "dense": "none"}.items():
        of_kind = sorted((row for row in rows if row["control"] == control), key=lambda row: int(row["seed"]))
        each = [100 * float(row["test_accuracy"]) for row in of_kind]
        mean = sum(each) / len(each)
        printed = ", ".join(f"{accuracy:.2f}" for accuracy in each)
        assert f"| {name} | {len(each)} | {mean:.2f} % | {printed} |" in text
    assert {row["pretrained"].partition(" ")[0] for row in rows} == {"imagenet"}
    (paired,) = storage.read_csv(str(folder / "probes.csv"))
    low, high, ahead = (f"{float(paired[name]):+.1f}" for name in ("low", "high", "difference"))
    pages = [" ".join((ROOT / name).read_text().split()) for name in ("README.md", "docs/own_pictures.md")]
    accuracies = [f"{100 * float(paired[name]):.1f} %" for name in ("probe_accuracy", "accuracy")]
    tuned = f", and the same network fine-tuned {accuracies[1]}, {ahead} points, [{low}, {high}]"
    assert all(re.search(rf"has {accuracies[0]}(?: in a minute)?{re.escape(tuned)}", page) for page in pages)
    assert paired["n"] == "6" and f"[{low}, {high}], in all six pairs, p = {float(paired['p_value']):.3f}" in text


def test_the_readme_of_advise_prints_the_committed_rows():
    folder = ROOT / "results" / "advise"
    text = " ".join((folder / "README.md").read_text().split())
    intervals, curves, listed = (
        pandas.read_csv(folder / f"{name}.csv") for name in ("intervals", "curves", "wrong_labels")
    )
    assert list(intervals["subset_seed"]) == list(range(30)) and list(curves["subset_seed"]) == list(range(6))
    assert list(listed["subset_seed"]) == list(range(6)) and set(listed["wrong"]) == {25}
    for rows, low, high, truth, holds in (
        (intervals, "low", "high", intervals["test_accuracy"], "holds"),
        (curves, "low", "high", curves["test_accuracy_50"], "holds"),
        (curves, "gain_low", "gain_high", curves["test_accuracy_50"] - curves["test_accuracy_20"], "gain_holds"),
    ):
        assert list(truth.between(rows[low], rows[high]).astype(int)) == list(rows[holds])
    assert f"| 30 | {intervals['holds'].sum()} | 27 |" in text
    assert f"| 30 | {100 * (intervals['high'] - intervals['low']).mean():.1f} | at most 10 |" in text
    assert (
        f"| 6 | {curves['holds'].sum()} | 5 |" in text and f"its interval in {curves['gain_holds'].sum()} of 6." in text
    )
    wrong, planted, named = (listed[column].sum() for column in ("of_these_wrong", "wrong", "listed"))
    assert f"how many of the {planted} are listed | 6 | {wrong}, {100 * wrong / planted:.0f} % | 70 % |" in text
    half = listed["at_half_precision"].sum()
    assert f"half of it is wrong on purpose | 6 | {half}, {100 * half / planted:.0f} % | 70 % |" in text
    assert f"how many of the {named} listed are wrong on purpose | 6 | {100 * wrong / named:.0f} % | 50 % |" in text
    missed = intervals[intervals["holds"] == 0]
    assert f"The {len(missed)} intervals that miss:" in text
    for row in missed.itertuples():
        interval = f"[{100 * row.low:.1f}, {100 * row.high:.1f}] of {100 * row.test_accuracy:.1f} %"
        assert f"{interval} (subset seed {row.subset_seed})" in text
    error = 100 * (intervals["accuracy"] - intervals["test_accuracy"])
    assert f"is {error.mean():+.1f} points in the mean, {error.std():.1f} standard deviation" in text
    assert f"calibration error {100 * intervals['calibration_error'].mean():.1f} % in the mean" in text
    for row in curves.itertuples():
        few, many = 100 * row.test_accuracy_20, 100 * row.test_accuracy_50
        predicted = f"{100 * row.predicted:.1f} % [{100 * row.low:.1f}, {100 * row.high:.1f}]"
        gain = f"{100 * row.gain:+.1f} [{100 * row.gain_low:+.1f}, {100 * row.gain_high:+.1f}]"
        cells = f"{few:.1f} % | {many:.1f} % | {predicted} | {many - few:+.1f} | {gain}"
        assert f"| {row.subset_seed} | {cells} |" in text
    for row in listed.itertuples():
        assert f"| {row.subset_seed} | {row.listed} | {row.of_these_wrong} | {row.in_the_first_25} |" in text
    estimate, curve = intervals["seconds"].mean(), curves["seconds_of_50"].mean()
    assert f"takes {estimate:.1f} seconds of one core, and the curve {curve:.1f}." in text


def test_the_tickets_readme_prints_the_committed_times_of_depthwise_networks():
    folder = ROOT / "results" / "tickets"
    tickets = storage.read_json(str(folder / "c_depthwise.json"))["tickets"]
    text = (folder / "README.md").read_text()
    for engine, label in (
        ("saved_model", "SavedModel"),
        ("runtime_compiled", "runtime, compiled by numba"),
        ("c gcc", "C, gcc"),
    ):
        rows = [ticket["engines"][engine] for ticket in tickets]
        cells = [
            f"{row['ms']:.2f}" + ("" if engine == "saved_model" else f", {row['times_faster']:.1f}x") for row in rows
        ]
        assert f"| {label} | {' | '.join(cells)} |" in text
