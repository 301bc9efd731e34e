"""`ensemble`: several tickets written as one, with what that costs."""

import os
from collections.abc import Callable, Sequence

import numpy as np

from tf_tickets import runs, storage
from tf_tickets.columns import aligned
from tf_tickets.errors import StateError, UsageError
from tf_tickets.export import formats, joint_ticket, loading, measuring
from tf_tickets.export.ticket import check_free
from tf_tickets.models import architecture, costs

# Images of noise on which the ensemble is compared with its members; rounding alone stays far below the difference.
_COMPARED, _LARGEST_DIFFERENCE = 20, 1e-4
_HEAD = ("member", "network", "density", "temperature", "weights left", "multiply-adds")


def combine(paths: Sequence[str], out: str, say: Callable[[str], None] = lambda line: None) -> str:
    """Writes an Ensemble as a ticket folder.

    Args:
      paths: ticket folders, complete rounds' folders, or run folders that have a ticket.
      out: the ticket folder; an ensemble that stands there is replaced.
      say: takes the lines of progress.

    Returns:
      A table of the members, and what all take: multiply-adds beside one dense network's, bytes.

    Raises:
      UsageError: they make no ensemble, or `out` is no place for one; nothing is written.
      StateError: a ticket is damaged, or the ensemble does not predict their mean.
    """
    places = {path: formats.place_of(path) for path in paths}
    if len(places) < len(paths):
        twice = next(path for path in paths if list(paths).count(path) > 1)
        raise UsageError(f"{twice} is given twice: give each ticket once")
    if len(places) > joint_ticket.MOST_MEMBERS:  # said before all of them are read
        raise UsageError(
            f"an ensemble is of at most {joint_ticket.MOST_MEMBERS} tickets, and {len(places):,} were given"
        )
    folder = _destination(out, [place.path for place in places.values()])
    joined = joint_ticket.of({path: loading.load(place.path) for path, place in places.items()})
    say(f"ensemble: comparing it with its {len(joined.members)} members")
    difference = _difference(joined)
    if not difference <= _LARGEST_DIFFERENCE:  # nor where it is not a number
        raise StateError(f"{out} is not written: its probabilities differ from its members' mean by {difference:.2g}")
    say("ensemble: writing")
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    joined.save(folder)
    return _text(joined, list(paths), folder, difference)


def _destination(out, members):
    """The folder to write to, absolute: free, or an ensemble's, and neither a member nor a part of a run or ticket."""
    folder = os.path.abspath(out)
    check_free(folder)
    place = runs.place(folder)
    if os.path.realpath(folder) in map(os.path.realpath, members) or place.run is not None:
        raise UsageError(f"--out={out} is a member, or lies in a run, which stays as it is; choose another folder")
    if place.kind == "ticket" and len(loading.load(folder).members) == 1:
        raise UsageError(f"--out={out} holds a ticket that is no ensemble; choose another folder")
    above = os.path.dirname(folder)
    while above != os.path.dirname(above):
        if runs.place(above).kind in ("ticket", "run"):
            raise UsageError(f"--out={out} lies in {above}, which stays as it is; choose another folder")
        above = os.path.dirname(above)
    storage.check_writable(os.path.dirname(folder))
    return folder


def _difference(joined):
    """The largest difference between its probabilities and the mean of its members', on images of noise."""
    data = joined.data
    most, dtype = int(data.get("scale", 255.0)), data.get("dtype", "uint8")
    shape = (_COMPARED, *data["image_shape"])
    images = np.random.default_rng(0).integers(0, most, shape, dtype, endpoint=True)
    mean = np.mean([member.predict(images) for member in joined.members], axis=0)
    return float(np.abs(joined.predict(images) - mean).max())


def _text(joined, paths, folder, difference):
    rows, left, dense = [_HEAD], [], {}
    for path, member in zip(paths, joined.members):
        facts = dict(member.network)
        name = f"{facts['name']} of width {facts['width']}"
        kernels = architecture.describe(facts.pop("name"), **facts).kernels()
        counts = costs.of_network(member.model, kernels, member.masks)
        left.append(counts[0])
        dense[name] = counts[1]
        weights = sum(int(mask.sum()) for mask in member.masks.values())
        temperature = f"{member.temperature:.4g}" if member.calibration else ""
        rows.append((path, name, f"{100 * member.density:.2f} %", temperature, f"{weights:,}", f"{counts[0]:,}"))
    largest = max(dense, key=lambda name: dense[name])
    plain, zipped = measuring.sizes(folder)
    lines = [
        aligned(rows, "llr"),
        f"multiply-adds of an image: {sum(left):,} of all members, {dense[largest]:,} of one dense {largest}: "
        f"{100 * sum(left) / dense[largest]:.1f} %",
        f"bytes: {plain:,}, gzipped {zipped:,}",
        f"largest difference from the members' mean probability: {difference:.1e}, on {_COMPARED} images of noise",
        f"in {folder}",
    ]
    return "\n".join(lines)
