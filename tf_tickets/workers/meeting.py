"""How the workers of a run find each other by TF_CONFIG, on the chief's own port, before TensorFlow starts.

The chief hears anybody, each in a thread of its own and for a few seconds: strangers delay nobody. With a key file
both ends prove to know the key, by the handshake of multiprocessing.connection, before they read anything else.
"""

import contextlib
import queue
import selectors
import socket
import threading
import time
from collections.abc import Callable
from multiprocessing import AuthenticationError
from multiprocessing.connection import answer_challenge, deliver_challenge

from tf_tickets.errors import StopRequested, TicketError, UsageError, reason
from tf_tickets.workers import addresses, messages
from tf_tickets.workers.sockets import promptly
from tf_tickets.workers.tf_config import KEY_FILE, Cluster
from tf_tickets.workers.wire import FAILURE, LOOK_SECONDS, VALUE, Challenge, Wire

# Machines of one job start minutes apart.
SECONDS_TO_MEET = 300.0
# Within these a caller has said who it is, and is heard at the same time as so many others.
_HELLO_SECONDS, _HELLO_BYTES, _CALLERS = 5.0, 1 << 18, 64
_VERDICT_SECONDS = 10.0
# What the handshake raises: AssertionError up to Python 3.11.
_REFUSED = (AuthenticationError, AssertionError, EOFError, ValueError)


def answer(cluster: Cluster, settings: dict, until: float, stop: Callable[[], bool]) -> dict:
    """The chief's part: listens on its own port until every other worker has called, and tells them all.

    Args:
      settings: {flag: text} that all workers must agree in.
      until: time.monotonic() by which all have to be there.
      stop: asked while waiting.

    Returns:
      {worker: Wire}.

    Raises:
      UsageError: the port cannot be opened; a worker did not come, came twice, or wants something else.
      StopRequested: `stop()` said so.
    """
    wires, wanted = {}, {}

    def heed():
        missing = " and ".join(cluster.name(worker) for worker in range(1, cluster.size) if worker not in wires)
        strangers = f" ({callers.strangers} others did)" if callers.strangers else ""
        key = " with the key" if cluster.key else ""
        _look(until, stop, f"TF_CONFIG: {missing} did not call{key}{strangers}; start it, or check network")

    callers = _Callers(cluster)
    with contextlib.ExitStack() as opened, selectors.DefaultSelector() as selector:
        opened.callback(callers.leave)
        try:
            for listener in promptly(lambda: addresses.listeners(cluster, _CALLERS), heed):
                listener.settimeout(LOOK_SECONDS)
                selector.register(opened.enter_context(listener), selectors.EVENT_READ)
            while len(wires) < cluster.size - 1:
                heed()
                for ready, _ in selector.select(LOOK_SECONDS):
                    if ready.data is None:
                        callers.accept(ready.fileobj)
                    else:  # it was started anew, or sends what nobody asked for
                        selector.unregister(ready.fileobj)
                        wires.pop(ready.data).close()
                for worker, wire, its in callers.welcomed():
                    _admit(cluster, worker, wire, wires)
                    selector.register(wire, selectors.EVENT_READ, worker)
                    wanted[worker] = its
            _check_agreement(cluster, settings, wanted)
        except TicketError as error:
            _refuse(wires, error)
            raise
    for wire in wires.values():
        with contextlib.suppress(OSError):  # who is gone by now is noticed by the team
            wire.send(VALUE)
    return wires


def _check_agreement(cluster, settings, wanted):
    for worker, theirs in sorted(wanted.items()):
        for name in {**settings, **theirs}:
            own, its = settings.get(name), theirs.get(name)
            if own != its:
                raise UsageError(
                    f"{cluster.name(worker)} has {name[:100]}={str(its)[:500]}, the chief {name[:100]}="
                    f"{str(own)[:500]}: give all the same"
                )


def _refuse(wires, error):
    """Tells waiting workers why the run does not begin, and hangs up."""
    for wire in wires.values():
        with contextlib.suppress(OSError):
            wire.send(FAILURE, messages.of_error(error), 1.0)
        wire.close()


def _admit(cluster, worker, wire, wires):
    problem = None
    if not 0 < worker < cluster.size:
        problem = f"TF_CONFIG: a worker calls itself {worker} of {cluster.size}: give all the same list"
    elif worker in wires:
        problem = f"TF_CONFIG: two workers call themselves {worker}: give each its own task index"
    if problem:
        _refuse({worker: wire}, UsageError(problem))
        raise UsageError(problem)
    wires[worker] = wire


class _Callers:
    """Those who have called, until they have said who they are; each in a thread, which ends by itself.

    Attributes:
      strangers: how many said nothing of use in time.
    """

    def __init__(self, cluster):
        self.strangers = 0
        self._cluster, self._known, self._over = cluster, queue.SimpleQueue(), threading.Event()
        self._places = threading.BoundedSemaphore(_CALLERS)

    def accept(self, listener):
        """Hears the next caller, once there is a place for it."""
        if not self._places.acquire(timeout=LOOK_SECONDS):
            return
        try:
            wire = Wire(listener.accept()[0], _HELLO_BYTES)
        except OSError:  # it has hung up already, or there are no more files to open
            self._places.release()
            time.sleep(LOOK_SECONDS)
            return
        threading.Thread(target=self._hear, args=(wire,), daemon=True).start()

    def _hear(self, wire):
        try:
            self._known.put(_welcome(self._cluster.key, wire, self._over))
            if self._over.is_set():  # `leave` may have looked before
                self.leave()
        except (OSError, *_REFUSED):
            self.strangers += 1
            wire.close()
        finally:
            self._places.release()

    def welcomed(self):
        """(worker, Wire, settings) of those who have come since."""
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._known.get_nowait()

    def leave(self):
        """Hangs up on all who are not known yet."""
        self._over.set()
        for _, wire, _ in self.welcomed():
            wire.close()


def _welcome(key, wire, over):
    """(worker, wire, settings) of a caller; OSError, or one of `_REFUSED`, for a stranger or one that was too slow."""

    def heed():
        if over.is_set():
            raise ConnectionError("the workers have met")

    until = time.monotonic() + _HELLO_SECONDS
    wire.send(VALUE, messages.of_value({"key": key is not None}), _HELLO_SECONDS)
    if key is not None:
        challenge = Challenge(wire, until, heed)
        deliver_challenge(challenge, key)  # pyright: ignore[reportArgumentType]  has what a handshake takes
        answer_challenge(challenge, key)  # pyright: ignore[reportArgumentType]
    kind, data = wire.receive(until - time.monotonic(), heed)
    hello = messages.to_value(data) if kind == VALUE else None
    if not (isinstance(hello, dict) and type(hello.get("worker")) is int and _are_settings(hello.get("settings"))):
        raise messages.Malformed("no hello")
    return hello["worker"], wire, hello["settings"]


def _are_settings(value):
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _look(until, stop, problem):
    if stop():
        raise StopRequested("stopped on request before the workers met; run again to continue")
    if time.monotonic() > until:
        raise UsageError(problem)


def call(cluster: Cluster, settings: dict, until: float, stop: Callable[[], bool]) -> Wire:
    """Another worker's part: calls the chief until it answers, and waits until all are there.

    Args:
      cluster, until, stop: see `answer`.
      settings: {flag: text} that the chief compares with its own.

    Returns:
      The Wire to the chief.

    Raises:
      UsageError: the chief did not answer in time, or refused, or has another key.
      StopRequested: `stop()` said so.
    """
    problem = f"TF_CONFIG: {cluster.name(0)} did not answer; start it, or check address and network"

    def heed():
        # The chief, which gives up first, knows who is missing.
        _look(until + (_VERDICT_SECONDS if hello_is_sent else 0.0), stop, problem)

    while True:
        hello_is_sent = False
        with contextlib.suppress(OSError), contextlib.ExitStack() as undone:
            (connection,) = promptly(lambda: [socket.create_connection(cluster.place(0), timeout=5.0)], heed)
            wire = Wire(connection, _HELLO_BYTES)
            undone.callback(wire.close)
            _introduce(cluster, wire, settings, heed)
            hello_is_sent = True
            kind, data = wire.receive(until + _VERDICT_SECONDS - time.monotonic(), heed)
            if kind == FAILURE:
                raise messages.to_error(data)
            undone.pop_all()
            return wire
        # The chief is not there yet, or started anew, or another program is at its port.
        heed()
        time.sleep(LOOK_SECONDS)


def _introduce(cluster, wire, settings, heed):
    """Says hello to what answers at the chief's address, if it is the chief."""
    until = time.monotonic() + 2 * _HELLO_SECONDS
    kind, data = wire.receive(until - time.monotonic(), heed)
    greeting = messages.to_value(data)
    if kind != VALUE or not isinstance(greeting, dict) or type(greeting.get("key")) is not bool:
        raise messages.Malformed("no greeting")
    if greeting["key"] != (cluster.key is not None):
        which = "wants a key and there is none here" if greeting["key"] else "wants no key and there is one here"
        raise UsageError(f"{KEY_FILE}: {cluster.name(0)} {which}: set it on all workers, to the same file")
    if cluster.key is not None:
        challenge = Challenge(wire, until, heed)
        try:
            answer_challenge(challenge, cluster.key)  # pyright: ignore[reportArgumentType]  has what a handshake takes
            deliver_challenge(challenge, cluster.key)  # pyright: ignore[reportArgumentType]
        except _REFUSED:
            raise UsageError(f"{KEY_FILE}: {cluster.name(0)} has another key: give all workers the same file") from None
    wire.send(VALUE, messages.of_value({"worker": cluster.index, "settings": settings}), _HELLO_SECONDS)


def check_reachable(cluster: Cluster, stop: Callable[[], bool] = lambda: False) -> None:
    """Tries every worker's own port, where TensorFlow listens by now.

    Raises:
      UsageError: one cannot be reached from here.
      StopRequested: `stop()` said so.
    """
    for worker in range(cluster.size):
        if worker == cluster.index:
            continue
        try:
            (connection,) = promptly(
                lambda worker=worker: [socket.create_connection(cluster.place(worker), timeout=10.0)],
                lambda: _look(float("inf"), stop, ""),
            )
            connection.close()
        except OSError as error:
            raise UsageError(
                f"TF_CONFIG: {cluster.name(worker)} cannot be reached from {cluster.name(cluster.index)} "
                f"({reason(error)}); check address and network"
            ) from None
