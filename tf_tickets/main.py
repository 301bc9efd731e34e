"""The command line: flags to Config to one command, and the exit status."""

import os
import signal
import sys

from absl import app, flags, logging

from tf_tickets import cli
from tf_tickets.errors import TicketError


def main(request):
    """Runs one parsed request; returns the exit status."""
    if request.config.run.dry_run:
        from tf_tickets.experiments import plan

        config = request.config
        if request.command == "pretrain":
            from tf_tickets.experiments import backbone

            config = backbone.resolved(config)
        print(plan.text(plan.resolve(config), request.command))
        return 0
    return _COMMANDS[request.command](request)


def _imp(request):
    from tf_tickets.experiments.imp import imp

    return _finish(imp(request.config, _stop))


def _train(request):
    from tf_tickets.experiments.train import train

    return _finish(train(request.config, _stop))


def _pretrain(request):
    from tf_tickets import runs
    from tf_tickets.experiments.pretrain import pretrain
    from tf_tickets.report import command

    print(command.finish_pretraining(runs.RunFolder(pretrain(request.config, _stop).folder)))
    return 0


def _finish(result):
    from tf_tickets import runs
    from tf_tickets.report import command

    print(command.finish_run(runs.RunFolder(result.folder), result.chosen))
    return 0


def _evaluate(request):
    from tf_tickets.experiments import evaluate

    print(evaluate.table(evaluate.evaluate(request.paths, request.config, _stop)))
    return 0


def _analyze(request):
    if request.config.command.what == "corruptions":
        from tf_tickets.experiments.corruption_sheet import corruption_sheet as draw
    else:
        from tf_tickets.analysis.contact_sheet import contact_sheet as draw
    print(draw(request.config))
    return 0


def _report(request):
    from tf_tickets.report import command

    text, problems = command.report(request.paths, request.config.run.out if request.given("out") else None)
    print(text)
    for problem in problems:
        print(f"tf-tickets: {problem}", file=sys.stderr)
    return 3 if problems else 0


def _verify(request):
    from tf_tickets.export.verify import verify

    for path in request.paths:
        print(verify(path))
    return 0


def _prepare(request):
    from tf_tickets.data.prepare import prepare

    print(prepare(request.paths[0], request.config.command.archive, request.config.data.data_dir))
    return 0


_COMMANDS = {
    "imp": _imp, "train": _train, "pretrain": _pretrain, "evaluate": _evaluate, "analyze": _analyze, "report": _report,
    "verify": _verify, "prepare": _prepare,
}  # fmt: skip

_stopping = []


def _stop():
    return bool(_stopping)


def _on_signal(number, frame):
    # The first request waits for the running block of steps; the second leaves at once, with what is already saved.
    if _stopping:
        os._exit(75)
    _stopping.append(number)


def _run(request):
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)  # TensorFlow's export is chatty at absl's own default
    # Before TensorFlow loads, which takes seconds in which a stop request must not be lost.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _on_signal)
    try:
        return main(request)
    except TicketError as error:
        print(f"tf-tickets: {error}", file=sys.stderr)
        return error.exit_status


def _parse(argv):
    try:
        return cli.parse(argv, flags.FLAGS)
    except TicketError as error:
        print(f"tf-tickets: {error}", file=sys.stderr)
        sys.exit(error.exit_status)


def entry_point():
    """The console script."""
    app.run(_run, flags_parser=_parse)


if __name__ == "__main__":
    entry_point()
