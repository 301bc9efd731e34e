"""Criteria: scores by which weights are ranked; those of smallest score are removed."""

import numpy as np

from tf_tickets.registry import CRITERIA


@CRITERIA.register("magnitude")
def magnitude(weights: dict[str, np.ndarray], masks: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The absolute value of each weight (Han et al. 2015; docs/science.md, IMP step 2).

    Args:
      weights: arrays by layer name, in the network's order.
      masks: booleans of the same shapes, True where the weight is left; scores elsewhere do not count.

    Returns:
      Arrays of the same shapes.
    """
    return {name: np.abs(np.asarray(array)) for name, array in weights.items()}
