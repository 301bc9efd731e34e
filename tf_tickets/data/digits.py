"""scikit-learn's 1,797 digits in their original order: 1,197 train, the last 600, other writers' pages, test."""

from __future__ import annotations

import operator

from tf_tickets.data import sources
from tf_tickets.data.catalog import DataSet
from tf_tickets.errors import StateError
from tf_tickets.lazy_modules import np
from tf_tickets.registry import DATASETS
from tf_tickets.settings.places import Place


@DATASETS.register("digits")
class Digits(sources.Provider):
    """Levels 0..16 are stored as round(level * 255 / 16)."""

    facts: DataSet = DataSet(
        "digits", tuple("0123456789"), (119, 120, 117, 121, 119, 123, 120, 118, 118, 122),
        (59, 62, 60, 62, 62, 59, 61, 61, 56, 58),
        image_shape=(8, 8, 1), mean=(0.3064,), deviation=(0.3753,), flip=False,
        stem="small", crop_padding=1, cutout_side=4, source="digits",
    )  # fmt: skip

    def load(self, place: Place) -> sources.Source:
        """Reads them out of scikit-learn; nothing is left to decode."""
        from sklearn.datasets import load_digits

        pictures, labels = operator.attrgetter("images", "target")(load_digits())
        images = np.round(pictures * (255.0 / 16.0)).astype(np.uint8)[..., np.newaxis]
        labels, ids = labels.astype(np.int64), [f"digits_{i:04d}" for i in range(len(images))]
        split, columns = sum(self.facts.train_counts), (ids, labels, images, np.zeros(len(ids), bool))
        train, test = (tuple(column[rows] for column in columns) for rows in (slice(split), slice(split, None)))
        problem = sources.count_problem(self.facts, train, test)
        if problem:
            raise StateError(f"scikit-learn's digits: {problem}")
        return sources.Source(self.facts, train, test, np.copy)
