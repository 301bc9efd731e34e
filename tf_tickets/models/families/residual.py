"""Residual networks (He et al. 2016): plain, harmonic and full-convolution; padding and normalisation are PyTorch's."""

import dataclasses
import typing

from tf_tickets.models import description
from tf_tickets.models.description import Kernel, Network, Tensor

if typing.TYPE_CHECKING:
    from tf_tickets.models.builder import Builder

_DEPTHS = {
    "resnet18": ((2, 2, 2, 2), False),
    "resnet34": ((3, 4, 6, 3), False),
    "resnet50": ((3, 4, 6, 3), True),
    "resnet101": ((3, 4, 23, 3), True),
    "resnet152": ((3, 8, 36, 3), True),
}
_PREFIXES = {"": "plain", "harmonic_": "harmonic", "full_conv_": "full"}
_NAMES = tuple(prefix + name for prefix in _PREFIXES for name in _DEPTHS)


@dataclasses.dataclass(frozen=True)
class Block:
    """One residual block.

    Attributes:
      name: prefix of its layers, such as layer2.0.
      channels_in, channels, channels_out: of its input, its inner convolutions and its output.
      stride: of its spatial convolution and shortcut.
      bottleneck: 1x1, 3x3, 1x1 instead of two 3x3.
      convolution: plain, harmonic or full.
    """

    name: str
    channels_in: int
    channels: int
    channels_out: int
    stride: int
    bottleneck: bool
    convolution: str

    @property
    def projects(self) -> bool:
        """Whether the shortcut is a 1x1 convolution."""
        return self.stride != 1 or self.channels_in != self.channels_out

    def kernels(self, start: str) -> list[Kernel]:
        """The block's kernels, shortcut last."""
        c_in, c, c_out = self.channels_in, self.channels, self.channels_out
        if self.bottleneck:
            shapes = [(1, 1, c_in, c), (3, 3, c, c), (1, 1, c, c_out)]
        else:
            shapes = [(3, 3, c_in, c), (3, 3, c, c_out)]
        kernels = []
        for index, shape in enumerate(shapes, 1):
            harmonic = self.convolution == "harmonic" and shape[0] == 3
            name, kind = ("harm", "harmonic") if harmonic else ("conv", "plain")
            kernels.append(Kernel(f"{self.name}.{name}{index}", shape, True, kind, start))
        if self.projects:
            kernels.append(Kernel(f"{self.name}.shortcut.0", (1, 1, c_in, c_out), True, "plain", start))
        return kernels

    def build(self, x: Tensor, start: str, builder: "Builder") -> Tensor:
        """The block's layers on its input."""
        shortcut, full, kernels = x, self.convolution == "full", self.kernels(start)
        inner = kernels[:-1] if self.projects else kernels
        strides = (1, self.stride, 1) if self.bottleneck else (self.stride, 1)
        for index, (kernel, stride) in enumerate(zip(inner, strides), 1):
            padding = 2 if full and kernel.shape[0] == 3 else None
            x = builder.normalise(builder.convolve(x, kernel, stride, padding), f"{self.name}.bn{index}")
            if index < len(inner):
                x = builder.relu(x, f"{self.name}.relu{index}")
        if full:
            # Full convolutions grow the image; the shortcut grows alike.
            wider = 1 if self.bottleneck else (3 if self.projects else 2)
            shortcut = builder.pad(shortcut, wider, f"{self.name}.shortcut.pad")
        if self.projects:
            shortcut = builder.convolve(shortcut, kernels[-1], self.stride)
            shortcut = builder.normalise(shortcut, f"{self.name}.shortcut.1")
        return builder.relu(builder.add([x, shortcut], f"{self.name}.add"), f"{self.name}.relu")


@dataclasses.dataclass(frozen=True)
class ResNet(Network):
    """A residual network (He et al. 2016) as the release builds it.

    Harmonic (Ulicny et al. 2019): 3x3 kernels are sums of nine fixed cosine filters with learned coefficients, the stem
    normalises the filters' responses and mixes them with a 1x1 kernel. Full convolution (Kayhan & van Gemert 2020):
    every 3x3 convolution pads two pixels, so that all positions see the same filters.

    Attributes:
      blocks: the residual blocks.
      convolution: plain, harmonic or full.
    """

    blocks: tuple[Block, ...]
    convolution: str

    @property
    def stem_size(self) -> int:
        """The side of the first filters: 3, or 7 of a full stem."""
        return 3 if self.stem == "small" else 7

    def body(self) -> list[Kernel]:
        """Stem, then blocks."""
        start = "fan_in" if self.convolution == "plain" else "fan_out"
        size, channels = self.stem_size, self.image_shape[2]
        harmonic = self.convolution == "harmonic"
        shape = (1, 1, channels * size**2, self.width) if harmonic else (size, size, channels, self.width)
        stem = Kernel("pre_conv.0", shape, True, "plain", start)
        return [stem, *(kernel for block in self.blocks for kernel in block.kernels(start))]

    def build(self, images: Tensor, builder: "Builder") -> Tensor:
        """Stem, then blocks."""
        stem, stride = self.body()[0], 2 if self.stem == "full" else 1
        if self.convolution == "harmonic":
            x = builder.cosine_filters(images, self.stem_size, stride, "pre_conv.0.dct")
            x = builder.convolve(builder.normalise(x, "pre_conv.0.bn", affine=False), stem)
        else:
            x = builder.convolve(images, stem, stride)
        x = builder.relu(builder.normalise(x, "pre_conv.1"), "pre_conv.2")
        if self.stem == "full":
            # The input is a ReLU's output, so padding with zero is padding with minus infinity.
            x = builder.max_pool(builder.pad(x, 1, "pre_conv.3.pad"), 3, 2, "pre_conv.3")
        for block in self.blocks:
            x = block.build(x, stem.start, builder)
        return builder.pooled(x)

    def stages(self) -> tuple[list[str], list[str]]:
        """The stem and every block."""
        stem = "pre_conv.2" if self.stem == "small" else "pre_conv.3"
        return [stem], [f"{block.name}.relu" for block in self.blocks]

    def probed(self) -> list[str]:
        """The end of every stage, the last one averaged."""
        last = {block.name.split(".")[0]: f"{block.name}.relu" for block in self.blocks}
        return [*list(last.values())[:-1], "features"]


@description.register(*_NAMES, default_width=64, normalises=True, runtime=True)
def describe(**common: typing.Any) -> ResNet:
    """A ResNet from what all networks have."""
    name = common["model"]
    prefix = next(p for p in sorted(_PREFIXES, key=len, reverse=True) if name.startswith(p))
    stages, bottleneck = _DEPTHS[name[len(prefix) :]]
    blocks, channels_in = [], common["width"]
    for stage, count in enumerate(stages, 1):
        channels = common["width"] * 2 ** (stage - 1)
        channels_out = channels * 4 if bottleneck else channels
        for index in range(count):
            stride = 2 if stage > 1 and index == 0 else 1
            blocks.append(
                Block(
                    f"layer{stage}.{index}", channels_in, channels, channels_out, stride, bottleneck, _PREFIXES[prefix]
                )
            )
            channels_in = channels_out
    return ResNet(**common, blocks=tuple(blocks), convolution=_PREFIXES[prefix])
