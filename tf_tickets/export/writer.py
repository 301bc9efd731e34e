"""Writes a ticket folder: SavedModel, ticket.npz, labels, and ticket.json with the hash of every file, last."""

import hashlib
import os

import numpy as np

from tf_tickets import backend, runs
from tf_tickets.export import saved_model
from tf_tickets.export.ticket import ARRAYS, DOCUMENT, LABELS, canonical, from_round, to_arrays


def write_ticket(folder, chosen):
    """Exports a complete round of a run as its ticket.

    Args:
      folder: a runs.RunFolder.
      chosen: the round.

    Returns:
      The ticket folder's path.
    """
    summary = runs.read_json(folder.round(chosen).summary)
    metrics = {name: value for name, value in summary.items() if "accuracy" in name or "loss" in name}
    return write(from_round(folder, folder.round(chosen)), folder.ticket, metrics)


def write(ticket, path, metrics=None):
    """Writes a Ticket as the folder `path`, which appears by renaming, durable.

    Args:
      ticket: a Ticket.
      path: the folder; a ticket that stands there is replaced.
      metrics: dict of the numbers measured on it.

    Returns:
      `path`.
    """
    building, old = path + ".writing", path + ".old"
    runs.remove(building)
    saved_model.save(ticket, building)
    runs.write_arrays(os.path.join(building, ARRAYS), to_arrays(ticket), compress=True)
    runs.write_bytes(os.path.join(building, LABELS), ("\n".join(ticket.labels) + "\n").encode("utf-8"))
    runs.write_json(os.path.join(building, DOCUMENT), _document(ticket, metrics or {}, building))
    runs.sync_tree(building)
    runs.remove(old)
    if os.path.exists(path):
        os.replace(path, old)
    os.replace(building, path)
    runs.sync_folder(os.path.dirname(path))
    runs.remove(old)
    return path


def _document(ticket, metrics, building):
    layers = [
        {"layer": name, "shape": list(mask.shape), "kept": int(np.count_nonzero(mask)), "total": mask.size}
        for name, mask in ticket.masks.items()
    ]
    document = {
        "format": 1,
        "round": ticket.round,
        "density": ticket.density,
        "weights_left": sum(layer["kept"] for layer in layers),
        "weights_total": sum(layer["total"] for layer in layers),
        "layers": layers,
        "network": ticket.network,
        "data": ticket.data,
        "settings": ticket.settings,
        "ids_digest": ticket.ids_digest,
        "metrics": metrics,
        "versions": backend.versions(),
        "content_digest": ticket.content_digest,
        "files": {name: runs.file_digest(os.path.join(building, name)) for name in files_below(building)},
    }
    return document | {"self_sha256": hashlib.sha256(canonical(document)).hexdigest()}


def files_below(folder):
    """Relative paths of all files below a folder, sorted, ticket.json left out."""
    found = []
    for path, _, names in os.walk(folder):
        found += [os.path.relpath(os.path.join(path, name), folder) for name in names]
    return sorted(name for name in found if name != DOCUMENT)
