"""What strangers and broken workers can send: the workers meet all the same, or the run ends in one line."""

import concurrent.futures
import contextlib
import io
import json
import os
import pickle
import random
import socket
import struct
import threading
import time
import tracemalloc

import numpy as np
import pytest
from test_multi_worker import together
from torture.worker_runs import config_of, free_ports

from tf_tickets import errors
from tf_tickets.workers import addresses, meeting, messages, team, wire
from tf_tickets.workers import tf_config as clusters

KEY = b"sixteen bytes or more of a key"


def header(size, kind=b"v", mark=b"tft2"):
    return struct.pack(">4scQ", mark, kind, size)


def message(data, kind=b"v"):
    return header(len(data), kind) + data


def hello(worker, **settings):
    return json.dumps({"worker": worker, "settings": settings}).encode()


HOSTILE = {
    "size 2^63": header(1 << 63),
    "a claimed 3 GiB": header(3 << 30) + b"x" * 1000,
    "a claimed largest size": header((1 << 64) - 1),
    "a hello within its size that does not end": header(200_000) + b"x",
    "nested brackets": message(b"[" * 200_000),
    "nested settings": message(b'{"worker": 1, "settings": ' + b'{"a":' * 30_000),
    "1e400": message(b'{"worker": 1e400, "settings": {}}'),
    "NaN": message(b'{"worker": NaN, "settings": {}}'),
    "a long number": message(b'{"worker": ' + b"9" * 100_000 + b', "settings": {}}'),
    "true": message(b'{"worker": true, "settings": {}}'),
    "no object": message(b'[1, {"a": "b"}]'),
    "no settings": message(b'{"worker": 1}'),
    "settings that are no text": message(b'{"worker": 1, "settings": {"--width": 2}}'),
    "no text": message(b'\xff\xfe{"worker": 1}'),
    "a failure": message(b'["StateError", "stop all"]', b"f"),
    "a ping": message(b"", b"p"),
    "a ping with a body": message(b"x", b"p"),
    "an unknown kind": message(b"", b"?"),
    "another version": header(5, mark=b"tft1") + b"hello",
    "another protocol": b"GET / HTTP/1.1\r\n\r\n" * 10,
    "nothing": b"",
    "half a header": header(100)[:7],
}


def fuzzed(count, seed):
    """Headers and bodies with some of their bytes changed, cut or repeated."""
    draw = random.Random(seed)
    whole = [message(hello(1, width="2")), message(hello(7)), *HOSTILE.values()]
    for _ in range(count):
        data = bytearray(draw.choice(whole)[: draw.choice((10, 13, 14, 60, 400))])
        for _ in range(draw.randrange(1, 5)):
            if data:
                data[draw.randrange(len(data))] = draw.choice((0, 1, 0x22, 0x5B, 0x7B, 0xFF, draw.randrange(256)))
        yield bytes(data)


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


@pytest.mark.parametrize("key", [None, KEY], ids=["open", "with a key"])
def test_no_stranger_s_message_ends_the_meeting_or_holds_it(key):
    chief, visitors = Chief(key), []
    tracemalloc.start()
    try:
        for data in HOSTILE.values():
            visitors.append(chief.visit(data, leaves=False))
        began = time.monotonic()
        assert chief.meets(key=key)
        assert time.monotonic() - began < 4  # while all of them wait to be heard, which ends after five seconds
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
        for visitor in visitors:
            visitor.close()


def test_hundreds_of_damaged_messages_change_nothing():
    chief = Chief()
    for data in fuzzed(300, seed=0):
        if b'"worker": 1' not in data and b'"worker": 7' not in data:  # else it may be a hello all the same
            chief.visit(data)
    assert chief.meets()


def test_a_byte_now_and_then_is_heard_for_a_few_seconds_alone(monkeypatch):
    monkeypatch.setattr(meeting, "_HELLO_SECONDS", 1.0)
    chief = Chief()
    visitor = chief.visit(leaves=False)
    began = time.monotonic()
    with pytest.raises(OSError):
        for byte in message(hello(1, width="2")):
            visitor.sendall(bytes([byte]))
            time.sleep(0.2)
    assert time.monotonic() - began < 8  # at a byte each 0.2 s it would take twelve
    visitor.close()
    assert chief.meets()


def test_more_strangers_than_are_heard_at_a_time_delay_the_workers_by_their_few_seconds(monkeypatch):
    monkeypatch.setattr(meeting, "_HELLO_SECONDS", 1.0)
    monkeypatch.setattr(meeting, "_CALLERS", 4)
    chief = Chief()
    visitors = [chief.visit(leaves=False) for _ in range(8)]
    assert chief.meets()
    for visitor in visitors:
        visitor.close()


@pytest.mark.parametrize("data", [b"", header(200_000), HOSTILE["nested brackets"]])
def test_a_stop_request_is_heard_whoever_is_there(data):
    asked = threading.Event()
    chief = Chief(stop=asked.is_set)
    visitor = chief.visit(data, leaves=False)
    began = time.monotonic()
    asked.set()
    with pytest.raises(errors.StopRequested):
        chief.answer.result(10)
    assert time.monotonic() - began < 2  # 0.3 s on a machine that has nothing else to do
    visitor.close()


@pytest.mark.parametrize("slow", ["the name", "the chief"])
def test_a_worker_hears_a_stop_request_while_it_calls(slow, monkeypatch):
    def sleepy(*place, **options):
        time.sleep(2)
        raise OSError("nobody knows that name")

    asked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the call and says nothing
        if slow == "the name":
            monkeypatch.setattr(socket, "create_connection", sleepy)
        cluster = clusters.Cluster((f"127.0.0.1:{silent.getsockname()[1]}", "127.0.0.1:1"), 1)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            called = pool.submit(meeting.call, cluster, {}, time.monotonic() + 30, asked.is_set)
            time.sleep(0.3)
            began = time.monotonic()
            asked.set()
            with pytest.raises(errors.StopRequested):
                called.result(10)
            assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("part", ["the chief", "a worker", "a look at the others"])
def test_what_is_opened_after_a_stop_request_is_closed(part, monkeypatch):
    begun, go_on, asked = threading.Event(), threading.Event(), threading.Event()
    late = socket.socket()

    def opens_late(*place, **options):
        begun.set()
        go_on.wait(10)
        return late

    monkeypatch.setattr(socket, "create_server" if part == "the chief" else "create_connection", opens_late)
    cluster = clusters.Cluster(("127.0.0.1:1", "127.0.0.1:2"), 1 if part == "a worker" else 0)
    meet = {
        "the chief": lambda: meeting.answer(cluster, {}, time.monotonic() + 30, asked.is_set),
        "a worker": lambda: meeting.call(cluster, {}, time.monotonic() + 30, asked.is_set),
        "a look at the others": lambda: meeting.check_reachable(cluster, asked.is_set),
    }[part]
    with late, concurrent.futures.ThreadPoolExecutor(1) as pool:
        meets = pool.submit(meet)
        assert begun.wait(10)
        asked.set()
        with pytest.raises(errors.StopRequested):
            meets.result(10)
        assert late.fileno() != -1
        go_on.set()
        until = time.monotonic() + 10
        while late.fileno() != -1 and time.monotonic() < until:
            time.sleep(0.01)
        assert late.fileno() == -1


def test_a_caller_that_is_known_once_the_meeting_is_over_is_hung_up_on(monkeypatch):
    callers = meeting._Callers(clusters.Cluster(("127.0.0.1:1", "127.0.0.1:2"), 0))
    caller, visitor = pair()

    def welcome(key, wire, over):
        callers.leave()
        return 1, wire, {}

    monkeypatch.setattr(meeting, "_welcome", welcome)
    with visitor, contextlib.closing(caller):
        callers._places.acquire()
        callers._hear(caller)
        visitor.settimeout(5)
        assert visitor.recv(1) == b""
        assert caller.fileno() == -1


def test_a_refusal_in_pieces_arrives():
    def refuse():
        connection, _ = server.accept()
        for data in (message(b'{"key": false}'), message(b'["UsageError", "--width=4, the chief --width=2"]', b"f")):
            for first in range(0, len(data), 7):
                connection.sendall(data[first : first + 7])
                time.sleep(0.25 if first < 14 else 0.0)  # longer than a look
        return connection

    with socket.create_server(("127.0.0.1", 0)) as server, concurrent.futures.ThreadPoolExecutor(1) as pool:
        refused = pool.submit(refuse)
        cluster = clusters.Cluster((f"127.0.0.1:{server.getsockname()[1]}", "127.0.0.1:1"), 1)
        with pytest.raises(errors.UsageError, match="--width=4, the chief --width=2"):
            meeting.call(cluster, {}, time.monotonic() + 20, lambda: False)
        refused.result().close()


@pytest.mark.parametrize("data", [
    b"", b"x" * 100, header(1 << 63), message(b"[" * 100_000), message(b"[]"), message(b'{"key": 1}'),
    message(b'{"key": false}') + message(b"1", b"f"), message(b'{"key": false}') + message(b'["A", 2]', b"f"),
    message(b'{"key": false}') + message(b"[" * 60_000, b"f"), message(b'{"key": true}') + message(b"no challenge"),
])  # fmt: skip
def test_another_program_at_the_chief_s_port_is_called_again_until_the_chief_is_there(data, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server, concurrent.futures.ThreadPoolExecutor(1) as pool:
        server.settimeout(10)
        cluster = clusters.Cluster((f"127.0.0.1:{server.getsockname()[1]}", "127.0.0.1:1"), 1)
        called = pool.submit(meeting.call, cluster, {}, time.monotonic() + 20, lambda: False)
        stranger, _ = server.accept()
        with stranger:
            stranger.sendall(data)
            with contextlib.suppress(OSError):  # the worker may have read enough and hung up before this
                stranger.shutdown(socket.SHUT_WR)
            if b"true" in data:
                with pytest.raises(errors.UsageError, match="wants a key and there is none here"):
                    called.result(10)
            else:
                chief = wire.Wire(server.accept()[0])
                chief.send(wire.VALUE, b'{"key": false}')
                assert json.loads(chief.receive(10)[1]) == {"worker": 1, "settings": {}}
                chief.send(wire.VALUE)
                called.result(10).close()
                chief.close()


class TestKey:
    def test_workers_with_the_same_key_meet(self):
        assert Chief(KEY).meets(key=KEY)

    @pytest.mark.parametrize("index", [0, 1])
    def test_another_key_or_none_is_refused_and_the_chief_says_that_somebody_called(self, index):
        chief = Chief(KEY, seconds=2.0)
        worker = chief.call(key=(None, b"another key, also sixteen bytes")[index])
        with pytest.raises(errors.UsageError, match=("there is none here", "has another key")[index]):
            worker.result(10)
        with pytest.raises(errors.UsageError, match=r"worker 1 \(.*\) did not call with the key \(1 others did\)"):
            chief.answer.result(10)

    def test_a_key_at_the_worker_alone_is_refused(self):
        chief = Chief(seconds=2.0)
        with pytest.raises(errors.UsageError, match="wants no key and there is one here"):
            chief.call(key=KEY).result(10)
        with pytest.raises(errors.UsageError, match="did not call"):
            chief.answer.result(10)

    @pytest.mark.parametrize("data", [message(hello(1, **{"--width": "2"})), message(b"\0" * 16), header(257), b""])
    def test_who_claims_to_be_a_worker_without_the_key_is_turned_away(self, data):
        chief = Chief(KEY)
        visitor = chief.visit(data, leaves=False)
        visitor.settimeout(5)
        said = b""
        with contextlib.suppress(OSError):
            while data and (part := visitor.recv(4096)):
                said += part
        assert b"WELCOME" not in said
        assert chief.meets(key=KEY)
        visitor.close()

    def test_who_is_asked_does_not_answer_for_another(self):
        """A stranger at the chief's port learns nothing by which the chief would take it for a worker."""
        with socket.create_server(("127.0.0.1", 0)) as server, concurrent.futures.ThreadPoolExecutor(1) as pool:
            cluster = clusters.Cluster((f"127.0.0.1:{server.getsockname()[1]}", "127.0.0.1:1"), 1, KEY)
            called = pool.submit(meeting.call, cluster, {}, time.monotonic() + 20, lambda: False)
            stranger = wire.Wire(server.accept()[0])
            stranger.send(wire.VALUE, b'{"key": true}')
            stranger.send(wire.VALUE, b"#CHALLENGE#" + b"\0" * 20)
            stranger.receive(5)
            stranger.send(wire.VALUE, b"#WELCOME#")
            stranger.receive(5)  # the worker's own challenge
            stranger.send(wire.VALUE, b"\0" * 16)
            with pytest.raises(errors.UsageError, match="has another key"):
                called.result(10)
            stranger.close()

    @pytest.mark.parametrize(("content", "words"), [
        (None, "cannot be read: No such file"), (b"short\n", "has 5 bytes: give 16 to 4096"),
        (b"x" * 5000, "has too many bytes"), ("folder", "is not a regular file"), ("fifo", "is not a regular file"),
    ])  # fmt: skip
    def test_a_key_file_that_cannot_be_used_is_named(self, content, words, tmp_path):
        path = tmp_path / "key"
        if content == "folder":
            path.mkdir()
        elif content == "fifo":
            os.mkfifo(path)
        elif content is not None:
            path.write_bytes(content)
        environment = {"TF_CONFIG": config_of(["a:1", "b:1"], 0), "TF_TICKETS_KEY_FILE": str(path)}
        with pytest.raises(errors.UsageError, match=words) as caught:
            clusters.read(environment)
        assert str(path) in str(caught.value)

    def test_the_key_is_the_file_s_content_and_not_shown(self, tmp_path):
        (tmp_path / "key").write_bytes(KEY + b"\n")
        environment = {"TF_CONFIG": config_of(["a:1", "b:1"], 0), "TF_TICKETS_KEY_FILE": str(tmp_path / "key")}
        found = clusters.read(environment)
        assert found.key == KEY and "sixteen" not in repr(found)


@pytest.mark.parametrize("text", [
    "[" * 100_000, '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1e400}}',
    '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": true}}',
    '{"cluster": {"worker": ["a..b:1"]}, "task": {"type": "worker", "index": 0}}',
])  # fmt: skip
def test_a_hostile_tf_config_is_one_line(text):
    with pytest.raises(errors.UsageError, match="cannot be read"):
        clusters.read({"TF_CONFIG": text})


class TestAddresses:
    def of(self, monkeypatch, names, chief, worker, own=("127.0.0.1", "10.0.0.5"), route="10.0.0.5"):
        """Where the chief of a machine with some addresses listens, when names stand for addresses as given."""

        def resolved(host, port):
            return [(socket.AF_INET, (address, port)) for address in names.get(host, [host])]

        monkeypatch.setattr(addresses, "_resolved", resolved)
        monkeypatch.setattr(addresses, "_is_own", lambda family, address: address[0] in own)
        monkeypatch.setattr(addresses, "_route", lambda family, address, port: [(family, (route, port))])
        found = addresses.own_addresses(clusters.Cluster((f"{chief}:2222", f"{worker}:2222"), 0))
        return [address for _, address in found]

    def test_the_address_of_tf_config_alone(self, monkeypatch):
        assert self.of(monkeypatch, {}, "127.0.0.1", "127.0.0.1") == [("127.0.0.1", 2222)]
        assert self.of(monkeypatch, {}, "127.0.0.1", "10.0.0.6") == [("127.0.0.1", 2222)]
        assert self.of(monkeypatch, {}, "10.0.0.5", "10.0.0.6") == [("10.0.0.5", 2222)]
        assert self.of(monkeypatch, {"host0": ["10.0.0.5"]}, "host0", "10.0.0.6") == [("10.0.0.5", 2222)]
        assert self.of(monkeypatch, {"localhost": ["127.0.0.1"]}, "localhost", "10.0.0.6") == [("127.0.0.1", 2222)]

    def test_where_that_is_no_address_of_this_machine_the_one_that_leads_to_the_workers(self, monkeypatch):
        translated = self.of(monkeypatch, {}, "203.0.113.9", "203.0.113.10")
        assert translated == [("10.0.0.5", 2222)]
        assert self.of(monkeypatch, {"host0": []}, "host0", "10.0.0.6") == [("10.0.0.5", 2222)]

    def test_a_name_that_is_loopback_to_its_own_machine(self, monkeypatch):
        names = {"host0": ["127.0.0.1"]}
        assert self.of(monkeypatch, names, "host0", "10.0.0.6") == [("127.0.0.1", 2222), ("10.0.0.5", 2222)]
        alone = self.of(monkeypatch, names, "host0", "host0", route="127.0.0.1")
        assert alone == [("127.0.0.1", 2222)]

    def test_another_machine_s_address_is_named(self, monkeypatch):
        monkeypatch.setattr(addresses, "own_addresses", lambda cluster: [])
        with pytest.raises(errors.UsageError, match="203.0.113.9 is no address of this machine"):
            addresses.listeners(clusters.Cluster(("203.0.113.9:1", "a:1"), 0), 1)

    def test_a_port_in_use_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(errors.UsageError, match=f"port {port} of the chief cannot be opened"):
                addresses.listeners(clusters.Cluster((f"127.0.0.1:{port}", "a:1"), 0), 1)

    def test_other_interfaces_do_not_answer(self):
        (port,) = free_ports(1)
        found = addresses.listeners(clusters.Cluster((f"127.0.0.1:{port}", "127.0.0.1:1"), 0), 1)
        assert [each.getsockname() for each in found] == [("127.0.0.1", port)]
        with pytest.raises(OSError):  # all of 127/8 is this machine
            socket.create_connection(("127.0.0.2", port), timeout=2)
        for each in found:
            each.close()

    def test_the_system_knows_its_own_addresses_and_routes(self):
        assert addresses._is_own(socket.AF_INET, ("127.0.0.1", 1))
        assert not addresses._is_own(socket.AF_INET, ("203.0.113.9", 1))
        assert addresses._route(socket.AF_INET, ("127.0.0.1", 9), 2222) == [(socket.AF_INET, ("127.0.0.1", 2222))]


def test_a_worker_that_starts_anew_before_all_are_there_takes_its_own_place():
    chief = Chief(workers=3)
    first = chief.visit(message(hello(1, **{"--width": "2"})), leaves=False)
    first.settimeout(10)
    assert first.recv(1000)  # the greeting
    time.sleep(0.5)
    first.close()
    time.sleep(0.5)
    assert chief.meets(others=(1, 2))


@pytest.mark.parametrize(("worker", "words"), [(7, "calls itself 7 of 2"), (0, "calls itself 0 of 2")])
def test_a_place_that_there_is_not_is_named(worker, words):
    chief = Chief()
    visitor = chief.visit(message(hello(worker)), leaves=False)
    with pytest.raises(errors.UsageError, match=words):
        chief.answer.result(10)
    visitor.close()


# After the meeting.
BROKEN = {
    "size 2^63": (header(1 << 63), "bytes where"),
    "a claimed size beyond the largest": (header(wire.SMALL + 1), "bytes where"),
    "an unknown kind": (message(b"", b"?"), "no message"),
    "another protocol": (b"GET / HTTP/1.1\r\n\r\n", "no message"),
    "a failure of brackets": (message(b"[" * 60_000, b"f"), "no JSON"),
    "a failure of numbers": (message(b"[1, 2]", b"f"), "a failure without"),
    "a large failure": (header(1 << 20, b"f"), "bytes where"),
    "a ping with a body": (message(b"x", b"p"), "bytes where"),
    "the end": (b"", "is gone"),
    "half a message": (header(100) + b"x", "is gone"),
}


def sends(data, receive=lambda joined: joined.from_chief(lambda: joined.gather(1), bool)):
    """What three workers raise when worker 1 sends bytes in the place of its own."""

    def work(joined):
        if joined.index != 1:
            return receive(joined)
        connection = joined._wires[0]._socket
        connection.sendall(data)
        if not data or data.endswith(b"\x64x"):
            connection.shutdown(socket.SHUT_WR)
        joined._failed.wait(10)
        return None

    return together(3, work)


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_message_that_is_none_ends_the_run_in_one_line(name):
    data, words = BROKEN[name]
    began = time.monotonic()
    chief, _, other = sends(data)
    assert time.monotonic() - began < 9
    for error in (chief, other):
        assert isinstance(error, errors.WorkerLost) and error.exit_status == 75
        assert "worker 1 (127.0.0.1:" in str(error) and words in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("data", [
    b"", b"[" * 200_000, b"NaN", b"1e400", b"true", b"[1]", b'"1"', b"\xff", b"9" * 100_000,
])  # fmt: skip
def test_a_value_of_another_kind_is_refused_and_names_the_worker(data):
    chief, _, other = sends(message(data))
    for error in (chief, other):
        assert isinstance(error, errors.StateError) and "worker 1 (127.0.0.1:" in str(error)
        assert "sent" in str(error) and "\n" not in str(error)


def test_a_goodbye_too_early_is_not_waited_for():
    for error in sends(message(b"", b"b"))[::2]:
        assert isinstance(error, errors.WorkerLost) and "worker 1" in str(error) and "is gone" in str(error)


SPECS = {"a": messages.ArraySpec((2, 3), np.dtype(np.float32)), "b": messages.ArraySpec((None, 2), np.dtype(bool))}
RIGHT = {"b": np.zeros((5, 2), bool), "a": np.ones((2, 3), np.float32)}


@pytest.mark.parametrize(("arrays", "words"), [
    ({"a": RIGHT["a"]}, "without 'b'"),
    (RIGHT | {"c": np.zeros(1)}, "another, 'c'"),
    (RIGHT | {"a": np.ones((3, 2), np.float32)}, "'a' as float32 [3, 2]"),
    (RIGHT | {"a": np.ones((2, 3))}, "'a' as float64"),
    (RIGHT | {"a": np.ones((2, 3, 1), np.float32)}, "'a' as float32 [2, 3, 1]"),
    (RIGHT | {"b": np.zeros((5, 3), bool)}, "'b' as bool [5, 3]"),
    (RIGHT | {"b": np.zeros((5, 2), np.uint8)}, "'b' as uint8"),
])  # fmt: skip
def test_other_arrays_are_refused(arrays, words):
    with pytest.raises(messages.Malformed) as caught:
        messages.to_arrays(messages.of_arrays(arrays), SPECS)
    assert words in str(caught.value)


def test_arrays_come_back_in_the_order_expected():
    found = messages.to_arrays(messages.of_arrays(RIGHT), SPECS)
    assert list(found) == ["a", "b"]
    for name, array in RIGHT.items():
        np.testing.assert_array_equal(found[name], array)
    empty = {"none": np.zeros(0, np.uint8), "scalar": np.array(np.nan)}
    again = messages.to_arrays(messages.of_arrays(empty), messages.specs_of(empty))
    np.testing.assert_equal(again, empty)


def test_object_arrays_and_pickles_are_refused():
    archive = io.BytesIO()
    np.savez(archive, **{name: array.astype(object) for name, array in RIGHT.items()})
    for data in (archive.getvalue(), pickle.dumps(RIGHT)):
        with pytest.raises(messages.Malformed, match="no arrays"):
            messages.to_arrays(data, SPECS)


def test_no_damaged_arrays_are_taken_for_others():
    draw, whole = random.Random(1), messages.of_arrays(RIGHT)
    for _ in range(500):
        data = bytearray(whole[: draw.choice((len(whole), draw.randrange(len(whole))))])
        for _ in range(draw.randrange(1, 6)):
            if data:
                data[draw.randrange(min(len(data), 150))] = draw.randrange(256)
        with contextlib.suppress(messages.Malformed):
            found = messages.to_arrays(bytes(data), SPECS)
            assert list(found) == ["a", "b"] and all(SPECS[name].fits(array) for name, array in found.items())


def test_arrays_of_a_worker_that_are_others_name_it():
    def gather(joined):
        return joined.gathered([np.zeros((2, 3), np.float32)], [SPECS["a"]] * 3)

    for data in (messages.of_arrays({"000000 000001": np.zeros((2, 4), np.float32)}), messages.of_arrays({}), b"PK"):
        for error in sends(message(data), gather)[::2]:
            assert isinstance(error, errors.StateError) and "worker 1 (127.0.0.1:" in str(error)


def pair():
    """Two ends of one connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        caller = socket.create_connection(server.getsockname())
        return wire.Wire(server.accept()[0]), caller


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


def test_a_listener_that_dies_ends_the_run(monkeypatch):
    def broken(data):
        raise MemoryError("no more")

    monkeypatch.setattr(messages, "to_error", broken)
    for error in sends(message(b'["UsageError", "no"]', b"f"))[::2]:
        assert isinstance(error, errors.TicketError) and "\n" not in str(error)


def test_errors_of_others_are_what_they_were():
    for error in (errors.StateError("the disk is full"), errors.StopRequested("stopped"), errors.TicketError("x")):
        again = messages.to_error(messages.of_error(error))
        assert type(again) is type(error) and str(again) == str(error)
    assert type(messages.to_error(b'["SystemExit", "no"]')) is errors.TicketError


def test_reaching_the_others_hears_a_stop_request(monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *place, **options: time.sleep(3) or socket.socket())
    began = time.monotonic()
    with pytest.raises(errors.StopRequested):
        meeting.check_reachable(clusters.Cluster(("a:1", "b:1"), 0), lambda: time.monotonic() - began > 0.3)
    assert time.monotonic() - began < 2


def test_silence_of_a_worker_is_told_by_all(monkeypatch):
    monkeypatch.setattr(team, "_SILENCE_SECONDS", 1.0)

    def work(joined):
        if joined.index == 1:
            return joined._failed.wait(10)
        return joined.from_chief(lambda: joined.gather(1), bool)

    monkeypatch.setattr(team, "_PING_SECONDS", 100.0)
    chief, _, _ = together(3, work)
    assert isinstance(chief, errors.WorkerLost) and "is gone" in str(chief)
