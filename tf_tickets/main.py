"""The command line: flags to Config to one command, and the exit status."""

from tf_tickets import stopping, streams

if __name__ == "__main__":
    # Before anything else loads: a stop request must not be lost, nor a closed stream's number be given to a file.
    stopping.listen()
    streams.take_over()

import errno  # noqa: E402
import sys  # noqa: E402

from absl import app, flags, logging  # noqa: E402

from tf_tickets.errors import StateError, TicketError, plain  # noqa: E402
from tf_tickets.settings import cli, commands  # noqa: E402


def main(request):
    """Runs one parsed request; returns the exit status."""
    if request.config.run.dry_run and request.command != "sweep":
        from tf_tickets.experiments import plan_pictures

        with plan_pictures.all_problems():
            print(plan_text(request.command, request.config))
        return 0
    return _COMMANDS[request.command](request)


def plan_text(command, config):
    """What `--dry_run` prints of imp, train or pretrain. No TensorFlow, nothing touched."""
    from tf_tickets.experiments import plan
    from tf_tickets.experiments.plan_text import text

    plan.check_writable(config)
    if command == "train":
        from tf_tickets.experiments import train

        planned, ticket, _ = train.planned(config)
        return text(planned, command, ticket)
    if command == "pretrain":
        from tf_tickets.experiments import backbone

        config = backbone.resolved(config)
    return text(plan.resolve(config), command)


def _imp(request):
    from tf_tickets.experiments.imp import imp

    return _finish(imp(request.config, stopping.requested))


def _train(request):
    from tf_tickets.experiments.train import train

    return _finish(train(request.config, stopping.requested))


def _pretrain(request):
    from tf_tickets import runs
    from tf_tickets.experiments import backbone

    backbone.resolved(request.config)  # refuses bad flags before TensorFlow loads
    from tf_tickets.experiments.pretrain import pretrain
    from tf_tickets.report import pretraining

    print(pretraining.finish(runs.RunFolder(pretrain(request.config, stopping.requested).folder)))
    return 0


def _finish(result):
    if result is None:
        return 0  # a worker that is not the chief has nothing to show
    from tf_tickets import runs
    from tf_tickets.report import command

    folder = runs.RunFolder(result.folder)
    print(command.finish_run(folder, result.chosen))
    if result.refits:
        print("\nThe same rounds on all images of the subset, of which the ticket is:")
        print(command.finish_run(folder.refit, result.chosen))
    return 0


def _evaluate(request):
    from tf_tickets.evaluation import evaluate

    print(evaluate.table(evaluate.evaluate(request.paths, request.config, stopping.requested)))
    return 0


def _analyze(request):
    if request.config.command.what == "corruptions":
        from tf_tickets.evaluation.corruption_sheet import corruption_sheet as draw
    elif request.config.command.what == "augment":
        from tf_tickets.augment.contact_sheet import contact_sheet as draw
    else:
        return _studies(request)
    print(draw(request.config))
    return 0


def _studies(request):
    from tf_tickets.analysis.analyze import analyze
    from tf_tickets.report import analyses

    found = analyze(request.paths, request.config, stopping.requested)
    print(analyses.finish(found, request.config.command.what.split(",")))
    return 0


def _report(request):
    from tf_tickets.report import command

    asked, out = request.config.command, request.config.run.out if request.given("out") else None
    text, problems = command.report(request.paths, out, latex=asked.latex, pdf=asked.pdf)
    print(text)
    for problem in problems:
        _complain(problem)
    return 3 if problems else 0


def _export(request):
    from tf_tickets.export import formats

    wanted = request.config.command.format
    out = request.config.run.out if request.given("out") else None
    quiet = request.config.run.progress == "none"
    say = (lambda line: None) if quiet else (lambda line: streams.say(f"tf-tickets: {line}"))
    print(formats.export(request.paths[0], wanted.split(",") if wanted else None, request.config, out, say))
    return 0


def _predict(request):
    from tf_tickets.export import predict

    text, problems = predict.predict(request.paths[0], request.paths[1:], request.config.command)
    print(text)
    for problem in problems:
        _complain(problem)
    return 2 if problems else 0


def _verify(request):
    from tf_tickets.export.verify import verify

    for path in request.paths:
        print(verify(path))
    return 0


def _prepare(request):
    from tf_tickets.data.prepare import prepare

    print(prepare(request.paths[0], request.config.command.archive, request.config.data.data_dir))
    return 0


def _sweep(request):
    from tf_tickets.report import sweeps
    from tf_tickets.sweeps import sweep

    config = request.config
    found = sweep.resolve(config, request.names, commands.check_command)
    entries = [{"run": run.name, "folder": run.folder, "swept": run.point.texts, "rounds": run.rounds} for run in found]
    if config.run.dry_run:
        states = [
            {"recipe": run.recipe, "finished": run.finished, "complete": run.complete, "steps": run.steps_left}
            for run in found
        ]
        print(sweeps.listing([entry | state for entry, state in zip(entries, states)]))
        return 0
    if config.command.engine == "slurm":
        return _print_script(found, config)
    say = streams.say if config.run.progress != "none" else lambda line: None
    outcomes = sweep.sweep(found, config, stopping.requested, say)
    ends = [{"state": outcome.state, "chosen": outcome.chosen} for outcome in outcomes]
    print(sweeps.finish(config.run.out, [entry | end for entry, end in zip(entries, ends)]))
    for outcome in outcomes:
        if outcome.status != 0:
            _complain(outcome)
    return sweep.worst(outcomes)


def _print_script(found, config):
    from tf_tickets.sweeps import slurm

    text = slurm.script(found, config)
    if text is None:
        streams.say("tf-tickets: all runs are finished: there is nothing to submit")
    else:
        print(text, end="")
    return 0


def _complain(problem):
    streams.say(f"tf-tickets: {plain(problem)}")


_COMMANDS = {
    "imp": _imp, "train": _train, "pretrain": _pretrain, "evaluate": _evaluate, "analyze": _analyze, "report": _report,
    "export": _export, "predict": _predict, "verify": _verify, "prepare": _prepare, "sweep": _sweep,
}  # fmt: skip

# Commands that heed a request themselves, because they have something to save; the others are left at once.
_HEEDING = ("imp", "train", "pretrain", "evaluate", "analyze", "sweep")

# Commands whose result is what they print; the others leave it in files too.
_PRINTING = ("evaluate", "report", "predict", "verify")


def _run(request):
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)  # TensorFlow's export is chatty at absl's own default
    from tf_tickets import storage

    try:
        if request.command not in _HEEDING:
            stopping.leave_at_once()
        with storage.disk_faults():
            status = main(request)
        return _printed(status, _is_printing(request))
    except TicketError as error:
        streams.end_recording()
        _complain(error)
        return error.exit_status
    except Exception:
        streams.end_recording(show=True)
        raise
    finally:
        stopping.ignore()
        streams.end_recording()


def _is_printing(request):
    """Whether all that a command gives is its output."""
    command = request.config.command
    scripted = request.command == "sweep" and command.engine == "slurm"
    return request.command in _PRINTING or request.config.run.dry_run or scripted


def _printed(status, needed):
    """The exit status once all is printed; where the output is `needed` and was not written, that is a failure."""
    problem = streams.unprinted()
    if problem is None or problem.errno == errno.EPIPE:
        return status  # what reads our output, such as head, has seen enough
    reason = "it is closed" if problem.errno == errno.EBADF else problem.strerror
    remedy = "give it another place and run again" if needed else "the files that the command writes are whole"
    _complain(f"standard output cannot be written: {reason}; {remedy}")
    return status or (StateError.exit_status if needed else 0)


def _parse(argv):
    try:
        return cli.parse(argv, flags.FLAGS)
    except SystemExit as helped:
        sys.exit(_printed(helped.code, needed=True))
    except TicketError as error:
        _complain(error)
        sys.exit(error.exit_status)


def entry_point():
    """The console script."""
    stopping.listen()
    streams.take_over()
    # absl was loaded with what was standard error then: where that is closed None, which setStream would flush.
    logging.get_absl_handler().python_handler.stream = sys.stderr
    app.run(_run, flags_parser=_parse)


if __name__ == "__main__":
    entry_point()
