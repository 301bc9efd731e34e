"""`imp`: rounds of training, pruning and rewinding, as stages that are skipped when done."""

import contextlib
import dataclasses
import functools
import os
import typing
from collections.abc import Callable, Iterable

from tf_tickets import runs
from tf_tickets.errors import StateError, UsageError
from tf_tickets.experiments import folds, opening
from tf_tickets.experiments.choosing import choose_round
from tf_tickets.experiments.plan import Plan, check_writable, resolve
from tf_tickets.pruning.strategies import IMP
from tf_tickets.registry import CONTROLS
from tf_tickets.settings.config import Config
from tf_tickets.workers.joined import are_rounds, joined
from tf_tickets.workers.team import ALONE, Alone

if typing.TYPE_CHECKING:  # what is imported where it is needed
    import pandas

    from tf_tickets.backend import Devices
    from tf_tickets.experiments.session import Session


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
    def table(self) -> "pandas.DataFrame":
        """A pandas frame, one row per round."""
        import pandas

        return pandas.DataFrame(runs.RunFolder(self.folder).summaries()[: self.rounds])

    @property
    def best(self) -> runs.RoundFolder:
        """The chosen round's folder; `Ticket.load(run.best.folder)` loads it."""
        run = runs.RunFolder(self.folder)
        return (run.refit if self.refits else run).round(self.chosen)


def imp(config: Config, stop: Callable[[], bool] = lambda: False) -> Result | None:
    """Runs or continues iterative magnitude pruning (docs/science.md, IMP).

    Args:
      config: of the run.
      stop: function asked between blocks of steps; when true, state is saved and StopRequested raised.

    Returns:
      A Result; None on a worker that is not the chief. Asked again when complete, returns at once.

    Raises:
      UsageError, StateError, LockedError, DivergedError, StopRequested, WorkerLost: see `errors`.
    """
    if CONTROLS[config.pruning.control].place not in (None, IMP):
        raise UsageError(f"--control={config.pruning.control} belongs to train, not imp")
    plan = resolve(config)
    config = plan.config
    folds.check(plan, "imp")
    folder = plan.folder()
    rounds = config.pruning.rounds
    if refusal := unwritable(config, folder):
        return _as_it_stands(plan, folder, refusal)
    with joined(config, "imp", stop) as team, held(folder, team):
        todo = team.from_chief(lambda: incomplete(folder, range(rounds)), lambda value: are_rounds(value, rounds))
        devices = run_rounds(plan, folder, todo, stop, team=team).devices if todo else None
        if config.choice.refit:
            rounds, chosen = team.from_chief(lambda: _chosen(plan, folder), _is_choice)
            again = resolve(config.replace(rounds=rounds), refits=True)
            devices = _refit(again, folder, chosen, stop=stop, team=team, devices=devices)
        if config.choice.calibration != "none":
            _calibrate(plan, folder, stop=stop, team=team, devices=devices)
        return team.from_chief_alone(lambda: _finished(plan, folder))


def unwritable(config: Config, folder: runs.RunFolder) -> UsageError | StateError | None:
    """What to raise, unless a run is finished, where `--out` or the run's folder cannot be written; else None."""
    try:
        check_writable(config)
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
    if not is_calibrated((folder.refit if refits else folder).round(chosen), plan.config.choice.calibration):
        raise refusal
    return standing(folder, refusal, rounds=rounds, chosen=chosen, refits=refits)


def standing(
    folder: runs.RunFolder, refusal: UsageError | StateError, *, rounds: int, chosen: int, refits: bool = False
) -> Result:
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


def _refit(plan, folder, chosen, *, stop, team, devices):
    """Runs the rounds up to the chosen one again on all images of the subset; the devices, where there are some."""
    todo = team.from_chief(
        lambda: incomplete(folder.refit, range(chosen + 1)), lambda value: are_rounds(value, chosen + 1)
    )
    if not todo:
        return devices
    return run_rounds(plan, folder.refit, todo, stop, team=team, devices=devices).devices


def _calibrate(plan, folder, *, stop, team, devices):
    """Fits the temperature of the chosen round, of the refit where there is one."""
    rounds, chosen = team.from_chief(lambda: _chosen(plan, folder), _is_choice)
    config = plan.config.replace(rounds=rounds)
    home = folder.refit if team.from_chief(lambda: _refits(plan, folder, chosen), _is_answer) else folder
    target, method = home.round(chosen), config.choice.calibration
    if team.from_chief(lambda: is_calibrated(target, method), _is_answer):
        return
    from tf_tickets.experiments import searching
    from tf_tickets.experiments.calibrating import calibrate

    if method == "validation":
        plan, home = resolve(config), folder
    else:
        plan = resolve(config, refits=home.refits)
    calibrate(
        plan,
        home,
        chosen,
        target=target,
        make=searching.next_round,
        command="imp",
        stop=stop,
        team=team,
        devices=devices,
    )


def _is_answer(value):
    return isinstance(value, bool)


def is_calibrated(round_folder: runs.RoundFolder, method: str) -> bool:
    """Whether nothing is left to fit of what `--calibration` asks for; StateError where what is there is damaged."""
    from tf_tickets.export import loading

    return method == "none" or (loading.calibration_of(round_folder) or {}).get("method") == method


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


def held(folder: runs.RunFolder, team: Alone) -> contextlib.AbstractContextManager:
    """The context in which the chief holds the run's lock."""
    return folder.locked() if team.chief else contextlib.nullcontext()


def incomplete(folder: runs.RunFolder, rounds: Iterable[int]) -> list[int]:
    """Those of the rounds that are left to do, once what there is has been checked."""
    folders = [folder.round(index) for index in rounds]
    opening.check(folder, folders)
    return [round_folder.index for round_folder in folders if not round_folder.complete]


def exported(folder: runs.RunFolder, rounds: int, chosen: int) -> Result:
    """The Result, once the ticket of the chosen round is there."""
    export_ticket(folder, chosen)
    return Result(folder.folder, rounds, chosen)


def run_rounds(
    plan: Plan, folder: runs.RunFolder, todo: list[int], stop: Callable[[], bool],
    *, team: Alone = ALONE, devices: "Devices | None" = None,
) -> "Session":  # fmt: skip
    """Trains the rounds `todo` of a search, each from the one before; returns the Session they shared."""
    from tf_tickets.experiments import searching
    from tf_tickets.experiments.rounds import run_rounds

    return run_rounds(plan, folder, todo, searching.next_round, command="imp", stop=stop, team=team, devices=devices)


def export_ticket(folder: runs.RunFolder, chosen: int) -> None:
    """Writes the ticket of the chosen round, unless it is there."""
    folder.remove_superfluous()
    from tf_tickets.export import loading, verify

    if runs.place(folder.ticket).kind == "ticket":
        there = verify.checked(folder.ticket)[0]
        calibration = loading.calibration_of(folder.round(chosen))
        if (there.round, there.refits, there.calibration) == (chosen, folder.refits, calibration):
            return
    folder.note_attempt("ticket")
    from tf_tickets.export import writer

    writer.write_ticket(folder, chosen)
