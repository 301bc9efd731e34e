"""Layers that Keras lacks. Those with kernels say what of them is prunable."""

import numpy as np

from tf_tickets.backend import keras, tf, tfmot
from tf_tickets.runtime.program import cosine_filters


class _Convolution(keras.layers.Layer, tfmot.sparsity.keras.PrunableLayer):
    """Stride and padding of a convolution without bias, whose `kernel` is prunable."""

    def __init__(self, stride=1, padding=0, **kwargs):
        super().__init__(**kwargs)
        self.stride, self.padding = stride, padding

    def get_config(self):
        """Stride and padding, in pixels on every side, or before and after."""
        return {**super().get_config(), "stride": self.stride, "padding": self.padding}

    def get_prunable_weights(self):
        """The kernel."""
        return [self.kernel]

    @property
    def pads(self) -> list[list[int]]:
        """Zeros before and after each axis."""
        pads = [self.padding] * 2 if isinstance(self.padding, int) else list(self.padding)
        return [[0, 0], pads, pads, [0, 0]]


class HarmonicConvolution(_Convolution):
    """A convolution whose kernel is a sum of fixed cosine filters; `kernel` holds their coefficients.

    Args:
      channels: of the output.
      size: side of the filters.
    """

    def __init__(self, channels, size=3, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.size = channels, size

    def build(self, shape: tf.TensorShape) -> None:
        """Coefficients [size, size, in, out], i-major."""
        self.kernel = self.add_weight("kernel", (self.size, self.size, shape[-1], self.channels))
        super().build(shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[n, height, width, in] -> [n, height', width', out]."""
        filters = tf.constant(cosine_filters(self.size), self.compute_dtype)
        kernel = tf.einsum("ijxy,ijco->xyco", filters, tf.cast(self.kernel, self.compute_dtype))
        return tf.nn.conv2d(inputs, kernel, self.stride, self.pads)

    def get_config(self) -> dict:
        """Channels and size, with stride and padding."""
        return {**super().get_config(), "channels": self.channels, "size": self.size}


class DepthwiseConvolution(_Convolution):
    """One filter per channel; `kernel` is [size, size, channels, 1].

    Keras' own is accepted by tfmot's wrapper, which then prunes nothing of it.

    Args:
      size: side of the filters.
    """

    def __init__(self, size=3, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def build(self, shape: tf.TensorShape) -> None:
        """The kernel."""
        self.kernel = self.add_weight("kernel", (self.size, self.size, shape[-1], 1))
        super().build(shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[n, height, width, channels] -> [n, height', width', channels]."""
        kernel = tf.cast(self.kernel, self.compute_dtype)
        strides = [1, self.stride, self.stride, 1]
        return tf.nn.depthwise_conv2d(tf.pad(inputs, self.pads), kernel, strides, "VALID")

    def get_config(self) -> dict:
        """Size, with stride and padding."""
        return {**super().get_config(), "size": self.size}


class StridedPointwise(_Convolution):
    """A 1x1 convolution of every `stride`-th row and column: a shortcut that halves the image.

    The positions are taken first, and the convolution has stride 1: the kernel gradient of oneDNN's strided 1x1
    convolution for AVX2 is wrong, and another each time, where fewer than 8 channels come in (oneDNN issue 6035).

    Args:
      channels: of the output.
    """

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels

    def build(self, shape: tf.TensorShape) -> None:
        """The kernel [1, 1, in, out]."""
        self.kernel = self.add_weight("kernel", (1, 1, shape[-1], self.channels))
        super().build(shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[n, height, width, in] -> [n, height / stride, width / stride, out], rounded up."""
        kernel = tf.cast(self.kernel, self.compute_dtype)
        # The mean of one value: several times as fast as slicing, whose gradient runs on one core.
        taken = tf.nn.avg_pool2d(inputs, 1, self.stride, "VALID")
        return tf.nn.conv2d(taken, kernel, 1, "VALID")

    def get_config(self) -> dict:
        """Channels, with stride and padding."""
        return {**super().get_config(), "channels": self.channels}


class CosineFilters(keras.layers.Layer):
    """Responses of every channel to every cosine filter, channel-major: the fixed first half of a harmonic stem."""

    def __init__(self, size, stride, **kwargs):
        super().__init__(**kwargs)
        self.size, self.stride = size, stride

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[n, height, width, channels] -> [n, height', width', channels x size^2]."""
        filters = cosine_filters(self.size).reshape(self.size**2, self.size, self.size).transpose(1, 2, 0)
        kernel = np.tile(filters[:, :, None, :], (1, 1, inputs.shape[-1], 1))
        pad = self.size // 2
        padded = tf.pad(inputs, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
        strides = [1, self.stride, self.stride, 1]
        return tf.nn.depthwise_conv2d(padded, tf.constant(kernel, self.compute_dtype), strides, "VALID")

    def get_config(self) -> dict:
        """Size and stride."""
        return {**super().get_config(), "size": self.size, "stride": self.stride}


class Tokens(keras.layers.Layer):
    """Puts the class token before the patches and adds the positions (Dosovitskiy et al. 2021)."""

    def get_config(self) -> dict:
        """Nothing but the base's settings."""
        return super().get_config()

    def build(self, shape: tf.TensorShape) -> None:
        """Class token [1, 1, width] and positions [1, 1 + patches, width]."""
        self.cls_token = self.add_weight("cls_token", (1, 1, shape[-1]))
        self.pos_embed = self.add_weight("pos_embed", (1, 1 + shape[1] * shape[2], shape[-1]))
        super().build(shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[n, rows, columns, width] -> [n, 1 + patches, width]."""
        patches = tf.reshape(inputs, [-1, inputs.shape[1] * inputs.shape[2], inputs.shape[3]])
        token = tf.tile(tf.cast(self.cls_token, self.compute_dtype), [tf.shape(inputs)[0], 1, 1])
        return tf.concat([token, patches], axis=1) + tf.cast(self.pos_embed, self.compute_dtype)


class Attention(keras.layers.Layer):
    """Multi-head attention from queries, keys and values side by side."""

    def __init__(self, heads, **kwargs):
        super().__init__(**kwargs)
        self.heads = heads

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[n, tokens, 3 x width] -> [n, tokens, width]."""
        count, size = inputs.shape[1], inputs.shape[2] // 3 // self.heads
        parts = tf.transpose(tf.reshape(inputs, [-1, count, 3, self.heads, size]), [2, 0, 3, 1, 4])
        weight = tf.nn.softmax(tf.matmul(parts[0] * size**-0.5, parts[1], transpose_b=True))
        return tf.reshape(tf.transpose(tf.matmul(weight, parts[2]), [0, 2, 1, 3]), [-1, count, self.heads * size])

    def get_config(self) -> dict:
        """The number of heads."""
        return {**super().get_config(), "heads": self.heads}


class First(keras.layers.Layer):
    """The class token: [n, tokens, width] -> [n, width]."""

    def get_config(self) -> dict:
        """Nothing but the base's settings."""
        return super().get_config()

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """The first token."""
        return inputs[:, 0]


class SimilarityHead(keras.layers.Layer):
    """Logits from the angle between the features and one vector per class, no bias (docs/science.md, Heads and losses).

    cosine: z = cos. tvmf (Kobayashi 2021): z = (1 + cos) / (1 + kappa (1 - cos)) - 1. The logits are scale x z with
    scale = 1 + softplus(s), s trained and decayed.
    """

    def __init__(self, classes, kind, kappa, **kwargs):
        super().__init__(**kwargs)
        self.classes, self.kind, self.kappa = classes, kind, kappa

    def build(self, shape: tf.TensorShape) -> None:
        """Kernel [features, classes] and s [1]."""
        self.kernel = self.add_weight("kernel", (shape[-1], self.classes))
        self.s = self.add_weight("s", (1,), initializer="zeros")
        super().build(shape)

    def similarity(self, inputs: tf.Tensor) -> tf.Tensor:
        """z: [n, features] -> [n, classes]."""
        cosine = tf.matmul(_unit(inputs, 1), _unit(tf.cast(self.kernel, self.compute_dtype), 0))
        if self.kind == "cosine":
            return cosine
        return (1.0 + cosine) / (1.0 + self.kappa * (1.0 - cosine)) - 1.0

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Logits, scale x z."""
        return (1.0 + tf.math.softplus(tf.cast(self.s, self.compute_dtype))) * self.similarity(inputs)

    def get_config(self) -> dict:
        """Classes, kind and kappa."""
        return {**super().get_config(), "classes": self.classes, "kind": self.kind, "kappa": self.kappa}


def _unit(vectors, axis):
    # As PyTorch's normalize: no vector is divided by less than 1e-12.
    square = tf.reduce_sum(tf.square(vectors), axis=axis, keepdims=True)
    return vectors / tf.sqrt(tf.maximum(square, 1e-24))
