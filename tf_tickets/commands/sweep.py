"""`sweep`: many runs."""

import sys
import typing
from collections.abc import Iterator, Sequence

from tf_tickets import stopping, streams
from tf_tickets.errors import plain
from tf_tickets.notices import say
from tf_tickets.registry import COMMANDS
from tf_tickets.settings.cli import Request
from tf_tickets.settings.commands import Command, changed, check_command
from tf_tickets.settings.config import Config
from tf_tickets.sweeps import grid

if typing.TYPE_CHECKING:
    from tf_tickets.sweeps.outcomes import Run

# The engines that each flag belongs to.
_ENGINES = {
    "workers": ("process",), "address": ("ray",), "cpus_per_run": ("ray", "slurm"), "gpus_per_run": ("ray", "slurm"),
}  # fmt: skip


@COMMANDS.register("sweep")
class Sweep(Command):
    """Runs every combination of some settings."""

    order = 11
    summary = "--sweep='FIELD=A,B;FIELD=0..4': run every combination that is not finished, here or by --engine"
    examples = (
        "--flagfile=flags/quickstart.cfg --sweep='seed+subset_seed=0..5'",
        "--flagfile=flags/quickstart.cfg --sweep='control=none,random;seed=0..2' --dry_run",
    )
    flags = grid.FLAGS
    flags_of_runs = locks = heeds_stop = True

    def prints(self, config: Config) -> bool:
        """Slurm's script is what it is run for."""
        return config.command.engine == "slurm"

    def problems(self, paths: Sequence[str], config: Config) -> Iterator[str]:
        """Flags that are missing, or that the engine does not take."""
        if config.command.sweep is None:
            yield "sweep needs --sweep='FIELD=A,B;FIELD=0..4', or --sweep=FILE with one field a line"
        if config.command.rule is not None:
            yield "--rule belongs to tune, not sweep"
        yield from engine_problems(config)

    def run(self, request: Request) -> int:
        """Prints a table of the runs, what is left to do of them, or Slurm's script; the worst status of the runs."""
        from tf_tickets.report import sweeps
        from tf_tickets.sweeps import sweep

        config = request.config
        planned = sweep.resolve(config, request.names, check_command)
        entries = [
            {"run": run.name, "folder": run.folder, "swept": run.point.texts, "rounds": run.rounds} for run in planned
        ]
        if config.run.dry_run:
            states = [
                {"recipe": run.recipe, "finished": run.finished, "complete": run.complete, "steps": run.steps_left}
                for run in planned
            ]
            print(sweeps.listing([entry | state for entry, state in zip(entries, states)]))
            return 0
        if config.command.engine == "slurm":
            return print_script(planned, config)
        progress = streams.say if config.run.progress != "none" else lambda line: None
        outcomes = sweep.sweep(planned, config, stopping.requested, progress)
        ends = [{"state": outcome.state, "chosen": outcome.chosen} for outcome in outcomes]
        ended = [entry | end for entry, end in zip(entries, ends)]
        print(sweeps.finish(config.run.out, ended, config.run.plugins))
        for outcome in outcomes:
            if outcome.status != 0:
                say(plain(outcome))
        return sweep.worst(outcomes)


def engine_problems(config: Config) -> Iterator[str]:
    """Flags that the engine does not take."""
    given, engine = config.command, config.command.engine
    for name in changed(config, _ENGINES):
        if engine not in _ENGINES[name]:
            yield f"--{name} belongs to --engine={' or '.join(_ENGINES[name])}, not {engine}"
    if engine == "ray" and not sys.platform.startswith("linux"):
        yield "--engine=ray needs Linux, whose kernel ends a run with its worker; leave --engine out here"
    if engine == "slurm" and (given.gpus_per_run or 0) % 1:
        yield f"--gpus_per_run={given.gpus_per_run:g}: Slurm gives whole GPUs; --engine=ray parts them"


def print_script(planned: list["Run"], config: Config) -> int:
    """Prints what `sbatch` takes for the runs that are not finished; the exit status."""
    from tf_tickets.sweeps import slurm

    text = slurm.script(planned, config)
    if text is None:
        say("all runs are finished: there is nothing to submit")
    else:
        print(text, end="")
    return 0
