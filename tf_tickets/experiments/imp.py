"""`imp`: rounds of training, pruning and rewinding, as stages that are skipped when done."""

import contextlib
import dataclasses
import functools
import os

from tf_tickets import runs
from tf_tickets.errors import StateError, UsageError
from tf_tickets.experiments import opening
from tf_tickets.experiments import plan as plans
from tf_tickets.experiments.choosing import choose_round
from tf_tickets.pruning.strategies import IMP
from tf_tickets.registry import CONTROLS
from tf_tickets.workers.joined import are_rounds, joined
from tf_tickets.workers.team import ALONE


@dataclasses.dataclass(frozen=True)
class Result:
    """A finished run.

    Attributes:
      folder: its path.
      rounds: number of complete rounds.
      chosen: the round whose ticket is exported.
      refits: whether the ticket is of that round of the refit, on held-out images too.
    """

    folder: str
    rounds: int
    chosen: int
    refits: bool = False

    @functools.cached_property
    def table(self):
        """A pandas frame, one row per round."""
        import pandas

        return pandas.DataFrame(runs.RunFolder(self.folder).summaries()[: self.rounds])

    @property
    def best(self):
        """The chosen round's runs.RoundFolder; `Ticket.load(run.best.folder)` loads it."""
        run = runs.RunFolder(self.folder)
        return (run.refit if self.refits else run).round(self.chosen)


def imp(config, stop=lambda: False):
    """Runs or continues iterative magnitude pruning (docs/science.md, IMP).

    Args:
      config: a Config.
      stop: function asked between blocks of steps; when true, state is saved and StopRequested raised.

    Returns:
      A Result; None on a worker that is not the chief. Asked again when complete, returns at once.

    Raises:
      UsageError, StateError, LockedError, DivergedError, StopRequested, WorkerLost: see `errors`.
    """
    if CONTROLS[config.pruning.control].place not in (None, IMP):
        raise UsageError(f"--control={config.pruning.control} belongs to train, not imp")
    plan = plans.resolve(config)
    config = plan.config
    folder = plan.folder()
    rounds = config.pruning.rounds
    if refusal := unwritable(config, folder):
        return _as_it_stands(plan, folder, refusal)
    with joined(config, "imp", stop) as team, held(folder, team):
        todo = team.from_chief(lambda: incomplete(folder, range(rounds)), lambda value: are_rounds(value, rounds))
        devices = run_rounds(plan, folder, todo, stop, team=team).devices if todo else None
        if config.choice.refit:
            rounds, chosen = team.from_chief(lambda: _chosen(plan, folder), _is_choice)
            _refit(config.replace(rounds=rounds), folder, chosen, stop, team, devices)
        return team.from_chief_alone(lambda: _finished(plan, folder))


def unwritable(config, folder):
    """What to raise, unless a run is finished, where `--out` or the run's folder cannot be written; else None."""
    try:
        plans.check_writable(config)
    except UsageError as error:
        return error
    if config.run.strategy == "multi_worker" or not os.path.isdir(folder.folder):
        return None
    there = os.access(folder.folder, os.W_OK | os.X_OK)
    return None if there else StateError(f"{folder.folder} cannot be written; choose another --out")


def _as_it_stands(plan, folder, refusal):
    """The Result of a run that nobody can write to: a finished one needs not even its lock."""
    if incomplete(folder, range(plan.config.pruning.rounds)):
        raise refusal
    rounds, chosen = _chosen(plan, folder)
    refits = _refits(plan, folder, chosen)
    if refits and incomplete(folder.refit, range(chosen + 1)):
        raise refusal
    return standing(folder, rounds, chosen, refits, refusal)


def standing(folder, rounds, chosen, refits, refusal):
    """The Result of complete rounds whose ticket is there and whole; raises `refusal` where it is not there."""
    from tf_tickets.export import verify

    if folder.exported() != (chosen, refits):
        raise refusal
    verify.checked(folder.ticket)
    return Result(folder.folder, rounds, chosen, refits)


def _chosen(plan, folder):
    """(rounds, the chosen one) of those asked for, or of all that are there: asking for fewer takes nothing back."""
    summaries, rounds = folder.summaries(), plan.config.pruning.rounds
    if not plan.config.pruning.searches:  # else the number of rounds says which of them count
        rounds = max(rounds, len(summaries))
    return rounds, choose_round(plan.config, summaries[:rounds])


def _is_choice(value):
    """Whether this is what `_chosen` returns, as JSON has it."""
    return are_rounds(value, float("inf")) and len(value) == 2 and value[1] < value[0]


def _refit(config, folder, chosen, stop, team, devices):
    """Runs the rounds up to the chosen one again on all images of the subset."""
    todo = team.from_chief(
        lambda: incomplete(folder.refit, range(chosen + 1)), lambda value: are_rounds(value, chosen + 1)
    )
    if todo:
        run_rounds(plans.resolve(config, refits=True), folder.refit, todo, stop, team=team, devices=devices)


def _finished(plan, folder):
    rounds, chosen = _chosen(plan, folder)
    folder.remove_superfluous()
    export_ticket(folder.refit if _refits(plan, folder, chosen) else folder, chosen)
    # Its rounds may have been removed since.
    refits = plan.config.choice.refit or (
        folder.exported() == (chosen, True) and not incomplete(folder.refit, range(chosen + 1))
    )
    return Result(folder.folder, rounds, chosen, refits)


def _refits(plan, folder, chosen):
    """Whether the ticket is to be of the refit: asked for, or there from an earlier time."""
    return plan.config.choice.refit or folder.exported() == (chosen, True)


def held(folder, team):
    """The context in which the chief holds the run's lock."""
    return folder.locked() if team.chief else contextlib.nullcontext()


def incomplete(folder, rounds):
    """Those of the rounds that are left to do, once what there is has been checked."""
    rounds = [folder.round(index) for index in rounds]
    opening.check(folder, rounds)
    return [mine.index for mine in rounds if not mine.complete]


def exported(folder, rounds, chosen):
    """The Result, once the ticket of the chosen round is there."""
    export_ticket(folder, chosen)
    return Result(folder.folder, rounds, chosen)


def run_rounds(plan, folder, todo, stop, command="imp", team=ALONE, devices=None):
    """Trains the rounds `todo` of a search, each from the one before; returns the Session they shared."""
    from tf_tickets.experiments import searching
    from tf_tickets.experiments.rounds import run_rounds

    return run_rounds(plan, folder, todo, searching.next_round, command=command, stop=stop, team=team, devices=devices)


def export_ticket(folder, chosen):
    """Writes the ticket of the chosen round, unless it is there."""
    folder.remove_superfluous()
    from tf_tickets.export import verify

    if runs.place(folder.ticket).kind == "ticket":
        there = verify.checked(folder.ticket)[0]
        if (there.round, there.refits) == (chosen, folder.refits):
            return
    folder.note_attempt("ticket")
    from tf_tickets.export import writer

    writer.write_ticket(folder, chosen)
