"""Wide residual networks (Zagoruyko & Komodakis 2016): normalisation and ReLU before each convolution."""

import dataclasses
import typing

from tf_tickets.models import description
from tf_tickets.models.description import Kernel, Network, Tensor

if typing.TYPE_CHECKING:
    from tf_tickets.models.builder import Builder

_STEM_CHANNELS = 16
# Blocks of a stage: a network of depth d, counted as the paper does, has (d - 4) / 6.
_BLOCKS = {"wide_resnet16": 2}


@dataclasses.dataclass(frozen=True)
class Block:
    """One residual block of two 3x3 convolutions.

    Attributes:
      name: prefix of its layers, such as layer2.0.
      channels_in, channels: of its input, and of its convolutions and output.
      stride: of its first convolution and shortcut.
    """

    name: str
    channels_in: int
    channels: int
    stride: int

    @property
    def projects(self) -> bool:
        """Whether the shortcut is a 1x1 convolution."""
        return self.stride != 1 or self.channels_in != self.channels

    def kernels(self) -> list[Kernel]:
        """The block's kernels, shortcut last."""
        named = {
            "conv1": (3, 3, self.channels_in, self.channels),
            "conv2": (3, 3, self.channels, self.channels),
            **({"shortcut.0": (1, 1, self.channels_in, self.channels)} if self.projects else {}),
        }
        return [Kernel(f"{self.name}.{name}", shape, True, start="fan_out") for name, shape in named.items()]

    def build(self, x: Tensor, builder: "Builder") -> Tensor:
        """The block's layers on its input; a shortcut that projects sees it normalised and rectified."""
        kernels = self.kernels()
        active = builder.relu(builder.normalise(x, f"{self.name}.bn1"), f"{self.name}.relu1")
        inner = builder.normalise(builder.convolve(active, kernels[0], self.stride), f"{self.name}.bn2")
        inner = builder.convolve(builder.relu(inner, f"{self.name}.relu2"), kernels[1])
        shortcut = builder.convolve(active, kernels[2], self.stride) if self.projects else x
        return builder.add([inner, shortcut], f"{self.name}.add")


@dataclasses.dataclass(frozen=True)
class WideResNet(Network):
    """A wide residual network (Zagoruyko & Komodakis 2016), without dropout; its `width` is 16 k.

    The stem has 16 channels whatever the width. A full one is of 7x7 and stride 2, normalised, rectified and pooled, as
    a ResNet's.

    Attributes:
      blocks: the residual blocks, of stages with width, 2 width and 4 width channels.
    """

    blocks: tuple[Block, ...]

    def body(self) -> list[Kernel]:
        """Stem, then blocks."""
        size = 3 if self.stem == "small" else 7
        stem = Kernel("conv1", (size, size, self.image_shape[2], _STEM_CHANNELS), True, start="fan_out")
        return [stem, *(kernel for block in self.blocks for kernel in block.kernels())]

    @property
    def features(self) -> int:
        """Channels of the last stage."""
        return self.blocks[-1].channels

    def other_parameters(self) -> int:
        """Scale and shift of the normalisations before the convolutions, after the last block and of a full stem."""
        inside = sum(block.channels_in + block.channels for block in self.blocks)
        return 2 * (inside + self.features + (_STEM_CHANNELS if self.stem == "full" else 0))

    def build(self, images: Tensor, builder: "Builder") -> Tensor:
        """Stem, blocks, the last normalisation."""
        stem = self.body()[0]
        if self.stem == "small":
            x = builder.convolve(images, stem)
        else:
            x = builder.normalise(builder.convolve(images, stem, 2), "stem.bn")
            # Of a ReLU's output padding with zero is padding with minus infinity.
            x = builder.pad(builder.relu(x, "stem.relu"), 1, "stem.pool.pad")
            x = builder.max_pool(x, 3, 2, "stem.pool")
        for block in self.blocks:
            x = block.build(x, builder)
        return builder.pooled(builder.relu(builder.normalise(x, "bn1"), "relu"))

    def stages(self) -> tuple[list[str], list[str]]:
        """The stem and every block's sum."""
        return ["conv1" if self.stem == "small" else "stem.pool"], [f"{block.name}.add" for block in self.blocks]

    def probed(self) -> list[str]:
        """The sum at the end of every stage, the last one normalised, rectified and averaged."""
        last = {block.name.split(".")[0]: f"{block.name}.add" for block in self.blocks}
        return [*list(last.values())[:-1], "features"]


@description.register(*_BLOCKS, default_width=128, normalises=True, runtime=True)
def describe(**common: typing.Any) -> WideResNet:
    """A wide residual network from what all networks have."""
    blocks, channels_in = [], _STEM_CHANNELS
    for stage in range(3):
        channels = common["width"] * 2**stage
        for index in range(_BLOCKS[common["model"]]):
            blocks.append(Block(f"layer{stage + 1}.{index}", channels_in, channels, 2 if stage and not index else 1))
            channels_in = channels
    return WideResNet(**common, blocks=tuple(blocks))
