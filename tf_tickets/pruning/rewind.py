"""The rewind point: the full state of the network that every later round starts from."""

from tf_tickets import storage
from tf_tickets.backend import keras
from tf_tickets.models import state


class RewindPoint(keras.callbacks.Callback):
    """Saves the network's whole state when exactly `step` steps of round 0 are done.

    It stands before the checkpoint in the list of callbacks, so no checkpoint beyond the rewind point exists without
    it.
    """

    def __init__(self, path, step, writes=True):
        """`writes`: whether this worker keeps the file; all have to give their statistics for it."""
        super().__init__()
        self._path, self._step, self._writes = path, step, writes

    def _at(self, step):
        if step == self._step:
            arrays = state.get_state(self.model)
            if self._writes:
                storage.write_arrays(self._path, arrays)

    def on_train_begin(self, logs=None):
        """`init`: the state before the first step."""
        self._at(logs["step"])

    def on_train_batch_end(self, batch, logs=None):
        """Saves at the step itself; `fit` ends a block there."""
        self._at(batch)

    def on_epoch_interrupted(self, step, logs):
        """Saves before the checkpoint does, also where the evaluation of the epoch does not end."""
        self._at(step)
