"""What TensorBoard shows of one round: scalars by epoch, and a profile of some steps."""

from tf_tickets import storage
from tf_tickets.backend import tf
from tf_tickets.observers import Block, Observer


class TensorBoard(Observer):
    """Scalars of one round, by epoch. A resumed round starts its folder anew, so no epoch stands there twice."""

    def __init__(self, folder: str, rows: list[dict]):
        """`folder`: of the round's events; `rows`: of the epochs before."""
        storage.remove(folder)
        self._writer = tf.summary.create_file_writer(folder)
        for row in rows:
            self._write(row)

    def _write(self, row):
        with self._writer.as_default(step=row["epoch"]):
            for name, value in row.items():
                if name != "epoch" and value is not None:
                    tf.summary.scalar(name, value)

    def epoch_ends(self, row: dict) -> None:
        """Writes the epoch's row."""
        self._write(row)

    def training_ends(self) -> None:
        """Closes the event file."""
        self._writer.close()


class Profile(Observer):
    """Traces steps first..last of this process's first round; TensorBoard's profiler opens the trace."""

    def __init__(self, folder: str, first_step: int, last_step: int):
        self._folder, self._first, self._last, self._running = folder, first_step, last_step, False
        self.boundaries = (first_step, last_step)

    def training_begins(self, step: int) -> None:
        """Starts at once when the first step is wanted."""
        self._at(step)

    def block_ends(self, block: Block) -> None:
        """Starts or stops at the boundaries."""
        self._at(block.step)

    def _at(self, step):
        if step == self._first and not self._running:
            tf.profiler.experimental.start(self._folder)
            self._running = True
        elif step == self._last:
            self.training_ends()

    def training_ends(self) -> None:
        """Stops the trace if it still runs."""
        if self._running:
            tf.profiler.experimental.stop()
            self._running = False
