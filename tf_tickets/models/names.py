"""Names of a state's arrays: `layer1.0.bn1/gamma`, and `layer1.0.bn1.auxiliary/gamma` beside it. No TensorFlow."""

from collections.abc import Iterable

import numpy as np

AUXILIARY = ".auxiliary"


def with_auxiliary(arrays: dict[str, np.ndarray], names: Iterable[str]) -> dict[str, np.ndarray]:
    """A state in which auxiliary variables that are missing have the values of the network's own.

    Args:
      arrays: dict of a state.
      names: those of the state that is wanted.
    """
    mark = f"{AUXILIARY}/"
    missing = [name for name in names if mark in name and name not in arrays]
    return arrays | {name: np.asarray(arrays[name.replace(mark, "/")]) for name in missing}


def without_auxiliary(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The state of the network alone, as it is evaluated and exported."""
    return {name: array for name, array in arrays.items() if f"{AUXILIARY}/" not in name}
