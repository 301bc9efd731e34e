"""TensorFlow and keras-cv, imported at their first use: operations are registered, and policies checked, before."""

import contextlib
import functools
import io
import os
import types
import typing

from tf_tickets.errors import UsageError
from tf_tickets.lazy_modules import LazyModule

# A tf.Tensor, in annotations.
Tensor = typing.Any


def _tensorflow():
    from tf_tickets import backend

    return backend.tf


tf = LazyModule(_tensorflow)


@functools.cache
def keras_cv() -> types.ModuleType:
    """keras-cv. Loading it takes a second and a half: only policies and losses that need it do.

    Raises:
      UsageError: Keras computes with something else than TensorFlow here.
    """
    chosen = os.environ.get("KERAS_BACKEND", "tensorflow")
    if chosen != "tensorflow":
        raise UsageError(
            f"KERAS_BACKEND={chosen}: keras-cv, which has what is asked for, would compute with {chosen}; "
            "set KERAS_BACKEND=tensorflow before Python starts"
        )
    with contextlib.redirect_stdout(io.StringIO()):  # keras-core says there that it uses TensorFlow
        import keras_cv
    return keras_cv
