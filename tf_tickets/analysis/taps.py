"""Which layers of a network are looked at, by family and name. No TensorFlow."""

from tf_tickets.models.residual import ResNet
from tf_tickets.models.sequential import VGG, MobileNet
from tf_tickets.models.transformer import DEPTH

READABLE = 24


def compared(described):
    """The layers whose outputs CKA compares: stem, blocks or stages in order, logits; about 24 at most.

    Of residual networks, MobileNetV2 and the transformer the stem and every block's output, of VGG every rectified
    convolution. Deeper networks keep every second (third, ...) block and the last.

    Args:
      described: a models.architecture.Network.

    Returns:
      List of Keras layer names.
    """
    stem, blocks = _blocks(described)
    step = -(-len(blocks) // READABLE)
    kept = blocks[::-1][::step][::-1]
    return [*stem, *kept, "linear"]


def _blocks(described):
    if isinstance(described, ResNet):
        stem = "pre_conv.2" if described.stem == "small" else "pre_conv.3"
        return [stem], [f"{block.name}.relu" for block in described.blocks]
    if isinstance(described, VGG):
        return [], [f"features.{position + 2}" for position, _, channels in described.parts if channels]
    if isinstance(described, MobileNet):
        ends = [f"{block.name}.{'add' if block.stride == 1 else 'bn3'}" for block in described.blocks]
        return ["conv1.relu"], [*ends, "conv2.relu"]
    return ["tokens"], [f"blocks.{index}.add2" for index in range(DEPTH)]


def probed(described):
    """The layers on whose outputs, averaged over positions, a probe is trained: `features`, of ResNets the stages too.

    Args:
      described: a models.architecture.Network.

    Returns:
      List of Keras layer names; the last stage averaged is `features`.
    """
    if not isinstance(described, ResNet):
        return ["features"]
    last = {block.name.split(".")[0]: f"{block.name}.relu" for block in described.blocks}
    return [*list(last.values())[:-1], "features"]


def shortcut_first(described):
    """Whether the additions name their shortcut before the residual: the transformer's do."""
    return not isinstance(described, (ResNet, VGG, MobileNet))
