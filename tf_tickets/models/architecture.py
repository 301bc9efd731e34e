"""What each network is made of, without TensorFlow: names, kinds, shapes and strides of its layers.

The Keras builders walk these descriptions, and the plan of a run counts weights from them, so the two cannot differ.
Names are those of the paper's PyTorch release, in its order.
"""

import dataclasses
import math

from tf_tickets.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One convolution or dense kernel, Keras layout.

    Attributes:
      name: the layer's name, such as layer1.0.conv1.
      shape: (height, width, in, out), or (in, out) of the linear head.
      prunable: whether the global ranking sees it.
    """

    name: str
    shape: tuple
    prunable: bool

    @property
    def size(self):
        """The number of weights."""
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True)
class Block:
    """One residual block.

    Attributes:
      name: prefix of its layers, such as layer2.0.
      channels_in, channels, channels_out: of its input, its inner convolutions and its output.
      stride: of its spatial convolution and shortcut.
      bottleneck: 1x1, 3x3, 1x1 instead of two 3x3.
    """

    name: str
    channels_in: int
    channels: int
    channels_out: int
    stride: int
    bottleneck: bool

    @property
    def projects(self):
        """Whether the shortcut is a 1x1 convolution."""
        return self.stride != 1 or self.channels_in != self.channels_out


@dataclasses.dataclass(frozen=True)
class ResNet:
    """A residual network (He et al. 2016) as the release builds it.

    Attributes:
      stem: small (one 3x3 convolution) or full (7x7 of stride 2, then max-pooling).
      image_shape: (height, width, channels).
      width: channels of the first stage.
      classes: of the linear head.
      blocks: the residual blocks.
    """

    stem: str
    image_shape: tuple
    width: int
    classes: int
    blocks: tuple

    @property
    def features(self):
        """Length of the vector that the head sees."""
        return self.blocks[-1].channels_out

    def kernels(self):
        """All convolution kernels and the head's, in the order in which ties are broken."""
        size = 3 if self.stem == "small" else 7
        found = [Kernel("pre_conv.0", (size, size, self.image_shape[2], self.width), True)]
        for block in self.blocks:
            c_in, c, c_out = block.channels_in, block.channels, block.channels_out
            if block.bottleneck:
                shapes = [(1, 1, c_in, c), (3, 3, c, c), (1, 1, c, c_out)]
            else:
                shapes = [(3, 3, c_in, c), (3, 3, c, c_out)]
            found += [Kernel(f"{block.name}.conv{i}", shape, True) for i, shape in enumerate(shapes, 1)]
            if block.projects:
                found.append(Kernel(f"{block.name}.shortcut.0", (1, 1, c_in, c_out), True))
        return [*found, Kernel("linear", (self.features, self.classes), False)]

    def trainable_parameters(self):
        """All trainable numbers: kernels, normalisation scale and shift, the head's bias."""
        kernels = self.kernels()
        normalisation = sum(2 * kernel.shape[-1] for kernel in kernels if kernel.prunable)
        return sum(kernel.size for kernel in kernels) + normalisation + self.classes


_DEPTHS = {
    "resnet18": ((2, 2, 2, 2), False),
    "resnet34": ((3, 4, 6, 3), False),
    "resnet50": ((3, 4, 6, 3), True),
    "resnet101": ((3, 4, 23, 3), True),
    "resnet152": ((3, 8, 36, 3), True),
}


def describe(model, *, classes, image_shape, stem="small", width=64):
    """Describes a network by name.

    Args:
      model: a name of `names()`.
      classes: of the head, at least 2.
      image_shape: (height, width, channels).
      stem: small or full.
      width: channels of the first stage.

    Returns:
      A ResNet.
    """
    if model not in _DEPTHS:
        raise UsageError(f"--model={model} is not one of {', '.join(_DEPTHS)}")
    stages, bottleneck = _DEPTHS[model]
    blocks, channels_in = [], width
    for stage, count in enumerate(stages, 1):
        channels = width * 2 ** (stage - 1)
        channels_out = channels * 4 if bottleneck else channels
        for index in range(count):
            stride = 2 if stage > 1 and index == 0 else 1
            blocks.append(Block(f"layer{stage}.{index}", channels_in, channels, channels_out, stride, bottleneck))
            channels_in = channels_out
    return ResNet(stem, tuple(image_shape), width, classes, tuple(blocks))


def from_config(network, data_set):
    """Describes the network of a config.Network on a data.catalog.DataSet; stem=auto is the data set's."""
    stem = data_set.stem if network.stem == "auto" else network.stem
    return describe(
        network.model, classes=data_set.classes, image_shape=data_set.image_shape, stem=stem, width=network.width
    )


def names():
    """The names that `describe` knows."""
    return tuple(_DEPTHS)
