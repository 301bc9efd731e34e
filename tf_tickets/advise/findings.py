"""What `advise` finds out about some pictures, in one value."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from tf_tickets.advise import estimates, held_out, learning_curve, near_duplicates, odd_pictures, wrong_labels
from tf_tickets.advise.backbones import Backbone
from tf_tickets.advise.collection import Collection
from tf_tickets.advise.estimates import Estimate, Interval
from tf_tickets.advise.learning_curve import Curve
from tf_tickets.advise.near_duplicates import Pair
from tf_tickets.advise.odd_pictures import Odd
from tf_tickets.advise.stages import Stages
from tf_tickets.advise.wrong_labels import Suspect
from tf_tickets.analysis import linear_probe
from tf_tickets.report.sentences import count, number

# Parts by which the penalty of the probe of the test part is chosen.
_PARTS = 5


@dataclasses.dataclass(frozen=True)
class Findings:
    """What was found; rows are those of the collection.

    Attributes:
      collection: the pictures.
      backbone: whose features were probed.
      pairs: near-duplicates, closest first.
      odd: pictures that are unlike the others, most striking first.
      rows: int64, the pictures of the folds without those that repeat an earlier one; accuracy is about these.
      estimate: accuracy to expect.
      curve: accuracy by pictures per class.
      suspects: pictures of `rows` whose labels look wrong, most suspicious first.
      tested: share of a test part that was given as one which a probe of `rows` has right, with its interval; None
        without such a part.
    """

    collection: Collection
    backbone: Backbone
    pairs: list[Pair]
    odd: list[Odd]
    rows: np.ndarray
    estimate: Estimate
    curve: Curve
    suspects: list[Suspect]
    tested: Interval | None

    @property
    def leaks(self) -> list[Pair]:
        """Near-duplicates of which one is to be tested on, and the other is not."""
        parts = self.collection.parts
        return [pair for pair in self.pairs if (parts[pair.first] == "test") != (parts[pair.second] == "test")]

    @property
    def contradictions(self) -> list[Pair]:
        """Near-duplicates in two classes."""
        labels = self.collection.labels
        return [pair for pair in self.pairs if labels[pair.first] != labels[pair.second]]

    @property
    def pictures(self) -> str:
        """Pictures and classes that accuracy is about: `500 pictures in ten classes`."""
        classes = len(self.collection.classes)
        return f"{count(len(self.rows), 'picture')} in {number(classes)} class{'' if classes == 1 else 'es'}"

    @property
    def guessing(self) -> float:
        """The share that always naming the largest class has right."""
        return float(self.counts.max() / max(self.counts.sum(), 1))

    @property
    def repeats(self) -> int:
        """Pictures of the folds that were left out, since they repeat another."""
        return int(self.collection.folded.sum()) - len(self.rows)

    @property
    def counts(self) -> np.ndarray:
        """Pictures of each class in the folds, int64 [classes]."""
        return np.bincount(self.collection.labels[self.rows], minlength=len(self.collection.classes))


def compute(
    collection: Collection, backbone: Backbone, seed: int, *, stages: Stages, stop: Callable[[], bool]
) -> Findings:  # fmt: skip
    """Finds out all there is to say.

    Args:
      collection: the pictures.
      backbone: whose features it has.
      seed: of the draws.
      stages: told how far it is.
      stop: asked between fits.

    Raises:
      StopRequested: on request.
    """
    stages.begin("copies")
    pairs = near_duplicates.pairs(collection.thumbnails, collection.sizes, collection.features)
    odd = odd_pictures.odd_pictures(
        collection.thumbnails, collection.sizes, collection.channels, features=collection.features,
        labels=collection.labels,
    )  # fmt: skip
    rows = _distinct(collection, pairs)
    features, labels = collection.features[rows], collection.labels[rows]
    ids = [collection.ids[row] for row in rows]
    stages.begin("accuracy")
    out_of_fold = estimates.out_of_fold(features, labels, ids, seed, stop=stop)
    suspects = wrong_labels.suspects(out_of_fold.probabilities.mean(axis=0), labels)
    tested = _tested(collection, rows, seed)
    stages.begin("curve")
    curve = learning_curve.learning_curve(features, labels, ids, seed, stop=stop)
    return Findings(
        collection, backbone, pairs, odd, rows, estimates.estimate(out_of_fold, labels), curve,
        [suspect._replace(row=int(rows[suspect.row])) for suspect in suspects], tested,
    )  # fmt: skip


def _distinct(collection, pairs):
    """The rows of the folds without those that repeat an earlier one, which folds would tell the answer to."""
    repeats = {row for group in near_duplicates.groups(pairs) for row in _later(group, collection.folded)}
    return np.array([row for row in np.flatnonzero(collection.folded) if row not in repeats], np.int64)


def _later(group, folded):
    return [row for row in group if folded[row]][1:]


def _tested(collection, rows, seed):
    """What a probe of all rows has right of the test part that was given as one."""
    apart = ~collection.folded
    if not apart.any():
        return None
    ids = [collection.ids[row] for row in rows]
    train, _ = held_out.images_of(collection.features[rows], collection.labels[rows], ids)
    part = held_out.parts(train, _PARTS, "test", seed)
    held = [np.flatnonzero(part == index) for index in range(_PARTS)]
    probe, _ = linear_probe.fit_by_folds(train.features, train.labels, held)
    share = probe.accuracy(collection.features[apart], collection.labels[apart])
    return estimates.wilson(share * int(apart.sum()), int(apart.sum()))
