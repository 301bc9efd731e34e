"""The command line: flags to Config to one command, and the exit status."""

from tf_tickets import stopping, streams
from tf_tickets.settings.config import Config

if __name__ == "__main__":
    # Before anything else loads: a stop request must not be lost, nor a closed stream's number be given to a file.
    stopping.listen()
    streams.take_over()

import errno  # noqa: E402
import sys  # noqa: E402
import traceback  # noqa: E402

from absl import app, flags, logging  # noqa: E402

from tf_tickets import plugins  # noqa: E402
from tf_tickets.errors import StateError, TicketError, UsageError, plain  # noqa: E402
from tf_tickets.notices import say  # noqa: E402
from tf_tickets.registry import COMMANDS  # noqa: E402
from tf_tickets.settings import cli  # noqa: E402


def main(request: cli.Request) -> int:
    """Runs one parsed request; returns the exit status."""
    command = COMMANDS[request.command]
    if request.config.run.dry_run and command.plan is not None:
        from tf_tickets.experiments import plan_pictures

        with plan_pictures.all_problems():
            print(plan_text(request.command, request.config))
        return 0
    return command.run(request)


def plan_text(command: str, config: Config) -> str:
    """What `--dry_run` prints of imp, train or pretrain. No TensorFlow, nothing touched."""
    from tf_tickets.experiments import plan

    plan.check_writable(config)
    return COMMANDS[command].plan(config)


def _run(request):
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)  # TensorFlow's export is chatty at absl's own default
    from tf_tickets import storage

    try:
        command = COMMANDS[request.command]
        if not command.heeds_stop:
            stopping.leave_at_once()
        with storage.disk_faults():
            status = main(request)
        return _printed(status, request.config.run.dry_run or command.prints(request.config))
    except TicketError as error:
        streams.end_recording()
        say(plain(error))
        return error.exit_status
    except Exception as error:
        failed = plugins.failure(error)
        streams.end_recording(show=failed is None)
        if failed is None:
            raise
        return _failed(failed)
    finally:
        stopping.ignore()
        streams.end_recording()


def _failed(failed):
    """Says what went wrong in a plugin, within its exception's handler, with the traceback under `--verbosity=1`."""
    if logging.get_verbosity() >= logging.DEBUG:
        traceback.print_exc()
    say(plain(f"{failed}; --verbosity=1 shows the traceback"))
    return UsageError.exit_status


def _printed(status, needed):
    """The exit status once all is printed; where the output is `needed` and was not written, that is a failure."""
    problem = streams.unprinted()
    if problem is None or problem.errno == errno.EPIPE:
        return status  # what reads our output, such as head, has seen enough
    reason = "it is closed" if problem.errno == errno.EBADF else problem.strerror
    remedy = "give it another place and run again" if needed else "the files that the command writes are whole"
    say(f"standard output cannot be written: {reason}; {remedy}")
    return status or (StateError.exit_status if needed else 0)


def _parse(argv):
    try:
        return cli.parse(argv, flags.FLAGS)
    except SystemExit as helped:
        sys.exit(_printed(helped.code, needed=True))
    except TicketError as error:
        streams.end_recording(show=False)
        say(plain(error))
        sys.exit(error.exit_status)
    except Exception as error:
        failed = plugins.failure(error)
        if failed is None:
            raise
        sys.exit(_failed(failed))


def entry_point() -> None:
    """The console script."""
    stopping.listen()
    streams.take_over()
    # absl was loaded with what was standard error then: where that is closed None, which setStream would flush.
    logging.get_absl_handler().python_handler.stream = sys.stderr  # pyright: ignore[reportOptionalMemberAccess]  made at import
    app.run(_run, flags_parser=_parse)


if __name__ == "__main__":
    entry_point()
