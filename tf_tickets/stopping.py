"""SIGTERM, SIGINT and SIGHUP: the first asks the command to save and stop, a second leaves at once. Nothing heavy here.

SIGHUP comes when the terminal is closed. Where it is ignored, as under nohup, it stays so and the command goes on. It
never leaves at once: a closed terminal's comes twice, from the kernel and from the shell.
"""

import signal
import time

from tf_tickets import streams
from tf_tickets.errors import StopRequested

_requests = []

# Not every system has a hangup.
_HANGUP = getattr(signal, "SIGHUP", None)


def requested() -> bool:
    """Whether a stop was asked for."""
    return bool(_requests)


def listen() -> None:
    """Takes over the signals. The process leaves with status 75, run again to continue, in every case."""
    _handle(_remember)


def leave_at_once() -> None:
    """For a command with nothing to save: StopRequested is raised wherever it is, also for an earlier request."""

    def leave(number, frame):
        before = requested()
        _remember(number, frame)
        if not before:  # while the first is on its way out, another would end it in a traceback
            raise StopRequested("stopped on request")

    _handle(leave)
    if _requests:
        raise StopRequested("stopped on request")


def ignore() -> None:
    """For a command that is done: Python's own end takes seconds with TensorFlow loaded, and would restore defaults."""
    _handle(signal.SIG_IGN)


def _handle(handler):
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)
    if _HANGUP and signal.getsignal(_HANGUP) != signal.SIG_IGN:
        signal.signal(_HANGUP, handler)


def _remember(number, frame):
    # The first request waits for the running block of steps; the second leaves at once, with what is already saved.
    # Within a second they are one: Ctrl-C in a terminal reaches a run itself, and again through the sweep around it.
    if not _requests:
        _requests.append(time.monotonic())
    elif number != _HANGUP and time.monotonic() - _requests[0] > 1.0:
        streams.leave(StopRequested.exit_status)
