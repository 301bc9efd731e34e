"""What of a sparse network still works: dead and silent channels, multiply-adds, residual against shortcut norms."""

import math

import numpy as np


def dead_channels(mask, kind="plain"):
    """Output channels whose kernel has no weight left.

    Args:
      mask: boolean, Keras layout: [height, width, in, out], depthwise [height, width, channels, 1], dense [in, out].
      kind: that of the models.description.Kernel; of a depthwise one every channel has a kernel of its own.

    Returns:
      Their number.
    """
    axis = 2 if kind == "depthwise" else mask.ndim - 1
    alive = mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis))
    return int(np.count_nonzero(~alive))


def multiply_adds(weights, output_shape):
    """Multiply-adds of one image in one layer: each weight that is there works once at every output position.

    Half of what is often called FLOPs. Left out are biases, normalisation, additions, the fixed filters of a harmonic
    network (of which each coefficient counts as one weight) and the products inside attention.

    Args:
      weights: how many are left.
      output_shape: (height, width, channels), (tokens, channels) or (channels,).
    """
    return weights * math.prod(output_shape[:-1])


def layer_metrics(kernels, masks, output_shapes):
    """Dead channels and multiply-adds, per layer and in total.

    Args:
      kernels: list of models.description.Kernel.
      masks: dict from name to mask; a kernel without one is dense.
      output_shapes: dict from name to the shape of one image's output.

    Returns:
      List of (metric, value, n): `multiply_adds` and `multiply_adds_dense` (n: weights of the kernel),
      `dead_channels` (n: channels; of kernels with a mask), totals first, then with `:<layer>`.
    """
    layers, totals = [], {}

    def add(metric, name, value, n):
        layers.append((f"{metric}:{name}", value, n))
        before = totals.get(metric, (0, 0))
        totals[metric] = before[0] + value, before[1] + n

    for kernel in kernels:
        mask, shape = masks.get(kernel.name), output_shapes[kernel.name]
        kept = kernel.size if mask is None else int(np.count_nonzero(mask))
        add("multiply_adds", kernel.name, multiply_adds(kept, shape), kernel.size)
        add("multiply_adds_dense", kernel.name, multiply_adds(kernel.size, shape), kernel.size)
        if mask is not None:
            add("dead_channels", kernel.name, dead_channels(mask, kernel.kind), kernel.outputs)
    return [(metric, *total) for metric, total in totals.items()] + layers


class Silent:
    """Counts the channels of a rectified layer that never fire on a sample, batch by batch."""

    def __init__(self):
        self._peaks = None

    def add(self, outputs):
        """Looks at one batch, float [n, ..., channels]."""
        peaks = outputs.reshape(-1, outputs.shape[-1]).max(axis=0)
        self._peaks = peaks if self._peaks is None else np.maximum(self._peaks, peaks)

    @property
    def count(self):
        """(silent channels, channels)."""
        return int(np.count_nonzero(self._peaks <= 0)), len(self._peaks)


def norm_ratios(residual, shortcut):
    """Length of the residual branch over that of the shortcut, image by image.

    Args:
      residual, shortcut: float [n, ...], what a block adds up.

    Returns:
      float64 [n].
    """
    lengths = [np.linalg.norm(part.reshape(len(part), -1).astype(np.float64), axis=1) for part in (residual, shortcut)]
    return lengths[0] / np.maximum(lengths[1], 1e-12)
