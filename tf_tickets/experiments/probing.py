"""The round of a control that fits: a logistic regression on frozen features becomes the head of its network."""

import time
from collections.abc import Callable

import numpy as np

from tf_tickets import runs, storage
from tf_tickets.analysis import linear_probe
from tf_tickets.backend import Devices, tf
from tf_tickets.data import subsets
from tf_tickets.errors import UsageError
from tf_tickets.evaluation import accuracy
from tf_tickets.experiments import artefacts, opening, searching
from tf_tickets.experiments.features import Features
from tf_tickets.experiments.folds import penalty_folds
from tf_tickets.experiments.plan import Plan
from tf_tickets.experiments.session import Session
from tf_tickets.export.ticket import Ticket
from tf_tickets.models import inference
from tf_tickets.notices import say
from tf_tickets.pruning import round_masks, wrapping
from tf_tickets.registry import NETWORKS

PENALTY_COLUMNS = ("inverse_penalty", "held_out_accuracy", "chosen")


def fit_round(plan: Plan, folder: runs.RunFolder, ticket: Ticket | None, *, stop: Callable[[], bool]) -> Devices:
    """Fits the head of the one round of a run, and writes what a round leaves (docs/science.md, The linear probe).

    Args:
      plan: of the run.
      folder: of the run.
      ticket: whose network is probed, its weights as trained under `rewound`; None: the network as the session has it.
      stop: asked between batches.

    Returns:
      The devices of the process.

    Raises:
      UsageError: the training images are of one class, or their features are no finite numbers.
      StopRequested: `stop()` said so; features that are computed are kept.
    """
    began, run_from = time.time(), time.monotonic()
    opening.heed(stop)
    session = Session(plan)
    masks = ticket.masks if ticket else plan.dense_masks
    start = searching.rewound(session.initial, ticket) if ticket else session.initial
    wrapping.write_state(session.steps.model, start, masks)
    if len(np.unique(session.train.labels)) < 2:
        raise UsageError(f"--control={plan.config.pruning.control} needs training images of at least two classes")
    network = plan.config.network
    if not ticket and not network.pretrained and not NETWORKS[network.model].trained:
        say(
            "the features are of an untrained network with random weights: --pretrained=FILE or --ticket=DIR gives a "
            "trained one"
        )
    features = Features(session, stop)
    seen = {"training": _finite(features, session.train, "training", plan)}  # what nobody can fit leaves no folder
    opening.open_folder(folder, session, "train")
    session.began(folder)
    folder.note_attempt(0)
    probe, accuracies, parts = _fitted(session, seen["training"])
    _tell(probe, parts)
    kernel, bias = probe.head(session.data_set.classes)
    round_masks.keep(folder.round(0), masks, plan)  # pyright: ignore[reportArgumentType]  only read
    wrapping.write_state(session.steps.model, start | {"linear/kernel": kernel, "linear/bias": bias}, masks)
    splits = {"test": session.test} | ({} if session.validation is None else {"validation": session.validation})
    seen |= {name: _finite(features, images, name, plan) for name, images in splits.items()}
    row = _row(session, seen, splits)
    storage.write_arrays(folder.rewind, start)
    storage.write_csv(folder.round(0).penalty, _penalties(probe, accuracies), PENALTY_COLUMNS)
    facts = {"inverse_penalty": probe.strength, "folds": parts, "features": len(kernel)}
    artefacts.write(
        folder, plan.round(folder, 0).beginning(masks, lambda: start), [row],
        artefacts.timing(plan, began, time.monotonic() - run_from, 0), plan=session.plan, model=session.steps.model,
        team=session.team, images={name: len(images) for name, images in splits.items()}, facts={"probe": facts},
    )  # fmt: skip
    session.ended(folder, 0)
    return session.devices


def _finite(features, images, part, plan):
    """The features of a split; UsageError where they are no numbers to fit."""
    values = features.of(images, part)
    if np.isfinite(values).all():
        return values
    network, pruning = plan.config.network, plan.config.pruning
    source = f"--ticket={pruning.ticket}" if pruning.ticket else f"--pretrained={network.pretrained}"
    raise UsageError(
        f"{source if pruning.ticket or network.pretrained else '--model=' + network.model}: the features of the {part} "
        "images are no finite numbers: its weights are damaged or too large; give another"
    )


def _fitted(session, features):
    """(Probe, the accuracy of each penalty, folds)."""
    images, subset_seed = session.train, session.plan.config.data.subset_seed
    count = penalty_folds(np.bincount(images.labels))
    parts = subsets.folds(images.labels, images.ids, subset_seed, count)
    return *linear_probe.fit_by_folds(features, images.labels, parts), count


def _tell(probe, folds):
    if np.isnan(probe.held_out_accuracy):
        say(f"too few images to choose the penalty by folds: inverse penalty {probe.strength:g}")
        return
    tried = linear_probe.STRENGTHS_OF_FOLDS
    say(
        f"inverse penalty {probe.strength:g}, of {len(tried)} from {tried[0]:g} to {tried[-1]:g}, by {folds} folds: "
        f"{100 * probe.held_out_accuracy:.2f} % of the training images right without having been fitted to"
    )


def _penalties(probe, accuracies):
    """The rows of penalty.csv."""
    tried = zip(linear_probe.STRENGTHS_OF_FOLDS, accuracies) if accuracies else [(probe.strength, None)]
    return [
        {"inverse_penalty": strength, "held_out_accuracy": value, "chosen": int(strength == probe.strength)}
        for strength, value in tried
    ]


def _row(session, seen, splits):
    """The one row of epochs.csv: epoch 0, for no step was trained."""
    head = session.steps.model.get_layer("linear")
    logits = tf.function(lambda features: head(features), reduce_retracing=True, autograph=False)

    def measured(name, labels):
        # In the batches of every evaluation: how many images are multiplied at once changes the last bits.
        batch = inference.at_once(session.steps.model)
        parts = [logits(seen[name][first : first + batch]).numpy() for first in range(0, len(labels), batch)]
        return accuracy.metrics(np.concatenate(parts), labels, session.data_set.classes)

    fitted = measured("training", session.train.labels)
    row = {"epoch": 0, "train_loss": fitted["loss"], "train_accuracy": fitted["accuracy"]}
    for name, images in splits.items():
        row |= {f"{name}_{metric}": value for metric, value in measured(name, images.labels).items()}
    return row
