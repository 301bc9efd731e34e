"""The learning rate as a pure function of the epoch (docs/science.md, Training; parity: lr_schedules)."""

import dataclasses
import math

from tf_tickets.settings.groups import Training


def learning_rate(training: Training, epoch: int) -> float:
    """The learning rate of one epoch, constant within it.

    Args:
      training: its settings.
      epoch: counted from 0.

    Returns:
      Linear warm-up first, then as it is up to the last of `head_epochs`, then cosine to zero, a tenth at each
      milestone, or a constant.
    """
    base, warmup = training.learning_rate, training.warmup
    if epoch < warmup:
        return base * (epoch + 1) / warmup
    first = max(warmup, training.head_epochs)
    if epoch < first:
        return base
    if training.schedule == "cosine":
        return base / 2.0 * (1.0 + math.cos(math.pi * (epoch - first) / (training.epochs - first)))
    if training.schedule == "steps" and training.milestones is not None:
        passed = sum(epoch >= int(milestone) for milestone in training.milestones.split(","))
        return base * 0.1**passed
    return base


def shortened(training: Training, epochs: int) -> Training:
    """The settings of a shorter round whose schedule falls as the full one's does, in proportion.

    Args:
      training: of the full round.
      epochs: of the shorter round, fewer than `training.epochs`.

    Returns:
      The settings; warm-up and milestones are rounded down, a milestone to epoch 1 at least. `head_epochs` stay: a head
      takes as many steps to fit the features, however long the rest of the round is.
    """
    warmup, milestones = training.warmup * epochs // training.epochs, training.milestones
    if milestones is not None:
        moved = [max(1, int(milestone) * epochs // training.epochs) for milestone in milestones.split(",")]
        milestones = ",".join(map(str, moved))
    return dataclasses.replace(training, epochs=epochs, warmup=warmup, milestones=milestones)
