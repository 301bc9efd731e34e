"""Standard streams that are closed, full, broken or gone: runs go on, output that is the result is missed aloud.

The commands here are stand-ins that print; one test makes a whole run on a terminal that goes away.
"""

import errno
import fcntl
import os
import pathlib
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import types

import pytest
from conftest import QUICK, ROOT

import tf_tickets as tt
from tf_tickets import backend, errors, stopping, streams
from tf_tickets.experiments import plan as plans
from tf_tickets.experiments import rounds
from tf_tickets.export import predict
from tf_tickets.observers import Block
from tf_tickets.training import progress

HEAD = """
import os, sys
from tf_tickets import stopping, streams
stopping.listen()
streams.take_over()
from tf_tickets import errors, main
from tf_tickets.notices import say
"""
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


def start(code, *words, redirect="", **options):
    """A Python process with the code, its streams redirected as a shell does."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_CPP_")}
    environment |= {"PYTHONPATH": str(ROOT)} | options.pop("env", {})
    shell = ["/bin/sh", "-c", f'exec "$@" {redirect}', "sh"]
    return subprocess.Popen([*shell, sys.executable, "-c", HEAD + code, *words], env=environment, **options)


def run(code, *words, **options):
    """`start` to its end; returns (status, standard output, standard error)."""
    with start(code, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
        out, error = process.communicate(timeout=60)
    return process.returncode, out.decode(), error.decode()


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


class Terminal:
    """A process whose terminal, of so many columns, this is."""

    def __init__(self, arguments, columns, ignore=(), stdout=None, **options):
        self.master, slave = pty.openpty()
        resize(self.master, columns)

        def adopt():
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for number in ignore:
                signal.signal(number, signal.SIG_IGN)

        self.process = subprocess.Popen(
            arguments, stdin=slave, stdout=slave if stdout is None else stdout, stderr=slave, start_new_session=True,
            preexec_fn=adopt, restore_signals=False, **options,
        )  # fmt: skip
        os.close(slave)

    def read_until(self, text):
        """What the process writes until the text comes."""
        found = b""
        while text not in found:
            found += os.read(self.master, 4096)
        return found.decode()

    def close(self):
        """The terminal is closed; returns the process' exit status."""
        os.close(self.master)
        return self.process.wait(100)


def resize(descriptor, columns):
    """Gives a terminal so many columns."""
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


WAITS = """
import time
def waits(request):
    say("running")
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        if stopping.requested():
            raise errors.StopRequested("stopped on request")
        say("running")
        time.sleep(0.05)
    open("ticket", "w").close()
    return 0
main.COMMANDS["imp"].run = waits
main.entry_point()
"""


@pytest.mark.parametrize(("ignore", "seconds", "status"), [((), 60, 75), ((signal.SIGHUP,), 1.5, 0)])
def test_a_terminal_that_is_closed_stops_a_command_unless_hangups_are_ignored(tmp_path, ignore, seconds, status):
    code = HEAD + WAITS.replace("SECONDS", str(seconds))
    terminal = Terminal(
        [sys.executable, "-c", code], 80, ignore, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    terminal.read_until(b"running")
    assert terminal.close() == status
    assert (tmp_path / "ticket").exists() == (status == 0)


def test_a_run_outlives_its_terminal_and_says_nothing_but_its_own_lines(tmp_path):
    settings = {**QUICK, "rounds": 2, "epochs": 3, "tensorboard": False, "out": tmp_path}
    del settings["progress"]
    flags = [f"--{name}={value}" for name, value in settings.items()]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TF_CPP_", "COLUMNS"))}
    command = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "tf_tickets.main", *flags]
    terminal = Terminal(
        command, 66, (signal.SIGHUP,), stdout=subprocess.DEVNULL, cwd=ROOT, env=environment | {"TERM": "xterm"}
    )
    said = terminal.read_until(b"round 1/1")
    assert terminal.close() == 0
    assert [path.parent.name for path in tmp_path.glob("*/seed_0/ticket/ticket.json")] == ["ticket"]
    lines = [line for line in re.split("[\r\n]+", said) if line]
    assert "\x1b" not in said and all(re.match(r"round [01]/1(  |$)", line) for line in lines), said
    assert max(map(len, lines)) <= 65
    assert any(re.search(r"  validation \d+\.\d %", line) for line in lines) and "test" not in said


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


def test_the_live_line_follows_the_terminal(monkeypatch):
    master, slave = pty.openpty()
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with open(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        for wanted in (80, 40):
            resize(master, wanted)
            assert streams.columns() == wanted
        resize(master, 0)
        assert streams.columns() == 80
        monkeypatch.setenv("COLUMNS", "132")
        assert streams.columns() == 132 and streams.is_terminal()
        monkeypatch.setenv("TERM", "dumb")
        assert not streams.is_terminal()
        streams.live("a longer text", last=False)
        streams.live("text", last=False)
        streams.say("a notice")
        streams.live("end", last=True)
        streams.say("another")
        found = b""
        while b"another" not in found:
            found += os.read(master, 4096)
    os.close(master)
    assert found.decode() == "\ra longer text\rtext         \r\na notice\r\n\rend\r\nanother\r\n"


class IPython:
    """What `streams` looks at of it, and the outputs that it shows at last."""

    def __init__(self, **shell):
        self.outputs = []
        self.get_ipython = lambda: types.SimpleNamespace(**shell)
        self.display = types.SimpleNamespace(display=self._shown)

    def _shown(self, data, raw, display_id):
        assert raw and display_id
        self.outputs.append(data["text/plain"])
        return types.SimpleNamespace(update=self._replaced)

    def _replaced(self, data, raw):
        assert raw
        self.outputs[-1] = data["text/plain"]


def test_a_notebook_has_one_output_that_is_replaced(monkeypatch, capsys):
    notebook = IPython(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.delenv("COLUMNS", raising=False)
    assert streams.can_replace() and streams.columns() == 120
    for text, last in [("a", False), ("b", False), ("c", True), ("d", False), ("e", True)]:
        streams.live(text, last)
    assert notebook.outputs == ["c", "e"] and capsys.readouterr().err == ""
    for elsewhere in (IPython(), types.SimpleNamespace(get_ipython=lambda: None)):
        monkeypatch.setitem(sys.modules, "IPython", elsewhere)
        assert not streams.can_replace() and streams.columns() == 80
    streams.live("f", last=True)
    assert notebook.outputs == ["c", "e"] and capsys.readouterr().err == "\rf\n"


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


PARTS = {
    "title": "refit, round 10/15", "detail": "density 100.00 %", "epoch": "epoch 199/200", "loss": "loss 2.142",
    "accuracy": "validation 45.1 %", "rate": "12,345 images/s", "left": "10:00:00 left",
}  # fmt: skip


def test_a_narrow_terminal_gets_what_matters_most():
    for width in range(130):
        text = progress._fitted(PARTS, width)
        assert len(text) <= width and text == "  ".join(PARTS.values())[: len(text)] or width < 120
    assert progress._fitted(PARTS, 79) == "refit, round 10/15  epoch 199/200  validation 45.1 %  10:00:00 left"
    assert progress._fitted(PARTS, 120) == "  ".join(PARTS.values())
    assert progress._fitted(PARTS, 40) == "refit, round 10/15  validation 45.1 %"
    assert progress._fitted(PARTS, 7) == "refit, "


@pytest.mark.parametrize(("values", "refits", "shown"), [
    ({"validation": "0.2"}, False, "validation"), ({}, False, "test"),
    ({"validation": "0.2", "choose": "last"}, False, "test"), ({"validation": "0.2", "refit": True}, True, "test"),
])  # fmt: skip
def test_progress_shows_the_accuracy_that_chooses(values, refits, shown, capsys):
    plan = plans.resolve(tt.Config.from_values(**{**QUICK, "validation": None, **values}), refits=refits)
    assert rounds._shown(plan) == shown
    line = progress.Progress(
        "log", title="round 0/2", shown=shown, first_step=0, last_step=4, steps_per_epoch=2, images_per_epoch=20,
        steps_after=0,
    )  # fmt: skip
    row = {"train_loss": 1.0, "test_accuracy": 0.25, "validation_accuracy": 0.5}
    line.epoch_ends(row)
    line.block_ends(Block(4, outcomes=(), last=True))
    accuracy = {"test": "test 25.0 %", "validation": "validation 50.0 %"}[shown]
    assert capsys.readouterr().err == f"round 0/2  epoch 2/2  loss 1.000  {accuracy}\n"


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


def test_a_second_request_leaves_and_a_second_hangup_does_not(monkeypatch):
    left = []
    monkeypatch.setattr(stopping, "_requests", [])
    monkeypatch.setattr(stopping, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(streams, "leave", left.append)
    now = [10.0]
    stopping._remember(signal.SIGHUP, None)
    assert stopping.requested() and left == []
    for now[0], number, wanted in [
        (10.5, signal.SIGTERM, []), (20.0, signal.SIGHUP, []), (20.0, signal.SIGINT, [75]),
    ]:  # fmt: skip
        stopping._remember(number, None)
        assert left == wanted


@pytest.mark.parametrize(("words", "status"), [(["--help"], 0), (["--epoch=3"], 2)])
def test_the_console_script_runs_without_standard_error(words, status):
    code = "import sys; from tf_tickets.main import entry_point; sys.exit(entry_point())"
    command = ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", code, *words]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
    assert done.returncode == status and ("usage:" in done.stdout) == (status == 0)
