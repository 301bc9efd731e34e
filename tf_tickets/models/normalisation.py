"""Batch normalisation of another kind in a network's place, and that of a pretrained network whose statistics stay."""

from tf_tickets.backend import keras, tf
from tf_tickets.models import state


class FrozenNormalisation(keras.layers.BatchNormalization):
    """Batch normalisation by the running statistics, also when training, which never change; scale and shift train."""

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """[n, ..., channels] -> the same shape."""
        return super().call(inputs, training=False)


def freeze(model: keras.Model) -> keras.Model:
    """A clone of a functional network, with its state, whose normalisation statistics are those that it has now."""
    return replaced(model, FrozenNormalisation)


def replaced(model: keras.Model, normalisation: type[keras.layers.BatchNormalization]) -> keras.Model:
    """A clone of a functional network, with its state, whose batch normalisations are of another class."""

    def clone(layer):
        kind = layer.__class__
        if kind is keras.layers.BatchNormalization:
            kind = normalisation
        return kind.from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=clone)
    state.set_state(copy, state.get_state(model))
    return copy
