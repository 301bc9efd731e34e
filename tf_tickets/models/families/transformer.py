"""The small vision transformer (Dosovitskiy et al. 2021), flat, so that every kernel is a layer of its own."""

import dataclasses
import typing

from tf_tickets.errors import UsageError
from tf_tickets.models import description
from tf_tickets.models.description import Kernel, Network, Tensor

if typing.TYPE_CHECKING:
    from tf_tickets.models.builder import Builder

_DEPTH = 12
_HEAD_WIDTH = 64
# The side that published backbones were trained at; smaller images become as large under a full stem.
_FULL_SIDE = 224


@dataclasses.dataclass(frozen=True)
class VisionTransformer(Network):
    """ViT (Dosovitskiy et al. 2021): pre-normalised blocks, GELU, class token, learned positions, no drop-out.

    Patches are 8 pixels below 128, else 32. A full stem resizes images below 128 pixels to 224, so that a pretrained
    backbone sees patches like those it knows. The patch embedding is never pruned.
    """

    shortcut_first = True

    @property
    def resizes(self) -> bool:
        """Whether images are resized before they are cut into patches."""
        return self.stem == "full" and self.image_shape[0] < 128

    @property
    def side(self) -> tuple[int, int]:
        """(height, width) of what is cut into patches, in pixels."""
        return (_FULL_SIDE, _FULL_SIDE) if self.resizes else self.image_shape[:2]

    @property
    def patch(self) -> int:
        """The side of a patch, in pixels."""
        return 8 if self.side[0] < 128 else 32

    @property
    def tokens(self) -> int:
        """Patches and the class token."""
        return (self.side[0] // self.patch) * (self.side[1] // self.patch) + 1

    @property
    def heads(self) -> int:
        """Attention heads of a block."""
        return self.width // _HEAD_WIDTH

    def body(self) -> list[Kernel]:
        """Patch embedding, then the four dense kernels of each block."""
        width = self.width
        patch = (self.patch, self.patch, self.image_shape[2], width)
        kernels = [Kernel("patch_embed.proj", patch, False, "plain", "fan_in", bias=True)]
        for index in range(_DEPTH):
            for name, shape in (
                ("attn.qkv", (width, 3 * width)), ("attn.proj", (width, width)),
                ("mlp.fc1", (width, 4 * width)), ("mlp.fc2", (4 * width, width)),
            ):  # fmt: skip
                kernels.append(Kernel(f"blocks.{index}.{name}", shape, True, "dense", "token", bias=True))
        return kernels

    def other_parameters(self) -> int:
        """Layer normalisation, class token and positions."""
        return (2 * _DEPTH + 1) * 2 * self.width + (1 + self.tokens) * self.width

    def build(self, images: Tensor, builder: "Builder") -> Tensor:
        """To the normalised class token."""
        kernels = {kernel.name: kernel for kernel in self.body()}
        if self.resizes:
            images = builder.resize(images, self.side, "resize")
        x = builder.tokens(builder.convolve(images, kernels["patch_embed.proj"], self.patch, padding=0))
        for index in range(_DEPTH):
            block = f"blocks.{index}"
            inner = builder.dense(builder.normalise_each(x, f"{block}.norm1"), kernels[f"{block}.attn.qkv"])
            inner = builder.attention(inner, self.heads, f"{block}.attn")
            x = builder.add([x, builder.dense(inner, kernels[f"{block}.attn.proj"])], f"{block}.add1")
            inner = builder.dense(builder.normalise_each(x, f"{block}.norm2"), kernels[f"{block}.mlp.fc1"])
            inner = builder.gelu(inner, f"{block}.mlp.act")
            x = builder.add([x, builder.dense(inner, kernels[f"{block}.mlp.fc2"])], f"{block}.add2")
        return builder.first(builder.normalise_each(x, "norm"))

    def other_starts(self) -> dict[tuple[str, str], float]:
        """Class token and positions, as timm draws them."""
        return {("tokens", "cls_token"): 1e-6, ("tokens", "pos_embed"): 0.02}

    def stages(self) -> tuple[list[str], list[str]]:
        """The tokens and every block."""
        return ["tokens"], [f"blocks.{index}.add2" for index in range(_DEPTH)]

    def prunable(self, part: str = "all") -> list[Kernel]:
        """All dense kernels of the blocks, or the feed-forward ones alone."""
        return [kernel for kernel in super().prunable(part) if part == "all" or ".mlp." in kernel.name]


@description.register(
    "vit_small", default_width=384, normalises=False, parts=("all", "feed_forward"), pretrained_stem="full"
)
def describe(**common: typing.Any) -> VisionTransformer:
    """A VisionTransformer from what all networks have."""
    network = VisionTransformer(**common)
    height, width = network.side
    if network.width % _HEAD_WIDTH:
        raise UsageError(f"--width={network.width}: vit_small needs a multiple of {_HEAD_WIDTH}")
    if height % network.patch or width % network.patch:
        raise UsageError(f"--model=vit_small cuts patches of {network.patch} pixels; {height}x{width} does not divide")
    return network
