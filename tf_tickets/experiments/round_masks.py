"""The masks of a round: what it begins with, and when it has settled what the next one begins with."""

import os

import numpy as np

from tf_tickets import messages, storage
from tf_tickets.errors import StateError
from tf_tickets.experiments.notices import say
from tf_tickets.pruning import masks as pruning_masks
from tf_tickets.pruning import wrapping
from tf_tickets.pruning.settling import Settling


def next_masks(folder, round_index, plan):
    """The masks of a round: dense, or the previous round's with the smallest weights removed (SCIENCE, IMP step 2).

    Args:
      folder: the runs.RunFolder.
      round_index: the round that will train with them.
      plan: an experiments.plan.Plan.

    Returns:
      dict of boolean masks in network order.
    """
    if round_index == 0:
        shapes = {kernel.name: kernel.shape for kernel in plan.kernels}
        return {name: np.ones(shape, bool) for name, shape in shapes.items()}
    before = folder.round(round_index - 1)
    masks = read_masks(before.mask, plan)
    weights = wrapping.kernels(storage.read_arrays(before.weights), masks)
    found = removed(weights, masks, plan, round_index)
    name_empty_layers(found, round_index)
    return found


def name_empty_layers(masks, round_index):
    """Says which layers are left without a weight (SCIENCE, IMP step 2)."""
    for name in pruning_masks.empty_layers(masks):
        say(f"WARNING: round {round_index} leaves layer {name} without a weight; --min_per_layer=1 keeps one")


def removed(weights, masks, plan, round_index):
    """The masks of round `round_index` from the weights and masks of the one before, by the run's control and scope."""
    pruning = plan.config.pruning
    if pruning.control == "random":
        return pruning_masks.random_removal(
            weights, masks, pruning.rate, pruning.min_per_layer, seed=plan.config.run.seed, round_index=round_index
        )
    if pruning.control == "one_shot":
        return pruning_masks.global_magnitude(
            weights, masks, min_per_layer=pruning.min_per_layer, amount=plan.weights[0] - plan.weights[1]
        )
    remove = pruning_masks.layer_magnitude if pruning.scope == "layer" else pruning_masks.global_magnitude
    return remove(weights, masks, pruning.rate, pruning.min_per_layer)


def read_masks(path, plan):
    """The masks of a mask.npz, in network order; StateError if they are not this network's."""
    arrays = storage.read_arrays(path)
    if set(arrays) != set(plan.prunable) or any(array.dtype != bool for array in arrays.values()):
        raise StateError(f"{path} holds no masks of this network; delete it to redo it")
    return {name: arrays[name] for name in plan.prunable}


def keep_masks(mine, masks, plan):
    """Writes the masks a round begins with, or checks that those on disk are the same.

    Args:
      mine: the runs.RoundFolder.
      masks: dict of boolean masks, made anew from what they follow from.
      plan: an experiments.plan.Plan.

    Returns:
      `masks`.

    Raises:
      StateError: mask.npz is damaged or holds others.
    """
    if not os.path.exists(mine.mask):
        storage.write_arrays(mine.mask, masks, compress=True)
    found = read_masks(mine.mask, plan)
    if any(not np.array_equal(found[name], mask) for name, mask in masks.items()):
        raise StateError(f"{mine.mask} holds other masks than this round begins with; delete it to redo it")
    return masks


def begun(folder, index, plan, team):
    """The masks that round `index` begins with, made and kept by the chief and the same for all of a team.Team."""
    return team.arrays_from_chief(
        lambda: keep_masks(folder.round(index), next_masks(folder, index, plan), plan), lambda: specs(plan)
    )


def specs(plan):
    """{name: messages.ArraySpec} of a network's masks, in its order."""
    return {kernel.name: messages.ArraySpec(tuple(kernel.shape), np.dtype(bool)) for kernel in plan.kernels}


def settling_of(session, round_index, masks):
    """The pruning.settling.Settling that may end a searched round, or None."""
    plan, pruning = session.plan, session.plan.config.pruning
    if pruning.mask_distance is None or not plan.is_searched(round_index):
        return None

    def would_be():
        kernels = wrapping.kernel_variables(session.steps.model)
        weights = {name: kernels[name].numpy() for name in masks}
        return removed(weights, masks, plan, round_index + 1)

    return Settling(would_be, pruning.mask_distance, pruning.mask_patience)
