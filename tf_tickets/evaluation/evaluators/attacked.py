"""Attacked test images."""

import functools
import re
import typing

from tf_tickets.evaluation.evaluator import Evaluator, Task
from tf_tickets.registry import EVALUATORS

if typing.TYPE_CHECKING:
    from tf_tickets.evaluation.attacks import Attack
    from tf_tickets.settings.config import Config

PGD_STEPS = 10


class _Attacked(Evaluator):
    """Accuracy under an attack."""

    any_depth = False
    plain = False
    kind: str

    def attack(self, config):
        """The attacks.Attack that a config.Config describes."""
        raise NotImplementedError

    def tasks(self, images) -> list[Task]:
        """One attack, on as many test images as are asked for."""
        from tf_tickets.evaluation import subsample

        count, attack = images.config.command.test_images, self.attack(images.config)
        load = images.load if count is None else images.load_fewer
        measure = functools.partial(_measure, load=load, attack=attack)
        return [Task(subsample.named(self.kind, count), attack.setting, "accuracy", measure)]

    def title(self, row_name: str, setting: str) -> str:
        """The strength and the number of steps."""
        strength, steps = re.match(r"eps=(\d+\.?\d*)", setting), re.search(r"steps=(\d+)", setting)
        if not strength:
            return super().title(row_name, setting)
        return f"{row_name.upper()}, eps {float(strength[1]):.3g}" + (f", {steps[1]} steps" if steps else "")


@EVALUATORS.register("fgsm")
class FGSM(_Attacked):
    """One step along the sign of the gradient."""

    order = 4
    kind = "fgsm"
    text = "accuracy under attack: one step of --attack_eps"
    flags = ("attack_eps", "test_images")

    def attack(self, config: "Config") -> "Attack":
        """One step of `--attack_eps`."""
        from tf_tickets.evaluation import attacks

        return attacks.Attack("fgsm", config.training.attack_eps)


@EVALUATORS.register("pgd")
class PGD(_Attacked):
    """Steps along the sign of the gradient, from random starts."""

    order = 5
    kind = "pgd"
    text = f"accuracy under attack: --attack_eps, --attack_step, --attack_steps ({PGD_STEPS}), --restarts"
    flags = ("attack_eps", "attack_step", "attack_steps", "restarts", "test_images")

    def attack(self, config: "Config") -> "Attack":
        """Ten steps where `--attack_steps` has its default of 1."""
        from tf_tickets.evaluation import attacks

        training = config.training
        steps = PGD_STEPS if training.attack_steps == 1 else training.attack_steps
        return attacks.Attack("pgd", training.attack_eps, training.attack_step, steps, config.command.restarts)


def _measure(network, rows, load, attack):
    from tf_tickets.evaluation import attacks

    images = load()
    logits = attacks.logits_of(network.model, images, network.data_set, attack, strategy=network.strategy)
    return [("accuracy", float((logits.argmax(axis=1) == images.labels).mean()), len(images))]
