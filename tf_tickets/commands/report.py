"""`report`: finished runs compared."""

from collections.abc import Iterable

from tf_tickets.errors import plain
from tf_tickets.notices import say
from tf_tickets.registry import COMMANDS
from tf_tickets.settings.cli import Request
from tf_tickets.settings.commands import Command, Paths
from tf_tickets.settings.config import Config


@COMMANDS.register("report")
class Report(Command):
    """Compares runs in tables, figures and a page."""

    order = 6
    summary = "PATH...: compare all runs below the paths, with tables and figures on one page"
    examples = (
        "runs --out=report",
        "runs/A runs/B --latex --pdf",
    )
    paths = Paths(least=1, needs="run folders, folders above them, or a report.csv")
    flags = ("latex", "pdf")

    def heeds(self) -> Iterable[str]:
        """Those that it reads."""
        return ("out",)

    def prints(self, config: Config) -> bool:
        """Its table is what it is run for."""
        return True

    def run(self, request: Request) -> int:
        """Prints the tables; 3 where runs were left out, which it names."""
        from tf_tickets.report import command

        asked, out = request.config.command, request.config.run.out if request.given("out") else None
        text, problems = command.report(request.paths, out, latex=asked.latex, pdf=asked.pdf)
        print(text)
        for problem in problems:
            say(plain(problem))
        return 3 if problems else 0
