"""What Python programs ask of finished networks, answered as pandas tables: measures of them, and classes of images."""

from __future__ import annotations

import os
import typing
from collections.abc import Sequence

from tf_tickets import runs
from tf_tickets.data import from_python
from tf_tickets.errors import UsageError
from tf_tickets.library import Place, paths
from tf_tickets.settings.config import Config

if typing.TYPE_CHECKING:
    import numpy as np
    import pandas

    from tf_tickets.data.image_arrays import ImageArrays
    from tf_tickets.data.table import PictureTable
    from tf_tickets.export.ticket import Ticket


def evaluate(
    *networks: Place, evaluators: str | Sequence[str] = "clean", data: ImageArrays | PictureTable | None = None,
    **settings: typing.Any,
) -> pandas.DataFrame:  # fmt: skip
    """Measures networks: what the command `evaluate` does.

    Args:
      networks: runs, or the folders of runs, rounds or tickets.
      evaluators: names of `--evaluators`.
      data: the images of networks that were found on images of the program's own; see `imp`.
      settings: other flags of the command, such as data_dir, which="dense,last" or test_images=1000.

    Returns:
      One row for each measured value, as in the files of rows that are kept beside the networks: run, round, density,
      evaluator, setting, metric, value and n, the number of images.

    Raises:
      UsageError, StateError, LockedError, StopRequested: see `errors`.
    """
    import pandas

    from tf_tickets.evaluation import evaluate

    chosen = evaluators if isinstance(evaluators, str) else ",".join(evaluators)
    config = Config.from_values(evaluators=chosen, **from_python.settings_of(data) | settings)
    rows = evaluate.evaluate(paths(networks), config, lambda: False)
    frame = pandas.DataFrame(rows, columns=list(runs.EVALUATION_COLUMNS))
    return frame.assign(**{name: pandas.to_numeric(frame[name]) for name in ("density", "value", "n")})


def predict(network: Place | Ticket, images: np.ndarray | Place | Sequence[Place]) -> pandas.DataFrame:
    """Class probabilities of images.

    Args:
      network: a run, a Ticket, the folder of a ticket, a round or a run, or a file that `export` wrote.
      images: uint8 [n, height, width, channels] of the ticket's own size; or the path of a picture file or of a folder
        of such, or a list of paths.

    Returns:
      One row for each image, named by its number or path; one column for each class. `idxmax(axis=1)` is the answer.

    Raises:
      UsageError, StateError: the network is none, or an image is none.
    """
    import numpy as np
    import pandas

    from tf_tickets.export import predict
    from tf_tickets.export.ticket import Ticket

    ticket = network if isinstance(network, Ticket) else predict.network_of(os.fspath(network))
    if isinstance(images, np.ndarray):
        return pandas.DataFrame(ticket.predict(images), columns=list(ticket.labels))
    problems: list[str] = []
    named = list(predict.pictures(paths(images), ticket.data, problems))
    if problems or not named:
        raise UsageError("; ".join(problems) or "no picture is given")
    pixels = np.stack([image for _, image in named])
    return pandas.DataFrame(ticket.predict(pixels), columns=list(ticket.labels), index=[name for name, _ in named])
