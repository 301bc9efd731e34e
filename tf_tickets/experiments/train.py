"""`train`: one round, dense or with a ticket's mask, on the same or another data set or subset."""

import functools
from collections.abc import Callable

from tf_tickets import runs
from tf_tickets.errors import UsageError
from tf_tickets.experiments import advice, folds
from tf_tickets.experiments.folds import is_calibrated
from tf_tickets.experiments.imp import exported, held, incomplete, standing, unwritable
from tf_tickets.experiments.plan import Plan, resolve
from tf_tickets.experiments.result import Result
from tf_tickets.export.ticket import Ticket
from tf_tickets.notices import say
from tf_tickets.pruning import masks as pruning_masks
from tf_tickets.pruning.strategies import IMP, RETRAIN, TRAIN
from tf_tickets.registry import CONTROLS, DATASETS
from tf_tickets.settings.config import Config
from tf_tickets.settings.groups import IN_FULL
from tf_tickets.workers import messages
from tf_tickets.workers.joined import are_rounds, joined


def train(config: Config, stop: Callable[[], bool] = lambda: False) -> Result | None:
    """Trains or continues one round.

    With `ticket`, the mask holds and training starts from the rewind point: at the ticket's own epoch, under its
    round's draws, when data set, subset and network are the ticket's; otherwise from epoch 0, with a new head where
    the classes differ. With `control`, see docs/science.md (Controls); `one_shot` trains two rounds, the dense one and
    the pruned; `gradual`, `rigl` and `set` change the mask on the way; `probe` trains nothing and fits a head. With
    `soup_members` the round is trained so often, by other orders of the images, and averaged.

    Args:
      config: of the run.
      stop: function asked between blocks of steps.

    Returns:
      None on a worker that is not the chief.
    """
    plan, ticket, folder = planned(config)
    if ticket:
        _tell_of_tested(ticket, plan)
        ticket = plan.control.changed(ticket, config)
    folds.check(plan, "train")
    rounds, method = plan.control.trained_rounds, config.choice.calibration
    if earlier := advice.same_pictures(plan, folder):
        say(earlier)
    if refusal := unwritable(config, folder):
        if incomplete(folder, range(rounds)) or not is_calibrated(folder.round(rounds - 1), method):
            raise refusal
        return standing(Result(folder.folder, rounds, rounds - 1), refusal)
    make = functools.partial(_made, ticket=ticket)
    with joined(config, "train", stop) as team, held(folder, team):
        todo = team.from_chief(lambda: incomplete(folder, range(rounds)), lambda value: are_rounds(value, rounds))
        devices = _trained(plan, folder, todo, make, ticket, stop=stop, team=team) if todo else None
        target = folder.round(rounds - 1)
        if not team.from_chief(lambda: is_calibrated(target, method), messages.is_answer):
            _calibrate(plan, folder, target, make, stop=stop, team=team, devices=devices)
        return team.from_chief_alone(lambda: exported(folder, rounds, rounds - 1))


def prepare(config: Config) -> tuple[Plan, Ticket | None, runs.RunFolder]:
    """What `train` makes of the settings, on paper. No TensorFlow, nothing touched.

    Args:
      config: the settings.

    Returns:
      (plan, ticket, folder): the ticket is the one that is retrained, or None.

    Raises:
      UsageError, StateError: the settings conflict, or the ticket is none, is damaged or does not fit the network.
    """
    # These shorten the rounds of a search; a round on its own is trained in full. `gradual` has the search's epochs.
    control, ticket, content = CONTROLS[config.pruning.control], None, ()
    if not control.in_one_run:
        config = config.replace(**IN_FULL)
    if (config.choice.choose or "").isdigit():  # of a search's rounds
        config = config.replace(choose=None)
    if control.place == IMP:
        raise UsageError(f"--control={config.pruning.control} belongs to imp, not train")
    if control.of_a_ticket and not config.pruning.ticket:
        raise UsageError(f"--control={config.pruning.control} belongs to {RETRAIN}, and there is no ticket")
    if config.pruning.ticket:
        from tf_tickets.export import loading

        ticket = loading.load(config.pruning.ticket)
        if len(ticket.members) > 1:
            raise UsageError(f"--ticket={config.pruning.ticket} is an ensemble, of no mask: give a member's folder")
        content = [("ticket", ticket.retrained_digest)]
        rewind = config.pruning.rewind if control.fits else ticket.settings["rewind"]
        config = config.replace(rewind=rewind, prunable=ticket.settings.get("prunable", "all"))
    if config.training.distillation and config.training.teacher is None and control.trained_rounds == 1:
        raise UsageError(
            f"--distillation={config.training.distillation:g} needs --teacher=DIR: one round has none before it"
        )
    config = control.counting(config)
    content = [*content, *control.content(config)]
    refits = config.choice.refit
    if refits:
        content = [*content, ("refit", "true")]
    plan = resolve(config if control.place == TRAIN else config.replace(rounds=1), refits)
    if ticket and not control.other_network:
        _check_fits(ticket, plan)
    return plan, ticket, plan.folder("train", content)


def planned(config: Config) -> tuple[Plan, Ticket | None, runs.RunFolder]:
    """As `prepare`, with what the control trains in the place of plan and ticket; says where the network differs."""
    plan, ticket, folder = prepare(config)
    trained, given = plan.control.planned(plan, ticket, resolve)
    if trained is not plan and ticket is not None:
        left = pruning_masks.count(ticket.masks)
        width = trained.config.network.width
        say(f"width {width}: {trained.weights[0]:,} prunable weights, the ticket has {left:,}")
    return trained, given, folder


def _tell_of_tested(ticket, plan):
    """Says where pictures test that by their names the ticket was found on; of other pictures names may be the same."""
    pictures = DATASETS[plan.data_set.name].pictures(plan.config.data.place)
    if pictures is None or ticket.data["dataset"] != plan.data_set.name:
        return
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
        shapes = [f"is {shape_of[odd]}" if odd in shape_of else "is not there" for shape_of in (given, wanted)]
        raise UsageError(
            f"{place}: its layer {odd} {shapes[0]}, in the network asked for it {shapes[1]}; give the ticket's "
            f"--model={facts['name']} --width={facts['width']} --stem={facts['stem']}"
        )


def _made(session, run, index, ticket):
    """The Round of the ticket, or of no ticket, that is trained."""
    from tf_tickets.experiments import searching

    if session.plan.control.trained_rounds > 1:
        return searching.next_round(session, run, index)
    return searching.retraining(session, run, ticket)


def _trained(plan, folder, todo, make, ticket, *, stop, team):
    """Trains the rounds that are left, or fits the one that is fitted; the devices."""
    if plan.control.fits:
        from tf_tickets.experiments.probing import fit_round

        return fit_round(plan, folder, ticket, stop=stop)
    if plan.members > 1:
        from tf_tickets.experiments import soup

        return soup.train_round(plan, folder, make, stop=stop)
    from tf_tickets.experiments.rounds import run_rounds

    return run_rounds(plan, folder, todo, make, command="train", stop=stop, team=team).devices


def _calibrate(plan, folder, target, make, *, stop, team, devices):
    from tf_tickets.experiments.calibrating import calibrate

    calibrate(
        plan, folder, target.index, target=target, make=make, command="train", stop=stop, team=team, devices=devices
    )
