"""`train`: one round."""

from tf_tickets import stopping
from tf_tickets.registry import COMMANDS
from tf_tickets.settings.cli import Request
from tf_tickets.settings.commands import Command
from tf_tickets.settings.config import Config


@COMMANDS.register("train")
class Train(Command):
    """Trains one round."""

    order = 2
    summary = "train one round: a dense network, a ticket again (--ticket=DIR), or a --control"
    examples = (
        "--flagfile=flags/quickstart.cfg --epochs=200",
        "--flagfile=flags/quickstart.cfg --ticket=runs/NAME/seed_0/ticket --order_seed=1",
    )
    flags = ("dry_run", "ticket", "soup_members")
    makes_rounds = locks = heeds_stop = True

    def plan(self, config: Config) -> str:
        """The round, and its ticket."""
        from tf_tickets.experiments import plan_text, train

        planned, ticket, folder = train.planned(config)
        return plan_text.text(planned, "train", ticket, folder)

    def run(self, request: Request) -> int:
        """Prints the table of the round."""
        from tf_tickets.experiments.train import train

        result = train(request.config, stopping.requested)
        from tf_tickets.report import command

        command.print_run(result)
        return 0
