"""Tickets that were changed and whose hashes were made anew: refused with one line, or read and answered in full.

    cd tests; python -m torture.resealed FOLDER [SHARE [TICKET]]

makes a run, changes every leaf of its ticket's document and every array in many ways (SHARE of them, 1.0 unless given),
makes all hashes anew, and gives each to verify, the model card and the runtime, and some of those that are accepted to
predict and export, in children whose memory and time are limited. With TICKET, of a run that is there, predict and
export are left out. Prints one JSON line.
"""

import collections
import contextlib
import copy
import hashlib
import io
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback
import zipfile

import numpy as np
from torture import harness

SECONDS, ROOM, ROOM_WITH_TENSORFLOW = 20, 1 << 30, 4 << 30
TO_THE_END = 6  # accepted ones that predict and export get too
DELETED = object()
DEEP = "[" * 600 + "]" * 600
VALUES = (
    None, True, 0, -1, 1, 7, 1e308, 1e-320, -0.5, 2**31, 2**63, 10**400, "", "x", "a\nb", "\x1b[2J", "\ud800", "0",
    "..", "/etc/passwd", [], {}, [0], {"a": 1}, "x" * 100_000, DELETED, json.loads(DEEP),
)  # fmt: skip


def leaves(value, path=()):
    """Paths of all values in a document, containers too."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield from leaves(part, (*path, key))


def neighbours(value):
    """Values of the same type."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1, 2 * value, value << 20, float(value)]
    if isinstance(value, float):
        return [-value, value / 2, value * 1e30, int(value) if abs(value) < 1e300 else 0]
    if isinstance(value, str):
        return [f"{value}x", value[:-1], value.upper(), f" {value}"]
    if isinstance(value, list):
        return [value + value[:1], value[1:], value[::-1]]
    return [dict(list(value.items())[1:]), value | {"more": 1}] if isinstance(value, dict) else [0, ""]


def placed(document, path, value):
    """A copy of the document with another value at a path."""
    changed = copy.deepcopy(document)
    place = changed
    for key in path[:-1]:
        place = place[key]
    if value is DELETED:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return changed


def of_documents(document, draw, share):
    """(name, changed document) of two changes to every leaf, and of a share of them."""
    found = []
    for path in leaves({name: value for name, value in document.items() if name != "self_sha256"}):
        value = document
        for key in path:
            value = value[key]
        for other in (draw.choice(VALUES), draw.choice(neighbours(value))):
            found.append((path, other))
    for path, other in draw.sample(found, round(share * len(found))):
        said = "deleted" if other is DELETED else ascii(other)[:40]
        yield f"{'.'.join(map(str, path))} = {said}", path, placed(document, path, other)


def npy(header, data=b""):
    """The bytes of an npy file of a header that may lie."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + data


def plain(array):
    """An array as an npy file."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=True)
    return file.getvalue()


ARRAYS = {
    "one more": lambda a: plain(np.concatenate([a.ravel(), a.ravel()[:1]]).reshape(-1)),
    "one less": lambda a: plain(a.ravel()[:-1]),
    "a dimension more": lambda a: plain(a[np.newaxis]),
    "flat in Fortran's order": lambda a: plain(np.asfortranarray(a.reshape(1, -1))),
    "float64": lambda a: plain(a.astype(np.float64)),
    "big-endian": lambda a: plain(a.astype(">f4")),
    "text": lambda a: plain(a.astype(str)),
    "objects": lambda a: plain(a.astype(object)),
    "a record": lambda a: plain(np.zeros(a.shape, [("x", "<f4", (3,))])),
    "not finite": lambda a: plain(np.full_like(a, np.nan if a.dtype.kind == "f" else 255)),
    "huge": lambda a: plain(np.full_like(a, 3e38 if a.dtype.kind == "f" else 0)),
    "claims a terabyte": lambda a: npy({"descr": "<f4", "fortran_order": False, "shape": (1 << 38,)}),
    "claims more than there is": lambda a: npy({"descr": "<f4", "fortran_order": False, "shape": (1 << 70, 1 << 70)}),
    "unpacks to 800 MB": lambda a: npy(
        {"descr": "<f4", "fortran_order": False, "shape": (200_000_000,)}, bytes(800_000_000)),
    "of format 9": lambda a: b"\x93NUMPY\x09\x00" + plain(a)[8:],
    "cut short": lambda a: plain(a)[:-3],
    "no array": lambda a: b"no array",
    "missing": lambda a: None,
}  # fmt: skip
RARE = {"unpacks to 800 MB": 0.02}  # packing takes seconds


def of_arrays(arrays, draw, share):
    """(name, members) of every way to change every array, and of a share of them."""
    every = [(name, way) for name in arrays for way in ARRAYS if draw.random() < RARE.get(way, 1.0)]
    for name, way in draw.sample(every, max(round(share * len(every)), 1)):
        yield f"{name} {way}", name, ARRAYS[way](arrays[name])


def archive(arrays, name=None, data=None):
    """The bytes of an npz; one member has other bytes, or is missing."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for key, array in arrays.items():
            content = plain(array) if key != name else data
            if content is not None:
                target.writestr(f"{key}.npy", content)
    return file.getvalue()


def folders(document, packed):
    """(name, function of a copied ticket folder) of what lies beside or instead of its files."""

    def linked(place):
        shutil.move(place / "variables", place.parent / "variables")
        (place / "variables").symlink_to(place.parent / "variables")

    def other_labels(place):
        (place / "labels.txt").write_text("a\nb\n")
        named = hashlib.sha256(b"a\nb\n").hexdigest()
        write(place, document | {"files": document["files"] | {"labels.txt": named}}, packed)

    def missing_digest(place):
        write(place, {name: value for name, value in document.items() if name != "content_digest"}, packed)

    yield "a link to a folder", linked
    yield "no content digest", missing_digest
    yield "a link to a folder beside", lambda place: (place / "more").symlink_to("/etc")
    yield "a file beside", lambda place: (place / "more").write_text("")
    yield "a file beside in assets", lambda place: (place / "assets" / "more").write_text("")
    yield "a pipe beside", lambda place: os.mkfifo(place / "more")
    yield "a pipe for the document", lambda place: [os.remove(place / "ticket.json"), os.mkfifo(place / "ticket.json")]
    yield "a pipe for the arrays", lambda place: [os.remove(place / "ticket.npz"), os.mkfifo(place / "ticket.npz")]
    yield "a document of 8 GB", lambda place: os.truncate(place / "ticket.json", 8 << 30)
    yield "arrays of 8 GB", lambda place: os.truncate(place / "ticket.npz", 8 << 30)
    yield "other labels", other_labels
    yield "a document of brackets", lambda place: (place / "ticket.json").write_text("[" * 200_000)
    yield "a document of braces", lambda place: (place / "ticket.json").write_text('{"a":' * 200_000)
    yield "a document that is none", lambda place: (place / "ticket.json").write_bytes(b"\xff\xfe\x00")


def first(document):
    """Where a document speaks of its network, of several of the first."""
    return document["members"][0] if "members" in document else document


def hashed(arrays):
    """The runtime.files.hash_of the arrays of the first network, which have no prefix there."""
    from tf_tickets.runtime import files

    return files.hash_of({name.removeprefix("member_00/"): array for name, array in arrays.items()})


def claimed(document):
    """(name, document, members) of layers and networks that claim much, with arrays that pack to little."""
    other, prefix = copy.deepcopy(document), "member_00/" if "members" in document else ""
    first(other)["layers"][0].update(shape=[1 << 12, 1 << 13, 4, 4], kept=0, total=1 << 29)
    bits = npy({"descr": "|u1", "fortran_order": False, "shape": (1 << 26,)}, bytes(1 << 26))
    yield "a layer of 500 million weights", other, (f"{prefix}mask/{first(document)['layers'][0]['layer']}", bits)
    for changes in ({"width": 1 << 12}, {"classes": 1 << 20}, {"image_shape": [1 << 16, 1 << 16, 1]}):
        other = copy.deepcopy(document)
        first(other)["network"].update(changes)
        other["data"]["image_shape"] = first(other)["network"]["image_shape"]
        if "classes" in changes:
            other["data"]["labels"] = [str(number) for number in range(1 << 20)]
        yield f"a network of {changes}", other, (None, None)


def sealed(document):
    """The document with its own hash, where it can have one."""
    from tf_tickets.runtime.files import canonical

    body = {name: value for name, value in document.items() if name != "self_sha256"}
    try:
        return body | {"self_sha256": hashlib.sha256(canonical(body)).hexdigest()}
    except (ValueError, TypeError):
        return body


def write(place, document, packed, archived=None):
    """Puts a document, and perhaps other bytes of ticket.npz, into a ticket folder with all hashes made anew.

    Args:
      place: the folder.
      document: as a dict.
      packed: of `hashed`.
      archived: what ticket.npz is to hold.
    """
    from tf_tickets import storage
    from tf_tickets.runtime import files

    document = dict(document)
    if archived is not None:
        (place / "ticket.npz").write_bytes(archived)
        document["files"] = document["files"] | {"ticket.npz": hashlib.sha256(archived).hexdigest()}
    try:
        digest = packed.copy()
        member = first(document)
        facts = [
            {**member, "data": document["data"]}[n] for n in ("network", "data", "settings", "ids_digest", "round")
        ]
        digest.update(files.canonical([*facts, *([member["calibration"]] if "calibration" in member else [])]))
        if isinstance(document.get("content_digest"), str):
            document["content_digest"] = digest.hexdigest()
    except (IndexError, KeyError, TypeError, ValueError):
        pass
    (place / "ticket.json").write_bytes(storage.json_bytes(sealed(document)))
    with contextlib.suppress(Exception):  # some arrays can only be written, not read
        write_runtime(place.parent / "runtime.npz", document, place / "ticket.npz")


def write_runtime(path, document, npz):
    """The same as runtime.npz, of the arrays that it has."""
    from tf_tickets.export.runtime_file import _KEPT
    from tf_tickets.runtime import files

    with np.load(npz) as found:
        arrays = {name: found[name] for name in found.files if re.match(_KEPT, name)}
    document = {name: value for name, value in document.items() if name not in ("files", "versions")}
    text = files.canonical(sealed(document | {"arrays_sha256": files.digest_of(arrays)}))
    path.write_bytes(archive(arrays | {files.PROGRAM: np.frombuffer(text, np.uint8)}))


def used(place, images, wanted):
    """What a child does with a ticket folder; returns how each reader ended."""
    from tf_tickets import runtime
    from tf_tickets.errors import TicketError, plain
    from tf_tickets.export import card, verify

    def verified():
        verify.verify(str(place))
        card.text(*cards(place)).encode("utf-8")

    def cards(place):
        ticket, document = verify.checked(str(place))
        return ticket, document.get("metrics", {}), document.get("test_images")

    def answered(path=place):
        network = runtime.load(str(path))
        if network.image_shape != images.shape[1:]:  # which it then takes, and no others
            count = len(network.predict(np.zeros((1, *network.image_shape), np.uint8)))
            return "other answer" if count == 1 else "no answer"
        found = network.predict(images)
        if found.shape == wanted.shape and np.allclose(found, wanted, atol=1e-6):
            return "answered"
        return "other answer" if np.allclose(found.sum(axis=1), 1, atol=1e-5) else "no answer"

    ends, readers = {}, [("verify", verified), ("runtime", answered)]
    if os.path.exists(place.parent / "runtime.npz"):
        readers.append(("runtime.npz", lambda: answered(place.parent / "runtime.npz")))
    for name, use in readers:
        try:
            ends[name] = use() or "accepted"
        except (TicketError, runtime.Damaged, runtime.NotATicket) as error:
            line = plain(error)
            ends[name] = "refused" if line and "\n" not in str(error) and len(line) < 2000 else f"wrong: {line[:200]}"
        except BaseException:
            ends[name] = f"wrong: {traceback.format_exc()[-400:]}"
    return ends


def whole(place, out, images):
    """Predict and export of an accepted ticket, with TensorFlow."""
    from tf_tickets.errors import TicketError
    from tf_tickets.export import formats, verify
    from tf_tickets.settings import config

    try:
        ticket = verify.checked(str(place))[0]
        if images.shape[1:] == tuple(ticket.data["image_shape"]) and ticket.data.get("dtype", "uint8") == "uint8":
            assert np.isfinite(ticket.predict(images)).all()
        formats.export(str(place), ["ticket", "runtime"], config.Config.from_values(dataset="digits"), str(out))
        return {"whole": "accepted"}
    except TicketError:
        return {"whole": "refused"}
    except BaseException:
        return {"whole": f"wrong: {traceback.format_exc()[-600:]}"}


def child(work, room):
    """The result of a function in a forked child of so much more memory than it has now and of SECONDS."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reader)
        try:
            with open("/proc/self/statm") as file:
                has = int(file.read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (has + room, has + room))
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            # A machine may be busy: seconds of work count; who waits for ever is ended too.
            seconds = SECONDS if room == ROOM else 4 * SECONDS
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            signal.alarm(10 * seconds)
            found = work()
            with open(writer, "w") as file:
                json.dump(found, file)
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as file:
        text = file.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return json.loads(text) if text else {"child": f"wrong: ended with {status}, without a word"}


def cases(document, arrays, draw, share):
    """(name, whether the answer may differ, function of a copied ticket folder) of every change."""
    packed = hashed(arrays)

    def changed(other, name=None, data=None):
        def apply(place):
            if name is None:
                return write(place, other, packed)
            with contextlib.suppress(Exception):  # what is no array has no digest either
                value = np.lib.format.read_array(io.BytesIO(data))
                return write(place, other, hashed(arrays | {name: value}), archive(arrays, name, data))
            write(place, other, packed, archive(arrays, name, data))

        return apply

    for name, path, other in of_documents(document, draw, share):
        yield name, path[0] in ("program", "data", "layers", "members"), changed(other)
    for name, key, data in of_arrays(arrays, draw, share):
        yield name, True, changed(document, key, data)
    for name, other, (key, data) in claimed(document):
        yield name, True, changed(other, key, data)
    for name, apply in folders(document, packed):
        yield name, False, apply


def main(folder, share=1.0, ticket=None):
    """The counts, and what went wrong, as a dict; children are light until TensorFlow is loaded."""
    if ticket is not None:
        return judge(folder, pathlib.Path(ticket), share, 0)
    words = harness.words(folder / "out")
    subprocess.run([sys.executable, "-m", "tf_tickets.main", *words], check=True, stdout=subprocess.DEVNULL)
    return judge(folder, next((folder / "out").glob("*/seed_*/ticket")), share, TO_THE_END)


def judge(folder, ticket, share, to_the_end):
    """What all readers make of a share of all changes of a ticket.

    Args:
      folder: for copies.
      ticket: the ticket's folder.
      share: of all changes.
      to_the_end: how many of those that are accepted are predicted with and exported.
    """
    began, draw = time.monotonic(), random.Random(0)
    document, arrays, images, wanted = _read(ticket)
    ends, wrong, accepted, place = collections.Counter(), {}, [], folder / "copy" / "ticket"

    def record(name, found):
        for reader, end in found.items():
            ends[reader, end.split(":")[0]] += 1
            if end.startswith("wrong"):
                wrong[f"{name}: {reader}"] = end

    for name, differs, apply in cases(document, arrays, draw, share):
        copied(ticket, place, apply)
        found = child(lambda: used(place, images, wanted), ROOM)
        for reader in ("runtime", "runtime.npz"):
            if found.get(reader) == "other answer" and not differs:
                found[reader] = "wrong: other answer"
        record(name, found)
        if found.get("verify") == "accepted":
            accepted.append((name, apply))
    tried = sum(count for (reader, _), count in ends.items() if reader in ("verify", "child"))
    if to_the_end:
        harness.load()
    for name, apply in draw.sample(accepted, min(to_the_end, len(accepted))):
        copied(ticket, place, apply)
        record(name, child(lambda: whole(place, folder / "copy" / "out", images), ROOM_WITH_TENSORFLOW))
    counts = {f"{reader}: {end}": count for (reader, end), count in sorted(ends.items())}
    return {"tried": tried, "ends": counts, "wrong": wrong, "seconds": round(time.monotonic() - began)}


def _read(ticket):
    """(document, arrays, images, the ticket's probabilities of them)."""
    from tf_tickets import runtime, storage
    from tf_tickets.export import card, verify  # noqa: F401  loaded once, before the children

    document = json.loads((ticket / "ticket.json").read_text())
    images = np.random.default_rng(0).integers(0, 256, (3, *document["data"]["image_shape"]), np.uint8)
    wanted = runtime.load(str(ticket)).predict(images)
    return document, storage.read_arrays(str(ticket / "ticket.npz")), images, wanted


def copied(ticket, place, apply):
    shutil.rmtree(place.parent, ignore_errors=True)
    shutil.copytree(ticket, place)
    apply(place)


if __name__ == "__main__":
    print(json.dumps(main(pathlib.Path(sys.argv[1]).resolve(), *map(float, sys.argv[2:3]), *sys.argv[3:])))
