"""`ensemble`: several tickets as one."""

from collections.abc import Iterable

from tf_tickets import notices
from tf_tickets.errors import UsageError
from tf_tickets.registry import COMMANDS
from tf_tickets.settings.cli import Request
from tf_tickets.settings.commands import Command, Paths


@COMMANDS.register("ensemble")
class Ensemble(Command):
    """Writes several tickets as one."""

    order = 12
    summary = "PATH... --out=DIR: join several tickets into one, which gives the mean of their probabilities"
    examples = (
        "runs/A/seed_0 runs/B/seed_0 --out=joint",
        "runs/NAME/seed_0/round_02 runs/NAME/seed_0/round_03 --out=joint",
    )
    paths = Paths(least=2, needs="at least two tickets: ticket, round or run folders")

    def heeds(self) -> Iterable[str]:
        """Those that it reads."""
        return ("out",)

    def run(self, request: Request) -> int:
        """Prints what it is of, and what it costs."""
        if not request.given("out"):
            raise UsageError("ensemble needs --out=DIR: the folder of the ticket to write")
        from tf_tickets.export import after_export, combine

        say = (lambda line: None) if request.config.run.progress == "none" else notices.say
        print(combine.combine(request.paths, request.config.run.out, say))
        print("\n".join(after_export.of_ensemble(request.config.run.out)))
        return 0
