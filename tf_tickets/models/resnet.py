"""Residual networks (He et al. 2016) in Keras, equal to PyTorch in padding and normalisation."""

from tf_tickets.backend import keras
from tf_tickets.models import layers, parts


def body(images, described, policy):
    """From images to `features`.

    Args:
      images: a Keras input.
      described: a residual.ResNet.
      policy: dtype policy.
    """
    x = _stem(images, described, policy)
    start = described.body()[0].start
    for block in described.blocks:
        x = _block(x, block, block.kernels(start), policy)
    return parts.pooled(x, policy)


def _stem(images, described, policy):
    kernel, full = described.body()[0], described.stem == "full"
    stride = 2 if full else 1
    if described.convolution == "harmonic":
        x = layers.CosineFilters(described.stem_size, stride, name="pre_conv.0.dct", dtype=policy)(images)
        x = parts.normalise(x, "pre_conv.0.bn", policy, affine=False)
        x = parts.convolve(x, kernel, 1, policy)
    else:
        x = parts.convolve(images, kernel, stride, policy)
    x = parts.relu(parts.normalise(x, "pre_conv.1", policy), "pre_conv.2", policy)
    if full:
        # The input is a ReLU's output, so padding with zero is padding with minus infinity.
        x = parts.pad(x, 1, "pre_conv.3.pad", policy)
        x = keras.layers.MaxPooling2D(3, 2, name="pre_conv.3", dtype=policy)(x)
    return x


def _block(x, block, kernels, policy):
    shortcut, full = x, block.convolution == "full"
    inner = kernels[:-1] if block.projects else kernels
    strides = (1, block.stride, 1) if block.bottleneck else (block.stride, 1)
    for index, (kernel, stride) in enumerate(zip(inner, strides), 1):
        padding = 2 if full and kernel.shape[0] == 3 else None
        x = parts.convolve(x, kernel, stride, policy, padding)
        x = parts.normalise(x, f"{block.name}.bn{index}", policy)
        if index < len(inner):
            x = parts.relu(x, f"{block.name}.relu{index}", policy)
    if full:
        # Full convolutions grow the image; the shortcut grows alike.
        wider = 1 if block.bottleneck else (3 if block.projects else 2)
        shortcut = parts.pad(shortcut, wider, f"{block.name}.shortcut.pad", policy)
    if block.projects:
        shortcut = parts.convolve(shortcut, kernels[-1], block.stride, policy)
        shortcut = parts.normalise(shortcut, f"{block.name}.shortcut.1", policy)
    return parts.relu(parts.add([x, shortcut], f"{block.name}.add", policy), f"{block.name}.relu", policy)
