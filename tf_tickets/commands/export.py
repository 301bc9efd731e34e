"""`export`: a ticket as files."""

from collections.abc import Iterable, Iterator, Sequence

from tf_tickets import notices
from tf_tickets.registry import COMMANDS
from tf_tickets.settings import places
from tf_tickets.settings.checks import EXPORTS
from tf_tickets.settings.cli import Request
from tf_tickets.settings.commands import Command, Paths, format_problems
from tf_tickets.settings.config import Config


@COMMANDS.register("export")
class Export(Command):
    """Writes a ticket in other formats."""

    order = 7
    summary = "PATH: write the ticket of PATH as --format=ticket,runtime,tflite,... beside it, or into --out=DIR"
    examples = (
        "runs/NAME/seed_0 --format=runtime,tflite",
        "runs/NAME/seed_0/ticket --format=tflite_int8 --out=files",
    )
    paths = Paths(1, 1, "a ticket, round or run folder")
    flags = ("format",)

    def heeds(self) -> Iterable[str]:
        """Those that it reads."""
        return (*places.FLAGS, "out")

    def problems(self, paths: Sequence[str], config: Config) -> Iterator[str]:
        """Formats that `predict` prints."""
        return format_problems("export", config.command.format, EXPORTS)

    def run(self, request: Request) -> int:
        """Prints what it wrote, and what to do with it."""
        from tf_tickets.export import after_export, formats

        wanted = request.config.command.format
        out = request.config.run.out if request.given("out") else None
        say = (lambda line: None) if request.config.run.progress == "none" else notices.say
        asked, path = wanted.split(",") if wanted else None, request.paths[0]
        print(formats.export(path, asked, request.config, out, say=say))
        print("\n".join(after_export.lines(asked, path, out)))
        return 0
