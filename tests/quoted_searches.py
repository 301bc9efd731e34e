"""What pages quote of searches, of their rivals and rewind points: accuracies, differences, intervals, p values."""

import functools
from collections.abc import Iterator

import pandas
from conftest import ROOT
from quotes import joined, lines, one_line, percent, quotes_of, rows

from tf_tickets import storage
from tf_tickets.report import evaluation_rows, pairing, rewinds, rivals, statistics, tables

PUBLISHED = sorted(path.parent.name for path in (ROOT / "results").glob("*/report.csv"))
REWINDS = [name for name in PUBLISHED if (ROOT / "results" / name / "rewinds.csv").exists()]
# Dense networks alone, over the number of their steps.
CURVES = [name for name in PUBLISHED if not storage.read_csv(str(ROOT / "results" / name / "paired.csv"))]
SEARCHES = [name for name in PUBLISHED if name not in [*REWINDS, *CURVES]]
HALF, DECAY, RAND = (f"cifar10_1pct_half_{kind}" for kind in ("cpu", "decay_cpu", "rand_cpu"))


@functools.cache
def frame(name: str) -> pandas.DataFrame:
    """The committed rows of results/NAME."""
    collected, problems = tables.collect([str(ROOT / "results" / name / "report.csv")])
    assert not problems
    return collected


def search(name: str) -> pandas.DataFrame:
    """The rows of the search of results/NAME, without its rivals."""
    return frame(name)[frame(name)["digest"] == frame(name)["digest"].iloc[0]]


def rounds_table(name: str) -> Iterator[str]:
    """The rows of a search's table by round."""
    paired = pairing.paired(search(name)).set_index("round")
    means = search(name).groupby("round")[["test_accuracy", "density"]].mean()
    made = []
    for index, mean in means.iterrows():
        cells = ["", "", ""]
        if index in paired.index:
            row = paired.loc[index]
            interval = f"[{row['low']:+.2f}, {row['high']:+.2f}]" if row["n"] > 1 else ""
            cells = [f"{row['difference']:+.2f}", interval, statistics.probability(row["p_value"])]
        shown = [str(index), percent(mean["density"]), percent(mean["test_accuracy"]), *cells]
        made.append(f"| {' | '.join(shown)} |")
    yield "|---|---|---|---|---|---|\n" + "\n".join(made)


def differences(first: pandas.DataFrame, second: pandas.DataFrame) -> list[str]:
    """Of each pair, by seed, the first accuracy less the second, in points."""
    ours, theirs = (part.sort_values("seed").set_index("seed")["test_accuracy"] for part in (first, second))
    return [f"{100 * value:+.1f}" for value in (ours - theirs).dropna()]


def ahead(name: str) -> list[str]:
    """Of each pair of a search, how far the last round is ahead of the first, in points."""
    rounds = search(name)
    return differences(rounds[rounds["round"] == rounds["round"].max()], rounds[rounds["round"] == 0])


def rivals_of(name: str) -> pandas.DataFrame:
    """A ticket's rivals by name, each after the round that counts."""
    compared = rivals.compared(pairing.pooled(frame(name)))
    return compared[compared["p_holm"].notna()].set_index("name")


def span(row: pandas.Series, sign: int = 1, places: int = 1) -> str:
    """An interval, as it is or of the difference the other way round."""
    low, high = (row["low"], row["high"]) if sign > 0 else (-row["high"], -row["low"])
    return f"[{low:+.{places}f}, {high:+.{places}f}]"


for searched in SEARCHES:
    pages = ["README.md"] if searched == "quickstart" else [f"results/{searched}/README.md"]
    quotes_of(*pages)(functools.partial(rounds_table, searched))


@quotes_of("README.md")
def quickstart() -> Iterator[str]:
    ahead = []
    for _, rounds in frame("quickstart").groupby("run", sort=False):
        chosen = rounds[rounds["validation_accuracy"] == rounds["validation_accuracy"].max()].iloc[-1]  # the sparsest
        ahead.append(f"{100 * (chosen['test_accuracy'] - rounds['test_accuracy'].iloc[0]):+.1f}")
    yield f"The six tickets are {joined(ahead)} points over dense."


@quotes_of("docs/paper.md")
def claims() -> Iterator[str]:
    for name in SEARCHES:
        row = pairing.paired(search(name)).iloc[-1]
        if name == "quickstart" or row["n"] < 6:  # fewer show nothing, and have no sentence
            continue
        interval = f"{'95 % interval ' if name == 'cifar10_1pct_cpu' else ''}{span(row)}"
        yield (
            f"{percent(row['dense_accuracy'], 1)} dense, {percent(row['ticket_accuracy'], 1)} with "
            f"{percent(row['density'], 1)} of the weights left, {row['difference']:+.1f} points, {interval}, "
            f"p = {statistics.probability(row['p_value'])}: [results/{name}]"
        )


@quotes_of("docs/paper.md")
def against_rivals() -> Iterator[str]:
    last, gain = rivals_of(HALF), pairing.paired(search(HALF)).iloc[-1]["difference"]
    behind = {
        name: f"{last.loc[name, 'difference']:.1f}"
        for name in ("random pruning", "pruned at once", "mask on fresh weights")
    }
    intervals = {name: span(last.loc[name]) for name in behind}
    yield f"the ticket is {gain:.1f} points better than the dense network and {behind['random pruning']} better (six"
    yield f"random pruning is {behind['random pruning']} points below the ticket, {intervals['random pruning']}"
    yield f"and pruning at once {behind['pruned at once']}, {intervals['pruned at once']}"
    yield f"is {behind['mask on fresh weights']} below it, {intervals['mask on fresh weights']}"
    long = last.loc["dense, 240 epochs"]
    yield f"that reaches {percent(long['rival_accuracy'], 1)}, the ticket {percent(long['ticket_accuracy'], 1)}"
    fair = rivals.compared(frame(DECAY)).set_index("name").loc["dense, 240 epochs"]
    assert fair["n"] == 6 and fair["p_value"] == 2 / 2**6
    yield f"With {percent(fair['ticket_accuracy'], 1)} of a search at the [same weight decay]"
    yield f"the ticket is behind in all six pairs, by {-fair['difference']:.1f} points in the mean"
    longer = percent(fair["rival_accuracy"], 1)
    yield f"gets {longer}, {-fair['difference']:.1f} points above the ticket, {span(fair, -1)}"
    yield f"{span(fair, -1)}, p = {statistics.probability(fair['p_value'])}."


@quotes_of("docs/paper.md")
def robustness() -> Iterator[str]:
    corrupted, attacked = (measured(*of) for of in (MEASURED[0][1:], MEASURED[1][1:]))
    yield f"({corrupted[2].mean:+.1f} points over 19 kinds, {span_of(corrupted[2])})"
    yield f"{100 * attacked[1]:.1f} against {percent(attacked[0], 1)}"


MEASURED = [
    ("accuracy, mean of 19 corruptions", "generated-corruptions,images=1000", "all_19", "accuracy"),
    ("accuracy under FGSM", "fgsm,images=1000", "eps=0.03137", "accuracy"),
    ("calibration error", "clean", "test", "calibration_error"),
]


def measured(evaluator: str, setting: str, metric: str) -> tuple:
    """Of the dense round and of the last the means of a measure, and their paired difference in points."""
    kept = rows(f"{HALF}/evaluations.csv")
    kept = kept[(kept["evaluator"] == evaluator) & (kept["setting"] == setting) & (kept["metric"] == metric)]
    values = kept.pivot(index="run", columns="round", values="value").dropna()[[0, 7]]
    return values[0].mean(), values[7].mean(), statistics.paired_difference(*(100 * values).to_numpy().T)


def span_of(difference, places: int = 1) -> str:
    """The interval of a paired difference."""
    return f"[{difference.low:+.{places}f}, {difference.high:+.{places}f}]"


@quotes_of(f"results/{HALF}/README.md")
def measured_table() -> Iterator[str]:
    for words, *of in MEASURED:
        dense, ticket, difference = measured(*of)
        cells = [words, percent(dense), percent(ticket), f"{difference.mean:+.2f}", span_of(difference, 2)]
        cells += [str(difference.n), statistics.probability(difference.p_value)]
        yield f"| {' | '.join(cells)} |"


@quotes_of(f"results/{HALF}/README.md")
def halving() -> Iterator[str]:
    yield f"the twelve differences are {joined(ahead(HALF))} points:"
    last, whole = rivals_of(HALF), frame(HALF)
    for words, name in (
        ("loses accuracy where the ticket gains; the difference is {:.1f} points.", "random pruning"),
        ("(58 epochs in all): {:.1f} points below the ticket", "pruned at once"),
        ("with no more prunable weights): {:.1f} points below", "small dense network"),
        ("That is not enough: {:.1f} points are lost", "shortened rounds"),
    ):
        yield words.format(last.loc[name, "difference"])
    fresh = last.loc["mask on fresh weights"]
    seeds = whole[whole["control"] == "reinitialize"]["seed"]
    dense = search(HALF)[(search(HALF)["round"] == 0) & search(HALF)["seed"].isin(seeds)]["test_accuracy"].mean()
    yield (
        f"{percent(fresh['rival_accuracy'], 1)}, {fresh['difference']:.1f} points below the ticket and above the dense "
        f"networks of the same six seeds ({percent(dense, 1)})"
    )
    yield from lines(
        rows(f"{HALF}/weight_decay.csv").assign(
            held=lambda table: table["validation_accuracy"].map(lambda share: percent(share, 0)),
            test=lambda table: table["test_accuracy"].map(lambda share: percent(share, 1)),
        ),
        "| {weight_decay} | {held} | {test} |",
    )
    long = last.loc["dense, 240 epochs"]
    rival = whole[whole["digest"] == long["rival"]]
    ticket = search(HALF)[search(HALF)["round"] == 7]
    smallest = rows(f"{HALF}/weight_decay.csv").set_index("weight_decay")["test_accuracy"][0.0005]
    yield (
        f"reaches {percent(long['rival_accuracy'], 1)} on the six pairs, the ticket "
        f"{percent(long['ticket_accuracy'], 1)}. The differences are {joined(differences(rival, ticket))} points "
        f"over the ticket, {-long['difference']:.1f} in the mean (interval {span(long, -1)}, "
        f"p = {statistics.probability(long['p_value'])})"
    )
    yield f"({percent(smallest, 1)} at 0.0005, from 400 images)"
    small = last.loc["small dense network"]
    assert [name for name in last.index if last.loc[name, "p_holm"] < 0.05] == ["small dense network"]
    assert small["n"] == 9
    yield f"With six pairs the smallest possible p is {2 / 2**6:.3f}. Corrected over"


@quotes_of(f"results/{HALF}/README.md")
def layers() -> Iterator[str]:
    kept = rows(f"{HALF}/evaluations.csv")
    kept = kept[(kept["round"] == 7) & kept["setting"].isin(["mask", "round_00,images=1000,batch=100"])]
    means = kept.groupby("metric")["value"].mean()
    left = {name: f"{100 * value:.0f}" for name, value in means.items() if str(name).startswith("density:")}
    first = [left[f"density:layer1.{block}"] for block in ("0.conv1", "0.conv2", "1.conv1", "1.conv2")]
    shortcuts = joined([left[f"density:layer{stage}.0.shortcut.0"] for stage in (2, 3, 4)])
    last = 100 * means["density:layer4.1.conv2"]
    yield f"{left['density:pre_conv.0']} % of the stem's weights are left, {max(first)} to {min(first)} % of the first"
    yield f"stage's, {shortcuts} % of the shortcuts', {last:.1f} % of the last layers'."
    blocks = [f"layer{stage}.{block}.relu" for stage in (1, 2, 3, 4) for block in (0, 1)]
    alike = [f"{means[f'cka:{name}>{name}']:.2f}" for name in ("pre_conv.2", *blocks, "linear")]
    yield f"{alike[0]} in the stem, {', '.join(alike[1:-1])} after the blocks, {alike[-1]} in the logits)"


@quotes_of(f"results/{DECAY}/README.md")
def decay() -> Iterator[str]:
    yield f"the ticket of the last round wins in every pair: {joined(ahead(DECAY))} points."
    long = rivals.compared(frame(DECAY)).set_index("name").loc["dense, 240 epochs"]
    rival = frame(DECAY)[frame(DECAY)["digest"] == long["rival"]]
    ticket = search(DECAY)[search(DECAY)["round"] == 7]
    yield f"it loses in every pair: {joined(differences(ticket, rival))} points."


@quotes_of(f"results/{RAND}/README.md")
def strong() -> Iterator[str]:
    yield f"the six differences are {joined(ahead(RAND))} points:"
    base = search(HALF)[search(HALF)["seed"] < 6]
    dense, ticket = (base[base["round"] == index]["test_accuracy"].mean() for index in (0, 7))
    yield f"({100 * (ticket - dense):+.1f} there on the same six pairs of seeds)"
    yield f"the same search with `base` ({100 * dense:.1f} and {percent(ticket, 1)})"


@quotes_of("results/cifar10_1pct_cpu/README.md")
def fifths() -> Iterator[str]:
    paired = pairing.paired(search("cifar10_1pct_cpu")).set_index("round")
    row, last = paired.loc[8], paired.iloc[-1]
    yield (
        f"{percent(row['dense_accuracy'], 1)} dense and {percent(row['ticket_accuracy'], 1)} at density "
        f"{row['density']:.2f}, a mean paired difference of {row['difference']:+.2f} points with 95 % interval "
        f"{span(row, places=2)}."
    )
    yield (
        f"it is {last['difference']:+.2f} points, {span(last, places=2)}, exact sign-flip p "
        f"{statistics.probability(last['p_value'])}"
    )


for compared in [name for name in PUBLISHED if (ROOT / "results" / name / "rivals.csv").exists()]:

    @quotes_of(f"results/{compared}/README.md")
    def rivals_table(name: str = compared) -> Iterator[str]:
        for row in zip(*rivals.cells(rivals.compared(pairing.pooled(frame(name)))).values()):
            yield f"| {' | '.join(row)} |"


for rewound in REWINDS:

    @quotes_of(f"results/{rewound}/README.md")
    def rewinds_table(name: str = rewound) -> Iterator[str]:
        path = ROOT / "results" / name / "report.csv"
        compared = rewinds.compared(frame(name), evaluation_rows.gather([str(path)], {}, frame(name), []))
        yield one_line(rewinds.heading(compared))
        for row in zip(*rewinds.cells(compared).values()):
            yield f"| {' | '.join(row)} |"


for curve in CURVES:

    @quotes_of(f"results/{curve}/README.md")
    def curve_table(name: str = curve) -> Iterator[str]:
        made = []
        for epochs, group in frame(name).groupby("epochs"):
            each = ", ".join(f"{100 * accuracy:.2f}" for accuracy in group["test_accuracy"])
            mean = percent(group["test_accuracy"].mean())
            loss = f"{group['train_loss'].mean():.3f}"
            made.append(f"| {epochs:,} | {50 * epochs:,} | {len(group)} | {mean} | {each} | {loss} |")
        yield "|---|---|---|---|---|---|\n" + "\n".join(made)


@quotes_of("results/rewind/README.md")
def unstable() -> Iterator[str]:
    barriers = rows("rewind/rewinds.csv").set_index("rewind_epoch")["dense_barrier"]
    assert barriers[2] > 0.02 > barriers[3]
    yield f"({100 * barriers[0]:.0f} points: half-way between its copies it guesses)"


@quotes_of("results/dense_curve/README.md")
def six_of_1000() -> Iterator[str]:
    accuracies = 100 * frame("dense_curve").query("epochs == 1000")["test_accuracy"].to_numpy()
    difference = statistics.paired_difference(0 * accuracies, accuracies)
    assert len(accuracies) == 6
    yield f"which is {accuracies.mean():.2f} % (95 % interval {difference.low:.1f} to {difference.high:.1f}, t"
    yield f"reached {percent(rivals_of(DECAY).loc['dense, 240 epochs', 'rival_accuracy'], 1)} at width 32 on six pairs"
