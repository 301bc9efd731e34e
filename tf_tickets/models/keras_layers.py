"""Layers in place of those of tf_keras.applications whose kernels cannot be masked, or whose draws not repeated."""

import math
import zlib

from tf_tickets.backend import keras, tf, tfmot


class Convolution(keras.layers.Layer, tfmot.sparsity.keras.PrunableLayer):
    """A convolution that `builder.convolve` does not have: of two sides, of groups, or depthwise with a bias.

    Args:
      kernel_shape: [height, width, in, out], where `in` divides the channels and says how many groups there are; of a
        depthwise one [height, width, channels, filters of a channel].
      strides: (rows, columns).
      padding: valid or same, as TensorFlow pads.
      depthwise: whether each filter sees one channel.
      use_bias: whether a bias is added.
      dilation_rate: (rows, columns) from one weight of a filter to the next.
    """

    def __init__(
        self, kernel_shape, strides=(1, 1), padding="valid", depthwise=False, use_bias=False, dilation_rate=(1, 1),
        **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        self.kernel_shape, self.strides, self.padding = tuple(kernel_shape), tuple(strides), padding
        self.dilation_rate = tuple(dilation_rate)
        self.depthwise, self.use_bias = depthwise, use_bias

    def build(self, shape: tf.TensorShape) -> None:
        """The kernel, and the bias where there is one."""
        self.kernel = self.add_weight("kernel", self.kernel_shape)
        if self.use_bias:
            channels = math.prod(self.kernel_shape[2 if self.depthwise else 3 :])
            self.bias = self.add_weight("bias", (channels,), initializer="zeros")
        super().build(shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[n, height, width, in] -> [n, height', width', out]."""
        convolve = tf.nn.depthwise_conv2d if self.depthwise else tf.nn.conv2d
        kernel, padding = tf.cast(self.kernel, self.compute_dtype), self.padding.upper()
        if self.dilation_rate == (1, 1):
            outputs = convolve(inputs, kernel, [1, *self.strides, 1], padding)
        elif self.depthwise:
            outputs = convolve(inputs, kernel, [1, 1, 1, 1], padding, dilations=self.dilation_rate)
        else:  # conv2d has no gradient of it on a CPU
            outputs = tf.nn.convolution(inputs, kernel, padding=padding, dilations=self.dilation_rate)
        return tf.nn.bias_add(outputs, tf.cast(self.bias, self.compute_dtype)) if self.use_bias else outputs

    def get_prunable_weights(self) -> list[tf.Variable]:
        """The kernel."""
        return [self.kernel]

    def get_config(self) -> dict:
        """All arguments."""
        return {
            **super().get_config(), "kernel_shape": self.kernel_shape, "strides": self.strides,
            "padding": self.padding, "depthwise": self.depthwise, "use_bias": self.use_bias,
            "dilation_rate": self.dilation_rate,
        }  # fmt: skip


class ReversedChannels(keras.layers.Layer):
    """Red, green, blue to blue, green, red, in which the oldest networks were trained."""

    def get_config(self) -> dict:
        """Nothing but the base's settings."""
        return super().get_config()

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[n, height, width, channels] -> the same shape."""
        return tf.reverse(inputs, [-1])


class Standardisation(keras.layers.Layer):
    """Subtracts a mean and divides by the root of a variance, both of which come with the weights and are not trained.

    Args:
      initial_mean, initial_variance: one value a channel.
    """

    def __init__(self, initial_mean, initial_variance, **kwargs):
        super().__init__(**kwargs)
        self.initial_mean, self.initial_variance = tuple(initial_mean), tuple(initial_variance)

    def build(self, shape: tf.TensorShape) -> None:
        """Mean and variance [channels]."""
        for name, values in (("mean", self.initial_mean), ("variance", self.initial_variance)):
            initializer = keras.initializers.Constant(values)
            setattr(self, name, self.add_weight(name, (len(values),), initializer=initializer, trainable=False))
        super().build(shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[n, height, width, channels] -> the same shape."""
        deviation = tf.maximum(tf.sqrt(self.variance), keras.backend.epsilon())
        return (inputs - tf.cast(self.mean, inputs.dtype)) / tf.cast(deviation, inputs.dtype)

    def get_config(self) -> dict:
        """Both arguments."""
        return {
            **super().get_config(), "initial_mean": self.initial_mean, "initial_variance": self.initial_variance,
        }  # fmt: skip


class StatelessDropout(keras.layers.Layer):
    """Dropout whose draws are a function of its inputs' bits, so that a run that goes on draws what it would have.

    Keras' own keeps the state of its draws where no checkpoint has it.

    Args:
      rate: the probability of zero, in [0, 1).
      noise_shape: of the draws, None where it is the inputs'; as keras.layers.Dropout takes it.
    """

    def __init__(self, rate, noise_shape=None, **kwargs):
        super().__init__(**kwargs)
        self.rate, self.noise_shape = rate, noise_shape

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """The inputs; in training with zeros, and divided by the share that stays."""
        if not training:
            return inputs
        own = tf.shape(inputs)
        wanted = self.noise_shape or (None,) * len(inputs.shape)
        shape = [own[axis] if side is None else side for axis, side in enumerate(wanted)]
        # A sum of whole numbers is the same in every order.
        bits = tf.reduce_sum(tf.bitcast(tf.stop_gradient(tf.cast(inputs, tf.float32)), tf.int32))
        seed = tf.stack([bits, tf.constant(zlib.crc32(self.name.encode()) & 0x7FFFFFFF, tf.int32)])
        stays = tf.random.stateless_uniform(shape, seed) >= self.rate
        return inputs * tf.cast(stays, inputs.dtype) / (1.0 - self.rate)

    def get_config(self) -> dict:
        """Both arguments."""
        return {**super().get_config(), "rate": self.rate, "noise_shape": self.noise_shape}
