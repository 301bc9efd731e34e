"""A package of a user's own with Keras networks, installed beside the program, and commands in its reach."""

import os
import pathlib
import subprocess
import sys

import command_server

from tf_tickets.backend import keras

ROOT = pathlib.Path(__file__).parent.parent
layers = keras.layers
SHAPE = (8, 8, 1)
DIGITS = {
    "dataset": "digits", "per_class": 6, "epochs": 3, "rounds": 2, "rewind": "epoch:1", "batch_size": 20,
    "progress": "none", "tensorboard": False,
}  # fmt: skip
NETS = """
import tf_keras
from tf_keras import Input, Model, layers


def residual(classes, image_shape):
    images = Input(image_shape)
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(images)
    y = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", use_bias=False)(x))
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x + y))
    x = layers.Dropout(0.25)(layers.Dense(16, activation="relu")(x))
    return Model(images, layers.Dense(classes)(x))


def grouped(classes, image_shape):
    images = Input(image_shape)
    x = layers.Conv2D(8, 3, padding="same", groups=4, activation="relu")(layers.Conv2D(8, 2)(images))
    x = layers.DepthwiseConv2D(3, depth_multiplier=2)(layers.Conv2D(8, 2, strides=2, groups=2, use_bias=False)(x))
    return Model(images, layers.Dense(classes)(layers.GlobalAveragePooling2D()(x)))


def mobile(classes, image_shape):
    '''The idiom of Keras' guides: preprocessing as operations, an application as a layer, pooling, dropout, a head.'''
    images = Input(image_shape)
    colours = layers.Concatenate()([images] * 3)
    base = tf_keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(*image_shape[:2], 3))
    x = base(tf_keras.applications.mobilenet_v2.preprocess_input(colours))
    return Model(images, layers.Dense(classes)(layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))))
"""
PARTS = """
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


def install(folder):
    """Writes the package `ownshop`, of the modules nets and parts, into a folder."""
    (folder / "ownshop").mkdir()
    for name, text in (("__init__", ""), ("nets", NETS), ("parts", PARTS)):
        (folder / "ownshop" / f"{name}.py").write_text(text)


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


def main_loaded(shop, folder, *given):
    """`main` where TensorFlow is imported before: for what a run leaves, not for what is said of it."""
    return command_server.loaded().run(folder, given, environment=environment(shop))


def sequential(*middle, shape=SHAPE, outputs=10):
    return keras.Sequential([keras.Input(shape), *middle, layers.Flatten(), layers.Dense(outputs)])
