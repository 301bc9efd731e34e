"""`analyze`: why a ticket does what it does."""

from collections.abc import Iterable, Iterator, Sequence

from tf_tickets import stopping
from tf_tickets.registry import ANALYSES, COMMANDS
from tf_tickets.settings.checks import sheets
from tf_tickets.settings.cli import Request
from tf_tickets.settings.commands import DEVICES, Command, Paths, changed, of_groups
from tf_tickets.settings.config import Config

_SUBJECTS = "run, round or ticket folders"


@COMMANDS.register("analyze")
class Analyze(Command):
    """Analyses networks, or draws a sheet."""

    order = 5
    summary = "PATH... --what=density,...: measure what is inside networks; --what=augment or corruptions: draw a sheet"
    examples = (
        "runs/NAME/seed_0 --what=density,similarity",
        "--what=augment --flagfile=flags/quickstart.cfg",
    )
    paths = Paths(needs=_SUBJECTS)
    flags = ("what", "which", "probe", "probe_images")
    heeds_stop = True

    def heeds(self) -> Iterable[str]:
        """Those that it reads."""
        return (*of_groups("data"), *DEVICES, "seed", "order_seed", "out")

    def problems(self, paths: Sequence[str], config: Config) -> Iterator[str]:
        """Paths and flags that `--what` does not take."""
        what = config.command.what
        if what is None:
            alone = f"--what={' or '.join(sheets())} alone"
            yield f"analyze needs --what=density,similarity,... with run folders, or {alone}"
        if what in sheets():
            for path in paths:
                yield f"--what={what} takes no path: remove {path}"
        elif not paths:
            yield f"analyze --what={what} needs {_SUBJECTS}, such as: analyze {self.examples[0]}"
        asked = (what or "").split(",")
        for name in asked:
            yield from ANALYSES[name].problems(paths)
        read = dict.fromkeys(name for analysis in ANALYSES.values() for name in analysis.flags)
        for name in changed(config, read):
            readers = [reader for reader, analysis in ANALYSES.items() if name in analysis.flags]
            if not set(readers) & set(asked):
                yield f"--{name} belongs to --what={' or '.join(readers)}, not {what}"

    def run(self, request: Request) -> int:
        """Prints the main rows and the names of the files."""
        config, names = request.config, (request.config.command.what or "").split(",")
        if config.command.what in sheets():
            print(ANALYSES[config.command.what].sheet(config))
            return 0
        from tf_tickets.analysis.analyze import analyze
        from tf_tickets.report import analyses

        print(analyses.finish(analyze(request.paths, config, stopping.requested), names))
        return 0
