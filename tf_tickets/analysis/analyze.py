"""`analyze`: why a ticket does what it does, as rows beside each network."""

import dataclasses
import itertools
import os

from tf_tickets import storage
from tf_tickets.analysis import comparisons, measures
from tf_tickets.analysis.activations import Desk
from tf_tickets.evaluation import evaluate, networks

_OF_MASKS = ("density", "overlap")
STUDIES = {
    "density": measures.densities, "similarity": comparisons.similarities, "probe": measures.probes,
    "overlap": comparisons.overlaps, "stability": comparisons.stabilities, "activity": measures.activities,
    "shot": measures.shots,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Found:
    """The analyses of one run.

    Attributes:
      folder: where tables and figures go: `analysis` in the run folder, `<ticket>.analysis` beside a ticket folder.
      name: the run's name in rows, its last two folders.
      rows: dicts of text, of all its complete rounds.
    """

    folder: str
    name: str
    rows: list


def analyze(paths, config, stop=lambda: False):
    """Analyses networks and adds the rows to their evaluations.csv; what is there already is not computed again.

    Args:
      paths: run, round or ticket folders.
      config: a Config: its `command` says what to analyse, `data.data_dir` where data are.
      stop: function asked between tasks; when true, StopRequested is raised.

    Returns:
      List of Found, one per run or ticket folder.

    Raises:
      UsageError, StateError, LockedError, StopRequested: see `errors`.
    """
    wanted = config.command.what.split(",")
    groups = [networks.subjects(path, config.command.which) for path in _distinct(paths)]
    desk = Desk(config)
    # Everything that can be refused is refused before anything is computed.
    if not set(wanted) <= set(_OF_MASKS):
        for one in itertools.chain.from_iterable(groups):
            desk.data_set(one)
    work = [(one, tasks) for name in wanted for one, tasks in STUDIES[name](desk, groups)]
    for _, mine in itertools.groupby(sorted(work, key=_place), _place):
        for one, tasks in (mine := list(mine)):
            with one.locked():
                evaluate.run_tasks(one, desk.network(one), tasks, desk.devices, stop)
        for one, _ in mine:
            # Read again where it is asked for: the tickets of all rounds of many runs would fill the memory.
            vars(one).pop("ticket", None)
    return [_found(group[0], wanted) for group in {_folder(group[0]): group for group in groups}.values()]


def _place(item):
    return item[0].folder


def _distinct(paths):
    """The paths, each folder once, in order."""
    return list({os.path.realpath(path): path for path in paths}.values())


def _folder(subject):
    return subject.run.path("analysis") if subject.run else f"{subject.folder}.analysis"


def _found(subject, wanted):
    folder = storage.subfolder(*os.path.split(_folder(subject)))
    if subject.run is None:
        rows = subject.rows()
    else:
        rows = [row for one in networks.of_run(subject.run, "all") for row in one.rows()]
    return Found(folder, subject.name, [row for row in rows if row["evaluator"] in wanted])
