"""Keras networks of the user's own, as own:HASH: what is known of them is in their documents (`own_networks`)."""

import dataclasses
import functools
import typing
from collections.abc import Iterator, Mapping

from tf_tickets import own_networks
from tf_tickets.errors import UsageError
from tf_tickets.models.description import OWN, Entry, Kernel, Network, Tensor
from tf_tickets.models.families.applications import Facts
from tf_tickets.registry import NETWORKS

_KINDS = ("plain", "depthwise", "dense")


@dataclasses.dataclass(frozen=True)
class Own(Network):
    """A network of the user's own: its layers put anew, its last dense layer the head."""

    @property
    def features(self) -> int:
        """What its last dense layer is given."""
        return facts_of(self.model).features

    def body(self) -> list[Kernel]:
        """Kernels of convolutions, dense layers and registered layers, in the network's order."""
        return list(facts_of(self.model).kernels[:-1])

    def kernels(self) -> list[Kernel]:
        """Those of the body and the head, which its own last layer says how to draw."""
        head = facts_of(self.model).kernels[-1]
        return [*self.body(), dataclasses.replace(head, shape=(self.features, self.classes), prunable=False)]

    def trainable_parameters(self) -> int:
        """The number of all trainable numbers; what else its layers train is known of the document."""
        biases = sum(kernel.outputs for kernel in self.kernels() if kernel.bias)
        return sum(kernel.size for kernel in self.kernels()) + biases + self.other_parameters()

    def other_parameters(self) -> int:
        """Scales, shifts and whatever registered layers train."""
        return facts_of(self.model).other_parameters

    def build(self, images: Tensor, builder: typing.Any) -> Tensor:
        """The layers of its document, put anew."""
        from tf_tickets.models import own_model

        return own_model.features(own_networks.of(self.model), images, builder)

    def note_head(self, model: typing.Any) -> None:
        """How its last layer is drawn, and where its weights stand."""
        from tf_tickets.models import own_model

        own_model.note_head(own_networks.of(self.model), model)

    def sources(self) -> dict[str, str]:
        """The source of its layers' classes, where they are the user's own."""
        from tf_tickets.models import own_layers

        return own_layers.sources({layer["class_name"] for layer in own_networks.of(self.model)["layers"]})

    def own_weights(self, model: typing.Any) -> dict:
        """Those that the user's model came with."""
        from tf_tickets.models import own_model

        return own_model.load_weights(self.model, model)


def describe(**common: typing.Any) -> Own:
    """A network from what all networks have; UsageError for a size that its document does not have."""
    name = common["model"]
    shape, width = tuple(own_networks.of(name)["image_shape"]), NETWORKS[name].default_width
    if tuple(common["image_shape"]) != shape:
        sides = "x".join(map(str, shape))
        raise UsageError(f"--model={name} takes images of {sides}, and these are {common['image_shape']}")
    if common["width"] != width or common["head"] != "linear":
        raise UsageError(f"--width and --head belong to other networks than {name}: leave them out")
    return Own(**common)


@NETWORKS.register_group(own_networks.PREFIX, spelled=None)
@NETWORKS.register_group("", spelled="PACKAGE.MODULE:FUNCTION")
class OwnNetworks(Mapping):
    """The entries: of documents by their name, of functions by the text that `--model` gave."""

    def __iter__(self) -> Iterator[str]:
        """The functions that are known; documents are not chosen from a list."""
        return iter(own_networks.FUNCTIONS)

    def __len__(self) -> int:
        """How many functions there are."""
        return len(own_networks.FUNCTIONS)

    def __getitem__(self, name: str) -> Entry:
        """The entry; UsageError for a function that is not imported, or a document that is not here."""
        if name.startswith(f"{own_networks.PREFIX}:"):
            own_networks.of(name)
            return _entry(name)
        if name in own_networks.FUNCTIONS:  # until `own_model` has called it
            return Entry(describe, default_width=1, normalises=True, own=True, trained=True)
        if own_networks.is_function(name):
            raise UsageError(
                f"--model={name} is imported only where a command line, or a flagfile given on it, names it: in Python "
                "give the function itself, tt.imp(config, model=function)"
            )
        raise KeyError(name)


@functools.cache
def _entry(name):
    document, facts = own_networks.of(name), facts_of(name)
    channels = document["image_shape"][2]
    pixels = ((0.0,) * channels, (1 / 255,) * channels) if document["pixels"] else None
    return Entry(
        describe, default_width=facts.kernels[0].outputs, normalises=facts.normalises, runtime=True,
        normalisation=pixels, own=True, trained=document["weights"] is not None,
    )  # fmt: skip


@functools.cache
def facts_of(name: str) -> Facts:
    """What the document of own:HASH says of its kernels, the head's last; UsageError where it is made up."""
    document = own_networks.of(name)
    try:
        facts = Facts.of(document)
        names = [kernel.name for kernel in facts.kernels]
        sizes = [facts.features, facts.other_parameters, *document["image_shape"]]
        sizes += [side for kernel in facts.kernels for side in kernel.shape]
        fits = (
            len(facts.kernels) > 1 and names[-1] == "linear" and len(set(names)) == len(names)
            and all(type(size) is int and size >= 0 for size in sizes) and len(document["image_shape"]) == 3
            and all(isinstance(kernel.name, str) and kernel.kind in _KINDS for kernel in facts.kernels)
            and all(len(kernel.shape) >= 2 and kernel.size > 0 for kernel in facts.kernels)
            and all(kernel.start == OWN or kernel.start.scale > 0 for kernel in facts.kernels)
            and len(facts.kernels[-1].shape) == 2 and isinstance(document["layers"], list)
            and isinstance(document["pixels"], bool) and type(facts.normalises) is bool
            and (document["weights"] is None or isinstance(document["weights"], str))
        )  # fmt: skip
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"--model={name}: its architecture is made up ({error}); restore it") from None
    if not fits:
        raise UsageError(f"--model={name}: its architecture is made up; restore it")
    return facts
