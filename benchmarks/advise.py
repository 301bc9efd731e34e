"""How far what `advise` says of a few CIFAR-10 pictures can be trusted, against all 10,000 test images.

    python benchmarks/advise.py --data_dir=DIR --features=features.npz --out=results/advise [--part=intervals]

Features are EfficientNet-Lite0's at 160 pixels, computed once and kept in --features. Three parts, each a CSV file to
which a row is added as soon as it is there; rows that are there are not computed again:

    intervals      50 images of each class, subset seeds 0 to 29: does the 95 % interval hold the test accuracy of the
                   probe that is fitted to all of them?
    curves         20 of each class, subset seeds 0 to 5: does the interval that is predicted for 50 hold the test
                   accuracy of the probe of the 50 that they are part of?
    wrong_labels   50 of each class, 25 of the 500 labels wrong on purpose, subset seeds 0 to 5.
"""

import argparse
import functools
import os
import time

import numpy as np

import tf_tickets as tt
from tf_tickets import seeds, storage
from tf_tickets.advise import estimates, learning_curve, wrong_labels
from tf_tickets.analysis import linear_probe
from tf_tickets.data import pipeline, sources, subsets
from tf_tickets.settings.data_group import Data

PER_CLASS, FEWER, WRONG = 50, 20, 25
# Those on which methods were chosen begin at 100.
SEEDS = {"intervals": range(30), "curves": range(6), "wrong_labels": range(6)}
CHOSEN_ON = range(100, 124)


def rows_of(labels: np.ndarray, seed: int, per_class: int) -> np.ndarray:
    """The training images that `--per_class` and `--subset_seed` draw, as positions."""
    return subsets.choose(Data(per_class=per_class, subset_seed=str(seed)), labels).train


def compute_features(path: str, data_dir: str) -> None:
    """Writes the features of the test images and of all training images that are wanted."""
    from tf_tickets.experiments import plan
    from tf_tickets.experiments.features import Features
    from tf_tickets.experiments.session import Session

    config = tt.Config.from_values(
        dataset="cifar10", data_dir=data_dir, per_class=PER_CLASS, subset_seed="0", model="efficientnet_lite0",
        pretrained="imagenet", control="probe", out=os.path.dirname(os.path.abspath(path)),
    )  # fmt: skip
    session = Session(plan.resolve(config))
    source = sources.load("cifar10", session.plan.config.data.place)
    wanted = [rows_of(source.labels, seed, PER_CLASS) for seed in [*SEEDS["intervals"], *CHOSEN_ON]]
    rows = np.unique(np.concatenate(wanted))
    features = Features(session, lambda: False)
    train = features.of(pipeline.Images.of(source, rows), "training")
    test = features.of(session.test, "test")
    np.savez(path, train=train, rows=rows, labels=source.labels, test=test, test_labels=session.test.labels)


class Pool:
    """The features that are kept, by subset."""

    def __init__(self, path: str):
        """`path` is the file of `compute_features`."""
        with np.load(path) as arrays:
            self._arrays = dict(arrays)

    def subset(self, seed: int, per_class: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """(features, labels, ids) of a subset."""
        rows = rows_of(self._arrays["labels"], seed, per_class)
        places = np.searchsorted(self._arrays["rows"], rows)
        return self._arrays["train"][places], self._arrays["labels"][rows], [f"train_{row}" for row in rows]

    @functools.lru_cache(maxsize=2)  # noqa: B019  one pool lives as long as the program
    def test_accuracy(self, seed: int, per_class: int) -> float:
        """Of the probe of a subset, as `train --control=probe` fits it, on the 10,000 test images."""
        features, labels, _ = self.subset(seed, per_class)
        rows = rows_of(self._arrays["labels"], seed, per_class)
        probe, _ = linear_probe.fit_by_folds(features, labels, subsets.folds(labels, rows, str(seed), 5))
        return probe.accuracy(self._arrays["test"].astype(np.float64), self._arrays["test_labels"])


def interval_row(pool: Pool, seed: int) -> dict:
    """What is estimated of a subset, and what is true; the processor's seconds of the estimate."""
    features, labels, ids = pool.subset(seed, PER_CLASS)
    began = time.process_time()
    estimated = estimates.estimate(estimates.out_of_fold(features, labels, ids, seed), labels)
    seconds = time.process_time() - began
    truth, (value, low, high) = pool.test_accuracy(seed, PER_CLASS), estimated.accuracy or (np.nan,) * 3
    _, balanced_low, balanced_high = estimated.balanced_accuracy or (np.nan,) * 3
    return {
        "subset_seed": seed, "test_accuracy": truth, "accuracy": value, "low": low, "high": high,
        "holds": int(low <= truth <= high), "balanced_low": balanced_low, "balanced_high": balanced_high,
        "calibration_error": estimated.calibration_error, "seconds": round(seconds, 1),
    }  # fmt: skip


def curve_row(pool: Pool, seed: int) -> dict:
    """What the fewer images predict of the more, and what is true; the processor's seconds of both curves."""
    began = time.process_time()
    curve = learning_curve.learning_curve(*pool.subset(seed, FEWER), seed)
    seconds = time.process_time() - began
    predicted, gain = curve.predicted(PER_CLASS), curve.more(PER_CLASS - FEWER)
    truth, fewer = pool.test_accuracy(seed, PER_CLASS), pool.test_accuracy(seed, FEWER)
    row = {"subset_seed": seed, "test_accuracy_20": fewer, "test_accuracy_50": truth}
    if predicted and gain:
        row |= {"predicted": predicted.accuracy, "low": predicted.low, "high": predicted.high}
        row |= {"holds": int(predicted.low <= truth <= predicted.high)}
        row |= {"gain": gain.gain, "gain_low": gain.low, "gain_high": gain.high}
        row |= {"gain_holds": int(gain.low <= truth - fewer <= gain.high)}
    began = time.process_time()
    learning_curve.learning_curve(*pool.subset(seed, PER_CLASS), seed)
    return row | {"seconds": round(seconds, 1), "seconds_of_50": round(time.process_time() - began, 1)}


def wrong_label_row(pool: Pool, seed: int) -> dict:
    """How many of the labels that are wrong on purpose are listed, and at which place."""
    features, labels, ids = pool.subset(seed, PER_CLASS)
    draws = np.random.default_rng(seeds.fold("advise", "wrong labels", seed))
    wrong, given = draws.permutation(len(labels))[:WRONG], labels.copy()
    given[wrong] = (labels[wrong] + draws.integers(1, labels.max() + 1, WRONG)) % (labels.max() + 1)
    out = estimates.out_of_fold(features, given, ids, seed)
    listed = np.array([suspect.row for suspect in wrong_labels.suspects(out.probabilities.mean(axis=0), given)], int)
    planted = np.cumsum(np.isin(listed, wrong))
    half = np.flatnonzero(2 * planted >= np.arange(1, len(listed) + 1))
    return {
        "subset_seed": seed, "wrong": WRONG, "listed": len(listed), "of_these_wrong": int(np.isin(listed, wrong).sum()),
        "at_half_precision": int(planted[half[-1]]) if len(half) else 0,
        "in_the_first_25": int(planted[:WRONG][-1]) if len(listed) else 0,
    }  # fmt: skip


ROWS = {"intervals": interval_row, "curves": curve_row, "wrong_labels": wrong_label_row}


def main() -> None:
    """Reads the flags, and adds the rows that are not there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir")
    parser.add_argument("--features", default="features.npz", help="of the images; computed where it is not there")
    parser.add_argument("--out", required=True)
    parser.add_argument("--part", choices=ROWS, action="append", help="of these alone; may be given again")
    given = parser.parse_args()
    if not os.path.exists(given.features):
        compute_features(given.features, given.data_dir)
    pool = Pool(given.features)
    os.makedirs(given.out, exist_ok=True)
    for part in given.part or ROWS:
        path = os.path.join(given.out, f"{part}.csv")
        rows = storage.read_csv(path) if os.path.exists(path) else []
        for seed in SEEDS[part]:
            if str(seed) not in [row["subset_seed"] for row in rows]:
                rows.append({name: str(value) for name, value in ROWS[part](pool, seed).items()})
                storage.write_csv(path, rows, list(rows[0]))
                print(part, rows[-1], flush=True)


if __name__ == "__main__":
    main()
