"""What results/benchmarks, results/torture and results/ray quote of their rows."""

from collections.abc import Iterable, Iterator

import numpy as np
from quoted_searches import HALF, rivals_of, span
from quotes import document, percent, quotes_of
from scipy import stats

BENCHMARKS = "results/benchmarks/README.md"
TORTURE = "results/torture/README.md"
RAY = "results/ray/README.md"


IMPORT, RANKING = "the stack's import, seconds", "ranking 11,164,352 weights, writing masks, seconds"


def ratio(value: dict, places: int = 2) -> str:
    """A ratio's median and quartiles."""
    return "{:.{places}f} [{:.{places}f}, {:.{places}f}]".format(value["median"], *value["quartiles"], places=places)


@quotes_of(BENCHMARKS)
def steps() -> Iterator[str]:
    recorded = document("benchmarks/steps.json")
    widths = [recorded["width_16"], recorded["width_64"]]
    work = {ticket["width"]: ticket["multiply_adds_dense"] for ticket in document("tickets/c_file.json")["tickets"]}
    yield "an image costs {:.2f} and {:.2f} GFLOP to train".format(*(6 * work[width] / 1e9 for width in (16, 64)))
    for name, title in {
        "dense": "dense, never wrapped", "pruned": "pruned",
        "direct": "the same, every convolution a sum of its products",
        "convolutions": "its convolutions alone, one after another", "epochs": "whole epochs of 500 images, `base`",
        "epochs_rand": "whole epochs of 500 images, `rand`",
        "torch": "plain PyTorch, default layout, the same masks", "torch_last": "plain PyTorch, channels-last",
        "evaluation": "evaluation, batches of 500",
    }.items():  # fmt: skip
        cells = []
        for width, of in zip((16, 64), widths):
            speed, passes = of["images_per_second"][name], 1 if name == "evaluation" else 3
            cells.append(f"{speed:,.0f}" if speed >= 300 else f"{speed:.1f}")
            cells.append(percent(2 * passes * work[width] * speed / 1e9 / of["peak_gflops"], 0))
        yield f"| {title} | {' | '.join(cells)} |"
    assert len(recorded["width_64"]["ratios"]) == 8
    for name in recorded["width_64"]["ratios"]:
        yield f"| {name} | {' | '.join(ratio(of['ratios'][name]) for of in widths)} |"
    yield "in the same run: {:.0f} and {:.0f} GFLOP/s.".format(*(of["peak_gflops"] for of in widths))


@quotes_of(BENCHMARKS)
def one_at_a_time() -> Iterator[str]:
    recorded = document("benchmarks/steps_one_at_a_time.json")["width_64"]
    ratios = recorded["ratios"]
    of = [ratio(ratios[f"pruned / PyTorch, {layout}"]) for layout in ("default layout", "channels-last")]
    yield f"{recorded['images_per_second']['pruned']:.1f} images/s, {of[0]} of PyTorch's default layout, {of[1]} of"
    bare = ratio(ratios["bare steps / epoch, base"])
    yield f"{of[1]} of channels-last, an epoch with `base` {bare} of its bare steps."


@quotes_of(BENCHMARKS)
def convolutions() -> Iterator[str]:
    recorded = document("benchmarks/convolutions.json")["width_64"]
    kept = [
        {"what": what, "ms": int(ms), "direct": int(direct or 0), "shares": [int(share.split()[0]) for share in shares]}
        for what, ms, direct, *shares in recorded["rows"]
    ]
    whole = 100_000 / recorded["images_per_second"]
    step = 100_000 / document("benchmarks/steps.json")["width_64"]["images_per_second"]["pruned"]
    yield f"64 they take {whole:,.0f} ms, a step {round(step, -1):,.0f}: the rest"
    wide = [row for row in kept if row["what"].endswith(("64 to 64, 32x32", "128 to 128, 16x16"))]
    strided = [row for row in kept if "stride" in row["what"]]
    filtered = [row for row in kept if row["direct"]]
    assert len(wide) == 2 and len(strided) == 3 and len(filtered) == 2
    spent = [sum(row["ms"] for row in part) for part in (wide, strided, filtered)]
    spans = ["{} to {} %".format(*extremes(row["shares"] for row in part)) for part in (wide, strided, filtered)]
    yield f"those of 64 and 128 channels take {spent[0]}, at {spans[0]} of the peak"
    yield f"strided ones {spent[1]}, at {spans[1]};"
    yield f"the transformed ones {spent[2]}, directly {sum(row['direct'] for row in filtered)}, at {spans[2]}."


def extremes(pairs: Iterable[list[int]]) -> tuple[int, int]:
    """The least and the greatest of all shares: forward, and forward with both gradients."""
    shares = [share for pair in pairs for share in pair]
    return min(shares), max(shares)


@quotes_of(BENCHMARKS)
def small_batches() -> Iterator[str]:
    recorded = document("benchmarks/steps_batch10.json")
    widths = [recorded["width_16"], recorded["width_32"]]
    speeds = [f"{of['images_per_second']['pruned']:.0f}" for of in widths]
    yield f"| images/s of pruned steps | {' | '.join(speeds)} |"
    for name, title in {
        "pruned / one operation at a time": "pruned / one operation at a time, on all cores",
        "pruned / PyTorch, default layout": "pruned / PyTorch, default layout",
        "pruned / PyTorch, channels-last": "pruned / PyTorch, channels-last",
        "bare steps / epoch, rand": "bare steps / epoch, rand",
    }.items():
        yield f"| {title} | {' | '.join(ratio(of['ratios'][name]) for of in widths)} |"


@quotes_of(BENCHMARKS)
def photographs() -> Iterator[str]:
    kept = document("benchmarks/photographs.json")["rows"]
    assert all((row["cores"], row["size"]) == (1, 160) for row in kept) and len(kept) == 4
    yield f"MobileNetV2 of width 32 at {kept[0]['step_ms']:.1f} ms an image."
    for row in kept:
        share = "{:.1f} % [{:.1f}, {:.1f}]".format(
            *(100 * part for part in (row["share"]["median"], *row["share"]["quartiles"]))
        )
        yield f"| `{row['policy']}` | {row['decoded']} | {row['pipeline_ms']:.2f} | {share} | at most 10 % |"


@quotes_of(BENCHMARKS)
def changes_of_the_mask() -> Iterator[str]:
    recorded = document("benchmarks/dynamic.json")
    for name, title in {"process_time": "seconds of all cores", "monotonic": "seconds elapsed"}.items():
        row = recorded[name]
        yield f"| {title} | {row['pruned']:.2f} | {row['rigl']:.2f} | {ratio(row['ratio'])} | at most 1.1 |"


@quotes_of(BENCHMARKS)
def beside_the_steps() -> Iterator[str]:
    kept = document("benchmarks/overheads.json")["rows"]

    def times(name):
        row = kept[name]
        return row["value"], row["ratio"] and row["ratio"]["median"], row["ratio"] and row["ratio"]["quartiles"]

    for name, template in {
        "--help, seconds; the import / it": "| {:.2f} s | {:.0f} times as fast [{:.0f}, {:.0f}] |",
        "bad flag, seconds; the import / it": "| a bad flag | {:.2f} s | {:.0f} [{:.0f}, {:.0f}] | the same |",
        "--dry_run, seconds; the import / it": "| `--dry_run` | {:.2f} s | {:.0f} [{:.0f}, {:.0f}] | the same |",
        "16 tiny rounds, seconds; built anew each / one network": "{:.1f} s | {:.1f} times as fast [{:.1f}, {:.1f}] |",
        "first step of a resumed run, seconds; it / of a new one": "| {:.1f} s | {:.2f} of it [{:.2f}, {:.2f}] |",
    }.items():
        value, median, quartiles = times(name)
        yield template.format(value, median, *quartiles)
    yield f"against importing the stack ({kept[IMPORT]['value']:.1f} s)"
    yield f"and writing the masks | {kept[RANKING]['value']:.2f} s |"
    share = kept["checkpoints, logs, TensorBoard: share of two rounds"]["value"]
    yield f"share of two rounds at 1 %, width 16 | {percent(share, 1)} |"
    ours = kept["peak memory up to here, MiB: ticket"]["value"]
    plain = kept["plain TensorFlow, MiB: the work of two rounds"]["value"]
    yield f"| {ours:,.0f} MiB | {ours / plain:.2f} of the same work"
    imports = sorted(kept[name]["value"] for name in kept if name.endswith("imports"))
    yield f"TFDS alone take {imports[0]:.0f} to {round(imports[1], -1):.0f} MiB once imported"
    yield f"computes logits of 500 takes {kept['plain TensorFlow, MiB: steps and logits']['value']:.0f}."
    yield f"take {plain:,.0f}:"


@quotes_of(BENCHMARKS)
def testing() -> Iterator[str]:
    recorded = document("benchmarks/testing.json")
    usual, tested = (recorded["seconds"][side] for side in ("as by default", "a test after each epoch"))
    for epochs in ("4", "12"):
        yield f"| {epochs} | {usual[epochs][0]:.1f} s | {tested[epochs][0]:.1f} s |"
    ((whole,), (each,)) = recorded["seconds_of_200"]
    yield f"| 200, from these | {whole:,.0f} s | {each:,.0f} s |"
    assert each / whole == recorded["ratio"]
    yield f"that is {recorded['ratio']:.1f} times as long"
    narrow = document("benchmarks/testing_width8.json")
    ((usual,), (tested,)) = (narrow["seconds"][side] for side in ("as by default", "a test after each epoch"))
    yield f"{usual:,.1f} s and {tested:,.1f} s, {narrow['ratio']:.1f} times as long"


@quotes_of(BENCHMARKS)
def trainers() -> Iterator[str]:
    for name in ("trainer", "trainer_small"):
        recorded = document(f"benchmarks/{name}.json")
        assert sorted(recorded["tf_tickets"]) == sorted(recorded["PyTorch"]) == ["0", "1", "2", "3", "4", "5"]
        ours, theirs = (
            [100 * recorded[side][seed] for seed in sorted(recorded[side])] for side in ("tf_tickets", "PyTorch")
        )
        cells = [f"{np.mean(side):.2f} % ({min(side):.2f} to {max(side):.2f})" for side in (ours, theirs)]
        cells.append(welch(ours, theirs, 2))
        yield f"width {recorded['width']}, {100 * recorded['fraction']:.0f} % of the images | {' | '.join(cells)} |"
        if name == "trainer":
            yield f"of width 16 it stood at {welch(ours[:3], theirs[:3], 1)};"


def welch(ours: list[float], theirs: list[float], places: int) -> str:
    """The difference of two means with Welch's 95 % interval."""
    interval = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    difference = np.mean(ours) - np.mean(theirs)
    return f"{difference:+.{places}f} [{interval.low:+.{places}f}, {interval.high:+.{places}f}]"


@quotes_of(BENCHMARKS)
def before_training() -> Iterator[str]:
    recorded = document("benchmarks/criteria.json")["seconds_and_cpu_seconds"]
    for name in ("snip", "grasp"):
        wall, cpu = np.array(recorded[name][1:]).T
        yield (f"| `{name}` | {np.median(wall):.1f} | {wall.min():.1f} to {wall.max():.1f} | {np.median(cpu):.1f} |")
    yield "loads its kernels: {:.1f} and {:.1f} s.".format(recorded["snip"][0][0], recorded["grasp"][0][0])


@quotes_of(BENCHMARKS)
def cheaper_searches() -> Iterator[str]:
    last, full = rivals_of(HALF), 226
    ticket = last.loc["shortened rounds", "ticket_accuracy"]
    yield f"| {full} | 100 % | {percent(ticket, 1)} | |"
    for name, epochs in {"shortened rounds": 54, "pruned at once": 58}.items():
        row = last.loc[name]
        share = percent(epochs / full, 0)
        yield f"| {epochs} | {share} | {percent(row['rival_accuracy'], 1)} | {-row['difference']:.1f} {span(row, -1)} |"


@quotes_of(RAY)
def refused_clusters() -> Iterator[str]:
    refusals = document("ray/refusals.json")
    seconds = {name: row["seconds"] for name, row in refusals.items() if name != "a disk that fills up"}
    silent = [value for value in seconds.values() if value > 30]
    quick = [value for value in seconds.values() if value <= 30]
    yield f"one line, nothing touched; {min(quick)} to {max(quick)} s, {max(silent)} s where"


@quotes_of(RAY)
def ray() -> Iterator[str]:
    nodes, finished = document("ray/nodes.json"), document("ray/finished.json")
    seconds, start = nodes["seconds"], nodes["start_up"]
    assert nodes["finished_once"] and nodes["epochs_once"] and nodes["table_complete"] and not nodes["unequal"]
    yield f"{nodes['kills']} kills, {nodes['started_again']} starts again; every run finished once"
    yield f"{seconds['plain']} s left alone, {seconds['killed']} s with kills, {seconds['allowed']} s allowed"
    yield f"(median {start['median']} s, longest {start['longest']} s, from the kill"
    yield f"interval between two checkpoints ({nodes['interval']} s)"
    yield f"| {finished['finished']:,} finished runs asked for again |"
    yield f"| {finished['seconds']['ray']} s with `--engine=ray`, {finished['seconds']['process']} s without ("
    sweeps = document("ray/throughput.json")
    assert sweeps["same_bits"]
    of = {
        kind: ", ".join(f"{time:.1f}" for name, time in sweeps["sweeps"] if name == kind) for kind in ("process", "ray")
    }
    more = percent(sweeps["ray_over_process"] - 1, 1)
    yield f"| {of['process']} s by the pool, {of['ray']} s by Ray: {more} more; the same bits"
    for run, attempts in nodes["attempts"].items():
        cells = "; ".join(f"{of['round']}, {of['step']}" if of["step"] else "ticket" for of in attempts)
        yield f"| {run.partition('/')[2]} | {cells} |"


@quotes_of(TORTURE)
def killed() -> Iterator[str]:
    kills = document("torture/kills.json")
    assert not kills["unequal"]
    yield f"{kills['kills']} of {kills['kills']}: every npz"
    stage, rounds, tenths = (kills["by"][name] for name in ("stage", "round", "tenth"))
    yield f"{stage['training epoch']} inside a training epoch, {stage['write']} inside a write"
    yield f" inside a write, {stage['between']} between;"
    yield (
        f"{rounds['0']}, {rounds['1']} and {rounds['2']} in rounds 0, 1 and 2, and {min(tenths.values())} to "
        f"{max(tenths.values())} in each tenth of the run."
    )
    yield f"one of the {kills['runs']} runs"


@quotes_of(TORTURE)
def damaged() -> Iterator[str]:
    points, durability = document("torture/points.json"), document("torture/durability.json")
    assert not points["wrong"] and not durability["violations"]
    yield f"K = {points['points']}, the same"
    yield f"{durability['renames']} renames, no final name"
    late = durability["faults"]["write"] - durability["strace"]["write"]
    yield f"but for {late} of {durability['faults']['write']} writes"
    damages = document("torture/damages.json")
    ends = damages["ends"]
    yield f"{damages['damages']}: {ends['named, exit 3']} name the file and exit 3, {ends['bitwise equal']} end bitwise"
    same = document("torture/same.json")
    assert all(end.startswith("equal") for end in same["variants"].values())
    yield f"{same['files']} files equal in all {len(same['variants'])}, the rows"
    signals = document("torture/signals.json")
    ends = signals["ends"]
    assert not signals["wrong"] and sum(ends.values()) == signals["signals"] == 50
    finished = ends["0"] + ends["0, asked twice"]
    yield f"{ends['75']} and {ends['75, asked twice']} left with exit 75, {finished} had already"
    yield f"longest wait {signals['longest_wait']:.1f} s, median {signals['median_wait']:.1f} s;"
    yield f"; {signals['runs']} runs ended in the bits"


@quotes_of(TORTURE)
def files_of_others() -> Iterator[str]:
    readers = document("torture/fuzz.json")["readers"]
    inputs = sum(reader["executions"] for reader in readers.values())
    grown = [reader["branches"][1] / reader["branches"][0] - 1 for reader in readers.values()]
    yield f"{inputs / 1e6:.2f} million inputs (policies a million)"
    yield f"the branches reached grew by {100 * min(grown):.0f} to {percent(max(grown), 0)} ("
    pictures = document("torture/pictures.json")
    before, after, wrong = pictures["before"], pictures["after"], pictures["before"]["wrong"]
    assert not after["wrong"]
    yield f"| {before['cases']:,} picture files, of odd formats"
    yield (
        f"before: {wrong['hang']} a hang, {wrong['traceback']} a traceback, "
        f"{wrong['used by one reader, refused by another']} used by one reader and refused by another, "
        f"{wrong['other pixels than its header and orientation say']} of other pixels than the scan said or turned "
        f"wrongly, {wrong['used, must be refused']} used that must be refused, "
        f"{wrong['a warning of a library']} with a library's warning, {before['good']:,} well;"
    )
    ends = [of.get(end, 0) for of in after["by"].values() for end in ("used", "refused")]
    assert sum(ends) == after["cases"]
    yield f"After: {after['cases']:,} well, {sum(ends[::2]):,} used and {sum(ends[1::2]):,} refused in one line"
    names = document("torture/names.json")
    assert not names["after"]["wrong"]
    yield f"| {names['after']['names']} names of classes:"
    resealed = document("torture/resealed.json")
    ends = resealed["before"]["ends"]
    yield f"before: of {resealed['before']['tried']:,} tickets"
    yield f"verify accepted {ends['verify: accepted']}. After: of {resealed['after']['tried']:,} none;"
    yield f"verify accepted {resealed['after']['ends']['verify: accepted']}, of which"
    planted = document("torture/planted.json")
    before, after = planted["before"], planted["after"]
    failed, statuses = before["failed"], after["statuses"]
    assert not after["failed"]
    yield (
        f"before, of the first {before['entries']} of the {before['of']} drawn: {failed['hangs']} hangs, "
        f"{failed['deaf']} of which did not hear SIGTERM, {failed['tracebacks']} tracebacks, "
        f"{failed['outside']} changed something outside of their folder, {before['entries'] - before['bad']} well. "
        f"After: {after['entries']} well, {statuses['0']} done, "
        f"{statuses['2'] + statuses['3']} refused in one line"
    )
