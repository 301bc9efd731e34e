"""`analyze`: why a ticket does what it does, as rows beside each network."""

import dataclasses
import itertools
import os
from collections.abc import Callable, Sequence

from tf_tickets import storage
from tf_tickets.analysis.activations import Loader
from tf_tickets.errors import UsageError
from tf_tickets.evaluation import evaluate, networks
from tf_tickets.registry import ANALYSES
from tf_tickets.settings.config import Config


@dataclasses.dataclass(frozen=True)
class Analysed:
    """The analyses of one run.

    Attributes:
      folder: where tables and figures go: `analysis` in the run folder, `<ticket>.analysis` beside a ticket folder.
      name: the run's name in rows, its last two folders.
      rows: dicts of text, of all its complete rounds.
    """

    folder: str
    name: str
    rows: list


def analyze(paths: Sequence[str], config: Config, stop: Callable[[], bool] = lambda: False) -> list[Analysed]:
    """Analyses networks and adds the rows to their evaluations.csv; what is there already is not computed again.

    Args:
      paths: run, round or ticket folders.
      config: a Config: its `command` says what to analyse, `data.place` where data are.
      stop: function asked between tasks; when true, StopRequested is raised.

    Returns:
      List of Analysed, one per run or ticket folder.

    Raises:
      UsageError, StateError, LockedError, StopRequested: see `errors`.
    """
    names = (config.command.what or "").split(",")
    groups = [networks.subjects(path, config.command.which) for path in _distinct(paths)]
    for subject in itertools.chain.from_iterable(groups):
        if len(subject.ticket.members) > 1:
            raise UsageError(f"{subject.folder} is an ensemble: analyze looks into one network, give a member's folder")
    loader = Loader(config)
    # Everything that can be refused is refused before anything is computed.
    if not all(ANALYSES[name].of_masks for name in names):
        for subject in itertools.chain.from_iterable(groups):
            loader.data_set(subject)
    work = [(subject, tasks) for name in names for subject, tasks in ANALYSES[name].tasks(loader, groups)]
    for _, of_folder in itertools.groupby(sorted(work, key=_place), _place):
        for subject, tasks in (of_folder := list(of_folder)):
            with subject.locked():
                evaluate.run_tasks(subject, loader.network(subject), tasks, start=loader.devices, stop=stop)
        for subject, _ in of_folder:
            # Read again where it is asked for: the tickets of all rounds of many runs would fill the memory.
            vars(subject).pop("ticket", None)
    return [_analysed(group[0], names) for group in {_folder(group[0]): group for group in groups}.values()]


def _place(item):
    return item[0].folder


def _distinct(paths):
    """The paths, each folder once, in order."""
    return list({os.path.realpath(path): path for path in paths}.values())


def _folder(subject):
    return subject.run.path("analysis") if subject.run else f"{subject.folder}.analysis"


def _analysed(subject, names):
    folder = storage.subfolder(*os.path.split(_folder(subject)))
    subjects = [subject] if subject.run is None else networks.of_run(subject.run, "all")
    rows = [row for each in subjects for row in each.rows()]
    return Analysed(folder, subject.name, [row for row in rows if row["evaluator"] in names])
