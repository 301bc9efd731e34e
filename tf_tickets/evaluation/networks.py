"""What `evaluate` looks at: rounds of run folders, and ticket folders; their rows, and the network in memory."""

import contextlib
import dataclasses
import functools
import os
from collections.abc import Iterable

import numpy as np

from tf_tickets import leftovers, runs, storage
from tf_tickets.backend import keras, tf
from tf_tickets.data.catalog import DataSet
from tf_tickets.data.pipeline import Images
from tf_tickets.errors import StateError, UsageError
from tf_tickets.evaluation import accuracy, calibration
from tf_tickets.export import loading, origin
from tf_tickets.export.ticket import Ticket
from tf_tickets.models import inference


@dataclasses.dataclass(frozen=True)
class Subject:
    """One network to evaluate.

    Attributes:
      folder: its round or ticket folder.
      name: the run's name in rows, its last two folders.
      file: the CSV file of its rows.
      run: the runs.RunFolder whose lock is held meanwhile; None for a ticket folder.
      predictions: the file that keeps what it predicts; None for a ticket folder, which stays as it is.
    """

    folder: str
    name: str
    file: str
    run: runs.RunFolder | None = None
    predictions: str | None = None

    def locked(self) -> contextlib.AbstractContextManager:
        """Holds the run's lock, if there is one."""
        if self.run is None:
            leftovers.remove_forsaken(os.path.dirname(self.file))
        return self.run.locked() if self.run else contextlib.nullcontext()

    @functools.cached_property
    def ticket(self) -> Ticket:
        """The Ticket."""
        return loading.load(self.folder)

    @functools.cached_property
    def source_run(self) -> runs.RunFolder | None:
        """The runs.RunFolder that knows where its images are: its own, or that of a ticket folder inside one; or None.

        Its lock need not be held.
        """
        return self.run or origin.run_of(self.folder)

    def rows(self) -> list[dict[str, str]]:
        """The rows on disk, dicts of text, without those of another temperature; none where no file is."""
        rows = storage.read_csv(self.file) if os.path.exists(self.file) else []
        if any(set(row) != set(runs.EVALUATION_COLUMNS) or None in row.values() for row in rows):
            columns = ",".join(runs.EVALUATION_COLUMNS)
            raise StateError(f"{self.file} has other columns than {columns}; delete it to redo it")
        if self.run is None:  # of a ticket that another round has replaced since
            rows = [row for row in rows if row["round"] == self.ticket.round_name]
        return calibration.of_temperature(rows, self.ticket.temperature)

    def append(self, evaluator: str, setting: str, metrics: Iterable[tuple[str, float, int]]) -> None:
        """Adds rows that are not there yet, in one atomic write.

        Args:
          evaluator, setting: what was measured.
          metrics: list of (metric, value, n).
        """
        rows = self.rows()
        there = {(row["evaluator"], row["setting"], row["metric"]) for row in rows}
        facts = {"run": self.name, "round": self.ticket.round_name, "density": self.ticket.density}
        new = [
            {**facts, "evaluator": evaluator, "setting": setting, "metric": metric, "value": value, "n": n}
            for metric, value, n in metrics
            if (evaluator, setting, metric) not in there
        ]
        storage.write_csv(self.file, rows + new, runs.EVALUATION_COLUMNS)


class Network:
    """A ticket's network, built when first asked for; normalisation in inference mode.

    Attributes:
      ticket: the Ticket.
      place: where its images are.
      predictions: the file for its predictions on the test set, or None.
      devices: function () -> backend.Devices, over which batches are spread.
    """

    def __init__(self, ticket, data_set, devices, place, predictions=None):
        """`data_set` is a function () -> catalog.DataSet: of masks alone no image is read."""
        self.ticket, self._data_set, self.predictions = ticket, data_set, predictions
        self.devices, self.place = devices, place

    @functools.cached_property
    def data_set(self) -> DataSet:
        """The catalog.DataSet it reads."""
        return self._data_set()

    @property
    def strategy(self) -> tf.distribute.Strategy:
        """The tf.distribute.Strategy."""
        return self.devices().strategy

    @functools.cached_property
    def model(self) -> keras.Model:
        """The Keras network of normalised images."""
        with self.strategy.scope():
            return self.ticket.build()

    @functools.cached_property
    def _compute(self):
        from tf_tickets.evaluation import replicas

        model = self.model
        return replicas.spread(lambda images: model(images, training=False), self.strategy)

    def logits(self, images: Images) -> np.ndarray:
        """Float32 [n, classes] of a data.pipeline.Images."""
        return accuracy.logits_of(self._compute, images, self.data_set, inference.at_once(self.model))


def subjects(path: str, which: str) -> list[Subject]:
    """The networks that a path stands for.

    Args:
      path: a run folder, of which the refit counts where its ticket is from there, and beside the rounds the dense
        rival where the ticket is that; a round's folder or a ticket folder.
      which: of a run folder: all complete rounds, dense_and_ticket or ticket.

    Returns:
      List of Subject.

    Raises:
      UsageError: the path is nothing of these, or holds nothing that is complete.
    """
    place = runs.usable_place(path)
    if place.kind == "ticket" or place.run is None:
        return [Subject(place.path, "/".join(place.path.split(os.sep)[-2:]), f"{place.path}.evaluations.csv")]
    if place.round is None:
        run = place.run.of_ticket
        searched = of_run(place.run, which) if run.is_rival and run is not place.run and which != "ticket" else []
        return [*searched, *of_run(run, which)]
    return [_of_round(place.run, place.round.index)]


def of_run(run: runs.RunFolder, which: str) -> list[Subject]:
    """Of the complete rounds of a runs.RunFolder those that `which` names, as `subjects` has them."""
    return [_of_round(run, index) for index in _chosen(run, which)]


def _of_round(run, index):
    folder = run.round(index)
    return Subject(folder.folder, run.name, folder.evaluations, run, folder.predictions)


def _chosen(run, which):
    complete = list(range(len(run.summaries())))
    exported = run.exported() or (None, "")
    exported = exported[0] if exported[1] == run.inner else None
    wanted = {
        "all": complete, "ticket": [exported], "dense_and_ticket": sorted({0, exported} - {None}),
    }[which]  # fmt: skip
    chosen = [index for index in wanted if index in complete]
    if not chosen:
        raise UsageError(f"{run.folder} has no complete round that --which={which} asks for; finish the run first")
    return chosen
