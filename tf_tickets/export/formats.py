"""`export`: a ticket as other files, each compared with the ticket's own predictions before it gets its name."""

import dataclasses
import functools
import gzip
import os
import tempfile
from collections.abc import Callable

import numpy as np

from tf_tickets import runs, storage
from tf_tickets.columns import aligned
from tf_tickets.errors import StateError, UsageError
from tf_tickets.export import loading, origin, samples, verify
from tf_tickets.export.ticket import Ticket, check_free
from tf_tickets.registry import NETWORKS
from tf_tickets.settings.checks import EXPORTS
from tf_tickets.settings.config import Config
from tf_tickets.settings.places import Place

_NAMES = {
    "ticket": "ticket", "runtime": "runtime.npz", "tflite": "ticket.tflite", "tflite_float16": "ticket_float16.tflite",
    "tflite_int8": "ticket_int8.tflite", "c": "c", "c_int8": "c_int8",
}  # fmt: skip
# Of float32 files: rounding alone stays a thousand times below. Fewer bits are the user's choice, and only reported.
_LARGEST_DIFFERENCE = {"runtime": 1e-3, "tflite": 1e-3, "c": 1e-3}
# Written from the program of `tf_tickets.runtime`.
_OF_PROGRAM = ("runtime", "c", "c_int8")
# So many weights as text, 60 MB, take a C compiler half a minute and a gigabyte.
_MOST_IN_C = 1 << 22
_HEAD = ("format", "file", "bytes", "bytes gzipped", "largest probability difference", "same label")


def export(
    path: str, formats: list[str] | None, config: Config, out: str | None = None, *,
    say: Callable[[str], None] = lambda line: None,
) -> str:  # fmt: skip
    """Writes a ticket in other formats.

    Args:
      path: a ticket folder, a complete round's folder, or a run folder with a ticket.
      formats: list of settings.checks.EXPORTS; None: all that this ticket can have.
      config: a Config; its `data.place` says where the images are, unset: where the ticket's run read them.
      out: the folder to write into; None: `<ticket folder>.export`.
      say: takes the lines of progress.

    Returns:
      A table: each file, its size, and how far it is from the ticket's own predictions.

    Raises:
      UsageError: a path or format that cannot be; nothing is computed or written.
      StateError: the ticket is damaged, a file cannot be written, or does not predict what the ticket does.
    """
    place = place_of(path)
    out = _destination(place.path, out)
    ticket, *measured = _loaded(place)
    job = _Job(ticket, *measured, place.run, origin.place(place.run, ticket, config.data.place))
    wanted, obstacles = _possible(job, formats)
    if "ticket" in wanted:
        check_free(os.path.join(out, _NAMES["ticket"]))
    for name in {"c", "c_int8"} & set(wanted):
        storage.check_writable(os.path.join(out, _NAMES[name]))
    notes = _notes(job, wanted, say) + [f"no {name}: {words}" for name, words in obstacles.items()]
    rows = []
    for number, name in enumerate(wanted, 1):
        say(f"export: {name}, {number} of {len(wanted)}")
        rows.append((name, *_written(job, name, os.path.join(out, _NAMES[name]))))
    return "\n".join([_table(rows), f"in {out}", *notes])


def _possible(job, formats):
    """(the formats to write, those that cannot be with the reason): found out before anything is computed."""
    asked = list(dict.fromkeys(formats or EXPORTS))
    # Noise does for a comparison, but the images of no other ticket.
    missing = samples.missing(job.ticket, job.run, job.place) if set(asked) != {"ticket"} else None
    obstacles = {name: words for name in asked if (words := _obstacle(job.ticket, name, missing))}
    of_program = [name for name in asked if name in _OF_PROGRAM and name not in obstacles]
    if of_program and not (formats and obstacles) and (words := _unknown_layer(job.ticket)):
        obstacles |= dict.fromkeys(of_program, words)
    for name, words in obstacles.items() if formats else ():
        raise UsageError(f"--format={name}: {words}; leave {name} out")
    wanted = [name for name in asked if name not in obstacles]
    if any(name.startswith("tflite") for name in wanted):
        from tf_tickets.export import tflite

        tflite.check()
    return wanted, obstacles


@dataclasses.dataclass(frozen=True)
class _Job:
    """A ticket and what its files share, each made when first asked for."""

    ticket: Ticket
    metrics: dict
    test_images: int | None
    run: runs.RunFolder | None
    place: Place

    @functools.cached_property
    def facts(self):
        """What the documents of tickets and runtime.npz hold."""
        from tf_tickets.export import writer

        return writer.facts(self.ticket, self.metrics, self.test_images)

    @functools.cached_property
    def sample(self):
        """The images to calibrate and compare on."""
        return samples.of(self.ticket, self.run, self.place)

    @functools.cached_property
    def expected(self):
        """The ticket's own probabilities of the images to compare on."""
        return self.ticket.predict(self.sample.compared)

    @functools.cached_property
    def compiler(self):
        """The command of the C compiler, or None."""
        from tf_tickets.export.c_source import builds

        return builds.compiler()

    @functools.cached_property
    def network(self):
        """The network as the converter takes it."""
        from tf_tickets.export import tflite

        return tflite.function(self.ticket)


def place_of(path: str) -> runs.Place:
    """The runs.Place of the ticket or round that a path stands for; UsageError where it is none, or not complete."""
    place = runs.usable_place(path)
    if place.kind != "run":
        return place
    if place.run.exported() is None:
        raise UsageError(f"{place.path} has no ticket: run its command again to finish it, or give one of its rounds")
    return dataclasses.replace(place, path=place.run.ticket, kind="ticket")


def _destination(folder, out):
    """The folder to write into, checked: nothing is added to a ticket, which `verify` would then refuse."""
    wanted = os.path.abspath(out) if out else storage.subfolder(*os.path.split(f"{folder}.export"))
    if runs.place(wanted).kind == "run" or os.path.join(wanted, _NAMES["ticket"]) == folder:
        raise UsageError(f"--out={out} holds a run or the ticket itself, which stays as it is; choose another folder")
    above = wanted
    while above != os.path.dirname(above):
        if runs.place(above).kind == "ticket":
            raise UsageError(f"--out={out} lies in the ticket {above}, which stays as it is; choose another folder")
        above = os.path.dirname(above)
    storage.check_writable(wanted)
    storage.remove_forsaken(wanted)
    return wanted


def _loaded(place):
    """(Ticket, metrics, number of test images) of what `place_of` gives."""
    if place.kind == "ticket":
        ticket, document = verify.checked(place.path)
        return ticket, document.get("metrics", {}), document.get("test_images")
    return loading.of_round(place.run, place.round), *loading.measured(place.run, place.round)


def _obstacle(ticket, name, missing):
    """Why a ticket cannot have a format, in words; None where it can. `missing`: why its images are not there."""
    data = ticket.data
    networks = [member.network["name"] for member in ticket.members]
    odd = next((network for network in networks if not NETWORKS[network].runtime), None)
    if name in _OF_PROGRAM and odd:
        return f"{odd} is no network of the runtime's: its SavedModel, or TFLite, serves it"
    if name == "tflite_int8" and data.get("dtype", "uint8") != "uint8":
        return f"8 bits do not hold the pixels of 16 bits of {data['dataset']}"
    if name == "tflite_int8" and missing:
        return f"it is calibrated on images, and {missing} ({origin.wanted(ticket)} says where)"
    left = sum(int(mask.sum()) for member in ticket.members for mask in member.masks.values())
    if name in ("c", "c_int8") and left > _MOST_IN_C:
        return f"its {left:,} weights as text are more than the {_MOST_IN_C:,} that C compilers take in a minute"
    return None


def _unknown_layer(ticket):
    """Why the runtime cannot execute a ticket's network, in words, once it is built; None where it can."""
    from tf_tickets.export import keras_program

    for member in ticket.members:
        if NETWORKS[member.network["name"]].runtime and (layer := keras_program.unknown(member.model)):
            where = f"{layer} of {member.network['name']}"
            return f"the runtime does not know {where}: its SavedModel, or TFLite, serves it"
    return None


def _written(job, name, path):
    """Writes one file: (its name, its path, largest difference or None, share of equal labels or None)."""
    if name == "ticket":
        os.makedirs(os.path.dirname(path), exist_ok=True)
        job.ticket.save(path, job.metrics, job.test_images)
        return path, None, None
    if name in ("c", "c_int8"):
        return _written_c(job, name, path)
    if name == "runtime":
        from tf_tickets.export import runtime_file

        data, probabilities = runtime_file.data(job.ticket, job.facts, job.sample.compared)
    else:
        from tf_tickets.export import tflite

        data = tflite.convert(job.network, name, job.sample.calibration)
        probabilities = tflite.predict(data, job.sample.compared)
    compared = _compared(job, name, path, probabilities)
    storage.write_bytes(path, data)
    return path, *compared


def _written_c(job, name, path):
    """As `_written`: a folder, which is compared where there is a compiler."""
    from tf_tickets.export.c_source import builds, files_text

    compared, quantised = (None, None), name == "c_int8"
    if job.compiler:
        with tempfile.TemporaryDirectory() as folder:
            files_text.write(job.ticket, folder, quantised)
            with builds.Program(folder, len(job.ticket.labels), job.compiler) as program:
                compared = _compared(job, name, path, program.answers(job.sample.compared)[1])
    files_text.write(job.ticket, path, quantised)
    return path, *compared


def _compared(job, name, path, probabilities):
    """(largest difference, share of equal labels); StateError where the first is too large."""
    difference = float(np.abs(probabilities - job.expected).max())
    most = _LARGEST_DIFFERENCE.get(name, 1.0)
    if not difference <= most:  # nor where it is not a number
        raise StateError(
            f"{path} is not written: its probabilities differ from the ticket's by {difference:.2g}, more than "
            f"{most:g}; leave {name} out of --format"
        )
    return difference, float((probabilities.argmax(axis=1) == job.expected.argmax(axis=1)).mean())


def _notes(job, formats, say):
    """What the files are compared on, in words; reads the images, so that what is wrong with them is said first."""
    uncompared = [name for name in formats if name in ("c", "c_int8") and not job.compiler]
    words = f"{' and '.join(uncompared)} not compared: there is no C compiler (cc, or the environment's CC)"
    if set(formats) <= {"ticket", *uncompared}:
        return [words] if uncompared else []
    say("export: reading the images to compare on")
    sample = job.sample
    lines = [f"compared on {len(sample.compared)} {sample.compared_kind}"]
    if "tflite_int8" in formats:
        lines.append(f"tflite_int8 calibrated on {len(sample.calibration)} {sample.calibration_kind}")
    if uncompared:
        lines.append(words)
    return lines


def sizes(path: str) -> tuple[int, int]:
    """Bytes of a file, or of all files of a folder; plain, and each gzipped."""
    paths = [path] if os.path.isfile(path) else [os.path.join(at, n) for at, _, names in os.walk(path) for n in names]
    plain = zipped = 0
    for name in paths:
        with open(name, "rb") as file:
            data = file.read()
        plain, zipped = plain + len(data), zipped + len(gzip.compress(data, 9))
    return plain, zipped


def _table(rows):
    cells = [_HEAD]
    for name, path, difference, same in rows:
        measured = ("", "") if difference is None else (f"{difference:.1e}", f"{100 * same:.2f} %")
        shown = os.path.basename(path) + ("/" if os.path.isdir(path) else "")
        cells.append((name, shown, *(f"{size:,}" for size in sizes(path)), *measured))
    return aligned(cells, "llr")
