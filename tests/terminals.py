"""Processes that print, with streams of a shell's or a terminal of their own."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios

from conftest import ROOT

HEAD = """
import os, sys
from tf_tickets import stopping, streams
stopping.listen()
streams.take_over()
from tf_tickets import errors, main
from tf_tickets.notices import say
"""


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
