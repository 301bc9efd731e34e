"""What observers are told of a training, and when."""

import types

import numpy as np
import pytest

from tf_tickets import storage
from tf_tickets.errors import StopRequested
from tf_tickets.observers import Observer
from tf_tickets.pruning import rewind
from tf_tickets.training.fit import Span, fit

ONE_DEVICE = types.SimpleNamespace(replicas=1)


class Counted:
    """Stands for Steps: each step of ten examples has a loss of 1 and 7 of them right."""

    devices = ONE_DEVICE

    def train(self, iterator, count, learning_rate, head_alone=False):
        return np.tile(np.float32([10.0, 7.0, 10.0]), (count, 1))

    def synchronise(self):
        pass


class Told(Observer):
    """Keeps what it is told."""

    def __init__(self, boundaries=()):
        self.boundaries, self.told = boundaries, []

    def training_begins(self, step):
        self.told.append(("begins", step))

    def epoch_ends(self, row):
        self.told.append(("epoch", row["epoch"]))

    def block_ends(self, block):
        self.told.append(("block", block.step, len(block.outcomes), block.stopping, block.last))

    def evaluation_interrupted(self, block):
        self.told.append(("interrupted", block.step, len(block.outcomes)))

    def training_ends(self):
        self.told.append("ends")


def told(first_step=0, last_step=6, boundaries=range(10), outcomes=0, **options):
    """What an observer is told, and the rows; None in their place where training was stopped."""
    observer, steps, rows = Told(boundaries), Counted(), None
    before = steps.train(None, outcomes, 0.1)
    span = Span(first_step, last_step, steps_per_epoch=3, learning_rate=lambda epoch: 0.1, outcomes=before)
    try:
        rows = fit(steps, (), span, observers=[observer], **options)
    except StopRequested as error:
        assert str(error).startswith("stopped on request after step ")
    return observer.told, rows


def test_observers_are_told_of_blocks_epochs_and_the_end():
    calls, rows = told()
    assert calls == [
        ("begins", 0), ("block", 1, 1, False, False), ("block", 2, 2, False, False), ("epoch", 1),
        ("block", 3, 0, False, False), ("block", 4, 1, False, False), ("block", 5, 2, False, False), ("epoch", 2),
        ("block", 6, 0, False, True), "ends",
    ]  # fmt: skip
    assert rows == [
        {"epoch": epoch, "learning_rate": 0.1, "train_loss": 1.0, "train_accuracy": 0.7} for epoch in (1, 2)
    ]


def test_blocks_end_where_any_observer_wants_them_to():
    blocks, _ = told(last_step=300, boundaries=(100, 101))
    ended = {fact[1] for fact in blocks if fact[0] == "block"}
    assert ended >= {100, 101, *range(3, 301, 3)} and len(ended) < 300


def test_a_stop_is_told_with_the_block_and_the_end_is_not():
    calls, rows = told(stop=iter([False, True]).__next__)
    assert calls == [("begins", 0), ("block", 1, 1, False, False), ("block", 2, 2, True, False)] and rows is None


def test_an_epoch_whose_evaluation_stops_is_told_of_once_it_is_evaluated():
    def interrupted(epoch, last):
        raise StopRequested("inside")

    calls, rows = told(boundaries=(3,), first_step=2, outcomes=2, evaluate=interrupted)
    assert calls == [("begins", 2), ("interrupted", 3, 3)] and rows is None
    calls, rows = told(
        boundaries=(), first_step=3, last_step=3, outcomes=3, evaluate=lambda epoch, last: {"seen": last}
    )
    assert calls == [("begins", 3), ("epoch", 1), ("block", 3, 0, False, True), "ends"]
    assert rows[0]["seen"] is True and rows[0]["train_accuracy"] == 0.7


def test_training_ends_with_the_epoch_that_is_said_to_be_the_last():
    calls, rows = told(last_step=30, boundaries=(), ends=lambda epoch: ({"distance": 0.5}, epoch == 2))
    assert calls[-2:] == [("block", 6, 0, False, True), "ends"] and [row["distance"] for row in rows] == [0.5, 0.5]


@pytest.mark.parametrize("step", [0, 2, 3])
def test_the_rewind_point_is_there_when_a_later_observer_sees_its_step(tmp_path, monkeypatch, step):
    monkeypatch.setattr(rewind.state, "get_state", lambda model: {"kernel": np.float32([1.0])})
    point = rewind.RewindPoint(None, str(tmp_path / "rewind.npz"), step)

    class After(Told):
        def block_ends(self, block):
            assert (tmp_path / "rewind.npz").exists() == (block.step >= step)
            super().block_ends(block)

    after = After()
    fit(Counted(), (), Span(0, 6, 3, lambda epoch: 0.1), observers=[point, after])
    assert step in [fact[1] for fact in after.told]  # a block ended there, or training began
    np.testing.assert_equal(storage.read_arrays(str(tmp_path / "rewind.npz")), {"kernel": np.float32([1.0])})
