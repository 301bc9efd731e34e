"""Members of a folder or an archive (tar, zip, Debian package) by their last name, read in memory, never unpacked.

Whatever an archive claims, what is read of it is bounded in bytes and members, and so in memory and time.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import typing
from collections.abc import Iterable, Iterator
from typing import IO

from tf_tickets import storage
from tf_tickets.errors import TicketError, reason

if typing.TYPE_CHECKING:  # tables of data sets import this module, and few commands read an archive
    import tarfile

# More than any data set here has: bytes of one member, bytes of a whole unpacked tar, and members.
LARGEST_MEMBER, LARGEST_TAR, MOST_MEMBERS = 4 * 10**8, 1 << 30, 10_000
# Bytes asked for at once; the headers of a tar, which can claim any size, are a few hundred.
_AT_ONCE = 1 << 24
_COMPRESSED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open, b"\x5d\x00\x00": lzma.open}
_DEBIAN = b"!<arch>\n"
_ENCRYPTED = 1


class Problem(Exception):
    """What is wrong with an archive, in a few words."""


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Turns what libraries raise for damaged archives, of a dozen kinds, into Problems; OSErrors stay."""
    try:
        yield
    except (Problem, TicketError, OSError):
        raise
    except Exception as error:
        words = "out of memory" if isinstance(error, MemoryError) else reason(error)
        raise Problem(f"is damaged, or no archive that can be read ({words})") from None


def read(path: str, wanted: Iterable[str]) -> dict[str, bytes]:
    """The bytes of the wanted members.

    Args:
      path: a folder, or a tar (any compression), zip or .deb file.
      wanted: last names of the members; one that ends with `.gz` more in the archive is decompressed.

    Returns:
      dict from the wanted names to bytes.

    Raises:
      Problem: it is none of these, or a member is missing, there twice, too large, encrypted or damaged.
      OSError: a file cannot be read.
    """
    members = {}
    with reading():
        for name, data in _members(path, {*wanted, *(f"{name}.gz" for name in wanted)}):
            plain = name.removesuffix(".gz")
            if plain in members:
                raise Problem(f"holds {plain} more than once")
            members[plain] = bounded(gzip.GzipFile(fileobj=io.BytesIO(data)), plain) if name != plain else data
    missing = [name for name in wanted if name not in members]
    if missing:
        raise Problem(f"holds no {missing[0]}")
    return members


def bounded(file: IO[bytes] | gzip.GzipFile, name: str) -> bytes:
    """All bytes of a file object; Problem if they are more than a member may have."""
    parts, size = [], 0
    while part := file.read(1 << 20):
        size += len(part)
        check_size(name, size)
        parts.append(part)
    return b"".join(parts)


def check_size(name: str, size: int) -> None:
    """Problem unless a member may have so many bytes."""
    if not 0 <= size <= LARGEST_MEMBER:
        raise Problem(f"holds {name} of {size:,d} bytes, not of 0 to {LARGEST_MEMBER:,d}")


def _members(path, names):
    if os.path.isdir(path):
        yield from _of_folder(path, names)
        return
    with storage.open_regular(path, Problem) as file:
        kind = _kind(file)
        if kind == "zip":
            yield from _of_zip(file, names)
            return
        with open_tar(_debian_data(file) if kind == "deb" else file) as archive:
            for member in regular_members(archive):
                if os.path.basename(member.name) in names:
                    check_size(member.name, member.size)
                    opened = archive.extractfile(member)
                    assert opened is not None, "a regular member"
                    yield os.path.basename(member.name), bounded(opened, member.name)


def _kind(file):
    """tar, zip or deb, by how the file begins: a tar can end with a member that is a zip, as every npz is."""
    import tarfile
    import zipfile

    start = file.read(tarfile.BLOCKSIZE)
    file.seek(0)
    if start.startswith(_DEBIAN):
        return "deb"
    if not start.startswith(tuple(_COMPRESSED)):
        try:
            tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            if zipfile.is_zipfile(file):
                return "zip"
    file.seek(0)
    return "tar"


def _of_folder(path, names):
    for folder, _, files in os.walk(path):
        for name in sorted(set(files) & names):
            with storage.open_regular(os.path.join(folder, name), Problem) as file:
                yield name, bounded(file, name)


def _of_zip(file, names):
    import zipfile

    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            name = os.path.basename(member.filename)
            if name not in names:
                continue
            check_size(name, member.file_size)
            if member.flag_bits & _ENCRYPTED:
                raise Problem(f"holds {name} encrypted: unpack it, and give the folder")
            try:
                opened = archive.open(member)
            except NotImplementedError:
                words = f"compressed by method {member.compress_type}, which is unknown here"
                raise Problem(f"holds {name} {words}: unpack it, and give the folder") from None
            with opened:
                yield name, bounded(opened, name)


@contextlib.contextmanager
def open_tar(file: IO[bytes]) -> Iterator[tarfile.TarFile]:
    """A tar, plain or compressed, as a TarFile that reads no more than `LARGEST_TAR` bytes.

    Args:
      file: binary file object, at its beginning.

    Yields:
      The tarfile.TarFile. A damaged one may be known for that only when the context ends.
    """
    import tarfile

    start = file.read(6)
    file.seek(0)
    opener = next((opener for magic, opener in _COMPRESSED.items() if start.startswith(magic)), None)
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(opener(file)) if opener else file
        archive = stack.enter_context(tarfile.TarFile(fileobj=_Bounded(stream)))  # pyright: ignore[reportArgumentType]  has what reading takes
        yield archive
        while archive.fileobj.read(1 << 20):  # to the end, where the checksum of all is
            pass


def regular_members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yields the regular members of a TarFile: no links, folders or devices; Problem for sizes that cannot be."""
    last = -1
    for count, member in enumerate(archive):
        if count >= MOST_MEMBERS or member.offset <= last or member.size < 0:
            raise Problem(f"has more than {MOST_MEMBERS:,d} members, or one of {member.size:,d} bytes")
        last = member.offset
        if member.isreg():
            yield member


class _Bounded:
    """A stream from whose beginning alone is read, and little at once: what a header claims is not allocated."""

    def __init__(self, stream):
        self._stream = stream
        self.tell = stream.tell

    def read(self, size=-1):
        """At most `size` bytes."""
        if not 0 <= size <= _AT_ONCE:
            raise Problem(f"claims a header of {size:,d} bytes")
        data = self._stream.read(size)
        self._check(self._stream.tell())
        return data

    def seek(self, place):
        """Goes to a place."""
        self._check(place)
        return self._stream.seek(place)

    def _check(self, place):
        if not 0 <= place <= LARGEST_TAR:
            raise Problem(f"unpacks to {place:,d} bytes, not to 0 to {LARGEST_TAR:,d}")


def _debian_data(file):
    """data.tar.* inside a Debian package: an ar archive of headers of 60 bytes and padded members."""
    file.seek(len(_DEBIAN))
    while len(header := file.read(60)) == 60:
        text = header[48:58].rstrip(b" ")
        if not text.isdigit() or header[58:] != b"`\n":
            raise Problem("is a damaged Debian package: a member's size is no number")
        size = int(text)
        if header.startswith(b"data.tar"):
            check_size("data.tar", size)
            return io.BytesIO(file.read(size))
        file.seek(size + size % 2, os.SEEK_CUR)
    raise Problem("is a Debian package without data.tar")
