"""The families of networks, without TensorFlow; each registers its networks, in the order in which they are listed."""

# isort: off
from tf_tickets.models.families import (  # fmt: skip
    residual,
    wide_residual,
    vgg,
    mobilenet,
    efficientnet_lite,
    transformer,
    applications,
    own_kind,
)

__all__ = [
    "applications", "efficientnet_lite", "mobilenet", "own_kind", "residual", "transformer", "vgg", "wide_residual"
]  # fmt: skip
