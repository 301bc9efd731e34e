"""The small vision transformer without TensorFlow."""

import dataclasses

from tf_tickets.errors import UsageError
from tf_tickets.models.architecture import Kernel, Network

DEPTH = 12
HEAD_WIDTH = 64
# The side that published backbones were trained at; smaller images become as large under a full stem.
FULL_SIDE = 224


@dataclasses.dataclass(frozen=True)
class VisionTransformer(Network):
    """ViT (Dosovitskiy et al. 2021): pre-normalised blocks, GELU, class token, learned positions, no drop-out.

    Patches are 8 pixels below 128, else 32. A full stem resizes images below 128 pixels to 224, so that a pretrained
    backbone sees patches like those it knows. The patch embedding is never pruned.
    """

    @property
    def resizes(self):
        """Whether images are resized before they are cut into patches."""
        return self.stem == "full" and self.image_shape[0] < 128

    @property
    def side(self):
        """(height, width) of what is cut into patches, in pixels."""
        return (FULL_SIDE, FULL_SIDE) if self.resizes else self.image_shape[:2]

    @property
    def patch(self):
        """The side of a patch, in pixels."""
        return 8 if self.side[0] < 128 else 32

    @property
    def tokens(self):
        """Patches and the class token."""
        return (self.side[0] // self.patch) * (self.side[1] // self.patch) + 1

    @property
    def heads(self):
        """Attention heads of a block."""
        return self.width // HEAD_WIDTH

    @property
    def features(self):
        """Length of the vector that the head sees."""
        return self.width

    def body(self):
        """Patch embedding, then the four dense kernels of each block."""
        width = self.width
        patch = (self.patch, self.patch, self.image_shape[2], width)
        found = [Kernel("patch_embed.proj", patch, False, "plain", "fan_in", bias=True)]
        for index in range(DEPTH):
            for name, shape in (
                ("attn.qkv", (width, 3 * width)), ("attn.proj", (width, width)),
                ("mlp.fc1", (width, 4 * width)), ("mlp.fc2", (4 * width, width)),
            ):  # fmt: skip
                found.append(Kernel(f"blocks.{index}.{name}", shape, True, "dense", "token", bias=True))
        return found

    def other_parameters(self):
        """Layer normalisation, class token and positions."""
        return (2 * DEPTH + 1) * 2 * self.width + (1 + self.tokens) * self.width

    def prunable(self, part="all"):
        """All dense kernels of the blocks, or the feed-forward ones alone."""
        return [kernel for kernel in self.body() if kernel.prunable and (part == "all" or ".mlp." in kernel.name)]


def describe(common):
    """A VisionTransformer from what all networks have."""
    found = VisionTransformer(**common)
    height, width = found.side
    if found.width % HEAD_WIDTH:
        raise UsageError(f"--width={found.width}: vit_small needs a multiple of {HEAD_WIDTH}")
    if height % found.patch or width % found.patch:
        raise UsageError(f"--model=vit_small cuts patches of {found.patch} pixels; {height}x{width} does not divide")
    return found
