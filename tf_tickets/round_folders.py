"""The folder of one round: every file name, "is complete" and its hashes."""

import os

from tf_tickets import storage
from tf_tickets.errors import StateError

# Files beside the rounds that never change after the first.
_BASE = ("config.cfg", "subset.csv", "data.json", "rewind.npz", "backbone.safetensors")

# What the summary of a complete round says beside its numbers: which run it is of, and the hashes.
_SEAL = ("files", "run", "self_sha256")


class RoundFolder:
    """The files of one round; `summary.json`, written last, makes the round complete."""

    def __init__(self, path, index):
        self.folder, self.index = path, index

    def path(self, name: str) -> str:
        """The path of one of the round's files."""
        return os.path.join(self.folder, name)

    mask = property(lambda self: self.path("mask.npz"))
    start = property(lambda self: self.path("start.npz"))
    density = property(lambda self: self.path("density.csv"))
    epochs = property(lambda self: self.path("epochs.csv"))
    weights = property(lambda self: self.path("weights.npz"))
    evaluations = property(lambda self: self.path("evaluations.csv"))
    predictions = property(lambda self: self.path("predictions.npz"))
    timing = property(lambda self: self.path("timing.json"))
    summary = property(lambda self: self.path("summary.json"))
    calibration = property(lambda self: self.path("calibration.json"))
    logits = property(lambda self: self.path("logits.npz"))
    penalty = property(lambda self: self.path("penalty.csv"))
    movement = property(lambda self: self.path("movement.npz"))
    members = property(lambda self: self.path("members.csv"))

    @property
    def checkpoints(self) -> list[str]:
        """The two generations of the round's checkpoint."""
        return [self.path("checkpoint-a.npz"), self.path("checkpoint-b.npz")]

    @property
    def complete(self) -> bool:
        """Whether the round is finished."""
        return os.path.exists(self.summary)

    def read_summary(self) -> dict:
        """The numbers of summary.json; a changed one is a StateError."""
        value = storage.read_json(self.summary)
        if not isinstance(value, dict):
            raise StateError(f"{self.summary} is damaged: it holds no numbers by name; restore it")
        if "self_sha256" in value:
            value = storage.read_sealed(self.summary)
        return {name: part for name, part in value.items() if name not in _SEAL}

    def complete_with(self, summary: dict, run: str) -> None:
        """Writes summary.json, with the size and hash of every file that the round leaves; the round is complete."""
        base = os.path.dirname(self.folder)
        paths = [self.mask, self.density, self.epochs, self.weights, self.evaluations, self.logits, self.penalty]
        paths += [self.start, self.movement, self.members, self.checkpoints[0]]
        if self.index == 0:
            paths += [os.path.join(base, name) for name in _BASE]
        files = {
            os.path.relpath(path, base): {"bytes": os.path.getsize(path), "sha256": storage.file_digest(path)}
            for path in paths if os.path.exists(path)
        }  # fmt: skip
        storage.write_json(self.summary, storage.seal(summary | {"run": run, "files": files}))

    def check(self, run: str) -> None:
        """StateError unless the complete round is of this run and its files are those it left."""
        value, base = storage.read_sealed(self.summary), os.path.dirname(self.folder)
        if value.get("run") != run:
            raise StateError(f"{self.summary} is of {value.get('run')}, not of {run}; restore it")
        for name, facts in value["files"].items():
            path = os.path.join(base, name)
            if not os.path.exists(path):
                if path in self.checkpoints:
                    continue  # superfluous once the summary is there
                raise StateError(f"{path} is missing; restore it, or delete {self.folder} and later rounds")
            grown = os.path.getsize(path) - facts["bytes"]
            # `evaluate` adds its rows below the round's own.
            same = grown >= 0 if path == self.evaluations else grown == 0
            if not same or storage.file_digest(path, facts["bytes"]) != facts["sha256"]:
                raise StateError(
                    f"{path} was changed since its round ended; restore it, or delete {self.folder} and later rounds"
                )
