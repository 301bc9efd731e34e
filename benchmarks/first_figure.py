"""The README's first figure and table, from the committed rows: accuracy at 50 images per class over steps trained.

python benchmarks/first_figure.py            # prints the table, writes results/first_screen.png and .svg
"""

import csv
import pathlib
import statistics

from matplotlib.figure import Figure
from scipy import stats

from tf_tickets.plotting import canvas

RESULTS = pathlib.Path(__file__).parent.parent / "results"
_STEPS_PER_EPOCH = 50
_MEMBERS = "500 + 1000 + 2000"


def _read(name: str) -> list[dict]:
    with open(RESULTS / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def series() -> list[dict]:
    """One dict for each kind of network: what it is, its steps, its share of the weights, accuracies in per cent."""
    rows, dense = [], {}
    for row in _read("dense_curve/report.csv"):
        dense.setdefault(int(row["epochs"]), []).append(100 * float(row["test_accuracy"]))
    for epochs, accuracies in sorted(dense.items()):
        steps = epochs * _STEPS_PER_EPOCH
        rows.append({
            "kind": "dense network", "what": f"dense, {epochs:,} epochs", "steps": steps, "weights": 1.0,
            "accuracies": accuracies,
        })  # fmt: skip
    searches: dict[str, list] = {}
    for row in _read("long_search/rows.csv"):
        searches.setdefault(row["run"], []).append(row)
    lasts = [rounds[-1] for rounds in searches.values()]
    steps = [sum(int(row["epochs"]) for row in rounds) * _STEPS_PER_EPOCH for rounds in searches.values()]
    rows.append({
        "kind": "ticket, 4.3 % of the weights", "what": "ticket of a search", "steps": steps[0],
        "weights": float(lasts[0]["density"]),
        "accuracies": [100 * float(row["test_accuracy"]) for row in lasts],
    })  # fmt: skip
    joined = [row for row in _read("ensembles/rows.csv") if (row["members"], row["metric"]) == (_MEMBERS, "accuracy")]
    steps = sum(int(epochs) for epochs in _MEMBERS.split(" + ")) * _STEPS_PER_EPOCH
    rows.append({
        "kind": "three dense networks as one", "what": "dense, three of these as one", "steps": steps, "weights": 3.0,
        "accuracies": [100 * float(row["value"]) for row in joined],
    })  # fmt: skip
    return rows


def interval(accuracies: list[float]) -> tuple[float, float]:
    """The 95 % t interval of the mean."""
    half = stats.t.ppf(0.975, len(accuracies) - 1) * statistics.stdev(accuracies) / len(accuracies) ** 0.5
    mean = statistics.mean(accuracies)
    return mean - half, mean + half


def table() -> str:
    """The rows as Markdown."""
    lines = ["| network | weights | steps | pairs | mean test accuracy | 95 % interval |", "|---|---|---|---|---|---|"]
    for row in series():
        low, high = interval(row["accuracies"])
        lines.append(
            f"| {row['what']} | {100 * row['weights']:.3g} % | {row['steps']:,} | {len(row['accuracies'])} | "
            f"{statistics.mean(row['accuracies']):.1f} % | [{low:.1f}, {high:.1f}] |"
        )
    return "\n".join(lines)


def figure() -> Figure:
    """Mean accuracy over steps, each pair a dot; dense networks joined by a line."""
    drawn = canvas.canvas(6.4, 3.8)
    axes = drawn.add_subplot()
    groups: dict[str, list] = {}
    for row in series():
        groups.setdefault(row["kind"], []).append(row)
    for index, (kind, rows) in enumerate(groups.items()):
        colour, steps = canvas.COLOURS[index], [row["steps"] for row in rows]
        means = [statistics.mean(row["accuracies"]) for row in rows]
        axes.plot(steps, means, color=colour, marker=canvas.MARKERS[index], label=kind)
        for row in rows:
            each = row["accuracies"]
            axes.plot([row["steps"]] * len(each), each, ".", color=colour, markersize=4, alpha=0.5)
    axes.set_xscale("log")
    ticks = sorted({row["steps"] for row in series() if row["kind"] != "ticket, 4.3 % of the weights"})
    axes.set_xticks(ticks, [f"{steps:,}" for steps in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("steps of ten images, all networks and rounds together")
    axes.set_ylabel("test accuracy (%)")
    axes.set_title("CIFAR-10, 50 images per class, no outside data", fontsize=10)
    axes.legend(loc="lower right")
    return drawn


if __name__ == "__main__":
    print(table())
    canvas.write(figure, str(RESULTS / "first_screen"))
