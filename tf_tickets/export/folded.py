"""The folded programs of a ticket's networks, for formats that are written from them."""

import numpy as np

from tf_tickets import runtime
from tf_tickets.errors import StateError
from tf_tickets.export import keras_program
from tf_tickets.export.ticket import Ticket
from tf_tickets.runtime import program
from tf_tickets.runtime.program import Step


def steps(member: Ticket) -> list[Step]:
    """The steps of one network, normalisation folded in, all weights dense: what is removed is zero.

    Args:
      member: a Ticket of one network, whose every layer the runtime knows.

    Raises:
      StateError: its weights are such that the runtime refuses them.
    """

    def weights(name: str, shape: list[int]) -> np.ndarray:
        return member.trained[name].reshape(shape)

    nodes = keras_program.of(member.model)
    try:
        return program.read(nodes or [], weights)
    except runtime.Damaged as error:
        raise StateError(f"the ticket's program cannot be written: {error}") from None
