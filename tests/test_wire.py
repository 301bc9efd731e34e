"""A message between two workers: one deadline, bounded memory, large ones once they are allowed."""

import contextlib
import socket
import threading
import time
import tracemalloc

import numpy as np
import pytest
from strangers import header, pair
from test_multi_worker import together

from tf_tickets.workers import messages, wire


def test_a_message_has_one_deadline_however_its_bytes_come():
    receiver, sender = pair()

    def trickle():
        with contextlib.suppress(OSError):
            for byte in header(1000) + b"x" * 1000:
                sender.sendall(bytes([byte]))
                time.sleep(0.05)

    thread = threading.Thread(target=trickle)
    thread.start()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        receiver.receive(1.0)
    assert 0.9 < time.monotonic() - began < 10  # at a byte each 0.05 s it would take 50 s
    receiver.close()
    thread.join()
    sender.close()


def test_memory_grows_as_bytes_come_and_not_by_what_is_claimed():
    receiver, sender = pair()
    receiver.largest = 4 << 30
    sender.sendall(header(3 << 30) + b"x" * 100_000)
    sender.shutdown(socket.SHUT_WR)
    tracemalloc.start()
    try:
        with pytest.raises(ConnectionError):
            receiver.receive(5.0)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
        receiver.close()
        sender.close()


def test_who_does_not_read_is_not_written_to_for_ever():
    sender, silent = pair()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        sender.send(wire.VALUE, bytes(64 << 20), 1.0)
    assert time.monotonic() - began < 15
    with pytest.raises(OSError):  # half a message went: nothing may follow it
        sender.send(wire.PING)
    sender.close()
    silent.close()


def test_a_large_message_passes_once_it_is_allowed():
    large = {"a": np.arange(6_000_000, dtype=np.float32)}  # 24 MB

    def work(joined):
        joined.allow(32 << 20)
        joined.gather(None)
        return joined.arrays_from_chief(lambda: large, lambda: messages.specs_of(large))["a"].sum()

    assert together(2, work) == [large["a"].sum()] * 2
