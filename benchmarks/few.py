"""Writes results/few/rows.csv: of finished runs of few.cfg, the accuracy and calibration of each network.

    python -m tf_tickets.main evaluate runs/few/*/seed_* --which=all
    python benchmarks/few.py runs/few/*/seed_* [--out=results/few/rows.csv]

A row is a round of the search, or the dense network trained as long; the exported one has a temperature. Rows of pairs
that are not given stay.
"""

import argparse
import pathlib

import pandas

from tf_tickets import storage

COLUMNS = ["pair", "network", "density", "epochs", "validation_accuracy", "test_accuracy", "temperature",
           "calibration_error_uncalibrated", "calibration_error"]  # fmt: skip


def row_of(pair: int, network: str, folder: pathlib.Path) -> list:
    """The row of one round's folder, in COLUMNS."""
    rows = pandas.read_csv(folder / "evaluations.csv")
    values = rows[rows["evaluator"] == "clean"].set_index(["setting", "metric"])["value"]
    fitted = folder / "calibration.json"
    temperature = storage.read_sealed(str(fitted))["temperature"] if fitted.exists() else 1.0
    error = values["test", "calibration_error"]
    uncalibrated = values.get(("test", "calibration_error_uncalibrated"), error)
    epochs = pandas.read_csv(folder / "epochs.csv")["epoch"].max()
    density = rows["density"].iloc[0]
    accuracies = [values[part, "accuracy"] for part in ("validation", "test")]
    return [pair, network, density, epochs, *accuracies, temperature, uncalibrated, error]


def rows_of(run: pathlib.Path) -> list[list]:
    """The rows of one run: its rounds, and its rival."""
    pair = int(run.name.removeprefix("seed_").partition("-")[0])
    rounds = sorted(run.glob("round_*"))
    named = [("search", folder) for folder in rounds] + [("dense, trained as long", run / "rival" / "round_00")]
    return [row_of(pair, name, folder) for name, folder in named]


def main() -> None:
    """Reads the runs and rewrites the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default="results/few/rows.csv")
    given = parser.parse_args()
    rows = pandas.DataFrame([row for run in given.runs for row in rows_of(run)], columns=COLUMNS)
    if given.out.exists():
        before = pandas.read_csv(given.out)
        rows = pandas.concat([before[~before["pair"].isin(rows["pair"])], rows])
    given.out.parent.mkdir(parents=True, exist_ok=True)
    rows.sort_values(["pair"], kind="stable").to_csv(given.out, index=False)
    print(f"{len(rows)} rows in {given.out}")


if __name__ == "__main__":
    main()
