"""`train`: one round, dense or with a ticket's mask, on the same or another data set or subset."""

import dataclasses
import os

import numpy as np

from tf_tickets import runs, storage
from tf_tickets.errors import UsageError
from tf_tickets.experiments import opening
from tf_tickets.experiments import plan as plans
from tf_tickets.experiments.imp import exported, held, incomplete, run_rounds, standing, unwritable
from tf_tickets.experiments.joined import agreed, joined
from tf_tickets.models import names
from tf_tickets.options import OF_A_TICKET
from tf_tickets.pruning import masks as pruning_masks


def train(config, stop=lambda: False):
    """Trains or continues one round.

    With `ticket`, the mask holds and training starts from the rewind point: at the ticket's own epoch, under its
    round's draws, when data set, subset and network are the ticket's; otherwise from epoch 0, with a new head where
    the classes differ. With `control`, see SCIENCE (Controls); `one_shot` trains two rounds, the dense one and the
    pruned; `gradual` removes weights on the way.

    Args:
      config: a Config.
      stop: function asked between blocks of steps.

    Returns:
      An experiments.imp.Result; None on a worker that is not the chief.
    """
    plan, ticket, folder = planned(config)
    if ticket:
        _tell_of_tested(ticket, plan)
        ticket = _controlled(ticket, config)
    rounds = 2 if config.pruning.control == "one_shot" else 1
    if refusal := unwritable(config, folder):
        if incomplete(folder, range(rounds)):
            raise refusal
        return standing(folder, rounds, rounds - 1, False, refusal)
    with joined(config, "train", stop) as team, held(folder, team):
        todo = team.from_chief(lambda: incomplete(folder, range(rounds)))
        if todo and rounds == 2:
            run_rounds(plan, folder, todo, stop, "train", team)
        elif todo:
            _train_round(plan, folder, ticket, stop, team)
        return team.from_chief_alone(lambda: exported(folder, rounds, rounds - 1))


def prepare(config):
    """What `train` makes of the settings, on paper. No TensorFlow, nothing touched.

    Args:
      config: a Config.

    Returns:
      (plan, ticket, folder): an experiments.plan.Plan, the Ticket that is retrained or None, a runs.RunFolder.

    Raises:
      UsageError, StateError: the settings conflict, or the ticket is none, is damaged or does not fit the network.
    """
    # These shorten the rounds of a search; a round on its own is trained in full. `gradual` has the search's epochs.
    if config.pruning.control != "gradual":
        config = config.replace(search_epochs=None, mask_distance=None, mask_patience=3, full_rounds=None)
    if (config.choice.choose or "").isdigit():  # of a search's rounds
        config = config.replace(choose=None)
    control, ticket, content = config.pruning.control, None, ()
    if control == "random":
        raise UsageError("--control=random belongs to imp, not train")
    if control in OF_A_TICKET and not config.pruning.ticket:
        raise UsageError(f"--control={control} belongs to train --ticket=DIR, and there is no ticket")
    if config.pruning.ticket:
        from tf_tickets.export.ticket import Ticket

        ticket = Ticket.load(config.pruning.ticket)
        content = [("ticket", ticket.content_digest)]
        config = config.replace(rewind=ticket.settings["rewind"], prunable=ticket.settings.get("prunable", "all"))
    if control == "reinitialize":
        content = [*content, ("initial", "reinitialize")]  # whose folder earlier versions filled otherwise
    refits = config.choice.refit
    if refits:
        content = [*content, ("refit", "true")]
    if control in ("one_shot", "gradual"):
        plan, content = plans.resolve(config, refits), [*content, ("final_round", config.pruning.rounds - 1)]
    else:
        plan = plans.resolve(config.replace(rounds=1), refits)
    if ticket and control != "small_dense":
        _check_fits(ticket, plan)
    return plan, ticket, plan.folder("train", content)


def planned(config):
    """As `prepare`, with the small dense network in the ticket's place where that control is asked for."""
    plan, ticket, folder = prepare(config)
    if config.pruning.control == "small_dense":
        return _small_dense(plan, ticket), None, folder
    return plan, ticket, folder


def _small_dense(plan, ticket):
    """The plan of the widest dense network with no more prunable weights than the ticket; says both counts."""
    from tf_tickets.experiments.notices import say

    wanted = sum(int(np.count_nonzero(mask)) for mask in ticket.masks.values())
    for width in range(ticket.network["width"], 0, -1):
        try:
            smaller = plans.resolve(plan.config.replace(width=width, min_per_layer=0), plan.refits)
        except UsageError:
            continue  # a width that this network cannot have
        if smaller.weights[0] <= wanted:
            say(f"width {width}: {smaller.weights[0]:,} prunable weights, the ticket has {wanted:,}")
            return smaller
    raise UsageError(f"--control=small_dense: no {plan.config.network.model} has as few as {wanted:,} prunable weights")


def _controlled(ticket, config):
    """The ticket, with mask or start changed as `control` says."""
    if config.pruning.control == "none":
        return ticket
    if config.pruning.control == "reinitialize":
        return dataclasses.replace(ticket, rewound={})
    run = runs.RunFolder(os.path.dirname(os.path.abspath(config.pruning.ticket)))
    if ticket.refits and not run.refits:
        run = run.refit
    path = run.start_of(ticket.round, ticket.settings["rewind"])
    needs = "--control=random_layerwise needs weights that the ticket does not keep"
    if not os.path.exists(path):
        raise UsageError(f"{needs}: {path} is missing; give the ticket inside its run folder")
    start = storage.read_arrays(path)
    if all((start[f"{name}/kernel"][~mask] == 0).all() for name, mask in ticket.masks.items()) and ticket.density < 1:
        raise UsageError(f"{needs}, and {path} has them at zero; give a ticket of imp that rewinds to one state")
    masks = pruning_masks.random_layerwise(ticket.masks, config.run.seed)
    return dataclasses.replace(ticket, masks=masks, rewound=start)


def _tell_of_tested(ticket, plan):
    """Says where pictures test that by their names the ticket was found on; of other pictures names may be the same."""
    if not ticket.data["dataset"] == plan.data_set.name == "folder":
        return
    from tf_tickets.data import folder
    from tf_tickets.experiments.notices import say

    pictures = folder.scan(plan.config.data.data_dir)
    trained = set() if ticket.pictures == pictures.digest else set(ticket.ids or ())
    tested = [picture.id for picture in pictures.pictures if picture.part == "test" and picture.id in trained]
    if tested:
        say(
            f"{len(tested)} test pictures, such as {tested[0]}, have names of pictures that the ticket was found on: "
            "unless they are others, the test says too much"
        )


def _check_fits(ticket, plan):
    wanted = {kernel.name: tuple(kernel.shape) for kernel in plan.kernels}
    given = {name: mask.shape for name, mask in ticket.masks.items()}
    if wanted != given:
        odd = next(name for name in {**wanted, **given} if wanted.get(name) != given.get(name))
        facts, place = ticket.network, f"--ticket={plan.config.pruning.ticket}"
        if facts["image_shape"][2] != plan.data_set.image_shape[2]:
            raise UsageError(
                f"{place} takes images of {facts['image_shape'][2]} channels, {plan.data_set.name} has "
                f"{plan.data_set.image_shape[2]}: convert the pictures, or give another ticket"
            )
        shapes = [f"is {one[odd]}" if odd in one else "is not there" for one in (given, wanted)]
        raise UsageError(
            f"{place}: its layer {odd} {shapes[0]}, in the network asked for it {shapes[1]}; give the ticket's "
            f"--model={facts['name']} --width={facts['width']} --stem={facts['stem']}"
        )


def _train_round(plan, folder, ticket, stop, team):
    from tf_tickets.experiments import round_masks
    from tf_tickets.experiments import rounds as stages
    from tf_tickets.experiments.session import Session
    from tf_tickets.export.ticket import ids_digest, training_ids

    stop = agreed(stop, team)
    opening.heed(stop)
    session = Session(plan, team)
    plan = session.plan
    opening.open_folder(folder, session, "train")
    opening.heed(stop)
    mine = folder.round(0)
    gradual = _gradual(plan, session) if plan.config.pruning.control == "gradual" else None
    if gradual:
        masks = gradual.masks
    else:
        masks = ticket.masks if ticket else round_masks.next_masks(folder, 0, plan)
        masks = team.arrays_from_chief(lambda: round_masks.keep_masks(mine, masks, plan))
    first_step, key_round, rate_round = 0, 0, 0
    if ticket:
        key_round = ticket.round
        mine = ids_digest(training_ids(session.subset_rows()))
        same = ticket.data["dataset"] == plan.data_set.name and ticket.ids_digest == mine
        same = same and bool(ticket.rewound) and ticket.network["classes"] == plan.network.classes
        same = same and ticket.network["head"] == plan.network.head
        first_step, rate_round = (plan.first_step(1), key_round) if same else (0, 0)
    stages.train_round(
        session, folder, 0, identity=f"{folder.name}/round_00", masks=masks,
        start=lambda: _start_state(session.initial, ticket), first_step=first_step, key_round=key_round,
        rate_round=rate_round, stop=stop, gradual=gradual,
    )  # fmt: skip
    if gradual:
        round_masks.name_empty_layers(gradual.masks, 0)


def _gradual(plan, session):
    """Prunes from the rewind point to three quarters of the run, so that the last quarter trains what is left."""
    from tf_tickets.training.gradual import GradualPruning

    first = -(-plan.rewind_step // plan.steps_per_epoch)
    dense = {kernel.name: np.ones(kernel.shape, bool) for kernel in plan.kernels}
    return GradualPruning(
        session.steps, dense, plan.weights[1], first_epoch=first,
        last_epoch=max(first + 1, 3 * plan.training.epochs // 4), steps_per_epoch=plan.steps_per_epoch,
        min_per_layer=plan.config.pruning.min_per_layer,
    )  # fmt: skip


def _start_state(initial, ticket):
    """The ticket's rewound state; what does not fit, the head of other classes, as first drawn."""
    if ticket is None or not ticket.rewound:
        return initial
    rewound = names.with_auxiliary(ticket.rewound, initial)
    return {
        name: rewound[name] if np.shape(rewound.get(name)) == array.shape else array for name, array in initial.items()
    }
