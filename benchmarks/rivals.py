"""Adds finished runs to results/rivals: its rows, and the table of its README.

    python -m tf_tickets.main report runs/rivals --out=rivals_report
    python benchmarks/rivals.py rivals_report/report.csv [--results=results/rivals]

Of each run the last round stands for its method, of a search also round 0, the dense network. A row that is there
already stays as it was first measured, so that a run made twice cannot be chosen from.
"""

import argparse
import pathlib
import re

import pandas

BATCH, EPOCHS = 10, 100
COLUMNS = ["pair", "method", "density", "epochs", "steps_in_all", "train_loss", "test_accuracy"]
PAIRS = {"0": "pair 0", "0 1": "pairs 0 and 1", "0 1 2": "all three"}
HEADER = "| pair | method | density | steps in all | test accuracy |\n|---|---|---|---|---|\n"


def method_of(row: pandas.Series) -> str:
    """How the README calls a row's method, such as "one_shot, random, erk"."""
    control = row["control"] if isinstance(row["control"], str) else "none"
    if control in ("none", ""):
        if row["density"] < 1.0:
            return f"search, {row['criterion']}"
        return "dense" if row["epochs"] == EPOCHS else f"dense, {row['epochs']} epochs"
    if control != "one_shot":
        return control
    return ", ".join([control, row["criterion"], *(["erk"] if row["scope"] == "erk" else [])])


def measured(report: pandas.DataFrame) -> pandas.DataFrame:
    """The rows of a report.csv, one for each method, density and pair, in COLUMNS."""
    rows = []
    for _, rounds in report.sort_values("round").groupby("run"):
        steps = (rounds["epochs"] * rounds["images"] // BATCH).cumsum()
        last = rounds.index[-1]
        for index in dict.fromkeys([*rounds.index[rounds["density"] == 1.0], last]):
            row = rounds.loc[index]
            if index != last and method_of(rounds.loc[last]).startswith("one_shot"):
                continue  # its dense round is the one of the search
            rows.append([row["seed"], method_of(row), row["density"], row["epochs"], steps[index], row["train_loss"],
                         row["test_accuracy"]])  # fmt: skip
    return pandas.DataFrame(rows, columns=COLUMNS)


def merged(before: pandas.DataFrame, runs: pandas.DataFrame) -> pandas.DataFrame:
    """Both tables by pair, density and accuracy; of two rows of the same method, density and pair the first."""
    rows = pandas.concat([before, runs], ignore_index=True)
    rows["rounded"] = rows["density"].round(3)
    rows = rows.drop_duplicates(["pair", "method", "rounded"])
    rows = rows.sort_values(["pair", "rounded", "test_accuracy"], ascending=[True, False, False], kind="stable")
    return rows[COLUMNS]


def table(rows: pandas.DataFrame) -> str:
    """The README's table."""
    return HEADER + "".join(
        f"| {row.pair} | {row.method} | {100 * row.density:.2f} % | {row.steps_in_all:,} "
        f"| {100 * row.test_accuracy:.2f} % |\n"
        for row in rows.itertuples()
    )


def main() -> None:
    """Rewrites rows.csv and the README's table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", help="a report.csv")
    parser.add_argument("--results", type=pathlib.Path, default="results/rivals")
    given = parser.parse_args()
    path, readme = given.results / "rows.csv", given.results / "README.md"
    rows = merged(pandas.read_csv(path), measured(pandas.read_csv(given.report)))
    rows.to_csv(path, index=False)
    text = readme.read_text()
    begin = text.index(HEADER)
    text = text[:begin] + table(rows) + text[text.index("\n\n", begin) + 1 :]
    pairs = PAIRS[" ".join(str(pair) for pair in sorted(rows["pair"].unique()))]
    readme.write_text(re.sub(r"(?<=so far: )[^.]*(?=\.)", pairs, text))
    print(f"{len(rows)} rows in {path}")


if __name__ == "__main__":
    main()
