"""Keras networks of the user's own that cannot be pruned, and architectures that were made up."""

import keras as keras3
import pytest
from own_shop import DIGITS, SHAPE, layers, main, sequential

import tf_tickets as tt
from tf_tickets.backend import keras, tf
from tf_tickets.errors import UsageError
from tf_tickets.models import own_layers


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
    "a Sequential of Keras 3 that does not know its images": (
        lambda: keras3.Sequential([keras3.layers.Flatten(), keras3.layers.Dense(10)]), "keras.Input(shape)"),
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
    "ZeroDivisionError": (lambda: 1 // 0, "test_own_networks_refused.py, line"),
    "its parameter depth has no default": (lambda depth: depth, "may take classes and image_shape"),
    "is a Conv2DTranspose": (lambda: sequential(layers.Conv2DTranspose(4, 3)), "use other layers"),
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
    ({"control": "small_dense", "ticket": "ticket"}, "train a narrower one without --ticket"),
])  # fmt: skip
def test_settings_that_do_not_fit_are_refused(flags, said, tmp_path):
    with pytest.raises(UsageError, match=said.replace("(", r"\(").replace(")", r"\)")):
        command = tt.train if "control" in flags else tt.imp
        command(tt.Config(**DIGITS | flags, out=str(tmp_path)), model=lambda: sequential(layers.Conv2D(2, 3)))


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
