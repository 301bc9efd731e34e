"""What `--dry_run` prints: a plan for people. No TensorFlow, nothing touched."""

import glob
import os
import statistics
import typing

import numpy as np

from tf_tickets import runs, storage
from tf_tickets.errors import StateError, UsageError, plain
from tf_tickets.experiments import advice, backbone, folds, opening, plan_pictures, rival
from tf_tickets.experiments.choosing import latest_choice
from tf_tickets.experiments.folds import penalty_folds
from tf_tickets.experiments.plan import Plan, resolve
from tf_tickets.registry import DATASETS, NETWORKS
from tf_tickets.settings import policies
from tf_tickets.settings.config import Config

if typing.TYPE_CHECKING:  # SciPy comes with it
    from tf_tickets.export.ticket import Ticket


def recorded_rate(plan: Plan) -> float | None:
    """Median training images/s of rounds like a plan's, run under its `out` on such a processor, or None."""
    config, processor = plan.config, opening.processor()
    alike = ("dataset", "model", "width", "stem", "batch_size", "augment", "precision", "strategy", "jit")
    wanted = {name: config.values()[name] for name in alike}
    rates = []
    for path in glob.glob(os.path.join(glob.escape(config.run.out), "*", "seed_*", "config.cfg")):
        try:
            recorded = Config.from_flagfile(path).values()
            run = os.path.dirname(path)
            if any(recorded[name] != value for name, value in wanted.items()) or not _is_alike(run, plan, processor):
                continue
            for timing in glob.glob(os.path.join(glob.escape(run), "round_*", "timing.json")):
                rate = storage.read_json(timing)["images_per_second"]
                rates += [rate] if rate else []  # none: nothing was trained
        except (UsageError, StateError, KeyError, TypeError):
            continue  # another program's folder, or a damaged run: no record of a rate
    return statistics.median(rates) if rates else None


def _is_alike(folder, plan, processor):
    """Whether a run was on such a processor, and on pictures of the plan's size, where they are the user's own."""
    run = runs.RunFolder(folder)
    if storage.read_json(run.manifest)["processor"] != processor:
        return False
    return not plan.data_set.own or tuple(storage.read_json(run.data)["image_shape"]) == plan.data_set.image_shape


def _spread(counts):
    if counts is None:
        return "as the file says"
    low, high = min(counts), max(counts)
    return f"{low} per class" if low == high else f"{low} to {high} per class"


def _held(plan):
    if not plan.config.data.validation:
        return ""
    return "part of them held out; " if plan.train_counts is None else f"{plan.validation_images} held out; "


def _rival(plan):
    """What --rival adds: (its line, image passes); nothing without."""
    if not rival.is_asked(plan.config):
        return [], 0
    epochs = rival.planned_epochs(plan)
    steps = epochs * plan.steps_per_epoch
    share = steps / (steps + plan.steps_of(range(len(plan.weights))))
    most = "at most " if plan.config.pruning.mask_distance is not None else ""
    line = (
        f"rival       a dense network, {most}{epochs:,} epochs of the same {plan.train_images:,} images: "
        f"{most}{steps:,} steps more, {100 * share:.0f} % of the rounds and it together"
    )
    return [line], steps * plan.train_images / plan.steps_per_epoch


def _again(plan):
    """What --refit adds: (its line, image passes); nothing without."""
    config = plan.config
    if not config.choice.refit:
        return [], 0
    whole = resolve(config, refits=True)
    last = latest_choice(config)
    contested = rival.may_be_exported(config)
    most = "at most " if config.choose == "validation" or contested else ""
    steps = whole.steps_of(range(last + 1))
    if contested:
        steps = max(steps, rival.planned_epochs(plan) * whole.steps_per_epoch)
    line = (
        f"refit       rounds 0 to {'the chosen one' if config.choose == 'validation' else last}"
        f"{', or the dense network,' if contested else ''} again on all {whole.train_images} images: {most}{steps:,} "
        "steps more"
    )
    return [line], steps * whole.train_images / whole.steps_per_epoch


def _calibrating(plan, command, rounds):
    """What --calibration adds: (its line, image passes); nothing without."""
    if command == "pretrain":
        return [], 0
    folds.check(plan, command)
    open_choice = command == "imp" and plan.config.choose == "validation"
    # The dense round takes the most steps: none was done before it.
    index = rounds - 1 if command == "train" else 0 if open_choice else latest_choice(plan.config)
    line, passes = folds.text(plan, command, index, "at most " if open_choice else "")
    if command == "imp" and rival.may_be_exported(plan.config):
        dense = rival.resolved(plan.config, rival.planned_epochs(plan), refits=plan.config.choice.refit)
        line, passes = max((line, passes), folds.text(dense, "train", 0, "at most "), key=lambda costs: costs[1])
    return list(filter(None, [line])), passes


def _fine_tuning(plan, rounds):
    """How the head and the backbone are trained apart: its lines; none where they are not."""
    training, first = plan.training, plan.first_step(1) // plan.steps_per_epoch
    lines, head, rate = [], training.head_epochs, training.backbone_learning_rate
    if head:
        before = "them" if first >= head else f"{first} of them"
        later = f"; later rounds start after {before}" if rounds > 1 and first else ""
        lines.append(f"head first  epoch{f's 1 to {head}' if head > 1 else ' 1'} of a round{later}")
    if rate is not None:
        lines.append(f"rates       {training.learning_rate:g} for the head, {rate:g} for the backbone")
    return lines


def _distillation(training):
    """From whom the network learns beside the labels: its line; none where it does not."""
    if not training.distillation:
        return []
    teacher = training.teacher or "round 0, in later rounds"
    return [
        f"teacher     {teacher}: {100 * training.distillation:g} % of the loss, at temperature "
        f"{training.distillation_temperature:g}"
    ]


def _soup(plan):
    """What is averaged: its line; none where nothing is."""
    if plan.members == 1:
        return []
    order = plan.config.order_seed
    return [
        f"soup        {plan.members} trainings, of order seed {order} and others drawn by it, whose weights are "
        f"averaged; normalisation measured on the {plan.train_images:,} training images"
    ]


def _ending(epochs, pruning):
    full = f"after {epochs} epochs"
    return full if pruning.mask_distance is None else f"{full}, or before, once the mask settles"


def _saving(plan, rounds, steps):
    full = sum(plan.last_step - plan.first_step(index) for index in range(rounds))
    return f": {100 * steps / full:.0f} % of those with every round in full" if steps < full else ""


def _of_a_ticket(plan, ticket):
    first = plan.first_step(1) // plan.steps_per_epoch
    start = f"from the end of epoch {first}" if ticket.rewound and first else "from epoch 0"
    conditions = " where the images are those it was found on, else from epoch 0" if first else ""
    return plan.control.start_text(start, conditions)


def _size(network):
    """What the settings say of a network beside its name; of one of the user's own they say nothing."""
    own = NETWORKS[network.model].own
    return "" if own else f", {network.stem} stem, width {network.width}, {network.head} head"


def _enlarged(network):
    """To which size images are enlarged inside the network."""
    if not network.enlarged_from:
        return ""
    (height, width), (tall, wide) = network.given_shape[:2], network.image_shape[:2]
    return f"; images of {height}x{width} are enlarged to {tall}x{wide} inside"


def _backbone(settings):
    """The line that names the backbone."""
    source = backbone.source(settings)
    return [f"backbone    {settings.pretrained}: {source['origin']}; licence: {source['licence']}"] if source else []


def _rounds(plan, weights, searched):
    """The table of rounds, by the weights left in each; with their epochs where some are shortened."""
    return [
        "round   density   weights left" + ("   epochs" if searched else ""),
        *(
            f"{index:5d}  {100 * left / plan.weights[0]:7.2f} %  {left:13,d}"
            + (f"  {plan.training_of(index).epochs:7d}" if searched else "")
            for index, left in enumerate(weights)
        ),
    ]


def _fitting(plan):
    """What is done where nothing is trained."""
    images = plan.train_images + plan.validation_images + plan.data_set.test_images
    folds = "at most 5" if plan.train_counts is None else penalty_folds(plan.train_counts)
    return (
        f"probe       no training: features of {images:,} images, a logistic regression, penalty by {folds} "
        "folds of the training images"
    )


def _begun(folder, rounds):
    """What is there of the run already."""
    complete = 0
    while folder is not None and complete < rounds and folder.round(complete).complete:
        complete += 1
    if folder is None or not complete:
        return []
    goes_on = "there" if complete == rounds else f"there; it goes on with round {complete}"
    return [f"begun       {complete} of {rounds} rounds of {folder.folder} are {goes_on}"]


def text(
    plan: Plan, command: str, ticket: "Ticket | None" = None, folder: runs.RunFolder | None = None
) -> str:  # fmt: skip
    """The plan for people.

    Args:
      plan: of the run.
      command: that makes it.
      ticket: that is retrained, of which its weights and start are said.
      folder: of the run, where what is there of it, and other runs of the same pictures, are to be named.
    """
    config, pruning = plan.config, plan.config.pruning
    weights = [sum(map(np.count_nonzero, ticket.masks.values()))] if ticket else plan.weights[plan.begins_sparse :]
    rounds = len(plan.weights) if command == "imp" else plan.control.rounds_trained(config)
    steps = plan.steps_of(range(rounds))
    rate = recorded_rate(plan)
    trained = steps * plan.train_images / plan.steps_per_epoch
    additions = [_rival(plan), _again(plan)] if command == "imp" else []
    additions.append(_calibrating(plan, command, rounds))
    more = sum(passes for _, passes in additions)
    minutes = "unknown"
    if rate:
        minutes = f"{(trained + more) / rate / 60:.0f}, at {rate:.0f} images/s recorded under {config.run.out}"
    network = plan.network
    lines = [
        f"data        {plan.data_set.name}: {plan.train_images} training images, {_spread(plan.train_counts)}; "
        + _held(plan)
        + f"{plan.data_set.test_images} test images",
        f"augment     {policies.expand(config.augment, plan.data_set.base, plan.data_set.cutout_side) or 'none'}",
        f"network     {config.network.model}{_size(network)}: "
        f"{network.trainable_parameters():,} parameters, {plan.weights[0]:,} prunable weights" + _enlarged(network),
        *_backbone(config.network),
    ]
    provider = DATASETS[plan.data_set.name]
    pictures, notices = provider.pictures(config.data.place), provider.notices_in(config.data.place)
    own = [] if pictures is None else ["", plan_pictures.text(pictures, plan.train_counts, plan.validation_counts)]
    own += ["", *map(plain, notices)] if notices else []
    if command == "pretrain":
        return "\n".join([*lines, f"in all      {config.training.epochs} epochs of {plan.steps_per_epoch} steps, two "
                           f"views of every image; minutes {minutes}", *own])  # fmt: skip
    if ticket:
        lines.append(f"ticket      {pruning.ticket}: {_of_a_ticket(plan, ticket)}")
    if plan.control.fits:
        added = filter(None, [*(line for lines_of, _ in additions for line in lines_of)])
        return "\n".join([*lines, _fitting(plan), *added, "", *_rounds(plan, weights, [])])
    searched = [index for index in range(rounds) if plan.is_searched(index)]
    short = plan.training_of(searched[0]).epochs if searched else 0
    bound = "at most " if searched and pruning.mask_distance is not None else ""
    if ticket:
        bound = "at most " if plan.first_step(1) and plan.control.rewinds else bound
    lines += [
        f"round       {plan.training.epochs} epochs of {plan.steps_per_epoch} steps, rewind {pruning.rewind} "
        f"(step {plan.rewind_step})"
        + (f"; {len(searched)} of {rounds} end {_ending(short, pruning)}" if searched else ""),
        *([f"pruned      by {pruning.criterion}, before any training"] if plan.starts_sparse else []),
        *_fine_tuning(plan, rounds),
        *_distillation(plan.training),
        *plan.control.details(plan),
        *_soup(plan),
        f"in all      {rounds} round{'s' if rounds != 1 else ''}, {bound}{steps:,} steps, {trained:,.0f} image passes"
        + _saving(plan, rounds, steps),
        *(line for lines_of, _ in additions for line in lines_of),
        *filter(None, [advice.few_images(plan)]),
        f"minutes     {(bound or 'at most ' * (more > 0)) if rate else ''}{minutes}",
        *_begun(folder, rounds),
        "",
        *_rounds(plan, weights[:rounds], searched),
    ]
    if plan.control.in_one_run:
        lines.append(f"   to  {100 * plan.weights[1] / plan.weights[0]:7.2f} %  {plan.weights[1]:13,d}")
    earlier = None if folder is None else advice.same_pictures(plan, folder)
    return "\n".join([*lines, *own, *(["", earlier] if earlier else [])])
