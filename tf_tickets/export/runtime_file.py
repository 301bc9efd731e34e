"""runtime.npz: one file of the surviving weights and their program, for `tf_tickets.runtime`."""

import re
from collections.abc import Callable

import numpy as np

from tf_tickets import runtime, storage
from tf_tickets.errors import StateError
from tf_tickets.export.ticket import Ticket
from tf_tickets.export.writer import archived, signed
from tf_tickets.runtime.files import PROGRAM, canonical, digest_of

_KEPT = r"(member_\d\d/)?(mask|trained|trained_variables)/"


def write(ticket: Ticket, facts: dict, path: str) -> None:
    """Writes the file, atomically; equal tickets make equal bytes.

    Args:
      facts: its export.writer.facts, with a program.
      path: of the file.
    """
    arrays = {name: array for name, array in archived(ticket).items() if re.match(_KEPT, name)}
    document = signed(facts | {"arrays_sha256": digest_of(arrays)})
    storage.write_arrays(path, {**arrays, PROGRAM: np.frombuffer(canonical(document), np.uint8)}, compress=True)


def predictor(path: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function from stored images to class probabilities, by the runtime.

    Raises:
      StateError: its weights are such that the runtime refuses them.
    """
    try:
        network = runtime.load(path)
    except runtime.Damaged as error:
        raise StateError(f"the runtime cannot execute the ticket: {error}") from None

    def predict(images: np.ndarray) -> np.ndarray:
        try:
            return network.predict(images)
        except runtime.Damaged as error:
            raise StateError(f"the runtime cannot execute the ticket: {error}") from None

    return predict
