"""The families of networks, without TensorFlow; each registers its networks, in the order in which they are listed."""

# isort: off
from tf_tickets.models.families import residual, wide_residual, vgg, mobilenet, transformer

__all__ = ["mobilenet", "residual", "transformer", "vgg", "wide_residual"]
