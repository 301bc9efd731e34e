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


class Gradients(typing.Protocol):
    """What criteria ask of the network, at some weights and masks; see experiments.derivatives.

    All answers are dicts of arrays by layer name, of the shapes of the prunable weights.
    """

    def __call__(self) -> dict[str, np.ndarray]:
        """The gradient of the mean loss over all training images, in inference mode."""
        ...

    def at(self, masks: dict[str, np.ndarray]) -> Gradients:
        """The same at other masks."""
        ...

    def of_batch(self) -> dict[str, np.ndarray]:
        """The gradient of the mean loss over a few images of each class, in training mode."""
        ...

    def hessian_products(self) -> dict[str, np.ndarray]:
        """The Hessian of that loss, softened, times its gradient."""
        ...

    def synaptic_flow(self) -> dict[str, np.ndarray]:
        """The gradient of the flow through the absolute weights, by these."""
        ...

    def movement(self) -> dict[str, np.ndarray]:
        """Minus the sum, over the steps of the round, of weight times gradient."""
        ...


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
