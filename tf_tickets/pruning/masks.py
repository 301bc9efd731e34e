"""Masks as numpy arrays: ranking, exact counts, controls and density.

Masks and weights are dicts from layer name to an array in Keras layout, in the network's order. A mask is boolean,
True where the weight stays. Ties are broken by that order, then by flat index (the release leaves them to the sort).
"""

from __future__ import annotations

from tf_tickets import seeds
from tf_tickets.lazy_modules import np
from tf_tickets.pruning import densities


def removed_count(remaining: int, rate: float) -> int:
    """How many of `remaining` weights one pruning removes: rate x remaining, half to even (parity: prune_counts)."""
    return round(rate * remaining)


def remaining_counts(total: int, rate: float, rounds: int, floor: int = 0) -> list[int]:
    """Weights left in each of `rounds` rounds, round 0 dense; `floor` of them can never be removed."""
    counts = [total]
    for _ in range(rounds - 1):
        counts.append(counts[-1] - min(removed_count(counts[-1], rate), counts[-1] - floor))
    return counts


def dense(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Masks of ones."""
    return {name: np.ones(np.shape(array), bool) for name, array in weights.items()}


def count(masks: dict[str, np.ndarray]) -> int:
    """Weights left over all masks."""
    return sum(int(np.count_nonzero(mask)) for mask in masks.values())


def density(masks: dict[str, np.ndarray]) -> float:
    """The fraction of prunable weights kept, in [0, 1]."""
    return count(masks) / sum(mask.size for mask in masks.values())


def global_magnitude(
    weights: dict[str, np.ndarray], masks: dict[str, np.ndarray] | None = None, rate: float = 0.2,
    min_per_layer: int = 0, *, amount: int | None = None,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Removes the smallest remaining weights of all layers together (docs/science.md, IMP step 2).

    Args:
      weights: dict of float arrays; entries already removed are ignored.
      masks: dict of masks of the same shapes; None means dense.
      rate: share of the remaining weights to remove, in (0, 1).
      min_per_layer: weights of largest magnitude that every layer keeps.
      amount: how many to remove, in place of `rate`.

    Returns:
      New masks, each a subset of the old; exactly `removed_count` weights fewer, unless `min_per_layer` forbids.
    """
    scores = {name: np.abs(np.asarray(array)) for name, array in weights.items()}
    return remove_smallest(scores, masks, rate, min_per_layer, amount=amount)


def random_scores(weights: dict[str, np.ndarray], seed: int, round_index: int) -> dict[str, np.ndarray]:
    """Uniform draws in the weights' shapes, by seed, round and layer: the same on every machine."""
    return {
        name: seeds.uniform(seeds.fold("random_mask", seed, round_index, name), np.size(array)).reshape(np.shape(array))
        for name, array in weights.items()
    }


def random_removal(
    weights: dict[str, np.ndarray], masks: dict[str, np.ndarray], rate: float, min_per_layer: int = 0, *, seed: int,
    round_index: int,
) -> dict[str, np.ndarray]:  # fmt: skip
    """The `random` control: as many weights as `global_magnitude` would remove, drawn uniformly (nested)."""
    return remove_smallest(random_scores(weights, seed, round_index), masks, rate, min_per_layer)


def layer_magnitude(
    weights: dict[str, np.ndarray], masks: dict[str, np.ndarray] | None = None, rate: float = 0.2,
    min_per_layer: int = 0,
) -> dict[str, np.ndarray]:  # fmt: skip
    """`scope=layer`: the rule of `global_magnitude` inside each layer."""
    scores = {name: np.abs(np.asarray(array)) for name, array in weights.items()}
    return remove_smallest_by_layer(scores, masks, rate, min_per_layer)


def random_layerwise(masks: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """The `random_layerwise` control: each layer keeps as many weights, at positions drawn uniformly."""
    shuffled = {}
    for name, mask in masks.items():
        draws = seeds.uniform(seeds.fold("random_layerwise", seed, name), mask.size)
        kept = np.zeros(mask.size, bool)
        kept[_smallest(draws, np.arange(mask.size), int(np.count_nonzero(mask)))] = True
        shuffled[name] = kept.reshape(mask.shape)
    return shuffled


def remove_smallest(
    scores: dict[str, np.ndarray], masks: dict[str, np.ndarray] | None, rate: float = 0.2, min_per_layer: int = 0,
    *, amount: int | None = None,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Removes the remaining weights of smallest score, all layers ranked together.

    Args:
      scores: float arrays by layer name; entries already removed are ignored.
      masks, rate, min_per_layer, amount: as of `global_magnitude`.
    """
    if not 0.0 < rate < 1.0:
        raise ValueError(f"rate={rate} is not in (0, 1): 0.2 removes a fifth of the remaining weights")
    masks = dense(scores) if masks is None else masks
    _check_same_layers(scores, masks)
    for name, score in scores.items():
        if not np.isfinite(score[masks[name]]).all():
            raise ValueError(f"layer {name} holds weights that are not finite: nothing to rank")
    kept = np.concatenate([masks[name].ravel() for name in scores])
    flat = np.concatenate([scores[name].ravel() for name in scores])
    positions = np.flatnonzero(kept)
    if min_per_layer:
        positions = positions[~_protected(scores, masks, min_per_layer)[positions]]
    wanted = removed_count(int(np.count_nonzero(kept)), rate) if amount is None else amount
    amount = min(wanted, len(positions))
    kept[_smallest(flat, positions, amount)] = False
    remaining, start = {}, 0
    for name, score in scores.items():
        remaining[name] = kept[start : start + score.size].reshape(score.shape)
        start += score.size
    return remaining


def remove_smallest_by_layer(
    scores: dict[str, np.ndarray], masks: dict[str, np.ndarray] | None, rate: float = 0.2, min_per_layer: int = 0,
) -> dict[str, np.ndarray]:  # fmt: skip
    """As `remove_smallest`, inside each layer."""
    masks = dense(scores) if masks is None else masks
    _check_same_layers(scores, masks)
    kept = {}
    for name in scores:
        kept |= remove_smallest({name: scores[name]}, {name: masks[name]}, rate, min_per_layer)
    return kept


def remove_smallest_by_erk(
    scores: dict[str, np.ndarray], masks: dict[str, np.ndarray] | None, rate: float = 0.2, min_per_layer: int = 0,
    *, amount: int | None = None,
) -> dict[str, np.ndarray]:  # fmt: skip
    """As many as `remove_smallest` removes, ranked inside each layer, which keeps its Erdos-Renyi-kernel number."""
    masks = dense(scores) if masks is None else masks
    _check_same_layers(scores, masks)
    there = {name: int(np.count_nonzero(mask)) for name, mask in masks.items()}
    total = sum(there.values())
    wanted = total - (removed_count(total, rate) if amount is None else amount)
    shapes = {name: mask.shape for name, mask in masks.items()}
    left = densities.erdos_renyi_kernel(shapes, wanted, min_per_layer, at_most=there)
    kept = {}
    for name in scores:
        alone = {name: scores[name]}, {name: masks[name]}
        kept |= remove_smallest(*alone, amount=there[name] - left[name])
    return kept


# `--scope`: which weights are ranked together.
SCOPES = {"global": remove_smallest, "layer": remove_smallest_by_layer, "erk": remove_smallest_by_erk}


def _smallest(scores, positions, amount):
    """The `amount` positions of smallest score, the earlier position first among equals."""
    if amount <= 0:
        return positions[:0]
    values = scores[positions]
    threshold = np.partition(values, amount - 1)[amount - 1]
    below, equal = positions[values < threshold], positions[values == threshold]
    return np.concatenate([below, equal[: amount - len(below)]])


def _protected(scores, masks, least):
    """Flat booleans over all layers: the `least` remaining weights of largest score in each."""
    parts = []
    for name, score in scores.items():
        protected = np.zeros(score.size, bool)
        inside = np.flatnonzero(masks[name].ravel())
        removable = max(len(inside) - least, 0)
        keep = np.ones(score.size, bool)
        keep[_smallest(score.ravel(), inside, removable)] = False
        protected[inside] = keep[inside]
        parts.append(protected)
    return np.concatenate(parts)


def _check_same_layers(scores, masks):
    if list(scores) != list(masks):
        odd = sorted(set(scores) ^ set(masks)) or ["their order"]
        raise ValueError(f"weights and masks name different layers: {', '.join(odd)}")
    for name, score in scores.items():
        if score.shape != masks[name].shape or masks[name].dtype != bool:
            raise ValueError(
                f"mask of {name} is {masks[name].dtype}{list(masks[name].shape)}, not bool{list(score.shape)}"
            )


def kernels(arrays: dict[str, np.ndarray], masks: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The prunable kernels of a state, by layer name, in mask order."""
    return {name: arrays[f"{name}/kernel"] for name in masks}


def masked_state(arrays: dict[str, np.ndarray], masks: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A state whose removed weights are exactly zero."""
    masked = dict(arrays)
    for name, mask in masks.items():
        masked[f"{name}/kernel"] = np.where(mask, arrays[f"{name}/kernel"], np.float32(0.0))
    return masked


def density_rows(masks: dict[str, np.ndarray]) -> list[dict]:
    """One row per layer: layer, shape, kept, total, density."""
    return [
        {
            "layer": name, "shape": "x".join(map(str, mask.shape)), "kept": int(np.count_nonzero(mask)),
            "total": mask.size, "density": float(np.count_nonzero(mask) / mask.size),
        }
        for name, mask in masks.items()
    ]  # fmt: skip


def empty_layers(masks: dict[str, np.ndarray]) -> list[str]:
    """The layers left without a weight."""
    return [name for name, mask in masks.items() if not mask.any()]
