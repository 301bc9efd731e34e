"""How far a sweep is, in plain lines."""

import threading
import time

from tf_tickets.errors import StopRequested
from tf_tickets.sweeps.outcomes import Outcome, Run


class Progress:
    """One line for each run that starts or ends, with the minutes left by the steps of the runs that finished here.

    The threads of the runs call it.

    Args:
      runs: list of sweep.Runs.
      say: takes the lines.

    Attributes:
      workers: how many runs go on at a time.
    """

    def __init__(self, runs, say):
        self._numbers = {run.name: number for number, run in enumerate(runs, 1)}
        self._waiting = {run.name: run.steps_left for run in runs}
        self._running, self._ended, self._say, self.workers = {}, 0, say, 1
        self._seconds, self._steps = 0.0, 0
        self._lock = threading.Lock()

    def started(self, run: Run, place: str = "") -> None:
        """A run's turn has come, or has come again: where it ran before was lost."""
        with self._lock:
            word = "started again" if run.name in self._running else "started"
            self._running[run.name] = time.monotonic(), self._waiting.pop(run.name, run.steps_left)
            begun = f", from round {run.complete}" if run.complete else ""
            self._line(word, run, f"{place and f' on {place}'}{begun}")

    def ended(self, outcome: Outcome) -> None:
        """A run is over, or had been before."""
        with self._lock:
            name, self._ended = outcome.run.name, self._ended + (outcome.status is not None)
            self._waiting.pop(name, None)
            if outcome.skipped:
                self._line("skipped", outcome.run, ": finished before")
                return
            if name not in self._running:
                return
            began, steps = self._running.pop(name)
            seconds = time.monotonic() - began
            if outcome.status == 0:
                self._seconds, self._steps = self._seconds + seconds, self._steps + max(1, steps)
                self._line("finished", outcome.run, f" in {seconds / 60:.1f} minutes; {self._rest()}")
            elif outcome.status in (None, StopRequested.exit_status):
                self._line("stopped", outcome.run, "")
            else:
                self._line("failed", outcome.run, f" with exit status {outcome.status}: {outcome.message}")

    def left_out(self, run: Run, why: str) -> None:
        """A run that will not be needed."""
        with self._lock:
            if self._waiting.pop(run.name, None) is not None:
                self._ended += 1
                self._line("left out", run, f": {why}")

    def _line(self, word, run, text):
        self._say(f"[{self._numbers[run.name]}/{len(self._numbers)}] {word} {run.name} ({run.point}){text}")

    def _rest(self):
        pace, now = self._seconds / self._steps, time.monotonic()
        going = [max(0.0, steps * pace - (now - began)) for began, steps in self._running.values()]
        left = going + [steps * pace for steps in self._waiting.values()]
        if not left:
            return f"{self._ended} of {len(self._numbers)} done"
        minutes = max([sum(left) / self.workers, *left, 0.0]) / 60
        return f"{self._ended} of {len(self._numbers)} done, about {minutes:.1f} minutes left"
