"""VGG (Simonyan & Zisserman 2015)."""

import dataclasses
import typing

from tf_tickets.models import description
from tf_tickets.models.description import Kernel, Network, Tensor

if typing.TYPE_CHECKING:
    from tf_tickets.models.builder import Builder

# Channels in units of the width; 0 is a pooling.
_VGG = {
    "vgg11": (1, 0, 2, 0, 4, 4, 0, 8, 8, 0, 8, 8),
    "vgg13": (1, 1, 0, 2, 2, 0, 4, 4, 0, 8, 8, 0, 8, 8),
    "vgg16": (1, 1, 0, 2, 2, 0, 4, 4, 4, 0, 8, 8, 8, 0, 8, 8, 8),
    "vgg19": (1, 1, 0, 2, 2, 0, 4, 4, 4, 4, 0, 8, 8, 8, 8, 0, 8, 8, 8, 8),
}


@dataclasses.dataclass(frozen=True)
class VGG(Network):
    """VGG (Simonyan & Zisserman 2015) with batch normalisation and one linear layer, as the release builds it.

    The stem has no say: four poolings fit 32 pixels and 224 alike.

    Attributes:
      parts: (position in the release's list, input channels, channels), or (position, 0, 0) of a pooling.
    """

    parts: tuple[tuple[int, int, int], ...]

    head_start = "small"

    def body(self) -> list[Kernel]:
        """The convolutions."""
        return [
            Kernel(f"features.{position}", (3, 3, channels_in, channels), True, "plain", "fan_out", bias=True)
            for position, channels_in, channels in self.parts
            if channels
        ]

    def build(self, images: Tensor, builder: "Builder") -> Tensor:
        """A map of one pixel is not pooled further."""
        x, kernels = images, {kernel.name: kernel for kernel in self.body()}
        for position, _, channels in self.parts:
            if channels:
                x = builder.convolve(x, kernels[f"features.{position}"])
                x = builder.normalise(x, f"features.{position + 1}")
                x = builder.relu(x, f"features.{position + 2}")
            elif min(x.shape[1:3]) > 1:
                x = builder.max_pool(x, 2, 2, f"features.{position}")
        return builder.pooled(x)

    def stages(self) -> tuple[list[str], list[str]]:
        """Every rectified convolution."""
        return [], [f"features.{position + 2}" for position, _, channels in self.parts if channels]


@description.register(*_VGG, default_width=64, normalises=True, runtime=True)
def describe(**common: typing.Any) -> VGG:
    """A VGG from what all networks have."""
    parts, position, channels_in = [], 0, common["image_shape"][2]
    for units in _VGG[common["model"]]:
        channels = units * common["width"]
        parts.append((position, channels_in if units else 0, channels))
        position += 3 if units else 1  # convolution, normalisation, ReLU; or one pooling
        channels_in = channels or channels_in
    return VGG(**common, parts=tuple(parts))
