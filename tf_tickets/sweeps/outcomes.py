"""One run of a sweep: what is asked for, its process, and how it ended. No TensorFlow."""

import dataclasses
import os
import shlex
import signal
import subprocess
import sys

from tf_tickets import runs, storage
from tf_tickets.errors import DivergedError, LockedError, StateError, StopRequested, TicketError, UsageError
from tf_tickets.experiments import imp, rival
from tf_tickets.experiments.choosing import choose_round, latest_choice
from tf_tickets.experiments.folds import is_calibrated
from tf_tickets.experiments.plan import Plan, resolve
from tf_tickets.registry import CONTROLS
from tf_tickets.settings.config import Config
from tf_tickets.sweeps import grid
from tf_tickets.sweeps.pool import Children

# The worst first: a defect, damaged state, diverged, in use, bad input, stopped from outside.
WORST = (
    TicketError.exit_status, StateError.exit_status, DivergedError.exit_status, LockedError.exit_status,
    UsageError.exit_status, StopRequested.exit_status,
)  # fmt: skip
PROGRAM = ("-m", "tf_tickets.main")


@dataclasses.dataclass(frozen=True)
class Run:
    """One point of the grid, resolved.

    Attributes:
      point: the grid.Point.
      config: its Config.
      plan: its experiments.plan.Plan.
      folder: its runs.RunFolder.
      rounds: the number of rounds that it trains.
      words: the command line's words after the program's name.
    """

    point: grid.Point
    config: Config
    plan: Plan
    folder: runs.RunFolder
    rounds: int
    words: tuple

    @property
    def name(self) -> str:
        """The last two folders, `<dataset>-<model>-<digest8>/seed_<s>...`."""
        return self.folder.name

    @property
    def recipe(self) -> str:
        """What runs share that a report compares pair by pair: the name without the seeds.

        A control that takes a ticket has another one in each pair, which is left out.
        """
        config = self.config
        if CONTROLS[config.pruning.control].of_a_ticket:
            digest = config.digest(self.point.command, [("ticket", "")])
            return f"{config.data.file_name}-{config.network.file_name}-{digest}"
        return self.name.partition("/")[0]

    @property
    def log(self) -> str:
        """The file that takes what the run prints."""
        return os.path.join(self.config.run.out, "sweep", self.name.replace("/", "-") + ".log")

    @property
    def complete(self) -> int:
        """The number of complete rounds, at most `rounds`."""
        return next((r for r in range(self.rounds) if not self.folder.round(r).complete), self.rounds)

    @property
    def steps_left(self) -> int:
        """Training steps of rounds and rival that are not complete; of those of a refit not chosen yet, the most."""
        steps = self.plan.steps_of(range(self.complete, self.rounds))
        if self.point.command != "imp":
            return steps
        if rival.is_asked(self.config) and not self.folder.rival.round(0).complete:
            steps += rival.planned_epochs(self.plan) * self.plan.steps_per_epoch
        if not self.config.choice.refit:
            return steps
        last = latest_choice(self.config) if self.chosen is None else self.chosen
        left = [index for index in range(last + 1) if not self.folder.refit.round(index).complete]
        return steps + resolve(self.config, refits=True).steps_of(left)

    @property
    def chosen(self) -> int | None:
        """The round whose ticket is exported; None before all are complete."""
        if self.complete < self.rounds:
            return None
        if self.point.command == "train":
            return self.rounds - 1
        return choose_round(self.config, self.folder.summaries()[: self.rounds])

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do: rounds, ticket and table are there. What is damaged is not finished."""
        if self.complete < self.rounds or not os.path.exists(self.folder.table):
            return False
        try:
            exported = self.folder.exported()
            if self.point.command != "imp":
                wanted, target = (self.chosen, ""), self.folder.round(self.rounds - 1)
            else:
                result = imp.to_export(self.plan, self.folder)
                if rival.is_asked(self.config) and result.verdict is None:
                    return False
                wanted, target = (result.exported, result.home.inner), result.best
            return exported == wanted and is_calibrated(target, self.config.choice.calibration)
        except (StateError, KeyError):
            return False


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
      run: the Run.
      status: exit status; 0 also for a run that was finished before; None if it was not started.
      skipped: whether it was finished before.
      message: why it failed, one line.
    """

    run: Run
    status: int | None
    skipped: bool = False
    message: str = ""

    def __str__(self):
        """What a message calls it."""
        return f"{self.run.name} ({self.run.point}) failed, log {self.run.log}: {self.message}"

    @property
    def chosen(self) -> int | None:
        """The round whose ticket was exported; None for a run that did not finish."""
        return self.run.chosen if self.status == 0 else None

    @property
    def state(self) -> str:
        """One word or two for tables."""
        if self.status == 0:
            return "finished"
        return "stopped" if self.status in (None, StopRequested.exit_status) else f"failed ({self.status})"


def run_words(
    words: tuple, log: str, environment: dict, children: Children, *, program: tuple = PROGRAM,
    folder: str | None = None,
) -> tuple[int | None, str]:  # fmt: skip
    """Runs one point in a process of its own, to its end.

    Args:
      words: its command line's words after the program's name.
      log: the file that takes what it prints.
      environment: dict of environment variables to add.
      children: a pool.Children, which starts the process and can stop it.
      program: what Python is told to run.
      folder: the process' working folder; None: this one's.

    Returns:
      (status, message): as an Outcome has them.
    """
    try:
        with os.fdopen(storage.open_own(log, os.O_WRONLY | os.O_APPEND), "ab") as file:
            file.write(f"# python -m tf_tickets.main {shlex.join(words)}\n".encode())
            file.flush()
            process = children.start(
                [sys.executable, *program, *words], env={**os.environ, **environment}, cwd=folder,
                stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
            )  # fmt: skip
            if process is None:
                return None, ""
            status = process.wait()
        # Asked to stop before it had learnt its own way to.
        if -status in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            return StopRequested.exit_status, _reason(log, status)
        return status if status in (0, *WORST) else TicketError.exit_status, _reason(log, status)
    except StateError as error:
        return error.exit_status, str(error)
    except OSError as error:
        return StateError.exit_status, f"{error.filename or log}: {error.strerror}"


def _reason(log, status):
    """Why a run failed: what it said last, or the signal that ended it."""
    if status == 0:
        return ""
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    with storage.open_regular(log, StateError) as file:
        file.seek(max(0, os.path.getsize(log) - 8192))
        lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if line.startswith("tf-tickets: ")), lines[-1])
    return said.removeprefix("tf-tickets: ")[:500]
