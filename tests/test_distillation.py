"""Distillation: the loss of the papers, who teaches which round, and the same bits whatever interrupts it."""

import dataclasses
import os
import shutil

import numpy as np
import pytest
import stops
import trees
from conftest import TWO_LAYERS

import tf_tickets as tt
from tf_tickets import runs, storage
from tf_tickets.backend import tf
from tf_tickets.data import sources
from tf_tickets.errors import UsageError
from tf_tickets.experiments import teaching
from tf_tickets.export import combine
from tf_tickets.settings.config import Config
from tf_tickets.settings.groups import Training
from tf_tickets.training import checkpoints, losses, objectives

VALUES = {name: value for name, value in TWO_LAYERS.items() if name != "validation"}
VALUES |= {"tensorboard": False, "rounds": 2}


def run(out, command=tt.imp, **changes):
    return runs.RunFolder(command(Config.from_values(**VALUES | {"out": str(out)} | changes)).folder)


def weights(folder, index=0):
    return storage.read_arrays(folder.round(index).weights)


def differ(first, second):
    return any(not np.array_equal(array, second[name]) for name, array in first.items())


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """The run folder of a search without distillation."""
    return run(tmp_path_factory.mktemp("teacher"))


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_the_loss_is_that_of_hinton(share):
    draws = np.random.default_rng(0)
    logits, told = draws.normal(size=(2, 5, 3)) * 3
    targets, temperature = np.eye(3)[[0, 1, 2, 0, 1]], 2.5
    training = Training(distillation=share, distillation_temperature=temperature)
    objective = objectives.distilled(
        losses.cross_entropy, teaching.answers_of(lambda images, training: tf.constant(told, tf.float32), temperature),
        training,
    )  # fmt: skip
    loss, correct = objective(
        lambda images, training: tf.constant(logits, tf.float32), tf.zeros([5, 1]), tf.constant(targets, tf.float32)
    )
    hard = -(targets * np.log(softmax(logits))).sum(axis=1)
    soft = -(softmax(told / temperature) * np.log(softmax(logits / temperature))).sum(axis=1)
    np.testing.assert_allclose(loss, (1 - share) * hard + share * temperature**2 * soft, rtol=1e-5)
    np.testing.assert_array_equal(correct, logits.argmax(axis=1) == targets.argmax(axis=1))


def test_no_gradient_reaches_the_teacher():
    scale = tf.Variable(2.0)
    answer = teaching.answers_of(lambda images, training: images * scale, 1.0)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(answer(tf.constant([[1.0, 2.0]])) ** 2)
    assert tape.gradient(total, scale) is None


def test_round_0_learns_from_labels_alone_and_teaches_the_others(teacher, tmp_path):
    taught = run(tmp_path / "taught", distillation=0.5)
    assert taught.name != teacher.name
    for name, array in weights(teacher).items():
        np.testing.assert_array_equal(weights(taught)[name], array)
    assert differ(weights(teacher, 1), weights(taught, 1))
    named = run(tmp_path / "named", distillation=0.5, teacher=teacher.round(0).folder)
    assert differ(weights(named), weights(teacher))  # who is given teaches round 0 too


def test_a_teacher_counts_by_its_content(teacher, tmp_path):
    given = {"distillation": 0.5, "teacher": os.path.join(teacher.folder, "ticket"), "rounds": 1}
    copied = shutil.copytree(given["teacher"], tmp_path / "copied")
    first, second = (
        run(tmp_path / "first", tt.train, **given),
        run(tmp_path / "second", tt.train, **given | {"teacher": str(copied)}),
    )
    assert first.name == second.name
    trees.assert_equal(trees.contents(second.folder), trees.contents(first.folder))
    other = run(tmp_path / "first", tt.train, **given | {"teacher": teacher.round(0).folder})
    assert other.name != first.name and differ(weights(other), weights(first))


@pytest.mark.parametrize("changes", [{}, {"optimizer": "adam", "learning_rate": 0.01}])
def test_stopped_anywhere_it_ends_in_the_same_bits(tmp_path, monkeypatch, changes):
    monkeypatch.setattr(checkpoints, "_WRITING_SHARE", 1e9)
    config = Config.from_values(**VALUES | changes, distillation=0.5, out=str(tmp_path / "whole"))
    assert stops.assert_stopping_changes_nothing(tt.imp, config, tmp_path / "parts", after=(1, 3, 40)) >= 2


def test_the_rival_has_the_teacher_of_the_rounds(tmp_path):
    taught = run(tmp_path / "taught", distillation=0.5, rival="long_dense")
    alone = run(tmp_path / "alone", rival="long_dense")
    told = Config.from_flagfile(taught.rival.config)
    assert told.training.teacher == taught.round(0).folder and told.training.distillation == 0.5
    assert differ(weights(taught.rival), weights(alone.rival))


def test_an_ensemble_answers_with_the_mean_of_its_members(teacher, tmp_path):
    folders = [teacher.round(index).folder for index in (0, 1)]
    out = str(tmp_path / "both")
    combine.combine([os.path.join(teacher.folder, "ticket"), folders[0]], out)
    members = tt.Ticket.load(out).members
    given = members[0].data
    images = np.random.default_rng(0).normal(size=(6, *given["image_shape"])).astype(np.float32)
    facts = dataclasses.replace(sources.of("digits").facts, mean=given["mean"], deviation=given["deviation"])
    answer = teaching.answers(out, facts, 3.0)(tf.constant(images))
    expected = np.mean([softmax(member.model(images).numpy() / 3.0) for member in members], axis=0)
    np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-6)
    moved = dataclasses.replace(facts, mean=(0.25,), deviation=(2.0,))
    stored = images * np.float32(given["deviation"]) + np.float32(given["mean"])
    again = teaching.answers(out, moved, 3.0)(tf.constant((stored - np.float32(0.25)) / np.float32(2.0)))
    np.testing.assert_allclose(again, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("changes, said", [
    ({"teacher": "x"}, "--teacher=x needs --distillation"),
    ({"distillation_temperature": 2.0}, "--distillation_temperature=2 needs --distillation"),
    ({"distillation": 1.5}, "--distillation=1.5 is above 1"),
    ({"distillation": 0.5, "adversarial": True}, "--distillation has no answers for attacked images"),
    ({"distillation": 0.5, "strategy": "multi_worker"}, "--distillation reads the teacher on one machine"),
    ({"distillation": 0.5, "control": "probe", "pretrained": "x"}, "--distillation teaches a network that is trained"),
])  # fmt: skip
def test_what_has_no_teacher_is_refused(changes, said):
    with pytest.raises(UsageError) as refused:
        Config.from_values(**VALUES | changes)
    assert said in str(refused.value)


def test_a_teacher_of_something_else_is_refused(teacher, tmp_path):
    with pytest.raises(UsageError, match="--distillation=0.5 needs --teacher=DIR"):
        run(tmp_path, tt.train, distillation=0.5, rounds=1)
    ticket = os.path.join(teacher.folder, "ticket")
    with pytest.raises(UsageError, match=r"takes images of 8x8x1, the network learns from 32x32x3"):
        run(tmp_path, tt.train, distillation=0.5, teacher=ticket, rounds=1, dataset="cifar10")
    with pytest.raises(UsageError, match="knows 10 classes, cifar100 has 100"):
        run(tmp_path, tt.train, distillation=0.5, teacher=ticket, rounds=1, dataset="cifar100", images=700)
    with pytest.raises(UsageError, match="belongs to imp and train, not pretrain"):
        run(tmp_path, tt.pretrain, distillation=0.5)
    assert not os.listdir(tmp_path)
