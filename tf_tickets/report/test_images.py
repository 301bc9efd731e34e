"""How many images an accuracy was measured on, and how far another draw of as many could lie from it."""

import pandas

from tf_tickets import runs, storage
from tf_tickets.errors import StateError
from tf_tickets.registry import DATASETS
from tf_tickets.report import statistics

COLUMN = "test_images"
# Of several runs the interval over test images is said below these many: above, it is narrower than runs differ.
FEW = 1000


def counted(frame: pandas.DataFrame, folders: dict[str, runs.RunFolder]) -> pandas.DataFrame:
    """The frame of `tables.collect` with a column more: the number of test images, missing where it is not known.

    Args:
      frame: whose rows have a run and a dataset.
      folders: of the runs that are there as folders; of others, of pictures of the user's own, it is not known.
    """
    known = {run: _count(folders.get(run), rows["dataset"].iloc[0]) for run, rows in frame.groupby("run", sort=False)}
    return frame.assign(**{COLUMN: frame["run"].map(known).astype("Int64")})


def interval(rows: pandas.DataFrame) -> str:
    """`[74.2, 99.0] over 18` of the mean accuracy of some rows, in per cent; nothing where it is not to be said."""
    if COLUMN not in rows or rows[COLUMN].isna().any() or rows[COLUMN].nunique() != 1:
        return ""
    images = int(rows[COLUMN].iloc[0])
    if not images or (rows["run"].nunique() > 1 and images >= FEW):
        return ""
    low, high = statistics.score_interval(float(rows["test_accuracy"].mean()), images)
    return f"[{100 * low:.1f}, {100 * high:.1f}] over {images:,}"


def _count(folder, name):
    if folder is not None:
        try:
            return sum(map(int, storage.read_json(folder.data)["test_counts"])) or None
        except (StateError, KeyError, TypeError, ValueError):
            pass  # not written of a data set that the table knows; a damaged one is named by what trains on it
    data_set = DATASETS[name] if ":" not in name and name in DATASETS else None
    facts = None if data_set is None or data_set.place_flags else data_set.facts
    return None if facts is None else facts.test_images
