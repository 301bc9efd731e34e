"""Hypothesis looks for text and files that our readers neither take nor refuse; what they must do is in `readers`."""

import pathlib

import numpy as np
import pytest
import readers
from conftest import QUICK, ROOT
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tf_tickets as tt
from tf_tickets import storage
from tf_tickets.errors import StateError
from tf_tickets.settings import config, policies
from tf_tickets.sweeps import grid

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


@FUZZ
@given(POLICIES)
@example("rand(4)|cutout(16)")
@example("jitter(0.4,0.4,0.4,0.1,0.8)|mixup(1)")
def test_policies_are_read_or_refused(text):
    readers.policy(text)


@FUZZ
@given(GRIDS)
@example("seed+subset_seed=0..2;augment=crop(4)|cutout(16),rand")
@example("seed=0..99999999999999999999")
def test_grids_are_read_or_refused(text):
    readers.sweep_grid(text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("read")


@FUZZ
@given(LINES, st.binary(max_size=20))
def test_flagfiles_are_read_or_refused(folder, text, data):
    for content in (text.encode("utf-8", "surrogatepass"), data):
        readers.flagfile(content, folder)


@FUZZ
@given(LINES)
@example("--width=16\n--rewind=epoch:3")
def test_settings_are_read_or_refused(folder, text):
    readers.settings_file(text.encode("utf-8", "surrogatepass"), folder)


@FUZZ
@given(st.lists(st.sampled_from(["a", "b", "c", "d", "", " ", "\n", "a b", "ä", "\x1c", "# a"]), max_size=8))
def test_subset_files_are_read_or_refused(folder, lines):
    readers.subset_list("\n".join(lines).encode(), folder)


@FUZZ
@given(*[st.lists(st.sampled_from(["p 0", "q 1", "r 2", "p", "0", " ", "x 9", "p -1", "ü 0"]), max_size=5)] * 3)
@example(["p 0", "q 1"], ["q 1"], ["r 1"])
def test_split_files_are_read_or_refused(folder, trainval, val, test):
    readers.split_lists([("\n".join(lines) + "\n").encode() for lines in (trainval, val, test)], folder)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return pathlib.Path(tt.imp(tt.Config.from_values(**QUICK, out=str(tmp_path_factory.mktemp("fuzz")))).folder)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_run_folders_are_read_or_refused(finished, data):
    name = data.draw(st.sampled_from(readers.run_names(finished)))
    content = bytearray((finished / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        end = min(start + data.draw(st.sampled_from([0, 1, 7, 10**6])), len(content))
        words = st.sampled_from([b"null", b"-1", b"1e999", b"[]", b'"', b"\n"])
        content[start:end] = data.draw(st.binary(max_size=9) | words)
    readers.run_folder(finished, name, bytes(content))


def test_a_run_as_it_was_is_accepted(finished):
    for name in readers.run_names(finished):
        readers.run_folder(finished, name, (finished / name).read_bytes())


def test_a_message_does_not_repeat_the_damaged_file(tmp_path):
    path = tmp_path / "a.npz"
    storage.write_arrays(str(path), {"a": np.zeros(50_000)})
    content = bytearray(path.read_bytes())
    content[26:28] = b"\xff\xff"  # the length of the first name, in the header before its data
    path.write_bytes(content)
    with pytest.raises(StateError, match="is damaged") as caught:
        storage.read_arrays(str(path))
    readers.one_line(caught.value)


def test_the_recipes_of_this_folder_are_what_is_fuzzed_around():
    for path in sorted((ROOT / "flags").glob("*.sweep")):
        assert grid.points(str(path))
