"""A finished run that cannot be written prints its table; what is not finished is refused, and nothing is touched."""

import contextlib
import io
import os
import pathlib
import shutil
import tempfile

import pytest
from absl import flags
from conftest import QUICK

from tf_tickets import main
from tf_tickets.errors import TicketError
from tf_tickets.settings import cli

NOBODY = 65534
COMMON = QUICK | {"tensorboard": False, "rounds": 2, "epochs": 2, "images": 40}


def words(command, out, **changes):
    return [command, *(f"--{name}={value}" for name, value in (COMMON | {"out": out} | changes).items())]


def asked(arguments):
    """(exit status, what is printed) of a command in this process."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        try:
            return main.main(cli.parse(["tf-tickets", *arguments], flags.FlagValues())), text.getvalue()
        except TicketError as error:
            return error.exit_status, str(error)


def asked_by_a_reader(arguments):
    """The same by somebody who may read all and write nothing, in a child: root may write anywhere."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 99
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            status, text = asked(arguments)
            os.write(write, text.encode())
        finally:
            os._exit(status)
    os.close(write)
    with open(read, "rb") as file:
        text = file.read().decode()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text


@pytest.fixture(scope="module")
def finished():
    """{command: out} of finished runs in folders that the world may read, and their tables; treat as read-only."""
    base = pathlib.Path(tempfile.mkdtemp(prefix="tf-tickets-"))
    os.chmod(base, 0o755)
    flags_of = {"imp": {"refit": "true"}, "train": {}, "pretrain": {"augment": "crop(1)", "images": 20}}
    found = {}
    for name, changes in flags_of.items():
        arguments = words(name, str(base / name), **changes)
        if name == "pretrain":
            arguments.remove("--validation=0.2")
        status, text = asked(arguments)
        assert status == 0, text
        found[name] = arguments, text
    for path in [base, *base.rglob("*")]:
        os.chmod(path, 0o555 if path.is_dir() else 0o444)
    yield base, found
    for path in [base, *base.rglob("*")]:
        os.chmod(path, 0o755 if path.is_dir() else 0o644)
    shutil.rmtree(base)


def state(base):
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in base.rglob("*")}


@pytest.mark.parametrize("name", ["imp", "train", "pretrain"])
def test_a_finished_run_prints_its_table(finished, name):
    base, runs = finished
    arguments, text = runs[name]
    before = state(base)
    status, told = asked_by_a_reader(arguments)
    assert status == 0, told
    kept = [line for line in text.splitlines() if not line.startswith(("table: ", "figure: "))]
    assert told.splitlines() == kept and len(kept) >= 3
    assert state(base) == before


@pytest.mark.parametrize(("name", "more"), [
    ("imp", "--rounds=3"), ("imp", "--seed=1"), ("train", "--seed=1"), ("pretrain", "--seed=1"),
    ("imp", "--dry_run"),
])  # fmt: skip
def test_what_is_not_finished_is_refused(finished, name, more):
    base, runs = finished
    before = state(base)
    status, told = asked_by_a_reader([*runs[name][0], more])
    assert (status, told) == (2, f"--out={base / name}: {base / name} cannot be written; choose another --out")
    assert state(base) == before


def test_a_run_s_folder_alone_may_be_read_only(finished):
    base, runs = finished
    os.chmod(base / "imp", 0o777)
    try:
        for arguments, expected in ((runs["imp"][0], 0), ([*runs["imp"][0], "--rounds=3"], 3)):
            status, told = asked_by_a_reader(arguments)
            assert status == expected, told
        assert told.endswith("seed_0 cannot be written; choose another --out")
    finally:
        os.chmod(base / "imp", 0o555)
