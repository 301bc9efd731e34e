"""ResNets (He et al. 2016) as Keras functional networks, equal to the PyTorch release in padding and normalisation."""

import math

from tf_tickets.backend import keras
from tf_tickets.models import initial

# PyTorch's constants; its momentum 0.1 is the weight of the new value.
_NORMALISATION = {"momentum": 0.9, "epsilon": 1e-5}


def build(described, *, seed, precision, name):
    """Builds the network of an `architecture.ResNet`.

    Args:
      described: the description whose layers are walked.
      seed: draws the initial weights.
      precision: Keras dtype policy of every layer but the head, which is float32;
        float64 makes all of it float64, for comparisons.
      name: the model's name.

    Returns:
      A keras.Model.
    """
    policy = keras.mixed_precision.Policy(precision)
    logits_type = "float64" if precision == "float64" else "float32"
    images = keras.Input(described.image_shape, dtype=logits_type, name="images")
    x = _stem(images, described, policy)
    for block in described.blocks:
        x = _block(x, block, policy)
    x = keras.layers.GlobalAveragePooling2D(name="features", dtype=policy)(x)
    logits = keras.layers.Dense(described.classes, name="linear", kernel_initializer="zeros", dtype=logits_type)(x)
    model = keras.Model(images, logits, name=name)
    draw_initial(model, described, seed)
    return model


def draw_initial(model, described, seed):
    """Assigns PyTorch's default initial weights, drawn from `seed`, to every kernel and the head's bias."""
    for kernel in described.kernels():
        fan_in = math.prod(kernel.shape[:-1])
        layer = model.get_layer(kernel.name)
        layer.kernel.assign(initial.uniform_fan_in(seed, kernel.name, "kernel", kernel.shape, fan_in))
        if not kernel.prunable:
            layer.bias.assign(initial.uniform_fan_in(seed, kernel.name, "bias", kernel.shape[-1:], fan_in))


def _convolution(x, name, channels, size, stride, policy):
    # Keras "same" pads the bottom and right at stride 2; PyTorch pads every side alike.
    padding = "same"
    if size > 1 and stride > 1:
        x = keras.layers.ZeroPadding2D(size // 2, name=f"{name}.pad", dtype=policy)(x)
        padding = "valid"
    return keras.layers.Conv2D(
        channels, size, stride, padding, use_bias=False, kernel_initializer="zeros", name=name, dtype=policy
    )(x)


def _normalise(x, name, policy):
    return keras.layers.BatchNormalization(**_NORMALISATION, name=name, dtype=policy)(x)


def _relu(x, name, policy):
    return keras.layers.ReLU(name=name, dtype=policy)(x)


def _stem(images, described, policy):
    size, stride = (3, 1) if described.stem == "small" else (7, 2)
    x = _convolution(images, "pre_conv.0", described.width, size, stride, policy)
    x = _relu(_normalise(x, "pre_conv.1", policy), "pre_conv.2", policy)
    if described.stem == "full":
        # The input is a ReLU's output, so padding with zero is padding with minus infinity.
        x = keras.layers.ZeroPadding2D(1, name="pre_conv.3.pad", dtype=policy)(x)
        x = keras.layers.MaxPooling2D(3, 2, name="pre_conv.3", dtype=policy)(x)
    return x


def _block(x, block, policy):
    shortcut = x
    strides = (1, block.stride, 1) if block.bottleneck else (block.stride, 1)
    sizes = (1, 3, 1) if block.bottleneck else (3, 3)
    widths = (block.channels,) * (len(sizes) - 1) + (block.channels_out,)
    for index, (size, stride, channels) in enumerate(zip(sizes, strides, widths), 1):
        x = _convolution(x, f"{block.name}.conv{index}", channels, size, stride, policy)
        x = _normalise(x, f"{block.name}.bn{index}", policy)
        if index < len(sizes):
            x = _relu(x, f"{block.name}.relu{index}", policy)
    if block.projects:
        shortcut = _convolution(shortcut, f"{block.name}.shortcut.0", block.channels_out, 1, block.stride, policy)
        shortcut = _normalise(shortcut, f"{block.name}.shortcut.1", policy)
    x = keras.layers.Add(name=f"{block.name}.add", dtype=policy)([x, shortcut])
    return _relu(x, f"{block.name}.relu", policy)
