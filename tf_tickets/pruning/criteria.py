"""Criteria: scores by which weights are ranked; those of smallest score are removed.

A criterion is a function of the weights and the masks, and of the gradient of the loss by the weights where it has a
parameter `gradients`. All are dicts of arrays by layer name, in the order of the network.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

from tf_tickets.errors import UsageError
from tf_tickets.lazy_modules import np
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


def wants_gradients(name: str) -> bool:
    """Whether a criterion has a parameter `gradients`."""
    return "gradients" in inspect.signature(CRITERIA[name]).parameters


def scores(
    name: str, weights: dict[str, np.ndarray], masks: dict[str, np.ndarray],
    gradients: Callable[[], dict[str, np.ndarray]],
) -> dict[str, np.ndarray]:  # fmt: skip
    """The scores of a criterion, of the shapes of the weights.

    Args:
      name: of the criterion.
      weights, masks: as the criterion takes them.
      gradients: function -> the gradient of the mean training loss by `weights`, called where the criterion wants it.

    Raises:
      UsageError: the criterion does not give one finite number for each weight that is left.
    """
    given = {"gradients": gradients()} if wants_gradients(name) else {}
    scored = CRITERIA[name](weights, masks, **given)
    if not isinstance(scored, dict):
        raise UsageError(
            f"--criterion={name} gives a {type(scored).__name__}: a criterion gives a dict, layer by layer"
        )
    for layer, array in weights.items():
        score = np.asarray(scored[layer]) if layer in scored else None
        if score is None or score.shape != array.shape or not np.isfinite(score[masks[layer]]).all():
            what = "has no score for" if score is None else f"has scores of shape {score.shape} for"
            what = what if score is None or score.shape != array.shape else "has scores that are not finite for"
            raise UsageError(
                f"--criterion={name} {what} the weights of {layer}, {array.shape}: a criterion gives one finite number "
                "for each weight"
            )
    return scored
