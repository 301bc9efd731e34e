"""Odd picture files: every reader takes the same ones, and refuses the others by one line, the same everywhere."""

import pytest
from torture import pictures


def checked(folder, every, seed=0):
    found = pictures.run(str(folder / "odd"), every, seed)
    assert found["wrong"] == [], found["wrong"][:10]
    return found


def test_every_reader_says_the_same_of_odd_files(tmp_path):
    found = checked(tmp_path, 20)
    assert found["cases"] >= 250 and len(found["by"]) >= 7
    counts = [sum(ends[end] for ends in found["by"].values()) for end in ("used", "refused")]
    assert min(counts) > 50


@pytest.mark.slow
def test_every_reader_says_the_same_of_all_odd_files(tmp_path):
    assert checked(tmp_path, 1)["cases"] >= 5000
