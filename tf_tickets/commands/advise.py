"""`advise`: what to do with some pictures."""

import shlex
from collections.abc import Iterable, Iterator, Sequence

from tf_tickets import stopping
from tf_tickets.registry import COMMANDS
from tf_tickets.settings.cli import Request
from tf_tickets.settings.commands import Command, Paths
from tf_tickets.settings.config import Config


@COMMANDS.register("advise")
class Advise(Command):
    """Looks at pictures and says what to do with them."""

    order = 0
    summary = "[FOLDER]: what to do with these pictures: accuracy to expect, labels to look at, what to train"
    examples = (
        "pictures",
        "--dataset=cifar10 --per_class=50",
    )
    paths = Paths(0, 1, takes="one folder of pictures")
    heeds_stop = True

    def heeds(self) -> Iterable[str]:
        """Those that say which pictures and which network."""
        from tf_tickets.advise.backbones import HEEDED

        return HEEDED

    def problems(self, paths: Sequence[str], config: Config) -> Iterator[str]:
        """A folder beside flags that name other pictures."""
        data = config.data
        if paths and data.data_dir is not None:
            yield f"advise {paths[0]}: --data_dir={data.data_dir} names another folder; leave one out"
        if paths and data.dataset not in ("cifar10", "folder"):
            yield f"advise {paths[0]}: --dataset={data.dataset} names other pictures; leave one out"

    def run(self, request: Request) -> int:
        """Prints the main numbers, what to do, and where the page is."""
        from tf_tickets.advise.advising import advise

        config = request.config
        if request.paths:
            config = config.replace(dataset="folder", data_dir=request.paths[0])
        words = ["python -m tf_tickets.main advise", *map(shlex.quote, request.paths)]
        words += [
            f"--{name}={shlex.quote(str(value))}"
            for name, value in request.config.values().items()
            if name in request.names
        ]
        print(advise(config, stopping.requested, asked=request.given("model"), command=_typed(request)))
        return 0


def _typed(request):
    """The command line, as it can be given again."""
    given = {name: value for name, value in request.config.values().items() if name in request.names}
    words = [*request.paths, *(f"--{name}={value}" for name, value in given.items())]
    return f"python -m tf_tickets.main advise {shlex.join(words)}"
