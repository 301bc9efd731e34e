"""Reads a Ticket from a ticket folder, or from a complete round of a run folder.

A ticket folder holds a SavedModel beside ticket.npz and ticket.json; a round's folder loads as a ticket too. Loading
reads arrays and JSON alone: nothing in a ticket is executed.
"""

import dataclasses
import os

from tf_tickets import runs, storage
from tf_tickets.data import catalog
from tf_tickets.errors import StateError, UsageError
from tf_tickets.export import claims, verify
from tf_tickets.export.joint_ticket import Ensemble
from tf_tickets.export.ticket import DOCUMENT, Ticket, data_of, ids_digest, network_of, settings_of, training_ids
from tf_tickets.models import architecture, names
from tf_tickets.pruning import starts
from tf_tickets.pruning.masks import masked_state
from tf_tickets.registry import DATASETS
from tf_tickets.runtime import files
from tf_tickets.settings.config import Config


def load(folder: str) -> Ticket:
    """The Ticket of a ticket folder or a round's folder; see `export.load`."""
    place = runs.place(folder)
    if place.kind == "ticket":
        ticket, _ = verify.checked(folder)
        return ticket if isinstance(ticket, Ensemble) else dataclasses.replace(ticket, folder=folder)
    if place.kind == "round" and os.path.exists(place.round.mask):
        return dataclasses.replace(of_round(place.run, place.round), folder=folder)
    remedy = files.instead(folder, "such a folder")
    raise UsageError(f"{folder} is no ticket: it holds neither {DOCUMENT} nor a round's mask.npz; {remedy}")


def of_round(run: runs.RunFolder, round_folder: runs.RoundFolder) -> Ticket:
    """Assembles the Ticket of a complete round of a run."""
    config = Config.from_flagfile(run.config)
    data_set = _data_set_of(run, config)
    described = architecture.from_config(config.network, data_set)
    summary = round_folder.read_summary()
    arrays = storage.read_arrays(round_folder.mask)
    masks = {kernel.name: arrays[kernel.name] for kernel in described.prunable(config.pruning.prunable)}
    trained, rewound = (
        masked_state(names.without_auxiliary(storage.read_arrays(path)), masks)
        for path in (round_folder.weights, starts.state_of(run, summary["round"], config.pruning.rewind))
    )
    ids, settings = training_ids(storage.read_csv(run.subset)), settings_of(config)
    if run.refits:
        settings = settings | {"refit": True}
    manifest = storage.read_sealed(run.manifest)
    if "backbone" in manifest:
        settings = settings | {"backbone": manifest["backbone"]}
    if run.is_rival:
        settings = settings | {"rival": "long_dense"}
    return Ticket(
        masks, trained, rewound, network_of(config, described), data=data_of(data_set), settings=settings,
        ids_digest=ids_digest(ids), round=summary["round"], ids=ids if all(map(_is_a_line, ids)) else None,
        pictures=manifest.get("pictures") if data_set.own else None,
        calibration=calibration_of(round_folder),
    )  # fmt: skip


def calibration_of(round_folder: runs.RoundFolder) -> dict | None:
    """What was fitted for a round, as a Ticket has it; StateError where the file is damaged or no calibration."""
    if not os.path.exists(round_folder.calibration):
        return None
    calibration = storage.read_sealed(round_folder.calibration)
    try:
        claims.check_calibration(calibration)
    except ValueError as error:
        raise StateError(f"{round_folder.calibration}: {error}; delete it to redo it") from None
    return calibration


def measured(run: runs.RunFolder, round_folder: runs.RoundFolder) -> tuple[dict, int]:
    """What was measured in a complete round of a run: (dict of metrics, number of test images)."""
    summary = round_folder.read_summary()
    metrics = {name: value for name, value in summary.items() if "accuracy" in name or "loss" in name}
    return metrics, _data_set_of(run, Config.from_flagfile(run.config)).test_images


def _is_a_line(name):
    """Whether a list of ids can hold it: names of pictures may hold line breaks."""
    return name == name.strip() and len(name.splitlines()) == 1


def _data_set_of(run, config):
    """The catalog.DataSet of a run: as the run measured it, else the table's."""
    if not os.path.exists(run.data):
        return DATASETS[config.data.dataset].facts
    facts = storage.read_json(run.data)
    try:
        return catalog.DataSet(**{k: tuple(v) if isinstance(v, list) else v for k, v in facts.items()})
    except TypeError as error:
        raise StateError(f"{run.data} is damaged: {error}; restore it, or delete the run to redo it") from None
