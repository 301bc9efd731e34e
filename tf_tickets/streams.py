"""The standard streams: what cannot be printed is not printed, and what native code says is kept for a crash.

A terminal goes away, a pipe's reader ends, the disk behind a redirection is full, a stream was closed from the start:
a run outlives all of that, and a command whose result is its output can ask what became of it. Imports nothing heavy.
"""

import contextlib
import io
import os
import select
import subprocess
import sys
from collections.abc import Iterator

# Bytes of native code's last words, TensorFlow's start above all, that a crash shows.
_KEPT = 1 << 16

# `take_over` fills these: the descriptor that standard error has now, and what standard output could not write.
_taken = {}
# The process that holds the last words, while there is one.
_recorders = []
# Characters of the live line that a terminal shows, while there is one.
_live = []
# The handle of the live line that a notebook shows, while there is one.
_outputs = []


class _Outlet(io.FileIO):
    """A descriptor that is written as far as that goes.

    Attributes:
      problem: the first OSError; None as long as everything was written.
    """

    def __init__(self, descriptor, problem=None):
        super().__init__(descriptor, "w", closefd=False)
        self.problem = problem

    def write(self, data):
        """Always takes all of it."""
        left = memoryview(data).cast("B")
        try:
            while left:
                written = super().write(left)
                if written is None:  # a descriptor that does not block, and is full
                    select.select([], [self.fileno()], [])
                left = left[written or 0 :]
        except OSError as error:
            self.problem = self.problem or error
        return len(data)


def take_over() -> None:
    """Makes the three streams of a program safe, once; before anything else opens files.

    A stream that was closed from the start becomes the null device, so that no file of ours gets its number and, with
    it, what is printed. Standard error gets a descriptor of its own: what is written to descriptor 2 itself comes from
    native code, see `record`.
    """
    if _taken:
        return
    closed = _open_missing()
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  lives as long as the process
    _taken["error"] = os.dup(2)
    _taken["output"] = _Outlet(1, closed.get(1))
    sys.stdout = _text(_taken["output"], sys.stdout, os.isatty(1) or getattr(sys.stdout, "write_through", False))
    sys.stderr = _text(_Outlet(_taken["error"]), sys.stderr, True)


def _open_missing():
    """Opens the null device under each number of 0 to 2 that is free; returns {number: OSError}."""
    closed = {}
    for number in range(3):
        try:
            os.fstat(number)
        except OSError as error:
            closed[number] = error
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
            os.set_inheritable(number, True)
    return closed


def _text(outlet, before, line_buffering):
    # File names need not be text in the terminal's encoding, nor text at all.
    encoding = getattr(before, "encoding", None) or "utf-8"
    buffer = io.BufferedWriter(outlet)
    return io.TextIOWrapper(buffer, encoding, errors="backslashreplace", line_buffering=line_buffering)


def unprinted() -> OSError | None:
    """The OSError for which something printed did not reach standard output; None where all did."""
    if not _taken:
        return None
    sys.stdout.flush()
    return _taken["output"].problem


def say(line: str) -> None:
    """A line for the user on standard error, below the live line where there is one."""
    _write("\n" * len(_live) + line + "\n")
    _live.clear()


def live(text: str, last: bool) -> None:
    """Puts a text in place of the last one; after the `last` the line is done."""
    if (display := _notebook()) is not None:
        _displayed(display, text, last)
        return
    # Spaces over the rest of the text before, and no terminal's codes.
    _write("\r" + text.ljust(_live.pop() if _live else 0) + ("\n" if last else ""))
    if not last:
        _live.append(len(text))


def _write(text):
    # A program that has imported us may have closed standard error, or have none.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text)
        sys.stderr.flush()


def _notebook():
    """The module that shows values in the notebook whose kernel this process is; None in all other programs."""
    ipython = sys.modules.get("IPython")
    return ipython.display if ipython is not None and hasattr(ipython.get_ipython(), "kernel") else None


def _displayed(display, text, last):
    """As `live`, as an output of the cell: it is no error, and has its place where notices are printed meanwhile."""
    text = {"text/plain": text}
    if _outputs:
        _outputs[-1].update(text, raw=True)
    else:
        _outputs.append(display.display(text, raw=True, display_id=True))
    if last:
        _outputs.clear()


def can_replace() -> bool:
    """Whether `live` replaces a line: on a terminal that can, and in a notebook."""
    return is_terminal() or _notebook() is not None


def is_terminal() -> bool:
    """Whether standard error is a terminal on which a line can be written over."""
    try:
        return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    except (ValueError, AttributeError):
        return False


def columns() -> int:
    """The width of the terminal at this moment, 120 in a notebook, else 80. COLUMNS wins, as everywhere."""
    # shutil.get_terminal_size looks at standard output, which may be a file.
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return int(given)
    if _notebook() is not None:
        return 120
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError, AttributeError):
        return 80


def record() -> None:
    """From now on keeps what native code writes to descriptor 2 instead of showing it.

    TensorFlow says a few lines whenever it starts, before it looks at its own TF_CPP_MIN_LOG_LEVEL. The last of what is
    said is shown when the process dies of a signal, or when `end_recording` is told so. Does nothing in a program that
    only imports us, nor where the environment sets any of TensorFlow's TF_CPP_ variables.
    """
    if not _taken or _recorders or any(name.startswith("TF_CPP_") for name in os.environ):
        return
    try:
        # A process of its own outlives this one, whatever ends it, and then has the end of its input; in a session of
        # its own, no Ctrl-C or hangup reaches it.
        recorder = subprocess.Popen(
            ["tail", "-c", str(_KEPT)], stdin=subprocess.PIPE, stdout=_taken["error"], stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
    except OSError:  # no such program here: everything is shown
        return
    assert recorder.stdin is not None, "it is a pipe"
    os.dup2(recorder.stdin.fileno(), 2)
    recorder.stdin.close()
    _recorders.append(recorder)


def end_recording(show: bool = False) -> None:
    """Descriptor 2 is standard error again; what was kept is shown, or else lost."""
    if not _recorders:
        return
    recorder = _recorders.pop()
    if not show:
        recorder.kill()
    os.dup2(_taken["error"], 2)
    with contextlib.suppress(subprocess.TimeoutExpired):  # some child may still have the other end
        recorder.wait(10)


@contextlib.contextmanager
def without_lines(pattern: str) -> Iterator[None]:
    """While inside, lines written to descriptor 2 that match an extended regular expression are not shown.

    For programs that only import us, and may write there themselves: all other lines are passed on as they come, also
    those of a crash. Does nothing while `record` keeps all of it, nor where the environment sets any of TensorFlow's
    TF_CPP_ variables.
    """
    if _recorders or any(name.startswith("TF_CPP_") for name in os.environ):
        yield
        return
    try:
        shown = os.dup(2)
        # Its own session, so that no Ctrl-C reaches it before the lines of this process do.
        passing = subprocess.Popen(
            ["grep", "-avE", "--line-buffered", pattern], stdin=subprocess.PIPE, stdout=2, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
    except OSError:  # standard error is closed, or there is no such program here
        yield
        return
    assert passing.stdin is not None, "it is a pipe"
    os.dup2(passing.stdin.fileno(), 2)
    passing.stdin.close()
    try:
        yield
    finally:
        os.dup2(shown, 2)
        os.close(shown)
        with contextlib.suppress(subprocess.TimeoutExpired):  # some child may still have the other end
            passing.wait(1)


def leave(status: int) -> None:
    """Ends the process at once, as os._exit does; nothing is shown of what was kept."""
    for recorder in _recorders:
        recorder.kill()
    os._exit(status)
