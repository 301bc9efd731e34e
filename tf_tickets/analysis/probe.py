"""Transfer probe: a linear classifier on frozen features (Alain & Bengio 2017; Chen et al. 2020, ticket transfer)."""

import dataclasses
import warnings

import numpy as np

# Inverse strengths of the squared penalty, weakest last, on standardised features and the sum of the losses.
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
_STEPS = 300


@dataclasses.dataclass(frozen=True)
class Probe:
    """A linear classifier.

    Attributes:
      strength: the chosen inverse penalty.
      held_out_accuracy: of the classifier at that strength on the images held out, before it was fitted to them too.
      mean, deviation: float [features], what features are standardised with.
      classifier: a fitted scikit-learn LogisticRegression.
    """

    strength: float
    held_out_accuracy: float
    mean: np.ndarray
    deviation: np.ndarray
    classifier: object

    def accuracy(self, features, labels):
        """The share of images, float [n, features] and int [n], that are classified correctly."""
        return float((self.classifier.predict((features - self.mean) / self.deviation) == labels).mean())


def fit(train, held_out):
    """Fits a probe: the penalty is chosen on the images held out, then all are fitted; test images have no say.

    Args:
      train, held_out: (float [n, features], int [n]) of the probe's training images.

    Returns:
      A Probe; among penalties of equal held-out accuracy the strongest.
    """
    features = np.concatenate([train[0], held_out[0]]).astype(np.float64)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    deviation = np.where(deviation > 1e-6 * max(deviation.max(), 1e-12), deviation, 1.0)
    scaled = [((part - mean) / deviation, labels) for part, labels in (train, held_out)]
    found = []
    for strength in STRENGTHS:
        found.append(float((_classifier(strength, *scaled[0]).predict(scaled[1][0]) == held_out[1]).mean()))
    best = int(np.argmax(found))
    everything = np.concatenate([scaled[0][0], scaled[1][0]]), np.concatenate([train[1], held_out[1]])
    return Probe(STRENGTHS[best], found[best], mean, deviation, _classifier(STRENGTHS[best], *everything))


def _classifier(strength, features, labels):
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # A weak penalty may use up its steps; the held-out images judge what has come of it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=strength, max_iter=_STEPS, tol=1e-3).fit(features, labels)


def adapted(pixels, image_shape):
    """Images of one data set in the shape that a network of another takes.

    Grey is repeated over the channels, channels are averaged to grey. Images that fit inside get a border of black on
    all sides; larger ones are shrunk with antialiasing.

    Args:
      pixels: float32 [n, height, width, channels] in [0, 1].
      image_shape: (height, width, channels) wanted.

    Returns:
      float32 [n, *image_shape].

    Raises:
      ValueError: channels that are neither equal nor 1.
    """
    height, width, channels = image_shape
    if pixels.shape[3] != channels:
        if 1 not in (pixels.shape[3], channels):
            raise ValueError(f"images of {pixels.shape[3]} channels cannot become images of {channels}")
        pixels = pixels.mean(axis=3, keepdims=True) if channels == 1 else np.repeat(pixels, channels, axis=3)
    rows, columns = pixels.shape[1:3]
    if rows <= height and columns <= width:
        top, left = (height - rows) // 2, (width - columns) // 2
        border = [(0, 0), (top, height - rows - top), (left, width - columns - left), (0, 0)]
        return np.pad(pixels, border)
    from tf_tickets.backend import tf

    return tf.image.resize(pixels, (height, width), antialias=True).numpy()
