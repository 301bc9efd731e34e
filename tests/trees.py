"""Filling folders, and comparing them: whole ones; of run folders every npz and csv bit for bit.

Seconds, dates and hosts lie in timing.json and attempts.csv, which are left out.
"""

import pathlib

from tf_tickets import storage


def fill(folder, files):
    """Writes files of a folder, {name: content}; {folder} in a text stands for the folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = content if isinstance(content, bytes) else content.replace("{folder}", str(folder)).encode()
        path.write_bytes(content)


def tree(folder):
    """Every path below a folder with its content."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def only_run(out):
    """The one run folder below `out`, or None."""
    return next((str(path) for path in pathlib.Path(out).glob("*/seed_*")), None)


def contents(folder):
    """Bytes of every npz and csv below a folder, and the ticket's content digest, by relative path."""
    folder = pathlib.Path(folder)
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".npz", ".csv") and path.name != "attempts.csv"
    }
    document = folder / "ticket" / "ticket.json"
    if document.exists():
        found["content_digest"] = storage.read_json(str(document))["content_digest"]
    return found


def assert_equal(found, expected):
    """Names the files that differ."""
    assert sorted(found) == sorted(expected)
    differing = [name for name in expected if found[name] != expected[name]]
    assert not differing, f"not bitwise equal: {differing}"
