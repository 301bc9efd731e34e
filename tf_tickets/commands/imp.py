"""`imp`: the rounds."""

from tf_tickets import stopping
from tf_tickets.registry import COMMANDS
from tf_tickets.settings.cli import Request
from tf_tickets.settings.commands import Command
from tf_tickets.settings.config import Config


@COMMANDS.register("imp")
class Imp(Command):
    """Runs or continues the rounds."""

    order = 1
    summary = "run or continue the rounds (the default)"
    examples = (
        "--flagfile=flags/quickstart.cfg",
        "--dataset=folder --data_dir=pictures --flagfile=flags/my_images.cfg --dry_run",
    )
    flags = ("dry_run",)
    makes_rounds = locks = heeds_stop = True

    def plan(self, config: Config) -> str:
        """The rounds."""
        from tf_tickets.experiments import plan, plan_text

        resolved = plan.resolve(config)
        return plan_text.text(resolved, "imp", folder=resolved.folder())

    def run(self, request: Request) -> int:
        """Prints the table of rounds."""
        from tf_tickets.experiments.imp import imp

        result = imp(request.config, stopping.requested)
        from tf_tickets.report import command

        command.print_run(result)
        return 0
