"""Name to network."""

from tf_tickets.backend import keras
from tf_tickets.models import architecture, initial, mobilenet, parts, resnet, vgg, vit
from tf_tickets.models.residual import ResNet
from tf_tickets.models.sequential import VGG, MobileNet
from tf_tickets.models.transformer import VisionTransformer

_BODIES = {ResNet: resnet.body, VGG: vgg.body, MobileNet: mobilenet.body, VisionTransformer: vit.body}


def build(
    name, *, classes, image_shape, stem="small", width=None, head="linear", kappa=16.0, seed=0, precision="float32"
):
    """Builds a functional Keras network.

    Args:
      name: one of `architecture.names()`.
      classes: length of the logits.
      image_shape: (height, width, channels) of the normalised float32 input.
      stem: small (32-pixel images) or full (224-pixel images).
      width: channels of the first stage; None for the network's usual.
      head: linear, cosine or tvmf; the logits of the last two include the learned scale.
      kappa: of a tvmf head.
      seed: draws the initial weights.
      precision: a Keras dtype policy; logits are float32 under every one but float64.

    Returns:
      A keras.Model: float32 [n, height, width, channels] -> float32 logits [n, classes].
    """
    described = architecture.describe(
        name, classes=classes, image_shape=image_shape, stem=stem, width=width, head=head, kappa=kappa
    )
    policy = keras.mixed_precision.Policy(precision)
    # float64 makes all of it float64, for comparisons.
    logits_type = "float64" if precision == "float64" else "float32"
    images = keras.Input(described.image_shape, dtype=logits_type, name="images")
    features = _BODIES[type(described)](images, described, policy)
    model = keras.Model(images, parts.head(features, described, logits_type), name=name)
    initial.draw(model, described, seed)
    if isinstance(described, VisionTransformer):
        vit.draw_tokens(model, seed)
    return model
