"""Archives: honest ones are read however they are packed; of the others nothing is allocated that they only claim."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import socket
import tarfile
import time
import tracemalloc
import zipfile

import miniatures
import numpy as np
import pytest

from tf_tickets.data import archives, arrays, batches
from tf_tickets.errors import UsageError

NAME = "wanted.bin"
# The limits in these tests: of a member, and of an unpacked tar.
MEMBER, TAR = 1 << 20, 1 << 22


def tar(*members, mode="w"):
    """A tar of TarInfos or (name, bytes) pairs, as bytes."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode, format=tarfile.GNU_FORMAT) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            archive.addfile(info, io.BytesIO(member[1]))
    return data.getvalue()


def member(kind, link="", size=0):
    """The header of a wanted member of some type, which claims a size."""
    found = tarfile.TarInfo(NAME)
    found.type, found.linkname, found.size = kind, link, size
    return found


def header(kind, size, name=NAME):
    """A header block with a size that tarfile itself would not write."""
    found = tarfile.TarInfo(name)
    found.type = kind
    block = bytearray(found.tobuf())
    block[124:136] = (size % (1 << 88)).to_bytes(12, "big") if size < 0 else b"\x80" + size.to_bytes(11, "big")
    if size < 0:
        block[124] = 0xFF
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def debian(size, data=b"x" * 60):
    """A Debian package whose first member has a size."""
    return b"!<arch>\n" + f"{'control.tar':<16}{'0':<12}{'0':<6}{'0':<6}{'644':<8}{size:<10}`\n".encode() + data


def zipped(change=lambda data: data, data=b"0123456789" * 100, method=zipfile.ZIP_DEFLATED):
    """A zip with the wanted member, its bytes changed."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(NAME, data)
    return change(bytearray(file.getvalue()))


def field(local, central, value):
    """Sets two bytes in the local and in the central header of a zip's only member."""

    def change(data):
        start = data.index(b"PK\x01\x02")
        data[local : local + 2] = data[start + central : start + central + 2] = value.to_bytes(2, "little")
        return data

    return change


def broken(data, place=0.5):
    """One byte changed."""
    data = bytearray(data)
    data[int(len(data) * place)] ^= 0xFF
    return data


NOISE = np.random.default_rng(0).bytes(5000)
BOMB = tar(("other.bin", bytes(2 * TAR)), (NAME, b"1"))
REFUSED = {
    "no archive": b"hello",
    "empty": b"",
    "tar, link to a device": tar(member(tarfile.SYMTYPE, "/dev/zero")),
    "tar, hard link to a device": tar(member(tarfile.LNKTYPE, "/dev/zero")),
    "tar, character device": tar(member(tarfile.CHRTYPE)),
    "tar, FIFO": tar(member(tarfile.FIFOTYPE)),
    "tar, negative size": header(tarfile.REGTYPE, -512) + bytes(1024),
    "tar, negative long name": header(tarfile.GNUTYPE_LONGNAME, -512) + bytes(1024),
    "tar, size of exabytes": header(tarfile.REGTYPE, 1 << 62) + bytes(1024),
    "tar, unwanted size of exabytes": header(tarfile.REGTYPE, 1 << 62, "other.bin") + bytes(1024),
    "tar, long name of exabytes": header(tarfile.GNUTYPE_LONGNAME, 1 << 62) + bytes(1024),
    "tar, pax header of a gigabyte": header(tarfile.XHDTYPE, 1 << 30) + bytes(1024),
    "tar, sparse of exabytes": header(tarfile.GNUTYPE_SPARSE, 1 << 62) + bytes(1024),
    "tar, long names in one another": header(tarfile.GNUTYPE_LONGNAME, 1) * 5000,
    "tar, cut": tar((NAME, NOISE))[:3000],
    "tar, too large": tar((NAME, bytes(MEMBER + 1))),
    "tar, twice": tar((NAME, b"1"), (f"below/{NAME}", b"1")),
    "tar, many": tar(*((f"{number}", b"") for number in range(300))),
    "gz, bomb": gzip.compress(BOMB),
    "bz2, bomb": bz2.compress(BOMB),
    "xz, bomb": lzma.compress(BOMB),
    "gz, member that is a bomb": tar((f"{NAME}.gz", gzip.compress(bytes(2 * MEMBER)))),
    "gz, member that is damaged": tar((f"{NAME}.gz", broken(gzip.compress(NOISE)))),
    "gz, damaged": broken(gzip.compress(tar((NAME, NOISE)))),
    "bz2, damaged": broken(bz2.compress(tar((NAME, NOISE)))),
    "xz, damaged": broken(lzma.compress(tar((NAME, NOISE)))),
    "xz, damaged header": broken(lzma.compress(tar((NAME, NOISE))), 0.002),
    "gz, cut": gzip.compress(tar((NAME, NOISE)))[:2000],
    "xz, cut": lzma.compress(tar((NAME, NOISE)))[:2000],
    "deb, size -60": debian(-60),
    "deb, size of words": debian("sixty"),
    "deb, endless": debian(9999999999),
    "deb, no data": debian(60),
    "zip, encrypted": zipped(field(6, 8, 1)),
    "zip, unknown method": zipped(field(8, 10, 99)),
    "zip, too large": zipped(data=bytes(MEMBER + 1)),
    "zip, damaged": zipped(lambda data: broken(data, 0.2), NOISE),
    "zip, damaged bz2": zipped(lambda data: broken(data, 0.5), NOISE, zipfile.ZIP_BZIP2),
    "zip, damaged lzma": zipped(lambda data: broken(data, 0.5), NOISE, zipfile.ZIP_LZMA),
    "zip, cut": zipped(lambda data: data[:-30], NOISE),
}
WORDS = {
    "zip, encrypted": "encrypted", "zip, unknown method": "method 99", "deb, size -60": "no number",
    "tar, link to a device": "holds no wanted.bin", "tar, pax header of a gigabyte": "header of 1,073,741,824 bytes",
    "gz, bomb": "unpacks to", "tar, negative size": "-512 bytes",
}  # fmt: skip


@pytest.fixture
def limits(monkeypatch):
    monkeypatch.setattr(archives, "LARGEST_MEMBER", MEMBER)
    monkeypatch.setattr(archives, "LARGEST_TAR", TAR)
    monkeypatch.setattr(archives, "_AT_ONCE", MEMBER)
    monkeypatch.setattr(archives, "MOST_MEMBERS", 200)


def refused(path):
    """What is said of an archive, once it was refused with little time and memory."""
    tracemalloc.start()
    began = time.monotonic()
    try:
        with pytest.raises((archives.Problem, OSError)) as caught:
            archives.read(str(path), [NAME])
        assert tracemalloc.get_traced_memory()[1] < 12 * MEMBER and time.monotonic() - began < 5
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("case", REFUSED)
def test_what_an_archive_only_claims_is_refused(limits, tmp_path, case):
    path = tmp_path / "archive"
    path.write_bytes(REFUSED[case])
    assert WORDS.get(case, "") in refused(path)


@pytest.mark.parametrize("kind", ["FIFO", "socket", "device", "folder"])
def test_only_regular_files_are_read(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)  # names of sockets are short

    def bind(path):
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path)

    make = {
        "FIFO": os.mkfifo, "device": lambda path: os.symlink("/dev/zero", path), "folder": os.mkdir, "socket": bind,
    }[kind]  # fmt: skip
    os.mkdir("below")
    make(os.path.join("below", NAME))
    message = refused(tmp_path)
    assert ("holds no" if kind == "folder" else f"{NAME} is a {kind}") in message
    if kind != "folder":
        assert f"{NAME} is a {kind}" in refused(tmp_path / "below" / NAME)


def test_many_small_members_and_large_others_are_read(limits, tmp_path):
    path = tmp_path / "archive"
    path.write_bytes(tar(("other", bytes(MEMBER)), (NAME, NOISE), *((f"{number}", b"1") for number in range(50))))
    assert archives.read(str(path), [NAME]) == {NAME: NOISE}
    path.write_bytes(zipped(data=NOISE))
    assert archives.read(str(path), [NAME]) == {NAME: NOISE}


@pytest.mark.parametrize("prefix", ["", "./", "cifar-10.2/"])
@pytest.mark.parametrize("kind", ["tar", "gz", "bz2", "xz", "zip", "deb", "folder"])
def test_cifar10_2_is_read_however_it_is_packed(tmp_path, monkeypatch, kind, prefix):
    facts = miniatures.small(monkeypatch, "cifar10_2")
    (folder := tmp_path / "files" / prefix).mkdir(parents=True)
    written, path = miniatures.arrays(folder, facts), tmp_path / "archive"
    files = [(prefix + name, (folder / name).read_bytes()) for name in arrays.NAMES.values()]
    if kind == "folder":
        path = tmp_path / "files"
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files:
                archive.writestr(name, data)
    elif kind == "deb":
        data = tar(*files, mode="w:xz")
        path.write_bytes(debian(4, b"2.0\n" + f"{'data.tar.xz':<48}{len(data):<10}`\n".encode() + data))
    else:
        path.write_bytes(tar(*files, mode="w" if kind == "tar" else f"w:{kind}"))
    found = arrays.read(str(path), facts)
    for split, columns in written.items():
        for column, expected in zip(found[split], columns):
            np.testing.assert_array_equal(column, expected)


def test_pickles_that_claim_memory_or_hold_themselves_are_refused(tmp_path, monkeypatch):
    with pytest.raises(archives.Problem, match="numbers an object"):
        batches.loads(b"\x80\x02}r\xff\xff\xff\x7f.")
    facts = miniatures.small(monkeypatch, "cifair10")
    miniatures.batches(tmp_path, facts)
    batch = pickle.loads((tmp_path / "test_batch").read_bytes())
    nested = [0] * 10
    for _ in range(30):
        nested = [nested] * 10
    (tmp_path / "test_batch").write_bytes(pickle.dumps(batch | {b"labels": nested}))
    with pytest.raises((archives.Problem, UsageError), match="test_batch holds no label"):
        batches.read(str(tmp_path), facts)
