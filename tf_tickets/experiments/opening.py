"""Opening a run folder: what it begins with is written, or what is there is checked before anything continues it."""

import dataclasses
import hashlib
import json
import os
import typing
from collections.abc import Callable

from tf_tickets import own_networks, plugins, runs, storage
from tf_tickets.errors import StateError, StopRequested, UsageError
from tf_tickets.registry import DATASETS, NETWORKS
from tf_tickets.settings import places
from tf_tickets.settings.config import Config, options

if typing.TYPE_CHECKING:  # it needs TensorFlow, which a plan does without
    from tf_tickets.experiments.session import Session

# Files whose contents are in the run's name: where they lie may change.
_BY_CONTENT = ("pretrained", "subset_file", "ticket")

# Versions of this program that train with the same bits: what one began another continues.
SAME_BITS = ("0.2.0", "0.3.0")


def check(folder: runs.RunFolder, rounds: list[runs.RoundFolder]) -> None:
    """Checks what complete rounds left behind.

    Args:
      folder: of the run.
      rounds: its rounds, in order.

    Raises:
      StateError: a file of a complete round is missing or changed, or a round was begun after an incomplete one.
    """
    begun = [begun_round for begun_round in rounds if begun_round.complete or os.path.exists(begun_round.mask)]
    for begun_round in begun:
        if begun_round.complete:
            begun_round.check(folder.name)
        elif begun_round is not begun[-1]:
            raise StateError(
                f"{begun_round.summary} is missing though a later round was begun; restore it, or delete "
                f"{begun_round.folder} and later rounds to redo them"
            )
    if begun and begun[0].index > 0:
        raise StateError(f"{rounds[0].folder} is missing though {begun[0].folder} is there; restore it, or delete both")
    if begun:
        for path in (folder.config, folder.manifest, folder.subset):
            if not os.path.exists(path):
                raise StateError(f"{path} is missing though the run was begun; restore it, or delete {folder.folder}")
        _read_manifest(folder)


def open_folder(folder: runs.RunFolder, session: "Session", command: str) -> None:
    """Writes config, manifest and subset, or checks that those on disk are this run's.

    Raises:
      StateError: one of them is damaged, or of another run.
      UsageError: the run was begun on other devices, or in another environment that was not allowed.
    """
    rows, facts = session.subset_rows(), session.data_set
    images = hashlib.sha256(json.dumps([rows, dataclasses.asdict(facts)], sort_keys=True).encode("utf-8")).hexdigest()
    session.team.check_same(images, "reads other images than the chief: give it the same data set", UsageError)
    here = environment(session)
    session.team.from_chief_alone(lambda: _open(folder, session, command, rows=rows, here=here))


def _open(folder, session, command, *, rows, here):
    model = session.plan.config.network.model
    if NETWORKS[model].own and not os.path.exists(folder.config):  # which is read with what lies beside it
        storage.write_bytes(folder.architecture, own_networks.sealed(model))
    _same_settings(folder, session.plan.config, command)
    _same_environment(folder, session, here)
    facts = session.data_set
    if facts != DATASETS[facts.name].facts:
        storage.write_json(folder.data, dataclasses.asdict(facts))
    pictures = DATASETS[facts.name].pictures(session.plan.config.data.place)
    if pictures is not None and not os.path.exists(folder.pictures):
        storage.write_csv(folder.pictures, [picture.row for picture in pictures.pictures], runs.PICTURE_COLUMNS)
    if not os.path.exists(folder.subset):
        storage.write_csv(folder.subset, rows, ("id", "label", "part"))
    elif storage.read_csv(folder.subset) != [{name: str(cell) for name, cell in row.items()} for row in rows]:
        raise StateError(f"{folder.subset} lists other images than this data set gives; restore it or the data")


def _same_settings(folder, config, command):
    if not os.path.exists(folder.config):
        storage.write_bytes(folder.config, _kept(config).flagfile(command).encode("utf-8"))
        return
    try:
        recorded = Config.from_flagfile(folder.config).settled()
    except UsageError as error:
        raise StateError(f"{error}; restore {folder.config}") from None
    settings = config.settled()
    counting = [name for name, option in options().items() if option.metadata["digest"]]
    odd = [name for name in counting if name not in _BY_CONTENT and settings[name] != recorded[name]]
    if odd:
        raise StateError(
            f"{folder.config} has --{odd[0]}={recorded[odd[0]]}, the run --{odd[0]}={settings[odd[0]]}: it was "
            "changed; restore it"
        )


def _kept(config):
    """The Config with the place of its data as it is found from any working folder; the run's name has no place."""
    given_paths = {
        flag: os.path.abspath(os.path.expanduser(path))
        for flag, path in dataclasses.asdict(config.data.place).items()
        if path is not None and not places.is_name(path)
    }
    return config.replace(**given_paths) if given_paths else config


def environment(session: "Session") -> dict:
    """What the bits of a run depend on beside its settings and data."""
    from tf_tickets import backend

    return {
        "versions": backend.versions()
        | plugins.versions(session.plan.config.run.plugins)
        | session.plan.network.sources(),
        "processor": " and ".join(sorted(set(session.team.gather(processor())))),
        "devices": session.devices.description,
        "deterministic": session.plan.config.run.deterministic,
    }


def _same_environment(folder, session, here):
    """Writes manifest.json, or refuses to continue a run where its end would have other bits."""
    run = session.plan.config.run
    if not os.path.exists(folder.manifest):
        manifest = session.manifest(folder.name) | here | {"continued_under": []}
        storage.write_json(folder.manifest, storage.seal(manifest))
        return
    before = _read_manifest(folder)
    if before["replicas"] != session.devices.replicas:
        raise UsageError(
            f"{folder.folder} was begun on {before['replicas']} devices, now there are {session.devices.replicas}: "
            "normalisation statistics would differ; use the same --strategy, or another --out"
        )
    known = [_alike(facts, here) for facts in ({name: before[name] for name in here}, *before["continued_under"])]
    if here in known:
        return
    name, then, now = _difference(known[0], here)
    if not run.allow_other_environment:
        raise UsageError(
            f"{folder.folder} was begun with {name} {then}, here it is {now}: it would end in other bits; go back, "
            "choose another --out, or continue all the same with --allow_other_environment"
        )
    storage.write_json(folder.manifest, storage.seal(before | {"continued_under": [*before["continued_under"], here]}))


def _alike(facts, here):
    """Facts of an environment, with this version of the program in the place of one that trains with the same bits."""
    versions = facts["versions"]
    if versions.get("tf_tickets") not in SAME_BITS:
        return facts
    return facts | {"versions": versions | {"tf_tickets": here["versions"]["tf_tickets"]}}


def _read_manifest(folder):
    manifest = storage.read_sealed(folder.manifest)
    if manifest.get("identity") != folder.name:
        raise StateError(f"{folder.manifest} is of {manifest.get('identity')}, not of {folder.name}; restore it")
    return manifest


def _difference(before, here):
    """The first fact that differs: (name, before, here)."""
    flat = [facts["versions"] | {name: facts[name] for name in facts if name != "versions"} for facts in (before, here)]
    name = next(name for name in {**flat[0], **flat[1]} if flat[0].get(name) != flat[1].get(name))
    return name, flat[0].get(name), flat[1].get(name)


def processor() -> str:
    """The name of this machine's processor."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return "unknown"


def heed(stop: Callable[[], bool]) -> None:
    """Stops between the stages of a run, where everything done is on disk already."""
    if stop():
        raise StopRequested("stopped on request; the state is saved, run again to continue")
