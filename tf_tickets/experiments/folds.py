"""Folds on paper: those that choose a penalty, and what trainings of `--calibration=folds:K` cost. No TensorFlow."""

import dataclasses
from collections.abc import Iterable

from tf_tickets import runs
from tf_tickets.data import subsets
from tf_tickets.errors import UsageError
from tf_tickets.experiments.plan import Plan, resolve
from tf_tickets.experiments.round import Round
from tf_tickets.registry import STARTS
from tf_tickets.settings.checks import folds_of, rewind_parts


def check(plan: Plan, command: str) -> None:
    """UsageError where a run of imp or train cannot be calibrated as `--calibration` asks."""
    config, pruning = plan.config, plan.config.pruning
    method, kind = config.choice.calibration, rewind_parts(pruning.rewind)[0]
    if method == "validation" and not config.data.validation:
        raise UsageError(f"--calibration={method} needs --validation, such as --validation=0.2, or use folds:5")
    if method == "validation" and command == "train" and config.choice.refit:
        raise UsageError(f"--calibration={method}: train --refit trains on what --validation holds out; use folds:5")
    count = folds_of(method)
    if count is None:
        return
    if plan.control.in_one_run or plan.control.dynamic:
        raise UsageError(f"--calibration={method} trains one mask, which --control={pruning.control} has not")
    if plan.members > 1:
        raise UsageError(
            f"--calibration={method} repeats one training, and a soup is of --soup_members={plan.members}: use "
            "--calibration=validation"
        )
    if STARTS[kind].of_trained and (len(plan.weights) > 1 or pruning.ticket):
        raise UsageError(
            f"--calibration={method}: --rewind={pruning.rewind} starts from weights that all images have trained; use "
            "--calibration=validation"
        )
    plan = of_ticket(plan, command)
    if plan.train_counts is not None:
        subsets.check_folds(plan.train_counts, count)
    plans(plan)  # refuses a rewind point beyond their last step


def penalty_folds(sizes: Iterable[int]) -> int:
    """How many folds choose the penalty, where the classes have so many training images: as many as each can fill.

    Of a class with a single image there are two all the same: the fold that holds it out has it wrong whatever the
    penalty, so that it takes no part in the choice.
    """
    return max(2, min(5, min(int(size) for size in sizes if size)))


def is_calibrated(round_folder: runs.RoundFolder, method: str) -> bool:
    """Whether nothing is left to fit of what `--calibration` asks for; StateError where what is there is damaged."""
    from tf_tickets.export import loading

    return method == "none" or (loading.calibration_of(round_folder) or {}).get("method") == method


def of_ticket(plan: Plan, command: str) -> Plan:
    """The Plan of the rounds of which the ticket is one: those of the refit, where imp is asked for it."""
    return resolve(plan.config, refits=True) if command == "imp" and plan.config.choice.refit else plan


def text(plan: Plan, command: str, index: int, most: str) -> tuple[str, float]:
    """What calibration adds to a plan for people: (its line, image passes); nothing without.

    Args:
      index: of the round.
      most: "at most " where another may be chosen, which costs no more.
    """
    method = plan.config.choice.calibration
    count = folds_of(method)
    if count is None:
        held = f"calibrate   on {plan.validation_images or 'the'} images held out: nothing is trained for it"
        return (held if method == "validation" else ""), 0.0
    plan = of_ticket(plan, command)
    steps, passes = cost(plan, index)
    left = sorted({fold.train_images for fold in plans(plan)})
    images = " to ".join(f"{size:,}" for size in (left if len(left) == 1 else (left[0], left[-1])))
    line = (
        f"calibrate   {count} trainings of {'the chosen round' if most else f'round {index}'} on {images} of "
        f"{plan.train_images:,} images each: {most}{steps:,} steps, {passes:,.0f} image passes more"
    )
    return line, passes


def plans(plan: Plan) -> list[Plan]:
    """The Plan of each training: as `plan`, on the images that its fold leaves."""
    count = folds_of(plan.config.choice.calibration) or 0
    # Of a list of images the classes are not known yet.
    return [without(plan, size) for size in subsets.fold_sizes(plan.train_counts or (plan.train_images,), count)]


def without(plan: Plan, held: int) -> Plan:
    """The Plan of one of the trainings, on all but so many of the training images; it leaves nothing but logits."""
    config = plan.config.replace(tensorboard=False, eval_every=None, profile_steps=None)
    return dataclasses.replace(plan, config=config).of_images(plan.train_images - held, held)


def training(of_round: Round, plan: Plan, *, whole: Plan, run: runs.RunFolder, fold: int, count: int) -> Round:
    """A round's training again, without a fold: the same masks, start, epochs and draws.

    Args:
      of_round: the round.
      plan, whole: the Plan of this fold, and that by which the round was trained.
      run: the folder that the round is in.
      fold, count: which of how many.
    """
    return dataclasses.replace(
        of_round, folder=run.fold(of_round.index, fold, count), identity=f"{of_round.identity}/fold_{fold}_of_{count}",
        title=f"calibration {fold + 1}/{count}", first_step=_scaled(of_round.first_step, whole, plan),
        last_step=_scaled(of_round.last_step, whole, plan), rewind_step=None, settling=None,
    )  # fmt: skip


def _scaled(step, whole, plan):
    """The step of a fold's training at the same place of the schedule."""
    return step * plan.steps_per_epoch // whole.steps_per_epoch


def cost(plan: Plan, index: int) -> tuple[int, float]:
    """(steps, image passes) of all trainings for round `index` of a plan."""
    first, last = plan.first_step(index), plan.end_step(index)
    steps = [(fold, _scaled(last, plan, fold) - _scaled(first, plan, fold)) for fold in plans(plan)]
    return sum(count for _, count in steps), sum(n * fold.train_images / fold.steps_per_epoch for fold, n in steps)
