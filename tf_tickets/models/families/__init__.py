"""The families of networks, without TensorFlow; each registers its networks, in the order in which they are listed."""

# isort: off
from tf_tickets.models.families import residual, wide_residual, vgg, mobilenet, efficientnet_lite, transformer

__all__ = ["efficientnet_lite", "mobilenet", "residual", "transformer", "vgg", "wide_residual"]
