"""Connections between workers: short messages over TCP, and how workers find each other by TF_CONFIG."""

import contextlib
import json
import select
import socket
import struct
import threading
import time

from tf_tickets.errors import StopRequested, TicketError, UsageError

PING, VALUE, FAILURE, BYE = b"p", b"v", b"f", b"b"
# Machines of one job start minutes apart.
SECONDS_TO_MEET = 300.0
_HEADER = struct.Struct(">4scQ")
_MARK = b"tft1"
_LOOK_SECONDS = 0.2
_VERDICT_SECONDS = 10.0


class Wire:
    """One connection; several threads may send, one receives."""

    def __init__(self, connection):
        self._socket, self._sending = connection, threading.Lock()
        connection.settimeout(None)
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, kind, data=b""):
        """Sends one message; OSError when the other end is gone."""
        with self._sending:
            self._socket.sendall(_HEADER.pack(_MARK, kind, len(data)))
            self._socket.sendall(data)

    def receive(self, seconds):
        """The next (kind, data); OSError at the end of the connection, or where nothing comes for so long."""
        mark, kind, size = _HEADER.unpack(self._read(_HEADER.size, seconds))
        if mark != _MARK:
            raise ConnectionError("another program is at the other end")
        return kind, bytes(self._read(size, seconds))

    def _read(self, size, seconds):
        buffer = bytearray(size)
        view, done = memoryview(buffer), 0
        while done < size:
            try:
                ready = select.select([self._socket], [], [], max(seconds, 0.0))[0]
            except ValueError:  # another thread of ours closed it between two looks
                raise ConnectionError("closed") from None
            if not ready:
                raise TimeoutError("silence")
            count = self._socket.recv_into(view[done:])
            if not count:
                raise ConnectionError("closed")
            done += count
        return buffer

    def close(self):
        """Ends the connection once what was sent is on its way."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        self._socket.close()


def failure_of(error):
    """The bytes that tell another worker of a TicketError."""
    return json.dumps([type(error).__name__, str(error)]).encode("utf-8")


def error_of(data):
    """The TicketError that `failure_of` wrote."""
    name, message = json.loads(data)
    known = {kind.__name__: kind for kind in TicketError.__subclasses__()}
    return known.get(name, TicketError)(message)


def answer(cluster, until, stop):
    """The chief's part: listens on its own port until every other worker has called.

    Args:
      cluster: a cluster.Cluster.
      until: time.monotonic() by which all have to be there.
      stop: asked while waiting.

    Returns:
      ({worker: Wire}, {worker: settings}).

    Raises:
      UsageError: the port is in use, or a worker did not come, or came twice.
    """
    port, wires, wanted = cluster.place(0)[1], {}, {}
    try:
        listener = socket.create_server(("", port), backlog=cluster.size)
    except OSError as error:
        raise UsageError(f"TF_CONFIG: port {port} of the chief cannot be opened ({error.strerror}); free it") from None
    try:
        with listener:
            listener.settimeout(_LOOK_SECONDS)
            while len(wires) < cluster.size - 1:
                _look(until, stop, f"TF_CONFIG: {_missing(cluster, wires)} did not call; start it, or check network")
                with contextlib.suppress(TimeoutError):
                    _welcome(cluster, Wire(listener.accept()[0]), wires, wanted)
    except TicketError as error:
        refuse(wires, error)
        raise
    return wires, wanted


def refuse(wires, error):
    """Tells waiting workers why the run does not begin, and hangs up."""
    for wire in wires.values():
        with contextlib.suppress(OSError):
            wire.send(FAILURE, failure_of(error))
        wire.close()


def _welcome(cluster, wire, wires, wanted):
    try:
        hello = json.loads(wire.receive(5.0)[1])
        worker, settings = int(hello["worker"]), dict(hello["settings"])
    except (OSError, ValueError, KeyError, TypeError):  # a stranger, or one that was too slow
        wire.close()
        return
    if worker in wires or not 0 < worker < cluster.size:
        error = UsageError(f"TF_CONFIG: two workers call themselves {worker}: give each its own task index")
        refuse({worker: wire}, error)
        raise error
    wires[worker], wanted[worker] = wire, settings


def _missing(cluster, wires):
    return " and ".join(cluster.name(worker) for worker in range(1, cluster.size) if worker not in wires)


def _look(until, stop, problem):
    if stop():
        raise StopRequested("stopped on request before the workers met; run again to continue")
    if time.monotonic() > until:
        raise UsageError(problem)


def call(cluster, settings, until, stop):
    """Another worker's part: calls the chief until it answers, and waits until all are there.

    Args:
      cluster, until, stop: see `answer`.
      settings: {flag: text} that the chief compares with its own.

    Returns:
      The Wire to the chief.

    Raises:
      UsageError: the chief did not answer in time, or refused.
    """
    hello = json.dumps({"worker": cluster.index, "settings": settings}).encode("utf-8")
    problem = f"TF_CONFIG: {cluster.name(0)} did not answer; start it, or check address and network"
    while True:
        _look(until, stop, problem)
        try:
            wire = Wire(socket.create_connection(cluster.place(0), timeout=5.0))
        except OSError:
            time.sleep(_LOOK_SECONDS)
            continue
        with contextlib.ExitStack() as undone:
            undone.callback(wire.close)
            with contextlib.suppress(OSError):  # the chief started anew, or is another program
                wire.send(VALUE, hello)
                # The chief, which gives up first, knows who is missing.
                _answered(wire, until + _VERDICT_SECONDS, stop, problem)
                undone.pop_all()
                return wire
        time.sleep(_LOOK_SECONDS)


def _answered(wire, until, stop, problem):
    """Waits for the chief's word that all are there; its refusal is raised."""
    while True:
        _look(until, stop, problem)
        with contextlib.suppress(TimeoutError):
            kind, data = wire.receive(_LOOK_SECONDS)
            if kind == FAILURE:
                raise error_of(data)
            return


def check_reachable(cluster):
    """UsageError unless every worker's own port can be reached from here, where TensorFlow listens by now."""
    for worker in range(cluster.size):
        if worker == cluster.index:
            continue
        try:
            socket.create_connection(cluster.place(worker), timeout=10.0).close()
        except OSError as error:
            reason = error.strerror or str(error)
            raise UsageError(
                f"TF_CONFIG: {cluster.name(worker)} cannot be reached from {cluster.name(cluster.index)} ({reason}); "
                "check address and network"
            ) from None
