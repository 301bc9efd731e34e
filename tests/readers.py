"""Whatever is typed or lies on disk ends in a value or in one of our errors, of one line.

Each function reads one kind of text or file and asserts just that. test_fuzz draws their input with hypothesis,
torture.fuzz from the branches that were reached.
"""

import dataclasses
import os
import pathlib

from absl import flags

from tf_tickets import runs, storage
from tf_tickets.data import split_files, subsets
from tf_tickets.errors import TicketError, UsageError, plain
from tf_tickets.experiments import opening
from tf_tickets.registry import DATASETS
from tf_tickets.report import tables
from tf_tickets.settings import cli, config, policies
from tf_tickets.sweeps import grid

# Files that no run continues from: read by people, or made anew.
UNSEALED = {"evaluations.csv", "timing.json", "attempts.csv", "table.csv", "examples.npz", "predictions.npz"}


def one_line(error):
    """The message is for a person."""
    text = plain(error)
    assert text and "\n" not in text and len(text) < 4000


def policy(text):
    """A policy is refused, or expands to what expands to itself."""
    problem = policies.check(text)
    if problem is not None:
        one_line(problem)
        try:
            policies.parse(text)
        except ValueError:
            return
        raise AssertionError("parsed what check refuses")
    steps, chain = policies.parse(text), policies.expand(text)
    assert policies.expand(chain) == chain and policies.parse(chain) == steps


def sweep_grid(text):
    """A grid is refused, or has points, each once."""
    try:
        points = grid.points(text)
    except UsageError as error:
        one_line(error)
    else:
        assert points and len({str(point) for point in points}) == len(points)


def flagfile(data, folder):
    """The bytes of a flagfile."""
    path = os.path.join(folder, "a.cfg")
    _write(path, data)
    try:
        cli.parse(["tf-tickets", f"--flagfile={path}"], flags.FlagValues())
    except TicketError as error:
        one_line(error)


def settings_file(data, folder):
    """The bytes of a run's config.cfg: what is read is written and read again the same."""
    path = os.path.join(folder, "config.cfg")
    _write(path, data)
    try:
        read = config.Config.from_flagfile(path)
    except TicketError as error:
        return one_line(error)
    _write(path, read.flagfile().encode())
    unwritten = {"dry_run": read.run.dry_run, **dataclasses.asdict(read.command)}
    again = config.Config.from_flagfile(path, **unwritten)
    assert again == read and again.digest() == read.digest()


def subset_list(data, folder):
    """The bytes of a list of image names, of four that there are."""
    path = os.path.join(folder, "subset.txt")
    _write(path, data)
    try:
        found = subsets._listed(path, ["a", "b", "c", "d"])
    except UsageError as error:
        one_line(error)
    else:
        assert found.tolist() == sorted(set(found.tolist())) and 1 <= len(found) <= 4


def split_lists(lists, folder):
    """The bytes of trainval.txt, val.txt and test.txt beside the pictures p, q and r."""
    for name in "pqr":
        _write(os.path.join(folder, f"{name}.jpg"), b"")
    for name, data in zip(("trainval", "val", "test"), lists, strict=True):
        _write(os.path.join(folder, f"{name}.txt"), data)
    data_set = dataclasses.replace(DATASETS["cub"].facts, train_counts=(1, 1), test_counts=(0, 1), labels=("a", "b"))
    try:
        found = split_files.read(str(folder), (".jpg",), data_set)
    except UsageError as error:
        one_line(error)
    else:
        assert [len(found["train"]), len(found["test"])] == [2, 1]


def run_names(folder):
    """The small files of a run, relative to its folder; the ticket has a reader of its own."""
    names = [
        os.path.relpath(os.path.join(base, name), folder)
        for base, _, files in os.walk(folder) for name in files if name.endswith((".json", ".csv", ".cfg", ".npz"))
    ]  # fmt: skip
    return sorted(name for name in names if name.split(os.sep)[0] != "ticket")


def run_folder(folder, name, data):
    """`data` in place of one file of a finished run; the file is put back.

    The run as it was is accepted; what a run continues from is never taken changed.
    """
    path = os.path.join(folder, name)
    with open(path, "rb") as file:
        before = file.read()
    _write(path, data)
    try:
        run = runs.RunFolder(str(folder))
        rounds = [run.round(index) for index in range(len(list(pathlib.Path(folder).glob("round_*"))))]
        accepted = _accepts(lambda: opening.check(run, rounds))
        _accepts(lambda: tables.collect([str(folder)]))
        if name.endswith(".npz"):
            _accepts(lambda: storage.read_arrays(path))
        if data == before:
            assert accepted, f"{name} is refused as it was"
        elif os.path.basename(name) not in UNSEALED:
            assert not accepted, f"{name} was changed unnoticed"
    finally:
        _write(path, before)


def _accepts(read):
    try:
        read()
    except TicketError as error:
        one_line(error)
        return False
    return True


def _write(path, data):
    with open(path, "wb") as file:
        file.write(data)
