"""Keras networks of the user's own: what is computed, named and drawn."""

import keras as keras3
import numpy as np
import pytest
from own_shop import DIGITS, SHAPE, layers, sequential

import tf_tickets as tt
from tf_tickets import own_networks, plugins, runtime
from tf_tickets.backend import keras, tf
from tf_tickets.errors import UsageError
from tf_tickets.export import keras_program, onnx_file
from tf_tickets.models import builder, own_model, state
from tf_tickets.report import command


def taken(given, shape=SHAPE, **changes):
    """(name, the network of the program with the weights that came with it)."""
    given = plugins.function_given(given) if not hasattr(given, "layers") else given
    name = own_model.named(given, classes=10, image_shape=shape, place="--dataset=digits")
    model = builder.build(name, classes=10, image_shape=shape, **changes)
    state.set_state(model, state.get_state(model) | own_model.load_weights(name, model))
    return name, model


def assert_computes_the_same(model, shape=SHAPE):
    images = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    name, ours = taken(model, shape)
    np.testing.assert_allclose(ours(images), np.asarray(model(images)), rtol=1e-4, atol=1e-5)
    return name


def operations():
    """What notebooks write: functions of TensorFlow, a layer without weights twice, names that the program has."""
    images, relu = keras.Input(SHAPE), layers.ReLU()
    x = relu(layers.Conv2D(4, 3, padding="same")(images))
    x = relu(layers.Conv2D(4, 3, padding="same", name="features")(x) * 2.0) + x
    x = tf.concat([x[:, 1:, ::2], x[:, 1:, 1::2]], -1) / 255.0
    x = layers.Dense(7, activation="swish", name="linear")(tf.reduce_mean(x, [1, 2]))
    return keras.Model(images, layers.Dense(10, use_bias=False)(x))


def nested():
    inner = keras.Sequential([layers.SeparableConv2D(4, 3, activation="relu"), layers.SpatialDropout2D(0.2)])
    outer = keras.Sequential([layers.Conv2D(4, 3, strides=2, padding="same", activation="tanh"), inner])
    return sequential(layers.Rescaling(1 / 255), outer, layers.DepthwiseConv2D(2))


def dilated():
    narrow = layers.DepthwiseConv2D((1, 2), dilation_rate=2, padding="same")
    return sequential(layers.Conv2D(4, 3, dilation_rate=2, activation="relu"), narrow, layers.GlobalMaxPooling2D())


def grouped():
    images = keras.Input(SHAPE)
    x = layers.Conv2D(12, 3, padding="same", activation="relu")(images)
    x = layers.Conv2D(12, 3, padding="same", groups=3)(layers.Conv2D(12, 2, strides=2, groups=2, padding="same")(x))
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(layers.Conv2D(12, 2, groups=4, use_bias=False)(x))
    x = layers.SeparableConv2D(6, 2, depth_multiplier=3)(
        layers.Conv2D(8, 3, groups=2, padding="same", dilation_rate=2)(x)
    )
    return keras.Model(images, layers.Dense(10)(layers.Flatten()(x)))


def three():
    images = keras3.Input(SHAPE)
    x = keras3.layers.Conv2D(4, 3, padding="same", activation="relu")(images)
    y = keras3.layers.BatchNormalization()(keras3.layers.Conv2D(4, 3, padding="same")(x))
    x = keras3.layers.MaxPooling2D()(keras3.layers.LeakyReLU()(keras3.layers.Add()([x, y])))
    x = keras3.Sequential([keras3.layers.Dropout(0.2), keras3.layers.DepthwiseConv2D(3)])(x)
    return keras3.Model(images, keras3.layers.Dense(10)(keras3.layers.Flatten()(x)))


def three_in_a_row():
    inner = keras3.Sequential([keras3.layers.Conv2D(6, 3), keras3.layers.ReLU()])
    return keras3.Sequential([
        keras3.Input(SHAPE), keras3.layers.Conv2D(4, 3, activation="relu"), inner, keras3.layers.Flatten(),
        keras3.layers.Dense(10),
    ])  # fmt: skip


@pytest.mark.parametrize("build", [operations, nested, dilated, grouped, three, three_in_a_row])
def test_it_computes_what_the_users_model_computes(build):
    name = assert_computes_the_same(build())
    assert own_networks.of(name)["pixels"] == (build is nested)


def test_names_and_identity_do_not_depend_on_what_was_built_before():
    first = taken(nested)[0]
    layers.Conv2D(1, 1)
    assert taken(nested)[0] == first != taken(operations)[0]
    kernels = [kernel[0] for kernel in own_networks.of(first)["kernels"]]
    assert kernels == [
        "conv2d", "separable_conv2d.depthwise", "separable_conv2d.pointwise", "depthwise_conv2d", "linear"
    ]  # fmt: skip


def test_fresh_weights_are_drawn_by_the_seed_and_loaded_ones_are_the_start():
    def build():
        body = keras.models.clone_model(trained)
        body.set_weights(trained.get_weights())
        return keras.Sequential([keras.Input(SHAPE), body, layers.Dense(10)])

    trained = keras.Sequential([keras.Input(SHAPE), layers.Conv2D(4, 3), layers.Flatten()])
    name, fresh = taken(nested, seed=1)
    assert own_networks.of(name)["weights"] is None
    for array, again in zip(fresh.get_weights(), taken(nested, seed=1)[1].get_weights()):
        np.testing.assert_array_equal(array, again)
    assert not np.array_equal(fresh.get_layer("conv2d").kernel, taken(nested, seed=2)[1].get_layer("conv2d").kernel)
    name, loaded = taken(build, seed=1)
    assert own_networks.of(name)["weights"]
    np.testing.assert_array_equal(loaded.get_layer("conv2d").kernel, trained.layers[0].kernel)
    np.testing.assert_array_equal(
        loaded.get_layer("linear").kernel, taken(build, seed=1)[1].get_layer("linear").kernel
    )  # fmt: skip
    trained.layers[0].bias.assign_add(np.ones(4, np.float32))
    assert taken(build)[0] != name


def test_a_model_given_from_python_is_a_pretrained_one(tmp_path, capsys):
    body = [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()]
    model = sequential(*body)
    values = {"dataset": "digits", "per_class": 4, "batch_size": 20, "progress": "none", "tensorboard": False}
    asked = {"rewind": "pretrained", "batch_norm": "frozen", "head_epochs": 1, "epochs": 2, "rounds": 2}
    config = tt.Config.unchecked(**values, **asked, out=str(tmp_path))
    ticket = tt.imp(config, model=model).ticket
    kernel, mask = model.layers[0].kernel.numpy(), ticket.masks["conv2d"]
    np.testing.assert_array_equal(ticket.rewound["conv2d/kernel"], np.where(mask, kernel, 0.0))
    with pytest.raises(UsageError, match="--head_epochs=1 needs a backbone that is trained"):
        tt.imp(config, model=lambda: sequential(*[layers.Conv2D(4, 3)]))
    tt.train(tt.Config(**values, control="probe", out=str(tmp_path)), model=model)
    assert "random weights" not in capsys.readouterr().err


def test_the_last_line_names_formats_that_there_are(tmp_path, capsys):
    values = {"dataset": "digits", "per_class": 4, "progress": "none", "tensorboard": False, "epochs": 1, "rounds": 2}
    config = tt.Config(**values, rewind="init", out=str(tmp_path))
    # The runtime does not know AveragePooling2D.
    command.print_run(tt.imp(config, model=sequential(layers.Conv2D(4, 3), layers.AveragePooling2D())))
    assert capsys.readouterr().out.endswith("--format=tflite\n")


def usual():
    """What guides to Keras begin with, and what else can follow a Flatten."""
    return keras.Sequential([
        keras.Input(SHAPE), layers.Rescaling(1 / 127.5, offset=-1), layers.Conv2D(6, 3, activation="relu"),
        layers.MaxPooling2D(), layers.Flatten(), layers.Dense(12), layers.BatchNormalization(), layers.ReLU(),
        layers.Rescaling(0.5, 0.1), layers.Flatten(), layers.Dropout(0.2), layers.Dense(10),
    ])  # fmt: skip


def test_runtime_onnx_and_c_execute_a_network_with_rescaling_and_flatten(tmp_path):
    run = tt.imp(tt.Config(**DIGITS, out=str(tmp_path / "runs")), model=usual())
    text = tt.export(
        run, ["ticket", "runtime", "tflite", "onnx", "onnx_int8", "c", "c_int8"], out=str(tmp_path / "files")
    )
    assert text.count(" 100.00 %") >= 4
    images = np.random.default_rng(0).integers(0, 17, (7, *SHAPE), np.uint8)
    expected, network = run.ticket.predict(images), runtime.load(str(tmp_path / "files" / "runtime.npz"), compiled=True)
    for method in (None, "dense", "sparse", "compiled"):
        network.use(method)
        np.testing.assert_allclose(network.predict(images), expected, atol=1e-6)
    predict = onnx_file.predictor((tmp_path / "files" / "ticket.onnx").read_bytes(), 1)
    np.testing.assert_allclose(predict(images), expected, atol=1e-6)


def test_rescaling_is_read_for_all_channels_or_for_each():
    def operation(*given):
        images = keras.Input((4, 4, 3))
        nodes = keras_program.of(keras.Model(images, layers.Rescaling(*given)(images)))
        return nodes and tuple(nodes[1][key] for key in ("operation", "scale", "offset"))

    assert operation(2.0) == ("rescale", [2.0], [0.0])
    assert operation([1.0, 2.0, 3.0], 0.5) == ("rescale", [1.0, 2.0, 3.0], [0.5] * 3)
    assert operation(np.ones((4, 1), np.float32)) is None  # one factor a row
    rows = keras.Sequential([keras.Input((4, 4, 3)), layers.Dense(5), layers.Flatten(), layers.Dense(2)])
    assert keras_program.unknown(rows).endswith("(Dense)")  # of maps
