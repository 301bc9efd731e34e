"""What each network is made of, without TensorFlow: names, kinds, shapes and strides of its layers.

The Keras builders walk these descriptions, and the plan of a run counts weights from them, so the two cannot differ.
Names are those of the paper's PyTorch release, in its order.
"""

import dataclasses
import math

from tf_tickets.choices import default_width
from tf_tickets.errors import UsageError

HEADS = ("linear", "cosine", "tvmf")


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One convolution or dense kernel, Keras layout.

    Attributes:
      name: the layer's name, such as layer1.0.conv1.
      shape: (height, width, in, out); (height, width, channels, 1) of a depthwise one; (in, out) of a dense one.
      prunable: whether the global ranking sees it.
      kind: plain, depthwise, harmonic (coefficients of cosine filters, i-major in the first two axes) or dense.
      start: how it is drawn: fan_in (PyTorch's default), fan_out (He's normal), small (normal 0.01) or token
        (normal 0.02).
      bias: whether the layer adds one.
    """

    name: str
    shape: tuple
    prunable: bool
    kind: str = "plain"
    start: str = "fan_in"
    bias: bool = False

    @property
    def size(self):
        """The number of weights."""
        return math.prod(self.shape)

    @property
    def outputs(self):
        """The number of output channels."""
        return self.shape[2] if self.kind == "depthwise" else self.shape[-1]

    @property
    def fan_in(self):
        """Inputs of one output."""
        return math.prod(self.shape[:2]) if self.kind == "depthwise" else math.prod(self.shape[:-1])


@dataclasses.dataclass(frozen=True)
class Network:
    """What all networks have.

    Attributes:
      model: the name in the registry.
      stem: small or full.
      image_shape: (height, width, channels).
      width: channels of the first stage; of a vision transformer, the embedding.
      classes: of the head.
      head: linear, cosine or tvmf.
      kappa: the concentration of a tvmf head.
    """

    model: str
    stem: str
    image_shape: tuple
    width: int
    classes: int
    head: str
    kappa: float

    # The head is drawn as the family says.
    head_start = "fan_in"

    @property
    def features(self):
        """Length of the vector that the head sees."""
        raise NotImplementedError

    def body(self):
        """The kernels before the head, in the order in which ties are broken."""
        raise NotImplementedError

    def other_parameters(self):
        """Trainable numbers that are neither kernels nor biases: normalisation scale and shift, tokens."""
        raise NotImplementedError

    def kernels(self):
        """All kernels in the order in which ties are broken, the head's last."""
        shape = (self.features, self.classes)
        start = self.head_start if self.head == "linear" else "fan_in"
        return [*self.body(), Kernel("linear", shape, False, "dense", start, bias=self.head == "linear")]

    def trainable_parameters(self):
        """All trainable numbers."""
        kernels = self.kernels()
        biases = sum(kernel.outputs for kernel in kernels if kernel.bias)
        scale = 0 if self.head == "linear" else 1
        return sum(kernel.size for kernel in kernels) + biases + scale + self.other_parameters()

    def prunable(self, part="all"):
        """The kernels that the ranking sees; `part` is all or feed_forward (of a vision transformer)."""
        if part != "all":
            raise UsageError(f"--prunable={part} belongs to vit_small, not {self.model}")
        return [kernel for kernel in self.body() if kernel.prunable]


def _families():
    from tf_tickets.models import residual, sequential, transformer

    return {
        **{name: residual.describe for name in residual.NAMES},
        **{name: sequential.describe_vgg for name in sequential.VGG_NAMES},
        "mobilenet_v2": sequential.describe_mobilenet,
        "vit_small": transformer.describe,
    }


def describe(model, *, classes, image_shape, stem="small", width=None, head="linear", kappa=16.0):
    """Describes a network by name.

    Args:
      model: a name of `names()`.
      classes: of the head, at least 2.
      image_shape: (height, width, channels).
      stem: small (32-pixel images) or full (224-pixel images; vit_small resizes smaller ones).
      width: channels of the first stage; None for `choices.default_width`.
      head: linear, cosine or tvmf.
      kappa: of a tvmf head.

    Returns:
      A Network.

    Raises:
      UsageError: an unknown name, or a size that the network cannot have.
    """
    families = _families()
    if model not in families:
        raise UsageError(f"--model={model} is not one of {', '.join(families)}")
    if head not in HEADS:
        raise UsageError(f"--head={head} is not one of {', '.join(HEADS)}")
    width = default_width(model) if width is None else width
    common = {
        "model": model, "stem": stem, "image_shape": tuple(image_shape), "width": width, "classes": classes,
        "head": head, "kappa": kappa,
    }  # fmt: skip
    return families[model](common)


def from_config(network, data_set):
    """Describes the network of a config.Network on a data.catalog.DataSet.

    stem=auto is the data set's, and full for a pretrained transformer, which then sees images as large as it knows.
    """
    stem = data_set.stem if network.stem == "auto" else network.stem
    if network.stem == "auto" and network.model == "vit_small" and network.pretrained:
        stem = "full"
    return describe(
        network.model, classes=data_set.classes, image_shape=data_set.image_shape, stem=stem, width=network.width,
        head=network.head, kappa=network.kappa,
    )  # fmt: skip


def names():
    """The names that `describe` knows."""
    return tuple(_families())
