"""How well features separate the classes, without training a head on them."""

import numpy as np
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import normalize


def accuracy(
    features: np.ndarray, labels: np.ndarray, test_features: np.ndarray, test_labels: np.ndarray, *,
    neighbours: int = 20,
) -> float:  # fmt: skip
    """Accuracy of a k-nearest-neighbour vote, neighbours by cosine similarity and weighted by it (Wu et al. 2018).

    Args:
      features, labels: float [n, size] and int [n], whose neighbours vote.
      test_features, test_labels: float [m, size] and int [m].
      neighbours: how many vote, at most n.

    Returns:
      The fraction that the vote gets right.
    """
    # Of unit vectors, the nearest by angle are the nearest in space; exp(cosine / 0.07) = exp(-distance^2 / 0.14) x c.
    vote = KNeighborsClassifier(
        n_neighbors=min(neighbours, len(labels)),
        weights=lambda distance: np.exp(-(distance**2) / 0.14),  # pyright: ignore[reportArgumentType]  may be a function
    )
    vote.fit(normalize(features), labels)
    return float(np.mean(vote.predict(normalize(test_features)) == test_labels))
