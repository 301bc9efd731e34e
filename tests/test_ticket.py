"""A ticket knows the images that it was trained on."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from conftest import QUICK

import tf_tickets as tt
from tf_tickets import runs, storage
from tf_tickets.data import sources, subsets
from tf_tickets.errors import StateError, UsageError
from tf_tickets.export import verify, writer


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A runs.RunFolder of one round, whose subset has a validation part."""
    values = QUICK | {"tensorboard": False, "rounds": 1, "epochs": 2}
    return runs.RunFolder(tt.imp(tt.Config.from_values(**values, out=str(tmp_path_factory.mktemp("runs")))).folder)


def trained_on(run):
    return [row["id"] for row in storage.read_csv(run.subset) if row["part"] == "train"]


def rewritten(run, tmp_path, changed=None, dropped=None):
    """A copy of the ticket whose document has the hashes of what is there."""
    folder = tmp_path / "ticket"
    shutil.copytree(run.ticket, folder)
    if dropped:
        (folder / dropped).unlink()
    for name, data in (changed or {}).items():
        (folder / name).write_bytes(data)
    document = json.loads((folder / "ticket.json").read_text())
    document.pop("self_sha256")
    document["files"] = {name: storage.file_digest(str(folder / name)) for name in verify.files_below(str(folder))}
    storage.write_json(str(folder / "ticket.json"), writer.signed(document))
    return str(folder)


def test_the_training_images_alone_are_listed(run):
    ids = tt.Ticket.load(run.ticket).ids
    assert list(ids) == trained_on(run) and 0 < len(ids) < 70
    assert tt.Ticket.load(run.round(0).folder).ids == ids
    assert f"{len(ids)} training images are listed" in verify.verify(run.ticket)


def test_the_list_is_a_subset_file(run):
    source = sources.load("digits")
    data = tt.Config.from_values(dataset="digits", subset_file=f"{run.ticket}/images.txt").data
    chosen = subsets.choose(data, source.labels, source.ids)
    assert [source.ids[position] for position in chosen.train] == trained_on(run) and not len(chosen.validation)


@pytest.mark.parametrize("change", [
    lambda ids: ids[:-1], lambda ids: [*ids, "digits_0000"], lambda ids: [*ids, ""], lambda ids: [],
])  # fmt: skip
def test_another_list_is_refused_even_with_its_own_hash(run, tmp_path, change):
    data = ("\n".join(change(trained_on(run))) + "\n").encode()
    folder = rewritten(run, tmp_path, {"images.txt": data})
    with pytest.raises(StateError, match=r"images\.txt lists other images"):
        verify.verify(folder)


def test_bytes_that_are_no_text_are_refused(run, tmp_path):
    with pytest.raises(StateError, match=r"images\.txt is not UTF-8 text"):
        verify.verify(rewritten(run, tmp_path, {"images.txt": b"\xff\n"}))


def test_a_ticket_of_an_earlier_version_has_no_list(run, tmp_path):
    folder = rewritten(run, tmp_path, dropped="images.txt")
    assert tt.Ticket.load(folder).ids is None and "listed" not in verify.verify(folder)


def test_a_ticket_prints_as_one_line(run):
    round_folder = run.round(0).folder
    ticket = tt.Ticket.load(round_folder)
    assert repr(ticket) == (
        f"<Ticket: {ticket.network['name']} of width {ticket.network['width']} on digits, "
        f"density {100 * ticket.density:.2f} %, round 0, {round_folder}>"
    )
    assert str(tt.Ticket.load(run.ticket)).endswith(f", {run.ticket}>")
    assert str(dataclasses.replace(ticket, folder=None)).endswith(", round 0>")


def test_images_of_another_shape_are_refused_in_words(run):
    with pytest.raises(UsageError, match=r"^images are uint8 \[2, 9, 8, 1\]: this ticket takes uint8 \[n, 8, 8, 1\]$"):
        tt.Ticket.load(run.ticket).predict(np.zeros([2, 9, 8, 1], np.uint8))


def test_what_a_ticket_holds_beside_arrays_is_named(run):
    ticket = tt.Ticket.load(run.ticket)
    with pytest.raises(TypeError, match="positional"):
        tt.Ticket(ticket.masks, ticket.trained, ticket.rewound, ticket.network, ticket.data)
