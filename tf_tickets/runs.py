"""A run folder: every file name, atomic writing, "is complete", and the lock.

A file appears by write-to-temporary, fsync, rename, fsync of the folder: after a kill or a power cut a name holds
either the old or the new content. Arrays are npz, read without pickle.
"""

import contextlib
import csv
import fcntl
import hashlib
import io
import json
import os
import shutil
import socket
import time
import zipfile

import numpy as np

from tf_tickets.errors import LockedError, StateError, UsageError

_TEMPORARY = ".writing"


def write_bytes(path, data):
    """Writes `data` to `path` atomically and durably."""
    temporary = path + _TEMPORARY
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(os.path.dirname(path))
    except OSError as error:
        raise StateError(f"{path} cannot be written: {error.strerror}; free or fix the disk and run again") from error


def sync_folder(path):
    """Makes a file's bytes, or the renames inside a folder, durable."""
    descriptor = os.open(path or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(path):
    """Makes every file and folder below `path` durable; TensorFlow's own writers never sync."""
    for folder, _, names in os.walk(path):
        for name in names:
            sync_folder(os.path.join(folder, name))
        sync_folder(folder)


def json_bytes(value):
    """A JSON document with sorted keys; non-finite numbers are refused."""
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode("utf-8")


def write_json(path, value):
    """Writes `json_bytes`."""
    write_bytes(path, json_bytes(value))


def read_json(path):
    """Reads a JSON document; a damaged one is a StateError that names the file."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise StateError(f"{path} cannot be read: {error}; restore it, or delete its folder to redo it") from None


def write_csv(path, rows, columns):
    """Writes dict rows as CSV; a missing or None value is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="raise")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode("utf-8"))


def read_csv(path):
    """Reads CSV rows as dicts of text."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StateError(f"{path} cannot be read: {error}; restore it, or delete its folder to redo it") from None


def write_arrays(path, arrays, compress=False):
    """Writes named arrays as npz. The bytes depend on names and contents alone."""
    buffer = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(buffer, **arrays)
    write_bytes(path, buffer.getvalue())


def read_arrays(path):
    """Reads an npz whole, without pickle; a damaged one is a StateError that names the file."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise StateError(f"{path} is damaged: {error}; delete it to redo what made it") from None


def file_digest(path):
    """SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    return digest.hexdigest()


def check_writable(out):
    """UsageError unless `out` is a folder that can be written, or can be made."""
    path = os.path.abspath(out)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    if not os.path.isdir(path):
        raise UsageError(f"--out={out}: {path} is a file, not a folder; choose another --out")
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError(f"--out={out}: {path} cannot be written; choose another --out")


def remove(path):
    """Removes a file or folder if it is there."""
    if os.path.isdir(path):
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)


class RoundFolder:
    """The files of one round; `summary.json`, written last, makes the round complete."""

    def __init__(self, path, index):
        self.folder, self.index = path, index

    def path(self, name):
        """The path of one of the round's files."""
        return os.path.join(self.folder, name)

    mask = property(lambda self: self.path("mask.npz"))
    density = property(lambda self: self.path("density.csv"))
    epochs = property(lambda self: self.path("epochs.csv"))
    weights = property(lambda self: self.path("weights.npz"))
    evaluations = property(lambda self: self.path("evaluations.csv"))
    predictions = property(lambda self: self.path("predictions.npz"))
    timing = property(lambda self: self.path("timing.json"))
    summary = property(lambda self: self.path("summary.json"))

    @property
    def checkpoints(self):
        """The two generations of the round's checkpoint."""
        return [self.path("checkpoint-a.npz"), self.path("checkpoint-b.npz")]

    @property
    def complete(self):
        """Whether the round is finished."""
        return os.path.exists(self.summary)


class RunFolder:
    """One run: `<out>/<dataset>-<model>-<digest8>/seed_<s>[-subset_<x>][-order_<y>]`."""

    def __init__(self, path):
        self.folder = path

    @classmethod
    def of(cls, config, command="imp", content=()):
        """The folder that a configuration names."""
        if config.network.pretrained:
            content = [*content, ("pretrained", file_digest(config.network.pretrained))]
        name = f"{config.data.dataset}-{config.network.model}-{config.digest(command, content)}"
        seed = f"seed_{config.run.seed}"
        if config.data.subset_seed != "0":
            seed += f"-subset_{config.data.subset_seed}"
        if config.order_seed != config.run.seed:
            seed += f"-order_{config.order_seed}"
        return cls(os.path.join(config.run.out, name, seed))

    def path(self, name):
        """The path of one of the run's files or folders."""
        return os.path.join(self.folder, name)

    config = property(lambda self: self.path("config.cfg"))
    manifest = property(lambda self: self.path("manifest.json"))
    subset = property(lambda self: self.path("subset.csv"))
    data = property(lambda self: self.path("data.json"))
    rewind = property(lambda self: self.path("rewind.npz"))
    ticket = property(lambda self: self.path("ticket"))
    tensorboard = property(lambda self: self.path("tensorboard"))
    table = property(lambda self: self.path("table.csv"))
    examples = property(lambda self: self.path("examples.npz"))
    backbone = property(lambda self: self.path("backbone.safetensors"))

    @property
    def pretraining(self):
        """The files of a `pretrain` run, kept like those of a round."""
        return RoundFolder(self.path("pretraining"), 0)

    def round(self, index):
        """The folder of round `index`."""
        return RoundFolder(self.path(f"round_{index:02d}"), index)

    def summaries(self):
        """The summaries of the complete rounds, from round 0 to the first incomplete one."""
        found, index = [], 0
        while self.round(index).complete:
            found.append(read_json(self.round(index).summary))
            index += 1
        return found

    def _forget_if_untouched(self):
        """Removes a folder that holds nothing but the lock: bad input leaves nothing behind."""
        if os.listdir(self.folder) == ["lock"]:
            os.remove(self.path("lock"))
            with contextlib.suppress(OSError):
                os.removedirs(self.folder)

    @contextlib.contextmanager
    def locked(self):
        """Holds the run's lock; LockedError names the holder. The system frees the lock of a dead process."""
        path = self.path("lock")
        try:
            os.makedirs(self.folder, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise StateError(f"{path} cannot be written: {error.strerror}; choose another --out") from None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                holder = os.pread(descriptor, 4096, 0).decode("utf-8", "replace").strip() or "another process"
                message = f"{self.folder} is in use by {holder}; wait for it, or choose another --out"
                raise LockedError(message) from None
            holder = f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}\n"
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, holder.encode("utf-8"), 0)
            try:
                yield
            except UsageError:
                self._forget_if_untouched()
                raise
        finally:
            os.close(descriptor)
