"""SIGTERM and SIGINT: the first asks the command to save and stop, a second leaves at once. Imports nothing heavy."""

import os
import signal
import time

_requests = []


def requested():
    """Whether a stop was asked for."""
    return bool(_requests)


def listen():
    """Takes over both signals. The process leaves with status 75, run again to continue, in every case."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _remember)


def leave_at_once():
    """For a command with nothing to save: StopRequested is raised wherever it is, also for an earlier request."""
    from tf_tickets.errors import StopRequested

    def leave(number, frame):
        raise StopRequested("stopped on request")

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    if _requests:
        leave(None, None)


def ignore():
    """For a command that is done: Python's own end takes seconds with TensorFlow loaded, and would restore defaults."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _remember(number, frame):
    # The first request waits for the running block of steps; the second leaves at once, with what is already saved.
    # Within a second they are one: Ctrl-C in a terminal reaches a run itself, and again through the sweep around it.
    if not _requests:
        _requests.append(time.monotonic())
    elif time.monotonic() - _requests[0] > 1.0:
        os._exit(75)
