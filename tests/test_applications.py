"""Networks of tf_keras.applications by name: as Keras builds them, their weights by name and from files, whole runs."""

import os
import re
import signal
import subprocess
import sys
import time

import command_server
import numpy as np
import pytest
import stops
import trees
from conftest import ROOT

import tf_tickets as tt
from tf_tickets import runs, storage
from tf_tickets.backend import keras, tf
from tf_tickets.errors import UsageError
from tf_tickets.export import keras_program
from tf_tickets.models import architecture, initial, keras_layers, pretrained, state
from tf_tickets.models.description import VarianceScaling
from tf_tickets.models.families import keras_weights
from tf_tickets.registry import NETWORKS
from tf_tickets.training import checkpoints

# Trainable parameters without the top, as Keras' own summaries count them.
TRAINABLE = {
    "MobileNetV2": 2223872, "EfficientNetV2B0": 5858704, "ResNet50V2": 23519360, "DenseNet121": 6953856,
    "ConvNeXtTiny": 27820128,
}  # fmt: skip
SHOWN = tuple(TRAINABLE)
# Of every way in which an application is put anew, one that is quick to build.
OTHERS = ("VGG16", "MobileNetV3Small", "Xception", "ResNetRS50", "RegNetY002", "InceptionV3")
DIGITS = {
    "dataset": "digits", "per_class": 6, "epochs": 3, "rounds": 2, "rewind": "epoch:1", "batch_size": 20,
    "progress": "none", "tensorboard": False, "image_size": 32, "model": "keras:MobileNetV2",
}  # fmt: skip


def built(name, side=32, channels=3, **given):
    shape = (side, side, channels)
    return tt.models.build(f"keras:{name}", classes=4, image_shape=shape, stem="full", **given)


def application(name, side=32):
    """Keras' own, whose every weight is moved, with outputs that stay in range."""
    model = getattr(keras.applications, name)(
        include_top=False, weights=None, pooling="avg", input_shape=(side,) * 2 + (3,)
    )
    draws = np.random.default_rng(3)
    for weight in model.weights:
        if weight.dtype.is_floating and not re.search("normalization/(mean|variance)", weight.name):
            values = weight.numpy()
            scale = 0.1 * (np.abs(values).max() or 1.0)
            weight.assign(np.abs(values + draws.uniform(-scale, scale, values.shape)) if "variance" in weight.name
                          else values + draws.uniform(-scale, scale, values.shape))  # fmt: skip
    return model


def saved(model, name, folder):
    path = os.path.join(folder, "models", keras_weights.published(name)[0])
    os.makedirs(os.path.dirname(path), exist_ok=True)
    model.save_weights(path)
    return path


def loaded(name, model, path):
    network = architecture.describe(f"keras:{name}", classes=4, image_shape=model.input_shape[1:], stem="full")
    pretrained.load(model, network.own_names(model, pretrained.read(path, model=model)))
    return keras.Model(model.input, model.get_layer("features").output)


@pytest.mark.parametrize("name", SHOWN)
def test_counts_are_those_of_keras_and_need_no_tensorflow(name):
    network = architecture.describe(f"keras:{name}", classes=7, image_shape=(64, 64, 3), stem="full")
    assert network.trainable_parameters() - 7 * (network.features + 1) == TRAINABLE[name]
    assert network.prunable() == network.body()
    code = (
        "import sys; from tf_tickets.models import architecture as a; "
        f"a.describe('keras:{name}', classes=7, image_shape=(64, 64, 3), stem='full').kernels(); "
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def assert_as_keras(name, side, home):
    """Its features of pictures, prepared as the entry says, are those of Keras' network on what Keras prepares."""
    theirs = application(name, side)
    path = saved(theirs, name, home)
    assert NETWORKS[f"keras:{name}"].imagenet.find() == path
    ours = loaded(name, built(name, side), path)
    images = np.random.default_rng(0).integers(0, 256, (3, side, side, 3)).astype(np.float32)
    module = sys.modules[getattr(keras.applications, name).__module__]
    mean, deviation = NETWORKS[f"keras:{name}"].normalisation
    # Keras' prepares caffe's pictures in place.
    wanted = theirs(prepared(name, module, images.copy())).numpy()
    features = ours(((images / 255 - mean) / deviation).astype(np.float32)).numpy()
    assert np.isfinite(wanted).all() and wanted.std() > 0
    np.testing.assert_allclose(features, wanted, rtol=2e-3, atol=2e-4 * np.abs(wanted).max())


def prepared(name, module, images):
    if re.fullmatch("ResNet.*V2", name):
        return keras.applications.resnet_v2.preprocess_input(images)
    return module.preprocess_input(images)


def test_it_computes_what_keras_own_computes_with_its_preprocessing_and_weights():
    assert_as_keras("MobileNetV2", 32, os.environ["KERAS_HOME"])


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SHOWN[1:], *OTHERS])
def test_every_way_of_putting_layers_computes_what_keras_does(name):
    assert_as_keras(name, 96, os.environ["KERAS_HOME"])


def test_grey_images_are_seen_as_three_equal_colours():
    colours, grey = built("MobileNetV2"), built("MobileNetV2", channels=1)
    state.set_state(grey, state.get_state(colours))
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype(np.float32)
    np.testing.assert_allclose(grey(images), colours(np.repeat(images, 3, axis=-1)), rtol=0, atol=1e-6)


def test_weights_with_a_top_and_weights_of_the_house_are_taken_and_others_refused(tmp_path):
    source = keras.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3))
    source.save_weights(tmp_path / "top.h5")
    model = built("MobileNetV2", seed=1)
    loaded("MobileNetV2", model, str(tmp_path / "top.h5"))
    np.testing.assert_array_equal(model.get_layer("Conv1").kernel, source.get_layer("Conv1").kernel)
    depthwise = source.get_layer("block_7_depthwise").depthwise_kernel
    np.testing.assert_array_equal(model.get_layer("block_7_depthwise").kernel, depthwise)
    model.save_weights(tmp_path / "house.h5")
    again = built("MobileNetV2", seed=2)
    loaded("MobileNetV2", again, str(tmp_path / "house.h5"))
    for name, array in state.get_state(again).items():
        if not name.startswith("linear/"):
            np.testing.assert_array_equal(array, state.get_state(model)[name], err_msg=name)
    keras.applications.VGG16(weights=None, include_top=False).save_weights(tmp_path / "vgg.h5")
    with pytest.raises(UsageError, match="it is another network's file"):
        loaded("MobileNetV2", again, str(tmp_path / "vgg.h5"))


def test_weights_that_are_not_here_are_named_at_once(command, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing listens there
    began = time.monotonic()
    ran = command(tmp_path, "--dataset=digits", "--model=keras:MobileNetV2", "--pretrained=imagenet", "--dry_run")
    assert ran.returncode == 2 and time.monotonic() - began < 60
    (line,) = (line for line in ran.stderr.splitlines() if "downloading" not in line)
    file = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    assert f"--pretrained=imagenet needs {file}, which is not in {tmp_path / 'keras' / 'models'}" in line
    assert "--pretrained=FILE" in line and not (tmp_path / "keras" / "models").exists()


@pytest.mark.parametrize(
    "name", ["MobileNetV2", *(pytest.param(name, marks=pytest.mark.slow) for name in [*SHOWN[1:], *OTHERS])]
)
def test_the_file_and_its_address_are_those_that_keras_would_fetch(name, monkeypatch):
    from tf_keras.src.utils import data_utils

    asked = []

    def fetched(file, address, **others):
        asked.extend((file, address))
        raise FileNotFoundError(file)

    monkeypatch.setattr(data_utils, "get_file", lambda fname, origin, **others: fetched(fname, origin))
    with pytest.raises(FileNotFoundError):
        getattr(keras.applications, name)(include_top=False)
    assert tuple(asked) == keras_weights.published(name)


def test_every_application_that_is_listed_has_its_facts():
    every = {f"keras:{name}" for name in dir(keras.applications) if name[0].isupper()}
    listed = {name for name in NETWORKS.near("keras:") if keras_weights.published(name.partition(":")[2])}
    assert listed == every
    for name in listed:
        entry, least = NETWORKS[name], 75
        network = entry.describe(model=name, image_shape=(least,) * 2 + (3,), stem="full", width=entry.default_width,
                                 classes=3, head="linear", kappa=16.0)  # fmt: skip
        assert network.features > 0 and len({kernel.name for kernel in network.kernels()}) == len(network.kernels())


@pytest.mark.parametrize("flags, said", [
    (["--model=keras:MobilNetV2"], "did you mean keras:MobileNetV2?"),
    (["--model=keras:MobileNetV2", "--width=16"], "--width=16: keras:MobileNetV2 is as Keras builds it, of width 32"),
    (["--model=keras:MobileNetV2", "--stem=small"], "--stem=small: keras:MobileNetV2 has the stem that Keras gives it"),
    (["--model=keras:Xception", "--image_size=70"], "keras:Xception takes images of 71 pixels or more"),
    (["--model=keras:ConvNeXtTiny", "--adversarial"], "--adversarial needs batch normalisation"),
])  # fmt: skip
def test_what_an_application_is_not_is_refused_in_one_line(command, tmp_path, flags, said):
    ran = command(tmp_path, "--dataset=cifar10", *flags, "--dry_run")
    assert ran.returncode == 2 and ran.stderr.count("\n") == 1 and said in ran.stderr


def test_kernels_are_drawn_as_keras_draws_them():
    shape = (3, 3, 64, 96)
    for scaling in (
        VarianceScaling(1.0, "fan_avg", "uniform"),
        VarianceScaling(2.0, "fan_out", "truncated_normal"),
        VarianceScaling(2.0, "fan_in", "untruncated_normal"),
    ):
        drawn = initial.scaled(5, "a layer", "kernel", shape, scaling=scaling)
        theirs = keras.initializers.VarianceScaling(scaling.scale, scaling.mode, scaling.distribution, seed=1)(shape)
        assert abs(drawn.mean()) < 4 * drawn.std() / np.sqrt(drawn.size)
        np.testing.assert_allclose(drawn.std(), np.std(theirs), rtol=0.02)
        np.testing.assert_allclose(np.quantile(drawn, 0.999), np.quantile(theirs, 0.999), rtol=0.05)
        np.testing.assert_array_equal(drawn, initial.scaled(5, "a layer", "kernel", shape, scaling=scaling))


def test_dropout_draws_by_what_it_sees_alone():
    layer = keras_layers.StatelessDropout(0.25, (None, 1, 1, 1), name="drop")
    images = tf.constant(np.random.default_rng(0).normal(size=(4000, 2, 2, 3)), tf.float32)
    dropped = layer(images, training=True).numpy()
    stays = np.any(dropped != 0, axis=(1, 2, 3))
    assert abs(stays.mean() - 0.75) < 0.03
    np.testing.assert_allclose(dropped[stays], images.numpy()[stays] / 0.75, rtol=1e-6)
    np.testing.assert_array_equal(layer(images, training=True), dropped)
    assert (np.any(layer(images + 1.0, training=True).numpy() != 0, axis=(1, 2, 3)) != stays).any()
    other = keras_layers.StatelessDropout(0.25, (None, 1, 1, 1), name="drop too")
    assert (np.any(other(images, training=True).numpy() != 0, axis=(1, 2, 3)) != stays).any()
    np.testing.assert_array_equal(layer(images, training=False), images)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(folder, the weights that were loaded by position) of two rounds from weights in Keras' folder."""
    home = tmp_path_factory.mktemp("keras")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("KERAS_HOME", str(home))
        source = application("MobileNetV2")
        saved(source, "MobileNetV2", str(home))
        still = {"learning_rate": 1e-20, "weight_decay": 0.0, "pretrained": "imagenet", "rewind": "pretrained"}
        config = tt.Config.from_values(**DIGITS | still, out=str(tmp_path_factory.mktemp("runs")))
        return tt.imp(config).folder, source


def test_a_run_from_published_weights_keeps_them_exactly_and_names_them(run):
    folder, source = run
    assert "/digits-keras-MobileNetV2-" in folder
    ticket = tt.Ticket.load(os.path.join(folder, "ticket"))
    depthwise = source.get_layer("block_3_depthwise").depthwise_kernel.numpy()
    mask = ticket.masks["block_3_depthwise"]
    assert not mask.all()
    np.testing.assert_array_equal(ticket.rewound["block_3_depthwise/kernel"], np.where(mask, depthwise, 0.0))
    np.testing.assert_array_equal(ticket.rewound["bn_Conv1/gamma"], source.get_layer("bn_Conv1").gamma)
    assert "as Keras publishes it for MobileNetV2" in ticket.settings["backbone"]["origin"]
    with open(os.path.join(folder, "ticket", "MODEL_CARD.md"), encoding="utf-8") as card:
        assert "keras.io/api/applications" in card.read()


def test_its_ticket_is_served_by_tensorflow_alone_and_by_the_runtime(run):
    path = os.path.join(run[0], "ticket")
    ticket = tt.Ticket.load(path)
    images = np.random.default_rng(1).integers(0, 17, (4, 8, 8, 1), np.uint8)
    wanted = ticket.predict(images)
    served = tf.saved_model.load(path).signatures["serving_default"](images=tf.constant(images))
    np.testing.assert_allclose(served["probabilities"], wanted, rtol=0, atol=1e-5)
    assert keras_program.unknown(ticket.model) == "colours (Concatenate)"
    assert storage.read_json(os.path.join(path, runs.DOCUMENT))["program"] is None


def test_the_runtime_executes_one_of_layers_that_it_knows(run, tmp_path):
    ticket = tt.Ticket.load(os.path.join(run[0], "ticket"))
    model = built("MobileNetV2", seed=4)
    assert keras_program.unknown(model) is None and keras_program.of(model)
    assert keras_program.unknown(built("VGG16")) == "reversed (ReversedChannels)"
    assert ticket.model.get_layer("Conv1_relu").max_value == 6.0


@pytest.mark.slow
@pytest.mark.parametrize("name", SHOWN)
def test_a_whole_run_is_killed_goes_on_with_the_same_bits_and_is_exported(name, tmp_path, command):
    words = [
        f"--{flag}={value}" for flag, value in (DIGITS | {"model": f"keras:{name}"}).items() if flag != "tensorboard"
    ]
    words.append("--notensorboard")
    whole = command(tmp_path, *words, f"--out={tmp_path / 'whole'}", "--dry_run")
    assert whole.returncode == 0, whole.stderr
    started = command_server.loaded().start(ROOT, ["imp", *words, f"--out={tmp_path / 'killed'}"])
    while not list(tmp_path.glob("killed/*/*/round_00/summary.json")) and started.poll() is None:
        time.sleep(0.05)
    started.send_signal(signal.SIGKILL)
    started.communicate()
    config = tt.Config.from_values(**DIGITS | {"model": f"keras:{name}"}, out=str(tmp_path / "whole"))
    folder = tt.imp(config).folder
    continued = tt.imp(config.replace(out=str(tmp_path / "killed"))).folder
    trees.assert_equal(trees.contents(continued), trees.contents(folder))
    ticket = tt.Ticket.load(os.path.join(folder, "ticket"))
    images = np.random.default_rng(1).integers(0, 17, (4, 8, 8, 1), np.uint8)
    served = tf.saved_model.load(os.path.join(folder, "ticket")).signatures["serving_default"](
        images=tf.constant(images)
    )
    np.testing.assert_allclose(served["probabilities"], ticket.predict(images), rtol=0, atol=1e-5)


@pytest.mark.slow
def test_with_dropout_it_is_stopped_anywhere_and_ends_in_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "_WRITING_SHARE", 1e9)
    config = tt.Config.from_values(**DIGITS | {"model": "keras:EfficientNetV2B0"}, out=str(tmp_path / "whole"))
    assert stops.assert_stopping_changes_nothing(tt.imp, config, tmp_path / "parts", after=(1, 2, 40)) >= 2
