"""Checkpoints of a round: writing, reading, restoring."""

import json
import os
import time
import typing
from collections.abc import Callable

import numpy as np

from tf_tickets import runs, storage
from tf_tickets.errors import StateError
from tf_tickets.models import state
from tf_tickets.observers import Block, Observer
from tf_tickets.training import optimizers
from tf_tickets.training.steps import Steps

# Writing takes at most this share of the time since the last checkpoint.
_WRITING_SHARE = 0.01


class Checkpoint(typing.NamedTuple):
    """A checkpoint as it was read.

    Attributes:
      path: its file.
      arrays: by name; the network's are under `model/`, the optimizer's under `optimizer/`, and `movement/`.
      facts: identity, step, rows of the epochs so far, rewind (the digest of rewind.npz at the time, or None).
    """

    path: str
    arrays: dict[str, np.ndarray]
    facts: dict


class CheckpointWriter(Observer):
    """Saves weights, optimizer and the epochs so far, in two generations.

    How often is a matter of time, what is saved is not: a resumed round ends in the same bits. The last step of a
    round is always saved as the first generation, so a finished folder does not tell how often it was interrupted.
    """

    def __init__(
        self, folder: runs.RoundFolder, steps: Steps, identity: str, rows: list[dict],
        *, extra: Callable[[], dict[str, np.ndarray]] = dict, rewind: str | None = None, resumed: str | None = None,
    ):  # fmt: skip
        """What is saved where.

        Args:
          folder: of the round.
          steps: whose network and optimizer are saved.
          identity: what the checkpoint belongs to.
          rows: of the epochs before.
          extra: function -> further arrays to save.
          rewind: path of the file that later rounds start from.
          resumed: path of the generation that was resumed from; the other one is overwritten first.
        """
        self._folder, self._steps, self._identity, self._rows = folder, steps, identity, list(rows)
        self._extra, self._rewind = extra, rewind
        self._saved, self._cost = time.monotonic(), 0.1
        self._next = 1 - folder.checkpoints.index(resumed) if resumed else 0

    def epoch_ends(self, row: dict) -> None:
        """Keeps the epoch's row for the next checkpoint."""
        self._rows.append(row)

    def block_ends(self, block: Block) -> None:
        """Saves when enough time has passed, or when the training is about to stop."""
        if len(block.outcomes) and self._steps.devices.replicas > 1:
            return  # replicas' own normalisation statistics are only one value at an epoch's end
        due = time.monotonic() - self._saved > self._cost / _WRITING_SHARE
        if block.last:
            self.save(self._folder.checkpoints[0], block)
            storage.remove(self._folder.checkpoints[1])
        elif due or block.stopping:
            self._save_next(block)

    def evaluation_interrupted(self, block: Block) -> None:
        """Saves the trained epoch, whose evaluation a resumed round begins with."""
        self._save_next(block)

    def _save_next(self, block):
        self.save(self._folder.checkpoints[self._next], block)
        self._next = 1 - self._next

    def save(self, path: str, block: Block) -> None:
        """Writes one generation."""
        started = time.monotonic()
        # Only the chief saves, when all statistics are the same.
        model = state.get_state(self._steps.model, own=self._steps.devices.workers > 1)
        arrays = {f"model/{name}": array for name, array in model.items()}
        arrays |= {f"optimizer/{name}": array for name, array in optimizers.get_state(self._steps.optimizer).items()}
        arrays |= {f"movement/{name}": array for name, array in self._steps.movement.items()}
        facts = {"identity": self._identity, "step": block.step, "rows": self._rows, "rewind": self._rewind_digest()}
        arrays["facts"] = np.frombuffer(json.dumps(facts, sort_keys=True).encode("utf-8"), np.uint8)
        storage.write_arrays(path, arrays | self._extra() | {"partial": block.outcomes})
        self._saved = time.monotonic()
        self._cost = self._saved - started

    def _rewind_digest(self):
        return storage.file_digest(self._rewind) if self._rewind and os.path.exists(self._rewind) else None


def load(folder: runs.RoundFolder, identity: str, say: Callable[[str], None]) -> Checkpoint | None:
    """The newest readable generation of a round.

    Args:
      folder: of the round.
      identity: what the checkpoint has to belong to.
      say: function for a notice to the user.

    Returns:
      None if no checkpoint was written.

    Raises:
      StateError: there are checkpoints, and none is usable.
    """
    readable, problems = [], []
    for path in folder.checkpoints:
        if not os.path.exists(path):
            continue
        try:
            arrays = storage.read_arrays(path)
            facts = json.loads(arrays.pop("facts").tobytes())
            if facts["identity"] != identity:
                raise StateError(f"{path} belongs to another run or round ({facts['identity']}); delete it")
            readable.append((facts["step"], Checkpoint(path, arrays, facts)))
        except (KeyError, ValueError, StateError) as error:
            problems.append(str(error) if isinstance(error, StateError) else f"{path} is damaged: {error}; delete it")
    if not readable:
        if problems:
            raise StateError(problems[0])
        return None
    for problem in problems:
        say(f"{problem} (an older checkpoint is used)")
    return max(readable, key=lambda dated: dated[0])[1]


def restore(steps: Steps, arrays: dict[str, np.ndarray]) -> None:
    """Assigns a checkpoint's arrays; StateError if they do not fit."""
    try:
        state.set_state(steps.model, _under("model/", arrays))
        optimizers.set_state(steps.optimizer, _under("optimizer/", arrays))
        steps.set_movement(_under("movement/", arrays))
    except (ValueError, KeyError) as error:
        raise StateError(f"the checkpoint does not fit the network: {error}; delete it") from None


def _under(prefix, arrays):
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
