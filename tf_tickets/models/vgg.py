"""VGG (Simonyan & Zisserman 2015) in Keras."""

from tf_tickets.backend import keras
from tf_tickets.models import parts


def body(images, described, policy):
    """From images to `features`; `described` is a sequential.VGG. A map of one pixel is not pooled further."""
    x, kernels = images, {kernel.name: kernel for kernel in described.body()}
    for position, _, channels in described.parts:
        if channels:
            x = parts.convolve(x, kernels[f"features.{position}"], 1, policy)
            x = parts.normalise(x, f"features.{position + 1}", policy)
            x = parts.relu(x, f"features.{position + 2}", policy)
        elif min(x.shape[1:3]) > 1:
            x = keras.layers.MaxPooling2D(2, 2, name=f"features.{position}", dtype=policy)(x)
    return parts.pooled(x, policy)
