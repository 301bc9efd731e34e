"""Initial weights, PyTorch's defaults, from stateless draws: a layer's values depend on the seed and its name alone."""

import math

import numpy as np

from tf_tickets import seeds


def uniform_fan_in(seed, layer, variable, shape, fan_in):
    """Uniform in +-1/sqrt(fan_in), PyTorch's default for convolution and linear layers.

    Returns:
      float32 array of `shape`.
    """
    bound = 1.0 / math.sqrt(fan_in)
    unit = seeds.uniform(seeds.fold("initial", seed, layer, variable), math.prod(shape))
    return ((2.0 * unit - 1.0) * bound).astype(np.float32).reshape(shape)
