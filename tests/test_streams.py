"""Standard streams that are closed, full, broken or gone: runs go on, output that is the result is missed aloud.

The commands here are stand-ins that print.
"""

import errno
import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest
from conftest import ROOT
from terminals import run, start

import tf_tickets as tt
from tf_tickets import backend, errors, streams
from tf_tickets.export import predict

# Keeps a file open while it prints, which would get the number of a stream that is closed.
PRINTS = """
def prints(request):
    with open("state", "wb", buffering=0) as file:
        for number in range(9):
            file.write(b"state")
            say(f"notice {number}")
            print(f"printed {number}", flush=True)
            print(f"warned {number}", file=sys.stderr)
    return STATUS
main.COMMANDS["imp"].run = main.COMMANDS["report"].run = prints
main.entry_point()
"""

FULL, CLOSED = "No space left on device", "it is closed"


@pytest.mark.parametrize(("words", "redirect", "status", "complaint"), [
    (["imp"], ">&-", 0, CLOSED), (["imp"], ">/dev/full", 0, FULL), (["imp"], "2>/dev/full", 0, None),
    (["imp"], "<&- >&- 2>&-", 0, None),
    (["report", "."], ">&-", 3, CLOSED), (["report", "."], ">/dev/full", 3, FULL),
    (["report", "."], "2>&-", 0, None), (["--help"], ">/dev/full", 3, FULL), (["--helpp"], "2>&-", 2, None),
])  # fmt: skip
def test_a_stream_that_takes_nothing(tmp_path, words, redirect, status, complaint):
    found, out, error = run(PRINTS.replace("STATUS", "0"), *words, redirect=redirect, cwd=tmp_path)
    assert found == status, error
    lines = error.splitlines()
    complaints = [line for line in lines if "standard output" in line]
    wanted = f"tf-tickets: standard output cannot be written: {complaint}; "
    assert len(complaints) == (complaint is not None) and all(line.startswith(wanted) for line in complaints)
    if not words[0].startswith("--"):
        assert (tmp_path / "state").read_bytes() == 9 * b"state"
        noted = [line for number in range(9) for line in (f"tf-tickets: notice {number}", f"warned {number}")]
        assert lines == ([] if "2>" in redirect else noted + complaints)
        assert out.splitlines() == ([] if ">&-" in redirect.split() or " >/dev/full" in f" {redirect}" else [
            f"printed {number}" for number in range(9)
        ])  # fmt: skip


@pytest.mark.parametrize(("words", "stream", "status"), [
    (["imp"], "stderr", 0), (["imp"], "stdout", 0), (["report", "."], "stdout", 0), (["report", "."], "stdout", 2),
])  # fmt: skip
def test_a_reader_that_is_gone_changes_no_status(tmp_path, words, stream, status):
    reader, writer = os.pipe()
    os.close(reader)
    other = {"stdout": "stderr", "stderr": "stdout"}[stream]
    process = start(
        PRINTS.replace("STATUS", str(status)), *words, cwd=tmp_path, **{stream: writer, other: subprocess.PIPE}
    )
    os.close(writer)
    said = getattr(process, other).read().decode()
    getattr(process, other).close()
    assert process.wait(60) == status
    assert "Error" not in said and len(said.splitlines()) == {"stdout": 18, "stderr": 9}[stream]
    assert (tmp_path / "state").read_bytes() == 9 * b"state"


WORDS = "words of native code\n"

SAYS = f"""
def says(request):
    streams.record()
    os.write(2, {WORDS!r}.encode() * TIMES)
    END
    return 0
main.COMMANDS["imp"].run = says
main.entry_point()
"""


@pytest.mark.parametrize(("end", "status", "shown"), [
    ("pass", 0, ""), ("raise errors.UsageError('no')", 2, "tf-tickets: no\n"), ("streams.leave(75)", 75, ""),
    ("os.abort()", -signal.SIGABRT, WORDS), ("os.kill(os.getpid(), 9)", -signal.SIGKILL, WORDS),
    ("raise ZeroDivisionError", 1, None),
])  # fmt: skip
def test_native_code_s_words_are_shown_after_a_crash_alone(tmp_path, end, status, shown):
    found, _, error = run(SAYS.replace("END", end).replace("TIMES", "1"), cwd=tmp_path)
    assert found == status
    if shown is None:
        assert error.startswith(WORDS) and "ZeroDivisionError" in error
    elif status == -signal.SIGABRT:  # Python's own account of where it was comes first
        assert error.startswith("Fatal Python error: Aborted") and error.endswith(shown)
    else:
        assert error == shown


def test_of_many_words_the_last_are_kept_and_a_user_s_own_level_shows_all(tmp_path):
    many = SAYS.replace("TIMES", "9999").replace("END", "os.kill(os.getpid(), 9)")
    assert run(many, cwd=tmp_path)[2] == (9999 * WORDS)[-(1 << 16) :]
    code = SAYS.replace("TIMES", "1").replace("END", "pass")
    assert run(code, cwd=tmp_path, env={"TF_CPP_MIN_LOG_LEVEL": "2"}) == (0, "", WORDS)
    assert run(code, cwd=tmp_path, env={"PATH": str(tmp_path)}) == (0, "", WORDS)  # no `tail` there


@pytest.mark.parametrize(("mode", "problem"), [
    (os.O_WRONLY, "standard input cannot be read: Bad file descriptor"),  # what nohup gives
    (os.O_RDONLY, "the picture on standard input is no picture"),  # what a closed one becomes
])  # fmt: skip
def test_standard_input_that_gives_nothing_is_named(monkeypatch, mode, problem):
    descriptor = os.open(os.devnull, mode)
    with open(descriptor, closefd=False) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        with pytest.raises(errors.UsageError, match=problem):
            predict._from_standard_input({"image_shape": [8, 8, 1], "dtype": "uint8"})
    os.close(descriptor)


def outlet(descriptor):
    """What `streams` writes to a descriptor with."""
    return streams._Outlet(descriptor)


def test_a_descriptor_that_does_not_block_gets_everything():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    data, parts = os.urandom(1 << 20), []

    def read():
        while part := os.read(reader, 1 << 12):
            parts.append(part)

    thread = threading.Thread(target=read)
    thread.start()
    with outlet(writer) as stream:
        assert stream.write(data) == len(data) and stream.problem is None
    os.close(writer)
    thread.join()
    os.close(reader)
    assert b"".join(parts) == data


def test_the_first_problem_is_kept():
    descriptor = os.open("/dev/full", os.O_WRONLY)
    with outlet(descriptor) as stream:
        for ended in (False, True):
            if ended:
                os.close(descriptor)
            assert stream.write(b"abc") == 3 and stream.problem.errno == errno.ENOSPC


@pytest.mark.parametrize("stream", [None, open(os.devnull)])  # noqa: SIM115
def test_a_program_without_standard_error_can_train(monkeypatch, stream):
    if stream:
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    streams.say("nobody hears this")
    streams.live("nor this", last=True)
    assert not streams.is_terminal() and 0 < streams.columns()


def test_lines_that_say_nothing_are_left_out_and_all_others_are_shown_as_they_come():
    code = "import os, sys\nfrom tf_tickets import streams\nwith streams.without_lines('^[IW][0-9]'):\n"
    code += "    os.write(2, b'I0 a\\nE0 b\\xff\\nW1 c\\n')\n    print('Python', file=sys.stderr)\n    END\n"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_CPP_")}

    def errors_of(end, **more):
        command = [sys.executable, "-c", code.replace("END", end)]
        return subprocess.run(
            command, env=environment | {"PYTHONPATH": str(ROOT)} | more, stderr=subprocess.PIPE
        ).stderr

    wanted = b"E0 b\xff\nPython\n"
    assert errors_of("pass\nos.write(2, b'I2 after\\n')") == wanted + b"I2 after\n"
    assert errors_of("os.write(2, b'E3 crashes\\n'); os.abort()") == wanted + b"E3 crashes\n"
    assert errors_of("pass", TF_CPP_MIN_LOG_LEVEL="0") == b"I0 a\nE0 b\xff\nW1 c\nPython\n"
    assert errors_of("pass", PATH="") == b"I0 a\nE0 b\xff\nW1 c\nPython\n"


def test_a_gpu_that_tensorflow_does_not_see_is_named(tmp_path, monkeypatch, capsys):
    if backend.tf.config.list_physical_devices("GPU"):
        pytest.skip("TensorFlow sees one here")
    (tmp_path / "0000:01:00.0").mkdir()
    monkeypatch.setattr(backend, "_GPU_FOLDER", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    backend.start(tt.Config().run)
    assert "sees no GPU though this machine has one" in capsys.readouterr().err
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    backend.start(tt.Config().run)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(backend, "_GPU_FOLDER", str(pathlib.Path(tmp_path, "none")))
    backend.start(tt.Config().run)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("words", "status"), [(["--help"], 0), (["--epoch=3"], 2)])
def test_the_console_script_runs_without_standard_error(words, status):
    code = "import sys; from tf_tickets.main import entry_point; sys.exit(entry_point())"
    command = ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", code, *words]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
    assert done.returncode == status and ("usage:" in done.stdout) == (status == 0)
