"""The families of networks, without TensorFlow; each registers its networks, in the order in which they are listed."""

# isort: off
from tf_tickets.models.families import residual, wide_residual, vgg, mobilenet, transformer, applications

__all__ = ["applications", "mobilenet", "residual", "transformer", "vgg", "wide_residual"]
