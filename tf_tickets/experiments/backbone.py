"""What `pretrain` makes of the settings. No TensorFlow, so that a dry run answers at once."""

import dataclasses

from tf_tickets.errors import UsageError
from tf_tickets.settings.config import Config
from tf_tickets.settings.groups import Choice, Network, Pruning


def resolved(config: Config) -> Config:
    """The Config of the run that `pretrain` makes: simclr views by default, no pruning, no head.

    Raises:
      UsageError: a setting that has no meaning here.
    """
    for name, wrong in {
        "adversarial": config.training.adversarial, "pretrained": config.network.pretrained is not None,
        "validation": config.data.validation is not None, "head": config.network.head != Network().head,
        "head_epochs": config.training.head_epochs, "batch_norm=frozen": config.training.batch_norm == "frozen",
        "backbone_learning_rate": config.training.backbone_learning_rate is not None,
    }.items():  # fmt: skip
        if wrong:
            raise UsageError(f"--{name} belongs to imp and train, not pretrain, which knows no labels")
    config = config.replace(augment=config.data.augment or "simclr", loss="cross_entropy")
    return dataclasses.replace(config, pruning=Pruning(rewind="init"), choice=Choice())
