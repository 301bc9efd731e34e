"""Connections between workers: short messages over TCP, each within a time and a size.

Every message has a header (a mark, its kind, its length) and a body. What the header claims is not believed: memory and
time grow as bytes really come. Not multiprocessing.connection: its `accept` and `recv_bytes` have no deadline, and
`read` the whole of what a header claims; only its handshake with a key is used (see `meeting`).
"""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable

from tf_tickets.workers.messages import Malformed

PING, VALUE, FAILURE, BYE = b"p", b"v", b"f", b"b"
# Bytes that a message may have; a VALUE without arrays, unless its receiver says otherwise.
SMALL = 1 << 24
_LARGEST = {PING: 0, FAILURE: 1 << 16, BYE: 0}
_HEADER = struct.Struct(">4scQ")
_MARK = b"tft2"
# How often a wait looks around: at a stop request, a deadline, a connection that another thread closed.
LOOK_SECONDS = 0.2
# A message has this much longer for each second's worth of bytes that have come.
_BYTES_PER_SECOND = 1 << 20
_CHUNK = 1 << 18
_SENDING_SECONDS = 60.0


class Wire:
    """One connection; several threads may send, one receives.

    Attributes:
      largest: bytes that a VALUE from the other end may have.
    """

    def __init__(self, connection: socket.socket, largest: int = SMALL):
        self.largest = largest
        self._socket, self._sending = connection, threading.Lock()
        connection.settimeout(LOOK_SECONDS)
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self) -> int:
        """The socket's, for `select`."""
        return self._socket.fileno()

    def send(self, kind: bytes, data: bytes = b"", seconds: float = _SENDING_SECONDS) -> None:
        """Sends one message.

        Args:
          kind: PING, VALUE, FAILURE or BYE.
          data: its body.
          seconds: until when it has to be sent, beside a second for each MiB that goes.

        Raises:
          OSError: the other end is gone, or does not read; then the connection is of no more use.
        """
        until = time.monotonic() + seconds
        if not self._sending.acquire(timeout=max(seconds, 0.0)):
            raise TimeoutError("the other end does not read")
        try:
            self._write(_HEADER.pack(_MARK, kind, len(data)), until)
            self._write(data, until)
        except OSError:
            with contextlib.suppress(OSError):  # half a message is sent, and nothing can follow it
                self._socket.shutdown(socket.SHUT_RDWR)
            raise
        finally:
            self._sending.release()

    def ping(self) -> None:
        """Sends a sign of life, unless something is being sent, which is one; OSError as `send`."""
        if self._sending.acquire(blocking=False):
            self._sending.release()
            self.send(PING)

    def _write(self, data, until):
        view, sent = memoryview(data), 0
        while sent < len(view):
            if time.monotonic() > until + sent / _BYTES_PER_SECOND:
                raise TimeoutError("the other end does not read")
            with contextlib.suppress(TimeoutError):
                sent += self._socket.send(view[sent : sent + _CHUNK])

    def receive(self, seconds: float, heed: Callable[[], object] = lambda: None) -> tuple:
        """The next message.

        Args:
          seconds: until when the whole message has to be there, beside a second for each MiB that comes.
          heed: called a few times a second; what it raises ends the wait.

        Returns:
          (kind, data).

        Raises:
          Malformed: it is not one of ours, or too large.
          OSError: the connection ended, or the message did not come in time.
        """
        until = time.monotonic() + seconds
        mark, kind, size = _HEADER.unpack(self._read(_HEADER.size, until, heed))
        if mark != _MARK or kind not in (PING, VALUE, FAILURE, BYE):
            raise Malformed("what is no message of this version of tf_tickets")
        largest = _LARGEST.get(kind, self.largest)
        if size > largest:
            raise Malformed(f"a message of {size:,} bytes where {largest:,} is the most")
        return kind, bytes(self._read(size, until, heed))

    def _read(self, size, until, heed):
        data = bytearray()
        while len(data) < size:
            heed()
            if time.monotonic() > until + len(data) / _BYTES_PER_SECOND:
                raise TimeoutError("silence")
            with contextlib.suppress(TimeoutError):
                part = self._socket.recv(min(size - len(data), _CHUNK))
                if not part:
                    raise ConnectionError("closed")
                data += part
        return data

    def close(self) -> None:
        """Ends the connection once what was sent is on its way."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        self._socket.close()


class Challenge:
    """A Wire as multiprocessing.connection's handshake uses one, with a deadline over the whole of it."""

    def __init__(self, wire, until, heed):
        self._wire, self._until, self._heed = wire, until, heed

    def send_bytes(self, data: bytes) -> None:
        """Sends one part of the handshake."""
        self._wire.send(VALUE, data, self._until - time.monotonic())

    def recv_bytes(self, largest: int) -> bytes:
        """The next part of the handshake, of at most so many bytes."""
        before, self._wire.largest = self._wire.largest, largest
        kind, data = self._wire.receive(self._until - time.monotonic(), self._heed)
        self._wire.largest = before
        if kind != VALUE:
            raise Malformed("no handshake")
        return data
