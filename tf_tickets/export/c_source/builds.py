"""Compiles the C files of a ticket with the compiler at hand, and predicts with what comes out."""

import os
import shlex
import shutil
import subprocess
import tempfile
import typing

import numpy as np

from tf_tickets.errors import StateError, reason

# Those of docs/tickets_on_devices.md, and what a compiler gets that does not know them.
_FLAGS = (("-O3", "-march=native", "-ffast-math"), ("-O2",))
_SECONDS = 900
_TRIED = b"#include <math.h>\n#include <stdint.h>\n#include <stdio.h>\nint main(void) { return 0; }\n"
# Reads images, and writes logits and probabilities of each as they are in memory.
_MAIN = b"""\
#include "ticket.h"
#include <stdio.h>

int main(void)
{
    static TICKET_PIXEL pixels[TICKET_HEIGHT * TICKET_WIDTH * TICKET_CHANNELS];
    static float answers[2][TICKET_CLASSES];
    while (fread(pixels, sizeof pixels, 1, stdin) == 1) {
        ticket_logits(pixels, answers[0]);
        ticket_predict(pixels, answers[1]);
        fwrite(answers, sizeof answers, 1, stdout);
        fflush(stdout);
    }
    return 0;
}
"""


def compiler() -> list[str] | None:
    """The words of the C compiler's command, of the environment's CC, else cc; None where none makes programs."""
    try:
        words = shlex.split(os.environ.get("CC", "")) or ["cc"]
    except ValueError:  # a quote that is not closed
        return None
    if shutil.which(words[0]) is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "tried")
        with open(f"{path}.c", "wb") as file:
            file.write(_TRIED)
        try:
            subprocess.run([*words, f"{path}.c", "-o", path, "-lm"], capture_output=True, timeout=_SECONDS, check=True)
            subprocess.run([path], timeout=_SECONDS, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
    return words


class Program:
    """A compiled ticket, executed in a process of its own; a context that ends it.

    Args:
      folder: where ticket.c and ticket.h lie.
      classes: how many numbers it answers.
      command: of `compiler`.
      flags: of the compiler; None: the fastest that it takes.

    Raises:
      StateError: it cannot be compiled or executed.
    """

    def __init__(self, folder: str, classes: int, command: list[str], flags: typing.Sequence[str] | None = None):
        self._classes, self._built = classes, tempfile.TemporaryDirectory()
        try:
            path = _compiled(folder, self._built.name, command, _FLAGS if flags is None else (flags,))
        except StateError:
            self._built.cleanup()
            raise
        self._process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __enter__(self):
        """Nothing more than itself."""
        return self

    def __exit__(self, *error):
        """Ends the process."""
        _, said = self._process.communicate()
        self._built.cleanup()
        if self._process.returncode and not any(error):
            raise StateError(f"the compiled ticket.c ended with status {self._process.returncode}: {_said(said)}")

    def answers(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(logits, probabilities) of stored images, float32 [n, classes] each."""
        stdin, stdout, size = self._process.stdin, self._process.stdout, 8 * self._classes
        assert stdin is not None and stdout is not None
        data = b""
        for image in images:
            try:
                stdin.write(np.ascontiguousarray(image).tobytes())
                stdin.flush()
                answer = stdout.read(size)
            except OSError:
                answer = b""
            if len(answer) < size:
                self._process.kill()
                raise StateError(f"the compiled ticket.c answers no more: {_said(self._process.communicate()[1])}")
            data += answer
        both = np.frombuffer(data, np.float32).reshape(len(images), 2, self._classes)
        return both[:, 0], both[:, 1]


def _compiled(folder, into, command, tries):
    """The path of the program, by the first flags that the compiler takes."""
    main, path = (os.path.join(into, name) for name in ("main.c", "program"))
    with open(main, "wb") as file:
        file.write(_MAIN)
    said = "nothing was tried"
    for flags in tries:
        words = [*command, *flags, os.path.join(folder, "ticket.c"), main, f"-I{folder}", "-o", path, "-lm"]
        try:
            built = subprocess.run(words, capture_output=True, timeout=_SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            raise StateError(f"{words[0]} cannot compile ticket.c: {reason(error)}; leave c out of --format") from None
        if built.returncode == 0:
            return path
        said = _said(built.stderr)
    raise StateError(f"{shlex.join(command)} cannot compile ticket.c: {said}")


def _said(stderr):
    """The first line that names an error."""
    lines = stderr.decode("utf-8", "replace").splitlines() or ["nothing was said"]
    return next((line for line in lines if "error" in line.lower()), lines[0])[:300]
