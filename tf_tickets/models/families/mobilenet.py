"""MobileNetV2 (Sandler et al. 2018), with the release's plain ReLUs."""

import dataclasses
import typing

from tf_tickets.models import description
from tf_tickets.models.description import Kernel, Network, Tensor

if typing.TYPE_CHECKING:
    from tf_tickets.models.builder import Builder

# Expansion, channels at width 32, blocks, stride of the first block.
_MOBILENET = (
    (1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip


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
    def projects(self) -> bool:
        """Whether the shortcut is a 1x1 convolution."""
        return self.stride == 1 and self.channels_in != self.channels_out

    def kernels(self) -> list[Kernel]:
        """The block's kernels, shortcut last."""
        kernels = [
            Kernel(f"{self.name}.conv1", (1, 1, self.channels_in, self.channels), True),
            Kernel(f"{self.name}.conv2", (3, 3, self.channels, 1), True, "depthwise"),
            Kernel(f"{self.name}.conv3", (1, 1, self.channels, self.channels_out), True),
        ]
        if self.projects:
            kernels.append(Kernel(f"{self.name}.shortcut.0", (1, 1, self.channels_in, self.channels_out), True))
        return kernels

    def build(self, x: Tensor, builder: "Builder") -> Tensor:
        """The block's layers on its input."""
        shortcut, kernels = x, self.kernels()
        for index, (kernel, stride) in enumerate(zip(kernels, (1, self.stride, 1)), 1):
            x = builder.normalise(builder.convolve(x, kernel, stride), f"{self.name}.bn{index}")
            if index < 3:
                x = builder.relu(x, f"{self.name}.relu{index}")
        if self.stride != 1:
            return x
        if self.projects:
            shortcut = builder.normalise(builder.convolve(shortcut, kernels[3]), f"{self.name}.shortcut.1")
        return builder.add([x, shortcut], f"{self.name}.add")


@dataclasses.dataclass(frozen=True)
class MobileNet(Network):
    """MobileNetV2 (Sandler et al. 2018) for small images, as the release builds it; global pooling fits any size.

    With a full stem, the first convolution and the second stage have stride 2, as for ImageNet.

    Attributes:
      blocks: the inverted residual blocks.
      last: channels of the last convolution.
    """

    blocks: tuple[Inverted, ...]
    last: int

    def body(self) -> list[Kernel]:
        """Stem, blocks, last convolution."""
        stem = Kernel("conv1", (3, 3, self.image_shape[2], self.width), True)
        last = Kernel("conv2", (1, 1, self.blocks[-1].channels_out, self.last), True)
        return [stem, *(kernel for block in self.blocks for kernel in block.kernels()), last]

    def build(self, images: Tensor, builder: "Builder") -> Tensor:
        """Stem, blocks, last convolution."""
        kernels = self.body()
        x = _unit(images, kernels[0], "bn1", 2 if self.stem == "full" else 1, builder)
        for block in self.blocks:
            x = block.build(x, builder)
        return builder.pooled(_unit(x, kernels[-1], "bn2", 1, builder))

    def stages(self) -> tuple[list[str], list[str]]:
        """The stem, every block and the last convolution."""
        ends = [f"{block.name}.{'add' if block.stride == 1 else 'bn3'}" for block in self.blocks]
        return ["conv1.relu"], [*ends, "conv2.relu"]


def _unit(x, kernel, name, stride, builder):
    return builder.relu(builder.normalise(builder.convolve(x, kernel, stride), name), f"{kernel.name}.relu")


@description.register("mobilenet_v2", default_width=32, normalises=True, runtime=True)
def describe(**common: typing.Any) -> MobileNet:
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
