"""`imp`: rounds of training, pruning and rewinding, as stages that are skipped when done."""

import contextlib
import dataclasses
import os
import typing
from collections.abc import Callable, Iterable

from tf_tickets import runs
from tf_tickets.errors import StateError, UsageError
from tf_tickets.experiments import advice, folds, opening, rival
from tf_tickets.experiments.choosing import choose_round
from tf_tickets.experiments.folds import is_calibrated
from tf_tickets.experiments.plan import Plan, check_writable, resolve
from tf_tickets.experiments.result import Result
from tf_tickets.notices import say
from tf_tickets.pruning.strategies import IMP
from tf_tickets.registry import CONTROLS
from tf_tickets.settings.config import Config
from tf_tickets.workers import messages
from tf_tickets.workers.joined import are_rounds, joined
from tf_tickets.workers.team import ALONE, Alone

if typing.TYPE_CHECKING:  # what is imported where it is needed
    from tf_tickets.backend import Devices
    from tf_tickets.experiments.session import Session


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
    if earlier := advice.same_pictures(plan, folder):
        say(earlier)
    if refusal := unwritable(config, folder):
        return _as_it_stands(plan, folder, refusal)
    with joined(config, "imp", stop) as team, held(folder, team):
        todo = team.from_chief(lambda: incomplete(folder, range(rounds)), lambda value: are_rounds(value, rounds))
        devices = run_rounds(plan, folder, todo, stop, team=team).devices if todo else None
        if rival.is_asked(config):
            devices = _contest(plan, folder, stop=stop, team=team, devices=devices)
        if config.choice.refit:
            devices = _refit(plan, folder, stop=stop, team=team, devices=devices)
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
    result = to_export(plan, folder)
    if (rival.is_asked(plan.config) and result.verdict is None) or (result.refits and not _is_refitted(result)):
        raise refusal
    if not is_calibrated(result.best, plan.config.choice.calibration):
        raise refusal
    return standing(result, refusal)


def standing(result: Result, refusal: UsageError | StateError) -> Result:
    """The Result of complete rounds whose ticket is there and whole; raises `refusal` where it is not there."""
    from tf_tickets.export import verify

    folder = runs.RunFolder(result.folder)
    if folder.exported() != (result.exported, result.home.inner):
        raise refusal
    verify.checked(folder.ticket)
    return result


def _chosen(plan, folder):
    """(rounds, the chosen one) of those asked for, or of all that are there: asking for fewer takes nothing back."""
    summaries, rounds = folder.summaries(), plan.config.pruning.rounds
    if not plan.config.pruning.searches:  # else the number of rounds says which of them count
        rounds = max(rounds, len(summaries))
    return rounds, choose_round(plan.config, summaries[:rounds])


def _epochs(plan, folder):
    """The epochs that a rival of the rounds has."""
    return rival.epochs_after(plan, folder.summaries()[: _chosen(plan, folder)[0]])


def _is_choice(value):
    """Whether this is what `_chosen` returns, as JSON has it."""
    return are_rounds(value, float("inf")) and len(value) == 2 and value[1] < value[0]


def _contest(plan, folder, *, stop, team, devices):
    """Trains the rival and compares it with the chosen round; the devices, if any."""
    _, chosen = team.from_chief(lambda: _chosen(plan, folder), _is_choice)
    epochs = _told_epochs(plan, folder, team)
    session = rival.train(plan.config, folder.rival, epochs, stop, first=folder.round(0), team=team, devices=devices)
    return rival.compare(plan, folder, chosen, epochs, stop=stop, team=team, session=session, devices=devices)


def _refit(plan, folder, *, stop, team, devices):
    """Runs the rounds up to the chosen one, or the rival, again on all images of the subset; the devices, if any."""
    result = _told(plan, folder, team)
    if result.exports_rival:
        epochs = _told_epochs(plan, folder, team)
        session = rival.train(
            plan.config,
            folder.refit.rival,
            epochs,
            stop,
            first=folder.round(0),
            team=team,
            devices=devices,
            refits=True,
        )
        return session.devices if session else devices
    todo = team.from_chief(
        lambda: incomplete(folder.refit, range(result.chosen + 1)), lambda value: are_rounds(value, result.chosen + 1)
    )
    if not todo:
        return devices
    whole = resolve(plan.config.replace(rounds=result.rounds), refits=True)
    return run_rounds(whole, folder.refit, todo, stop, team=team, devices=devices).devices


def _calibrate(plan, folder, *, stop, team, devices):
    """Fits the temperature of what is exported: the chosen round or the rival, of the refit where there is one."""
    from tf_tickets.experiments import searching
    from tf_tickets.experiments.calibrating import calibrate

    result, method = _told(plan, folder, team), plan.config.choice.calibration
    if team.from_chief(lambda: is_calibrated(result.best, method), messages.is_answer):
        return
    # What a refit trains on all images is calibrated on held-out ones by the network that has not seen them.
    fitted = dataclasses.replace(result, refits=result.refits and method != "validation")
    config = plan.config.replace(rounds=result.rounds)
    if result.exports_rival:
        epochs = _told_epochs(plan, folder, team)
        plan, make, command = rival.resolved(config, epochs, fitted.refits), rival.the_round, "train"
    else:
        plan, make, command = resolve(config, fitted.refits), searching.next_round, "imp"
    calibrate(
        plan, fitted.home_in(folder), fitted.exported, target=result.best, make=make, command=command, stop=stop,
        team=team, devices=devices,
    )  # fmt: skip


def _told(plan, folder, team):
    """What becomes the ticket, without the verdict, as the chief tells it to all workers."""

    def facts():
        result = to_export(plan, folder)
        return [result.rounds, result.chosen, result.refits, result.exports_rival]

    def fits(value):
        answers = value[2:] if isinstance(value, list) else []
        return len(answers) == 2 and all(map(messages.is_answer, answers)) and _is_choice(value[:2])

    rounds, chosen, refits, exports_rival = team.from_chief(facts, fits)
    return Result(folder.folder, rounds, chosen, refits, exports_rival=exports_rival)


def _told_epochs(plan, folder, team):
    """The epochs of a rival, as the chief tells them to all workers."""
    return team.from_chief(lambda: _epochs(plan, folder), lambda value: messages.is_whole(value, 1))


def to_export(plan: Plan, folder: runs.RunFolder) -> Result:
    """What becomes the ticket of complete rounds, their rival and refit, from what is there; nothing is written."""
    rounds, chosen = _chosen(plan, folder)
    there = os.path.exists(folder.rival.verdict)
    verdict = rival.verdict(plan, folder, chosen, _epochs(plan, folder)) if there else None
    exports_rival = verdict is not None and verdict.exports_rival(plan.config)
    result = Result(folder.folder, rounds, chosen, True, verdict, exports_rival)
    # A refit is asked for, or there from an earlier time.
    refits = plan.config.choice.refit or folder.exported() == (result.exported, result.home.inner)
    return dataclasses.replace(result, refits=refits)


def _is_refitted(result):
    """Whether what is exported was trained on all images of the subset, and is still there."""
    if result.exports_rival:
        return rival.is_complete(result.home, result.verdict.epochs)
    return not incomplete(result.home, range(result.chosen + 1))


def _finished(plan, folder):
    folder.remove_superfluous()
    result = to_export(plan, folder)
    export_ticket(result.home_in(folder), result.exported)
    # The rounds of a refit may have been removed since.
    refits = result.refits and (plan.config.choice.refit or _is_refitted(result))
    return dataclasses.replace(result, refits=refits)


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
        wanted = chosen, folder.inner, loading.calibration_of(folder.round(chosen))
        same = (there.round, runs.inner_of(there.settings), there.calibration) == wanted
        # A rival that was trained anew has other epochs.
        if same and (not folder.is_rival or there.settings["epochs"] == rival.epochs_of(folder)):
            return
    folder.note_attempt("ticket")
    from tf_tickets.export import writer

    writer.write_ticket(folder, chosen)
