"""Least squares over the weights that a mask leaves: the kernel with which a layer gives certain outputs.

A dense layer multiplies rows of inputs by a matrix. So does a convolution: its rows are the patches that its kernel
meets. A convolution of several groups of channels has a matrix for each group, a depthwise one for each channel.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tf_tickets import seeds
from tf_tickets.backend import keras, tf
from tf_tickets.models import layers
from tf_tickets.models.keras_layers import Convolution
from tf_tickets.runtime.program import cosine_filters

# How strongly a weight is held where it was, as a share of the mean square of the inputs.
RIDGE = 0.01
# Rows for each weight of a column, within bounds: more than there are weights, or the fit follows single images.
_ROWS_PER_WEIGHT, _FEWEST_ROWS, _MOST_ROWS = 10, 2_000, 20_000
# Conjugate gradients end when each column's residual has fallen to this share, squared, or after so many steps.
_TOLERANCE, _STEPS = 1e-8, 100
# Images whose patches are in memory at a time.
_PART = 16


def fitted(inputs: tf.Tensor, outputs: tf.Tensor, weights: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """The weights w under a mask that minimise |outputs - inputs w|^2 + r |w - weights|^2, column by column.

    r is `RIDGE` times the mean over columns of the inputs of their sum of squares: a weight of which the inputs say
    nothing stays as it was. By conjugate gradients on the normal equations, preconditioned by their diagonal (Hestenes
    and Stiefel 1952), from the masked weights on.

    Args:
      inputs: float32 [groups, rows, in].
      outputs: float32 [groups, rows, out].
      weights, mask: float32 [groups, in, out]; the mask of ones and zeros.

    Returns:
      float32 [groups, in, out], zero where the mask is.
    """
    gram = tf.matmul(inputs, inputs, transpose_a=True)
    diagonal = tf.linalg.diag_part(gram)[:, :, None]
    ridge = tf.maximum(RIDGE * tf.reduce_mean(diagonal, 1, keepdims=True), 1e-20)  # above zero for inputs that are zero
    solution, preconditioner = weights * mask, mask / (diagonal + ridge)
    lacking = tf.matmul(inputs, outputs - tf.matmul(inputs, solution), transpose_a=True)
    residual = mask * (lacking + ridge * (weights - solution))
    direction = preconditioner * residual
    norm = first = tf.reduce_sum(residual * direction, 1, keepdims=True)
    for _ in range(_STEPS):
        image = mask * (tf.matmul(gram, direction) + ridge * direction)
        length = tf.math.divide_no_nan(norm, tf.reduce_sum(direction * image, 1, keepdims=True))
        solution, residual = solution + length * direction, residual - length * image
        previous, norm = norm, tf.reduce_sum(residual * preconditioner * residual, 1, keepdims=True)
        if tf.reduce_all(norm <= _TOLERANCE * first):
            break
        direction = preconditioner * residual + tf.math.divide_no_nan(norm, previous) * direction
    return solution


def _patches(inputs, size, strides, padding, dilation=(1, 1)):
    taken = tf.image.extract_patches(inputs, [1, *size, 1], [1, *strides, 1], [1, *dilation, 1], padding)
    return tf.reshape(taken, [taken.shape[0], -1, size[0] * size[1], inputs.shape[-1]])


def _of_keras(layer, inputs):
    return _patches(inputs, layer.kernel_size, layer.strides, layer.padding.upper(), layer.dilation_rate)


def _of_shaped(layer, inputs):
    return _patches(inputs, layer.kernel_shape[:2], layer.strides, layer.padding.upper(), layer.dilation_rate)


def _of_padded(layer, inputs):
    return _patches(tf.pad(inputs, layer.pads), layer.kernel.shape[:2], (layer.stride,) * 2, "VALID")


def _of_harmonic(layer, inputs):
    """The patches' responses to the cosine filters, whose coefficients the kernel holds."""
    filters = cosine_filters(layer.size).reshape(layer.size**2, layer.size**2)
    return tf.einsum("fp,nqpc->nqfc", tf.constant(filters, inputs.dtype), _of_padded(layer, inputs))


def _of_dense(layer, inputs):
    return tf.reshape(inputs, [inputs.shape[0], -1, 1, inputs.shape[-1]])


# What the kernel of a layer meets: function (layer, inputs) -> [n, positions, pixels of a patch, channels].
_MET: dict[type, Callable] = {
    layers.HarmonicConvolution: _of_harmonic,
    layers.DepthwiseConvolution: _of_padded,
    layers.StridedPointwise: _of_padded,
    Convolution: _of_shaped,
    keras.layers.Conv2D: _of_keras,
    keras.layers.Dense: _of_dense,
}


def is_known(layer: keras.layers.Layer) -> bool:
    """Whether a layer is one whose outputs are its inputs times its kernel in a way that `refitted` knows."""
    is_linear = getattr(layer, "activation", None) in (None, keras.activations.linear)
    return is_linear and isinstance(layer, tuple(_MET))


def refitted(layer: keras.layers.Layer, mask: np.ndarray, inputs: tf.Tensor, outputs: tf.Tensor) -> np.ndarray:
    """The kernel of a layer under a mask, fitted to give outputs for inputs; its bias stays.

    Args:
      layer: one that `is_known`.
      mask: boolean, of the kernel's shape.
      inputs: as the layer takes them, float32 [n, ...].
      outputs: what it should give, bias included, float32 [n, ..., channels].

    Returns:
      float32, of the kernel's shape. Of each image some positions are looked at, drawn by the layer's name.
    """
    kernel, bias = layer.kernel, getattr(layer, "bias", None)
    wanted, channels = np.shape(outputs)[-1], np.shape(inputs)[-1]
    is_depthwise = isinstance(layer, layers.DepthwiseConvolution) or getattr(layer, "depthwise", False)
    groups = channels if is_depthwise else channels // kernel.shape[-2]
    height = mask.size // wanted
    met, outputs = _rows(layer, inputs, outputs if bias is None else outputs - bias, _ROWS_PER_WEIGHT * height)

    def matrices(array):
        """[..., weights of a column, groups x out] -> [groups, weights of a column, out]."""
        return tf.transpose(tf.reshape(tf.cast(array, tf.float32), [-1, groups, wanted // groups]), [1, 0, 2])

    pixels = met.shape[1]
    by_group = tf.transpose(tf.reshape(met, [-1, pixels, groups, channels // groups]), [2, 0, 1, 3])
    solved = fitted(tf.reshape(by_group, [groups, -1, height]), matrices(outputs), matrices(kernel), matrices(mask))
    return tf.reshape(tf.transpose(solved, [1, 0, 2]), kernel.shape).numpy()


def _rows(layer, inputs, outputs, count):
    """About as many rows, as many of each image: (patches [rows, pixels, channels], outputs [rows, channels])."""
    images = inputs.shape[0]
    outputs = tf.reshape(outputs, [images, -1, outputs.shape[-1]])
    each = -(-min(max(count, _FEWEST_ROWS), _MOST_ROWS) // images)
    draws = seeds.uniform(seeds.fold("reconstruction", layer.name), images * outputs.shape[1])
    positions = np.argsort(draws.reshape(images, -1), axis=1, kind="stable")[:, :each].astype(np.int32)
    of_layer = next(met for kind, met in _MET.items() if isinstance(layer, kind))
    parts = [
        tf.gather(of_layer(layer, inputs[first : first + _PART]), positions[first : first + _PART], batch_dims=1)
        for first in range(0, images, _PART)
    ]
    patches = tf.concat(parts, 0)
    chosen = tf.gather(outputs, positions, batch_dims=1)
    return tf.reshape(patches, [-1, *patches.shape[2:]]), tf.reshape(chosen, [-1, chosen.shape[-1]])
