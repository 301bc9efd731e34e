"""Strangers call while the workers meet: the workers find each other all the same, and a stop request is heard."""

import concurrent.futures
import contextlib
import json
import random
import socket
import threading
import time
import tracemalloc

import pytest
from strangers import KEY, Chief, header, hello, message, pair

from tf_tickets import errors
from tf_tickets.workers import meeting, wire
from tf_tickets.workers import tf_config as clusters

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


def test_reaching_the_others_hears_a_stop_request(monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *place, **options: time.sleep(3) or socket.socket())
    began = time.monotonic()
    with pytest.raises(errors.StopRequested):
        meeting.check_reachable(clusters.Cluster(("a:1", "b:1"), 0), lambda: time.monotonic() - began > 0.3)
    assert time.monotonic() - began < 2
