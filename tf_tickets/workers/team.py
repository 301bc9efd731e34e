"""The workers of one run: what the chief tells the others, and what becomes of all when one is lost.

TensorFlow's collectives add up gradients and nothing else. Decisions, states and hashes go over a connection of each
worker to the chief, opened before TensorFlow starts, on the chief's own port of TF_CONFIG: a worker that dies, or has
an error, is known to all within a second, while a collective would wait for it for ever.
"""

import contextlib
import queue
import threading
import time
import typing
from collections.abc import Callable

from tf_tickets import streams
from tf_tickets.errors import StateError, TicketError, WorkerLost, plain
from tf_tickets.workers import meeting, messages
from tf_tickets.workers.tf_config import Cluster
from tf_tickets.workers.wire import BYE, FAILURE, SMALL, VALUE

# A worker from which nothing came for so long is lost; each says something far more often than that.
_SILENCE_SECONDS = 60.0
_PING_SECONDS = 5.0
# Who is not told in time that another failed, because a collective waits for it, leaves at once.
_GRACE_SECONDS = 2.0
_SPREADING_SECONDS = 1.0  # for what is said last


class Alone:
    """A run on one machine: its own chief, with nobody to tell."""

    chief, index, size = True, 0, 1
    cluster: Cluster | None = None

    def allow(self, count: int) -> None:
        """From now on a message may have `count` bytes, if that is more than before; else it has none of arrays."""

    def from_chief(self, function: Callable[[], typing.Any], fits: Callable) -> typing.Any:
        """What the chief's `function()` returns, a JSON value; nobody else calls it.

        Args:
          fits: function value -> whether it is such a one as the others expect.
        """
        return function()

    def arrays_from_chief(self, function: Callable[[], typing.Any], expected: Callable) -> dict:
        """What the chief's `function()` returns, a dict of arrays; nobody else calls it.

        Args:
          expected: function -> {name: messages.ArraySpec} of those arrays; the others get them in this order.
        """
        return function()

    def from_chief_alone(self, function: Callable[[], typing.Any]) -> typing.Any:
        """What `function()` returns on the chief; None on all others, which wait for it."""
        return function()

    def gather(self, value: object) -> list:
        """Everybody's JSON value, in the workers' order; all are of one type."""
        return [value]

    def gathered(self, parts: list, expected: list[messages.ArraySpec]) -> list:
        """Everybody's arrays as one list, in turns: the first of each worker, then the second of each.

        Args:
          parts: this worker's.
          expected: the messages.ArraySpec of each in that list.
        """
        return parts

    def any(self, flag: bool) -> bool:
        """Whether anybody's flag is set: the same answer for all."""
        return bool(flag)

    def check_same(self, value: object, problem: str, error: type[Exception] = StateError) -> None:
        """Raises `error` on all unless everybody's JSON value is the chief's.

        Args:
          value: this worker's.
          problem: what another one's means, as in "holds other masks than the chief; restart it".
          error: class of the error, whose message names the worker.
        """


ALONE = Alone()


class Team(Alone):
    """Several workers, connected through the chief; a context that says goodbye, or tells the others of an error.

    Attributes:
      chief: whether this worker writes the run folder.
      index, size: this worker's place among how many.
      stop: asked by who waits for others before there is anything to save.
    """

    cluster: Cluster
    _failure: TicketError | None = None

    def __init__(self, cluster, wires, stop=lambda: False):
        """`wires`: {worker: wire.Wire}; the chief has one to each other worker, those to the chief alone."""
        self.cluster, self.index, self.size, self.stop = cluster, cluster.index, cluster.size, stop
        self.chief = cluster.index == 0
        self._wires, self._inboxes = wires, {worker: queue.Queue() for worker in wires}
        self._failed, self._known, self._leaving = threading.Event(), threading.Event(), threading.Event()
        self._lock = threading.Lock()
        for worker, wire in wires.items():
            wire.largest = SMALL
            threading.Thread(target=self._listen, args=(worker,), daemon=True).start()
        threading.Thread(target=self._ping, daemon=True).start()

    def allow(self, count: int) -> None:
        """See Alone."""
        for wire in self._wires.values():
            wire.largest = max(wire.largest, count)

    def from_chief(self, function: Callable[[], typing.Any], fits: Callable) -> typing.Any:
        """See Alone."""
        if not self.chief:
            return self._value(0, fits)
        self._tell(messages.of_value(value := function()))
        return value

    def arrays_from_chief(self, function: Callable[[], typing.Any], expected: Callable) -> dict:
        """See Alone."""
        if not self.chief:
            return self._read(0, messages.to_arrays, expected())
        self._tell(messages.of_arrays(arrays := function()))
        return arrays

    def from_chief_alone(self, function: Callable[[], typing.Any]) -> typing.Any:
        """See Alone."""
        result = function() if self.chief else None
        self.from_chief(lambda: None, lambda value: value is None)
        return result

    def gather(self, value: object) -> list:
        """See Alone."""
        if not self.chief:
            self._send(0, messages.of_value(value))
        return self.from_chief(
            lambda: [value, *(self._value(w, lambda answer: type(answer) is type(value)) for w in sorted(self._wires))],
            lambda values: type(values) is list and [type(answer) for answer in values] == [type(value)] * self.size,
        )

    def gathered(self, parts: list, expected: list[messages.ArraySpec]) -> list:
        """See Alone."""
        places = [divmod(place, self.size) for place in range(len(expected))]
        names = {f"{turn:06d} {worker:06d}": spec for (turn, worker), spec in zip(places, expected)}
        own = {f"{turn:06d} {self.index:06d}": part for turn, part in enumerate(parts)}
        if not self.chief:
            self._send(0, messages.of_arrays(own))
        return list(self.arrays_from_chief(lambda: self._collected(names, own), lambda: names).values())

    def _collected(self, names, own):
        arrays = dict(own)
        for worker in self._wires:
            its = {name: spec for name, spec in names.items() if int(name.split()[1]) == worker}
            arrays |= self._read(worker, messages.to_arrays, its)
        return {name: arrays[name] for name in names}

    def any(self, flag: bool) -> bool:
        """See Alone."""
        return any(self.gather(bool(flag)))

    def check_same(self, value: object, problem: str, error: type[Exception] = StateError) -> None:
        """See Alone."""
        values = self.gather(value)
        odd = next((worker for worker, answer in enumerate(values) if answer != values[0]), None)
        if odd is not None:
            raise error(f"{self.cluster.name(odd)} {problem}")

    def _tell(self, data):
        for worker in self._wires:
            self._send(worker, data)

    def _send(self, worker, data):
        try:
            self._wires[worker].send(VALUE, data)
        except OSError:
            self._known.set()
            self._fail(self._lost(worker))
            self._raise()

    def _take(self, worker):
        if (data := self._inboxes[worker].get()) is None:
            self._known.set()
            self._fail(self._lost(worker))  # it said goodbye; else there is a failure already
            self._raise()
        return data

    def _value(self, worker, fits):
        value = self._read(worker, messages.to_value)
        if not fits(value):
            self._refuse(worker, f"{str(value)[:100]!r}, which is not expected here")
        return value

    def _read(self, worker, read, *expected):
        try:
            return read(self._take(worker), *expected)
        except messages.Malformed as problem:
            self._refuse(worker, problem)

    def _refuse(self, worker, problem):
        raise StateError(f"{self.cluster.name(worker)} sent {problem}; install the same on all workers")

    def _raise(self):
        self._known.set()
        assert self._failure is not None, "an inbox ends after a failure"
        raise self._failure

    def _lost(self, worker, why="is gone"):
        return WorkerLost(
            f"{self.cluster.name(worker)} {why}; run the same command on all workers again to continue from the last "
            "checkpoint"
        )

    def _listen(self, worker):
        """One thread for each wire: sorts what comes, and notices when nothing does. However it ends, that is told."""
        try:
            while not self._leaving.is_set():
                kind, data = self._wires[worker].receive(_SILENCE_SECONDS)
                if kind == VALUE:
                    self._inboxes[worker].put(data)
                elif kind == FAILURE:
                    self._fail(messages.to_error(data))
                    break
                elif kind == BYE:
                    self._inboxes[worker].put(None)
                    break
        except messages.Malformed as problem:
            self._fail(self._lost(worker, f"sent {problem}"))
        except OSError:  # the end of the connection, and silence
            self._fail(self._lost(worker))
        except Exception as error:
            self._fail(self._lost(worker, f"cannot be heard ({type(error).__name__}: {error})"))

    def _ping(self):
        while not self._leaving.wait(_PING_SECONDS):
            for wire in self._wires.values():
                with contextlib.suppress(OSError):
                    wire.ping()

    def _fail(self, error):
        """Another worker failed: whoever waits for it is told; who is caught in a collective is ended."""
        with self._lock:
            if self._failure is not None or self._leaving.is_set():
                return
            self._failure = error
        self._failed.set()
        self._spread(error)
        for inbox in self._inboxes.values():
            inbox.put(None)
        if not self._known.wait(_GRACE_SECONDS) and not self._leaving.is_set():
            # Everything on disk is whole at any time, and the system frees the lock.
            streams.say(f"tf-tickets: {plain(error)}")
            streams.leave(error.exit_status)

    def _spread(self, error):
        for wire in self._wires.values():
            with contextlib.suppress(OSError):
                wire.send(FAILURE, messages.of_error(error), _SPREADING_SECONDS)

    def __enter__(self):
        """Itself."""
        return self

    def __exit__(self, kind, error, trace):
        """Says goodbye, or what went wrong; after any other error the others find this worker gone."""
        self._known.set()
        # A collective whose other end is gone may say so first, in words of TensorFlow's.
        lost = error is not None and kind.__module__.startswith("tensorflow") and self._failed.wait(_GRACE_SECONDS)
        self._leaving.set()
        if isinstance(error, TicketError) and self._failure is None:
            self._spread(error)
        elif error is None:
            for wire in self._wires.values():
                with contextlib.suppress(OSError):
                    wire.send(BYE, seconds=_SPREADING_SECONDS)
        for wire in self._wires.values():
            wire.close()
        if lost and self._failure is not None:
            raise self._failure from None


def meet(
    cluster: Cluster, settings: dict[str, str], stop: Callable[[], bool] = lambda: False, seconds: float | None = None
) -> Team:
    """Waits until all workers are there, and checks that they want the same.

    Args as of `meeting.answer`; `seconds`: how long to wait, unset: `meeting.SECONDS_TO_MEET`.

    Raises:
      UsageError: somebody does not come, has another key, or wants something else.
      StopRequested: `stop()` said so.
    """
    until = time.monotonic() + (meeting.SECONDS_TO_MEET if seconds is None else seconds)
    if cluster.index:
        return Team(cluster, {0: meeting.call(cluster, settings, until, stop)}, stop)
    return Team(cluster, meeting.answer(cluster, settings, until, stop), stop)
