"""A chief that waits for its workers, and the bytes that strangers and broken workers send."""

import concurrent.futures
import contextlib
import json
import socket
import struct
import time

from torture.worker_runs import free_ports

from tf_tickets.workers import meeting, wire
from tf_tickets.workers import tf_config as clusters

KEY = b"sixteen bytes or more of a key"


def header(size, kind=b"v", mark=b"tft2"):
    return struct.pack(">4scQ", mark, kind, size)


def message(data, kind=b"v"):
    return header(len(data), kind) + data


def hello(worker, **settings):
    return json.dumps({"worker": worker, "settings": settings}).encode()


class Chief:
    """A chief that waits for its other workers, in a thread."""

    def __init__(self, key=None, seconds=30.0, stop=lambda: False, workers=2):
        self.addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(workers))
        self.place = ("127.0.0.1", int(self.addresses[0].partition(":")[2]))
        self._pool = concurrent.futures.ThreadPoolExecutor(workers)
        self.answer = self._pool.submit(
            meeting.answer, clusters.Cluster(self.addresses, 0, key), {"--width": "2"}, time.monotonic() + seconds, stop
        )

    def visit(self, data=b"", leaves=True):
        """A stranger's connection, which has sent `data`."""
        for _ in range(500):
            with contextlib.suppress(ConnectionRefusedError):
                visitor = socket.create_connection(self.place, timeout=10)
                break
            time.sleep(0.01)
        with contextlib.suppress(OSError):
            visitor.sendall(data)
        if leaves:
            visitor.close()
        return visitor

    def call(self, key=None, worker=1):
        """What becomes of a worker, which calls as workers do."""
        cluster = clusters.Cluster(self.addresses, worker, key)
        return self._pool.submit(meeting.call, cluster, {"--width": "2"}, time.monotonic() + 30, lambda: False)

    def meets(self, key=None, others=(1,)):
        """Whether the other workers and the chief find each other; all then hang up."""
        called = [self.call(key, worker) for worker in others]
        wires = self.answer.result(20)
        for each in [*(one.result(20) for one in called), *wires.values()]:
            each.close()
        self._pool.shutdown()
        return set(wires) == set(others)


def pair():
    """Two ends of one connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        caller = socket.create_connection(server.getsockname())
        return wire.Wire(server.accept()[0]), caller
