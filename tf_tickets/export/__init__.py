"""Tickets as artefacts: writing, loading, verifying.

Files that read and write tickets import the value, which imports none of them. The functions below, which import both,
are its methods: `Ticket.load`, `Ticket.from_pytorch` and `Ticket.save`. Called, `tf_tickets.export(run)`, the package
is `library.export`.
"""

import os

from tf_tickets import lazy_modules
from tf_tickets.export.ticket import Ticket, check_free
from tf_tickets.settings.config import Config


def load(folder: str) -> Ticket:
    """Loads a ticket folder or a round's folder.

    Raises:
      UsageError: the folder is neither.
      StateError: a file is damaged or does not have the recorded hash.
    """
    from tf_tickets.export import loading

    return loading.load(folder)


def from_pytorch(path: str, config: Config, rewound: str | None = None) -> Ticket:
    """Imports a pruned PyTorch state: of the paper's release, of open_lth, of torch.nn.utils.prune.

    Args:
      path: .safetensors, .npz or .pth, with `weight_orig` and `weight_mask`.
      config: a Config whose data set and network (--model, --width, --stem, --head) are the file's.
      rewound: a file of the rewind point, masked or not; None retrains from the weights in `path`.

    Returns:
      A Ticket of round 0 without known training images; `save` writes it for `train --ticket=DIR`.

    Raises:
      UsageError: a file is missing or damaged, holds no masks, or does not fit the network.
    """
    from tf_tickets.export import pytorch

    return pytorch.read(path, config, rewound)


def save(ticket: Ticket, folder: str, metrics: dict | None = None, test_images: int | None = None) -> str:
    """Writes a ticket folder: SavedModel, arrays, hashes; an older ticket there is replaced.

    Args:
      folder: its path.
      metrics: dict of numbers measured on the ticket, for its document and model card.
      test_images: how many images `metrics["test_accuracy"]` is of.

    Returns:
      The folder's absolute path.

    Raises:
      UsageError: the folder is there and is no ticket.
    """
    from tf_tickets.export import writer

    check_free(folder)
    return writer.write(ticket, os.path.abspath(folder), metrics, test_images)


Ticket.load, Ticket.from_pytorch, Ticket.save = staticmethod(load), staticmethod(from_pytorch), save

lazy_modules.make_callable(__name__)
