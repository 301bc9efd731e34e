"""A trained network under attack, as the Adversarial Robustness Toolbox computes it, and under corruption."""

import collections
import functools
import warnings

import numpy as np
import pytest

import tf_tickets as tt
from tf_tickets.backend import keras, tf
from tf_tickets.data import pipeline, sources
from tf_tickets.evaluation import attacks, evaluate
from tf_tickets.registry import DATASETS

# Names of ours -> of ART. ART's PGD without a random start is ours with restarts=0.
CASES = [
    attacks.Attack("fgsm", 0.05), attacks.Attack("fgsm", 0.15), attacks.Attack("pgd", 0.05, 0.01, 10),
    attacks.Attack("pgd", 0.15, 0.05, 5), attacks.Attack("pgd", 0.08, 0.02, 10, restarts=2),
]  # fmt: skip


@pytest.fixture(scope="module")
def ticket(tmp_path_factory):
    """A network that reads digits well enough to have something to lose."""
    settings = {
        "dataset": "digits", "model": "vgg11", "width": 6, "epochs": 12, "batch_size": 50, "rounds": 1,
        "rewind": "init", "progress": "none", "tensorboard": False,
    }  # fmt: skip
    run = tt.imp(tt.Config.from_values(**settings, out=str(tmp_path_factory.mktemp("runs"))))
    return tt.Ticket.load(f"{run.folder}/round_00")


@functools.cache
def digits():
    pixels, labels = sources.load("digits").test()
    return pipeline.Images(pixels, labels, np.arange(len(labels)))


@pytest.fixture(scope="module")
def art(ticket):
    """(ART's classifier, its module of attacks) on pixels in [0, 1]; normalisation inside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ART imports what warns on import
        from art.attacks import evasion
        from art.estimators.classification import TensorFlowV2Classifier
    model, facts = ticket.build(), DATASETS["digits"].facts
    classifier = TensorFlowV2Classifier(
        model=lambda x, training=False: model(facts.standardise(tf.cast(x, tf.float32)), training=False),
        nb_classes=10, input_shape=facts.image_shape, clip_values=(0.0, 1.0),
        loss_object=keras.losses.CategoricalCrossentropy(from_logits=True),
    )  # fmt: skip
    return classifier, evasion


@pytest.mark.parametrize("attack", CASES, ids=lambda attack: f"{attack.kind}({attack.setting})")
def test_accuracy_under_attack_is_art_s(ticket, art, attack):
    (classifier, evasion), images = art, digits()
    pixels = images.pixels.astype(np.float32) / 255.0
    one_hot = np.eye(10, dtype=np.float32)[images.labels]
    if attack.kind == "fgsm":
        theirs = evasion.FastGradientMethod(classifier, eps=attack.eps, batch_size=100)
    else:
        theirs = evasion.ProjectedGradientDescent(
            classifier, eps=attack.eps, eps_step=attack.step, max_iter=attack.steps, batch_size=100, verbose=False,
            num_random_init=attack.restarts,
        )  # fmt: skip
    found = theirs.generate(pixels, one_hot)
    assert np.abs(found - pixels).max() <= attack.eps + 1e-6 and found.min() >= 0 and found.max() <= 1
    expected = (classifier.predict(found).argmax(axis=1) == images.labels).mean()
    ours = attacks.logits_of(ticket.build(), images, DATASETS["digits"].facts, attack)
    accuracy = (ours.argmax(axis=1) == images.labels).mean()
    clean = (ticket.predict(images.pixels).argmax(axis=1) == images.labels).mean()
    assert clean > 0.7 and clean - expected > 0.02
    # Random starts are drawn differently.
    assert abs(accuracy - expected) <= (0.005 if not attack.restarts else 0.015)


def test_each_severity_hurts_more_on_average(ticket, tmp_path):
    config = tt.Config.from_values(evaluators="corruptions", data_dir=str(tmp_path / "none"))
    folder = ticket.save(str(tmp_path / "ticket"))
    rows = [row for row in evaluate.evaluate([folder], config) if row["metric"] == "accuracy"]
    by_severity = collections.defaultdict(list)
    for row in rows:
        kind, _, severity = row["setting"].partition(":")
        if severity:
            by_severity[int(severity)].append(float(row["value"]))
    means = [np.mean(by_severity[severity]) for severity in range(1, 6)]
    assert {len(found) for found in by_severity.values()} == {18}  # saturation does nothing to grey images
    images = digits()
    clean = (ticket.predict(images.pixels).argmax(axis=1) == images.labels).mean()
    assert (np.diff([clean, *means]) < -0.01).all(), means
