"""How far the choices of `tune` are from the best point on test, which no rule sees.

    python benchmarks/regret.py digits=runs/tune_digits cifar10=runs/tune_cifar10 --out=results/tune/rows.csv
    python benchmarks/regret.py --rows=results/tune/rows.csv

The first form joins what `tune` left under each folder by `--rule=weight_norm`, whose trainings on all images are also
the tested ones, and by `--rule=folds:K`, and writes the rows; both print them as Markdown. Regret is the test accuracy
of the best point less that of the chosen one.
"""

import argparse
import glob
import os
import sys

from tf_tickets import runs, storage

# Of the two tables, what the rows keep beside the point's own values.
_BY_FOLDS = ("mean", "standard_error", "state")
_BY_NORM = ("train_accuracy", "train_loss", "weight_norm", "fits")
_NOT_FIELDS = {*_BY_NORM, "state", "chosen", "runs"}


def rows_of(name: str, out: str) -> list[dict]:
    """The points of the two tunings under a folder of runs, joined.

    Args:
      name: of the rows.
      out: folder that holds `tune/weight_norm-*` and `tune/folds_*`, and the runs.
    """
    by_norm, by_folds = _table(out, "weight_norm"), _table(out, "folds")
    fields, rows = [field for field in by_norm[0] if field not in _NOT_FIELDS], []
    for normed in by_norm:
        folded = next(row for row in by_folds if all(row[field] == normed[field] for field in fields))
        folder = runs.RunFolder(os.path.join(out, *normed["runs"].split("/")))
        summaries = folder.summaries() if normed["state"] == "finished" else [{"test_accuracy": None}]
        trained = [cell for field, cell in folded.items() if field.startswith("fold_")]
        rows.append({
            "data": name, "point": " ".join(f"{field}={normed[field]}" for field in fields),
            **{field: normed[field] for field in _BY_NORM}, **{field: folded[field] for field in _BY_FOLDS},
            "folds_trained": sum(cell != "" for cell in trained), "folds": len(trained),
            "test_accuracy": summaries[-1]["test_accuracy"], "chosen_by_folds": folded["chosen"],
            "chosen_by_weight_norm": normed["chosen"],
        })  # fmt: skip
    return rows


def _table(out, rule):
    paths = glob.glob(os.path.join(glob.escape(out), "tune", f"{rule}[-_]*", "tune.csv"))
    if len(paths) != 1:
        sys.exit(f"{out} holds {len(paths)} finished tunings by {rule}, not one")
    return storage.read_csv(paths[0])


def text(rows: list[dict]) -> str:
    """Markdown: of each data set its points and a line of regrets; accuracies in per cent, regrets in points."""
    parts = []
    for name in dict.fromkeys(row["data"] for row in rows):
        group = [row for row in rows if row["data"] == name]
        lines = [
            f"**{name}**", "",
            "| point | folds: mean (standard error) | training accuracy | norm of the weights | test | chosen by |",
            "|---|---|---|---|---|---|",
        ]  # fmt: skip
        for row in group:
            by = [rule for rule in ("folds", "weight_norm") if row[f"chosen_by_{rule}"] == "1"]
            mean = f"{_percent(row['mean'])} ({_percent(row['standard_error'])})" if row["mean"] else row["state"]
            norm = f"{float(row['weight_norm']):.1f}" if row["weight_norm"] else ""
            lines.append(
                f"| {row['point']} | {mean} | {_percent(row['train_accuracy'])} | {norm} | "
                f"{_percent(row['test_accuracy'])} | {', '.join(by)} |"
            )
        trained, total = (sum(int(row[field]) for row in group) for field in ("folds_trained", "folds"))
        lines += ["", f"Regret: folds {regret(group, 'folds'):.2f} points, weight_norm "
                  f"{regret(group, 'weight_norm'):.2f}; trained {trained} of {total} folds."]  # fmt: skip
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _percent(cell):
    return f"{100 * float(cell):.2f}" if cell not in ("", None) else ""


def regret(rows: list[dict], rule: str) -> float:
    """Points of test accuracy between the best point and the one that a rule has chosen."""
    best = max(float(row["test_accuracy"]) for row in rows if row["test_accuracy"] not in ("", None))
    (chosen,) = (float(row["test_accuracy"]) for row in rows if row[f"chosen_by_{rule}"] == "1")
    return 100 * (best - chosen)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tunings", nargs="*", metavar="NAME=OUT")
    parser.add_argument("--out", help="CSV file that takes the rows")
    parser.add_argument("--rows", help="CSV file of earlier rows, before those of the tunings")
    given = parser.parse_args()
    rows = storage.read_csv(given.rows) if given.rows else []
    for tuning in given.tunings:
        name, _, out = tuning.partition("=")
        rows += [{field: _cell(value) for field, value in row.items()} for row in rows_of(name, out)]
    if given.out:
        storage.write_csv(given.out, rows, list(rows[0]))
    print(text(rows))


def _cell(value):
    return "" if value is None else str(value)


if __name__ == "__main__":
    main()
