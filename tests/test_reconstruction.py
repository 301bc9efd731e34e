"""`--rewind=reconstructed`: the weights left, fitted to give what the dense network's layers give."""

import os
import re

import numpy as np
import pytest
import stops
import trees
from conftest import TWO_LAYERS

import tf_tickets as tt
from tf_tickets import errors, runs, storage
from tf_tickets.backend import keras, tf
from tf_tickets.experiments import train
from tf_tickets.experiments.session import Session
from tf_tickets.models import layers, winograd
from tf_tickets.models.keras_layers import Convolution
from tf_tickets.pruning import least_squares, reconstruction, wrapping
from tf_tickets.training import checkpoints

VALUES = TWO_LAYERS | {"rounds": 2, "rate": 0.5, "rewind": "reconstructed:1", "tensorboard": False}


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_the_fit_is_that_of_the_normal_equations_of_the_weights_left(monkeypatch):
    monkeypatch.setattr(least_squares, "_TOLERANCE", 1e-12)
    inputs, outputs, weights = normal(2, 60, 9), normal(2, 60, 4, seed=1), normal(2, 9, 4, seed=2)
    inputs[..., 3] *= 20  # of another scale than the others
    mask = normal(2, 9, 4, seed=3) > 0
    mask[1, :, 2] = False  # an output that no weight is left of
    solved = least_squares.fitted(*map(tf.constant, (inputs, outputs, weights, mask.astype(np.float32)))).numpy()
    for group in range(2):
        gram = inputs[group].T.astype(float) @ inputs[group]
        ridge = least_squares.RIDGE * np.diag(gram).mean()
        for column in range(4):
            left = mask[group, :, column]
            system = gram[np.ix_(left, left)] + ridge * np.eye(left.sum())
            given = inputs[group][:, left].T @ outputs[group, :, column] + ridge * weights[group, left, column]
            np.testing.assert_allclose(solved[group, left, column], np.linalg.solve(system, given), atol=1e-3)
    assert not solved[~mask].any()


def test_weights_of_inputs_that_are_zero_stay():
    inputs, weights = np.zeros((1, 50, 3), np.float32), normal(1, 3, 2)
    ones = np.ones_like(weights)
    solved = least_squares.fitted(*map(tf.constant, (inputs, normal(1, 50, 2), weights, ones)))
    np.testing.assert_array_equal(solved, weights)


LAYERS = {
    "dense": (lambda: keras.layers.Dense(5, bias_initializer="ones"), (40,)),
    "dense of tokens": (lambda: keras.layers.Dense(5), (6, 8)),
    "same": (lambda: keras.layers.Conv2D(5, 3, padding="same"), (9, 8, 4)),
    "strides": (lambda: keras.layers.Conv2D(5, 3, 2, bias_initializer="ones"), (9, 8, 4)),
    "winograd": (lambda: winograd.WinogradConvolution(5, 3, padding="same", use_bias=False), (8, 8, 4)),
    "pointwise": (lambda: layers.StridedPointwise(5, stride=2), (9, 8, 4)),
    "depthwise": (lambda: layers.DepthwiseConvolution(3, stride=2, padding=(0, 1)), (8, 8, 4)),
    "harmonic": (lambda: layers.HarmonicConvolution(5, 3, stride=2, padding=1), (9, 9, 4)),
    "groups": (lambda: Convolution((3, 3, 2, 6), (2, 1), "same"), (9, 8, 4)),
    "dilated": (lambda: Convolution((3, 2, 4, 6), dilation_rate=(2, 1), use_bias=True), (9, 8, 4)),
    "two filters of a channel": (lambda: Convolution((3, 3, 4, 2), padding="same", depthwise=True), (9, 8, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_kernel_that_gives_the_outputs_is_the_one_that_is_fitted(name, monkeypatch):
    monkeypatch.setattr(least_squares, "RIDGE", 1e-6)
    monkeypatch.setattr(least_squares, "_TOLERANCE", 1e-10)
    make, shape = LAYERS[name]
    layer, inputs = make(), tf.constant(normal(40, *shape))
    layer(inputs)
    mask = normal(*layer.kernel.shape, seed=1) > -0.5
    wanted = normal(*layer.kernel.shape, seed=2) * mask
    layer.kernel.assign(wanted)
    outputs = layer(inputs)
    layer.kernel.assign(normal(*layer.kernel.shape, seed=3))
    assert least_squares.is_known(layer)
    np.testing.assert_allclose(least_squares.refitted(layer, mask, inputs, outputs), wanted, atol=2e-3)


def test_a_layer_with_an_activation_of_its_own_is_none_that_is_known():
    assert not least_squares.is_known(keras.layers.Conv2D(3, 3, activation="relu"))


def test_no_more_rows_are_looked_at_than_the_fit_wants():
    layer, inputs = keras.layers.Conv2D(3, 3, padding="same", use_bias=False), tf.constant(normal(33, 16, 16, 2))
    outputs = layer(inputs)
    patches, chosen = least_squares._rows(layer, inputs, outputs, 1)
    each = -(-least_squares._FEWEST_ROWS // 33)
    assert patches.shape == (33 * each, 9, 2)
    # Patches and outputs are of the same positions.
    np.testing.assert_allclose(
        np.einsum("rpc,pco->ro", patches, layer.kernel.numpy().reshape(9, 2, 3)), chosen, atol=1e-4
    )


def networks(**values):
    """(dense, pruned): two wrapped networks of one state, half of whose weights the second has lost; and images."""
    config = tt.Config.from_values(**{"dataset": "digits", "per_class": 20, "tensorboard": False} | values)
    session = Session(train.prepare(config)[0])
    dense, pruned = session.copied("float32"), session.copied("float32")
    for name, kernel in wrapping.kernel_variables(dense).items():
        wrapping.kernel_variables(pruned)[name].assign(kernel)
    masks = {name: np.abs(array) > np.median(np.abs(array)) for name, array in _kernels(dense).items()}
    wrapping.write_masks(pruned, masks)
    pixels = normal(64, *dense.input_shape[1:])
    return dense, pruned, masks, tf.constant(pixels)


def _kernels(model):
    return {name: kernel.numpy() for name, kernel in wrapping.kernel_variables(model).items()}


@pytest.mark.parametrize("values", [
    {"model": "resnet18", "width": 8}, {"model": "harmonic_resnet18", "width": 8}, {"model": "vgg11", "width": 8},
    {"model": "efficientnet_lite0", "width": 8, "image_size": 32},
], ids=lambda values: values["model"])  # fmt: skip
def test_a_reconstructed_network_answers_more_like_the_dense_one(values):
    dense, pruned, masks, images = networks(**values)
    wanted, without = dense(images).numpy(), pruned(images).numpy()
    fitted = reconstruction.reconstruct(pruned, dense, images)
    assert fitted.keys() == masks.keys()
    for name, array in _kernels(pruned).items():
        np.testing.assert_array_equal(array, fitted[name])
        assert not array[~masks[name]].any()
    again = pruned(images).numpy()
    assert np.square(again - wanted).mean() < 0.5 * np.square(without - wanted).mean()


def test_nothing_is_removed_and_nothing_changes():
    dense, pruned, masks, images = networks(model="resnet18", width=4)
    arrays = _kernels(dense)
    wrapping.write_masks(pruned, {name: np.ones_like(mask) for name, mask in masks.items()})
    for name, kernel in wrapping.kernel_variables(pruned).items():
        kernel.assign(arrays[name])
    reconstruction.reconstruct(pruned, dense, images)
    for name, array in _kernels(pruned).items():
        np.testing.assert_allclose(array, arrays[name], atol=1e-4)


def test_as_many_images_as_the_largest_output_leaves_memory_for(monkeypatch):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(5, 3, padding="same")(inputs))
    monkeypatch.setattr(reconstruction, "_LARGEST", 8 * 8 * 5 * 4 * 7 + 1)
    assert reconstruction.images_that_fit(model) == 7


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(Config, runs.RunFolder) of a search of two rounds."""
    config = tt.Config.from_values(**VALUES, out=str(tmp_path_factory.mktemp("runs")))
    return config, runs.RunFolder(tt.imp(config).folder)


def test_a_round_starts_from_what_was_fitted(tmp_path):
    config = tt.Config.from_values(**VALUES | {"weight_decay": 0.0, "learning_rate": 1e-20}, out=str(tmp_path))
    folder = runs.RunFolder(tt.imp(config).folder)
    mask, start = storage.read_arrays(folder.round(1).mask), storage.read_arrays(folder.round(1).start)
    first, second = (storage.read_arrays(folder.round(index).weights) for index in (0, 1))
    assert len(storage.read_csv(folder.round(1).epochs)) == config.training.epochs - 1  # from epoch 1 on
    for name in mask:
        np.testing.assert_array_equal(second[f"{name}/kernel"], start[f"{name}/kernel"])
        assert not start[f"{name}/kernel"][~mask[name]].any()
        assert not np.allclose(start[f"{name}/kernel"], first[f"{name}/kernel"] * mask[name])
    for name in first.keys() - {f"{name}/kernel" for name in mask}:
        if not name.endswith(("moving_mean", "moving_variance")):
            np.testing.assert_array_equal(start[name], first[name])


def test_round_0_knows_nothing_of_it_and_leaves_no_start(finished):
    assert not os.path.exists(finished[1].round(0).start)
    assert "round_01/start.npz" in storage.read_json(finished[1].round(1).summary)["files"]


def test_its_layers_are_fitted_to_round_0_in_all_rounds(tmp_path, monkeypatch):
    teachers, original = [], reconstruction.reconstruct

    def noted(pruned, dense, images):
        teachers.append(_kernels(dense))
        return original(pruned, dense, images)

    monkeypatch.setattr(reconstruction, "reconstruct", noted)
    config = tt.Config.from_values(**VALUES | {"rounds": 3, "epochs": 2}, out=str(tmp_path))
    first = storage.read_arrays(runs.RunFolder(tt.imp(config).folder).round(0).weights)
    assert len(teachers) == 2
    for arrays in teachers:
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, first[f"{name}/kernel"])


def test_a_ticket_is_retrained_from_the_same_start(finished, tmp_path):
    config, folder = finished
    again = runs.RunFolder(tt.train(config.replace(ticket=folder.round(1).folder, out=str(tmp_path))).folder)
    np.testing.assert_equal(*(storage.read_arrays(of.weights) for of in (again.round(0), folder.round(1))))


def test_stopped_anywhere_it_ends_in_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "_WRITING_SHARE", 1e9)  # a checkpoint after every block of steps
    config = tt.Config.from_values(**VALUES | {"epochs": 2}, out=str(tmp_path / "whole"))
    assert stops.assert_stopping_changes_nothing(tt.imp, config, tmp_path / "parts") >= 3


def test_a_start_that_is_lost_is_fitted_again_and_a_damaged_round_is_named(tmp_path):
    config = tt.Config.from_values(**VALUES, out=str(tmp_path))
    folder = runs.RunFolder(tt.imp(config).folder)
    whole = trees.contents(folder.folder)
    os.remove(folder.round(1).start)
    with pytest.raises(errors.StateError, match=re.escape(folder.round(1).start)):
        tt.imp(config)
    for name in os.listdir(folder.round(1).folder):
        if name != "mask.npz":
            os.remove(folder.round(1).path(name))
    tt.imp(config)
    trees.assert_equal(trees.contents(folder.folder), whole)


def test_it_says_what_it_does_before_it_does_it(tmp_path, capsys):
    tt.imp(tt.Config.from_values(**VALUES, out=str(tmp_path)))
    images = VALUES.get("per_class", 0) * 10
    said = capsys.readouterr().err
    assert re.search(r"round 1: each layer's weights are fitted to the dense network's outputs, of \d+ images", said)
    assert not images or f"of {images} images" in said


def test_folds_would_tell_nothing(tmp_path):
    with pytest.raises(errors.UsageError, match="weights that all images have trained"):
        tt.imp(tt.Config.from_values(**VALUES, calibration="folds:2", out=str(tmp_path)))
