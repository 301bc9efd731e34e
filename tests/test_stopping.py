"""Stop requests: the first is remembered, commands with nothing to save end at once, an ended one is left alone."""

import signal
import subprocess
import sys

import pytest
from conftest import ROOT

HEAD = (
    "import os, signal, sys; from tf_tickets import stopping; stopping.listen(); "
    "send = lambda number: os.kill(os.getpid(), number); "
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(("code", "status"), [
    ("send({0}); sys.exit(int(stopping.requested()))", 1),
    ("stopping.leave_at_once(); send({0})", "StopRequested"),
    ("send({0}); stopping.leave_at_once()", "StopRequested"),
    ("stopping.ignore(); send({0}); sys.exit(int(stopping.requested()))", 0),
    # Python's end restores the defaults of handlers, not of what is ignored.
    ("import atexit; stopping.ignore(); atexit.register(send, {0})", 0),
])  # fmt: skip
def test_requests_do_what_the_moment_asks_for(number, code, status):
    done = subprocess.run(
        [sys.executable, "-c", HEAD + code.format(int(number))], capture_output=True, text=True, cwd=ROOT
    )
    if isinstance(status, str):
        assert status in done.stderr.splitlines()[-1]
    else:
        assert (done.returncode, done.stderr) == (status, "")


def test_a_report_that_is_asked_to_stop_says_so_in_one_line():
    code = (
        "import os, signal, sys\nfrom tf_tickets import main, stopping\nstopping.listen()\n"
        "main.COMMANDS['report'].run = lambda request: os.kill(os.getpid(), signal.SIGTERM)\nmain.entry_point()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, "report", "tests"], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (75, "", "tf-tickets: stopped on request\n")


@pytest.mark.parametrize("handler", ["listen", "leave_at_once", "ignore"])
def test_a_hangup_that_is_ignored_from_the_start_stays_so(handler):
    code = f"stopping.{handler}(); send(signal.SIGHUP); sys.exit(int(stopping.requested()))"
    head = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
    done = subprocess.run([sys.executable, "-c", head + HEAD + code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
