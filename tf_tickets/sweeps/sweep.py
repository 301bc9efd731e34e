"""`sweep`: every point of a grid as a run in a process of its own. No TensorFlow here, only in those processes."""

import contextlib
import functools
import os
import secrets
import typing
from collections.abc import Callable, Iterable

from tf_tickets import leftovers, storage
from tf_tickets.errors import StateError, StopRequested, TicketError, UsageError
from tf_tickets.experiments import plan
from tf_tickets.experiments.train import prepare
from tf_tickets.settings.config import Config, options
from tf_tickets.sweeps import devices, grid, pool
from tf_tickets.sweeps.outcomes import WORST, Outcome, Run, run_words
from tf_tickets.sweeps.sweep_lines import Progress

# Bytes that the first file takes: a disk without them has no room for a run either.
_ROOM = 1 << 16


def resolve(config: Config, names: Iterable[str], check: Callable[[str, Config], None]) -> list[Run]:
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
    return resolve_points(grid.points(config.command.sweep or ""), of_runs(config, names), check)


def of_runs(config: Config, names: Iterable[str]) -> dict[str, typing.Any]:
    """Those of the flags that were set which every run gets, by name, with their values."""
    given = {name: value for name, value in config.values().items() if name in names}
    kept = ("out", "allow_other_environment")
    return {name: value for name, value in given.items() if name in kept or name not in grid.OF_THE_SWEEP}


def resolve_points(
    points: Iterable[grid.Point], given: dict[str, typing.Any], check: Callable[[str, Config], None]
) -> list[Run]:
    """As `resolve`, of points that are there.

    Args:
      points: grid.Points.
      given: the settings that all of them share.
      check: as of `resolve`.
    """
    runs, known = [], {}
    for point in points:
        try:
            run = _resolve(point, given, check)
        except TicketError as error:
            raise type(error)(f"--sweep, at {point}: {error}") from None
        first = known.setdefault(run.folder.folder, point)
        if first is not point:
            raise UsageError(
                f"--sweep: {first} and {point} are the same run, {run.name}: no number of it depends on how they "
                "differ; leave one out"
            )
        runs.append(run)
    return runs


def _resolve(point, given, check):
    values = {**given, **point.values}
    config = Config.from_values(**values)
    check(point.command, config)
    plan.check_writable(config)
    planning = config.replace(dry_run=True)  # the runs themselves download what they need
    known = options()
    words = (point.command, *(known[name].format(value) for name, value in values.items()), "--progress=log")
    if point.command == "train":
        planned, _, folder = prepare(planning)
        return Run(point, config, planned, folder, planned.control.rounds_trained(config), words)
    planned = plan.resolve(planning)
    return Run(point, config, planned, planned.folder(), config.pruning.rounds, words)


def sweep(
    runs: list[Run],
    config: Config,
    stop: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda line: None,
) -> list[Outcome]:
    """Runs or continues every run of a sweep that is not finished.

    Args:
      runs: list of Runs, of `resolve`.
      config: the sweep's Config.
      stop: asked a few times a second; when true, the running runs are stopped and StopRequested raised.
      say: takes the lines of progress.

    Returns:
      A list of Outcomes, in the order of `runs`. Failed runs do not keep the others from running.

    Raises:
      StopRequested: the runs that were going have saved their state.
      StateError: the folder of the logs cannot be written.
      UsageError: there is no such cluster, or it has no room for a run; nothing was touched.
    """
    outcomes = run_stages(runs, config, lambda ended, _: [r for r in runs if r.name not in ended], stop=stop, say=say)
    return [outcomes[run.name] for run in runs]


def run_stages(
    runs: list[Run], config: Config, following: Callable[[dict[str, Outcome], Progress], list[Run]],
    *, stop: Callable[[], bool] = lambda: False, say: Callable[[str], None] = lambda line: None,
    ended: Callable[[Outcome], None] = lambda outcome: None,
) -> dict[str, Outcome]:  # fmt: skip
    """Runs some of the runs, then others by how those ended, and so on.

    Args:
      runs: list of Runs: all that may be needed. What each gets of the machine depends on their number.
      config: the sweep's Config.
      following: function (Outcomes so far by name, Progress) -> the runs of the next stage; none: the end.
      stop, say: as of `sweep`.
      ended: told of each Outcome as it comes.

    Returns:
      The Outcomes by name; of runs that were not needed none.

    Raises:
      StopRequested, StateError, UsageError: as of `sweep`.
    """
    outcomes = {run.name: Outcome(run, 0, skipped=True) for run in runs if run.finished}
    progress = Progress(runs, say)
    for outcome in outcomes.values():
        progress.ended(outcome)
    todo = following(outcomes, progress)
    if todo:
        with _engine(config, len(runs)) as (progress.workers, map_runs):
            open_logs(config.run.out)
            while todo:
                for outcome in map_runs(todo, progress, stop):
                    outcomes[outcome.run.name] = outcome
                    ended(outcome)
                todo = following(outcomes, progress)
    if any(outcome.status in (None, StopRequested.exit_status) for outcome in outcomes.values()) and stop():
        done = sum(outcome.status == 0 for outcome in outcomes.values())
        raise StopRequested(f"stopped on request: {done} of {len(runs)} runs are finished; run again to continue")
    return outcomes


def _engine(config, count):
    """What runs them: a context of (how many at a time, function (runs, Progress, stop) -> Outcomes as they come)."""
    if config.command.engine == "ray":
        from tf_tickets.sweeps import ray_engine

        return ray_engine.engine(config)
    return _processes(config, count)


@contextlib.contextmanager
def _processes(config, count):
    shares = devices.environments(config.command.workers, count)

    def map_runs(todo, progress, stop):
        return pool.map_points(functools.partial(_told, progress), todo, shares, stop)

    yield len(shares), map_runs


def _told(progress, run, environment, children):
    if not children.stopping:
        progress.started(run)
    status, message = run_words(run.words, run.log, environment, children)
    outcome = Outcome(run, status, message=message)
    progress.ended(outcome)
    return outcome


def open_logs(out: str) -> None:
    """Makes the folder of the logs; StateError, and nothing left behind, where the disk has no room for them.

    What is written, `<out>/sweep/session`, also tells whoever reads it elsewhere that this is the same folder.
    """
    path = os.path.join(storage.subfolder(out, "sweep"), "session")
    leftovers.remove_forsaken(os.path.dirname(path))
    made, missing = os.path.dirname(path), []
    while made and not os.path.exists(made):
        missing.append(made)
        made = os.path.dirname(made)
    try:
        storage.write_bytes(path, secrets.token_hex(_ROOM // 2).encode())
    except StateError:
        for folder in missing:
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        raise


def worst(outcomes: list[Outcome]) -> int:
    """The exit status of a whole sweep: the worst of its runs', 0 if all finished."""
    statuses = {outcome.status for outcome in outcomes}
    return next((status for status in WORST if status in statuses), 0)
