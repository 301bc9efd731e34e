"""Where the images of a run's or ticket's network are, and whether they still are what it was made from.

Of tables the prepared data are checked when they are read. A folder of the user's pictures may change: what was a
training picture may test now, and old and new test pictures would be mixed in one file of rows. No TensorFlow here.
"""

import dataclasses
import os
from collections.abc import Callable

from tf_tickets import plugins, runs, storage
from tf_tickets.data import content_names, own, sources
from tf_tickets.errors import StateError, TicketError, UsageError
from tf_tickets.export import loading
from tf_tickets.export.ticket import Ticket
from tf_tickets.registry import CONTROLS, DATASETS
from tf_tickets.settings import places
from tf_tickets.settings.config import Config
from tf_tickets.settings.places import Place

_VALUES = {"data_dir": "DIR", "data_file": "FILE", "labels_file": "FILE"}


def run_of(path: str) -> runs.RunFolder | None:
    """The runs.RunFolder that a ticket folder lies in as its ticket; None for one that lies elsewhere."""
    place = runs.place(path)
    return place.run if place.kind == "ticket" and place.run and place.path == place.run.ticket else None


def place(run: runs.RunFolder | None, ticket: Ticket, asked: Place) -> Place:
    """Where a network's images are.

    Args:
      run: the runs.RunFolder that the network is of, or None.
      ticket: the network's Ticket.
      asked: what the command was given.

    Returns:
      What is given; what is not, as the run was given it, where it is still there.
    """
    flags = [flag for flag in _flags(ticket) if getattr(asked, flag) is None]
    if run is None or not flags:
        return asked
    recorded = _recorded_place(run)
    there = {flag: getattr(recorded, flag) for flag in flags if _is_there(flag, getattr(recorded, flag))}
    return dataclasses.replace(asked, **there)


def _flags(ticket):
    return _own_flags(ticket) or ("data_dir",)


def _own_flags(ticket):
    provider = DATASETS.get(ticket.data["dataset"])
    return provider.place_flags if provider else ()


def _is_there(flag, value):
    if value is None or places.is_name(value):
        return value is not None and content_names.is_there(value)
    return (os.path.isdir if flag == "data_dir" else os.path.isfile)(os.path.expanduser(value))


def _recorded_place(run):
    try:
        return Config.from_flagfile(run.config).data.place
    except plugins.NotLoaded:
        raise
    except UsageError as error:
        raise StateError(f"{error}; restore {run.config}") from None


def shown(ticket: Ticket, place: Place) -> str:
    """Where a ticket's images are said to be, as flags."""
    return place.shown(_flags(ticket))


def wanted(ticket: Ticket) -> str:
    """The flags that say where a ticket's images are."""
    return " ".join(f"--{flag}={_VALUES[flag]}" for flag in _flags(ticket))


def check_given(ticket: Ticket, run: runs.RunFolder | None, place: Place) -> None:
    """UsageError where the user's own images are not given, and not where the run read them; see `place`."""
    flag = next((flag for flag in _own_flags(ticket) if getattr(place, flag) is None), None)
    if flag is None:
        return
    was = getattr(_recorded_place(run), flag) if run is not None else None
    if places.is_name(was):
        raise UsageError(content_names.lost(f"the images of {_name(run)}", flag))
    where = f"they were in {was}, which is not there" if was else "where they are is not known"
    raise UsageError(f"the pictures of {_name(run)} are needed, and {where}: add --{flag}={_VALUES[flag]}")


def check_pictures(
    ticket: Ticket, run: runs.RunFolder | None, place: Place, say: Callable[[str], None] = lambda line: None
) -> None:
    """Checks that what is given holds the pictures that a network was made from, as they were.

    Args:
      ticket: the network's Ticket; where its pictures are not the user's own there is nothing to check.
      run: the runs.RunFolder it is of, or None.
      place: where they are, as `place` finds it.
      say: function that is told what could not be compared.

    Raises:
      UsageError: nothing is given, or it holds other pictures; names the first that differs.
    """
    provider = sources.of(ticket.data["dataset"])
    check_given(ticket, run, place)
    pictures = provider.pictures(place)
    if pictures is None:
        return
    flag = place.shown(provider.place_flags) or f"--dataset={ticket.data['dataset']}"
    if run is None:
        _check_of_ticket(ticket, pictures, flag)
        return
    recorded = _manifest(run).get("pictures")
    if recorded == pictures.digest:
        return
    difference = _difference(run, pictures)
    if difference is None and recorded is None:
        fits = _fits_name(run, pictures.digest)
        if fits is None:
            say(f"{run.folder}: its pictures are compared by name alone, since what else is in its name has changed")
        if fits or fits is None:
            return
    difference = difference or "at least one has another content, or is new and was not in use"
    raise UsageError(
        f"{flag} does not hold the pictures of {run.folder} as they were: {difference}; restore them, or "
        "run imp or train on these, which makes another run"
    )


def _manifest(run):
    return storage.read_sealed(run.manifest) if os.path.exists(run.manifest) else {}


def _name(run):
    return run.folder if run is not None else "the ticket"


def _check_of_ticket(ticket, pictures, flag):
    """As `check_pictures`, of a ticket outside its run."""
    if ticket.pictures == pictures.digest:
        return
    trained = set(ticket.ids or ())
    difference = next((p.id for p in pictures.pictures if p.part == "test" and p.id in trained), None)
    if ticket.pictures is not None:
        raise UsageError(
            f"{flag} does not hold the pictures of the ticket as they were; give those, or label others with predict"
        )
    if difference is not None:  # of an earlier version, which kept names alone
        raise UsageError(
            f"{flag}: {difference} would test the ticket, which was trained on a picture of that name; "
            "give the pictures as they were"
        )


def _difference(run, pictures):
    """The first picture by which a folder differs from the run's subset.csv, in words; None where none does."""
    there, rows = {picture.id: picture for picture in pictures.pictures}, storage.read_csv(run.subset)
    if os.path.exists(run.pictures):
        return _difference_of_contents(run, there)
    if any(set(row) != {"id", "label", "part"} for row in rows):
        raise StateError(f"{run.subset} has other columns than id,label,part; restore it")
    listed = {row["id"]: row for row in rows}
    for name in listed:
        if name not in there:
            return f"{name} is gone"
    data = Config.from_flagfile(run.config).data
    sizes = data.fraction, data.per_class, data.images, data.subset_file, data.imbalance
    whole = all(size is None for size in sizes)  # else pictures that are not in use are not listed
    for name, picture in there.items():
        if name not in listed and (whole or picture.part == "test"):
            return f"{name} is new"
    for name, row in listed.items():
        if row["label"] != str(there[name].label):
            return f"{name} was of another class"
        if (row["part"] == "test") != (there[name].part == "test"):
            return f"{name} was in the {row['part']} part and is in the {there[name].part} part"
    return None


def _difference_of_contents(run, there):
    """As `_difference`, by the run's pictures.csv: of all pictures, in use or not, and of what is in them."""
    rows = storage.read_csv(run.pictures)
    recorded = _manifest(run).get("pictures")
    if any(set(row) != set(runs.PICTURE_COLUMNS) for row in rows) or recorded not in (None, own.digest_of(rows)):
        raise StateError(f"{run.pictures} was changed since its run began; restore it, or delete it to compare by name")
    listed = {row["id"]: row for row in rows}
    for name in [*listed, *there]:
        if name not in there or name not in listed:
            return f"{name} is {'gone' if name in listed else 'new'}"
        was, now = listed[name], there[name].row
        if was["sha256"] != now["sha256"]:
            return f"{name} has another content"
        if was["part"] != now["part"]:
            return f"{name} was in the {was['part']} part and is in the {now['part']} part"
    return None


def _fits_name(run, digest):
    """Whether a run's name is what pictures of this digest make it: runs of earlier versions recorded nothing else.

    Returns:
      True or False; None where files that are in the name too may be gone or changed, so that nothing can be said.
    """
    config = Config.from_flagfile(run.config)
    name = _manifest(run).get("identity", run.name).split("/")[0]
    pruning = config.pruning
    try:
        content = [("pictures", digest)] + ([("rounds", pruning.rounds)] if pruning.searches else [])
        candidates = [("imp", content), ("pretrain", content), ("train", [*content, *_content_of_train(config)])]
        if any(runs.RunFolder.of(config, *named).name.split("/")[0] == name for named in candidates):
            return True
    except TicketError:  # a file or ticket that is in the name is not there
        return None
    unsure = config.network.pretrained or config.data.subset_file or pruning.ticket
    return None if unsure else False


def _content_of_train(config):
    """What is in the name of a run of `train` beside settings and pictures."""
    pruning, content = config.pruning, []
    if pruning.ticket:
        content.append(("ticket", loading.load(pruning.ticket).retrained_digest))
    if config.choice.refit:
        content.append(("refit", "true"))
    return [*content, *CONTROLS[pruning.control].content(config)]
