"""Network by name: its description, without TensorFlow, from the registry of networks."""

import dataclasses

from tf_tickets import own_networks
from tf_tickets.data.catalog import DataSet
from tf_tickets.errors import UsageError
from tf_tickets.models.description import Network
from tf_tickets.registry import NETWORKS
from tf_tickets.settings import groups

HEADS = ("linear", "cosine", "tvmf")


def describe(
    model: str,
    *,
    classes: int,
    image_shape: tuple[int, int, int],
    stem: str = "small",
    width: int | None = None,
    head: str = "linear",
    kappa: float = 16.0,
    image_size: int | None = None,
    architecture: dict | None = None,
) -> Network:
    """Describes a network by name.

    Args:
      model: a name in `registry.NETWORKS`.
      classes: of the head, at least 2.
      image_shape: (height, width, channels) of the images.
      stem: small (32-pixel images) or full (224-pixel images; vit_small resizes smaller ones).
      width: channels of the first stage; None for the network's own.
      head: linear, cosine or tvmf.
      kappa: of a tvmf head.
      image_size: what their shorter side becomes inside the network; None: they stay as they are.
      architecture: the document of a network own:HASH, where a ticket has it.

    Raises:
      UsageError: an unknown name, or a size that the network cannot have.
    """
    if architecture is not None and (kept := own_networks.keep(architecture)) != model:
        raise UsageError(f"--model={model} is not of the architecture beside it, which is {kept}")
    if model not in NETWORKS:
        raise UsageError(f"--model={model} is not one of {', '.join(NETWORKS)}")
    if head not in HEADS:
        raise UsageError(f"--head={head} is not one of {', '.join(HEADS)}")
    entry, given = NETWORKS[model], tuple(image_shape)
    seen = enlarged(given, image_size) if image_size else given
    described = entry.describe(
        model=model, stem=stem, image_shape=seen, width=entry.default_width if width is None else width,
        classes=classes, head=head, kappa=kappa,
    )  # fmt: skip
    return described if seen == given else dataclasses.replace(described, enlarged_from=given)


def enlarged(shape: tuple[int, int, int], size: int) -> tuple[int, int, int]:
    """An image shape whose shorter side is `size`; UsageError where that would shrink it."""
    height, width, channels = shape
    shorter = min(height, width)
    if size < shorter:
        raise UsageError(
            f"--image_size={size}: the images are {height}x{width}, and are enlarged inside the network, not shrunk; "
            f"give {shorter} or more, or shrink the pictures"
        )
    return round(height * size / shorter), round(width * size / shorter), channels


def from_config(network: groups.Network, data_set: DataSet) -> Network:
    """Describes the network of a config.Network on a data.catalog.DataSet.

    stem=auto is the data set's, full for a pretrained transformer, which then sees images as large as it knows, and for
    networks of a size of their own.

    Args:
      data_set: as `as_seen` gives it.
    """
    entry, stem = NETWORKS[network.model], network.stem
    if stem == "auto":
        of_backbone = entry.pretrained_stem if network.pretrained else None
        stem = of_backbone or ("full" if entry.image_size else data_set.stem)
    size = network.image_size
    if entry.image_size and size is None:
        size = max(entry.image_size, min(data_set.image_shape[:2]))
    return describe(
        network.model, classes=data_set.classes, image_shape=data_set.image_shape, stem=stem, width=network.width,
        head=network.head, kappa=network.kappa, image_size=None if data_set.encoded else size,
    )  # fmt: skip


def as_seen(network: groups.Network, data_set: DataSet) -> DataSet:
    """A data set as the network of some settings takes it: pictures of any size cropped to its size, its normalisation.

    Raises:
      UsageError: channels that its preprocessing does not know.
    """
    entry, channels = NETWORKS[network.model], data_set.image_shape[2]
    if size := network.image_size or entry.image_size:
        data_set = data_set.cropped_to((size, size, channels))
    if entry.normalisation is None:
        return data_set
    mean, deviation = entry.normalisation
    if channels == 1:  # of grey, whose colours would all be the same
        mean, deviation = ((sum(values) / len(values),) for values in (mean, deviation))
    if len(mean) != channels:
        raise UsageError(
            f"--model={network.model} takes images of {len(mean)} channels, or grey ones, and these have {channels}"
        )
    return dataclasses.replace(data_set, mean=mean, deviation=deviation)
