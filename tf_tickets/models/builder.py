"""Keras networks from descriptions: convolutions padded as in PyTorch, normalisation, the head, initial weights."""

from tf_tickets.backend import keras, tf
from tf_tickets.errors import UsageError
from tf_tickets.models import initial, layers, winograd
from tf_tickets.models.architecture import describe
from tf_tickets.models.description import Kernel, Network

# Of normalisation. PyTorch's momentum, 0.1, is the weight of the new value.
_MOMENTUM = 0.9


class Builder:
    """Adds layers of one dtype policy to a Keras graph. Every method takes Keras tensors and gives one.

    Attributes:
      policy: the keras.mixed_precision.Policy.
    """

    def __init__(self, policy: keras.mixed_precision.Policy):
        self.policy = policy

    def convolve(
        self, x: tf.Tensor, kernel: Kernel, stride: int = 1, padding: int | tuple[int, int] | None = None
    ) -> tf.Tensor:
        """The convolution of a Kernel; `padding` in pixels on every side or (before, after), by default half of it."""
        size, named = kernel.shape[0], {"name": kernel.name, "dtype": self.policy}
        padding = size // 2 if padding is None else padding
        if kernel.kind == "harmonic":
            return layers.HarmonicConvolution(kernel.outputs, size, stride=stride, padding=padding, **named)(x)
        if kernel.kind == "depthwise":
            return layers.DepthwiseConvolution(size, stride=stride, padding=padding, **named)(x)
        if size == 1 and stride > 1 and not padding and not kernel.bias:
            return layers.StridedPointwise(kernel.outputs, stride=stride, **named)(x)
        # Keras "same" pads the bottom and right at stride 2; PyTorch pads every side alike.
        same = stride == 1 and padding == size // 2
        if padding and not same:
            x = self.pad(x, padding, f"{kernel.name}.pad")
        fits = same and size == 3 and self.policy.compute_dtype == "float32"
        fast = fits and winograd.pays(x.shape[-1], kernel.outputs, x.shape[1:3])
        return (winograd.WinogradConvolution if fast else keras.layers.Conv2D)(
            kernel.outputs, size, stride, "same" if same else "valid", use_bias=kernel.bias,
            kernel_initializer="zeros", **named,
        )(x)  # fmt: skip

    def dense(self, x: tf.Tensor, kernel: Kernel) -> tf.Tensor:
        """The dense layer of a Kernel."""
        return keras.layers.Dense(
            kernel.outputs, use_bias=kernel.bias, kernel_initializer="zeros", name=kernel.name, dtype=self.policy
        )(x)

    def cosine_filters(self, x: tf.Tensor, size: int, stride: int, name: str) -> tf.Tensor:
        """The responses to all cosine filters of a side."""
        return layers.CosineFilters(size, stride, name=name, dtype=self.policy)(x)

    def pad(self, x: tf.Tensor, pixels: int | tuple[int, int], name: str) -> tf.Tensor:
        """Zeros, as many pixels on every side, or (before, after) rows and columns."""
        pads = pixels if isinstance(pixels, int) else (pixels, pixels)
        return keras.layers.ZeroPadding2D(pads, name=name, dtype=self.policy)(x)

    def normalise(self, x: tf.Tensor, name: str, affine: bool = True, epsilon: float = 1e-5) -> tf.Tensor:
        """Batch normalisation, by default with PyTorch's constants."""
        return keras.layers.BatchNormalization(
            momentum=_MOMENTUM, epsilon=epsilon, center=affine, scale=affine, name=name, dtype=self.policy
        )(x)

    def normalise_each(self, x: tf.Tensor, name: str) -> tf.Tensor:
        """Layer normalisation, with the transformers' constant."""
        return keras.layers.LayerNormalization(epsilon=1e-6, name=name, dtype=self.policy)(x)

    def relu(self, x: tf.Tensor, name: str) -> tf.Tensor:
        """Rectified linear units."""
        return keras.layers.ReLU(name=name, dtype=self.policy)(x)

    def relu6(self, x: tf.Tensor, name: str) -> tf.Tensor:
        """Rectified linear units of at most 6."""
        return keras.layers.ReLU(max_value=6.0, name=name, dtype=self.policy)(x)

    def gelu(self, x: tf.Tensor, name: str) -> tf.Tensor:
        """Gaussian error linear units."""
        return keras.layers.Activation("gelu", name=name, dtype=self.policy)(x)

    def add(self, terms: list[tf.Tensor], name: str) -> tf.Tensor:
        """The sum."""
        return keras.layers.Add(name=name, dtype=self.policy)(terms)

    def max_pool(self, x: tf.Tensor, size: int, stride: int, name: str) -> tf.Tensor:
        """The largest value of every window, without padding."""
        return keras.layers.MaxPooling2D(size, stride, name=name, dtype=self.policy)(x)

    def pooled(self, x: tf.Tensor) -> tf.Tensor:
        """The mean over all positions, under the name `features`."""
        return keras.layers.GlobalAveragePooling2D(name="features", dtype=self.policy)(x)

    def resize(self, x: tf.Tensor, sides: tuple[int, int], name: str) -> tf.Tensor:
        """Images of other sides, (height, width), bilinear."""
        return keras.layers.Resizing(*sides, "bilinear", name=name, dtype=self.policy)(x)

    def tokens(self, x: tf.Tensor) -> tf.Tensor:
        """Patches as a sequence, class token and positions with them, under the name `tokens`."""
        return layers.Tokens(name="tokens", dtype=self.policy)(x)

    def attention(self, x: tf.Tensor, heads: int, name: str) -> tf.Tensor:
        """Multi-head attention from queries, keys and values side by side."""
        return layers.Attention(heads, name=name, dtype=self.policy)(x)

    def first(self, x: tf.Tensor) -> tf.Tensor:
        """The class token, under the name `features`."""
        return layers.First(name="features", dtype=self.policy)(x)


def _head(x, network, dtype):
    """The logits of any head, as `linear`."""
    if network.head == "linear":
        bias = network.kernels()[-1].bias
        return keras.layers.Dense(
            network.classes, use_bias=bias, name="linear", kernel_initializer="zeros", dtype=dtype
        )(x)  # fmt: skip
    return layers.SimilarityHead(network.classes, network.head, network.kappa, name="linear", dtype=dtype)(x)


def _check_kernels(model, network):
    """UsageError unless the layers that a Network builds are those that its kernels describe."""
    built = {
        layer.name: tuple(layer.kernel.shape)
        for layer in model.layers
        if hasattr(layer, "kernel") and not getattr(layer, "kept_whole", False)
    }
    described = {kernel.name: kernel.shape for kernel in network.kernels()}
    for name in [*described, *built]:
        shapes = [of.get(name, "none") for of in (described, built)]
        if shapes[0] != shapes[1]:
            raise UsageError(
                f"--model={network.model}: of its layer {name} the kernel is {shapes[0]} in body() and {shapes[1]} in "
                "build(); let them agree"
            )


def build(
    name: str,
    *,
    classes: int,
    image_shape: tuple[int, int, int],
    stem: str = "small",
    width: int | None = None,
    head: str = "linear",
    kappa: float = 16.0,
    seed: int = 0,
    precision: str = "float32",
    image_size: int | None = None,
    architecture: dict | None = None,
) -> keras.Model:
    """Builds a functional Keras network.

    Args:
      name: what `--model` takes.
      classes: length of the logits.
      image_shape: (height, width, channels) of the normalised float32 input.
      stem: small (32-pixel images) or full (224-pixel images).
      width: channels of the first stage; None for the network's usual.
      head: linear, cosine or tvmf; the logits of the last two include the learned scale.
      kappa: of a tvmf head.
      seed: draws the initial weights.
      precision: a Keras dtype policy; logits are float32 under every one but float64.
      image_size: what the images' shorter side becomes inside; None: they stay as they are.
      architecture: the document of a network own:HASH, where a ticket has it.

    Returns:
      A keras.Model: float32 [n, height, width, channels] -> float32 logits [n, classes].

    Raises:
      UsageError: an unknown name, a size that the network cannot have, or layers other than it describes.
    """
    network: Network = describe(
        name, classes=classes, image_shape=image_shape, stem=stem, width=width, head=head, kappa=kappa,
        image_size=image_size, architecture=architecture,
    )  # fmt: skip
    # float64 makes all of it float64, for comparisons.
    logits_type = "float64" if precision == "float64" else "float32"
    images = keras.Input(network.given_shape, dtype=logits_type, name="images")
    layers_of = Builder(keras.mixed_precision.Policy(precision))
    seen = layers_of.resize(images, network.image_shape[:2], "enlarge") if network.enlarged_from else images
    features = network.build(seen, layers_of)
    model = keras.Model(images, _head(features, network, logits_type), name=name.replace(":", "-"))
    network.note_head(model)
    _check_kernels(model, network)
    initial.draw(model, network, seed)
    return model
