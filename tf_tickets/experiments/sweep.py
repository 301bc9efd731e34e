"""`sweep`: every point of a grid as a run in a process of its own. No TensorFlow here, only in those processes."""

import dataclasses
import functools
import os
import shlex
import signal
import subprocess
import sys

from tf_tickets import config as configs
from tf_tickets import runs, storage
from tf_tickets.errors import LockedError, StateError, StopRequested, TicketError, UsageError
from tf_tickets.experiments import grid, pool, workers
from tf_tickets.experiments import plan as plans
from tf_tickets.experiments.imp import choose_round
from tf_tickets.experiments.tally import Progress
from tf_tickets.experiments.train import prepare

# The worst first: a defect, damaged state, diverged, in use, bad input, stopped from outside.
_WORST = (1, StateError.exit_status, 5, LockedError.exit_status, UsageError.exit_status, StopRequested.exit_status)


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
    config: configs.Config
    plan: plans.Plan
    folder: runs.RunFolder
    rounds: int
    words: tuple

    @property
    def name(self):
        """The last two folders, `<dataset>-<model>-<digest8>/seed_<s>...`."""
        return "/".join(self.folder.folder.split(os.sep)[-2:])

    @property
    def log(self):
        """The file that takes what the run prints."""
        return os.path.join(self.config.run.out, "sweep", self.name.replace("/", "-") + ".log")

    @property
    def complete(self):
        """The number of complete rounds, at most `rounds`."""
        return next((r for r in range(self.rounds) if not self.folder.round(r).complete), self.rounds)

    @property
    def steps_left(self):
        """Training steps of the rounds that are not complete."""
        return self.plan.steps_of(range(self.complete, self.rounds))

    @property
    def chosen(self):
        """The round whose ticket is exported; None before all are complete."""
        if self.complete < self.rounds:
            return None
        if self.point.command == "train":
            return self.rounds - 1
        return choose_round(self.config, self.folder.summaries()[: self.rounds])

    @property
    def finished(self):
        """Whether nothing is left to do: rounds, ticket and table are there. What is damaged is not finished."""
        document = os.path.join(self.folder.ticket, "ticket.json")
        if self.complete < self.rounds or not os.path.exists(document) or not os.path.exists(self.folder.table):
            return False
        try:
            return storage.read_json(document).get("round") == self.chosen
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
    def chosen(self):
        """The round whose ticket was exported; None for a run that did not finish."""
        return self.run.chosen if self.status == 0 else None

    @property
    def state(self):
        """One word or two for tables."""
        if self.status == 0:
            return "finished"
        return "stopped" if self.status in (None, StopRequested.exit_status) else f"failed ({self.status})"


def resolve(config, names, check):
    """Resolves every point of `--sweep`, before anything starts.

    Args:
      config: the Config of the sweep's own flags, not checked for conflicts.
      names: the flags that were set.
      check: function (command, config) that raises UsageError for flags that do not belong to the command.

    Returns:
      A list of Runs.

    Raises:
      UsageError, StateError: one line with the first bad point's values; or two points are the same run.
    """
    given = {name: value for name, value in config.values().items() if name in names}
    kept = ("out", "allow_other_environment")
    given = {name: value for name, value in given.items() if name in kept or name not in grid.OF_THE_SWEEP}
    found, known = [], {}
    for point in grid.points(config.command.sweep):
        try:
            run = _resolve(point, given, check)
        except TicketError as error:
            raise type(error)(f"--sweep, at {point}: {error}") from None
        other = known.setdefault(run.folder.folder, point)
        if other is not point:
            raise UsageError(
                f"--sweep: {other} and {point} are the same run, {run.name}: what parts them does not change it"
            )
        found.append(run)
    return found


def _resolve(point, given, check):
    values = {**given, **point.values}
    config = configs.Config.from_values(**values)
    check(point.command, config)
    options = configs.options()
    words = [options[name].format(value) for name, value in values.items()]
    words = (point.command, *words, "--progress=log")
    if point.command == "train":
        plan, _, folder = prepare(config)
        rounds = 2 if config.pruning.control == "one_shot" else 1
        return Run(point, config, plan, folder, rounds, words)
    plan = plans.resolve(config)
    return Run(point, config, plan, plan.folder(), config.pruning.rounds, words)


def sweep(found, config, stop=lambda: False, say=lambda line: None):
    """Runs or continues every run of a sweep that is not finished.

    Args:
      found: list of Runs, of `resolve`.
      config: the sweep's Config.
      stop: asked a few times a second; when true, the running runs are stopped and StopRequested raised.
      say: takes the lines of progress.

    Returns:
      A list of Outcomes, in the order of `found`. Failed runs do not keep the others from running.

    Raises:
      StopRequested: the runs that were going have saved their state.
      StateError: the folder of the logs cannot be written.
    """
    outcomes = {run.name: Outcome(run, 0, skipped=True) for run in found if run.finished}
    todo = [run for run in found if run.name not in outcomes]
    progress = Progress(found, say)
    for outcome in outcomes.values():
        progress.ended(outcome)
    if todo:
        try:
            os.makedirs(os.path.dirname(todo[0].log), exist_ok=True)
        except OSError as error:
            raise StateError(f"{error.filename} cannot be made: {error.strerror}; choose another --out") from None
        shares = workers.environments(config.command.workers, len(found))
        progress.workers = len(shares)
        for outcome in pool.map_points(functools.partial(_told, progress), todo, shares, stop):
            outcomes[outcome.run.name] = outcome
    if any(outcome.status in (None, StopRequested.exit_status) for outcome in outcomes.values()) and stop():
        done = sum(outcome.status == 0 for outcome in outcomes.values())
        raise StopRequested(f"stopped on request: {done} of {len(found)} runs are finished; run again to continue")
    return [outcomes[run.name] for run in found]


def _told(progress, run, environment, children):
    if not children.stopping:
        progress.started(run)
    outcome = run_point(run, environment, children)
    progress.ended(outcome)
    return outcome


def run_point(run, environment, children):
    """Runs one point in a process of its own, to its end.

    Args:
      run: a Run.
      environment: dict of environment variables to add.
      children: a pool.Children, which starts the process and can stop it.

    Returns:
      An Outcome.
    """
    try:
        with open(run.log, "ab") as log:
            log.write(f"# python -m tf_tickets.main {shlex.join(run.words)}\n".encode())
            log.flush()
            process = children.start(
                [sys.executable, "-m", "tf_tickets.main", *run.words], env={**os.environ, **environment},
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
            if process is None:
                return Outcome(run, None)
            status = process.wait()
        if -status in (signal.SIGINT, signal.SIGTERM):  # asked to stop before it had learnt its own way to
            return Outcome(run, StopRequested.exit_status, message=_reason(run.log, status))
        return Outcome(run, status if status in (0, *_WORST) else 1, message=_reason(run.log, status))
    except OSError as error:
        return Outcome(run, StateError.exit_status, message=f"{error.filename or run.log}: {error.strerror}")


def _reason(log, status):
    """Why a run failed: what it said last, or the signal that ended it."""
    if status == 0:
        return ""
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    with open(log, "rb") as file:
        file.seek(max(0, os.path.getsize(log) - 8192))
        lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if line.startswith("tf-tickets: ")), lines[-1])
    return said.removeprefix("tf-tickets: ")[:500]


def worst(outcomes):
    """The exit status of a whole sweep: the worst of its runs', 0 if all finished."""
    found = {outcome.status for outcome in outcomes}
    return next((status for status in _WORST if status in found), 0)
