"""The masks that a round begins with: made anew from the round before, and kept beside it."""

import os
from collections.abc import Callable

import numpy as np

from tf_tickets import runs, storage
from tf_tickets.errors import StateError
from tf_tickets.pruning import masks as pruning_masks
from tf_tickets.pruning.given import Gradients, Plan
from tf_tickets.registry import CONTROLS


def begun(
    run: runs.RunFolder, round_index: int, plan: Plan, gradients_at: Callable[[dict, dict, str], Gradients]
) -> dict[str, np.ndarray]:
    """The masks of a round: dense, or those of the round before with weights removed by the run's control.

    Args:
      run: the folder.
      round_index: the round that will train with them.
      plan: of the run.
      gradients_at: function (state, masks, path of the round's movement.npz) -> what a criterion may ask for there.

    Returns:
      dict of boolean masks in network order.
    """
    if round_index == 0:
        return plan.dense_masks
    before = run.round(round_index - 1)
    masks = read(before.mask, plan)
    state = storage.read_arrays(before.weights)
    weights = pruning_masks.kernels(state, masks)
    control = CONTROLS[plan.config.pruning.control]
    return control.removed(plan, weights, masks, round_index, gradients=gradients_at(state, masks, before.movement))


def drawn(
    folder: runs.RoundFolder, plan: Plan, initial: dict[str, np.ndarray],
    gradients_at: Callable[[dict, dict, str], Gradients],
) -> dict[str, np.ndarray]:  # fmt: skip
    """The masks of a round 0 that is pruned before it is trained; those that are there are scored no second time.

    Args:
      folder: of the round.
      plan: of the run, whose control `starts_sparse`.
      initial: the network's state before any training.
      gradients_at: as of `begun`.

    Raises:
      StateError: mask.npz is damaged or holds another number of weights.
    """
    if os.path.exists(folder.mask):
        masks = read(folder.mask, plan)
        if (left := pruning_masks.count(masks)) != plan.weights[1]:
            raise StateError(
                f"{folder.mask} holds {left:,} weights, not the {plan.weights[1]:,} of its round; delete it to redo it"
            )
        return masks
    weights = pruning_masks.kernels(initial, plan.dense_masks)
    gradients = gradients_at(initial, plan.dense_masks, folder.movement)
    return CONTROLS[plan.config.pruning.control].drawn(plan, weights, gradients=gradients)


def read(path: str, plan: Plan) -> dict[str, np.ndarray]:
    """The masks of a mask.npz, in network order; StateError if they are not this network's."""
    arrays = storage.read_arrays(path)
    if set(arrays) != set(plan.prunable) or any(array.dtype != bool for array in arrays.values()):
        raise StateError(f"{path} holds no masks of this network; delete it to redo it")
    return {name: arrays[name] for name in plan.prunable}


def keep(folder: runs.RoundFolder, masks: dict[str, np.ndarray], plan: Plan) -> dict[str, np.ndarray]:
    """Writes the masks a round begins with, or checks that those on disk are the same.

    Args:
      folder: of the round.
      masks: made anew from what they follow from.
      plan: of the run.

    Returns:
      `masks`.

    Raises:
      StateError: mask.npz is damaged or holds others.
    """
    if not os.path.exists(folder.mask):
        storage.write_arrays(folder.mask, masks, compress=True)
    there = read(folder.mask, plan)
    if any(not np.array_equal(there[name], mask) for name, mask in masks.items()):
        raise StateError(f"{folder.mask} holds other masks than this round begins with; delete it to redo it")
    return masks
