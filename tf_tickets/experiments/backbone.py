"""Pretrained backbones: what `pretrain` makes of the settings, and what is recorded of one that a run starts from.

No TensorFlow, so that a dry run answers at once.
"""

import dataclasses
import os

from tf_tickets import storage
from tf_tickets.errors import UsageError
from tf_tickets.registry import NETWORKS
from tf_tickets.settings.config import Config
from tf_tickets.settings.groups import IMAGENET, Choice, Network, Pruning


def resolved(config: Config) -> Config:
    """The Config of the run that `pretrain` makes: simclr views by default, no pruning, no head.

    Raises:
      UsageError: a setting that has no meaning here.
    """
    for name, wrong in {
        "adversarial": config.training.adversarial, "pretrained": config.network.pretrained is not None,
        "validation": config.data.validation is not None, "head": config.network.head != Network().head,
        "head_epochs": config.training.head_epochs, "batch_norm=frozen": config.training.batch_norm == "frozen",
        "distillation": config.training.distillation > 0,
        "backbone_learning_rate": config.training.backbone_learning_rate is not None,
    }.items():  # fmt: skip
        if wrong:
            raise UsageError(f"--{name} belongs to imp and train, not pretrain, which knows no labels")
    config = config.replace(augment=config.data.augment or "simclr", loss="cross_entropy")
    return dataclasses.replace(config, pruning=Pruning(rewind="init"), choice=Choice())


def facts(network: Network) -> dict:
    """What the manifest of a run has of its backbone: `pretrained`, its SHA-256, and `backbone`, also for the card.

    Args:
      network: the settings.

    Returns:
      Nothing where the run starts from none.
    """
    path, named = network.backbone, source(network)
    if path is None or named is None:
        return {}
    digest = storage.file_digest(path)
    return {"pretrained": digest, "backbone": {"sha256": digest, **named}}


def source(network: Network) -> dict[str, str] | None:
    """Origin and licence of the backbone, in words; None without one."""
    published = NETWORKS[network.model].imagenet
    if network.pretrained == IMAGENET and published is not None:
        return {"origin": published.origin, "licence": published.licence}
    return {"origin": os.path.basename(network.pretrained), "licence": "the file's"} if network.pretrained else None
