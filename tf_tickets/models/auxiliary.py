"""Auxiliary normalisation: a second batch normalisation at every place, for adversarial images (Xie et al. 2020)."""

import contextlib
import contextvars
from collections.abc import Iterator

from tf_tickets.backend import keras, tf
from tf_tickets.models import names, state

# Replicas are traced by threads of their own; each has its own value.
_active = contextvars.ContextVar("auxiliary_normalisation", default=False)


@contextlib.contextmanager
def path() -> Iterator[None]:
    """Inside, networks of `add` normalise by their auxiliary layers."""
    token = _active.set(True)
    try:
        yield
    finally:
        _active.reset(token)


class PairedNormalization(keras.layers.Layer):
    """Two batch normalisations at one place, each with statistics, scale and shift of its own.

    Attributes:
      parts: (the network's own, the auxiliary one), keras.layers.BatchNormalization.
    """

    def __init__(self, settings, kind=keras.layers.BatchNormalization, **kwargs):
        """`settings` are those of the network's own BatchNormalization, whose class is `kind`."""
        super().__init__(**kwargs)
        self.settings, self.kind = settings, kind
        self.parts = tuple(
            kind.from_config({**settings, "name": name}) for name in (self.name, f"{self.name}{names.AUXILIARY}")
        )

    def build(self, shape: tf.TensorShape) -> None:
        """Both layers' variables."""
        for part in self.parts:
            part.build(shape)
        super().build(shape)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """The layer of the path that is being run."""
        return self.parts[int(_active.get())](inputs, training=training)

    def get_config(self) -> dict:
        """The settings of the network's own layer, and its class."""
        return {**super().get_config(), "settings": self.settings, "kind": self.kind}


def add(model: keras.Model) -> keras.Model:
    """A clone of a functional network whose batch normalisations are paired.

    Both of a pair start from the state of the network's own. Outside `path` the clone computes what `model` does.
    """

    def clone(layer):
        settings = layer.get_config()
        if isinstance(layer, keras.layers.BatchNormalization):
            return PairedNormalization(settings, layer.__class__, name=layer.name, dtype=layer.dtype_policy)
        return layer.__class__.from_config(settings)

    paired = keras.models.clone_model(model, clone_function=clone)
    state.set_state(paired, names.with_auxiliary(state.get_state(model), state.variables(paired)))
    return paired
