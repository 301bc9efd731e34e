"""`advise`: what to do with some pictures."""

import shlex
from collections.abc import Iterable, Sequence

from tf_tickets import stopping
from tf_tickets.errors import UsageError
from tf_tickets.registry import COMMANDS
from tf_tickets.settings.cli import Request
from tf_tickets.settings.commands import Command, Paths
from tf_tickets.settings.config import Config


@COMMANDS.register("advise")
class Advise(Command):
    """Looks at pictures and says what to do with them."""

    order = 0
    summary = "[FOLDER]: for these pictures, the accuracy to expect, the labels to check, and what to train"
    examples = (
        "pictures",
        "--dataset=cifar10 --per_class=50",
    )
    paths = Paths(0, 1, "the folder of your pictures", "one folder of pictures")
    flags = ("dry_run",)
    heeds_stop = True

    def heeds(self) -> Iterable[str]:
        """Those that say which pictures and which network."""
        from tf_tickets.advise.backbones import HEEDED

        return HEEDED

    def stands_for(self, paths: Sequence[str]) -> dict[str, str]:
        """A folder."""
        return {"dataset": "folder", "data_dir": paths[0]} if paths else {}

    def plan(self, config: Config) -> str:
        """The pictures, and the network that would see them."""
        from tf_tickets.advise import advising

        return advising.planned(config)

    def run(self, request: Request) -> int:
        """Prints the main numbers, what to do, and where the page is."""
        from tf_tickets.advise import advising

        if not request.given("dataset"):
            raise UsageError("advise needs the folder of your pictures: advise FOLDER; or --dataset=NAME")
        asked, typed = request.given("model"), _typed(request, self.stands_for(request.paths))
        print(advising.advise(request.config, stopping.requested, asked=asked, command=typed))
        return 0


def _typed(request, implied):
    """The command line, as it can be given again."""
    given = {name: value for name, value in request.config.values().items() if name in request.names - set(implied)}
    words = [*request.paths, *(f"--{name}={value}" for name, value in given.items())]
    return f"python -m tf_tickets.main advise {shlex.join(words)}"
