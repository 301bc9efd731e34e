"""Network by name: its description, without TensorFlow, from the registry of networks."""

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
) -> Network:
    """Describes a network by name.

    Args:
      model: a name in `registry.NETWORKS`.
      classes: of the head, at least 2.
      image_shape: (height, width, channels).
      stem: small (32-pixel images) or full (224-pixel images; vit_small resizes smaller ones).
      width: channels of the first stage; None for the network's own.
      head: linear, cosine or tvmf.
      kappa: of a tvmf head.

    Raises:
      UsageError: an unknown name, or a size that the network cannot have.
    """
    if model not in NETWORKS:
        raise UsageError(f"--model={model} is not one of {', '.join(NETWORKS)}")
    if head not in HEADS:
        raise UsageError(f"--head={head} is not one of {', '.join(HEADS)}")
    entry = NETWORKS[model]
    return entry.describe(
        model=model, stem=stem, image_shape=tuple(image_shape), width=entry.default_width if width is None else width,
        classes=classes, head=head, kappa=kappa,
    )  # fmt: skip


def from_config(network: groups.Network, data_set: DataSet) -> Network:
    """Describes the network of a config.Network on a data.catalog.DataSet.

    stem=auto is the data set's, and full for a pretrained transformer, which then sees images as large as it knows.
    """
    stem = data_set.stem if network.stem == "auto" else network.stem
    if network.stem == "auto" and network.pretrained:
        stem = NETWORKS[network.model].pretrained_stem or stem
    return describe(
        network.model, classes=data_set.classes, image_shape=data_set.image_shape, stem=stem, width=network.width,
        head=network.head, kappa=network.kappa,
    )  # fmt: skip
