"""`pretrain`: a backbone."""

from collections.abc import Iterable

from tf_tickets import stopping
from tf_tickets.registry import COMMANDS
from tf_tickets.settings.cli import Request
from tf_tickets.settings.commands import Command, of_groups
from tf_tickets.settings.config import Config


@COMMANDS.register("pretrain")
class Pretrain(Command):
    """Trains a backbone from unlabelled images."""

    order = 3
    summary = "train a self-supervised backbone (SimCLR) on unlabelled images, for --pretrained"
    examples = (
        "--dataset=cifar10 --flagfile=flags/cifar10_pretrain_cpu.cfg",
        "--dataset=folder --data_dir=unlabelled --epochs=100 --image_size=96",
    )
    flags = ("dry_run",)
    locks = heeds_stop = True

    def heeds(self) -> Iterable[str]:
        """Those that it reads."""
        return of_groups("data", "network", "training", "run")

    def plan(self, config: Config) -> str:
        """The training of the backbone."""
        from tf_tickets.experiments import backbone, plan, plan_text

        return plan_text.text(plan.resolve(backbone.resolved(config)), "pretrain")

    def run(self, request: Request) -> int:
        """Prints what came of it."""
        from tf_tickets import runs
        from tf_tickets.experiments import backbone

        backbone.resolved(request.config)  # refuses bad flags before TensorFlow loads
        from tf_tickets.experiments.pretrain import pretrain
        from tf_tickets.report import pretraining

        print(pretraining.finish(runs.RunFolder(pretrain(request.config, stopping.requested).folder)))
        return 0
