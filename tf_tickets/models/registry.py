"""Name to network."""

from tf_tickets.models import architecture, resnet


def build(name, *, classes, image_shape, stem="small", width=64, seed=0, precision="float32"):
    """Builds a functional Keras network.

    Args:
      name: one of `architecture.names()`.
      classes: length of the logits.
      image_shape: (height, width, channels) of the normalised float32 input.
      stem: small (32-pixel images) or full (7x7 of stride 2 and max-pooling).
      width: channels of the first stage.
      seed: draws the initial weights.
      precision: a Keras dtype policy; logits are float32 under every one.

    Returns:
      A keras.Model: float32 [n, height, width, channels] -> float32 logits [n, classes].
    """
    described = architecture.describe(name, classes=classes, image_shape=image_shape, stem=stem, width=width)
    return resnet.build(described, seed=seed, precision=precision, name=name)
