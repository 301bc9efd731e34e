"""Whatever is typed or lies on disk ends in a value or in one of our errors, of one line; hypothesis looks for more."""

import dataclasses
import os
import pathlib
import shutil

import pytest
from absl import flags
from conftest import QUICK, ROOT
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tf_tickets as tt
from tf_tickets import cli, config, policies, runs, storage
from tf_tickets.data import catalog, split_files, subsets
from tf_tickets.errors import TicketError, UsageError, plain
from tf_tickets.experiments import grid, opening
from tf_tickets.report import tables

FUZZ = settings(max_examples=300, deadline=None, derandomize=True)
POLICIES = st.lists(
    st.sampled_from([
        *policies.OPERATIONS, *policies.PRESETS, "(", ")", "|", ",", "4", "0.5", "-1", "1e9", " ", "cifar10", "٤", "",
    ]) | st.text(max_size=3), max_size=9,
).map("".join)  # fmt: skip
GRIDS = st.lists(
    st.sampled_from([
        *grid.fields(), *grid.OF_THE_SWEEP, "=", ";", ",", "+", "..", "0", "3", "0.1", '"', "(", ")", "\n", "#", "imp",
    ]) | st.text(max_size=3), max_size=12,
).map("".join)  # fmt: skip
LINES = st.lists(
    st.sampled_from(["--", "-", "=", "flagfile", "a.cfg", "\n", "#", " ", "no", "/", "..", "true", "7", "\x00", "\x85"])
    | st.sampled_from(list(config.options())) | st.text(max_size=4), max_size=20,
).map("".join)  # fmt: skip


def one_line(error):
    """The message is for a person."""
    text = plain(error)
    assert text and "\n" not in text and len(text) < 4000


@FUZZ
@given(POLICIES)
@example("rand(4)|cutout(16)")
@example("jitter(0.4,0.4,0.4,0.1,0.8)|mixup(1)")
def test_policies_are_read_or_refused(text):
    problem = policies.check(text)
    if problem is None:
        steps, chain = policies.parse(text), policies.expand(text)
        assert policies.expand(chain) == chain and policies.parse(chain) == steps
    else:
        one_line(problem)
        with pytest.raises(ValueError):
            policies.parse(text)


@FUZZ
@given(GRIDS)
@example("seed+subset_seed=0..2;augment=crop(4)|cutout(16),rand")
@example("seed=0..99999999999999999999")
def test_grids_are_read_or_refused(text):
    try:
        points = grid.points(text)
    except UsageError as error:
        one_line(error)
    else:
        assert points and len({str(point) for point in points}) == len(points)


@FUZZ
@given(LINES, st.binary(max_size=20))
def test_flagfiles_are_read_or_refused(tmp_path_factory, text, data):
    folder = tmp_path_factory.getbasetemp() / "flagfiles"
    folder.mkdir(exist_ok=True)
    path = folder / "a.cfg"
    for content in (text.encode("utf-8", "surrogatepass"), data):
        path.write_bytes(content)
        try:
            cli.parse(["tf-tickets", f"--flagfile={path}"], flags.FlagValues())
        except TicketError as error:
            one_line(error)


@FUZZ
@given(st.lists(st.sampled_from(["a", "b", "c", "d", "", " ", "\n", "a b", "ä", "\x1c", "# a"]), max_size=8))
def test_subset_files_are_read_or_refused(tmp_path_factory, lines):
    path = tmp_path_factory.getbasetemp() / "subset.txt"
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    try:
        found = subsets._listed(str(path), ["a", "b", "c", "d"])
    except UsageError as error:
        one_line(error)
    else:
        assert found.tolist() == sorted(set(found.tolist())) and 1 <= len(found) <= 4


@FUZZ
@given(*[st.lists(st.sampled_from(["p 0", "q 1", "r 2", "p", "0", " ", "x 9", "p -1", "ü 0"]), max_size=5)] * 3)
@example(["p 0", "q 1"], ["q 1"], ["r 1"])
def test_split_files_are_read_or_refused(tmp_path_factory, trainval, val, test):
    folder = tmp_path_factory.getbasetemp() / "splits"
    folder.mkdir(exist_ok=True)
    for name in "pqr":
        (folder / f"{name}.jpg").touch()
    for name, lines in (("trainval", trainval), ("val", val), ("test", test)):
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    data_set = dataclasses.replace(
        catalog.CATALOG["cub"], train_counts=(1, 1), test_counts=(0, 1), labels=("a", "b")
    )
    try:
        found = split_files.read(str(folder), (".jpg",), data_set)
    except UsageError as error:
        one_line(error)
    else:
        assert [len(found["train"]), len(found["test"])] == [2, 1]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run, and its small files by relative path."""
    folder = pathlib.Path(tt.imp(tt.Config.from_values(**QUICK, out=str(tmp_path_factory.mktemp("fuzz")))).folder)
    names = [path for path in folder.rglob("*") if path.suffix in (".json", ".csv", ".cfg", ".npz")]
    return folder, sorted(str(path.relative_to(folder)) for path in names if "ticket" not in path.parts)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_run_folders_are_read_or_refused(finished, tmp_path_factory, data):
    folder, names = finished
    copy = tmp_path_factory.getbasetemp() / "fuzzed" / folder.parent.name / folder.name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    name = data.draw(st.sampled_from(names))
    content = bytearray((copy / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        end = min(start + data.draw(st.sampled_from([0, 1, 7, 10**6])), len(content))
        words = st.sampled_from([b"null", b"-1", b"1e999", b"[]", b'"', b"\n"])
        content[start:end] = data.draw(st.binary(max_size=9) | words)
    changed = bytes(content) != (copy / name).read_bytes()
    (copy / name).write_bytes(content)
    run = runs.RunFolder(str(copy))
    for read in (
        lambda: opening.check(run, [run.round(index) for index in range(3)]),
        lambda: tables.collect([str(copy)]),
        lambda: [storage.read_arrays(str(copy / part)) for part in names if part.endswith(".npz")],
    ):
        try:
            read()
        except TicketError as error:
            one_line(error)
    kept = {"evaluations.csv", "timing.json", "attempts.csv", "table.csv", "examples.npz", "predictions.npz"}
    if changed and os.path.basename(name) not in kept:
        with pytest.raises(TicketError):
            opening.check(run, [run.round(index) for index in range(3)])


def test_the_recipes_of_this_folder_are_what_is_fuzzed_around():
    for path in sorted((ROOT / "flags").glob("*.sweep")):
        assert grid.points(str(path))
