"""A terminal or notebook: what is shown there, how wide, and what its closing stops.

One test makes a whole run on a terminal that goes away.
"""

import os
import pty
import re
import signal
import subprocess
import sys
import types

import pytest
from conftest import QUICK, ROOT
from terminals import HEAD, Terminal, resize

import tf_tickets as tt
from tf_tickets import stopping, streams
from tf_tickets.experiments import plan as plans
from tf_tickets.experiments import rounds
from tf_tickets.observers import Block
from tf_tickets.training import progress

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
