"""What to do with the files that `export` wrote: the lines that end its answer."""

import os
import shlex
from collections.abc import Sequence

from tf_tickets.export.file_kinds import KINDS
from tf_tickets.export.formats import place_of

_PROGRAM = "python -m tf_tickets.main"
# Endings of the files that `predict` and `verify` read.
_READ = (".npz", ".onnx", ".tflite")


def lines(formats: Sequence[str] | None, path: str, out: str | None = None) -> list[str]:
    """The `next:` lines.

    Args:
      formats: that were asked for; None: all.
      path: of the ticket, round or run.
      out: the folder that the files lie in; None: beside the ticket, where `export` puts them.
    """
    ticket = _short(place_of(path).path)
    out = _short(out or f"{ticket}.export")
    paths = [os.path.join(out, file) for name in formats or KINDS for file in KINDS[name].files]
    paths = [path for path in paths if os.path.exists(path)]
    read = [path for path in paths if path.endswith(_READ)]
    source = next((path for path in paths if path.endswith(".c")), None)
    commands = []
    if read:
        first = shlex.quote(read[0])
        commands = [f"{_PROGRAM} predict {first} PICTURE.png", f"{_PROGRAM} verify {shlex.quote(ticket)} {first}"]
    if source:
        program = shlex.quote(source.removesuffix(".c"))
        commands.append(f"cc -O3 -march=native -ffast-math -DTICKET_MAIN {shlex.quote(source)} -o {program} -lm")
        commands.append(f"{_run(program)} images.raw  # pixels of one image after the other, without headers")
    folder = next((path for path in paths if os.path.isdir(path)), None)
    if folder:
        commands.append(f"{_PROGRAM} verify {shlex.quote(folder)}")
    return [f"{'next: ' if number == 0 else '      '}{command}" for number, command in enumerate(commands)]


def of_ensemble(out: str) -> list[str]:
    """The `next:` lines of an ensemble in the folder `out`."""
    ticket = shlex.quote(_short(out))
    commands = [f"evaluate {ticket}", f"predict {ticket} PICTURE.png", f"export {ticket}"]
    return [f"{'next: ' if number == 0 else '      '}{_PROGRAM} {command}" for number, command in enumerate(commands)]


def _run(program):
    """A program's path as a shell runs it, which looks for a bare name elsewhere."""
    return program if "/" in program else f"./{program}"


def _short(path):
    """A path as it can be given from the current folder, where it lies below that."""
    near = os.path.relpath(path)
    return path if near.startswith(os.pardir) else near
