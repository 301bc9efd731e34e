"""Linear interpolation between two networks trained from one rewind point (Frankle et al. 2020).

All variables are interpolated, the moving mean and variance of batch normalisation too: they are not measured again
at the points between.
"""

import numpy as np

POINTS = 11


def alphas(points=POINTS):
    """Where the line is looked at: `points` fractions from 0 to 1, both ends included."""
    return [round(float(alpha), 6) for alpha in np.linspace(0.0, 1.0, points)]


def interpolated(first, second, alpha):
    """(1 - alpha) first + alpha second, variable by variable.

    Args:
      first, second: states, dicts of float arrays.
      alpha: in [0, 1]; the ends are the states themselves, bit for bit.
    """
    if alpha in (0, 1):
        return dict(second if alpha else first)
    low, high = np.float32(1.0 - alpha), np.float32(alpha)
    return {name: low * array + high * second[name] for name, array in first.items()}


def barrier(errors):
    """How far the error rises on the way: the largest on the line minus the mean of its ends, in the errors' unit.

    Frankle et al. 2020 call networks stable where it is about 0 (below 0.02). Never negative.

    Args:
      errors: [points], from alpha 0 to alpha 1.
    """
    errors = np.asarray(errors, np.float64)
    return float(errors.max() - (errors[0] + errors[-1]) / 2.0)
