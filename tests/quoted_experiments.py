"""What pages quote of trials and of single experiments, each with a rows.csv or the like of its own."""

import re
import sys
from collections.abc import Iterator

import numpy as np
import pandas
from conftest import ROOT
from quoted_searches import frame
from quotes import joined, lines, percent, quotes_of, rows

from tf_tickets import storage
from tf_tickets.report import statistics

sys.path.insert(0, str(ROOT / "benchmarks"))
import first_figure
import regret

sys.path.remove(str(ROOT / "benchmarks"))

RECIPE = "flags/few.cfg"


def table(quotes: Iterator[str]) -> str:
    """Lines of a table as they follow each other."""
    return "\n".join(quotes)


def in_percent(frame: pandas.DataFrame, *columns: str, places: int = 2) -> pandas.DataFrame:
    """The frame with shares as text, in per cent."""
    return frame.assign(**{name: [percent(share, places) for share in frame[name]] for name in columns})


def each(values: pandas.Series, places: int = 2, sign: str = "") -> str:
    """Shares as points, one after another."""
    return ", ".join(f"{100 * value:{sign}.{places}f}" for value in values)


@quotes_of("README.md")
def first_screen() -> Iterator[str]:
    yield first_figure.table()
    means = {row["what"]: np.mean(row["accuracies"]) for row in first_figure.series()}
    assert round(means["dense, 2,000 epochs"] - means["dense, 1,000 epochs"]) == 1
    six = next(row for row in first_figure.series() if row["what"] == "dense, 1,000 epochs")["accuracies"]
    assert len(six) == 6 and first_figure.interval(six)[0] > 62.0
    (ticket,) = (row for row in first_figure.series() if row["what"] == "ticket of a search")
    yield f"With {percent(ticket['weights'], 1)} of the weights it is less accurate than"
    few, many = (means[f"dense, {epochs} epochs"] - means["ticket of a search"] for epochs in ("500", "1,000"))
    smaller = 1 / ticket["weights"]
    yield f"a {smaller:.0f}rd of the weights, for {few:.1f} points less than 500 epochs and {many:.1f} less than 1,000."


@quotes_of(RECIPE)
def recipe() -> Iterator[str]:
    dense = {
        epochs: f"{100 * group.mean():.1f}" for epochs, group in frame("dense_curve").groupby("epochs")["test_accuracy"]
    }
    yield f"a dense network has {dense[200]} % after 200 epochs, {dense[500]} after 500, {dense[1000]} after"
    yield f"1,000, {dense[2000]} after 2,000;"
    last = rows("long_search/rows.csv").query("round == 3")
    density, accuracy = percent(last["density"].iloc[0], 1), percent(last["test_accuracy"].mean(), 1)
    yield f"({density} of the weights) {accuracy}, three pairs."


@quotes_of("results/long_search/README.md")
def long_search() -> Iterator[str]:
    made = []
    for index, group in rows("long_search/rows.csv").groupby("round"):
        density = percent(group["density"].iloc[0], 2 if index else 0)
        cells = [
            percent(share) for share in (group["test_accuracy"].mean(), *group.sort_values("seed")["test_accuracy"])
        ]
        made.append(f"| {index} | {density} | {group['epochs'].iloc[0]} | {' | '.join(cells)} |")
    yield table(iter(made))
    dense = frame("dense_curve").query("seed < 3").sort_values("seed")
    of = {
        epochs: [f"{100 * share:.2f}" for share in group["test_accuracy"]] for epochs, group in dense.groupby("epochs")
    }
    means = dense.groupby("epochs")["test_accuracy"].mean()
    yield f"have {joined(of[500])} % after 500 epochs (mean {percent(means[500])}) and {joined(of[1000])} %"
    yield f"after 1,000 ({percent(means[1000])})."
    ticket = rows("long_search/rows.csv").query("round == 3")["test_accuracy"].mean()
    yield f"than the search, by {100 * (means[500] - ticket):.1f} points on average"


@quotes_of("results/ensembles/README.md")
def ensembles() -> Iterator[str]:
    kept = rows("ensembles/rows.csv")
    for members, group in kept.groupby("members", sort=False):
        accuracy, error = (
            group[group["metric"] == name].sort_values("pair")["value"] for name in ("accuracy", "calibration_error")
        )
        yield f"| {members} | {len(accuracy)} | {percent(accuracy.mean())} | {each(accuracy)} | {each(error, 1)} % |"


@quotes_of("results/distillation/README.md")
def distillation() -> Iterator[str]:
    kept = rows("distillation/rows.csv")
    assert set(kept["pair"]) == {0}
    shown = in_percent(kept, "density", "test_accuracy")
    yield table(lines(shown, "| {what} | {round} | {density} | {epochs} | {test_accuracy} |"))
    alone = rows("long_search/rows.csv").query("seed == 0").set_index("round")["test_accuracy"]
    taught = kept[kept["what"].str.startswith("search")].set_index("round")["test_accuracy"]
    yield f"the same search of pair 0 has {joined(each(alone).split(', '))} %"
    yield f"the teacher is worth {joined([f'{100 * gain:.1f}' for gain in taught - alone])} points."
    teacher, student = (kept.set_index("what")["test_accuracy"][name] for name in ("dense", "dense, taught by it"))
    yield (
        f"the ticket of 4.3 % of the weights is {100 * (taught[3] - teacher):.1f} points ahead of its teacher and "
        f"{100 * (student - taught[3]):.1f} behind the dense network"
    )


@quotes_of("results/wrong_labels/README.md")
def wrong_labels() -> Iterator[str]:
    kept = rows("wrong_labels/rows.csv")
    assert len(kept) == 6 * kept["pair"].nunique()
    shown = in_percent(kept, "density", "test_accuracy")
    yield table(lines(shown, "| {pair} | {what} | {density} | {epochs} | {test_accuracy} |"))


@quotes_of("results/few/README.md")
def few() -> Iterator[str]:
    kept = rows("few/rows.csv")
    assert len(kept) == 5 * kept["pair"].nunique()
    exported = kept["temperature"] != 1.0
    assert list(kept[exported].groupby("pair").size()) == [1] * kept["pair"].nunique()
    shown = in_percent(kept, "density", "test_accuracy", "calibration_error_uncalibrated", "calibration_error")
    shown["validation_accuracy"] = [percent(share, 1) for share in kept["validation_accuracy"]]
    shown["temperature"] = [f"{value:.2f} " if value != 1.0 else "" for value in kept["temperature"]]
    shown["calibration_error"] = [
        f"{shares} " if fitted else "" for shares, fitted in zip(shown["calibration_error"], exported)
    ]
    yield table(lines(
        shown, "| {pair} | {network} | {density} | {epochs} | {validation_accuracy} | {test_accuracy} | {temperature}| "
        "{calibration_error_uncalibrated} | {calibration_error}|",
    ))  # fmt: skip
    pairs = {1: "pair 0", 2: "pairs 0 and 1", 3: "all three"}
    yield f"so far: {pairs[kept['pair'].nunique()]}."


@quotes_of("results/rivals/README.md")
def screen_of_rivals() -> Iterator[str]:
    kept = rows("rivals/rows.csv")
    shown = in_percent(kept, "density", "test_accuracy")
    yield table(lines(shown, "| {pair} | {method} | {density} | {steps_in_all:,} | {test_accuracy} |"))
    pairs = {1: "pair 0", 2: "pairs 0 and 1", 3: "all three"}
    yield f"so far: {pairs[kept['pair'].nunique()]}."


@quotes_of("results/trials/README.md")
def trials() -> Iterator[str]:
    kept, dense = rows("trials/rows.csv"), frame("dense_curve").query("epochs == 200").set_index("seed")
    np.testing.assert_allclose(kept["baseline"], dense["test_accuracy"].loc[kept["pair"]].to_numpy(), atol=1e-6)
    np.testing.assert_allclose(kept["difference"], kept["test_accuracy"] - kept["baseline"], atol=1e-6)
    yield f"the same pairs: {each(dense['test_accuracy'].sort_index())} %."
    published = (ROOT / "results" / "trials" / "README.md").read_text()
    for idea, group in kept.groupby("idea", sort=False):
        what = re.search(rf"^\| {idea} \| ([^|]+) \|", published, re.MULTILINE)
        accuracies, gains = each(group["test_accuracy"]), each(group["difference"], sign="+")
        mean = f"{100 * group['difference'].mean():+.2f}"
        yield f"| {idea} | {what[1] if what else '?'} | {len(group)} | {accuracies} | {gains} | {mean} |"
    assert len(re.findall(r"^\| [a-z]\w* \| ", published, re.M)) == 1 + kept["idea"].nunique()
    yield f"(training loss {dense['train_loss'].mean():.1f})"


@quotes_of("results/tune/README.md")
def tune() -> Iterator[str]:
    kept = storage.read_csv(str(ROOT / "results" / "tune" / "rows.csv"))
    yield regret.text(kept)
    best = max(kept, key=lambda row: float(row["mean"]))
    errors = [100 * float(row["standard_error"]) for row in kept]
    yield f"have standard errors of {min(errors):.0f} to {max(errors):.0f} points, and the best one's was "
    yield f"the best one's was {100 * float(best['standard_error']):.1f}."
    yield f"another one, {regret.regret(kept, 'folds'):.2f} points lower, by 27."
    held, test = ([100 * float(row[name]) for row in kept] for name in ("mean", "test_accuracy"))
    spans = [f"{min(values):.0f} to {max(values):.0f} %" for values in (held, test)]
    yield f"{spans[0]} on what was held out, against {spans[1]} on test."
    small = min(kept, key=lambda row: float(row["weight_norm"]))
    norm, right = float(small["weight_norm"]), float(small["train_accuracy"])
    yield f"({norm:.1f}, the largest rate and decay) labels {percent(right, 0)} of its training images correctly"


@quotes_of("results/near_duplicates/README.md")
def near_duplicates() -> Iterator[str]:
    kept, others = rows("near_duplicates/rows.csv"), rows("near_duplicates/others.csv")
    columns = ["planted", "found", "kind_right", "found_by_signature"]
    summed = kept.groupby(["dataset", "kind"])[columns].sum().reset_index()
    yield from lines(summed, "| {dataset} | {kind} | {planted} | {found} | {kind_right} | {found_by_signature} |")
    for name in ("cifar10", "folder"):
        of = others[others["dataset"] == name]
        same, wrong = (of["seen"] == "the same picture").sum(), of[of["seen"] != "the same picture"]
        most = wrong.groupby("seed").size().max() if len(wrong) else 0
        yield f"| {name} | {len(of)} | {same} | {len(wrong)} | {most} |"
    yield f"distances of {others[others['seen'] != 'the same picture']['distance'].min():.2f} and more"


@quotes_of("results/simclr/README.md")
def simclr() -> Iterator[str]:
    votes = rows("simclr/epochs.csv").set_index("epoch")["neighbour_accuracy"]
    yield f"is right for {percent(votes[6], 1)} after epoch 6 and for {percent(votes[60], 1)} after epoch 60."


@quotes_of("results/probe/README.md")
def probes() -> Iterator[str]:
    kept = rows("probe/evaluations.csv")
    kept = kept[kept["metric"].str.startswith("accuracy:")]
    for (setting, metric), group in kept.groupby(["setting", "metric"], sort=False):
        values = group.assign(value=100 * group["value"]).pivot(index="run", columns="round", values="value")
        difference = statistics.paired_difference(values[0], values[10])
        cells = [str(setting).partition(",")[0], str(metric).partition(":")[2]]
        cells += [f"{values[index].mean():.2f} %" for index in (0, 10)]
        cells += [f"{difference.mean:+.2f}", f"[{difference.low:+.2f}, {difference.high:+.2f}]"]
        yield f"| {' | '.join(cells)} |"


@quotes_of("results/own_pictures/README.md")
def own_pictures() -> Iterator[str]:
    kept = frame("cifar10_1pct_cpu")
    spread = {index: group["test_accuracy"] for index, group in kept.groupby("round")}
    low, high = (f"{100 * spread[0].min():.1f}", f"{percent(spread[0].max(), 1)}")
    yield f"the same rounds spread over {low} to {high} (round 0)"
    yield f"and {100 * spread[1].min():.1f} to {percent(spread[1].max(), 1)} (round 1)"
    first = kept[kept["seed"] == 0].set_index("round")["test_accuracy"]
    yield f"of this very seed has {joined([f'{100 * first[index]:.2f}' for index in range(4)])}"
    both = rows("own_pictures/rows.csv").pivot(index="round", columns="images", values="test_accuracy")
    for images, words in {"tfds": "through TFDS", "folder": "as a folder"}.items():
        yield f"| {words} | {' | '.join(map(percent, both[images]))} |"
    behind = 100 * (both["tfds"] - both["folder"])
    yield f"The folder's networks are {behind.min():.1f} to {behind.max():.1f} points behind."


@quotes_of("results/advprop/README.md")
def advprop() -> Iterator[str]:
    kept = rows("advprop/evaluations.csv")
    kept = kept[kept["metric"] == "accuracy"].assign(
        seed=kept["run"].str.extract(r"seed_(\d+)", expand=False).astype(int),
        digest=kept["run"].str.extract(r"-(\w+)/", expand=False),
    )
    kinds = {"6d58321e": "AdvProp", "8eb94128": "plain"}
    for (seed, digest), group in kept.groupby(["seed", "digest"]):
        clean, attacked = (
            group[group["evaluator"].str.startswith(name)]["value"].iloc[0] for name in ("clean", "fgsm")
        )
        yield f"| {seed} | {kinds[digest]} | {percent(clean)} | {percent(attacked)} |"


# How the page words what is unlike the first search: a rate that fails, statistics, score and distillation.
OTHERWISE = {
    (False, "frozen", "magnitude", 0.0): "", (True, "frozen", "magnitude", 0.0): "stopped: 10 % in rounds 0 and 1",
    (False, "per_replica", "magnitude", 0.0): "statistics per batch, not frozen",
    (False, "frozen", "lamp", 0.0): "score: LAMP (Lee et al. 2021)",
    (False, "frozen", "taylor", 0.0): "score: weight x gradient of the loss",
    (False, "frozen", "lamp", 0.9): "score: LAMP; 0.9 of the loss follows round 0, T = 2",
    (False, "frozen", "taylor", 0.9): "`rand`; score: weight x gradient; 0.9 of the loss follows round 0, T = 4",
}  # fmt: skip


@quotes_of("results/rivals/README.md")
def best_of_the_screen() -> Iterator[str]:
    kept = rows("rivals/rows.csv").query("density < 1")
    taken = ["search, magnitude", "one_shot, random, erk", "one_shot, magnitude"]
    means = kept[~kept["method"].isin(taken)].groupby("method")["test_accuracy"].mean().sort_values(ascending=False)
    assert set(kept.groupby(["method", "density"])["pair"].nunique()) == {3}
    (first, best), (second, next_best) = means.head(2).items()
    yield f"These two are {first} (mean {percent(best)}) and {second} ({percent(next_best)})."


@quotes_of("results/backbones/README.md")
def backbones() -> Iterator[str]:
    kept = rows("backbones/rows.csv")
    assert set(kept["pretrained"].str.partition(" ")[0]) == {"imagenet"}
    for name, control in {"probe": "probe", "dense": "none"}.items():
        accuracies = kept[kept["control"] == control].sort_values("seed")["test_accuracy"]
        yield f"| {name} | {len(accuracies)} | {percent(accuracies.mean())} | {each(accuracies)} |"
    paired = rows("backbones/probes.csv").iloc[0]
    assert paired["n"] == 6
    yield f"is {paired['difference']:.1f} points ahead of the probe, 95 % interval [{paired['low']:+.1f},"
    yield f"[{paired['low']:+.1f}, {paired['high']:+.1f}], in all six pairs, p = {paired['p_value']:.3f}"
    development = rows("backbones/development.csv")
    settings = ["rewind", "backbone_learning_rate", "epochs", "augment", "batch_norm", "criterion", "distillation"]
    searches = development.fillna({"distillation": 0.0}).groupby(settings, sort=False)
    left = development.query("rewind == 'learning_rate:2'").groupby("round")["density"].first()
    densities = " | ".join(f"{100 * density:.3g} %" for density in left)
    yield f"| `--rewind` | {densities} |"
    yield f"| otherwise | {densities} |"
    for values, group in searches:
        of = dict(zip(settings, values))
        cells = [percent(share, 1) for share in group.sort_values("round")["test_accuracy"]]
        if of["rewind"] == "reconstructed:2" or of["backbone_learning_rate"] == 0.0001 and of["epochs"] == 15:
            yield f"| {of['rewind']} | {' | '.join(cells)} |"
        if of["rewind"] == "learning_rate:2":
            shown = " | ".join([*cells, "", "", ""][: max(5, len(cells))])
            words = OTHERWISE[
                of["backbone_learning_rate"] > 0.0009, of["batch_norm"], of["criterion"], of["distillation"]
            ]
            yield f"| {of['backbone_learning_rate']:g} | {of['epochs']} | {words} | {shown} |"


@quotes_of("results/backbones/README.md")
def gradually_pruned() -> Iterator[str]:
    dense, gradual = (row for _, row in rows("backbones/gradual.csv").iterrows())
    assert (dense["control"], gradual["control"]) == ("none", "gradual")
    share, temperature = gradual["distillation"], gradual["distillation_temperature"]
    yield f"of {gradual['epochs']} epochs, as many as"
    yield f"{share:g} of its loss follows the fine-tuned dense network (T = {temperature:g}). It has"
    yield f"It has {percent(gradual['test_accuracy'])} with {percent(gradual['density'])} of the weights"
    behind = 100 * (dense["test_accuracy"] - gradual["test_accuracy"])
    yield f"but {behind:.1f} points behind its {percent(dense['test_accuracy'])}."


@quotes_of("results/backbones/README.md")
def reconstructed() -> Iterator[str]:
    (search,) = rows("backbones/development.csv").query("rewind == 'reconstructed:2' and round == 4").to_dict("records")
    assert search["criterion"] == "taylor"
    yield f"The search has {search['backbone_learning_rate']} for the backbone, rounds of {search['epochs']} epochs,"
    yield f"{search['distillation']} of its loss follows round 0, T = {search['distillation_temperature']:g}:"
    yield f"The backbone's rate was {search['backbone_learning_rate']} in the one training that followed,"
    dense = rows("backbones/gradual.csv").iloc[0]["test_accuracy"]
    base, mixed = (row for _, row in rows("backbones/reconstructed.csv").iterrows())
    yield f"With {percent(base['density'], 1)} of the weights it has {percent(base['test_accuracy'])}"
    yield f"after {base['epochs']} epochs under `{base['augment']}`, with {base['distillation']} of the loss;"
    yield f"{percent(mixed['test_accuracy'])} under `{mixed['augment']}`, with all of the loss."
    yield f"{100 * (dense - mixed['test_accuracy']):.1f} points behind the dense network's {percent(dense)}."


@quotes_of("results/backbones/README.md")
def untrained_rounds() -> Iterator[str]:
    kept = rows("backbones/untrained.csv")
    yield f"| {' | '.join(percent(density, 1) for density in kept['density'])} |"
    yield f"| {' | '.join(percent(accuracy) for accuracy in kept['test_accuracy'])} |"
    yield f"The last round has {kept['epochs'].iloc[-1]} epochs of training."
    fitted = kept.query("epochs == 0 and density < 0.5").iloc[0]
    behind = 100 * (kept["test_accuracy"].iloc[0] - fitted["test_accuracy"])
    share = percent(fitted["density"], 0)
    yield f"{share} of the weights, never trained after the pruning, are {behind:.1f} points behind"


@quotes_of("README.md", "docs/own_pictures.md")
def fine_tuned() -> Iterator[str]:
    paired = rows("backbones/probes.csv").iloc[0]
    low, high, ahead = (f"{paired[name]:+.1f}" for name in ("low", "high", "difference"))
    yield f"reaches {percent(paired['accuracy'], 1)}: {ahead} points, [{low}, {high}]"
    yield f"reaches {percent(paired['probe_accuracy'], 1)}"


@quotes_of("docs/own_pictures.md")
def fine_tuned_pairs() -> Iterator[str]:
    paired = rows("backbones/probes.csv").iloc[0]
    yield f"six pairs, p = {paired['p_value']:.3f} ([results/backbones]"


@quotes_of("results/advise/README.md")
def advise() -> Iterator[str]:
    intervals, curves, listed = (rows(f"advise/{name}.csv") for name in ("intervals", "curves", "wrong_labels"))
    assert list(intervals["subset_seed"]) == list(range(30)) and list(curves["subset_seed"]) == list(range(6))
    assert list(listed["subset_seed"]) == list(range(6)) and set(listed["wrong"]) == {25}
    for kept, low, high, truth, holds in (
        (intervals, "low", "high", intervals["test_accuracy"], "holds"),
        (curves, "low", "high", curves["test_accuracy_50"], "holds"),
        (curves, "gain_low", "gain_high", curves["test_accuracy_50"] - curves["test_accuracy_20"], "gain_holds"),
    ):
        assert list(truth.between(kept[low], kept[high]).astype(int)) == list(kept[holds])
    yield f"| 30 | {intervals['holds'].sum()} | 27 |"
    yield f"| 30 | {100 * (intervals['high'] - intervals['low']).mean():.1f} | at most 10 |"
    yield f"| 6 | {curves['holds'].sum()} | 5 |"
    yield f"its predicted interval in {curves['gain_holds'].sum()} of 6 subsets."
    wrong, planted, named = (listed[column].sum() for column in ("of_these_wrong", "wrong", "listed"))
    yield f"how many of the {planted} are listed | 6 | {wrong}, {100 * wrong / planted:.0f} % | 70 % |"
    half = listed["at_half_precision"].sum()
    yield f"half of it is wrong on purpose | 6 | {half}, {100 * half / planted:.0f} % | 70 % |"
    yield f"how many of the {named} listed are wrong on purpose | 6 | {100 * wrong / named:.0f} % | 50 % |"
    missed = intervals[intervals["holds"] == 0]
    yield f"The {len(missed)} intervals that do not contain the test accuracy:"
    for row in missed.to_dict("records"):
        interval = f"[{100 * row['low']:.1f}, {100 * row['high']:.1f}] of {percent(row['test_accuracy'], 1)}"
        yield f"{interval} (subset seed {row['subset_seed']})"
    error = 100 * (intervals["accuracy"] - intervals["test_accuracy"])
    yield f"is {error.mean():+.1f} points in the mean, with a standard deviation of {error.std():.1f}."
    yield f"The mean calibration error is {percent(intervals['calibration_error'].mean(), 1)}."
    for row in curves.to_dict("records"):
        few, many = 100 * row["test_accuracy_20"], 100 * row["test_accuracy_50"]
        predicted = f"{percent(row['predicted'], 1)} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
        gain = f"{100 * row['gain']:+.1f} [{100 * row['gain_low']:+.1f}, {100 * row['gain_high']:+.1f}]"
        cells = f"{few:.1f} % | {many:.1f} % | {predicted} | {many - few:+.1f} | {gain}"
        yield f"| {row['subset_seed']} | {cells} |"
    yield from lines(listed, "| {subset_seed} | {listed} | {of_these_wrong} | {in_the_first_25} |")
    estimate, curve = intervals["seconds"].mean(), curves["seconds_of_50"].mean()
    yield f"takes {estimate:.1f} seconds of one core, and the curve {curve:.1f}."
