"""What a network is made of, without TensorFlow: names, kinds, shapes and strides of its layers.

The Keras builder walks these descriptions, and the plan of a run counts weights from them, so the two cannot differ.
"""

import abc
import dataclasses
import math
import re
import typing
from collections.abc import Callable

from tf_tickets.errors import UsageError
from tf_tickets.registry import NETWORKS

# A Keras tensor; Keras is not imported here.
Tensor = typing.Any

# How a kernel is drawn that is drawn by an initializer of its layer.
OWN = "own"


@dataclasses.dataclass(frozen=True)
class VarianceScaling:
    """How Keras draws a kernel: with a variance of `scale` over its inputs, its outputs, or their mean.

    Attributes:
      scale: positive.
      mode: fan_in, fan_out or fan_avg.
      distribution: uniform, truncated_normal (at two deviations) or untruncated_normal.
    """

    scale: float
    mode: str
    distribution: str


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One convolution or dense kernel, Keras layout.

    Attributes:
      name: the layer's name, such as layer1.0.conv1.
      shape: (height, width, in, out), of several groups the inputs of one; (height, width, channels, filters of a
        channel) of a depthwise one; (in, out) of a dense one.
      prunable: whether the global ranking sees it.
      kind: plain, depthwise, harmonic (coefficients of cosine filters, i-major in the first two axes) or dense.
      start: how it is drawn: fan_in (PyTorch's default), fan_out (He's normal), small (normal 0.01), token
        (normal 0.02), as Keras would, or own, by its layer's initializer.
      bias: whether the layer adds one.
    """

    name: str
    shape: tuple[int, ...]
    prunable: bool
    kind: str = "plain"
    start: str | VarianceScaling = "fan_in"
    bias: bool = False

    @property
    def size(self) -> int:
        """The number of weights."""
        return math.prod(self.shape)

    @property
    def outputs(self) -> int:
        """The number of output channels."""
        return math.prod(self.shape[2:]) if self.kind == "depthwise" else self.shape[-1]

    @property
    def fan_in(self) -> int:
        """Inputs of one output."""
        return math.prod(self.shape[:2]) if self.kind == "depthwise" else math.prod(self.shape[:-1])


@dataclasses.dataclass(frozen=True)
class Network(abc.ABC):
    """What all networks have. A family derives from it, and says what is abstract here.

    Attributes:
      model: the name in the registry.
      stem: small or full.
      image_shape: (height, width, channels) of what the body sees.
      width: channels of the first stage; of a vision transformer, the embedding.
      classes: of the head.
      head: linear, cosine or tvmf.
      kappa: the concentration of a tvmf head.
      enlarged_from: (height, width, channels) of the images where they are smaller than what the body sees, and are
        enlarged inside the network; else None.
    """

    model: str
    stem: str
    image_shape: tuple[int, int, int]
    width: int
    classes: int
    head: str
    kappa: float
    enlarged_from: tuple[int, int, int] | None = dataclasses.field(default=None, kw_only=True)

    # The head is drawn as the family says.
    head_start: typing.ClassVar[str] = "fan_in"
    # Whether its additions name their shortcut before the residual.
    shortcut_first: typing.ClassVar[bool] = False

    @property
    def given_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the images that the network takes."""
        return self.enlarged_from or self.image_shape

    @property
    def image_size(self) -> int | None:
        """The shorter side that images have after they are enlarged inside the network; None where they are not."""
        return min(self.image_shape[:2]) if self.enlarged_from else None

    @property
    def features(self) -> int:
        """Length of the vector that the head sees."""
        return self.body()[-1].outputs

    @abc.abstractmethod
    def body(self) -> list[Kernel]:
        """The kernels before the head, in the order in which ties are broken."""

    def other_parameters(self) -> int:
        """How many trainable numbers are neither kernels nor biases: scale and shift of a normalisation for each."""
        return sum(2 * kernel.outputs for kernel in self.body())

    @abc.abstractmethod
    def build(self, images: Tensor, builder: typing.Any) -> Tensor:
        """The layers from images to `features`, in Keras; those of `body` have its names.

        Args:
          images: a Keras input, [n, height, width, channels].
          builder: a models.builder.Builder, which adds layers.

        Returns:
          The output of the layer `features`, [n, features].
        """

    def stages(self) -> tuple[list[str], list[str]]:
        """Names of the Keras layers whose outputs analyses compare: (stem, blocks), in order, the logits left out."""
        return [], self.probed()

    def probed(self) -> list[str]:
        """Names of the Keras layers on whose outputs, averaged over positions, probes are trained; last `features`."""
        return ["features"]

    def other_starts(self) -> dict[tuple[str, str], float]:
        """(layer, its variable) -> deviation of the normal draw, of what is neither kernel nor bias nor a constant."""
        return {}

    def note_head(self, model: typing.Any) -> None:  # noqa: B027  most have nothing to note
        """Notes on the head of a Keras network that was built of this what `initial` cannot know: here nothing."""

    def sources(self) -> dict[str, str]:
        """What its bits depend on of the user's own code, for the manifest; here nothing."""
        return {}

    def own_weights(self, model: typing.Any) -> dict:
        """The arrays by name, of a Keras network that was built of this, with which it comes; here none."""
        return {}

    def own_names(self, model: typing.Any, arrays: dict) -> dict:
        """The arrays of a file of weights under names that `pretrained.load` knows: as they are.

        Args:
          model: the Keras network that was built of this.
          arrays: from `pretrained.read`, in the file's order.
        """
        return arrays

    def kernels(self) -> list[Kernel]:
        """All kernels in the order in which ties are broken, the head's last."""
        shape = (self.features, self.classes)
        start = self.head_start if self.head == "linear" else "fan_in"
        return [*self.body(), Kernel("linear", shape, False, "dense", start, bias=self.head == "linear")]

    def trainable_parameters(self) -> int:
        """The number of all trainable numbers."""
        kernels = self.kernels()
        biases = sum(kernel.outputs for kernel in kernels if kernel.bias)
        scale = 0 if self.head == "linear" else 1
        return sum(kernel.size for kernel in kernels) + biases + scale + self.other_parameters()

    def prunable(self, part: str = "all") -> list[Kernel]:
        """The kernels that the ranking sees; UsageError unless `part` is one of the family's `parts`."""
        if part not in NETWORKS[self.model].parts:
            raise UsageError(f"--prunable={part} is not one of {', '.join(NETWORKS[self.model].parts)}: {self.model}")
        return [kernel for kernel in self.body() if kernel.prunable]


@dataclasses.dataclass(frozen=True)
class Published:
    """Weights that others have trained on ImageNet and published: what `--pretrained=imagenet` means.

    Attributes:
      find: function () -> the path of their file on this machine; UsageError, in one line, says what to bring.
      origin: where they come from, for the model card.
      licence: under which they are published.
    """

    find: Callable[[], str]
    origin: str
    licence: str


@dataclasses.dataclass(frozen=True)
class Entry:
    """What the registry holds of a network: what is true of its name, whatever its size.

    Attributes:
      describe: function of the values of a Network's attributes, by name -> Network; UsageError for a size that the
        network cannot have.
      default_width: the width that `--width` unset means.
      normalises: whether it has batch normalisation.
      runtime: whether `tf_tickets.runtime` executes it.
      parts: the values that `--prunable` may have.
      pretrained_stem: what `--stem=auto` means with `--pretrained`; None: the data set's.
      image_size: the shorter side, in pixels, of what it sees where `--image_size` is unset; larger images of one size
        stay as they are. With one, `--stem=auto` is full. None: that of the images.
      normalisation: (mean, deviation), one value a channel, of pixels in [0, 1], where its preprocessing is its own;
        None: the data set's.
      imagenet: published weights, or None.
      own: whether it is a Keras network of the user's own, whose size and head it says itself.
      trained: whether it comes with weights.
    """

    describe: Callable[..., Network]
    default_width: int
    normalises: bool
    runtime: bool = False
    parts: tuple[str, ...] = ("all",)
    pretrained_stem: str | None = None
    image_size: int | None = None
    normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    imagenet: Published | None = None
    own: bool = False
    trained: bool = False


def register(*names: str, **facts: typing.Any) -> Callable[[Callable[..., Network]], Callable[..., Network]]:
    """A decorator that registers a function as the `describe` of the networks of some names.

    Args:
      *names: what `--model` takes: small letters, digits and _.
      **facts: the other attributes of their `Entry`.

    Raises:
      ValueError: a name that could not be a folder's, or that is taken.
    """

    def put(describe):
        for name in names:
            if not re.fullmatch("[a-z][a-z0-9_]*", name):
                raise ValueError(f"{name!r} does not begin with a small letter, followed by such, digits and _")
            NETWORKS.register(name)(Entry(describe, **facts))
        return describe

    return put
