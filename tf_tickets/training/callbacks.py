"""Callbacks of a round: checkpoints, live progress, TensorBoard, profiling."""

import json
import os
import time

import numpy as np

from tf_tickets import storage, streams
from tf_tickets.backend import keras, tf
from tf_tickets.errors import StateError
from tf_tickets.models import state
from tf_tickets.training import optimizers

# Writing takes at most this share of the time since the last checkpoint.
_WRITING_SHARE = 0.01


class Checkpoint(keras.callbacks.Callback):
    """Saves weights, optimizer and the epochs so far, in two generations.

    How often is a matter of time, what is saved is not: a resumed round ends in the same bits. The last step of a
    round is always saved as the first generation, so a finished folder does not tell how often it was interrupted.
    """

    def __init__(self, folder, steps, identity, rows, extra=dict, rewind=None):
        """`extra`: function -> further arrays to save; `rewind`: path of the file that later rounds start from."""
        super().__init__()
        self._extra, self._rewind = extra, rewind
        self._folder, self._steps, self._identity = folder, steps, identity
        self._rows = list(rows)
        self._saved, self._cost, self._next = time.monotonic(), 0.1, 0

    def on_epoch_end(self, epoch, logs=None):
        """Keeps the epoch's row for the next checkpoint."""
        self._rows.append(logs)

    def on_train_batch_end(self, batch, logs=None):
        """Saves when enough time has passed, or when the run is about to stop."""
        inside_epoch = len(logs["partial"]) > 0
        if inside_epoch and self._steps.devices.replicas > 1:
            return  # replicas' own normalisation statistics are only one value at an epoch's end
        due = time.monotonic() - self._saved > self._cost / _WRITING_SHARE
        if logs["last"]:
            self.save(self._folder.checkpoints[0], batch, logs["partial"])
            storage.remove(self._folder.checkpoints[1])
        elif due or logs["stopping"]:
            self.save(self._folder.checkpoints[self._next], batch, logs["partial"])
            self._next = 1 - self._next

    def on_epoch_interrupted(self, step, logs):
        """Saves what is trained of an epoch whose evaluation does not end."""
        self.save(self._folder.checkpoints[self._next], step, logs["partial"])

    def save(self, path, step, partial):
        """Writes one generation."""
        started = time.monotonic()
        # Only the chief saves, when all statistics are the same.
        model = state.get_state(self._steps.model, own=self._steps.devices.workers > 1)
        arrays = {f"model/{name}": array for name, array in model.items()}
        arrays |= {f"optimizer/{name}": array for name, array in optimizers.get_state(self._steps.optimizer).items()}
        facts = {"identity": self._identity, "step": step, "rows": self._rows, "rewind": self._rewind_digest()}
        arrays["facts"] = np.frombuffer(json.dumps(facts, sort_keys=True).encode("utf-8"), np.uint8)
        storage.write_arrays(path, arrays | self._extra() | {"partial": partial})
        self._saved = time.monotonic()
        self._cost = self._saved - started

    def _rewind_digest(self):
        return storage.file_digest(self._rewind) if self._rewind and os.path.exists(self._rewind) else None

    def continue_after(self, path):
        """Lets the next save overwrite the generation that was not resumed from."""
        self._next = 1 - self._folder.checkpoints.index(path)


def load_checkpoint(folder, identity, say):
    """The newest readable generation of a round.

    Args:
      folder: a runs.RoundFolder.
      identity: what the checkpoint has to belong to.
      say: function for a notice to the user.

    Returns:
      (path, arrays, facts), or None if no checkpoint was written.

    Raises:
      StateError: there are checkpoints, and none is usable.
    """
    found, problems = [], []
    for path in folder.checkpoints:
        if not os.path.exists(path):
            continue
        try:
            arrays = storage.read_arrays(path)
            facts = json.loads(arrays.pop("facts").tobytes())
            if facts["identity"] != identity:
                raise StateError(f"{path} belongs to another run or round ({facts['identity']}); delete it")
            found.append((facts["step"], path, arrays, facts))
        except (KeyError, ValueError, StateError) as error:
            problems.append(str(error) if isinstance(error, StateError) else f"{path} is damaged: {error}; delete it")
    if not found:
        if problems:
            raise StateError(problems[0])
        return None
    for problem in problems:
        say(f"{problem} (an older checkpoint is used)")
    _, path, arrays, facts = max(found, key=lambda item: item[0])
    return path, arrays, facts


def restore(steps, arrays):
    """Assigns a checkpoint's arrays; StateError if they do not fit."""
    try:
        state.set_state(steps.model, _under("model/", arrays))
        optimizers.set_state(steps.optimizer, _under("optimizer/", arrays))
    except (ValueError, KeyError) as error:
        raise StateError(f"the checkpoint does not fit the network: {error}; delete it") from None


def _under(prefix, arrays):
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}


class TensorBoard(keras.callbacks.Callback):
    """Scalars of one round, by epoch. A resumed round starts its folder anew, so no epoch stands there twice."""

    def __init__(self, folder, rows):
        super().__init__()
        storage.remove(folder)
        self._writer = tf.summary.create_file_writer(folder)
        for row in rows:
            self._write(row)

    def _write(self, row):
        with self._writer.as_default(step=row["epoch"]):
            for name, value in row.items():
                if name != "epoch" and value is not None:
                    tf.summary.scalar(name, value)

    def on_epoch_end(self, epoch, logs=None):
        """Writes the epoch's row."""
        self._write(logs)

    def on_train_end(self, logs=None):
        """Closes the event file."""
        self._writer.close()


class Profile(keras.callbacks.Callback):
    """Traces steps first..last of this process's first round; TensorBoard's profiler opens the trace."""

    def __init__(self, folder, first_step, last_step):
        super().__init__()
        self._folder, self._first, self._last, self._running = folder, first_step, last_step, False

    def on_train_begin(self, logs=None):
        """Starts at once when the first step is wanted."""
        self._at(logs["step"])

    def on_train_batch_end(self, batch, logs=None):
        """Starts or stops at the boundaries."""
        self._at(batch)

    def _at(self, step):
        if step == self._first and not self._running:
            tf.profiler.experimental.start(self._folder)
            self._running = True
        elif step == self._last:
            self.on_train_end()

    def on_train_end(self, logs=None):
        """Stops the trace if it still runs."""
        if self._running:
            tf.profiler.experimental.stop()
            self._running = False


class Progress(keras.callbacks.Callback):
    """One live line on a terminal, plain log lines elsewhere.

    Args:
      mode: as --progress.
      title: what goes on.
      detail: more of it, which a narrow terminal does without.
      shown: the part whose accuracy is shown, test or validation.
      first_step, last_step: the steps between which training goes on.
      steps_per_epoch, images_per_epoch: of this training.
      steps_after: steps of later rounds, for the time left.
    """

    def __init__(
        self, mode, *, title, detail="", shown="test", first_step, last_step, steps_per_epoch, images_per_epoch,
        steps_after,
    ):  # fmt: skip
        super().__init__()
        self._title, self._detail, self._shown = title, detail, shown
        self._first_step, self._last_step = first_step, last_step
        self._steps_per_epoch, self._images_per_step = steps_per_epoch, images_per_epoch / steps_per_epoch
        self._steps_after = steps_after
        self._live = mode == "line" or (mode == "auto" and streams.is_terminal())
        self._quiet = mode == "none"
        self._row, self._started, self._counted_from, self._printed = {}, time.monotonic(), first_step, 0.0

    def on_epoch_end(self, epoch, logs=None):
        """Remembers the epoch's numbers."""
        self._row |= {name: value for name, value in logs.items() if value is not None}

    def on_train_batch_end(self, batch, logs=None):
        """Prints, at most ten times a second live and twice a minute in a log."""
        now, last = time.monotonic(), logs["last"]
        if self._counted_from == self._first_step:
            # The first block holds the tracing of the step: leave it out of the rate.
            self._counted_from, self._started = batch, now
        if self._quiet or not (last or now - self._printed > (0.1 if self._live else 30.0)):
            return
        self._printed = now
        parts = self._parts(batch, now)
        if self._live:
            streams.live(_fitted(parts, streams.columns() - 1), last)
        else:
            streams.say("  ".join(parts.values()))

    def _parts(self, step, now):
        """The line's parts by name, in their order."""
        epochs = f"epoch {-(-step // self._steps_per_epoch)}/{self._last_step // self._steps_per_epoch}"
        parts = {"title": self._title, "detail": self._detail, "epoch": epochs}
        if "train_loss" in self._row:
            parts["loss"] = f"loss {self._row['train_loss']:.3f}"
        if (accuracy := self._row.get(f"{self._shown}_accuracy")) is not None:
            parts["accuracy"] = f"{self._shown} {100 * accuracy:.1f} %"
        seconds, done = now - self._started, step - self._counted_from
        if done > 0 and seconds > 0:
            left = (self._last_step - step + self._steps_after) * seconds / done
            parts["rate"] = f"{done * self._images_per_step / seconds:,.0f} images/s"
            parts["left"] = f"{int(left) // 3600}:{int(left) // 60 % 60:02d}:{int(left) % 60:02d} left"
        return {name: text for name, text in parts.items() if text}


def _fitted(parts, width):
    """The parts as one line of at most `width` characters: what matters least is left out first."""
    parts = dict(parts)
    for name in ("rate", "loss", "detail", "left", "epoch"):
        if len("  ".join(parts.values())) <= width:
            break
        parts.pop(name, None)
    return "  ".join(parts.values())[: max(width, 0)]
