"""What a round leaves: weights, rows of its epochs, its evaluations, its summary."""

import time

import numpy as np

from tf_tickets import runs, storage
from tf_tickets.backend import keras
from tf_tickets.experiments.plan import Plan
from tf_tickets.experiments.round import Round
from tf_tickets.models import costs, state
from tf_tickets.notices import say
from tf_tickets.pruning import masks as pruning_masks
from tf_tickets.pruning import wrapping
from tf_tickets.runtime import files
from tf_tickets.workers.team import Alone

EPOCH_COLUMNS = (
    "epoch", "learning_rate", "train_loss", "train_accuracy", "test_accuracy", "test_balanced_accuracy", "test_loss",
    "validation_accuracy", "mask_distance",
)  # fmt: skip


def write(
    run: runs.RunFolder, training_round: Round, rows: list[dict], timed: dict,
    *, plan: Plan, model: keras.Model, team: Alone, images: dict[str, int], facts: dict | None = None,
) -> None:  # fmt: skip
    """Writes the files of a trained round, the summary last, once all workers have ended it with the same bits.

    Args:
      run: the folder of the run.
      rows: of its epochs.
      timed: of `timing`.
      plan: of the run.
      model: the wrapped network, which holds the weights.
      team: that shares the run.
      images: of the parts that are evaluated, by part.
      facts: what the summary says beside its numbers.

    Raises:
      StateError: a worker has other masks or weights than the chief; names it.
    """
    changes = training_round.mask_changes
    masks = changes.masks if changes else training_round.masks
    weights = pruning_masks.masked_state(state.get_state(model), masks)
    _check_same(team, model, weights, masks)
    if not team.chief:
        return
    folder = training_round.folder
    if changes:
        name_empty_layers(masks, training_round.index)
        storage.write_arrays(folder.mask, masks, compress=True)
    storage.write_csv(folder.density, pruning_masks.density_rows(masks), ("layer", "shape", "kept", "total", "density"))
    storage.write_arrays(folder.weights, weights)
    columns = (*EPOCH_COLUMNS, *(changes.columns if changes else ()))
    storage.write_csv(folder.epochs, [{name: row.get(name) for name in columns} for row in rows], columns)
    density = pruning_masks.density(masks)
    evaluations = [
        {"run": run.name, "round": folder.index, "density": density, "evaluator": "clean", "setting": part,
         "metric": metric, "value": rows[-1][f"{part}_{metric}"], "n": count}
        for part, count in images.items()
        for metric in ("accuracy", "balanced_accuracy", "loss")
        if f"{part}_{metric}" in rows[-1]
    ]  # fmt: skip
    storage.write_csv(folder.evaluations, evaluations, runs.EVALUATION_COLUMNS)
    storage.write_json(folder.timing, timed)
    cost = {"training_multiply_adds": _multiply_adds(plan, training_round, model, masks, rows)}
    folder.complete_with(summary_of(plan, training_round, masks, rows) | cost | (facts or {}), run.name)


def _multiply_adds(plan, training_round, model, masks, rows):
    """Multiply-adds of the round's training: of an image three times those that its prediction takes.

    Once for its logits, once for the gradient by what layers see, once for that by the weights; logits alone where the
    head alone is trained. Not counted are attacks, a teacher's answers and evaluations. None where the masks of some
    epochs are not known: a run that an earlier version began.
    """
    left, dense = costs.of_network(model, plan.network.kernels(), masks)
    changes, head_epochs, total = training_round.mask_changes, training_round.training.head_epochs, 0
    for row in rows:
        of_image = row.get("multiply_adds") if changes and not changes.constant else left
        if of_image is None:
            return None
        if row["epoch"] > 0:  # a head that was fitted has a row of epoch 0
            total += of_image * plan.train_images * (1 if row["epoch"] <= head_epochs else 3)
    # Where weights are grown by gradient, that by those that are off is computed too.
    return total + (dense - left) * plan.config.data.batch_size * (changes.dense_steps if changes else 0)


def name_empty_layers(masks: dict[str, np.ndarray], round_index: int) -> None:
    """Says which layers a round is left without a weight in (docs/science.md, IMP step 2)."""
    for name in pruning_masks.empty_layers(masks):
        say(f"WARNING: round {round_index} leaves layer {name} without a weight; --min_per_layer=1 keeps one")


def _check_same(team, model, weights, masks):
    """StateError where a worker ends a round with other masks or weights than the chief; it names the worker."""
    if team.size == 1:
        return
    fix = "than the chief; nothing of this round is kept: check its memory, then run again"
    digests = [files.digest_of(each) for each in (masks, wrapping.read_masks(model), weights)]
    for what, digest in zip(("masks", "masks in the network", "weights"), digests):
        team.check_same(digest, f"ends the round with other {what} {fix}")


def timing(plan: Plan, began: float, seconds: float, steps: int) -> dict:
    """The contents of timing.json: when this process began (seconds since 1970), how fast it trained so many steps."""
    images = steps / plan.steps_per_epoch * plan.train_images
    return {
        "began": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(began)), "seconds": seconds,
        "images_per_second": images / seconds if seconds > 0 and images else 0.0,
    }  # fmt: skip


def summary_of(plan: Plan, training_round: Round, masks: dict[str, np.ndarray], rows: list[dict]) -> dict:
    """The contents of summary.json; the best epoch on test is filled only when every epoch was evaluated."""
    last = rows[-1]
    evaluated = [row["test_accuracy"] for row in rows if row.get("test_accuracy") is not None]
    # A round that was begun otherwise and went on with eval_every=1 has no best of all its epochs.
    every = plan.config.run.eval_every == 1 and 0 < len(rows) == len(evaluated)
    return {
        "round": training_round.index,
        "density": pruning_masks.density(masks),
        "weights_left": pruning_masks.count(masks),
        "weights_total": sum(mask.size for mask in masks.values()),
        "epochs": sum(row["epoch"] > 0 for row in rows),  # a head that was fitted has a row of epoch 0
        "searched": training_round.searched,
        "train_loss": last["train_loss"],
        "test_accuracy": last.get("test_accuracy"),
        "test_balanced_accuracy": last.get("test_balanced_accuracy"),
        "test_loss": last.get("test_loss"),
        "test_accuracy_best_epoch": max(evaluated) if every else None,
        "epochs_evaluated": len(evaluated),
        "validation_accuracy": last.get("validation_accuracy"),
        "validation_balanced_accuracy": last.get("validation_balanced_accuracy"),
    }
