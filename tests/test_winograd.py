"""Winograd's 3x3 convolutions: the same function, gradients and pruning as the definition, and where they are used."""

import contextlib
import json

import numpy as np
import pytest
from conftest import ROOT

import tf_tickets as tt
from tf_tickets.backend import keras, tf
from tf_tickets.export import keras_program
from tf_tickets.models import winograd
from tf_tickets.pruning import wrapping


def transformed(model):
    """Names of the layers that compute by Winograd's filtering."""
    return [layer.name for layer in model.layers if isinstance(layer, winograd.WinogradConvolution)]


def drawn(*shape, dtype=np.float64, seed=0):
    """Standard normal values."""
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def defined(images, kernel):
    """The convolution as the sum over the nine taps."""
    height, width = images.shape[1:3]
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)])
    return sum(
        padded[:, row : row + height, column : column + width] @ kernel[row, column]
        for row in range(3) for column in range(3)
    )  # fmt: skip


@pytest.mark.parametrize("sides", [(4, 4), (8, 8), (7, 7), (12, 4), (3, 8), (1, 1), (5, 6)])
def test_it_is_the_definition(sides):
    images, kernel = drawn(3, *sides, 5), drawn(3, 3, 5, 7, seed=1)
    found = winograd.convolve(tf.constant(images), tf.constant(kernel))
    np.testing.assert_allclose(found, defined(images, kernel), atol=1e-12)


def test_its_gradients_are_the_definitions():
    images, kernel, upstream = drawn(3, 7, 8, 5), drawn(3, 3, 5, 6, seed=1), drawn(3, 7, 8, 6, seed=2)

    def gradients(convolve):
        pixels, weights = tf.constant(images), tf.constant(kernel)
        with tf.GradientTape() as tape:
            tape.watch([pixels, weights])
            found = convolve(pixels, weights)
        return tape.gradient(found, [pixels, weights], output_gradients=tf.constant(upstream))

    expected = gradients(lambda pixels, weights: tf.nn.conv2d(pixels, weights, 1, "SAME"))
    for one, other in zip(gradients(winograd.convolve), expected):
        np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("side", [4, 8])
def test_rounding_errors_are_a_few_times_those_of_a_sum_of_products(side):
    images, kernel = drawn(8, side, side, 256), drawn(3, 3, 256, 32, seed=1)
    exact = defined(images, kernel)
    found = winograd.convolve(tf.constant(images, tf.float32), tf.constant(kernel, tf.float32))
    assert np.std(found - exact) < 4e-6 * np.std(exact)


def test_an_empty_batch_stays_empty():
    found = winograd.convolve(tf.zeros((0, 4, 4, 5)), tf.zeros((3, 3, 5, 6)))
    assert found.shape == (0, 4, 4, 6)


@pytest.mark.parametrize(
    ("inputs", "outputs", "sides", "expected"),
    [
        (128, 128, (4, 4), True), (64, 128, (4, 4), False), (128, 64, (4, 4), False),
        (128, 128, (8, 8), True), (128, 128, (16, 16), False), (256, 256, (16, 16), True),
        (512, 512, (7, 7), True), (512, 512, (28, 28), False),
        (512, 512, (2, 2), False), (512, 512, (8, 2), False), (256, 256, (5, 5), False),
    ],
)  # fmt: skip
def test_where_it_pays(inputs, outputs, sides, expected):
    assert winograd.pays(inputs, outputs, sides) == expected


def test_the_measured_table_is_of_the_rule_and_for_it():
    rows = json.loads((ROOT / "results" / "benchmarks" / "break_even.json").read_text())["rows"]
    for name, faster, used in ((row[0], row[3], row[-1]) for row in rows):
        channels, side = int(name.split()[0]), int(name.rpartition("x")[2])
        assert (used == "yes") == winograd.pays(channels, channels, (side, side))
        assert used == "no" or float(faster) > 1.0


def test_wide_stages_of_a_network_use_it_and_nothing_else_does():
    facts = {"classes": 3, "image_shape": (32, 32, 3)}
    late = ["layer4.0.conv2", "layer4.1.conv1", "layer4.1.conv2"]
    assert transformed(tt.models.build("resnet18", width=16, **facts)) == late
    middle = [name.replace("layer4", "layer3") for name in late]
    assert transformed(tt.models.build("resnet18", width=32, **facts)) == middle + late
    assert not transformed(tt.models.build("resnet18", width=8, **facts))
    both = ["layer2.0.conv2", "layer2.1.conv1", "layer2.1.conv2"]
    both += [name.replace("layer2", "layer3") for name in both]
    assert transformed(tt.models.build("wide_resnet16", width=128, **facts)) == both
    assert not transformed(tt.models.build("resnet18", width=16, precision="mixed_bfloat16", **facts))


def test_a_network_has_the_logits_and_gradients_of_double_precision():
    facts = {"classes": 3, "image_shape": (16, 16, 3), "width": 32}
    pixels, found = drawn(4, 16, 16, 3), {}
    for precision in ("float32", "float64"):
        model = tt.models.build("resnet18", precision=precision, **facts)
        assert bool(transformed(model)) == (precision == "float32")
        with tf.GradientTape() as tape:
            logits = model(pixels.astype(precision), training=False)
            loss = tf.reduce_sum(logits**2)
        found[precision] = [logits, *tape.gradient(loss, model.trainable_variables)]
    for one, exact in zip(found["float32"], found["float64"]):
        np.testing.assert_allclose(one, exact, atol=1e-4 * np.abs(exact).max())


def layer_of(channels=128, side=4):
    """A network of one such layer, drawn."""
    images = keras.Input((side, side, channels))
    layer = winograd.WinogradConvolution(channels, 3, 1, "same", use_bias=False, name="conv")
    model = keras.Model(images, layer(images))
    layer.kernel.assign(drawn(3, 3, channels, channels, dtype=np.float32))
    return model


def test_it_is_pruned_as_any_other():
    model = wrapping.wrap(layer_of(), ["conv"])
    kernel = np.asarray(wrapping.kernel_variables(model)["conv"])
    mask = drawn(*kernel.shape, seed=2) > 1.0
    wrapping.write_masks(model, {"conv": mask})
    (wrapped,) = [layer for layer in model.layers if isinstance(layer, wrapping.MaskedLayer)]
    assert isinstance(wrapped.layer, winograd.WinogradConvolution)
    images = drawn(5, 4, 4, 128, dtype=np.float32, seed=3)
    expected = model(images, training=True).numpy()
    np.testing.assert_allclose(expected, defined(images.astype(np.float64), kernel * mask), atol=1e-3)
    wrapped.layer.kernel.assign(np.where(mask, kernel, 7.0))  # what a mask removes does not count
    with tf.GradientTape() as tape:
        found = model(images, training=True)
        loss = tf.reduce_sum(found**2)
    np.testing.assert_array_equal(found, expected)
    gradient = tape.gradient(loss, model.trainable_variables)[0].numpy()
    assert not gradient[~mask].any() and gradient[mask].any()


def test_the_same_inputs_give_the_same_bits():
    model, images = layer_of(), tf.constant(drawn(20, 4, 4, 128, dtype=np.float32, seed=1))

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(images) ** 2)
        return tape.gradient(loss, model.trainable_variables)[0]

    first = gradients().numpy()
    assert all(np.array_equal(gradients().numpy(), first) for _ in range(5))


def test_with_a_gpu_it_is_keras_own(monkeypatch):
    images = drawn(5, 4, 4, 128, dtype=np.float32, seed=1)
    model = layer_of()
    own = tf.nn.conv2d(images, model.get_layer("conv").kernel, 1, "SAME")
    assert not np.array_equal(model(images), own)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["GPU:0"] if kind == "GPU" else ["CPU:0"])
    np.testing.assert_array_equal(model(images), own)


def test_an_exported_program_has_an_ordinary_convolution():
    model = tt.models.build("resnet18", classes=3, image_shape=(16, 16, 3), width=32)
    nodes = {node["name"]: node for node in keras_program.of(model)}
    (name, *_) = transformed(model)
    assert nodes[name]["operation"] == "convolution"
    assert nodes[name]["stride"] == 1 and nodes[name]["padding"] == 1


def test_files_of_a_ticket_have_ordinary_convolutions():
    model = layer_of()
    traced = {}
    for name, context in (("training", contextlib.nullcontext), ("file", winograd.direct)):
        with context():
            function = tf.function(model.call, [tf.TensorSpec([None, 4, 4, 128])], autograph=False)
            traced[name] = {node.type for node in function.get_concrete_function().graph.get_operations()}
    assert "Conv2D" not in traced["training"] and "BatchMatMulV2" in traced["training"]
    assert "Conv2D" in traced["file"] and "BatchMatMulV2" not in traced["file"]
