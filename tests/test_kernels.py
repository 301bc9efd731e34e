"""Gradients in float32 under oneDNN's kernels, also of few channels, which some of those kernels get wrong."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import tf_tickets as tt
from tf_tickets import backend
from tf_tickets.backend import keras, tf
from tf_tickets.models import layers
from tf_tickets.registry import NETWORKS
from tf_tickets.settings import config

GRADIENTS = """
import json, sys
import numpy as np
import tf_tickets as tt
from tf_tickets.backend import tf
from tf_tickets.models import state
images = np.random.default_rng(0).normal(size=(4, 16, 16, 3))

def gradients_of(name, precision, times):
    model = tt.models.build(name, classes=3, image_shape=(16, 16, 3), width=2, precision=precision)

    def gradients(pixels):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(pixels, training=False) ** 2)
        return tape.gradient(loss, model.trainable_variables)

    compiled, pixels = tf.function(gradients, autograph=False), images.astype(precision)
    return [{n.name: g.numpy() for n, g in zip(model.trainable_variables, compiled(pixels))} for _ in range(times)]

answer = {}
for name in sys.argv[1:]:
    (exact,) = gradients_of(name, "float64", 1)
    scale = max(abs(one).max() for one in exact.values())
    found = gradients_of(name, "float32", 5)
    worst = max((abs(one[n] - exact[n]).max() / scale, n) for one in found for n in exact)
    answer[name] = [float(worst[0]), worst[1]]
print(json.dumps(answer))
"""
NARROW = ["resnet18", "resnet50", "harmonic_resnet18", "full_conv_resnet18", "vgg11"]


@pytest.fixture(scope="module")
def worst_gradients(tmp_path_factory):
    """(largest error of five float32 gradients, its variable) by network, in a process that has oneDNN's kernels."""
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "1", "KERAS_HOME": str(tmp_path_factory.mktemp("keras"))}
    text = subprocess.run(
        [sys.executable, "-c", GRADIENTS, *NARROW], check=True, capture_output=True, text=True, env=environment
    ).stdout
    return json.loads(text.splitlines()[-1])


@pytest.mark.parametrize("name", NARROW)
def test_gradients_are_those_of_double_precision(name, worst_gradients):
    worst, variable = worst_gradients[name]
    assert worst < 1e-4, variable


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("channels", [1, 3, 8])
def test_a_strided_pointwise_convolution_is_its_definition(size, channels):
    draws = np.random.default_rng(channels)
    images, kernel = (draws.normal(size=s).astype(np.float32) for s in ((5, size, size, channels), (1, 1, channels, 6)))
    layer = layers.StridedPointwise(6, stride=2)
    layer.build(images.shape)
    layer.kernel.assign(kernel)
    with tf.GradientTape() as tape:
        found = layer(images)
        loss = tf.reduce_sum(found**2)
    chosen = images[:, ::2, ::2]
    expected = np.einsum("nhwi,io->nhwo", chosen, kernel[0, 0])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    gradient = tape.gradient(loss, layer.kernel)
    np.testing.assert_allclose(gradient[0, 0], np.einsum("nhwi,nhwo->io", chosen, 2 * expected), rtol=1e-4, atol=1e-3)


# Deeper ResNets repeat the blocks of their family's others.
DEEPER = ("resnet34", "resnet101", "resnet152")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name.endswith(DEEPER) else name for name in NETWORKS]
)
def test_no_network_has_keras_own(name):
    model = tt.models.build(name, classes=3, image_shape=(32, 32, 3), width=64 if name == "vit_small" else 8)
    found = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert not [layer.name for layer in found if layer.kernel_size == (1, 1) and layer.strides != (1, 1)]


STEPS = """
import hashlib, sys
import numpy as np
from tf_tickets import backend
from tf_tickets.backend import tf
from tf_tickets.models import builder, state
from tf_tickets.settings import config
from tf_tickets.training import losses, objectives, optimizers
from tf_tickets.training.steps import Steps

name, (width, batch) = sys.argv[1], map(int, sys.argv[2:])
settings = config.Config.from_values(dataset="cifar10", width=width, images=500, strategy="one_device")
devices = backend.start(settings.run, batch_size=batch)
print(*(backend.versions()[name] for name in ("intra_op_threads", "inter_op_threads")))
shape = {"classes": 10, "image_shape": (32, 32, 3)} | ({"stem": "full"} if ":" in name else {"width": width})
model = builder.build(name, **shape)
objective = objectives.supervised(losses.build("cross_entropy", None))
steps = Steps(model, optimizers.build(settings.training, "float32"), devices, objective)
draws = np.random.default_rng(0)
images = draws.normal(size=(batch, 32, 32, 3)).astype(np.float32)
labels = tf.one_hot(draws.integers(0, 10, batch), 10)
batches = iter(tf.data.Dataset.from_tensors((tf.constant(1 / batch), images, labels)).repeat())
fresh = {name: np.array(value) for name, value in state.get_state(model).items()}
for _ in range(8):
    state.set_state(model, fresh)
    steps.reset_optimizer()
    steps.train(batches, 3, 0.1)
    print(hashlib.sha256(b"".join(np.array(value).tobytes() for value in state.get_state(model).values())).hexdigest())
"""


def _steps(network, width, batch, **variables):
    """The threads of an operation, those of operations, and the different ends of eight trainings from one state."""
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "1"}
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        environment.pop(name, None)
    words = [sys.executable, "-c", STEPS, network, str(width), str(batch)]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=environment | variables)
    threads, *ends = done.stdout.split("\n")[:-1]
    assert len(ends) == 8
    return (*map(int, threads.split()), set(ends))


@pytest.mark.slow
def test_steps_of_the_usual_width_have_the_same_bits_again_and_again():
    cores = len(os.sched_getaffinity(0))
    intra, inter, ends = _steps("resnet18", 64, 100)
    assert (intra, inter, len(ends)) == (cores, 1, 1)


@pytest.mark.parametrize("threads", [pytest.param("1", marks=pytest.mark.slow), "3"])
def test_steps_of_small_batches_have_the_same_bits_whatever_the_threads(threads):
    cores = len(os.sched_getaffinity(0))
    intra, inter, ends = _steps("resnet18", 16, 32)
    assert (intra, inter, len(ends)) == (1, cores, 1)
    # how many a run may take, as a sweep says it
    assert _steps("resnet18", 16, 32, TF_NUM_INTRAOP_THREADS=threads) == (1, int(threads), ends)


def test_gradients_of_what_is_used_often_are_sums_of_two():
    # the kernel of AddN takes its inputs in an order that depends on what happened to be done first
    settings = config.Config.from_values(dataset="digits", strategy="one_device")
    backend.start(settings.run)

    @tf.function(autograph=False)
    def gradient(values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            used = values * 2.0
            total = tf.reduce_sum(tf.sin(used) + tf.cos(used) + tf.exp(used) + tf.tanh(used))
        return tape.gradient(total, values)

    traced = gradient.get_concrete_function(tf.TensorSpec([3]))
    assert not [operation.name for operation in traced.graph.get_operations() if operation.type == "AddN"]
    assert backend.versions()["sums"] == "of two"
    values = np.float32([0.1, 0.2, 0.3])
    used = 2 * values
    expected = 2 * (np.cos(used) - np.sin(used) + np.exp(used) + 1 / np.cosh(used) ** 2)
    np.testing.assert_allclose(gradient(tf.constant(values)), expected, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name, width", [("resnet18", 64), ("vit_small", 384), ("keras:ResNet50V2", 64)])
def test_sums_of_three_and_more_have_one_order_whatever_is_done_first(name, width):
    assert len(_steps(name, width, 20, TF_NUM_INTRAOP_THREADS="3")[-1]) == 1


def test_threads_that_the_environment_gives_operations_stand():
    assert _steps("resnet18", 4, 10, TF_NUM_INTRAOP_THREADS="2", TF_NUM_INTEROP_THREADS="1")[:2] == (2, 1)
