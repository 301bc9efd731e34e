"""The families of networks, without TensorFlow; each registers its networks, in the order in which they are listed."""

# isort: off
from tf_tickets.models.families import residual, wide_residual, vgg, mobilenet, efficientnet_lite, transformer
from tf_tickets.models.families import applications

__all__ = ["applications", "efficientnet_lite", "mobilenet", "residual", "transformer", "vgg", "wide_residual"]
