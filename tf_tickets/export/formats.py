"""`export`: a ticket as other files, each compared with the ticket's own predictions before it gets its name."""

import dataclasses
import os
from collections.abc import Callable

from tf_tickets import leftovers, runs, storage
from tf_tickets.errors import StateError, UsageError
from tf_tickets.export import loading, measuring, origin, samples, verify
from tf_tickets.export.file_kinds import KINDS, Job
from tf_tickets.registry import NETWORKS
from tf_tickets.settings.checks import EXPORTS
from tf_tickets.settings.config import Config


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
      A table: each file, its size, how far it is from the ticket's own predictions, and how long it takes.

    Raises:
      UsageError: a path or format that cannot be; nothing is computed or written.
      StateError: the ticket is damaged, a file cannot be written, or does not predict what the ticket does.
    """
    place = place_of(path)
    out = _destination(place.path, out)
    ticket, *measured = _loaded(place)
    job = Job(ticket, *measured, place.run, origin.place(place.run, ticket, config.data.place))
    wanted, obstacles = _possible(job, formats)
    earlier = measuring.kept(place, ticket.content_digest)
    for name in wanted:
        KINDS[name].check(out)
        KINDS[name].remove_forsaken(out)
    say("export: reading the images to compare on")
    wanted = _calibratable(job, wanted, obstacles, bool(formats))
    rows: list[dict] = []
    for number, name in enumerate(wanted, 1):
        say(f"export: {name}, {number} of {len(wanted)}")
        rows.append(_written(job, name, out))
    kept = measuring.keep(place, earlier, rows)
    notes = _notes(job, wanted) + [f"no {name}: {words}" for name, words in obstacles.items()]
    return "\n".join([measuring.table(rows), f"in {out}", *notes, *kept])


def _possible(job, formats):
    """(the formats to write, those that cannot be with the reason): found out before anything is computed."""
    asked = list(dict.fromkeys(formats or EXPORTS))
    # Noise does for a comparison, but the images of no other ticket.
    missing = samples.missing(job.ticket, job.run, job.place)
    obstacles = {}
    for name in asked:
        if words := KINDS[name].obstacle(job.ticket, missing) or KINDS[name].missing():
            obstacles[name] = words
    of_program = [name for name in asked if KINDS[name].of_program and name not in obstacles]
    if of_program and not (formats and obstacles) and (words := _unknown_layer(job.ticket)):
        obstacles |= dict.fromkeys(of_program, words)
    _refuse(obstacles if formats else {})
    return [name for name in asked if name not in obstacles], obstacles


def _refuse(obstacles):
    for name, words in obstacles.items():
        raise UsageError(f"--format={name}: {words}; leave {name} out")


def _calibratable(job, wanted, obstacles, asked):
    """The formats without those that calibrate on training images alone, where these are not known or not there."""
    if job.sample.trained_on:
        return wanted
    words = "it is calibrated on training images alone, and those of the ticket are not known or not there"
    unfit = {name: words for name in wanted if KINDS[name].trained_on}
    _refuse(unfit if asked else {})
    obstacles |= unfit
    return [name for name in wanted if name not in unfit]


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
    if runs.place(wanted).kind == "run" or os.path.join(wanted, "ticket") == folder:
        raise UsageError(f"--out={out} holds a run or the ticket itself, which stays as it is; choose another folder")
    above = wanted
    while above != os.path.dirname(above):
        if runs.place(above).kind == "ticket":
            raise UsageError(f"--out={out} lies in the ticket {above}, which stays as it is; choose another folder")
        above = os.path.dirname(above)
    storage.check_writable(wanted)
    leftovers.remove_forsaken(wanted)
    return wanted


def _loaded(place):
    """(Ticket, metrics, number of test images) of what `place_of` gives."""
    if place.kind == "ticket":
        ticket, document = verify.checked(place.path)
        return ticket, document.get("metrics", {}), document.get("test_images")
    return loading.of_round(place.run, place.round), *loading.measured(place.run, place.round)


def _unknown_layer(ticket):
    """Why the runtime cannot execute a ticket's network, in words, once it is built; None where it can."""
    from tf_tickets.export import keras_program

    for member in ticket.members:
        if NETWORKS[member.network["name"]].runtime and (layer := keras_program.unknown(member.model)):
            where = f"{layer} of {member.network['name']}"
            return f"the runtime does not know {where}: its SavedModel, or TFLite, serves it"
    return None


def _written(job, name, out):
    """Writes the files of one format, once they predict what the ticket does; their row of runs.EXPORT_COLUMNS."""
    kind, images = KINDS[name], job.sample.compared
    path, measured = os.path.join(out, kind.shown or kind.files[0]), measuring.UNMEASURED
    with leftovers.temporary_folder() as folder:
        kind.write(job, folder)
        with kind.predicting(job, folder) as predict:
            if predict is not None:
                measured = measuring.measured(predict, images, job.expected)
        if predict is not None and not measured["difference"] <= kind.most:  # nor where it is not a number
            raise StateError(
                f"{path} is not written: its probabilities differ from the ticket's by {measured['difference']:.2g}, "
                f"more than {kind.most:g}; leave {name} out of --format"
            )
        sizes = [measuring.sizes(os.path.join(folder, file)) for file in kind.files]
        for file in kind.files:
            _place(os.path.join(folder, file), os.path.join(out, file))
    plain, zipped = map(sum, zip(*sizes))
    return {
        "ticket": job.ticket.content_digest, "format": name, "file": _shown(path), "bytes": plain,
        "bytes_gzipped": zipped, **measured, "threads": kind.threads(job), "images": len(images),
        "compared_on": job.sample.compared_kind,
    }  # fmt: skip


def _place(made, path):
    """What was made elsewhere gets its name, whole and durable."""
    if not os.path.isdir(made):
        _copy(made, path)
        return
    from tf_tickets.export import writer

    building = storage.temporary_name(path)
    try:
        for at, folders, names in os.walk(made):
            below = os.path.normpath(os.path.join(building, os.path.relpath(at, made)))
            for name in names:
                _copy(os.path.join(at, name), os.path.join(below, name))
            for name in folders:  # also those that hold nothing
                os.makedirs(os.path.join(below, name), exist_ok=True)
    except StateError:
        storage.remove(building)  # what was written of it may be what fills the disk
        raise
    writer.put(building, path)


def _copy(source, path):
    with open(source, "rb") as file:
        storage.write_bytes(path, file.read())


def _shown(path):
    return os.path.basename(path) + ("/" if os.path.isdir(path) else "")


def _notes(job, formats):
    """What the files are compared and calibrated on, in words."""
    sample = job.sample
    calibrated = [name for name in formats if KINDS[name].calibrated]
    images = f"{len(sample.calibration)} {sample.calibration_kind}"
    lines = [f"{' and '.join(calibrated)} calibrated on {images}"] if calibrated else []
    uncompared = [name for name in formats if not KINDS[name].compares(job)]
    if uncompared:
        command = f"CC={os.environ['CC']}" if os.environ.get("CC") else "cc, or the environment's CC"
        lines.append(f"{' and '.join(uncompared)} not compared: no C compiler makes programs here ({command})")
    compared = f"compared on {len(sample.compared)} {sample.compared_kind}"
    return [*([compared] if len(uncompared) < len(formats) else []), *lines]
