"""Logistic regression on frozen features: standardised, its penalty chosen on images that it was not fitted to."""

from __future__ import annotations

import dataclasses
import typing
import warnings
from collections.abc import Sequence

from tf_tickets.lazy_modules import np

if typing.TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

# Inverse strengths of the squared penalty, weakest last, on standardised features and the sum of the losses.
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
# Where folds choose: a few images with thousands of features want stronger penalties.
STRENGTHS_OF_FOLDS = (1e-5, 1e-4, *STRENGTHS)
# Of images that cannot be folded, such as one of each class: scikit-learn's own.
UNCHOSEN = 1.0
# The logit of a class without a training image; the largest logit of the others is never below 0.
ABSENT = -100.0
_STEPS = 300


@dataclasses.dataclass(frozen=True)
class Probe:
    """A linear classifier.

    Attributes:
      strength: the inverse penalty.
      held_out_accuracy: at that strength, of classifiers that were not fitted to the images; NaN where none was held
        out.
      mean, deviation: float64 [features], what features are standardised with.
      classifier: a fitted scikit-learn LogisticRegression.
    """

    strength: float
    held_out_accuracy: float
    mean: np.ndarray
    deviation: np.ndarray
    classifier: LogisticRegression

    def accuracy(self, features: np.ndarray, labels: np.ndarray) -> float:
        """The share of images, float [n, features] and int [n], that are classified correctly."""
        return float(np.mean(self.classifier.predict((features - self.mean) / self.deviation) == labels))

    def head(self, classes: int) -> tuple[np.ndarray, np.ndarray]:
        """The classifier and its standardisation as a dense layer on features as they are.

        Of two classes scikit-learn decides by one number z, which becomes the logits -z/2 and z/2: their difference is
        z, and their softmax scikit-learn's probability.

        Args:
          classes: how many the network has; one without a training image gets the logit `ABSENT`.

        Returns:
          (kernel, bias), float32 [features, classes] and [classes].
        """
        coefficients, intercepts = map(np.asarray, (self.classifier.coef_, self.classifier.intercept_))
        if len(intercepts) == 1:
            coefficients, intercepts = (np.concatenate([-part, part]) / 2 for part in (coefficients, intercepts))
        scaled = coefficients / self.deviation
        kernel = np.zeros((len(self.mean), classes), np.float32)
        bias = np.full(classes, ABSENT, np.float32)
        kernel[:, self.classifier.classes_] = scaled.T
        bias[self.classifier.classes_] = intercepts - scaled @ self.mean
        return kernel, bias


def standardisation(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation, float64 [features], of float64 [n, features]; a feature that is constant keeps its unit."""
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    return mean, np.where(deviation > 1e-6 * max(deviation.max(), 1e-12), deviation, 1.0)


def fit(train: tuple[np.ndarray, np.ndarray], held_out: tuple[np.ndarray, np.ndarray]) -> Probe:
    """Fits a probe: the penalty is chosen on the images held out, then all are fitted; test images have no say.

    Args:
      train, held_out: (float [n, features], int [n]) of the probe's training images.

    Returns:
      A Probe; among penalties of equal held-out accuracy the strongest.
    """
    mean, deviation = standardisation(np.concatenate([train[0], held_out[0]]).astype(np.float64))
    scaled = [((part - mean) / deviation, labels) for part, labels in (train, held_out)]
    accuracies = []
    for strength in STRENGTHS:
        accuracies.append(float(np.mean(classifier(strength, *scaled[0]).predict(scaled[1][0]) == held_out[1])))
    best = int(np.argmax(accuracies))
    everything = np.concatenate([scaled[0][0], scaled[1][0]]), np.concatenate([train[1], held_out[1]])
    return Probe(STRENGTHS[best], accuracies[best], mean, deviation, classifier(STRENGTHS[best], *everything))


def fit_by_folds(features: np.ndarray, labels: np.ndarray, parts: Sequence[np.ndarray]) -> tuple[Probe, list[float]]:
    """Fits a probe whose penalty is chosen by leaving out parts of its images in turn.

    Each image is predicted by the classifier of each penalty that was standardised and fitted without its part.

    Args:
      features: float [n, features].
      labels: int [n], of at least two classes.
      parts: rows of each part; every image is in one.

    Returns:
      (Probe, accuracies): among penalties of equal accuracy the strongest, fitted to all images; and the accuracy of
      each of `STRENGTHS_OF_FOLDS`. Where a part leaves one class alone nothing can be chosen: the penalty is `UNCHOSEN`
      and there are no accuracies.
    """
    features = features.astype(np.float64)
    mean, deviation = standardisation(features)
    kept = [np.setdiff1d(np.arange(len(labels)), held) for held in parts]
    strength, accuracies = UNCHOSEN, []
    if all(len(np.unique(labels[rows])) > 1 for rows in kept):
        right = np.zeros(len(STRENGTHS_OF_FOLDS))
        for rows, held in zip(kept, parts):
            center, unit = standardisation(features[rows])
            inside, outside = ((features[chosen] - center) / unit for chosen in (rows, held))
            for place, strength_tried in enumerate(STRENGTHS_OF_FOLDS if len(held) else ()):
                fitted = classifier(strength_tried, inside, labels[rows])
                right[place] += np.sum(fitted.predict(outside) == labels[held])
        accuracies = list(map(float, right / len(labels)))
        strength = STRENGTHS_OF_FOLDS[int(np.argmax(accuracies))]
    fitted = classifier(strength, (features - mean) / deviation, labels)
    return Probe(strength, max(accuracies, default=float("nan")), mean, deviation, fitted), accuracies


def classifier(strength: float, features: np.ndarray, labels: np.ndarray) -> LogisticRegression:
    """The logistic regression at an inverse penalty, of standardised features [n, features] and labels [n]."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # A weak penalty may use up its steps; the held-out images judge what has come of it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=strength, max_iter=_STEPS, tol=1e-3).fit(features, labels)
