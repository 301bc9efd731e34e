"""A worker that breaks after the meeting ends the run of all in one line that names it."""

import contextlib
import io
import pickle
import random
import socket
import time

import numpy as np
import pytest
from strangers import header, message
from test_multi_worker import together

from tf_tickets import errors
from tf_tickets.workers import messages, team, wire

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


def test_silence_of_a_worker_is_told_by_all(monkeypatch):
    monkeypatch.setattr(team, "_SILENCE_SECONDS", 1.0)

    def work(joined):
        if joined.index == 1:
            return joined._failed.wait(10)
        return joined.from_chief(lambda: joined.gather(1), bool)

    monkeypatch.setattr(team, "_PING_SECONDS", 100.0)
    chief, _, _ = together(3, work)
    assert isinstance(chief, errors.WorkerLost) and "is gone" in str(chief)
