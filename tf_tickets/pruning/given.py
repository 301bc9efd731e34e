"""What pruning reads of a plan and of a ticket, which rooms above this one make."""

from __future__ import annotations

import dataclasses
import typing

from tf_tickets.lazy_modules import np
from tf_tickets.settings.config import Config
from tf_tickets.settings.groups import Training


class Plan(typing.Protocol):
    """See experiments.plan.Plan."""

    config: Config
    weights: tuple[int, ...]
    refits: bool
    steps_per_epoch: int
    last_step: int
    training: Training
    prunable: list[str]
    dense_masks: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Ticket(typing.Protocol):
    """See export.ticket.Ticket."""

    masks: dict[str, np.ndarray]
    rewound: dict[str, np.ndarray]
    trained: dict[str, np.ndarray]
    round: int
    refits: bool
    density: float
    settings: dict
    network: dict
