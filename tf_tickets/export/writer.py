"""Writes a ticket folder: SavedModel, ticket.npz, labels, and ticket.json with the hash of every file, last."""

import hashlib
import os

import numpy as np

from tf_tickets import backend, storage
from tf_tickets.export import card, keras_program, loading, saved_model
from tf_tickets.export.ticket import (
    ARRAYS,
    CARD,
    DOCUMENT,
    IMAGES,
    LABELS,
    Ticket,
    canonical,
    to_arrays,
)
from tf_tickets.export.verify import files_below
from tf_tickets.models import inference
from tf_tickets.registry import NETWORKS
from tf_tickets.runs import RunFolder
from tf_tickets.runtime import files


def write_ticket(folder: RunFolder, chosen: int) -> str:
    """Exports a complete round of a run as its ticket.

    Args:
      chosen: the round.

    Returns:
      The ticket folder's path.
    """
    chosen_folder = folder.round(chosen)
    ticket = loading.of_round(folder, chosen_folder)
    return write(ticket, folder.ticket, *loading.measured(folder, chosen_folder))


def write(ticket: Ticket, path: str, metrics: dict | None = None, test_images: int | None = None) -> str:
    """Writes a Ticket as the folder `path`, which appears by renaming, durable.

    Args:
      path: the folder; a ticket that stands there is replaced.
      metrics: dict of the numbers measured on it.
      test_images: how many images the test accuracy is of.

    Returns:
      `path`.
    """
    building = storage.temporary_name(path)
    os.mkdir(building)
    saved_model.save(ticket, building)
    storage.write_arrays(os.path.join(building, ARRAYS), archived(ticket), compress=True)
    storage.write_bytes(os.path.join(building, LABELS), ("\n".join(ticket.labels) + "\n").encode("utf-8"))
    if ticket.ids is not None:
        storage.write_bytes(os.path.join(building, IMAGES), ("\n".join(ticket.ids) + "\n").encode("utf-8"))
    storage.write_bytes(os.path.join(building, CARD), card.text(ticket, metrics or {}, test_images).encode("utf-8"))
    storage.write_json(os.path.join(building, DOCUMENT), _document(ticket, metrics or {}, test_images, building))
    put(building, path)
    return path


def put(building: str, path: str) -> None:
    """A whole folder of a temporary name beside `path` becomes `path`, durable, in place of what stands there."""
    old = storage.temporary_name(path)
    storage.sync_tree(building)
    if os.path.lexists(path):
        os.replace(path, old)
    os.replace(building, path)
    storage.sync_folder(os.path.dirname(path))
    storage.remove(old)


def facts(ticket: Ticket, metrics: dict, test_images: int | None) -> dict:
    """What every document of a ticket holds: its network, data, numbers.

    Of format 3, which is that of ensembles and of tickets with a temperature, networks stand in a list.

    Args:
      metrics, test_images: as in `write`.
    """
    networks = [_network(member) for member in ticket.members]
    union = {"ids_digest": ticket.ids_digest, "density": ticket.density} if len(networks) > 1 else {}
    return {
        **({"format": 3, "members": networks} | union if _is_listed(ticket) else networks[0] | {"format": 2}),
        "data": ticket.data,
        "metrics": metrics,
        "test_images": test_images,
        "batch_size": inference.at_once(ticket.model),
        "content_digest": ticket.content_digest,
    }


def _is_listed(ticket):
    """Whether its document says something that an earlier version would pass over."""
    return len(ticket.members) > 1 or ticket.calibration is not None


def _network(ticket):
    """Counts, network and its program, settings: what a document says of one network."""
    layers = [
        {"layer": name, "shape": list(mask.shape), "kept": int(np.count_nonzero(mask)), "total": mask.size}
        for name, mask in ticket.masks.items()
    ]
    return {
        "round": ticket.round,
        "density": ticket.density,
        "weights_left": sum(layer["kept"] for layer in layers),
        "weights_total": sum(layer["total"] for layer in layers),
        "layers": layers,
        "network": ticket.network,
        "program": keras_program.of(ticket.model) if NETWORKS[ticket.network["name"]].runtime else None,
        "settings": ticket.settings,
        "ids_digest": ticket.ids_digest,
        **({} if ticket.calibration is None else {"calibration": ticket.calibration}),
        # Outside of the content digest, which earlier tickets of the same pictures have too.
        **({} if ticket.pictures is None else {"pictures": ticket.pictures}),
    }


def archived(ticket: Ticket) -> dict[str, np.ndarray]:
    """Its `to_arrays` under the names that its document's format gives them."""
    if not _is_listed(ticket):
        return to_arrays(ticket)
    members = enumerate(ticket.members)
    return {files.prefix(i) + name: array for i, member in members for name, array in to_arrays(member).items()}


def _document(ticket, metrics, test_images, building):
    digests = {name: storage.file_digest(os.path.join(building, name)) for name in files_below(building)}
    return signed(facts(ticket, metrics, test_images) | {"versions": backend.versions(), "files": digests})


def signed(document: dict) -> dict:
    """A document with the hash of its canonical form."""
    return document | {"self_sha256": hashlib.sha256(canonical(document)).hexdigest()}
