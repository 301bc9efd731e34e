"""Linear centred kernel alignment (CKA) between layers, by the unbiased minibatch estimator, in numpy.

Kornblith et al. 2019 define CKA; Nguyen, Raghu & Kornblith 2021 average the unbiased HSIC_1 of Song et al. 2012 over
minibatches, so that the value depends little on the batch. HSIC_1(K, L) is the dot product of the two U-centred Gram
matrices over n (n - 3) (Szekely & Rizzo 2014). Scaled and laid end to end over the batches, a layer's Gram matrices
are thus one vector, and CKA is the cosine of two of them.
"""

import numpy as np

LEAST = 4  # images in a batch, below which HSIC_1 is undefined


def u_centred(features):
    """The U-centred linear Gram matrix of one batch.

    Args:
      features: float [n, ...], flattened per image; n >= 4.

    Returns:
      float64 [n, n], zero on the diagonal, rows and columns summing to zero.

    Raises:
      ValueError: fewer than four images.
    """
    count = len(features)
    if count < LEAST:
        raise ValueError(f"a batch of {count} images is too small: HSIC_1 needs at least {LEAST}")
    flat = np.asarray(features).reshape(count, -1)
    # U-centring removes the mean anyway; taken off before, it cannot drown the rest in rounding.
    flat = flat - flat.mean(axis=0)
    gram = (flat @ flat.T).astype(np.float64)
    np.fill_diagonal(gram, 0.0)
    rows = gram.sum(axis=0) / (count - 2)
    gram += gram.sum() / ((count - 1) * (count - 2)) - rows[:, None] - rows[None, :]
    np.fill_diagonal(gram, 0.0)
    return gram


def part(features):
    """One batch's part of a layer's vector: the dot product of two parts is HSIC_1 of the batch.

    Args:
      features: float [n, ...], n >= 4.

    Returns:
      float64 [n * n].
    """
    count = len(features)
    return u_centred(features).ravel() / np.sqrt(count * (count - 3.0))


def direction(parts):
    """A layer's vector of unit length, from the parts of all batches; zeros of a layer that never varies."""
    vector = np.concatenate(parts)
    length = np.linalg.norm(vector)
    return vector / length if length > 0 else vector


def directions(batches):
    """The vectors of several layers.

    Args:
      batches: iterable of lists, one float array [n, ...] per layer; every batch holds the same images for each.

    Returns:
      float64 [layers, m], for `cka`.
    """
    parts = [[part(features) for features in layers] for layers in batches]
    return np.stack([direction(column) for column in zip(*parts)])


def cka(first, second):
    """Linear CKA of every layer of one network with every layer of another.

    Args:
      first, second: results of `directions` on the same images in the same batches.

    Returns:
      float64 [layers of first, layers of second]; 1 for equal layers, about 0 for unrelated ones, from which the
      unbiased estimate may be a little negative.
    """
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"layers of {first.shape[1]} and {second.shape[1]} pairs of images: give both the same images")
    return first @ second.T
