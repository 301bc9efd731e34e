"""The rounds of a search, and those that retrain a ticket: what each begins with, from files and the network."""

import dataclasses

import numpy as np

from tf_tickets import runs, storage
from tf_tickets.experiments import artefacts, reconstructing
from tf_tickets.experiments.derivatives import Derivatives
from tf_tickets.experiments.round import Round
from tf_tickets.experiments.session import Session
from tf_tickets.export.ticket import Ticket, ids_digest, training_ids
from tf_tickets.models import names
from tf_tickets.pruning import dynamic, round_masks, starts, wrapping
from tf_tickets.pruning import masks as pruning_masks
from tf_tickets.pruning.dynamic_training import DynamicTraining
from tf_tickets.pruning.gradual import GradualPruning
from tf_tickets.pruning.settling import Settling
from tf_tickets.registry import STARTS
from tf_tickets.settings.checks import rewind_parts
from tf_tickets.workers import messages


def next_round(session: Session, run: runs.RunFolder, index: int) -> Round:
    """A round of a search: dense, or from the round before with weights removed.

    Args:
      session: what the rounds share.
      run: the folder, in which the rounds before are complete.
      index: the round.
    """
    plan = session.plan

    def begun():
        masks = round_masks.begun(run, index, plan, _derivatives(session))  # pyright: ignore[reportArgumentType]  only read
        artefacts.name_empty_layers(masks, index)
        return masks

    masks = _kept(session, run.round(index), begun)
    return plan.round(run, index).beginning(
        masks, lambda: _start(session, run, index), settling=_settling(session, index, masks)
    )


def retraining(session: Session, run: runs.RunFolder, ticket: Ticket | None) -> Round:
    """The one round of `train`: dense, a ticket's, pruned as drawn, or of a control that changes the mask on the way.

    A ticket starts from its rewind point, at its own epoch, where data set, images and network are those that it was
    searched on; else from epoch 0. Order and augmentation are those of the ticket's round.
    """
    plan = session.plan
    if plan.control.in_one_run or plan.control.dynamic:
        changes = _dynamic(session) if plan.control.dynamic else _gradual(session)
        return plan.round(run, 0).beginning(changes.masks, lambda: session.initial, mask_changes=changes)
    masks = _kept(session, run.round(0), lambda: ticket.masks if ticket else _first(session, run))
    if ticket is None:
        return plan.round(run, 0).beginning(masks, lambda: session.initial)
    same = _continues(session, ticket)
    retrained = dataclasses.replace(
        plan.round(run, 0, rates_of=ticket.round if same else 0),
        draws_of=ticket.round, first_step=plan.first_step(1) if same else 0,
    )  # fmt: skip
    return retrained.beginning(masks, lambda: rewound(session.initial, ticket))


def _first(session, run):
    """The masks of the first round without a ticket: dense, or, by what scores the weights as drawn, sparse already."""
    plan = session.plan
    if not plan.starts_sparse:
        return plan.dense_masks
    masks = round_masks.drawn(run.round(0), plan, session.initial, _derivatives(session))
    artefacts.name_empty_layers(masks, 0)
    return masks


def _derivatives(session):
    """Function (state, masks, path of movement.npz) -> what a criterion may ask for there."""
    return lambda state, masks, movement: Derivatives(session, (state, masks), lambda: storage.read_arrays(movement))


def _kept(session, folder, make):
    """The masks that `make()` gives, made and kept by the chief and the same for all workers."""
    return session.team.arrays_from_chief(
        lambda: round_masks.keep(folder, make(), session.plan), lambda: messages.specs_of(session.plan.dense_masks)
    )


def _start(session, run, index):
    """The state that mask x state trains from, by the kind of rewinding."""
    if index == 0:
        return session.initial
    rewind = session.plan.config.pruning.rewind
    if STARTS[rewind_parts(rewind)[0]].reconstructs:
        reconstructing.keep(session, run, index)
    return storage.read_arrays(starts.state_of(run, index, rewind))


def _settling(session, index, masks):
    """What may end a searched round, or None."""
    plan, pruning = session.plan, session.plan.config.pruning
    if pruning.mask_distance is None or not plan.is_searched(index):
        return None

    def would_be():
        kernels = wrapping.kernel_variables(session.steps.model)
        weights = {name: kernels[name].numpy() for name in masks}
        return plan.control.removed(plan, weights, masks, index + 1, gradients=Derivatives(session))

    return Settling(would_be, pruning.mask_distance, pruning.mask_patience)


def _gradual(session):
    """Prunes from the rewind point to three quarters of the run, so that the last quarter trains what is left.

    While the head alone is trained, no weight goes.
    """
    plan = session.plan
    first = max(-(-plan.rewind_step // plan.steps_per_epoch), plan.training.head_epochs)

    def remove(weights, masks, amount):
        scores = plan.control.scores(plan.config, weights, masks, 0, gradients=Derivatives(session))
        pruning = plan.config.pruning
        return pruning_masks.SCOPES[pruning.scope](scores, masks, min_per_layer=pruning.min_per_layer, amount=amount)

    return GradualPruning(
        session.steps.model, plan.dense_masks, plan.weights[1], first_epoch=first,
        last_epoch=max(first + 1, 3 * plan.training.epochs // 4), steps_per_epoch=plan.steps_per_epoch,
        slots=session.steps.slots, remove=remove,
    )  # fmt: skip


def _dynamic(session):
    """Drops and grows weights of a sparse network, by the next batch's gradients where its control grows by them."""
    plan, control = session.plan, session.plan.control
    masks = dynamic.first_masks(plan)
    shapes = {name: mask.shape for name, mask in masks.items()}
    return DynamicTraining(
        session.steps.model, masks, session.steps.slots, updates=dynamic.updates(plan),
        steps_per_epoch=plan.steps_per_epoch, share=lambda step: dynamic.fraction(plan, step),
        growth=lambda step, gradients: control.growth(plan.config, shapes, step, gradients),
        gradients=session.steps.gradients if control.grows_by_gradient else None,
    )  # fmt: skip


def _continues(session, ticket):
    """Whether a ticket is retrained on what it was searched on, so that its rewind point is one here too."""
    plan, ids = session.plan, ids_digest(training_ids(session.subset_rows()))
    same = ticket.data["dataset"] == plan.data_set.name and ticket.ids_digest == ids
    same = same and bool(ticket.rewound) and ticket.network["classes"] == plan.network.classes
    same = same and ticket.network.get("image_size") == plan.network.image_size
    return same and ticket.network["head"] == plan.network.head


def rewound(initial: dict[str, np.ndarray], ticket: Ticket) -> dict[str, np.ndarray]:
    """The ticket's rewound state; what does not fit, the head of other classes, as first drawn (`initial`)."""
    if not ticket.rewound:
        return initial
    given = names.with_auxiliary(ticket.rewound, initial)
    return {
        name: given[name] if name in given and given[name].shape == array.shape else array
        for name, array in initial.items()
    }
