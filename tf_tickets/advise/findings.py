"""What `advise` finds out about some pictures, in one value."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from tf_tickets.advise import estimates, held_out, learning_curve, near_duplicates, odd_pictures, wrong_labels
from tf_tickets.advise.backbones import Backbone
from tf_tickets.advise.collection import Collection
from tf_tickets.advise.estimates import ClassEstimate, Estimate, Interval
from tf_tickets.advise.learning_curve import Curve
from tf_tickets.advise.near_duplicates import Pair
from tf_tickets.advise.odd_pictures import Odd
from tf_tickets.advise.stages import Stages
from tf_tickets.advise.wrong_labels import Suspect
from tf_tickets.analysis import linear_probe
from tf_tickets.errors import UsageError
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
      rows: int64, the pictures of the folds without those that repeat an earlier one or stand in two classes.
      probabilities: float [rows, classes], by probes that were fitted without the picture; classes up to the last of
        `rows`.
      estimate: accuracy to expect.
      curve: accuracy by pictures per class.
      suspects: pictures of `rows` whose labels look wrong, most suspicious first; none where the probes guess.
      tested: share of a test part that was given as one which a probe of `rows` has right, with its interval; None
        without such a part.
    """

    collection: Collection
    backbone: Backbone
    pairs: list[Pair]
    odd: list[Odd]
    rows: np.ndarray
    probabilities: np.ndarray
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
    def scored(self) -> list[ClassEstimate]:
        """The classes that accuracy is about: those of at least two pictures."""
        return [each for each in self.estimate.classes if each.accuracy is not None]

    @property
    def pictures(self) -> str:
        """The pictures and classes that accuracy is about: `500 pictures in ten classes`."""
        classes = self.scored or self.estimate.classes
        of_all = f"{count(sum(each.images for each in classes), 'picture')} in {number(len(classes))} class"
        return of_all if len(classes) == 1 else f"{of_all}es"

    @property
    def unscored(self) -> list[str]:
        """The names of the other classes."""
        scored = {each.label for each in self.scored}
        return [name for label, name in enumerate(self.collection.classes) if label not in scored]

    @property
    def guessing(self) -> float:
        """The share that always naming the largest class has right."""
        images = [each.images for each in self.scored]
        return max(images) / sum(images) if images else 1.0

    @property
    def guesses(self) -> bool:
        """Whether nothing shows yet that the classes can be told apart, each counted alike."""
        return _guesses(self.estimate)

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
      UsageError: once copies are left out, no two classes have pictures.
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
    estimate, probabilities = estimates.estimate(out_of_fold, labels), out_of_fold.probabilities.mean(axis=0)
    suspects = [] if _guesses(estimate) else wrong_labels.suspects(probabilities, labels)
    tested = _tested(collection, rows, seed)
    stages.begin("curve")
    curve = learning_curve.learning_curve(features, labels, ids, seed, stop=stop)
    return Findings(
        collection, backbone, pairs, odd, rows, probabilities, estimate, curve,
        [suspect._replace(row=int(rows[suspect.row])) for suspect in suspects], tested,
    )  # fmt: skip


def _distinct(collection, pairs):
    """The rows of the folds without copies.

    A copy in another fold would tell the answer; of one in another class nobody knows which label is right.
    """
    left_out = set()
    for group in near_duplicates.groups(pairs):
        in_folds = [row for row in group if collection.folded[row]]
        contradictory = len({int(collection.labels[row]) for row in group}) > 1
        left_out |= set(in_folds if contradictory else in_folds[1:])
    rows = np.array([row for row in np.flatnonzero(collection.folded) if row not in left_out], np.int64)
    if len(np.unique(collection.labels[rows])) < 2:
        first, second = (collection.ids[row] for row in (pairs[0].first, pairs[0].second))
        raise UsageError(
            f"{len(left_out):,} of {int(collection.folded.sum()):,} pictures are copies of others, such as {second} "
            f"of {first}; without them no two classes have pictures to tell apart: remove copies, and give others"
        )
    return rows


def _guesses(estimate):
    balanced, scored = estimate.balanced_accuracy, [each for each in estimate.classes if each.accuracy is not None]
    return balanced is None or balanced.low <= 1 / len(scored)


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
