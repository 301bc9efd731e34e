"""Criteria: scores by which weights are ranked; those of smallest score are removed.

A criterion is a function of the weights and the masks, and of what it has further parameters for: those of `GIVEN`. All
are dicts of arrays by layer name, in the order of the network. It scores weights that a round has trained, unless
`at_initialisation` says that it scores them as they are drawn.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable

from tf_tickets.errors import UsageError
from tf_tickets.lazy_modules import np
from tf_tickets.pruning.given import Gradients
from tf_tickets.registry import CRITERIA
from tf_tickets.settings.config import Config

Arrays = dict[str, "np.ndarray"]

# What a criterion may have parameters for beside weights and masks, and how it is asked for.
GIVEN: dict[str, Callable[[typing.Any], Arrays]] = {
    "gradients": lambda network: network(),
    "batch_gradients": lambda network: network.of_batch(),
    "hessian_gradients": lambda network: network.hessian_products(),
    "synaptic_flow": lambda network: network.synaptic_flow(),
    "movement": lambda network: network.movement(),
}


def at_initialisation(iterations: int = 1) -> Callable[[Callable], Callable]:
    """A decorator of a criterion that scores the weights as they are drawn, before any is trained.

    Args:
      iterations: of scoring and removing: after iteration k of n there are all x (left / all)^(k / n) weights.
    """
    if callable(iterations):  # without brackets
        return at_initialisation()(iterations)
    if iterations < 1:
        raise ValueError(f"at_initialisation(iterations={iterations}): at least one is needed")

    def declare(criterion):
        criterion.iterations_at_initialisation = iterations
        return criterion

    return declare


def iterations_at_initialisation(name: str) -> int:
    """In how many iterations a criterion scores the weights as they are drawn; 0: it scores trained ones."""
    return getattr(CRITERIA[name], "iterations_at_initialisation", 0)


@CRITERIA.register("magnitude")
def magnitude(weights: Arrays, masks: Arrays) -> Arrays:
    """The absolute value of each weight (Han et al. 2015; docs/science.md, IMP step 2).

    Args:
      weights: arrays by layer name, in the network's order.
      masks: booleans of the same shapes, True where the weight is left; scores elsewhere do not count.

    Returns:
      Arrays of the same shapes.
    """
    return {name: np.abs(np.asarray(array)) for name, array in weights.items()}


@CRITERIA.register("lamp")
def lamp(weights: Arrays, masks: Arrays) -> Arrays:
    """w^2 over the sum of squares of the layer's weights that are not smaller (Lee et al. 2021, equation 1).

    Layers of different scales become comparable. The largest weight of each layer has the score 1, so no layer is
    emptied before the others are.
    """
    scored = {}
    for name, array in weights.items():
        squares = np.where(masks[name], np.asarray(array, np.float64), 0.0).ravel() ** 2
        order = np.argsort(-squares, kind="stable")
        sums = np.cumsum(squares[order])
        scored[name] = np.zeros(squares.size)
        scored[name][order] = np.divide(squares[order], sums, out=np.zeros(squares.size), where=sums > 0)
        scored[name] = scored[name].reshape(array.shape)
    return scored


@CRITERIA.register("taylor")
def taylor(weights: Arrays, masks: Arrays, gradients: Arrays) -> Arrays:
    """|w dL/dw|, to first order the change of the training loss that removing the weight makes.

    Molchanov et al. 2017, section 2.2; by weights and squared, which ranks the same, Molchanov et al. 2019, equation 8.
    """
    return {name: np.abs(array * gradients[name]) for name, array in weights.items()}


@CRITERIA.register("movement")
def movement(weights: Arrays, masks: Arrays, movement: Arrays) -> Arrays:
    """S = -sum over steps t of w(t) dL/dw(t): large where training moves a weight away from zero.

    Sanh et al. 2020, equation 2, without its constant factor, the learning rate of the scores. The sum is over the
    steps of the round, from its start on; the mask changes after it, not with each step as there.
    """
    return movement


@CRITERIA.register("random")
@at_initialisation()
def random(weights: Arrays, masks: Arrays, draws: Arrays) -> Arrays:
    """Uniform draws by the run's seed: with `--scope=erk` the random networks of Evci et al. 2020, section 3.1."""
    return draws


@CRITERIA.register("snip")
@at_initialisation()
def snip(weights: Arrays, masks: Arrays, batch_gradients: Arrays) -> Arrays:
    """Connection sensitivity, |dL/dc| at c = 1 of the network with weights c w, which is |w dL/dw| (Lee et al. 2019).

    Equations 5 and 6, of which the second divides all by one sum and ranks the same. L is of one batch.
    """
    return {name: np.abs(array * batch_gradients[name]) for name, array in weights.items()}


@CRITERIA.register("grasp")
@at_initialisation()
def grasp(weights: Arrays, masks: Arrays, hessian_gradients: Arrays) -> Arrays:
    """Minus S(-w) = -w * (H g), half the first-order change of g'g that removing a weight makes (Wang et al. 2020).

    Equation 8 and algorithm 1, which removes the weights of largest S(-w): without them the gradient flow g'g falls
    least, or rises. g and H are of one batch's loss by the prunable weights, its logits divided by 200.
    """
    return {name: array * hessian_gradients[name] for name, array in weights.items()}


@CRITERIA.register("synflow")
@at_initialisation(iterations=100)
def synflow(weights: Arrays, masks: Arrays, synaptic_flow: Arrays) -> Arrays:
    """Synaptic flow, |w| dR/d|w| of R = 1' (product over layers of |W|) 1 (Tanaka et al. 2020).

    Equation 2 and algorithm 1, with its 100 iterations. R is the network's answer to an input of ones where all weights
    have their absolute values, so that no data is needed.

    Raises:
      UsageError: nothing flows, or against the weights: the network is no chain of sums and rectified units.
    """
    scored = {name: np.abs(array) * synaptic_flow[name] for name, array in weights.items()}
    flows = any(array.any() for array in scored.values())
    if not flows and not all(mask.all() for mask in masks.values()):
        raise UsageError(
            "--criterion=synflow: with so few weights nothing flows through the network any more: leave more, by fewer "
            "--rounds or a smaller --rate"
        )
    if not flows or any((array < 0).any() for array in scored.values()):
        raise UsageError(
            "--criterion=synflow is for networks of rectified units, whose output rises with every absolute weight; "
            "with this --model choose another, such as --criterion=snip"
        )
    return scored


def wants_gradients(name: str) -> bool:
    """Whether a criterion has a parameter for what is computed with the network: `gradients` and the like."""
    return not GIVEN.keys().isdisjoint(inspect.signature(CRITERIA[name]).parameters)


def wants(name: str, what: str) -> bool:
    """Whether a criterion has a parameter of a name."""
    return what in inspect.signature(CRITERIA[name]).parameters


def scores(
    name: str, weights: Arrays, masks: Arrays, gradients: Gradients, *, draws: Callable[[], Arrays] = dict
) -> Arrays:  # fmt: skip
    """The scores of a criterion, of the shapes of the weights.

    Args:
      name: of the criterion.
      weights, masks: as the criterion takes them.
      gradients: what is asked for `GIVEN`, as the criterion wants it.
      draws: function -> uniform draws in the shapes of the weights, called where the criterion wants them.

    Raises:
      UsageError: the criterion does not give one finite number for each weight that is left.
    """
    given = {parameter: ask(gradients) for parameter, ask in GIVEN.items() if wants(name, parameter)}
    if wants(name, "draws"):
        given["draws"] = draws()
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


def check(config: Config, starts_sparse: bool) -> None:
    """Raises UsageError where the settings of a run exclude its criterion.

    Args:
      config: the settings.
      starts_sparse: whether round 0 is pruned before it is trained.
    """
    name = config.pruning.criterion
    if config.run.strategy == "multi_worker" and wants_gradients(name):
        raise UsageError(
            f"--criterion={name} wants gradients, which one machine computes: --strategy=multi_worker conflicts"
        )
    if iterations_at_initialisation(name) and not starts_sparse:
        raise UsageError(
            f"--criterion={name} scores the weights as they are drawn, before any training: it belongs to train "
            "--control=one_shot"
        )
    if iterations_at_initialisation(name) and wants(name, "movement"):
        raise UsageError(
            f"--criterion={name} scores weights as they are drawn and has a parameter movement, which is of training: "
            "take one of the two away"
        )
    if config.pruning.search_epochs == 0 and wants(name, "movement"):
        raise UsageError(
            f"--criterion={name} sums over the steps of a round, and --search_epochs=0 leaves rounds without any: give "
            "epochs, or another criterion"
        )
    if config.run.precision == "mixed_float16" and wants(name, "movement"):
        raise UsageError(
            f"--criterion={name} sums the gradients of all steps, of which mixed_float16 leaves some out: use "
            "--precision=mixed_bfloat16"
        )
