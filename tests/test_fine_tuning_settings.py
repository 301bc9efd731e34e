"""Settings of fine-tuning: the schedule that they make, what is refused, what is one run, and what the plan says."""

import os

import pytest
from conftest import TWO_LAYERS

import tf_tickets as tt
from tf_tickets.errors import UsageError
from tf_tickets.experiments import plan, plan_text
from tf_tickets.settings.groups import Training
from tf_tickets.training import schedules


@pytest.mark.parametrize(("changes", "rates"), [
    ({"head_epochs": 2}, [1, 1, 1, 0.75, 0.25]),
    ({"head_epochs": 3, "warmup": 2}, [0.5, 1, 1, 1, 0.5]),
    ({"head_epochs": 1, "warmup": 3}, [1 / 3, 2 / 3, 1, 1, 0.5]),
    ({"head_epochs": 2, "schedule": "steps", "milestones": "2,4"}, [1, 1, 0.1, 0.1, 0.01]),
    ({"head_epochs": 2, "schedule": "constant"}, [1, 1, 1, 1, 1]),
])  # fmt: skip
def test_the_schedule_runs_over_the_epochs_after_the_phase(changes, rates):
    training = Training(epochs=5, learning_rate=1.0, **changes)
    assert [schedules.learning_rate(training, epoch) for epoch in range(5)] == pytest.approx(rates)


def test_a_shortened_round_has_the_whole_phase():
    shortened = schedules.shortened(Training(epochs=20, head_epochs=3, warmup=4), 5)
    assert (shortened.epochs, shortened.head_epochs, shortened.warmup) == (5, 3, 1)


FILE = {"pretrained": "backbone.npz"}


@pytest.mark.parametrize(("values", "message"), [
    (FILE | {"head_epochs": 5, "epochs": 5}, "--head_epochs=5 must be below --epochs=5"),
    (FILE | {"head_epochs": 5, "search_epochs": 5}, "--head_epochs=5 must be below --search_epochs=5"),
    (FILE | {"head_epochs": 3, "schedule": "steps", "milestones": "2,9"}, "--milestones=2,9 counts from a round's "),
    ({"head_epochs": 1}, "--head_epochs=1 needs a backbone that is trained: give --pretrained=FILE or train --ticket"),
    ({"head_epochs": 1, "ticket": "t", "control": "reinitialize"}, "--head_epochs=1 needs a backbone"),
    ({"head_epochs": 1, "ticket": "t", "control": "small_dense"}, "--head_epochs=1 needs a backbone"),
    ({"batch_norm": "frozen"}, "--batch_norm=frozen needs statistics that are there"),
    (FILE | {"batch_norm": "frozen", "adversarial": True}, "--batch_norm=frozen has no statistics of attacked images"),
    (FILE | {"batch_norm": "frozen", "model": "vit_small"}, "--batch_norm belongs to networks with batch normalis"),
    ({"head_epochs": -1}, "--head_epochs=-1 is below 0"),
    ({"backbone_learning_rate": 0.0}, "--backbone_learning_rate=0.0 is not above 0"),
])  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(values, message):
    with pytest.raises(UsageError) as refused:
        tt.Config.from_values(**values)
    assert str(refused.value).startswith(message) and "\n" not in str(refused.value)


@pytest.mark.parametrize("values", [
    {"backbone_learning_rate": 0.01}, {"ticket": "t", "head_epochs": 2}, {"ticket": "t", "batch_norm": "frozen"},
])  # fmt: skip
def test_pretraining_has_none_of_it(values, tmp_path):
    with pytest.raises(UsageError, match=r"belongs to imp and train, not pretrain"):
        tt.pretrain(tt.Config.from_values(**TWO_LAYERS | {"rounds": 1} | values, out=str(tmp_path)))
    assert not os.listdir(tmp_path)


def test_what_is_written_out_and_left_to_its_default_is_one_run():
    usual = tt.Config.from_values(learning_rate=0.02)
    assert usual.replace(head_epochs=0, backbone_learning_rate=0.02).digest() == usual.digest()
    assert usual.replace(backbone_learning_rate=0.002).digest() != usual.digest()


@pytest.mark.parametrize(("rewind", "said"), [
    ("pretrained", "head first  epochs 1 to 3 of a round\n"),
    ("epoch:2", "head first  epochs 1 to 3 of a round; later rounds start after 2 of them\n"),
    ("epoch:4", "head first  epochs 1 to 3 of a round; later rounds start after them\n"),
])  # fmt: skip
def test_the_plan_says_what_is_trained_when(rewind, said):
    values = FILE | {"head_epochs": 3, "backbone_learning_rate": 0.01, "rewind": rewind, "dataset": "digits"}
    text = plan_text.text(plan.resolve(tt.Config.from_values(**values)), "imp")
    assert said in text and "rates       0.1 for the head, 0.01 for the backbone\n" in text
    assert "head first" not in plan_text.text(plan.resolve(tt.Config.from_values(dataset="digits")), "imp")
