"""Depthwise networks in the runtime: any kernel size, stride, padding, bounded rectifiers and enlargement inside."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_tickets import runtime
from tf_tickets.backend import keras, tf
from tf_tickets.export import keras_program
from tf_tickets.models import costs, description, layers, state
from tf_tickets.runtime import convolutions, execution, program

METHODS = ("dense", "sparse", "compiled")


class Depthwise(layers.DepthwiseConvolution):
    """Of any size, padded by (before, after)."""

    def __init__(self, size=3, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def build(self, shape):
        self.kernel = self.add_weight("kernel", (self.size, self.size, shape[-1], 1))

    def call(self, inputs):
        pads = [[0, 0], list(self.padding), list(self.padding), [0, 0]]
        strides = [1, self.stride, self.stride, 1]
        return tf.nn.depthwise_conv2d(tf.pad(inputs, pads), self.kernel, strides, "VALID")


def network(
    shape, blocks=((3, 1, (1, 1)),), *, sides=None, most=6.0, stem=((0, 1), 2), channels=6, classes=4
) -> keras.Model:
    """Enlargement, a stem padded by itself, inverted residual blocks of (size, stride, padding), a head."""
    x = images = keras.Input(shape, name="images")
    if sides is not None:
        x = keras.layers.Resizing(*sides, "bilinear", name="enlarge")(x)
    pads, stride = stem
    x = keras.layers.ZeroPadding2D((pads, pads), name="stem.pad")(x)
    x = keras.layers.Conv2D(channels, 3, stride, use_bias=False, name="stem")(x)
    x = keras.layers.ReLU(most, name="stem.relu")(keras.layers.BatchNormalization(name="stem.bn")(x))
    for index, (size, stride, padding) in enumerate(blocks):
        shortcut, name = x, f"block{index}"
        x = keras.layers.Conv2D(2 * channels, 1, use_bias=False, name=f"{name}.expand")(x)
        x = keras.layers.ReLU(most, name=f"{name}.relu1")(keras.layers.BatchNormalization(name=f"{name}.bn1")(x))
        x = Depthwise(size, stride=stride, padding=padding, name=f"{name}.depthwise")(x)
        x = keras.layers.ReLU(most, name=f"{name}.relu2")(keras.layers.BatchNormalization(name=f"{name}.bn2")(x))
        x = keras.layers.Conv2D(channels, 1, use_bias=False, name=f"{name}.project")(x)
        x = keras.layers.BatchNormalization(name=f"{name}.bn3")(x)
        if x.shape == shortcut.shape:
            x = keras.layers.Add(name=f"{name}.add")([x, shortcut])
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(images, keras.layers.Dense(classes, name="linear")(x))


def drawn(model, density, seed):
    """(document, arrays) of a network with random weights, statistics and masks, which it is given too."""
    draws, arrays, found, listed = np.random.default_rng(seed), {}, {}, []
    for name, array in state.get_state(model).items():
        positive = name.endswith(("variance", "gamma"))
        # What rounds away of features as large as these is far below the tolerance in logits of such a head.
        least, most = (0.5, 2.0) if positive else (-0.2, 0.2) if array.ndim == 2 else (-1.0, 1.0)
        found[name] = draws.uniform(least, most, array.shape).astype(np.float32)
        arrays[f"trained_variables/{name}"] = found[name]
        layer = name.removesuffix("/kernel")
        if name.endswith("/kernel") and array.ndim == 4:
            mask = draws.random(array.shape) < density
            found[name] = found[name] * mask / np.float32(np.sqrt(max(array[..., 0].size * density, 1.0)))
            arrays |= {f"mask/{layer}": np.packbits(mask), f"trained/{layer}": found[name][mask]}
            listed.append({"layer": layer, "shape": list(array.shape), "kept": int(mask.sum()), "total": mask.size})
    state.set_state(model, found)
    classes = model.output_shape[1]
    data = {
        "dataset": "random", "labels": [f"class {i}" for i in range(classes)], "mean": [0.4] * model.input_shape[3],
        "deviation": [0.3] * model.input_shape[3], "image_shape": list(model.input_shape[1:]),
    }  # fmt: skip
    nodes = json.loads(json.dumps(keras_program.of(model)))
    return {"program": nodes, "layers": listed, "data": data, "density": density}, arrays


class Stored:
    """Arrays as npz.Arrays has them."""

    def __init__(self, arrays):
        self.arrays = arrays

    def get(self, name, shape=None, kind="f"):
        return self.arrays[name]


def check(model, density, seed, count=2):
    """Every method gives the Keras network's logits."""
    document, arrays = drawn(model, density, seed)
    loaded = runtime.Network(document, Stored(arrays), compiled=True)
    images = np.random.default_rng(seed).integers(0, 256, (count, *model.input_shape[1:]), np.uint8)
    normalised = (images.astype(np.float32) / np.float32(255) - np.float32(0.4)) / np.float32(0.3)
    expected = model(normalised, training=False).numpy()
    for method in (None, *METHODS):
        loaded.use(method)
        np.testing.assert_array_less(
            np.abs(loaded.logits(images) - expected), 1e-5 * np.maximum(1.0, np.abs(expected)), str(method)
        )
    return loaded


EFFICIENT = ((3, 2, (0, 1)), (5, 2, (1, 2)), (5, 1, (2, 2)), (3, 1, (1, 1)), (7, 1, (3, 3)), (7, 2, (2, 3)))


@pytest.mark.parametrize("density", [0.0, 0.05, 0.4, 1.0])
@pytest.mark.parametrize("shape, sides", [((32, 32, 3), (47, 47)), ((33, 47, 3), None), ((9, 8, 1), (96, 33))])
def test_logits_of_depthwise_networks_are_tensorflow_s(shape, sides, density):
    check(network(shape, EFFICIENT, sides=sides), density, seed=1)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_any_size_stride_and_padding(data):
    size = data.draw(st.sampled_from([1, 3, 5, 7, 2]))
    pads = st.tuples(st.integers(0, size), st.integers(0, size))
    shape = (data.draw(st.integers(15, 40)), data.draw(st.integers(15, 40)), data.draw(st.integers(1, 3)))
    block, stem = ((data.draw(st.integers(1, most)), data.draw(pads)) for most in (4, 2))
    model = network(
        shape, [(size, *block)], stem=stem[::-1],
        most=data.draw(st.sampled_from([0.5, 1.0, 6.0])), channels=data.draw(st.integers(1, 9)),
        sides=data.draw(st.one_of(st.none(), st.tuples(st.integers(15, 50), st.integers(15, 50)))),
    )  # fmt: skip
    check(
        model, data.draw(st.sampled_from([0.05, 0.5, 1.0])), data.draw(st.integers(0, 99)), data.draw(st.integers(1, 3))
    )


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_depthwise_layers_alone(data):
    """Against TensorFlow's own, of more shapes than whole networks allow; many images, of which some share a block."""
    size, stride = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 4))
    before, after = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 5))
    least = max(1, size - before - after)
    shape = tuple(data.draw(st.integers(0, 12)) + least for _ in range(2))
    channels, images = data.draw(st.integers(1, 5)), data.draw(st.sampled_from([1, 2, 40]))
    draws = np.random.default_rng(data.draw(st.integers(0, 99)))
    kernel = draws.normal(size=(size, size, channels, 1)).astype(np.float32)
    kernel *= draws.random(kernel.shape) < data.draw(st.sampled_from([0.1, 0.5, 1.0]))
    bias = draws.normal(size=channels).astype(np.float32)
    step = program.Step(
        "depthwise", "depthwise", ("images",), {"stride": stride, "padding": [before, after]}, kernel, bias
    )
    rectified = program.Step("relu", "bounded_relu", ("depthwise",), {"most": 0.5})
    operations = execution.prepare([program.Step("images", "input", (), {}), step, rectified], (*shape, channels))
    assert len(operations) == 1, "the rectifier is no part of the convolution"
    maps = draws.normal(size=(channels, images, *shape)).astype(np.float32)
    padded = tf.pad(maps.transpose(1, 2, 3, 0), [[0, 0], [before, after], [before, after], [0, 0]])
    sums = tf.nn.depthwise_conv2d(padded, kernel, [1, stride, stride, 1], "VALID") + bias
    expected = np.clip(sums, 0.0, 0.5).transpose(3, 0, 1, 2)
    assert operations[0].shape == (channels, *expected.shape[2:])
    for method in METHODS:
        found = execution.run(operations, maps, {"depthwise": method})
        np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=method)


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.integers(1, 40)] * 4))
def test_images_are_resized_as_by_keras(sides):
    height, width, *wanted = sides
    images = np.random.default_rng(0).normal(size=(2, height, width, 3)).astype(np.float32)
    step = program.Step("resize", "resize", ("images",), {"sides": wanted})
    operations = execution.prepare([program.Step("images", "input", (), {}), step], (height, width, 3))
    resized = execution.run(operations, np.ascontiguousarray(images.transpose(3, 0, 1, 2)), {})
    expected = keras.layers.Resizing(*wanted, "bilinear")(images).numpy().transpose(3, 0, 1, 2)
    np.testing.assert_allclose(resized, expected, atol=2e-5)


def test_normalisation_and_rectifiers_are_part_of_the_convolutions():
    loaded = check(network((20, 20, 3), EFFICIENT[:2]), 0.5, seed=3)
    kinds = [type(operation.compute).__name__ for operation in loaded._operations]
    assert kinds == [
        "function",
        "Convolution",
        *["Convolution", "Depthwise", "Convolution"] * 2,
        "function",
        "function",
    ]
    bounded = [op.name for op in loaded._operations if getattr(op.compute, "most", None) == 6.0]
    assert bounded == ["stem", *(f"block{i}.{part}" for i in range(2) for part in ("expand", "depthwise"))]
    assert set(loaded.method()) == {"stem"} | {
        f"block{i}.{part}" for i in range(2) for part in ("expand", "depthwise", "project")
    }


def test_depthwise_weights_that_are_removed_do_no_work():
    """Of each channel the matrix has as many columns as weights are left, and none where nothing is."""
    kernel = np.zeros((3, 3, 4, 1), np.float32)
    kernel[0, 2, 1], kernel[1, 1, 1], kernel[2, 0, 3] = 1.0, 2.0, 3.0
    settings = {"stride": 1, "padding": 1}
    step = program.Step("depthwise", "depthwise", ("images",), settings, kernel)
    (operation,) = execution.prepare([program.Step("images", "input", (), {}), step], (8, 8, 4))
    assert operation.compute.density == 3 / 36
    assert operation.compute._matrix.indptr.tolist() == [0, 0, 2, 2, 3]
    assert operation.compute._matrix.data.tolist() == [1.0, 2.0, 3.0]


def test_a_depthwise_weight_works_once_at_every_output_position():
    model = network((16, 16, 3), [(5, 2, (1, 2))])
    kernel = description.Kernel("block0.depthwise", (5, 5, 12, 1), True, "depthwise")
    mask = np.random.default_rng(0).random(kernel.shape) < 0.3
    assert model.get_layer(kernel.name).output.shape[1:] == (4, 4, 12)
    assert costs.of_network(model, [kernel], {kernel.name: mask}) == (mask.sum() * 16, 25 * 12 * 16)


def test_programs_without_the_new_settings_stay_as_they_are():
    nodes = {node["name"]: node for node in keras_program.of(network((16, 16, 3), most=None, stem=((1, 1), 2)))}
    assert nodes["stem.relu"] == {"name": "stem.relu", "operation": "relu", "inputs": ["stem.bn"]}
    assert nodes["stem.pad"]["padding"] == 1 and nodes["block0.depthwise"]["padding"] == 1
    uneven = {node["name"]: node for node in keras_program.of(network((16, 16, 3), EFFICIENT, sides=(40, 48)))}
    assert uneven["stem.relu"]["operation"] == "bounded_relu" and uneven["stem.relu"]["most"] == 6.0
    assert uneven["stem.pad"]["padding"] == [0, 1] and uneven["block1.depthwise"]["padding"] == [1, 2]
    assert uneven["enlarge"] == {"name": "enlarge", "operation": "resize", "inputs": ["images"], "sides": [40, 48]}


@pytest.mark.parametrize("layer", [
    keras.layers.ReLU(negative_slope=0.1), keras.layers.ReLU(threshold=1.0), keras.layers.Resizing(9, 9, "nearest"),
    keras.layers.Resizing(9, 9, crop_to_aspect_ratio=True), keras.layers.ZeroPadding2D(((1, 1), (0, 1))),
    keras.layers.Conv2D(3, 3, 2, "same"), keras.layers.Conv2D(3, 3, dilation_rate=2),
    keras.layers.BatchNormalization(scale=False), keras.layers.MaxPooling2D(2, padding="same"),
    keras.layers.DepthwiseConv2D(3),
])  # fmt: skip
def test_what_the_runtime_lacks_has_no_program(layer):
    images = keras.Input((9, 9, 3))
    assert keras_program.of(keras.Model(images, layer(images))) is None


def changed(name, **settings):
    def change(document):
        next(node for node in document["program"] if node["name"] == name).update(settings)

    return change


HOSTILE = {
    "a bound that is no number": changed("stem.relu", most=float("nan")),
    "a bound without end": changed("stem.relu", most=float("inf")),
    "a bound of nothing": changed("stem.relu", most=0.0),
    "a bound below": changed("stem.relu", most=-6.0),
    "a bound in words": changed("stem.relu", most="6"),
    "a bound that is left out": changed("stem.relu", most=None),
    "a bound that an earlier version would pass over": changed("stem.relu", operation="relu"),
    "padding below": changed("stem.pad", padding=[-1, 1]),
    "padding beyond all": changed("block0.depthwise", padding=[0, 1 << 40]),
    "padding of three": changed("block0.depthwise", padding=[1, 1, 1]),
    "padding of true": changed("block0.depthwise", padding=[True, 1]),
    "padding in fractions": changed("block0.depthwise", padding=[0.5, 0.5]),
    "uneven padding where there is none": changed("stem", padding=[0, 1]),
    "sides of nothing": changed("enlarge", sides=[0, 40]),
    "sides below": changed("enlarge", sides=[-40, 40]),
    "sides beyond all": changed("enlarge", sides=[1 << 40, 40]),
    "maps beyond all": changed("enlarge", sides=[1 << 16, 1 << 16]),
    "one side": changed("enlarge", sides=[40]),
    "sides in words": changed("enlarge", sides="40"),
    "a kernel that is not square": changed("block0.depthwise", shape=[1, 9, 12, 1]),
    "two filters a channel": changed("block0.depthwise", shape=[3, 3, 6, 2]),
    "a kernel larger than its map": changed("block0.expand", shape=[30, 30, 6, 12]),
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_settings_that_were_made_up_are_refused(attack):
    document, arrays = drawn(network((16, 16, 3), sides=(20, 20)), 0.5, seed=0)
    HOSTILE[attack](document)
    shapes = {node["kernel"].removesuffix("/kernel"): node["shape"] for node in document["program"] if "kernel" in node}
    for layer in document["layers"]:
        layer["shape"] = shapes[layer["layer"]]
    with pytest.raises(runtime.Damaged) as caught:
        program.arrays(document["program"], [])
        for node in document["program"]:
            if "kernel" in node:
                arrays[f"trained_variables/{node['kernel']}"] = np.ones(node["shape"], np.float32)
        runtime.Network(document | {"layers": []}, Stored(arrays))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_an_unknown_operation_is_named():
    document, arrays = drawn(network((16, 16, 3)), 0.5, seed=0)
    changed("stem.relu", operation="swish")(document)
    with pytest.raises(runtime.Damaged, match=r"holds the operation 'swish': this version knows input, .*\brelu\b"):
        runtime.Network(document, Stored(arrays))


def test_windows_of_maps_are_padded_unevenly():
    padded = convolutions.padded(np.ones((1, 1, 2, 2), np.float32), 0, 1)
    assert padded[0, 0].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
