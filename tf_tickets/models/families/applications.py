"""The classifiers of tf_keras.applications, as `keras:NAME`: pretrained networks as Keras builds them.

Their kernels are those of `applications.jsonl`, which tests/data/make_applications.py reads off built networks, so that
a dry run needs no TensorFlow; `build` compares.
"""

import dataclasses
import functools
import json
import os
import re
import typing
from collections.abc import Iterator, Mapping

from tf_tickets.errors import UsageError
from tf_tickets.models.description import OWN, Entry, Kernel, Network, Published, Tensor, VarianceScaling
from tf_tickets.models.families import keras_weights
from tf_tickets.registry import NETWORKS

PREFIX = "keras"
LISTED = os.path.join(os.path.dirname(__file__), "applications.jsonl")

# What `preprocess_input` does to pixels in [0, 1]: (mean, deviation) of red, green, blue. caffe also puts blue first;
# pixels from 0 to 255 go into networks that begin with a preprocessing of their own.
_PREPROCESSING = {
    "tf": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "torch": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "caffe": ((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 1 / 255)),
    "inside": ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
}

# Names -> (their preprocessing, the side for which they were trained, the smallest that they take).
_FAMILIES = (
    ("ConvNeXt.*|RegNet.*|ResNetRS.*|MobileNetV3.*|EfficientNet(B0|V2B0)", "inside", 224, 32),
    ("EfficientNet(V2)?B1", "inside", 240, 32),
    ("EfficientNet(V2)?B2", "inside", 260, 32),
    ("EfficientNet(V2)?B3", "inside", 300, 32),
    ("EfficientNetB4", "inside", 380, 32),
    ("EfficientNetV2S", "inside", 384, 32),
    ("EfficientNetB5", "inside", 456, 32),
    ("EfficientNetV2[ML]", "inside", 480, 32),
    ("EfficientNetB6", "inside", 528, 32),
    ("EfficientNetB7", "inside", 600, 32),
    ("DenseNet.*", "torch", 224, 32),
    ("VGG.*|ResNet(50|101|152)", "caffe", 224, 32),
    ("MobileNet(V2)?|ResNet.*V2|NASNetMobile", "tf", 224, 32),
    ("NASNetLarge", "tf", 331, 32),
    ("Xception", "tf", 299, 71),
    ("Inception.*", "tf", 299, 75),
)


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is listed of an application.

    Attributes:
      kernels: of its body.
      features: length of what the head sees.
      other_parameters: how many trainable numbers are neither kernels nor biases.
      normalises: whether it has batch normalisation.
    """

    kernels: tuple[Kernel, ...]
    features: int
    other_parameters: int
    normalises: bool

    @classmethod
    def of(cls, record: dict) -> "Facts":
        """From a JSON object of `keras_graph.record`; KeyError, TypeError or ValueError where it is none."""
        starts = [OWN if start is None else VarianceScaling(*start) for start in record["starts"]]
        kernels = tuple(
            Kernel(name, tuple(shape), True, kind, starts[start], bool(bias))
            for name, kind, shape, bias, start in record["kernels"]
        )
        return cls(kernels, record["features"], record["other"], record["normalises"])


@dataclasses.dataclass(frozen=True)
class Application(Network):
    """A classifier of tf_keras.applications without its top: global pooling, and the head of the house.

    Attributes:
      blue_first: whether the body sees the colours in the other order.
    """

    blue_first: bool

    @property
    def application(self) -> str:
        """Its name in keras.applications."""
        return self.model.partition(":")[2]

    @property
    def features(self) -> int:
        """As Keras pools them."""
        return facts_of(self.application).features

    def body(self) -> list[Kernel]:
        """Kernels of convolutions and dense layers, in Keras' order."""
        return list(facts_of(self.application).kernels)

    def other_parameters(self) -> int:
        """Scales and shifts."""
        return facts_of(self.application).other_parameters

    def build(self, images: Tensor, builder: typing.Any) -> Tensor:
        """Grey images as three equal colours, then the layers as Keras orders them."""
        from tf_tickets.models import keras_graph

        if self.image_shape[2] == 1:
            images = keras_graph.grey_to_colours(images, builder)
        elif self.blue_first:
            images = keras_graph.reversed_channels(images, builder)
        source = keras_graph.application(self.application, tuple(images.shape[1:]))
        return keras_graph.Graph(source, images, builder, f"--model={self.model}: ").features

    def own_names(self, model: typing.Any, arrays: dict) -> dict:
        """Arrays of an .h5 of Keras', which tells them apart by their order, under this network's names."""
        from tf_tickets.models import keras_files

        return keras_files.own_names(model, arrays)


def describe(**common: typing.Any) -> Application:
    """An application from what all networks have.

    Raises:
      UsageError: a width, stem, size or channels that it does not have.
    """
    name, (height, width, channels) = common["model"], common["image_shape"]
    entry, (mode, _, least) = NETWORKS[name], _family(name.partition(":")[2])
    if common["width"] != entry.default_width:
        raise UsageError(
            f"--width={common['width']}: {name} is as Keras builds it, of width {entry.default_width}: leave it out"
        )
    if common["stem"] != "full":
        raise UsageError(f"--stem={common['stem']}: {name} has the stem that Keras gives it: --stem=full")
    if min(height, width) < least:
        raise UsageError(f"--image_size={min(height, width)}: {name} takes images of {least} pixels or more")
    if channels not in (1, 3):
        raise UsageError(f"--model={name} takes images of 3 channels, or grey ones, and these have {channels}")
    return Application(**common, blue_first=mode == "caffe")


@NETWORKS.register_group(PREFIX)
class Applications(Mapping):
    """The entries by name, each made when it is asked for."""

    def __iter__(self) -> Iterator[str]:
        """All names, with the prefix."""
        return (f"{PREFIX}:{name}" for name in _listed())

    def __len__(self) -> int:
        """How many there are."""
        return len(_listed())

    def __getitem__(self, name: str) -> Entry:
        """The entry of keras:NAME; KeyError for what is none."""
        application = name.removeprefix(f"{PREFIX}:")
        if application not in _listed():
            raise KeyError(name)
        return _entry(application)


@functools.cache
def _entry(application):
    facts, (mode, size, _) = facts_of(application), _family(application)
    return Entry(
        describe, default_width=facts.kernels[0].outputs, normalises=facts.normalises, runtime=True, image_size=size,
        normalisation=_PREPROCESSING[mode],
        imagenet=Published(
            functools.partial(keras_weights.find, application), f"ImageNet, as Keras publishes it for {application}",
            "see https://keras.io/api/applications; Keras itself is under Apache-2.0",
        ),
    )  # fmt: skip


def _family(application):
    return next(facts for names, *facts in _FAMILIES if re.fullmatch(names, application))


@functools.cache
def _listed():
    """What is listed, as JSON objects by name."""
    with open(LISTED, encoding="utf-8") as file:
        return {record["name"]: record for record in map(json.loads, file)}


@functools.cache
def facts_of(application: str) -> Facts:
    """What is listed of an application."""
    return Facts.of(_listed()[application])
