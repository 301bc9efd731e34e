"""How many weights each layer keeps, where a rule says it by the layers' shapes."""

from __future__ import annotations

import fractions
import math
from collections.abc import Mapping, Sequence


def erdos_renyi_kernel(
    shapes: Mapping[str, Sequence[int]], total: int, min_per_layer: int = 0,
    *, at_most: Mapping[str, int] | None = None,
) -> dict[str, int]:  # fmt: skip
    """Weights left by layer: as many in proportion as the sum of the layer's shape, altogether `total`.

    Evci et al. 2020, Rigging the Lottery, section 3.1: the density of a layer l of a kernel w x h, n_in inputs and
    n_out outputs is in proportion to (n_in + n_out + w + h) / (n_in n_out w h); of a dense layer, where w and h are
    left out, this is the Erdos-Renyi graph of Mocanu et al. 2018. So the number left is e x (the sum of the shape). A
    layer that would exceed density 1 is dense, and e grows until the sum is `total`.

    Numbers are whole by largest remainders, of equal ones the earlier layer's; e is an exact fraction, so that they are
    the same on every machine.

    Args:
      shapes: by layer name, in the network's order and Keras layout: (height, width, in, out), (height, width,
        channels, 1) of a depthwise convolution, (in, out) of a dense layer.
      total: weights left over all layers; more than `at_most` allows raises a ValueError.
      min_per_layer: weights that every layer keeps at least, or all that it has; where that is more than `total` in
        sum, each keeps just that, as when weights are ranked.
      at_most: weights that each layer can keep, such as those that a mask has left; None: all.

    Returns:
      Weights left by layer name, in the order of `shapes`.
    """
    most = {name: math.prod(shape) for name, shape in shapes.items()} if at_most is None else at_most
    least = {name: min(min_per_layer, most[name]) for name in shapes}
    if not 0 <= total <= sum(most.values()):
        raise ValueError(f"total={total} is not between 0 and {sum(most.values())}, the weights that there are")
    total = max(total, sum(least.values()))
    sums = {name: sum(shape) for name, shape in shapes.items()}

    def shares(factor):
        return {name: min(max(factor * sums[name], least[name]), most[name]) for name in sums}

    # The sum of the shares is piecewise linear in the factor, and rises: between two neighbouring corners it is solved.
    corners = sorted({fractions.Fraction(limits[name], sums[name]) for limits in (least, most) for name in sums})
    upper = next(corner for corner in corners if sum(shares(corner).values()) >= total)
    lower = max((corner for corner in corners if corner < upper), default=upper)
    below, above = (sum(shares(corner).values()) for corner in (lower, upper))
    step = (total - below) / fractions.Fraction(above - below) if above > below else 0
    exact = shares(lower + step * (upper - lower))
    left = {name: math.floor(share) for name, share in exact.items()}
    by_remainder = sorted(exact, key=lambda name: left[name] - exact[name])  # stable: the earlier layer first
    for name in by_remainder[: total - sum(left.values())]:
        left[name] += 1
    return left
