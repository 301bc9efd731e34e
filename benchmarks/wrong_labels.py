"""Writes images of a data set with some of their training labels wrong on purpose, for `--dataset=arrays`.

    python benchmarks/wrong_labels.py --out=wrong_0.npz --seed=0

The subset is the one that `--per_class` and `--subset_seed` draw. Of each class the same share of labels becomes
another class, drawn evenly. Test labels stay as they are.
"""

import argparse

import numpy as np

import tf_tickets as tt
from tf_tickets import seeds
from tf_tickets.data import sources, subsets
from tf_tickets.settings.data_group import Data


def with_wrong_labels(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Labels of which a share, rounded in each class, is replaced.

    Args:
      labels: integers [n] from 0.
      share: from 0 to 1.
      seed: of the draws.

    Returns:
      Integers [n].
    """
    draws = np.random.default_rng(seeds.fold("wrong labels", seed))
    result, classes = labels.copy(), int(labels.max()) + 1
    for label in range(classes):
        rows = draws.permutation(np.flatnonzero(labels == label))
        rows = rows[: round(share * len(rows))]
        result[rows] = (label + draws.integers(1, classes, len(rows))) % classes
    return result


def main() -> None:
    """Reads the flags and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--data_dir")
    parser.add_argument("--per_class", type=int, default=50)
    parser.add_argument("--share", type=float, default=0.4)
    parser.add_argument("--seed", type=int, default=0, help="of the subset and of the wrong labels")
    parser.add_argument("--out", required=True)
    given = parser.parse_args()
    source = sources.load(given.dataset, given.data_dir)
    rows = subsets.choose(Data(per_class=given.per_class, subset_seed=str(given.seed)), source.labels, source.ids).train
    labels = with_wrong_labels(source.labels[rows], given.share, given.seed)
    wrong = int(np.count_nonzero(labels != source.labels[rows]))
    names = list(source.data_set.labels)
    tt.data.from_arrays(source.images(rows), labels, test=source.test(), class_names=names).save(given.out)
    print(f"{given.out}: {len(rows)} training images, {wrong} of them with a wrong label")


if __name__ == "__main__":
    main()
