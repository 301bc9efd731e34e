"""3x3 convolutions with a quarter of the products: Winograd's minimal filtering, as products of matrices.

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (CVPR 2016), sections 4 and 5, F(4x4, 3x3).
oneDNN computes float32 convolutions directly; cuDNN has these algorithms, so on a GPU nothing here is used.
"""

import contextlib
import contextvars
import functools
from collections.abc import Iterator

import numpy as np

from tf_tickets.backend import keras, tf, tfmot

_OUTPUTS, _TAPS = 4, 3
_VALUES = _OUTPUTS + _TAPS - 1
# Of the interpolation, infinity beside them: rounding errors are half of those with the usual 0, 1, -1, 2, -2.
_POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)
# Narrower convolutions gain too little; on large maps the transforms of a channel cost more than products save.
_CHANNELS, _CHANNELS_PER_ROW, _ROWS = 128, 16, 16
# Replicas are traced by threads of their own; each has its own value.
_direct = contextvars.ContextVar("direct_convolutions", default=False)


@contextlib.contextmanager
def direct() -> Iterator[None]:
    """Inside, what is traced has ordinary convolutions: files for other machines, small batches and 8 bits."""
    token = _direct.set(True)
    try:
        yield
    finally:
        _direct.reset(token)


def pays(inputs: int, outputs: int, sides: tuple[int, int]) -> bool:
    """Whether a 3x3 convolution of stride 1 is faster transformed, for batches of some tens of images and more.

    Args:
      inputs: channels that come in.
      outputs: channels that go out.
      sides: rows and columns, the same before and after.
    """
    return all(
        min(inputs, outputs) >= max(_CHANNELS, _CHANNELS_PER_ROW * side) and side <= _ROWS and -side % _OUTPUTS <= 1
        for side in sides
    )


class WinogradConvolution(keras.layers.Conv2D, tfmot.sparsity.keras.PrunableLayer):
    """Keras' convolution with a 3x3 kernel, stride 1 and padding `same`, by F(4x4, 3x3) where no GPU is.

    The same function up to rounding: the error against double precision is about five times that of a sum of products,
    2e-6 of the output's standard deviation.
    """

    def get_prunable_weights(self) -> list[tf.Variable]:
        """The kernel."""
        return [self.kernel]

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """[n, height, width, in] and [3, 3, in, out] -> [n, height, width, out]."""
        if _direct.get() or tf.config.list_logical_devices("GPU"):
            return super().convolution_op(inputs, kernel)
        return convolve(inputs, kernel)


def convolve(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The convolution of stride 1 with zeros around the images.

    Args:
      images: [n, height, width, in]; the last three are static.
      kernel: [3, 3, in, out].

    Returns:
      [n, height, width, out].
    """
    (height, width, inputs), outputs = images.shape[1:], kernel.shape[-1]
    to_values, to_outputs, of_kernel = (tf.constant(matrix, images.dtype) for matrix in _matrices(height, width))
    positions = tf.transpose(tf.reshape(images, [-1, height * width, inputs]), [1, 0, 2])
    values = tf.matmul(to_values, tf.reshape(positions, [height * width, -1]))
    weights = tf.matmul(of_kernel, tf.reshape(kernel, [_TAPS**2, -1]))
    # One product of matrices, [tiles x n, in] and [in, out], for each of the 36 values of a tile.
    products = tf.matmul(
        tf.reshape(values, [_VALUES**2, -1, inputs]), tf.reshape(weights, [_VALUES**2, inputs, outputs])
    )
    pixels = tf.matmul(to_outputs, tf.reshape(products, [to_outputs.shape[1], -1]))
    pixels = tf.transpose(tf.reshape(pixels, [height * width, -1, outputs]), [1, 0, 2])
    return tf.reshape(pixels, [-1, height, width, outputs])


@functools.cache
def _matrices(height, width):
    # Of whole images at once: [36 x tiles, pixels], [pixels, 36 x tiles] and, of the kernel, [36, 9].
    (rows_in, rows_out), (columns_in, columns_out) = _along(height), _along(width)
    of_kernel = _interpolation(_TAPS)
    return _both(rows_in, columns_in), _both(rows_out, columns_out).T, np.kron(of_kernel, of_kernel)


def _along(side):
    # [6, tiles, side] each: what of a row of pixels every value of a tile sees, and to which outputs it goes. The last
    # tile may end outside.
    tiles = -(-side // _OUTPUTS)
    inward, outward = np.zeros((2, _VALUES, tiles, side))
    to_values, to_outputs = np.linalg.inv(_interpolation(_VALUES)).T, _interpolation(_OUTPUTS)
    for tile in range(tiles):
        start = tile * _OUTPUTS
        for value in range(_VALUES):
            if 0 <= start - 1 + value < side:
                inward[:, tile, start - 1 + value] = to_values[:, value]
        covered = min(_OUTPUTS, side - start)
        outward[:, tile, start : start + covered] = to_outputs[:, :covered]
    return inward, outward


def _both(rows, columns):
    transform = np.einsum("atr,buc->abturc", rows, columns)
    return transform.reshape(-1, rows.shape[-1] * columns.shape[-1])


def _interpolation(terms):
    # [6, terms]: the values of a polynomial with so many terms at the points and at infinity.
    return np.vstack([np.vander(_POINTS, terms, increasing=True), np.eye(terms)[-1]])
