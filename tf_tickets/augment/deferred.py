"""TensorFlow, imported at its first use: operations are registered, and policies checked, without it."""

import typing

# A tf.Tensor, in annotations.
Tensor = typing.Any


class _TensorFlow:
    def __getattr__(self, name):
        from tf_tickets import backend

        return getattr(backend.tf, name)


tf = _TensorFlow()
