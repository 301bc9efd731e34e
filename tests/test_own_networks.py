"""Keras networks of the user's own: what is taken, refused and recorded, and whole runs."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import keras as keras3
import numpy as np
import pytest
import stops
import trees
from conftest import ROOT

import tf_tickets as tt
from tf_tickets import own_networks, plugins, runs, runtime
from tf_tickets.backend import keras, tf
from tf_tickets.errors import UsageError
from tf_tickets.export import keras_program, onnx_file
from tf_tickets.models import builder, own_layers, own_model, state
from tf_tickets.report import command
from tf_tickets.runtime import files
from tf_tickets.training import checkpoints

layers = keras.layers
SHAPE = (8, 8, 1)
DIGITS = {
    "dataset": "digits", "per_class": 6, "epochs": 3, "rounds": 2, "rewind": "epoch:1", "batch_size": 20,
    "progress": "none", "tensorboard": False,
}  # fmt: skip
SHOP = """
from tf_keras import Input, Model, layers


def residual(classes, image_shape):
    images = Input(image_shape)
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(images)
    y = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", use_bias=False)(x))
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x + y))
    x = layers.Dropout(0.25)(layers.Dense(16, activation="relu")(x))
    return Model(images, layers.Dense(classes)(x))
"""
LAYERS = """
import tensorflow as tf
from tf_keras import Input, Model, layers
import tf_tickets as tt


@tt.models.register_layer(kernel="mixing")
class Mixer(layers.Layer):
    def __init__(self, units, **others):
        super().__init__(**others)
        self.units = units

    def build(self, shape):
        self.mixing = self.add_weight("mixing", (shape[-1], self.units), initializer="random_normal")
        self.scale = self.add_weight("scale", (self.units,), initializer="ones")

    def call(self, inputs):
        return tf.matmul(inputs, self.mixing) * self.scale

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def mixed(image_shape):
    images = Input(image_shape)
    x = layers.SeparableConv2D(8, 3, padding="same", activation="relu")(images)
    x = layers.Conv2D(8, 3, strides=2, padding="same", kernel_initializer="orthogonal")(x)
    return Model(images, layers.Dense(10, use_bias=False)(layers.Flatten()(Mixer(12)(x))))
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """The folder of a user's package `ownshop`, which Python finds."""
    folder = tmp_path_factory.mktemp("installed")
    (folder / "ownshop").mkdir()
    for name, text in (("__init__", ""), ("nets", SHOP), ("parts", LAYERS)):
        (folder / "ownshop" / f"{name}.py").write_text(text)
    sys.path.append(str(folder))
    yield folder
    sys.path.remove(str(folder))


def words(**changes):
    values = DIGITS | changes
    return [f"--{name}={value}" for name, value in values.items() if name != "tensorboard"] + ["--notensorboard"]


def environment(folder):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TF_CPP_")}  # as users have it
    return kept | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]), "PYTHONDONTWRITEBYTECODE": "1"}


def main(shop, folder, *given):
    return subprocess.run(
        [sys.executable, "-m", "tf_tickets.main", *given], cwd=folder, env=environment(shop), capture_output=True,
        text=True,
    )  # fmt: skip


def sequential(*middle, shape=SHAPE, outputs=10):
    return keras.Sequential([keras.Input(shape), *middle, layers.Flatten(), layers.Dense(outputs)])


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


def three():
    images = keras3.Input(SHAPE)
    x = keras3.layers.Conv2D(4, 3, padding="same", activation="relu")(images)
    y = keras3.layers.BatchNormalization()(keras3.layers.Conv2D(4, 3, padding="same")(x))
    x = keras3.layers.MaxPooling2D()(keras3.layers.LeakyReLU()(keras3.layers.Add()([x, y])))
    x = keras3.Sequential([keras3.layers.Dropout(0.2), keras3.layers.DepthwiseConv2D(3)])(x)
    return keras3.Model(images, keras3.layers.Dense(10)(keras3.layers.Flatten()(x)))


@pytest.mark.parametrize("build", [operations, nested, dilated, three])
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
    assert "as first drawn" not in capsys.readouterr().err


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


def test_runtime_and_onnx_execute_a_network_with_rescaling_and_flatten(tmp_path):
    run = tt.imp(tt.Config(**DIGITS, out=str(tmp_path / "runs")), model=usual())
    text = tt.export(run, ["ticket", "runtime", "tflite", "onnx", "onnx_int8"], out=str(tmp_path / "files"))
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


def twice():
    images, convolution = keras.Input(SHAPE), layers.Conv2D(1, 3, padding="same", name="both")
    return keras.Model(images, layers.Dense(10)(layers.Flatten()(convolution(convolution(images)))))


def inputs():
    first, second = keras.Input(SHAPE), keras.Input(SHAPE)
    return keras.Model([first, second], layers.Dense(10)(layers.Flatten()(first + second)))


def frozen():
    model = sequential(layers.Conv2D(4, 3, name="stem"))
    model.layers[0].trainable = False
    return model


def inference():
    images = keras.Input(SHAPE)
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(3, 3)(images), training=False)
    return keras.Model(images, layers.Dense(10)(layers.Flatten()(x)))


def single():
    images = keras.Input(SHAPE)
    x = layers.Flatten()(layers.Concatenate()([layers.Conv2D(2, 3)(images)]))
    return keras.Model(images, layers.Dense(10)(x))


class Derived(keras.Model):
    def call(self, images):
        return images


class Unknown(layers.Conv2D):
    pass


def three_operation():
    images = keras3.Input(SHAPE)
    x = keras3.layers.Flatten()(keras3.layers.Conv2D(3, 3)(images) * 2.0)
    return keras3.Model(images, keras3.layers.Dense(10)(x))


WRONG = {
    "a class derived from keras.Model": (Derived, "build it as keras.Model(inputs, outputs)"),
    "its layer both is called twice": (twice, "make two layers"),
    "its layer code is a Lambda": (lambda: sequential(layers.Lambda(abs, name="code")), "tt.models.register_layer"),
    "its layer memory is a LSTM": (
        lambda: sequential(layers.Reshape((8, 8)), layers.LSTM(3, name="memory")), "use convolutions"),
    "has 2 inputs": (inputs, "use one"),
    "its last layer end gives probabilities": (
        lambda: keras.Sequential([keras.Input(SHAPE), sequential(layers.Conv2D(2, 3)), layers.Softmax(name="end")]),
        "remove its softmax"),
    "has 7 outputs": (lambda: sequential(layers.Conv2D(2, 3), outputs=7), "write keras.layers.Dense(10)"),
    "takes inputs of 16x16x1": (lambda: sequential(layers.Conv2D(2, 3), shape=(16, 16, 1)), "add --image_size=16"),
    "takes inputs of 8x8x3": (lambda: sequential(layers.Conv2D(2, 3), shape=(8, 8, 3)), "keras.Input((8, 8, 1))"),
    "is not built": (lambda: keras.Sequential([layers.Conv2D(2, 3), layers.Dense(10)]), "keras.Input((height"),
    "is a RandomFlip": (lambda: sequential(layers.RandomFlip(), layers.Conv2D(2, 3)), "give --augment"),
    "is a GaussianNoise": (lambda: sequential(layers.GaussianNoise(0.1), layers.Conv2D(2, 3)), "use Dropout"),
    "is called on one tensor": (single, "leave it out"),
    "has a kernel_constraint": (lambda: sequential(layers.Conv2D(2, 3, kernel_constraint="max_norm")), "leave it out"),
    "has an activation of your own": (lambda: sequential(layers.Conv2D(2, 3, activation=tf.nn.crelu)), "'relu'"),
    "is a Unknown": (lambda: sequential(Unknown(2, 3)), "put its class under tt.models.register_layer"),
    "is a GlobalAveragePooling2D": (
        lambda: keras.Sequential([keras.Input(SHAPE), layers.Conv2D(10, 3), layers.GlobalAveragePooling2D()]),
        "end it with keras.layers.Dense(10)"),
    "no layer that can be pruned": (lambda: sequential(), "its convolutions, and dense layers"),
    "its layer stem is frozen": (frozen, "--head_epochs"),
    "its layer norm is called with training": (inference, "--batch_norm=frozen"),
    "gives NoneType": (lambda: None, "return keras.Model(inputs, outputs)"),
    "ZeroDivisionError": (lambda: 1 // 0, "test_own_networks.py, line"),
    "its parameter depth has no default": (lambda depth: depth, "may take classes and image_shape"),
    "of 2 groups": (lambda: sequential(layers.Conv2D(4, 3), layers.Conv2D(4, 3, groups=2)), "use another"),
    "is a Multiply of Keras 3": (three_operation, "build the model with tf_keras"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_pruned_is_refused_in_one_sentence_that_says_what_to_write(what, tmp_path):
    build, instead = WRONG[what]
    model = build() if build is Derived else build
    with pytest.raises(UsageError) as refused:
        tt.imp(tt.Config(**DIGITS, out=str(tmp_path / "runs")), model=model)
    said = str(refused.value)
    assert what in said and instead in said and "\n" not in said and not (tmp_path / "runs").exists()


@pytest.mark.parametrize("flags, said", [
    ({"width": 4}, "--width=4 belongs to the networks that are here"),
    ({"head": "tvmf"}, "its last layer is the head"),
    ({"pretrained": "weights.h5"}, "load such weights in the function"),
    ({"model": "vgg11"}, "are two networks: keep one"),
    ({"model": "package.module:function"}, "tt.imp(config, model=function)"),
    ({"strategy": "multi_worker"}, "use one machine"),
])  # fmt: skip
def test_settings_that_do_not_fit_are_refused(flags, said, tmp_path):
    with pytest.raises(UsageError, match=said.replace("(", r"\(").replace(")", r"\)")):
        tt.imp(tt.Config(**DIGITS | flags, out=str(tmp_path)), model=lambda: sequential(layers.Conv2D(2, 3)))


@pytest.mark.parametrize("model, said", [
    ("ownshop.nets:residul", "has no function residul; did you mean ownshop.nets:residual?"),
    ("ownshop.net:residual", "ownshop.net cannot be imported: No module named 'ownshop.net'"),
    ("own:0123456789abcdef", "give --model=PACKAGE.MODULE:FUNCTION"),
    ("ownshop.nets:", "is not one of"),
])  # fmt: skip
def test_a_function_that_is_not_there_is_refused_on_the_command_line(shop, tmp_path, model, said):
    ran = main(shop, tmp_path, f"--model={model}", "--dataset=digits", "--dry_run")
    assert ran.returncode == 2 and ran.stderr.count("\n") == 1 and said in ran.stderr


def test_a_layer_is_registered_once_and_with_a_kernel_that_can_be_masked():
    class Halves(layers.Layer):
        pass

    class Quarters(layers.Layer):
        def get_config(self):
            return super().get_config()

    with pytest.raises(UsageError, match="has no get_config"):
        own_layers.register_layer(Halves)
    with pytest.raises(UsageError, match="derive it from tf_keras.layers.Layer"):
        own_layers.register_layer(dict)
    with pytest.raises(UsageError, match="no name of one attribute"):
        own_layers.register_layer(Quarters, kernel=("a", "b"))


@pytest.fixture(scope="module")
def run(shop, tmp_path_factory):
    """(folder, output of its dry run) of two rounds of a network with dropout and a residual, by the command line."""
    folder = tmp_path_factory.mktemp("run")
    given = [*words(), "--model=ownshop.nets:residual", f"--out={folder / 'runs'}"]
    planned = main(shop, folder, *given, "--dry_run")
    ran = main(shop, folder, *given)
    assert ran.returncode == 0, ran.stderr
    (place,) = folder.glob("runs/*/*")
    return place, planned


def test_a_dry_run_counts_the_weights_of_the_built_network_and_says_so(run):
    place, planned = run
    assert planned.returncode == 0
    assert "TensorFlow is loaded: the weights of --model=ownshop.nets:residual are counted" in planned.stderr
    assert "986 parameters, 776 prunable weights" in planned.stdout
    manifest = json.loads((place / "manifest.json").read_text())
    assert manifest["model"]["function"] == "--model=ownshop.nets:residual" and manifest["model"]["source"]


def test_python_and_the_command_line_share_folder_and_bits(run, tmp_path, shop):
    from ownshop import nets

    place, _ = run
    folder = tt.imp(tt.Config(**DIGITS, out=str(tmp_path)), model=nets.residual).folder
    assert runs.RunFolder(folder).name == runs.RunFolder(str(place)).name
    mine, theirs = (tt.Ticket.load(os.path.join(where, "ticket")) for where in (folder, place))
    assert mine.content_digest == theirs.content_digest
    again = tt.imp(tt.Config(**DIGITS, out=str(place.parent.parent)), model=nets.residual)
    assert again.folder == str(place)


def test_its_ticket_needs_no_code_of_the_users(run, tmp_path, shop):
    place, nowhere = tmp_path / "digits-own-copy" / "seed_0", tmp_path / "nowhere"
    shutil.copytree(run[0], place)
    nowhere.mkdir()
    report = main(nowhere, tmp_path, "report", str(place), f"--out={tmp_path / 'report'}")
    assert report.returncode == 0 and (tmp_path / "report" / "report.html").exists(), report.stderr
    assert main(nowhere, tmp_path, "verify", str(place / "ticket")).returncode == 0
    measured = main(nowhere, tmp_path, "evaluate", str(place))
    assert measured.returncode == 0, measured.stderr
    ticket = tt.Ticket.load(place / "ticket")
    images = np.random.default_rng(0).integers(0, 17, (4, 8, 8, 1), np.uint8)
    served = tf.saved_model.load(str(place / "ticket")).signatures["serving_default"](images=tf.constant(images))
    np.testing.assert_allclose(served["probabilities"], ticket.predict(images), rtol=0, atol=1e-5)
    assert "runtime.npz" in tt.export(str(place / "ticket"), out=tmp_path / "files")
    network = runtime.load(str(place / "ticket"))
    np.testing.assert_allclose(network.predict(images), ticket.predict(images), rtol=0, atol=1e-5)


def test_killed_on_the_command_line_it_goes_on_with_the_same_bits(run, tmp_path, shop):
    given = [*words(), "--model=ownshop.nets:residual", f"--out={tmp_path / 'killed'}"]
    started = subprocess.Popen(
        [sys.executable, "-m", "tf_tickets.main", *given], cwd=tmp_path, env=environment(shop),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not list(tmp_path.glob("killed/*/*/round_00/summary.json")) and started.poll() is None:
        time.sleep(0.02)
    started.send_signal(signal.SIGKILL)
    started.wait()
    (place,) = tmp_path.glob("killed/*/*")
    continued = main(shop, tmp_path, f"--flagfile={place / 'config.cfg'}")  # by what the folder keeps
    assert continued.returncode == 0, continued.stderr
    trees.assert_equal(trees.contents(place), trees.contents(run[0]))


@pytest.mark.parametrize("change, said", [
    (lambda document: document["layers"][0].update(class_name="Lambda"), "which no network here has"),
    (lambda document: document["layers"][0].update(class_name="os>system"), "--plugins=os"),
    (lambda document: document["layers"][3]["config"].update(function="io.write_file"), "no operation"),
    (lambda document: document["layers"][0]["config"].update(activation={"class_name": "function"}), "no activation"),
    (lambda document: document["layers"][0]["config"].update(kernel_initializer={"class_name": "A", "config": {}}),
     "no initializer"),
    (lambda document: document["layers"][0]["args"].append({"tensor": "dense"}), "cannot be built"),
    (lambda document: document["layers"][0].update(name="../up"), "no name of a layer"),
    (lambda document: document["layers"][0]["config"].update(filters=1 << 40), "more weights than any layer"),
    (lambda document: document.update(layers=[]), "no layers"),
    (lambda document: document["kernels"][0].__setitem__(2, [3, 3, 1, 9]), "let them agree"),
    (lambda document: document.update(kernels=[]), "made up"),
    (lambda document: document.update(starts="x"), "made up"),
])  # fmt: skip
def test_an_architecture_that_was_made_up_is_refused_and_executes_nothing(run, change, said):
    document = json.loads((run[0] / own_networks.FILE).read_text())
    del document["self_sha256"]
    change(document)
    name = own_networks.keep(document)
    with pytest.raises(UsageError, match=said):
        builder.build(name, classes=10, image_shape=SHAPE)


def test_a_changed_architecture_is_refused_by_its_hash(run, tmp_path, shop):
    (tmp_path / "config.cfg").write_bytes((run[0] / "config.cfg").read_bytes())
    said = main(shop, tmp_path, "--flagfile=config.cfg", "--dry_run")
    assert said.returncode == 2 and "architecture.json cannot be read" in said.stderr
    document = json.loads((run[0] / own_networks.FILE).read_text()) | {"pixels": True}
    (tmp_path / own_networks.FILE).write_bytes(files.canonical(document))
    said = main(shop, tmp_path, "--flagfile=config.cfg", "--dry_run")
    assert said.returncode == 2 and "does not have its recorded hash" in said.stderr and said.stderr.count("\n") == 1


def test_a_layer_of_the_users_own_is_masked_and_its_ticket_names_the_module(shop, tmp_path, monkeypatch):
    from ownshop import parts

    monkeypatch.setattr(checkpoints, "_WRITING_SHARE", 1e9)
    config = tt.Config(**DIGITS, out=str(tmp_path / "whole"))

    def command(settings, stop=lambda: False):
        return tt.imp(settings, stop, model=parts.mixed)

    assert stops.assert_stopping_changes_nothing(command, config, tmp_path / "parts", after=(1, 2, 40)) >= 2
    folder = command(config).folder
    ticket = tt.Ticket.load(os.path.join(folder, "ticket"))
    assert "the runtime does not know mixer (Mixer)" in tt.export(ticket.folder, out=tmp_path / "files")
    assert list(ticket.masks) == ["separable_conv2d.depthwise", "separable_conv2d.pointwise", "conv2d", "mixer"]
    assert not ticket.masks["mixer"].all() and not ticket.trained["mixer/kernel"][~ticket.masks["mixer"]].any()
    images = np.random.default_rng(0).integers(0, 17, (40, 8, 8, 1), np.uint8)
    np.save(tmp_path / "wanted.npy", ticket.predict(images))
    manifest = json.loads((tmp_path / folder / "manifest.json").read_text())
    assert manifest["versions"]["layer ownshop.parts>Mixer"].startswith("source ")
    refused = main(shop, tmp_path, "evaluate", os.path.join(folder, "ticket"))
    assert refused.returncode == 2 and "add --plugins=ownshop.parts to the command" in refused.stderr
    assert main(shop, tmp_path, "evaluate", os.path.join(folder, "ticket"), "--plugins=ownshop.parts").returncode == 0


@pytest.mark.slow
def test_mobilenet_at_96_pixels_through_rounds(tmp_path, monkeypatch):
    """The idiom of Keras' guides: preprocessing as operations, an application as a layer, pooling, dropout, a head."""

    def build(classes, image_shape):
        base = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=image_shape)
        images = keras.Input(image_shape)
        x = keras.applications.mobilenet_v2.preprocess_input(images)
        x = layers.GlobalAveragePooling2D()(base(x))
        return keras.Model(images, layers.Dense(classes)(layers.Dropout(0.2)(x)))

    def on_grey(classes, image_shape):
        images = keras.Input(image_shape)
        colours = layers.Concatenate()([images] * 3)
        return keras.Model(images, build(classes, (*image_shape[:2], 3))(colours))

    monkeypatch.setattr(checkpoints, "_WRITING_SHARE", 1e9)
    config = tt.Config(**DIGITS | {"epochs": 2, "image_size": 96}, out=str(tmp_path / "whole"))

    def command(settings, stop=lambda: False):
        return tt.imp(settings, stop, model=on_grey)

    assert stops.assert_stopping_changes_nothing(command, config, tmp_path / "parts", after=(1, 40)) >= 1
    ticket = tt.Ticket.load(os.path.join(command(config).folder, "ticket"))
    assert len(ticket.masks) == 52 and "block_3_depthwise" in ticket.masks
    assert ticket.data["mean"] == [0.0] and ticket.data["deviation"] == [1 / 255]
    images = np.random.default_rng(1).integers(0, 17, (4, 8, 8, 1), np.uint8)
    served = tf.saved_model.load(ticket.folder).signatures["serving_default"](images=tf.constant(images))
    np.testing.assert_allclose(served["probabilities"], ticket.predict(images), rtol=0, atol=1e-5)
    assert isinstance(ticket.model, keras.Model)
