"""TensorFlow, imported at its first use: operations are registered, and policies checked, without it."""

import typing

from tf_tickets.lazy_modules import LazyModule

# A tf.Tensor, in annotations.
Tensor = typing.Any


def _tensorflow():
    from tf_tickets import backend

    return backend.tf


tf = LazyModule(_tensorflow)
