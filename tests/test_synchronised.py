"""Batch normalisation over the global batch: two devices compute what one does."""

import json

import command_server
import numpy as np
import pytest

import tf_tickets as tt
from tf_tickets import runs, storage
from tf_tickets.backend import keras, tf
from tf_tickets.errors import UsageError
from tf_tickets.models import auxiliary, builder, state, synchronised

SHAPE = (8, 8, 3)


def pair(name="resnet18", **changes):
    """A network, and its synchronised clone."""
    model = builder.build(name, classes=4, image_shape=SHAPE, width=2, **changes)
    return model, synchronised.synchronise(model)


def images(count=6):
    return np.random.default_rng(0).normal(1.0, 2.0, (count, *SHAPE)).astype(np.float32)


def test_on_one_device_it_is_keras_own():
    """Outputs, gradients and running means of a training step, in float64."""
    found = []
    for model in pair(precision="float64"):
        with tf.GradientTape() as tape:
            logits = model(images(), training=True)
            loss = tf.reduce_sum(logits**2)
        gradients = tape.gradient(loss, model.trainable_variables)
        found.append((logits.numpy(), [part.numpy() for part in gradients], state.get_state(model)))
    (logits, gradients, before), (logits_, gradients_, before_) = found
    np.testing.assert_allclose(logits_, logits, rtol=1e-9, atol=1e-9)
    for mine, other in zip(gradients_, gradients):
        np.testing.assert_allclose(mine, other, rtol=1e-8, atol=1e-8 * np.abs(other).max() + 1e-12)
    assert list(before) == list(before_)
    for name in before:
        if not name.endswith("moving_variance"):  # which Keras leaves biased where it is not fused, as in float64
            np.testing.assert_allclose(before_[name], before[name], rtol=1e-7, atol=1e-12, err_msg=name)


def test_running_variance_is_unbiased():
    layer = synchronised.SynchronisedNormalisation(momentum=0.0, epsilon=1e-5)
    for shape in ((5, 3), (2, 4, 4, 3)):
        values = np.random.default_rng(1).normal(3.0, 2.0, shape).astype(np.float32)
        layer = synchronised.SynchronisedNormalisation(momentum=0.0, epsilon=1e-5)
        layer(values, training=True)
        flat = values.reshape(-1, 3)
        np.testing.assert_allclose(layer.moving_mean, flat.mean(0), rtol=1e-5)
        np.testing.assert_allclose(layer.moving_variance, flat.var(0, ddof=1), rtol=1e-4)


def test_one_value_alone_leaves_numbers():
    layer = synchronised.SynchronisedNormalisation(momentum=0.9, epsilon=1e-5)
    layer(np.ones((1, 1, 1, 3), np.float32), training=True)
    assert np.isfinite(layer.moving_variance).all()


def test_the_clone_keeps_state_names_and_the_ticket_s_network():
    model, clone = pair("mobilenet_v2")
    mine, other = state.get_state(clone), state.get_state(model)
    assert list(mine) == list(other) and all((mine[name] == other[name]).all() for name in other)
    kinds = {type(layer) for layer in clone.layers}
    assert synchronised.SynchronisedNormalisation in kinds and keras.layers.BatchNormalization not in kinds


def test_both_of_a_pair_of_normalisations_are_synchronised():
    paired = auxiliary.add(pair()[1])
    parts = [part for layer in paired.layers if hasattr(layer, "parts") for part in layer.parts]
    assert parts and all(type(part) is synchronised.SynchronisedNormalisation for part in parts)


ONE_STEP = {
    "dataset": "digits", "images": 20, "model": "vgg11", "width": 2, "epochs": 1, "rounds": 1, "rewind": "init",
    "batch_size": 20, "progress": "none", "tensorboard": False,
}  # fmt: skip
TWO_DEVICES = """
import json, sys
import tf_tickets as tt
for values in json.loads(sys.argv[1]):
    tt.imp(tt.Config.from_values(**values))
"""


def test_two_devices_train_as_one(tmp_path):
    """After one step, since rounding grows in a net of two channels: with synchronised statistics, not without."""
    values = [
        ONE_STEP | {"out": str(tmp_path / str(number)), "strategy": strategy, "batch_norm": kind}
        for number, (strategy, kind) in enumerate(
            [("one_device", "per_replica"), ("cpu:2", "synchronised"), ("cpu:2", "per_replica")]
        )
    ]
    tt.imp(tt.Config.from_values(**values[0]))
    # A process has the devices that it started with.
    done = command_server.loaded().run(tmp_path, [json.dumps(values[1:])], code=TWO_DEVICES)
    assert done.returncode == 0, done.stderr
    folders = [next((tmp_path / str(number)).glob("*/seed_0")) for number in range(3)]
    one, *others = (storage.read_arrays(runs.RunFolder(str(folder)).round(0).weights) for folder in folders)
    alike, unlike = (max(float(np.abs(one[name] - other[name]).max()) for name in one) for other in others)
    assert alike < 1e-5 and unlike > 1e-2


def test_a_network_without_it_is_refused():
    with pytest.raises(UsageError, match="--batch_norm belongs to networks with batch normalisation"):
        tt.Config.from_values(model="vit_small", batch_norm="synchronised")
