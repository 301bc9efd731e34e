"""Which layers of a network are looked at, of those that its family names. No TensorFlow."""

from tf_tickets.models.description import Network

READABLE = 24


def compared(network: Network) -> list[str]:
    """The layers whose outputs CKA compares: stem, blocks or stages in order, logits; about 24 at most.

    Of residual networks, MobileNetV2 and the transformer the stem and every block's output, of VGG every rectified
    convolution. Deeper networks keep every second (third, ...) block and the last.

    Args:
      network: the description of a network.

    Returns:
      List of Keras layer names.
    """
    stem, blocks = network.stages()
    step = -(-len(blocks) // READABLE)
    kept = blocks[::-1][::step][::-1]
    return [*stem, *kept, "linear"]
