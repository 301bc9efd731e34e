"""Members of a folder or an archive (tar, zip, Debian package) by their last name, read in memory, never unpacked."""

import gzip
import io
import os
import tarfile
import zipfile

_LARGEST = 1 << 30


class Problem(Exception):
    """What is wrong with an archive, in a few words."""


def read(path, wanted):
    """The bytes of the wanted members.

    Args:
      path: a folder, or a tar (any compression), zip or .deb file.
      wanted: last names of the members; one that ends with `.gz` more in the archive is decompressed.

    Returns:
      dict from the wanted names to bytes.

    Raises:
      Problem: it is none of these, or a member is missing, there twice, or too large.
    """
    found = {}
    for name, data in _members(path, {*wanted, *(f"{name}.gz" for name in wanted)}):
        plain = name.removesuffix(".gz")
        if plain in found:
            raise Problem(f"holds {plain} more than once")
        found[plain] = _unpacked(data, plain) if name.endswith(".gz") else data
    missing = [name for name in wanted if name not in found]
    if missing:
        raise Problem(f"holds no {missing[0]}")
    return found


def _unpacked(data, name):
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise Problem(f"holds {name} of more than {_LARGEST:,d} bytes")
    return content


def _members(path, names):
    if os.path.isdir(path):
        yield from _of_folder(path, names)
    elif zipfile.is_zipfile(path):
        yield from _of_zip(path, names)
    else:
        with open(path, "rb") as file:
            package = file.read(8) == b"!<arch>\n"
        try:
            with tarfile.open(path, fileobj=io.BytesIO(_debian_data(path)) if package else None) as archive:
                yield from _of_tar(archive, names)
        except tarfile.TarError as error:
            raise Problem(f"is no archive that can be read ({error})") from None


def _of_folder(path, names):
    for folder, _, files in os.walk(path):
        for name in sorted(set(files) & names):
            with open(os.path.join(folder, name), "rb") as file:
                yield name, file.read()


def _of_zip(path, names):
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = os.path.basename(member.filename)
            if name in names and member.file_size <= _LARGEST:
                yield name, archive.read(member)


def _of_tar(archive, names):
    for member in archive:
        name = os.path.basename(member.name)
        if member.isreg() and name in names and member.size <= _LARGEST:
            yield name, archive.extractfile(member).read()


def _debian_data(path):
    """The bytes of data.tar.* inside a Debian package: an ar archive of headers of 60 bytes and padded members."""
    with open(path, "rb") as file:
        file.seek(8)
        while len(header := file.read(60)) == 60:
            size = int(header[48:58])
            if header.startswith(b"data.tar"):
                return file.read(size)
            file.seek(size + size % 2, os.SEEK_CUR)
    raise Problem("is a Debian package without data.tar")
