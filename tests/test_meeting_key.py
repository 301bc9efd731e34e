"""A key of the workers: who has it is let in, who has another or none is turned away."""

import concurrent.futures
import contextlib
import os
import socket
import time

import pytest
from strangers import KEY, Chief, header, hello, message
from torture.worker_runs import config_of

from tf_tickets import errors
from tf_tickets.workers import meeting, wire
from tf_tickets.workers import tf_config as clusters


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
