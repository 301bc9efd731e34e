"""The workers of one run: what the chief tells the others, and what becomes of all when one is lost.

TensorFlow's collectives add up gradients and nothing else. Decisions, states and hashes go over a connection of each
worker to the chief, opened before TensorFlow starts, on the chief's own port of TF_CONFIG: a worker that dies, or has
an error, is known to all within a second, while a collective would wait for it for ever.
"""

import contextlib
import io
import json
import queue
import threading
import time

import numpy as np

from tf_tickets import streams
from tf_tickets import wire as connections
from tf_tickets.errors import StateError, TicketError, UsageError, WorkerLost, plain
from tf_tickets.wire import BYE, FAILURE, PING, VALUE, error_of, failure_of

# A worker from which nothing came for so long is lost; each says something far more often than that.
_SILENCE_SECONDS = 60.0
_PING_SECONDS = 5.0
# Who is not told in time that another failed, because a collective waits for it, leaves at once.
_GRACE_SECONDS = 2.0


class Alone:
    """A run on one machine: its own chief, with nobody to tell."""

    chief, index, size, cluster = True, 0, 1, None

    def from_chief(self, function):
        """What the chief's `function()` returns, a JSON value; nobody else calls it."""
        return function()

    def arrays_from_chief(self, function):
        """What the chief's `function()` returns, a dict of arrays; nobody else calls it."""
        return function()

    def from_chief_alone(self, function):
        """What `function()` returns on the chief; None on all others, which wait for it."""
        return function()

    def gather(self, value):
        """Everybody's JSON value, in the workers' order."""
        return [value]

    def gathered(self, parts):
        """Everybody's arrays as one list, in turns: the first of each worker, then the second of each."""
        return parts

    def any(self, flag):
        """Whether anybody's flag is set: the same answer for all."""
        return bool(flag)

    def check_same(self, value, problem, error=StateError):
        """Raises `error` on all unless everybody's JSON value is the chief's.

        Args:
          value: mine.
          problem: what another one's means, as in "holds other masks than the chief; restart it".
          error: class of the error, whose message names the worker.
        """


ALONE = Alone()


class Team(Alone):
    """Several workers, connected through the chief; a context that says goodbye, or tells the others of an error.

    Attributes:
      chief: whether this worker writes the run folder.
      index, size: this worker's place among how many.
      cluster: the cluster.Cluster.
    """

    def __init__(self, cluster, wires):
        """`wires`: {worker: wire.Wire}; the chief has one to each other worker, those to the chief alone."""
        self.cluster, self.index, self.size, self.chief = cluster, cluster.index, cluster.size, cluster.index == 0
        self._wires, self._inboxes = wires, {worker: queue.Queue() for worker in wires}
        self._failure, self._failed = None, threading.Event()
        self._known, self._leaving = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        for worker in wires:
            threading.Thread(target=self._listen, args=(worker,), daemon=True).start()
        threading.Thread(target=self._ping, daemon=True).start()

    def from_chief(self, function):
        """See Alone."""
        if not self.chief:
            return json.loads(self._take(0))
        value = function()
        self._tell(json.dumps(value).encode("utf-8"))
        return value

    def arrays_from_chief(self, function):
        """See Alone."""
        if not self.chief:
            return _unpacked(self._take(0))
        arrays = function()
        self._tell(_packed(arrays))
        return arrays

    def from_chief_alone(self, function):
        """See Alone."""
        found = function() if self.chief else None
        self.from_chief(lambda: None)
        return found

    def gather(self, value):
        """See Alone."""
        if not self.chief:
            self._send(0, VALUE, json.dumps(value).encode("utf-8"))
            return json.loads(self._take(0))
        return self.from_chief(lambda: [value, *(json.loads(self._take(w)) for w in sorted(self._wires))])

    def gathered(self, parts):
        """See Alone."""
        mine = {f"{turn:06d} {self.index:06d}": part for turn, part in enumerate(parts)}
        if not self.chief:
            self._send(0, VALUE, _packed(mine))
        found = self.arrays_from_chief(lambda: mine | self._collected())
        return [found[name] for name in sorted(found)]

    def _collected(self):
        return {name: array for worker in self._wires for name, array in _unpacked(self._take(worker)).items()}

    def any(self, flag):
        """See Alone."""
        return any(self.gather(bool(flag)))

    def check_same(self, value, problem, error=StateError):
        """See Alone."""
        found = self.gather(value)
        odd = next((worker for worker, other in enumerate(found) if other != found[0]), None)
        if odd is not None:
            raise error(f"{self.cluster.name(odd)} {problem}")

    def _tell(self, data):
        for worker in self._wires:
            self._send(worker, VALUE, data)

    def _send(self, worker, kind, data):
        try:
            self._wires[worker].send(kind, data)
        except OSError:
            self._fail(self._lost(worker))
            self._raise()

    def _take(self, worker):
        data = self._inboxes[worker].get()
        if data is None:
            self._raise()
        return data

    def _raise(self):
        self._known.set()
        raise self._failure

    def _lost(self, worker):
        return WorkerLost(
            f"{self.cluster.name(worker)} is gone; run the same command on all workers again to continue from the last "
            "checkpoint"
        )

    def _listen(self, worker):
        """One thread for each wire: sorts what comes, and notices when nothing does."""
        while not self._leaving.is_set():
            try:
                kind, data = self._wires[worker].receive(_SILENCE_SECONDS)
            except OSError:  # the end of the connection, and silence
                return self._fail(self._lost(worker))
            if kind == VALUE:
                self._inboxes[worker].put(data)
            elif kind == FAILURE:
                return self._fail(error_of(data))
            elif kind == BYE:
                return None
        return None

    def _ping(self):
        while not self._leaving.wait(_PING_SECONDS):
            for wire in self._wires.values():
                with contextlib.suppress(OSError):
                    wire.send(PING)

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
                wire.send(FAILURE, failure_of(error))

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
                    wire.send(BYE)
        for wire in self._wires.values():
            wire.close()
        if lost:
            raise self._failure from None


def _packed(arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getbuffer()


def _unpacked(data):
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def meet(cluster, settings, stop=lambda: False, seconds=None):
    """Waits until all workers are there, and checks that they want the same.

    Args:
      cluster: a cluster.Cluster.
      settings: {flag: text} that all workers must agree in.
      stop: asked while waiting.
      seconds: how long to wait; None: `wire.SECONDS_TO_MEET`.

    Returns:
      A Team.

    Raises:
      UsageError: somebody does not come, or wants something else.
      StopRequested: `stop()` said so.
    """
    until = time.monotonic() + (connections.SECONDS_TO_MEET if seconds is None else seconds)
    if cluster.index:
        return Team(cluster, {0: connections.call(cluster, settings, until, stop)})
    wires, wanted = connections.answer(cluster, until, stop)
    problem = _disagreement(cluster, settings, wanted)
    if problem:
        connections.refuse(wires, UsageError(problem))
        raise UsageError(problem)
    for each in wires.values():
        with contextlib.suppress(OSError):  # who is gone by now is noticed by the team
            each.send(VALUE)
    return Team(cluster, wires)


def _disagreement(cluster, settings, wanted):
    for worker, theirs in sorted(wanted.items()):
        for name in {**settings, **theirs}:
            mine, other = settings.get(name), theirs.get(name)
            if mine != other:
                return f"{cluster.name(worker)} has {name}={other}, the chief {name}={mine}: give all the same"
    return None
