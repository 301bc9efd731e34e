"""Dynamic sparse training: as many weights throughout, some of which are dropped and grown elsewhere as it goes on.

Evci et al. 2020, Rigging the Lottery: Making All Tickets Winners; Mocanu et al. 2018, Scalable training of artificial
neural networks with adaptive sparse connectivity inspired by network science.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from tf_tickets import seeds
from tf_tickets.errors import UsageError
from tf_tickets.lazy_modules import np
from tf_tickets.pruning import densities
from tf_tickets.pruning import masks as pruning_masks
from tf_tickets.pruning.control import TRAIN, Control
from tf_tickets.pruning.given import Plan, Ticket
from tf_tickets.settings.config import Config
from tf_tickets.settings.groups import Pruning

# Steps from one update to the next, and the share of a training in which there are any (Evci et al. 2020, section 4).
_EVERY, _UNTIL = 100, 0.75
# In a short training updates come more often: so many fit into that share.
_AT_LEAST = 10


class DynamicControl(Control):
    """One training at the density of the search's last round, whose mask changes every so many steps.

    It begins with a mask drawn within each layer, of as many weights as `densities.erdos_renyi_kernel` leaves it; these
    numbers stay. A subclass says in `growth` which weights are grown.

    Attributes:
      grows_by_gradient: whether `growth` is told the gradient by all weights. An update then takes the place of a
        training step: its batch moves no weight.
    """

    place, one_density, dynamic, grows_by_gradient = TRAIN, True, True, False

    def growth(
        self, config: Config, shapes: Mapping[str, Sequence[int]], step: int, gradients: dict[str, np.ndarray] | None
    ) -> dict[str, np.ndarray]:
        """By layer, what the weights of largest value are grown by among those that are off.

        Args:
          config: of the run.
          shapes: of the kernels, by layer name, in the network's order.
          step: training steps done.
          gradients: where `grows_by_gradient`, the gradient of the batch's loss by all weights, those off included.

        Returns:
          Float arrays of the kernels' shapes; what is infinite or no number counts as the largest.
        """
        raise NotImplementedError

    def conflicts(self, config: Config) -> list[tuple[bool, str]]:
        """It needs a last round, has its own densities and scores, and does not rewind."""
        name, pruning = config.pruning.control, config.pruning
        return [
            (pruning.rounds < 2,
             f"--control={name} trains at the density of the last of --rounds: {pruning.rounds} has none"),
            (pruning.scope != Pruning.scope,
             f"--control={name} has numbers of weights by layer of its own: --scope={pruning.scope} conflicts"),
            (pruning.criterion != Pruning.criterion,
             f"--control={name} drops by magnitude: --criterion={pruning.criterion} conflicts"),
            (config.run.accounting == "release",
             f"--control={name} does not rewind: --accounting=release conflicts"),
        ]  # fmt: skip

    def weights(self, counts: Sequence[int]) -> Sequence[int]:
        """All that there are, and those of the last round."""
        return [counts[0], counts[-1]]

    def content(self, config: Config) -> list[tuple[str, object]]:
        """The density that it trains at."""
        return [("final_round", config.pruning.rounds - 1)]

    def planned(
        self, plan: Plan, ticket: Ticket | None, resolve: Callable[[Config, bool], Plan]
    ) -> tuple[Plan, Ticket | None]:
        """Plan and ticket as they are; UsageError where the training ends before its mask ever changes."""
        if not updates(plan):
            pruning = plan.config.pruning
            every = "" if pruning.update_every is None else f" and --update_every={pruning.update_every}"
            raise UsageError(
                f"--control={pruning.control}: of {plan.last_step} steps{every} the mask would never change: give more "
                "--epochs or a smaller --update_every"
            )
        return plan, ticket

    def details(self, plan: Plan) -> list[str]:
        """How often the mask changes."""
        steps, share = updates(plan), plan.config.pruning.update_fraction
        return [
            f"updates     {len(steps):,}, every {steps.step} steps until step {steps[-1]:,}: {100 * share:g} % of each "
            "layer's weights at first, falling to none"
        ]


def updates(plan: Plan) -> range:
    """The steps after which the mask changes, of a training by `DynamicControl`: multiples of `--update_every`.

    The first comes once as many steps are done and the backbone is trained too (`--head_epochs`), the last before three
    quarters of the training. Unset, updates are 100 steps apart, or a tenth of these three quarters where that is less.
    """
    end, head = _end(plan), plan.training.head_epochs * plan.steps_per_epoch
    every = plan.config.pruning.update_every or max(min(_EVERY, end // _AT_LEAST), 2)
    return range(max(every, -(-head // every) * every), end, every)


def fraction(plan: Plan, step: int) -> float:
    """The share of a layer's weights that an update after `step` steps drops: f(t) = a / 2 (1 + cos(t pi / T_end))."""
    return plan.config.pruning.update_fraction / 2 * (1 + math.cos(step * math.pi / _end(plan)))


def _end(plan):
    return int(_UNTIL * plan.last_step)


def first_masks(plan: Plan) -> dict[str, np.ndarray]:
    """The masks that a training begins with: positions drawn within each layer by the run's seed."""
    shapes = {name: mask.shape for name, mask in plan.dense_masks.items()}
    left = densities.erdos_renyi_kernel(shapes, plan.weights[-1], plan.config.pruning.min_per_layer)
    draws, masks = pruning_masks.random_scores(plan.dense_masks, plan.config.run.seed, 0), {}
    for name, mask in plan.dense_masks.items():
        masks |= pruning_masks.remove_smallest(
            {name: draws[name]}, {name: mask}, amount=mask.size - left[name], min_per_layer=0
        )
    return masks


def updated(
    masks: dict[str, np.ndarray], weights: dict[str, np.ndarray], growth: dict[str, np.ndarray], share: float
) -> dict[str, np.ndarray]:
    """Each layer without the share of its weights of smallest magnitude, and with as many others.

    Grown are those of largest `growth` among all that are then off, those just dropped included, as in the paper's
    algorithm 1: a weight that is dropped and grown at once stays as it is. Of equals the earlier position comes first.

    Args:
      masks, weights: by layer name.
      growth: floats by layer name; what is infinite or no number counts as the largest.
      share: in [0, 1]; of a layer's weights that many are dropped, rounded down.

    Returns:
      Masks of as many weights in each layer.
    """
    changed = {}
    for name, mask in masks.items():
        amount = int(share * np.count_nonzero(mask))
        # Where a loss scale overflows, gradients are infinite or no numbers.
        wanted = np.nan_to_num(growth[name], nan=np.finfo(growth[name].dtype).max)
        kept = pruning_masks.remove_smallest({name: np.abs(weights[name])}, {name: mask}, amount=amount)[name]
        # Removed of what is off are those of smallest negative value: of largest `growth`.
        off = pruning_masks.remove_smallest({name: -wanted}, {name: ~kept}, amount=amount)[name]
        changed[name] = ~off
    return changed


def drawn(
    shapes: Mapping[str, Sequence[int]], seed: int, step: int
) -> dict[str, np.ndarray]:  # fmt: skip
    """Uniform draws in [0, 1) of some shapes, by seed, step and layer: the same on every machine, resumed or not."""
    return {
        name: seeds.uniform(seeds.fold("grown", seed, step, name), math.prod(shape)).reshape(shape)
        for name, shape in shapes.items()
    }
