"""Files that are whole: atomic and durable writing, hashes, and reading that names what is damaged.

A file appears by write-to-temporary, fsync, rename, fsync of the folder: after a kill or a power cut a name holds
either the old or the new content. Arrays are npz, read without pickle.
"""

import contextlib
import csv
import errno
import hashlib
import io
import json
import os
import shutil

import numpy as np

from tf_tickets.errors import StateError, UsageError, reason

_TEMPORARY = ".writing"

# What a full, failing, forbidden or read-only disk says.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES, errno.EPERM, errno.EROFS)


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
        with contextlib.suppress(OSError):
            os.remove(temporary)  # what was written of it may be what fills the disk
        raise StateError(f"{path} cannot be written: {error.strerror}; free or fix the disk and run again") from error


@contextlib.contextmanager
def disk_faults():
    """Turns the disk's refusals into StateErrors, those that TensorFlow's own writers report included."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK:
            raise
        place = error.filename or "a file"
        raise StateError(f"{place}: {error.strerror}; free or fix the disk and run again") from error
    except Exception as error:
        # TensorFlow's errors have classes of their own, which only a process that has it loaded could name.
        found = [reason for reason in map(os.strerror, _DISK) if reason in str(error)]
        if not found or not type(error).__module__.startswith("tensorflow"):
            raise
        raise StateError(f"{reason(error)}; free or fix the disk and run again") from error


def sync_folder(path):
    """Makes a file's bytes, or the renames inside a folder, durable; Windows syncs neither by a handle for reading."""
    if os.name == "nt":
        return
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
    except (OSError, ValueError, RecursionError) as error:
        raise StateError(f"{path} cannot be read: {error}; restore it, or delete its folder to redo it") from None


def seal(value):
    """A JSON document with the SHA-256 of its own bytes."""
    return value | {"self_sha256": hashlib.sha256(json_bytes(value)).hexdigest()}


def read_sealed(path):
    """Reads a JSON document that `seal` made; a changed or unsealed one is a StateError that names the file."""
    value = read_json(path)
    if not isinstance(value, dict) or "self_sha256" not in value:
        raise StateError(f"{path} has no hash of its own: another version wrote it, or it was changed; restore it")
    bare = {name: part for name, part in value.items() if name != "self_sha256"}
    if seal(bare) != value:
        raise StateError(f"{path} does not have its own hash: it was changed; restore it")
    return bare


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
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # bytes that are no npz end in a dozen kinds, from zlib's to the parser's of headers
        raise StateError(f"{path} is damaged: {reason(error)}; delete it to redo what made it") from None


def file_digest(path, size=None):
    """SHA-256 of a file's bytes, or of the first `size`, in hex."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while part := file.read(1 << 20 if size is None else min(1 << 20, size)):
                digest.update(part)
                size = None if size is None else size - len(part)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    return digest.hexdigest()


def check_writable(out):
    """UsageError unless `out` is a folder that can be written, or can be made."""
    path = os.path.abspath(out)
    while not os.path.exists(path):
        if path == os.path.dirname(path):
            raise UsageError(f"--out={out}: there is no {path}; choose another --out")  # a drive of Windows
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
