"""Files that are whole: atomic and durable writing, hashes, and reading that names what is damaged.

A file appears by write-to-temporary, fsync, rename, fsync of the folder: after a kill or a power cut a name holds
either the old or the new content. Arrays are npz, read without pickle.

Who can put entries into a folder of ours must not direct what is written: temporary names are random and made anew, and
no link is followed for writing. Only regular files are read: a FIFO would wait for ever, a device never end.
"""

import contextlib
import csv
import errno
import hashlib
import io
import json
import os
import secrets
import shutil
import stat
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping

from tf_tickets.errors import StateError, TicketError, UsageError, reason
from tf_tickets.lazy_modules import np

# How temporary names end.
TEMPORARY = ".writing"
_REDO = "restore it, or delete its folder to redo it"
_NO_WAIT, _NO_LINK = getattr(os, "O_NONBLOCK", 0), getattr(os, "O_NOFOLLOW", 0)
_KINDS = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device", stat.S_IFLNK: "a link",
}  # fmt: skip
# What a full, failing, forbidden or read-only disk says.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES, errno.EPERM, errno.EROFS)


def open_regular(path: str, error: type[Exception] = UsageError) -> typing.BinaryIO:
    """Opens a regular file, or a link to one, for reading.

    Args:
      path: of the file.
      error: the class of what is raised for anything else.

    Returns:
      The file, binary.

    Raises:
      error: the path is a folder, FIFO, socket or device, which the message names.
      OSError: it is missing, or cannot be opened.
    """
    check_regular(os.stat(path).st_mode, path, error)  # opening a device can change it already
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | _NO_WAIT))
    try:
        check_regular(os.fstat(file.fileno()).st_mode, path, error)
    except BaseException:
        file.close()
        raise
    return file


def open_own(path: str, flags: int) -> int:
    """Opens a file that is written in place, such as a log or a lock, and makes it where it is missing.

    Args:
      path: of the file.
      flags: of os.open.

    Returns:
      The descriptor.

    Raises:
      StateError: the path is a link, FIFO, socket, device or folder.
      OSError: it cannot be opened.
    """
    with contextlib.suppress(FileNotFoundError):
        check_regular(os.lstat(path).st_mode, path, StateError)
    descriptor = os.open(path, flags | os.O_CREAT | _NO_WAIT | _NO_LINK, 0o666)
    try:
        check_regular(os.fstat(descriptor).st_mode, path, StateError)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def check_regular(mode: int, path: str, error: type[Exception]) -> None:
    """`error`, which names what stands at `path`, unless its mode, as of os.stat, is that of a regular file."""
    if not stat.S_ISREG(mode):
        raise error(f"{path} is {_KINDS.get(stat.S_IFMT(mode), 'no file')}, not a regular file; put one in its place")


def write_bytes(path: str, data: bytes) -> None:
    """Writes `data` to `path` atomically and durably; a link that stands there is replaced, not followed."""
    temporary, made = temporary_name(path), False
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(temporary, "xb") as file:  # a new file or an error, whatever stands there
            made = True
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(os.path.dirname(path))
    except OSError as error:
        if made:
            with contextlib.suppress(OSError):
                os.remove(temporary)  # what was written of it may be what fills the disk
        raise StateError(f"{path} cannot be written: {error.strerror}; free or fix the disk and run again") from error


def temporary_name(path: str) -> str:
    """A name beside `path` that nobody can foresee, for what becomes `path` once it is whole."""
    return f"{path}.{secrets.token_hex(8)}{TEMPORARY}"


def subfolder(folder: str, name: str) -> str:
    """The path of a folder that is written into; StateError where that is a link, as `folder` itself may be."""
    path = os.path.join(folder, name)
    if os.path.islink(path):
        raise StateError(f"{path} is a link, and nothing is written through links: put a folder in its place")
    return path


@contextlib.contextmanager
def disk_faults() -> Iterator[None]:
    """Turns the disk's refusals into StateErrors, those that TensorFlow's own writers report included."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK:
            raise
        place = error.filename or "a file that was being read or written"
        raise StateError(f"{place}: {error.strerror}; free or fix the disk and run again") from error
    except Exception as error:
        # TensorFlow's errors have classes of their own, which only a process that has it loaded could name.
        refusals = [words for words in map(os.strerror, _DISK) if words in str(error)]
        if not refusals or not type(error).__module__.startswith("tensorflow"):
            raise
        raise StateError(f"{reason(error)}; free or fix the disk and run again") from error


def sync_folder(path: str) -> None:
    """Makes a file's bytes, or the renames inside a folder, durable; Windows syncs neither by a handle for reading."""
    if os.name == "nt":
        return
    descriptor = os.open(path or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(path: str) -> None:
    """Makes every file and folder below `path` durable; TensorFlow's own writers never sync."""
    for folder, _, names in os.walk(path):
        for name in names:
            sync_folder(os.path.join(folder, name))
        sync_folder(folder)


def json_bytes(value: object) -> bytes:
    """A JSON document with sorted keys; non-finite numbers are refused."""
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode("utf-8")


def write_json(path: str, value: object) -> None:
    """Writes `json_bytes`."""
    write_bytes(path, json_bytes(value))


def read_json(path: str) -> typing.Any:
    """Reads a JSON document; a damaged one is a StateError that names the file."""
    try:
        with open_regular(path, StateError) as file:
            return json.loads(file.read().decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise StateError(f"{path} cannot be read: {reason(error)}; {_REDO}") from None


def seal(value: dict) -> dict:
    """A JSON document with the SHA-256 of its own bytes."""
    return value | {"self_sha256": hashlib.sha256(json_bytes(value)).hexdigest()}


def read_sealed(path: str) -> dict:
    """Reads a JSON document that `seal` made; a changed or unsealed one is a StateError that names the file."""
    value = read_json(path)
    if not isinstance(value, dict) or "self_sha256" not in value:
        raise StateError(f"{path} has no hash of its own: another version wrote it, or it was changed; restore it")
    bare = {name: part for name, part in value.items() if name != "self_sha256"}
    if seal(bare) != value:
        raise StateError(f"{path} does not have its own hash: it was changed; restore it")
    return bare


def write_csv(path: str, rows: Iterable[dict], columns: Collection[str]) -> None:
    """Writes dict rows as CSV; a missing or None value is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="raise")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode("utf-8"))


def read_csv(path: str) -> list[dict[str, str]]:
    """Reads CSV rows as dicts of text."""
    try:
        with io.TextIOWrapper(open_regular(path, StateError), encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StateError(f"{path} cannot be read: {reason(error)}; {_REDO}") from None


def write_arrays(path: str, arrays: Mapping[str, "np.ndarray | np.generic"], compress: bool = False) -> None:
    """Writes named arrays as npz. The bytes depend on names and contents alone."""
    buffer = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(buffer, **arrays)  # pyright: ignore[reportArgumentType]  none is called allow_pickle
    write_bytes(path, buffer.getvalue())


def read_arrays(path: str) -> "dict[str, np.ndarray]":
    """Reads an npz whole, without pickle; a damaged one is a StateError that names the file."""
    try:
        with open_regular(path, StateError) as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except TicketError:  # also a request to stop
        raise
    except Exception as error:  # bytes that are no npz end in a dozen kinds, from zlib's to the parser's of headers
        raise StateError(f"{path} is damaged: {reason(error)}; delete it to redo what made it") from None


def file_digest(path: str, size: int | None = None) -> str:
    """SHA-256 of a file's bytes, or of the first `size`, in hex."""
    digest = hashlib.sha256()
    try:
        with open_regular(path) as file:
            while part := file.read(1 << 20 if size is None else min(1 << 20, size)):
                digest.update(part)
                size = None if size is None else size - len(part)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    return digest.hexdigest()


def check_writable(folder: str, flag: str = "--out") -> None:
    """UsageError, which names the flag, unless a folder can be written, or can be made."""
    path = os.path.abspath(folder)
    while not os.path.lexists(path):
        if path == os.path.dirname(path):
            raise UsageError(f"{flag}={folder}: there is no {path}; choose another {flag}")  # a drive of Windows
        path = os.path.dirname(path)
    if not os.path.isdir(path):
        kind = "a link to nothing" if os.path.islink(path) else "a file"
        raise UsageError(f"{flag}={folder}: {path} is {kind}, not a folder; choose another {flag}")
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError(f"{flag}={folder}: {path} cannot be written; choose another {flag}")


def remove(path: str) -> None:
    """Removes a file, folder or link if it is there; not what a link leads to."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
