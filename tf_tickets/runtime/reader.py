"""Loads a ticket for the runtime, from its folder or from runtime.npz."""

import os
import zipfile

from tf_tickets.runtime import facts, files, npz, program
from tf_tickets.runtime.averaging import Ensemble
from tf_tickets.runtime.files import Damaged, NotATicket
from tf_tickets.runtime.network import Network

_NEITHER = "{} is neither a ticket folder nor a runtime.npz; {}"


def load(path: str, compiled: bool = False) -> Network | Ensemble:
    """Loads a ticket.

    Args:
      path: a ticket folder, or the runtime.npz that `export` writes.
      compiled: whether convolutions may also be executed by a kernel that numba compiles, an extra: half a second more
        at the start (several seconds the first time on a machine), less for each image.

    Raises:
      NotATicket: the path is neither.
      ImportError: `compiled`, and numba is not installed.
      Damaged: a hash is wrong, another version made it, or the network is one that the runtime is not registered for,
        such as a transformer.
    """
    if os.path.isfile(path):
        if not zipfile.is_zipfile(path):
            raise NotATicket(_NEITHER.format(path, files.instead(path, "one of them")))
        with npz.Arrays(path, files.contents(path, files.MOST_BYTES)) as arrays:
            return _network(_document_in(path, arrays), arrays, compiled)
    document, _ = files.document(path)
    files.check_format(document, path)
    data = files.checked_contents(path, files.ARRAYS, document, npz.room(_wanted(path, document)))
    with npz.Arrays(os.path.join(path, files.ARRAYS), data) as arrays:
        return _network(document, arrays, compiled)


def _network(document, arrays, compiled):
    members = files.members(document)
    networks = [Network(member, npz.Part(arrays, prefix), compiled) for prefix, member in members]
    if len(networks) == 1:
        return networks[0]
    try:
        return Ensemble(networks, facts.check_density(document.get("density")))
    except ValueError as error:
        raise Damaged(f"the ticket's document lacks what prediction needs ({error}); restore it") from None


def _wanted(path, document):
    """What the programs of a document take from its archive, as npz.Arrays.keep has it."""
    wanted = {}
    for prefix, member in files.members(document):
        if member.get("program") is None:
            raise Damaged(f"{path} holds no program for the runtime: its SavedModel alone serves it")
        arrays = program.arrays(member["program"], member.get("layers", []))
        wanted |= {prefix + name: expected for name, expected in arrays.items()}
    return wanted


def document_of(path: str) -> dict:
    """The document in a runtime.npz, which has its own hash; its arrays are not read.

    Raises:
      NotATicket: the file is none.
      Damaged: it has another hash, or another version made it.
    """
    if not zipfile.is_zipfile(path):
        raise NotATicket(_NEITHER.format(path, files.instead(path, "one of them")))
    with npz.Arrays(path, files.contents(path, files.MOST_BYTES)) as arrays:
        return _read_document(path, arrays)


def _document_in(path, arrays):
    """The document in a runtime.npz; the arrays that it names are read, and the hashes are theirs."""
    document = _read_document(path, arrays)
    kept = arrays.keep(_wanted(path, document))
    odd = sorted(set(arrays.names()) - {files.PROGRAM, *kept})
    if odd:
        raise Damaged(f"{path}: {odd[0]} is no part of its program; export it again")
    if files.digest_of(kept) != document.get("arrays_sha256"):
        raise Damaged(f"{path} does not have its recorded hash: it was changed or damaged; export it again")
    return document


def _read_document(path, arrays):
    if files.PROGRAM not in arrays:
        raise NotATicket(f"{path} is no runtime.npz: it holds no program; make one with export --format=runtime")
    length = min(arrays.header(files.PROGRAM)[0][:1], (files.MOST_TEXT,))
    document = files.parsed(arrays.get(files.PROGRAM, length, kind="u").tobytes(), path)
    files.check_format(document, path)
    return document
