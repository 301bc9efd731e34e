"""VGG and MobileNetV2 without TensorFlow."""

import dataclasses

from tf_tickets.models.architecture import Kernel, Network

# Channels in units of the width; 0 is a pooling.
_VGG = {
    "vgg11": (1, 0, 2, 0, 4, 4, 0, 8, 8, 0, 8, 8),
    "vgg13": (1, 1, 0, 2, 2, 0, 4, 4, 0, 8, 8, 0, 8, 8),
    "vgg16": (1, 1, 0, 2, 2, 0, 4, 4, 4, 0, 8, 8, 8, 0, 8, 8, 8),
    "vgg19": (1, 1, 0, 2, 2, 0, 4, 4, 4, 4, 0, 8, 8, 8, 8, 0, 8, 8, 8, 8),
}
VGG_NAMES = tuple(_VGG)

# Expansion, channels at width 32, blocks, stride of the first block.
_MOBILENET = (
    (1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class VGG(Network):
    """VGG (Simonyan & Zisserman 2015) with batch normalisation and one linear layer, as the release builds it.

    The stem has no say: four poolings fit 32 pixels and 224 alike.

    Attributes:
      parts: (position in the release's list, input channels, channels), or (position, 0, 0) of a pooling.
    """

    parts: tuple

    head_start = "small"

    @property
    def features(self):
        """Length of the vector that the head sees."""
        return self.parts[-1][2]

    def body(self):
        """The convolutions."""
        return [
            Kernel(f"features.{position}", (3, 3, channels_in, channels), True, "plain", "fan_out", bias=True)
            for position, channels_in, channels in self.parts
            if channels
        ]

    def other_parameters(self):
        """Scale and shift after each convolution."""
        return sum(2 * channels for _, _, channels in self.parts)


def describe_vgg(common):
    """A VGG from what all networks have."""
    parts, position, channels_in = [], 0, common["image_shape"][2]
    for units in _VGG[common["model"]]:
        channels = units * common["width"]
        parts.append((position, channels_in if units else 0, channels))
        position += 3 if units else 1  # convolution, normalisation, ReLU; or one pooling
        channels_in = channels or channels_in
    return VGG(**common, parts=tuple(parts))


@dataclasses.dataclass(frozen=True)
class Inverted:
    """One inverted residual block.

    Attributes:
      name: prefix of its layers, such as layers.3.
      channels_in, channels, channels_out: of its input, its expanded inside and its output.
      stride: of its depthwise convolution; with stride 2 there is no shortcut.
    """

    name: str
    channels_in: int
    channels: int
    channels_out: int
    stride: int

    @property
    def projects(self):
        """Whether the shortcut is a 1x1 convolution."""
        return self.stride == 1 and self.channels_in != self.channels_out

    def kernels(self):
        """The block's kernels, shortcut last."""
        found = [
            Kernel(f"{self.name}.conv1", (1, 1, self.channels_in, self.channels), True),
            Kernel(f"{self.name}.conv2", (3, 3, self.channels, 1), True, "depthwise"),
            Kernel(f"{self.name}.conv3", (1, 1, self.channels, self.channels_out), True),
        ]
        if self.projects:
            found.append(Kernel(f"{self.name}.shortcut.0", (1, 1, self.channels_in, self.channels_out), True))
        return found


@dataclasses.dataclass(frozen=True)
class MobileNet(Network):
    """MobileNetV2 (Sandler et al. 2018) for small images, as the release builds it; global pooling fits any size.

    With a full stem, the first convolution and the second stage have stride 2, as for ImageNet.

    Attributes:
      blocks: the inverted residual blocks.
      last: channels of the last convolution.
    """

    blocks: tuple
    last: int

    @property
    def features(self):
        """Length of the vector that the head sees."""
        return self.last

    def body(self):
        """Stem, blocks, last convolution."""
        stem = Kernel("conv1", (3, 3, self.image_shape[2], self.width), True)
        last = Kernel("conv2", (1, 1, self.blocks[-1].channels_out, self.last), True)
        return [stem, *(kernel for block in self.blocks for kernel in block.kernels()), last]

    def other_parameters(self):
        """Scale and shift after each convolution."""
        return sum(2 * kernel.outputs for kernel in self.body())


def describe_mobilenet(common):
    """A MobileNet from what all networks have."""
    width, blocks = common["width"], []

    def scaled(channels):
        return max(8, round(channels * width / 32 / 8) * 8)

    channels_in = width
    for stage, (expansion, channels, count, stride) in enumerate(_MOBILENET):
        if common["stem"] == "full" and stage == 1:
            stride = 2
        for index in range(count):
            blocks.append(
                Inverted(
                    f"layers.{len(blocks)}", channels_in, expansion * channels_in, scaled(channels),
                    1 if index else stride,
                )
            )  # fmt: skip
            channels_in = scaled(channels)
    return MobileNet(**common, blocks=tuple(blocks), last=scaled(1280))
