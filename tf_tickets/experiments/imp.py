"""`imp`: rounds of training, pruning and rewinding, as stages that are skipped when done."""

import dataclasses
import functools
import os

from tf_tickets import runs
from tf_tickets.data import catalog
from tf_tickets.errors import StateError, UsageError
from tf_tickets.experiments import plan as plans


@dataclasses.dataclass(frozen=True)
class Result:
    """A finished run.

    Attributes:
      folder: its path.
      rounds: number of complete rounds.
      chosen: the round whose ticket is exported.
    """

    folder: str
    rounds: int
    chosen: int

    @functools.cached_property
    def table(self):
        """A pandas frame, one row per round."""
        import pandas

        return pandas.DataFrame(runs.RunFolder(self.folder).summaries()[: self.rounds])

    @property
    def best(self):
        """The chosen round's runs.RoundFolder; `Ticket.load(run.best.folder)` loads it."""
        return runs.RunFolder(self.folder).round(self.chosen)


def choose_round(config, summaries):
    """The round that becomes the ticket: the last, a fixed one, or the best on validation; never on test.

    Among equal validation accuracies the sparser round is taken.
    """
    if config.choose == "validation":
        return max(range(len(summaries)), key=lambda r: (summaries[r]["validation_accuracy"], r))
    return len(summaries) - 1 if config.choose == "last" else int(config.choose)


def imp(config, stop=lambda: False):
    """Runs or continues iterative magnitude pruning (SCIENCE, IMP).

    Args:
      config: a Config.
      stop: function asked between blocks of steps; when true, state is saved and StopRequested raised.

    Returns:
      A Result. Asked again when complete, returns at once.

    Raises:
      UsageError, StateError, LockedError, DivergedError, StopRequested: see `errors`.
    """
    plan = plans.resolve(config)
    config = plan.config
    folder = plan.folder()
    with folder.locked():
        rounds = config.pruning.rounds
        todo = [r for r in range(rounds) if not folder.round(r).complete]
        if todo:
            run_rounds(plan, folder, todo, stop)
        chosen = choose_round(config, folder.summaries()[:rounds])
        export_ticket(folder, chosen)
    return Result(folder.folder, rounds, chosen)


def open_folder(folder, session, command, identity):
    """Writes config, manifest and subset, or checks that those on disk are this run's."""
    config = session.plan.config
    if not os.path.exists(folder.config):
        runs.write_bytes(folder.config, config.flagfile(command).encode("utf-8"))
    manifest = session.manifest(identity)
    if os.path.exists(folder.manifest):
        before = runs.read_json(folder.manifest)
        if before.get("replicas") != manifest["replicas"]:
            raise UsageError(
                f"{folder.folder} was begun on {before.get('replicas')} devices, now there are {manifest['replicas']}: "
                "normalisation statistics would differ; use the same --strategy, or another --out"
            )
    else:
        runs.write_json(folder.manifest, manifest)
    if session.data_set != catalog.CATALOG.get(session.data_set.name):
        runs.write_json(folder.data, dataclasses.asdict(session.data_set))
    rows = session.subset_rows()
    if os.path.exists(folder.subset):
        if [row["id"] for row in runs.read_csv(folder.subset)] != [row["id"] for row in rows]:
            raise StateError(f"{folder.subset} lists other images than this data set gives; restore it or the data")
    else:
        runs.write_csv(folder.subset, rows, ("id", "label", "part"))


def run_rounds(plan, folder, todo, stop, command="imp"):
    """Trains the rounds `todo`, in order, each from the one before."""
    from tf_tickets.experiments import rounds as stages
    from tf_tickets.experiments.session import Session

    config = plan.config
    identity = f"{os.path.basename(os.path.dirname(folder.folder))}/{os.path.basename(folder.folder)}"
    session = Session(plan)
    open_folder(folder, session, command, identity)
    if config.run.tensorboard:
        from tf_tickets.experiments import tensorboard

        tensorboard.write_hparams(folder, config)
    for index in todo:
        mine = folder.round(index)
        if not os.path.exists(mine.mask):
            runs.write_arrays(mine.mask, stages.next_masks(folder, index, plan), compress=True)
        later = plan.steps_of(r for r in todo if r > index)
        stages.train_round(
            session, folder, index, identity=f"{identity}/round_{index:02d}", masks=stages.read_masks(mine.mask, plan),
            start=functools.partial(stages.start_state, folder, index, session), first_step=plan.first_step(index),
            stop=stop, steps_after=later,
        )  # fmt: skip
        _tidy(folder, index)
        if config.run.tensorboard:
            tensorboard.write_round(folder, runs.read_json(mine.summary))


def _tidy(folder, complete):
    """Removes the checkpoints that the durable summary of round `complete` makes superfluous."""
    for index in range(complete):
        for path in folder.round(index).checkpoints:
            runs.remove(path)


def export_ticket(folder, chosen):
    """Writes the ticket of the chosen round, unless it is there."""
    document = os.path.join(folder.ticket, "ticket.json")
    if os.path.exists(document) and runs.read_json(document).get("round") == chosen:
        return
    from tf_tickets.export import writer

    writer.write_ticket(folder, chosen)
