"""`predict`: what a ticket says of pictures."""

from collections.abc import Iterable, Iterator, Sequence

from tf_tickets.errors import plain
from tf_tickets.notices import say
from tf_tickets.registry import COMMANDS
from tf_tickets.settings.checks import ANSWERS
from tf_tickets.settings.cli import Request
from tf_tickets.settings.commands import Command, Paths, format_problems
from tf_tickets.settings.config import Config


@COMMANDS.register("predict")
class Predict(Command):
    """Labels pictures."""

    order = 8
    summary = "TICKET IMAGE...: labels and probabilities for picture files and folders; - is standard input"
    examples = (
        "runs/NAME/seed_0/ticket pictures --format=csv",
        "runs/NAME/seed_0/ticket owl.jpg --top_k=3",
        "runs/NAME/seed_0/ticket.export/ticket.onnx owl.jpg",
    )
    paths = Paths(least=2, needs="a ticket, or a file of export, and pictures", standard_input=True)
    flags = ("format", "top_k")

    def heeds(self) -> Iterable[str]:
        """Those that it reads."""
        return ()

    def prints(self, config: Config) -> bool:
        """It leaves no files."""
        return True

    def problems(self, paths: Sequence[str], config: Config) -> Iterator[str]:
        """Formats that `export` writes."""
        return format_problems("predict", config.command.format, ANSWERS)

    def run(self, request: Request) -> int:
        """Prints labels and probabilities; 2 where pictures could not be read, which it names."""
        from tf_tickets.export import predict

        text, problems = predict.predict(request.paths[0], request.paths[1:], request.config.command)
        print(text)
        for problem in problems:
            say(plain(problem))
        return 2 if problems else 0
