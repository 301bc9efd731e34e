"""How far a training is, for people: a live line or log lines."""

import time

from tf_tickets import streams
from tf_tickets.observers import Block, Observer


class Progress(Observer):
    """One live line on a terminal and in a notebook, plain log lines elsewhere.

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
        self, mode: str, *, title: str, detail: str = "", shown: str = "test", first_step: int, last_step: int,
        steps_per_epoch: int, images_per_epoch: int, steps_after: int,
    ):  # fmt: skip
        self._title, self._detail, self._shown = title, detail, shown
        self._first_step, self._last_step = first_step, last_step
        self._steps_per_epoch, self._images_per_step = steps_per_epoch, images_per_epoch / steps_per_epoch
        self._steps_after = steps_after
        self._live = mode == "line" or (mode == "auto" and streams.can_replace())
        self._quiet = mode == "none"
        self._row, self._started, self._counted_from, self._printed = {}, time.monotonic(), first_step, 0.0

    def epoch_ends(self, row: dict) -> None:
        """Remembers the epoch's numbers."""
        self._row |= {name: value for name, value in row.items() if value is not None}

    def block_ends(self, block: Block) -> None:
        """Prints, at most ten times a second live and twice a minute in a log."""
        now = time.monotonic()
        if self._counted_from == self._first_step:
            # The first block holds the tracing of the step: leave it out of the rate.
            self._counted_from, self._started = block.step, now
        if self._quiet or not (block.last or now - self._printed > (0.1 if self._live else 30.0)):
            return
        self._printed = now
        parts = self._parts(block.step, now)
        if self._live:
            streams.live(_fitted(parts, streams.columns() - 1), block.last)
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
