"""The rewind point: the full state of the network that every later round starts from."""

from tf_tickets import storage
from tf_tickets.backend import keras
from tf_tickets.models import state
from tf_tickets.observers import Block, Observer


class RewindPoint(Observer):
    """The rewind callback: saves the network's whole state when exactly `step` steps of round 0 are done.

    It stands before the checkpoints in the list of observers, so no checkpoint beyond the rewind point exists without
    it.
    """

    def __init__(self, model: keras.Model, path: str, step: int, writes: bool = True):
        """What is saved where, and when.

        Args:
          model: whose state is saved.
          path: of the file.
          step: global step; 0 for the state before the first step.
          writes: whether this worker keeps the file; all have to give their statistics for it.
        """
        self._model, self._path, self._step, self._writes = model, path, step, writes
        self.boundaries = (step,)

    def _save_at(self, step):
        if step == self._step:
            arrays = state.get_state(self._model)
            if self._writes:
                storage.write_arrays(self._path, arrays)

    def training_begins(self, step: int) -> None:
        """Saves the state before the first step where that is the rewind point."""
        self._save_at(step)

    def block_ends(self, block: Block) -> None:
        """Saves at the step itself."""
        self._save_at(block.step)

    def evaluation_interrupted(self, block: Block) -> None:
        """Saves before the checkpoint does, also where the evaluation of the epoch does not end."""
        self._save_at(block.step)
