"""Changed tickets whose hashes were made anew; all of them in `torture.resealed`."""

import json
import pathlib
import resource
import zipfile

import command_server
import numpy as np
import pytest
import small_network
from conftest import ROOT
from torture import harness, resealed

import tf_tickets as tt
from tf_tickets import runtime, storage
from tf_tickets.errors import StateError
from tf_tickets.export import formats, verify
from tf_tickets.runtime import files


@pytest.fixture(scope="module")
def ticket(tmp_path_factory):
    """The ticket folder of a run of two convolutions: more of them would have more files' parts of the same kinds."""
    out = str(tmp_path_factory.mktemp("resealed"))
    config = tt.Config.from_values(**harness.SETTINGS | {"model": small_network.POOLED, "tensorboard": False}, out=out)
    return pathlib.Path(tt.imp(config).folder) / "ticket"


JUDGE = """
import json, pathlib, sys
from torture import resealed
share, to_the_end = float(sys.argv[3]), int(sys.argv[4])
print(json.dumps(resealed.judge(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), share, to_the_end)))
"""


def judged(*words):
    """What `resealed.judge` returns, in a process of its own."""
    done = command_server.loaded().run(ROOT / "tests", words, code=JUDGE)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_some_changes_are_refused_or_answered(ticket, tmp_path):
    found = judged(tmp_path, ticket, 0.08, 0)
    assert found["wrong"] == {} and found["tried"] >= 80
    assert found["ends"]["verify: refused"] > 40 and found["ends"]["runtime: answered"] > 10


@pytest.mark.slow
def test_all_changes_are_refused_or_answered(ticket, tmp_path):
    found = judged(tmp_path, ticket, 1.0, resealed.TO_THE_END)
    assert found["wrong"] == {} and found["tried"] >= 900


def changed(ticket, tmp_path, change):
    """A copy of the ticket whose document was changed and whose hashes were made anew."""
    place = tmp_path / "ticket"
    document = json.loads((ticket / "ticket.json").read_text())
    arrays = storage.read_arrays(str(ticket / "ticket.npz"))
    resealed.copied(ticket, place, lambda copy: None)
    change(document)
    resealed.write(place, document, files.hash_of(arrays))
    return str(place)


@pytest.mark.parametrize("name", ["weights_total", "weights_left", "density", "metrics", "content_digest", "settings"])
@pytest.mark.parametrize("value", ["text", None, resealed.DELETED])
def test_a_document_without_its_numbers_is_refused(ticket, tmp_path, name, value):
    if (name, value) in (("metrics", resealed.DELETED), ("content_digest", "text")):
        pytest.skip("nothing was measured, or the digest is made anew like the hashes")
    folder = changed(ticket, tmp_path, lambda d: d.pop(name) if value is resealed.DELETED else d.update({name: value}))
    with pytest.raises(StateError) as caught:
        verify.verify(folder)
    assert str(caught.value).count("\n") == 0


def test_other_labels_than_the_document_s_are_named(ticket, tmp_path):
    folder = changed(ticket, tmp_path, lambda d: None)
    assert verify.verify(folder)
    with pytest.raises(StateError, match=r"labels\.txt lists other classes"):
        verify.verify(changed(ticket, tmp_path, lambda d: d["data"]["labels"].reverse()))


@pytest.mark.parametrize("name", ["a link to a folder", "a link to a folder beside", "a file beside in assets"])
def test_what_is_no_part_of_a_ticket_is_named(ticket, tmp_path, name):
    document = json.loads((ticket / "ticket.json").read_text())
    apply = dict(resealed.folders(document, None))[name]
    resealed.copied(ticket, tmp_path / "ticket", apply)
    with pytest.raises(StateError, match="variables|more"):
        verify.verify(str(tmp_path / "ticket"))


def test_shapes_are_compared_before_anything_is_unpacked(ticket, tmp_path):
    """A mask of 500 million weights, packed to 64 KB, would take 5 GB."""
    document = json.loads((ticket / "ticket.json").read_text())
    arrays = storage.read_arrays(str(ticket / "ticket.npz"))
    _, other, (name, data) = next(resealed.claimed(document))
    place = tmp_path / "ticket"
    packed = resealed.archive(arrays, name, data)
    resealed.copied(ticket, place, lambda copy: resealed.write(copy, other, files.hash_of(arrays), packed))
    assert len(packed) < 1_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for use in (verify.verify, runtime.load):
        with pytest.raises((StateError, runtime.Damaged)):
            use(str(place))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kilobytes


def test_the_bytes_that_were_hashed_are_those_that_are_read(ticket, tmp_path, monkeypatch):
    """Whoever replaces a file after it was hashed has no effect."""
    place, whole = tmp_path / "ticket", runtime.load(str(ticket))
    resealed.copied(ticket, place, lambda copy: None)
    original = files.contents

    def replaced(path, most):
        data = original(path, most)
        pathlib.Path(path).write_bytes(b"something else")
        return data

    images = np.random.default_rng(0).integers(0, 256, (2, *whole.image_shape), np.uint8)
    monkeypatch.setattr(files, "contents", replaced)
    np.testing.assert_array_equal(runtime.load(str(place)).predict(images), whole.predict(images))


def test_runtime_npz_holds_what_its_program_names_and_nothing_else(ticket, tmp_path):
    formats.export(str(ticket), ["runtime"], tt.Config.from_values(dataset="digits"), str(tmp_path / "out"))
    path = tmp_path / "out" / "runtime.npz"
    runtime.load(str(path))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more.npy", resealed.plain(np.zeros(3, np.float32)))
    with pytest.raises(runtime.Damaged, match="more is no part of its program"):
        runtime.load(str(path))
