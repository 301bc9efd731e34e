"""`sweep --engine=ray`: each run is a Ray task, and Ray starts it again wherever its worker or node is lost.

A run's folder says how far it is, so a task that starts again continues. Ray chooses the node and holds the queue; here
is what is asked of it, and what comes back.
"""

import contextlib
import dataclasses
import functools
import os
import queue
import socket
import threading
import time
import typing
from collections.abc import Iterator

from tf_tickets import storage
from tf_tickets.errors import LockedError, StateError, StopRequested, TicketError, UsageError, reason
from tf_tickets.settings.config import Config
from tf_tickets.sweeps import pool, ray_cluster
from tf_tickets.sweeps.outcomes import Outcome, Run, run_words

# Nodes may come and go for days; a run that takes its node down each time has to end some day.
_RETRIES = 100

# Seconds between two looks at what has happened, and between two at whether to stop.
_LOOK, _HEED = 0.2, 1.0

# Seconds that a run waits for its folder: the first time for processes that are just dying; where a node was lost,
# until the file server frees its locks.
_FIRST, _AGAIN = 30.0, 600.0

# What of this process' environment a run sees on its node, beside the node's own.
_HANDED = ("TF_", "TFDS_", "XLA_", "OMP_", "KERAS_", "MPL", "PYTHON")


@dataclasses.dataclass(frozen=True)
class Order:
    """One run as a node gets it.

    Attributes:
      name: of the run.
      words: its command line's words after the program's name.
      log: the file that takes what it prints.
      environment: dict of environment variables to add.
      folder: the working folder, where the node has it.
      session: content of the file `session` beside the log.
    """

    name: str
    words: tuple
    log: str
    environment: dict
    folder: str
    session: bytes


class Board:
    """An actor on the sweep's own node: which runs have started, and whether to stop."""

    def __init__(self):
        self._starts, self._news, self._stopping = {}, [], False

    def started(self, name: str, place: str) -> int | None:
        """Which start of this run it is, from 1; None after `stop`: it must not start."""
        if self._stopping:
            return None
        self._starts[name] = self._starts.get(name, 0) + 1
        self._news.append((name, place))
        return self._starts[name]

    def news(self) -> list[tuple[str, str]]:
        """(name, place) of the starts since the last call."""
        starts, self._news = self._news, []
        return starts

    def stop(self) -> set[str]:
        """No run starts any more; returns the names of those that have."""
        self._stopping = True
        return set(self._starts)

    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping


@contextlib.contextmanager
def engine(config: Config) -> Iterator[tuple]:
    """A cluster while it is needed.

    Args:
      config: the sweep's Config.

    Yields:
      (how many runs at a time, function (runs, tally.Progress, stop) -> Outcomes as they come).
    """
    # Standard output is for the table; Ray prints there of every node that is lost.
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        ray = ray_cluster.connect(config.command.address)
        try:
            demand = ray_cluster.demand(ray, config.command)
            yield demand.slots, functools.partial(_map_runs, ray, demand)
        except ray.exceptions.RayError as error:  # pyright: ignore[reportAttributeAccessIssue]  imported by ray
            raise StopRequested(f"the Ray cluster is lost ({reason(error)}); run again to continue") from error
        finally:
            ray.shutdown()


def _map_runs(ray, demand, todo, progress, stop):
    path = os.path.join(os.path.dirname(todo[0].log), "ray.log")
    descriptor = storage.open_own(path, os.O_WRONLY | os.O_APPEND)
    with os.fdopen(descriptor, "a", encoding="utf-8") as told, contextlib.redirect_stdout(told):
        yield from _outcomes(ray, demand, todo, progress, stop)


def _outcomes(ray, demand, todo, progress, stop):
    here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    board = ray.remote(Board).options(num_cpus=0, scheduling_strategy=here).remote()
    task = ray.remote(run_order).options(
        num_cpus=demand.cpus, num_gpus=demand.gpus, max_retries=_RETRIES, scheduling_strategy="SPREAD"
    )
    run_of = {task.remote(order(run, demand), board): run for run in todo}
    waiting, stopping, by_name = list(run_of), False, {run.name: run for run in todo}
    while waiting:
        if not stopping and stop():
            stopping, begun = True, ray.get(board.stop.remote())
            yield from (Outcome(run_of[task], None) for task in waiting if run_of[task].name not in begun)
            waiting = [task for task in waiting if run_of[task].name in begun]
        done, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=_LOOK) if waiting else ([], [])
        for name, place in ray.get(board.news.remote()):
            progress.started(by_name[name], place)
        for task in done:
            status, message = _result(ray, task)
            outcome = Outcome(run_of[task], status, message=message)
            progress.ended(outcome)
            yield outcome


def order(run: Run, demand: ray_cluster.Demand) -> Order:
    """The Order of an outcomes.Run."""
    threads = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"), str(demand.cpus))
    handed = {name: value for name, value in os.environ.items() if name.startswith(_HANDED)}
    environment = threads | handed  # a number that the user has set stands
    if not demand.gpus:
        environment["CUDA_VISIBLE_DEVICES"] = ""
    elif demand.gpus < 1:
        # TensorFlow takes a GPU's whole memory unless told that it is shared.
        environment["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
    out, log = os.path.abspath(run.config.run.out), os.path.abspath(run.log)
    with storage.open_regular(os.path.join(out, "sweep", "session"), StateError) as file:
        session = file.read()
    return Order(run.name, (*run.words, f"--out={out}"), log, environment, os.getcwd(), session)


def _result(ray, task):
    """(status, message) of a task that is over."""
    try:
        return ray.get(task)
    except ray.exceptions.RayTaskError as error:  # ours, raised on the node
        status = UsageError.exit_status if isinstance(error.cause, ImportError) else TicketError.exit_status
        return status, reason(error.cause)
    except ray.exceptions.RayError as error:  # the node or its worker, more than `_RETRIES` times
        return StopRequested.exit_status, reason(error)


def run_order(order: Order, board: typing.Any) -> tuple[int | None, str]:
    """What a node does with a run: the task.

    Args:
      board: the Board's handle.

    Returns:
      (status, message): as an Outcome has them.
    """
    children, ended, first = pool.Children(), threading.Event(), queue.SimpleQueue()
    # Ray gives the cores of a task away while its main thread waits for an answer; that of a thread costs nothing.
    watcher = threading.Thread(target=_watch, args=(order.name, board, children, ended, first))
    watcher.start()
    try:
        starts = first.get()
        if starts is None:
            return None, ""
        problem = _not_shared(order)
        if problem:
            return UsageError.exit_status, problem
        return _run(order, children, _FIRST if starts == 1 else _AGAIN)
    finally:
        ended.set()
        children.stop()
        watcher.join()


def _watch(name, board, children, ended, first):
    """Tells the board of the start, and stops the run when the board says so or is gone."""
    import ray

    try:
        first.put(ray.get(board.started.remote(name, socket.gethostname())))
        while not ended.wait(_HEED):
            if ray.get(board.stopping.remote()):
                break
    except ray.exceptions.RayError:  # pyright: ignore[reportAttributeAccessIssue]
        first.put(None)  # the sweep is gone: nobody waits for this run
    children.stop()


def _not_shared(order):
    """The problem with a node that does not have the sweep's own folder, or None."""
    folder = os.path.dirname(order.log)
    try:
        with storage.open_regular(os.path.join(folder, "session"), StateError) as file:
            same = file.read() == order.session
    except (OSError, StateError):
        same = False
    if same:
        return None
    return f"{socket.gethostname()} does not see the sweep's {folder}: --out has to lie on storage that all nodes share"


def _run(order, children, patience):
    """Runs it, and waits while a process that is about to end, or a lost node's lock, still has the folder."""
    program = ("-m", "tf_tickets.sweeps.leash", str(os.getpid()))
    folder = order.folder if os.path.isdir(order.folder) else None
    deadline = time.monotonic() + patience
    while True:
        status, message = run_words(order.words, order.log, order.environment, children, program=program, folder=folder)
        if status != LockedError.exit_status or children.stopping or time.monotonic() > deadline:
            return status, message
        time.sleep(_HEED)
