"""`tune`: the settings of a run, chosen among the points of a grid."""

import os
import shlex
import typing
from collections.abc import Iterator, Sequence

from tf_tickets import stopping, storage, streams
from tf_tickets.commands.sweep import Sweep, engine_problems, print_script
from tf_tickets.errors import plain
from tf_tickets.notices import say
from tf_tickets.registry import COMMANDS
from tf_tickets.settings.cli import Request
from tf_tickets.settings.commands import Command, check_command
from tf_tickets.settings.config import Config

if typing.TYPE_CHECKING:
    from tf_tickets.report.tuned import Row, Tuned
    from tf_tickets.sweeps.points import Tuning


@COMMANDS.register("tune")
class Tune(Command):
    """Trains every point of a grid on folds, or on all training images, and chooses one."""

    order = 12
    summary = "--sweep=GRID --rule=folds:K|weight_norm: choose settings, such as learning rate and weight decay"
    examples = (
        "--flagfile=flags/quickstart.cfg --sweep='learning_rate=0.03,0.1;weight_decay=0.001,0.01' --rule=folds:3",
        "--flagfile=flags/quickstart.cfg --sweep='learning_rate=0.03,0.1' --rule=weight_norm",
    )
    flags = (*Sweep.flags, "rule")
    flags_of_runs = locks = heeds_stop = True

    def prints(self, config: Config) -> bool:
        """Slurm's script is what it is run for."""
        return config.command.engine == "slurm"

    def problems(self, paths: Sequence[str], config: Config) -> Iterator[str]:
        """Flags that are missing, or that the engine does not take."""
        if config.command.sweep is None:
            yield "tune needs --sweep='learning_rate=A,B;weight_decay=C,D', or --sweep=FILE with one field a line"
        if config.command.rule is None:
            yield "tune needs --rule=folds:K, such as folds:5, or --rule=weight_norm"
        yield from engine_problems(config)

    def run(self, request: Request) -> int:
        """Prints the points, the choice and its reason; or what is left to train, or Slurm's script."""
        from tf_tickets.report import tuned as shown
        from tf_tickets.sweeps import points, sweep

        config = request.config
        tuned = points.resolve(config, request.names, check_command)
        if config.run.dry_run:
            print(shown.listing(_planned(tuned), tuned.folder))
            return 0
        if config.command.engine == "slurm":
            out = points.left_out(tuned)
            left = [run for index, runs in enumerate(tuned.trainings) if index not in out for run in runs]
            return print_script(left, config)
        progress = streams.say if config.run.progress != "none" else lambda line: None
        failed = points.tune(tuned, stopping.requested, progress)
        for outcome in failed:
            say(plain(outcome))
        if failed:
            say("nothing is chosen yet: mend that and run again to continue")
            return sweep.worst(failed)
        path = os.path.join(tuned.folder, "tuned.cfg")
        result = _result(tuned)
        storage.write_bytes(path, tuned.flagfile(result.chosen).encode())
        command = points.next_command(config)
        print(shown.finish(result, f"python -m tf_tickets.main {command} --flagfile={shlex.quote(path)}"))
        return 0


def _result(tuned: "Tuning") -> "Tuned":
    """What a report shows of a tuning whose trainings have ended."""
    from tf_tickets.report.tuned import Tuned
    from tf_tickets.sweeps import points, rules

    choice = points.choose(tuned)
    return Tuned(
        folder=tuned.folder, rows=[_row(tuned, choice, index) for index in range(len(tuned.points))],
        chosen=choice.chosen, best=choice.best, balanced=points.uneven(tuned), fit=rules.FIT,
    )  # fmt: skip


def _row(tuned, choice, index) -> "Row":
    from tf_tickets.report.tuned import Row
    from tf_tickets.sweeps import rules

    why = choice.out.get(index)
    facts = {
        "texts": tuned.points[index].texts, "runs": [run.name for run in tuned.trainings[index]],
        "state": {None: "finished", "diverged": "diverged"}.get(why, "stopped early"),
    }  # fmt: skip
    if tuned.folds is None:
        fitted = choice.fitted[index]
        return Row(
            **facts, train_accuracy=fitted and fitted.train_accuracy, train_loss=fitted and fitted.train_loss,
            norm=fitted and fitted.norm, fits=fitted and fitted.fits,
        )  # fmt: skip
    scores = choice.scores[index]
    each = [scores.get(fold) for fold in range(tuned.folds)]
    if why is not None:
        return Row(**facts, scores=each)
    mean, error = estimated = rules.estimate(list(scores.values()))
    within = rules.is_within(estimated, rules.estimate(list(choice.scores[choice.best].values())))
    return Row(**facts, scores=each, mean=mean, error=error, within=within)


def _begun(run):
    return "begun" if os.path.isdir(run.folder.folder) else "new"


def _planned(tuned):
    from tf_tickets.report.tuned import Planned
    from tf_tickets.sweeps import points

    out = points.left_out(tuned)
    return [
        Planned(
            texts=tuned.points[index].texts, fold="" if tuned.folds is None else f"{fold}/{tuned.folds}",
            images=run.plan.train_images, held=run.plan.validation_images, steps=run.steps_left,
            state="finished" if run.finished else out.get(index, _begun(run)),
        )
        for index, runs in enumerate(tuned.trainings) for fold, run in enumerate(runs)
    ]  # fmt: skip
