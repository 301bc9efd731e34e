"""`evaluate`: how good networks are."""

from collections.abc import Iterable, Iterator, Sequence

from tf_tickets import stopping
from tf_tickets.registry import COMMANDS, EVALUATORS
from tf_tickets.settings import places
from tf_tickets.settings.cli import Request
from tf_tickets.settings.commands import ATTACKS, DEVICES, Command, Paths, changed
from tf_tickets.settings.config import Config


@COMMANDS.register("evaluate")
class Evaluate(Command):
    """Measures networks with the evaluators that are asked for."""

    order = 4
    summary = "PATH...: measure run, round or ticket folders by --evaluators, and write the rows into these folders"
    examples = (
        "runs/NAME/seed_0 --evaluators=clean,corruptions",
        "runs/NAME/seed_0 --which=ticket --evaluators=pgd --test_images=1000",
    )
    paths = Paths(least=1, needs="run, round or ticket folders")
    flags = ("evaluators", "which", "restarts", "test_images")
    heeds_stop = True

    def heeds(self) -> Iterable[str]:
        """Those that it reads."""
        return (*places.FLAGS, *DEVICES, *ATTACKS)

    def prints(self, config: Config) -> bool:
        """Its table is what it is run for."""
        return True

    def problems(self, paths: Sequence[str], config: Config) -> Iterator[str]:
        """Flags that none of the evaluators reads."""
        asked = config.command.evaluators.split(",")
        read = dict.fromkeys(name for evaluator in EVALUATORS.values() for name in evaluator.flags)
        for name in changed(config, read):
            readers = [reader for reader, evaluator in EVALUATORS.items() if name in evaluator.flags]
            if not set(readers) & set(asked):
                yield f"--{name} belongs to --evaluators={' or '.join(readers)}, not {config.command.evaluators}"

    def run(self, request: Request) -> int:
        """Prints a table of the rows."""
        from tf_tickets.evaluation import evaluate

        print(evaluate.table(evaluate.evaluate(request.paths, request.config, stopping.requested)))
        return 0
