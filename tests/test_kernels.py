"""Gradients in float32 under oneDNN's kernels, also of few channels, which some of those kernels get wrong."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import tf_tickets as tt
from tf_tickets.backend import keras, tf
from tf_tickets.choices import MODELS
from tf_tickets.models import layers

GRADIENTS = """
import json, sys
import numpy as np
import tf_tickets as tt
from tf_tickets.backend import tf
from tf_tickets.models import state
name, found = sys.argv[1], {}
images = np.random.default_rng(0).normal(size=(4, 16, 16, 3))
for precision, times in (("float64", 1), ("float32", 5)):
    model = tt.models.build(name, classes=3, image_shape=(16, 16, 3), width=2, precision=precision)

    @tf.function
    def gradients(pixels):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(pixels, training=False) ** 2)
        return tape.gradient(loss, model.trainable_variables)

    found[precision] = [
        {n.name: g.numpy() for n, g in zip(model.trainable_variables, gradients(images.astype(precision)))}
        for _ in range(times)
    ]
exact = found["float64"][0]
scale = max(abs(one).max() for one in exact.values())
worst = max((abs(one[n] - exact[n]).max() / scale, n) for one in found["float32"] for n in exact)
print(json.dumps([float(worst[0]), worst[1]]))
"""


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "harmonic_resnet18", "full_conv_resnet18", "vgg11"])
def test_gradients_are_those_of_double_precision(name, tmp_path):
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "1", "KERAS_HOME": str(tmp_path)}
    text = subprocess.run(
        [sys.executable, "-c", GRADIENTS, name], check=True, capture_output=True, text=True, env=environment
    ).stdout
    worst, variable = json.loads(text.splitlines()[-1])
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


@pytest.mark.parametrize("name", MODELS)
def test_no_network_has_keras_own(name):
    model = tt.models.build(name, classes=3, image_shape=(32, 32, 3), width=64 if name == "vit_small" else 8)
    found = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert not [layer.name for layer in found if layer.kernel_size == (1, 1) and layer.strides != (1, 1)]
