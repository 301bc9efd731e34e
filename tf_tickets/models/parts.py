"""Steps that several Keras builders take: convolutions padded as in PyTorch, normalisation, the head."""

from tf_tickets.backend import keras
from tf_tickets.models import layers, winograd

# PyTorch's constants; its momentum 0.1 is the weight of the new value.
_NORMALISATION = {"momentum": 0.9, "epsilon": 1e-5}


def convolve(x, kernel, stride, policy, padding=None):
    """The convolution of an architecture.Kernel; `padding` in pixels on every side, half the kernel by default."""
    size = kernel.shape[0]
    padding = size // 2 if padding is None else padding
    if kernel.kind == "harmonic":
        return layers.HarmonicConvolution(
            kernel.outputs, size, stride=stride, padding=padding, name=kernel.name, dtype=policy
        )(x)
    if kernel.kind == "depthwise":
        return layers.DepthwiseConvolution(stride=stride, padding=padding, name=kernel.name, dtype=policy)(x)
    if size == 1 and stride > 1 and not padding and not kernel.bias:
        return layers.StridedPointwise(kernel.outputs, stride=stride, name=kernel.name, dtype=policy)(x)
    # Keras "same" pads the bottom and right at stride 2; PyTorch pads every side alike.
    same = stride == 1 and padding == size // 2
    if padding and not same:
        x = pad(x, padding, f"{kernel.name}.pad", policy)
    fits = same and size == 3 and policy.compute_dtype == "float32"
    fast = fits and winograd.pays(x.shape[-1], kernel.outputs, x.shape[1:3])
    return (winograd.WinogradConvolution if fast else keras.layers.Conv2D)(
        kernel.outputs, size, stride, "same" if same else "valid", use_bias=kernel.bias, kernel_initializer="zeros",
        name=kernel.name, dtype=policy,
    )(x)  # fmt: skip


def pad(x, pixels, name, policy):
    """Zeros on every side."""
    return keras.layers.ZeroPadding2D(pixels, name=name, dtype=policy)(x)


def normalise(x, name, policy, affine=True):
    """Batch normalisation with PyTorch's constants."""
    return keras.layers.BatchNormalization(**_NORMALISATION, center=affine, scale=affine, name=name, dtype=policy)(x)


def relu(x, name, policy):
    """Rectified linear units."""
    return keras.layers.ReLU(name=name, dtype=policy)(x)


def add(parts, name, policy):
    """The sum."""
    return keras.layers.Add(name=name, dtype=policy)(parts)


def pooled(x, policy):
    """The mean over all positions, under the name `features`."""
    return keras.layers.GlobalAveragePooling2D(name="features", dtype=policy)(x)


def head(x, described, dtype):
    """The logits of any head, as `linear`."""
    if described.head == "linear":
        return keras.layers.Dense(described.classes, name="linear", kernel_initializer="zeros", dtype=dtype)(x)
    return layers.SimilarityHead(described.classes, described.head, described.kappa, name="linear", dtype=dtype)(x)
