"""`prepare`: a data set's folder."""

from collections.abc import Iterable, Iterator, Sequence

from tf_tickets.registry import COMMANDS
from tf_tickets.settings.cli import Request
from tf_tickets.settings.commands import Command, Paths
from tf_tickets.settings.config import Config


@COMMANDS.register("prepare")
class Prepare(Command):
    """Builds the folder of a data set."""

    order = 10
    summary = "DATASET --archive=FILE: build the data set's folder from an archive"
    examples = (
        "cifar10 --archive=cifar-10-python.tar.gz",
        "eurosat_rgb --archive=EuroSAT.zip --data_dir=data",
    )
    paths = Paths(1, 1, "a data set", "one data set; give the archive as --archive=FILE", exist=False)
    flags = ("archive",)

    def heeds(self) -> Iterable[str]:
        """Those that it reads."""
        return ("data_dir", "dataset")

    def problems(self, paths: Sequence[str], config: Config) -> Iterator[str]:
        """An archive that is not named."""
        if config.command.archive is None:
            yield "prepare needs --archive=FILE: the archive to read"

    def run(self, request: Request) -> int:
        """Prints where the folder is."""
        from tf_tickets.data.prepare import prepare

        print(prepare(request.paths[0], request.config.command.archive, request.config.data.data_dir))
        return 0
